//! Handshakes, good and bad.

use super::{Case, Step};

pub(super) fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = REQUESTS.iter().map(|(name, request)| Case::handshake(name, request)).collect();
    let good = "{\"protocol\":\"json\",\"version\":1}";
    let json = |name| Case { shakes_hands: false, ..Case::json(name) };
    let pack = |name| Case { shakes_hands: false, ..Case::pack(name) };
    let malformed = [
        ("handshake: malformed", "{\"protocol\":\"json\",\"version\":1"),
        ("handshake: not JSON", "GET / HTTP/1.1"),
        ("handshake: nothing", ""),
    ];
    all.extend(malformed.map(|(name, request)| {
        Case::handshake(name, request).differs_in_detail(
            "the detail is the text of .NET's JSON reader, made for developers; ours has the same name and says less",
            &[&MALFORMED.replace(DETAIL, ""), "close 1000"],
            &[MALFORMED, "close 1000"],
        )
    }));
    all.extend([
        json("handshake: in two pieces").text("{\"protocol\":\"js").text("on\",\"version\":1}\u{1e}"),
        json("handshake: with a call behind it").text(&format!(
            "{good}\u{1e}{{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[1]}}\u{1e}"
        )),
        json("handshake: half a call behind it")
            .text(&format!("{good}\u{1e}{{\"type\":1,\"invocationId\":\"1\",\"tar"))
            .text("get\":\"Echo\",\"arguments\":[1]}\u{1e}"),
        json("handshake: in a binary message").step(Step::Binary(format!("{good}\u{1e}").into_bytes())),
        json("handshake: too long").text(&padded(33_000)),
        json("handshake: as long as may be").text(&(padded(32_767) + "\u{1e}")),
        json("handshake: one byte too long").text(&(padded(32_768) + "\u{1e}")),
        json("handshake: bad UTF-8 in a text message")
            .step(Step::Text(b"{\"protocol\":\"js\xffon\",\"version\":1}\x1e".to_vec()))
            .races()
            .differs(
                "the close frame always goes out; the reference sometimes resets the connection first",
                &["close 1007"],
            ),
        json("handshake: bad UTF-8 in a binary message")
            .step(Step::Binary(b"{\"protocol\":\"js\xffon\",\"version\":1}\x1e".to_vec())),
        pack("handshake: messagepack").text("{\"protocol\":\"messagepack\",\"version\":1}\u{1e}"),
        pack("handshake: messagepack in a binary message")
            .step(Step::Binary(b"{\"protocol\":\"messagepack\",\"version\":2}\x1e".to_vec())),
        pack("handshake: messagepack, version too high")
            .text("{\"protocol\":\"messagepack\",\"version\":3}\u{1e}"),
    ]);
    all
}

/// A good request of so many bytes, without its end mark.
fn padded(length: usize) -> String {
    let start = "{\"protocol\":\"json\",\"version\":1,\"x\":\"";
    format!("{start}{}\"}}", "x".repeat(length - start.len() - 2))
}

const MALFORMED: &str = "text {\"error\":\"An unexpected error occurred during connection handshake. JsonReaderException: Error reading JSON.\"}";
const DETAIL: &str = " JsonReaderException: Error reading JSON.";

const REQUESTS: &[(&str, &str)] = &[
    ("handshake: json, version 1", r#"{"protocol":"json","version":1}"#),
    ("handshake: json, version 2", r#"{"protocol":"json","version":2}"#),
    ("handshake: json, version 0", r#"{"protocol":"json","version":0}"#),
    ("handshake: json, version -1", r#"{"protocol":"json","version":-1}"#),
    ("handshake: json, version 3", r#"{"protocol":"json","version":3}"#),
    ("handshake: version 3 under another spelling", r#"{"protocol":"JsOn","version":3}"#),
    ("handshake: unknown protocol", r#"{"protocol":"soap","version":1}"#),
    ("handshake: unknown protocol to be escaped", r#"{"protocol":"so\"ap<\u00e9\ud83d\ude00","version":1}"#),
    ("handshake: empty protocol", r#"{"protocol":"","version":1}"#),
    ("handshake: upper case protocol", r#"{"protocol":"JSON","version":1}"#),
    ("handshake: no protocol", r#"{"version":1}"#),
    ("handshake: no version", r#"{"protocol":"json"}"#),
    ("handshake: version as text", r#"{"protocol":"json","version":"1"}"#),
    ("handshake: version null", r#"{"protocol":"json","version":null}"#),
    ("handshake: version with a fraction", r#"{"protocol":"json","version":1.5}"#),
    ("handshake: version too large", r#"{"protocol":"json","version":99999999999}"#),
    ("handshake: protocol a number", r#"{"protocol":1,"version":1}"#),
    ("handshake: protocol null", r#"{"protocol":null,"version":1}"#),
    ("handshake: an array", r#"["json",1]"#),
    ("handshake: a string", r#""json""#),
    ("handshake: null", "null"),
    ("handshake: unknown properties", r#"{"a":{"b":[1,2]},"protocol":"json","c":null,"version":1,"d":"e"}"#),
    (
        "handshake: twice the same property",
        r#"{"protocol":"soap","version":9,"protocol":"json","version":1}"#,
    ),
    ("handshake: text after the object", r#"{"protocol":"json","version":1} and more"#),
    ("handshake: white space", " \r\n\t{ \"protocol\" : \"json\" , \"version\" : 1 } "),
    ("handshake: escapes in names", r#"{"\u0070rotocol":"j\u0073on","version":1}"#),
    ("handshake: other case of names", r#"{"Protocol":"json","Version":1}"#),
    ("handshake: a response", r#"{"error":"no"}"#),
    ("handshake: a hub message", r#"{"type":1,"target":"Echo","arguments":[1]}"#),
];
