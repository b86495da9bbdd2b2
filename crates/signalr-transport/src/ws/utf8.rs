//! UTF-8 checking of a text that arrives in pieces.
//!
//! Owns nothing but the up to three bytes of a character that was cut by the end of a piece. Fed by the decoder with
//! unmasked payload.

/// The state between two pieces of one text.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Utf8Check {
    cut: [u8; 4],
    length: u8,
}

impl Utf8Check {
    /// Checks the next piece; false when the text cannot be UTF-8 whatever follows.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> bool {
        while self.length > 0 {
            let Some((first, rest)) = piece.split_first() else { return true };
            self.cut[self.length as usize] = *first;
            self.length += 1;
            piece = rest;
            match std::str::from_utf8(&self.cut[..self.length as usize]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                // An incomplete character has at most three bytes, so the fourth always decides.
                Err(_) => {}
            }
        }
        match simdutf8::compat::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let cut = &piece[error.valid_up_to()..];
                self.cut[..cut.len()].copy_from_slice(cut);
                self.length = cut.len() as u8;
                true
            }
        }
    }

    /// Ends the text; false when it ends inside a character. Ready for the next text afterwards.
    pub(crate) fn finish(&mut self) -> bool {
        std::mem::take(&mut self.length) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_pieces(bytes: &[u8], size: usize) -> bool {
        let mut check = Utf8Check::default();
        bytes.chunks(size).all(|piece| check.push(piece)) && check.finish()
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "aß€😀 end".as_bytes();
        for size in 1..=text.len() {
            assert!(in_pieces(text, size), "pieces of {size}");
        }
        assert!(!in_pieces(&text[..text.len() - 5], 2), "cut inside the last character");
    }

    #[test]
    fn a_bad_start_is_noticed_before_the_character_is_complete() {
        let mut check = Utf8Check::default();
        assert!(check.push(&[0xED]));
        assert!(!check.push(&[0xA0]), "a surrogate");
        assert!(!Utf8Check::default().push(&[0xF8]));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..40), size in 1usize..9) {
            prop_assert_eq!(in_pieces(&bytes, size), std::str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn text_passes(text in "\\PC{0,20}", size in 1usize..9) {
            prop_assert!(in_pieces(text.as_bytes(), size));
        }
    }
}
