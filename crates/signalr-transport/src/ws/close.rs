//! Close codes, and the payload of Close frames (RFC 6455, 5.5.1 and 7.4).

use std::fmt;

/// A WebSocket close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: all is well.
    pub const NORMAL: Self = Self(1000);
    /// 1002: the peer broke the frame rules.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1007: a text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1009: larger than this endpoint allows.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: the application ended with an error.
    pub const INTERNAL_ERROR: Self = Self(1011);

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }

    #[cfg(test)]
    pub(crate) const fn for_tests(number: u16) -> Self {
        Self(number)
    }

    /// Whether a peer may send it: 1000 to 1003, 1007 to 1014, 3000 to 4999.
    const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads the payload of a client's Close frame: its code, if it gives one, or the code that its faults call for.
pub(crate) fn parse_close(payload: &[u8]) -> Result<Option<CloseCode>, CloseCode> {
    match payload {
        [] => Ok(None),
        [_] => Err(CloseCode::PROTOCOL_ERROR),
        [high, low, reason @ ..] => {
            let code = CloseCode(u16::from_be_bytes([*high, *low]));
            if !code.may_be_sent() {
                Err(CloseCode::PROTOCOL_ERROR)
            } else if std::str::from_utf8(reason).is_err() {
                Err(CloseCode::INVALID_DATA)
            } else {
                Ok(Some(code))
            }
        }
    }
}

/// A server's Close frame without a reason.
pub(crate) const fn close_frame(code: CloseCode) -> [u8; 4] {
    let [high, low] = code.0.to_be_bytes();
    [0x88, 2, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_checked() {
        assert_eq!(parse_close(b""), Ok(None));
        assert_eq!(parse_close(&[3]), Err(CloseCode::PROTOCOL_ERROR));
        assert_eq!(parse_close(&[0x03, 0xE8]), Ok(Some(CloseCode::NORMAL)));
        assert_eq!(parse_close(b"\x03\xE8bye"), Ok(Some(CloseCode::NORMAL)));
        assert_eq!(parse_close(b"\x03\xE8\xFF"), Err(CloseCode::INVALID_DATA));
        for bad in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
            assert_eq!(parse_close(&bad.to_be_bytes()), Err(CloseCode::PROTOCOL_ERROR), "{bad}");
        }
        for good in [1000u16, 1003, 1007, 1014, 3000, 4999] {
            assert_eq!(parse_close(&good.to_be_bytes()), Ok(Some(CloseCode(good))), "{good}");
        }
    }
}
