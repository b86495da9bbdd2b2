//! Calls, streams, and every way to get them wrong, in JSON.

use super::{Case, Step};

pub(super) fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = RECORDS.iter().map(|(name, record)| Case::json(name).send(record)).collect();
    all.extend(throws());
    all.extend(streams());
    all.extend(shapes());
    all.extend(deviations());
    all
}

fn throws() -> Vec<Case> {
    let call = |method: &str, arguments: &str| {
        format!(r#"{{"type":1,"invocationId":"1","target":"{method}","arguments":{arguments}}}"#)
    };
    let mut all = Vec::new();
    for (name, kind) in KINDS {
        all.push(Case::json(name).send(&call("Throw", &format!(r#"["{kind}","a text"]"#))));
    }
    all.push(Case::json("json: error later").send(&call("ThrowLater", r#"["hub","later"]"#)));
    all.push(Case::json("json: error with an empty text").send(&call("Throw", r#"["hub",""]"#)));
    all.push(
        Case::json("json: error with text to be escaped")
            .send(&call("Throw", r#"["hub","<\"\\ \u00e9\ud83d\ude00\n&'+"]"#)),
    );
    all.push(
        Case::json("json: error without an id")
            .send(r#"{"type":1,"target":"Throw","arguments":["hub","x"]}"#),
    );
    all
}

const KINDS: &[(&str, &str)] = &[
    ("json: error hub", "hub"),
    ("json: error nested", "nested"),
    ("json: error derived", "derived"),
    ("json: error argument", "argument"),
    ("json: error cancel", "cancel"),
    ("json: error timeout", "timeout"),
    ("json: error other", "other"),
];

fn streams() -> Vec<Case> {
    let stream = |id: &str, method: &str, arguments: &str| {
        format!(r#"{{"type":4,"invocationId":"{id}","target":"{method}","arguments":{arguments}}}"#)
    };
    let endless = stream("s", "Counter", "[5,3600000]");
    let cancel = r#"{"type":5,"invocationId":"s"}"#;
    vec![
        Case::json("json: stream of three").send(&stream("s", "Counter", "[3,0]")).wait(4),
        Case::json("json: stream of none").send(&stream("s", "Counter", "[0,0]")).wait(1),
        Case::json("json: stream by channel").send(&stream("s", "CounterChannel", "[3,0]")).wait(4),
        Case::json("json: stream in another case").send(&stream("s", "cOUNTER", "[1,0]")).wait(2),
        Case::json("json: stream, cancelled").send(&endless).send(cancel).wait(1),
        Case::json("json: stream, cancelled twice").send(&endless).send(cancel).send(cancel).wait(1),
        Case::json("json: stream, id in use").send(&endless).send(&endless).wait(1),
        Case::json("json: stream, id used again")
            .send(&stream("s", "Counter", "[1,0]"))
            .wait(2)
            .send(&stream("s", "Counter", "[1,0]"))
            .wait(2),
        Case::json("json: stream fails later, hub")
            .send(&stream("s", "CounterThrow", r#"[2,"hub","gone"]"#))
            .wait(3),
        Case::json("json: stream fails later, other")
            .send(&stream("s", "CounterThrow", r#"[0,"other","gone"]"#))
            .wait(1),
        Case::json("json: stream without a stream method").send(&stream("s", "Echo", "[1]")),
        Case::json("json: stream, too few arguments").send(&stream("s", "Counter", "[1]")),
        Case::json("json: stream, wrong argument").send(&stream("s", "Counter", r#"["x",0]"#)),
        Case::json("json: stream, unknown method").send(&stream("s", "Nothing", "[]")),
        Case::json("json: call runs beside a stream").send(&endless).send(ECHO).wait(1).send(cancel).wait(1),
    ]
}

fn shapes() -> Vec<Case> {
    let deep = |levels: usize| {
        let value = "[".repeat(levels) + &"]".repeat(levels);
        format!(r#"{{"type":1,"invocationId":"1","target":"Echo","arguments":[{value}]}}"#)
    };
    let long = |length: usize| {
        let start = r#"{"type":1,"invocationId":"1","target":"Abort","arguments":["#;
        format!("{start}\"{}\"]}}", "x".repeat(length - start.len() - 5))
    };
    vec![
        Case::json("json: two calls in one message").text(&format!("{ECHO}\u{1e}{ECHO}\u{1e}")),
        Case::json("json: a call in three messages")
            .text(&ECHO[..20])
            .text(&ECHO[20..30])
            .text(&format!("{}\u{1e}", &ECHO[30..])),
        Case::json("json: a call in a binary message")
            .step(Step::Binary(format!("{ECHO}\u{1e}").into_bytes())),
        Case::json("json: white space around").text(&format!(" \r\n\t{ECHO} \n\u{1e}")),
        Case::json("json: an empty record").text("\u{1e}"),
        Case::json("json: bad UTF-8 in a text message").step(Step::Text(
            b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"\xff\"]}\x1e".to_vec(),
        )),
        Case::json("json: bad UTF-8 in a target").step(Step::Binary(
            b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Ec\xffho\",\"arguments\":[1]}\x1e".to_vec(),
        )),
        Case::json("json: 62 levels deep").send(&deep(62)),
        Case::json("json: 63 levels deep").send(&deep(63)),
        Case::json("json: as long as may be").send(&long(32_768)),
        Case::json("json: one byte too long").send(&long(32_769)),
        Case::json("json: far too long").text(&"x".repeat(100_000)),
        Case::json("json: a call, then one too long").text(&format!("{ECHO}\u{1e}{}", "x".repeat(40_000))),
        Case::json("json: an unmasked frame").step(Step::Raw(b"\x81\x0a{\"type\":6}".to_vec())),
    ]
}

/// Where we answer otherwise on purpose; each says why.
fn deviations() -> Vec<Case> {
    let answered = ["text {}", LAST_COMPLETION, "close 1000"];
    vec![
        Case::json("json: unknown message type")
            .send(r#"{"type":99,"x":1}"#)
            .stalls()
            .differs("types of the future are skipped; the reference reads nothing more after one", &answered),
        Case::json("json: item before its unknown id")
            .send(r#"{"type":2,"item":1,"invocationId":"nobody"}"#)
            .differs("the order of properties means nothing: as with the id first", &answered),
        Case::json("json: id null")
            .send(r#"{"type":1,"invocationId":null,"target":"Echo","arguments":[1]}"#)
            .differs("null for an optional text is as if it were absent", &answered),
        Case::json("json: trailing comma in arguments")
            .send(r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1,]}"#)
            .differs_in_detail(
                "broken JSON is a protocol error wherever it stands; the reference lets this one pass as a binding failure",
                &["text {}", r#"text {"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#, "close 1000"],
                &["text {}", r#"text {"type":7,"error":"Connection closed with an error. InvalidDataException: Error reading JSON.","allowReconnect":true}"#, "close 1000"],
            ),
    ]
}

const LAST_COMPLETION: &str = r#"text {"type":3,"invocationId":"the last call","result":"transcript"}"#;

const ECHO: &str = r#"{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}"#;

const RECORDS: &[(&str, &str)] = &[
    ("json: call", ECHO),
    ("json: call without an id", r#"{"type":1,"target":"Echo","arguments":["x"]}"#),
    ("json: call with an empty id", r#"{"type":1,"invocationId":"","target":"Echo","arguments":["x"]}"#),
    ("json: call without a result", r#"{"type":1,"invocationId":"1","target":"Join","arguments":["g"]}"#),
    ("json: call in another case", r#"{"type":1,"invocationId":"1","target":"eCHO","arguments":[1]}"#),
    (
        "json: call in another case, wrong count",
        r#"{"type":1,"invocationId":"1","target":"eCHO","arguments":[]}"#,
    ),
    ("json: target with escapes", r#"{"type":1,"invocationId":"1","target":"Ech\u006f","arguments":[]}"#),
    ("json: other order of properties", r#"{"arguments":["x"],"target":"Echo","invocationId":"1","type":1}"#),
    ("json: other order, wrong count", r#"{"arguments":[],"target":"Echo","invocationId":"1","type":1}"#),
    (
        "json: other order, unknown target",
        r#"{"arguments":[],"target":"Nothing","invocationId":"1","type":1}"#,
    ),
    (
        "json: unknown properties",
        r#"{"a":[{"b":1}],"type":1,"invocationId":"1","target":"Echo","c":null,"arguments":[1]}"#,
    ),
    (
        "json: property twice",
        r#"{"type":1,"invocationId":"1","invocationId":"2","target":"Nothing","target":"Echo","arguments":[1]}"#,
    ),
    ("json: headers", r#"{"type":1,"headers":{"a":"b"},"invocationId":"1","target":"Echo","arguments":[1]}"#),
    ("json: unknown method", r#"{"type":1,"invocationId":"1","target":"Nothing","arguments":[]}"#),
    ("json: unknown method, no id", r#"{"type":1,"target":"Nothing","arguments":[]}"#),
    (
        "json: unknown method to be escaped",
        r#"{"type":1,"invocationId":"1","target":"No'<\"\u00e9","arguments":[]}"#,
    ),
    (
        "json: life-cycle method",
        r#"{"type":1,"invocationId":"1","target":"OnConnectedAsync","arguments":[]}"#,
    ),
    ("json: method of every object", r#"{"type":1,"invocationId":"1","target":"ToString","arguments":[]}"#),
    ("json: too few arguments", r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[]}"#),
    ("json: too many arguments", r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1,2,3]}"#),
    ("json: wrong argument", r#"{"type":1,"invocationId":"1","target":"Burst","arguments":["m","x"]}"#),
    ("json: null for a number", r#"{"type":1,"invocationId":"1","target":"Burst","arguments":["m",null]}"#),
    (
        "json: a fraction for a whole number",
        r#"{"type":1,"invocationId":"1","target":"Burst","arguments":["m",1.5]}"#,
    ),
    ("json: a number in quotes", r#"{"type":1,"invocationId":"1","target":"Burst","arguments":["m","1"]}"#),
    ("json: number for a text", r#"{"type":1,"invocationId":"1","target":"Join","arguments":[1]}"#),
    ("json: wrong argument, no id", r#"{"type":1,"target":"Burst","arguments":["m","x"]}"#),
    ("json: broken arguments", r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[tru]}"#),
    (
        "json: lone surrogate in an argument",
        r#"{"type":1,"invocationId":"1","target":"Join","arguments":["\ud800"]}"#,
    ),
    (
        "json: lone surrogate in the target",
        r#"{"type":1,"invocationId":"1","target":"\ud800","arguments":[]}"#,
    ),
    (
        "json: streaming method called",
        r#"{"type":1,"invocationId":"1","target":"Counter","arguments":[1,0]}"#,
    ),
    ("json: streaming method called, no id", r#"{"type":1,"target":"Counter","arguments":[1,0]}"#),
    (
        "json: streams for a method without",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1],"streamIds":["a"]}"#,
    ),
    (
        "json: empty list of streams",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1],"streamIds":[]}"#,
    ),
    (
        "json: streams not a list",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1],"streamIds":"a"}"#,
    ),
    (
        "json: streams with null",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1],"streamIds":[null]}"#,
    ),
    (
        "json: streams with a number",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1],"streamIds":[1]}"#,
    ),
    ("json: arguments missing", r#"{"type":1,"invocationId":"1","target":"Echo"}"#),
    ("json: arguments not a list", r#"{"type":1,"invocationId":"1","target":"Echo","arguments":{}}"#),
    ("json: arguments null", r#"{"type":1,"invocationId":"1","target":"Echo","arguments":null}"#),
    ("json: target missing", r#"{"type":1,"invocationId":"1","arguments":[]}"#),
    ("json: target a number", r#"{"type":1,"invocationId":"1","target":1,"arguments":[]}"#),
    ("json: target empty", r#"{"type":1,"invocationId":"1","target":"","arguments":[]}"#),
    ("json: id a number", r#"{"type":1,"invocationId":1,"target":"Echo","arguments":[1]}"#),
    ("json: type missing", r#"{"invocationId":"1","target":"Echo","arguments":[1]}"#),
    ("json: type a text", r#"{"type":"1","invocationId":"1","target":"Echo","arguments":[1]}"#),
    ("json: type null", r#"{"type":null,"invocationId":"1","target":"Echo","arguments":[1]}"#),
    ("json: type 1.0", r#"{"type":1.0,"invocationId":"1","target":"Echo","arguments":[1]}"#),
    (
        "json: headers a text",
        r#"{"type":1,"headers":"a","invocationId":"1","target":"Echo","arguments":[1]}"#,
    ),
    (
        "json: header a number",
        r#"{"type":1,"headers":{"a":1},"invocationId":"1","target":"Echo","arguments":[1]}"#,
    ),
    ("json: a list", "[1]"),
    ("json: a text", r#""x""#),
    ("json: a number", "1"),
    ("json: null", "null"),
    ("json: malformed", r#"{"type":1,"#),
    ("json: not JSON", "hello"),
    ("json: comment", r#"{"type":6/*x*/}"#),
    ("json: stream call without an id", r#"{"type":4,"target":"Counter","arguments":[1,0]}"#),
    ("json: stream call without an id, wrong argument", r#"{"type":4,"target":"Counter","arguments":["x"]}"#),
    ("json: item of an unknown stream", r#"{"type":2,"invocationId":"nobody","item":1}"#),
    ("json: item without an item", r#"{"type":2,"invocationId":"nobody"}"#),
    ("json: item without an id", r#"{"type":2,"item":1}"#),
    ("json: completion of nothing", r#"{"type":3,"invocationId":"nobody","result":1}"#),
    ("json: completion with an error of nothing", r#"{"type":3,"invocationId":"nobody","error":"x"}"#),
    ("json: completion with both", r#"{"type":3,"invocationId":"nobody","error":"x","result":1}"#),
    ("json: completion without an id", r#"{"type":3,"result":1}"#),
    ("json: cancel of nothing", r#"{"type":5,"invocationId":"nobody"}"#),
    ("json: cancel without an id", r#"{"type":5}"#),
    ("json: ping", r#"{"type":6}"#),
    ("json: close", r#"{"type":7}"#),
    ("json: close with an error", r#"{"type":7,"error":"tired"}"#),
    ("json: close, allowReconnect a text", r#"{"type":7,"allowReconnect":"yes"}"#),
    ("json: ack", r#"{"type":8,"sequenceId":1}"#),
    ("json: ack without a number", r#"{"type":8}"#),
    ("json: sequence", r#"{"type":9,"sequenceId":1}"#),
    ("json: abort", r#"{"type":1,"invocationId":"1","target":"Abort","arguments":[]}"#),
    (
        "json: message before the completion",
        r#"{"type":1,"invocationId":"1","target":"SendCaller","arguments":["Hello","<x> \u00e9 \ud83d\ude00"]}"#,
    ),
    (
        "json: five messages before the completion",
        r#"{"type":1,"invocationId":"1","target":"Burst","arguments":["Count",5]}"#,
    ),
    (
        "json: send to nobody",
        r#"{"type":1,"invocationId":"1","target":"SendClient","arguments":["nobody","m","x"]}"#,
    ),
    (
        "json: send to an empty group",
        r#"{"type":1,"invocationId":"1","target":"SendGroup","arguments":["","m","x"]}"#,
    ),
    (
        "json: send to groups, one empty",
        r#"{"type":1,"invocationId":"1","target":"SendGroups","arguments":[["a",""],"m","x"]}"#,
    ),
    (
        "json: leave a group without joining",
        r#"{"type":1,"invocationId":"1","target":"Leave","arguments":["g"]}"#,
    ),
    ("json: echo of null", r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[null]}"#),
    (
        "json: echo of an object",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[{"b":1,"A":[true,null,"x"]}]}"#,
    ),
    (
        "json: echo of numbers",
        r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[[0,-1,1.5,9007199254740993,18446744073709551615]]}"#,
    ),
    ("json: everything made", r#"{"type":1,"invocationId":"1","target":"MakeEverything","arguments":[]}"#),
    ("json: everything sent", r#"{"type":1,"invocationId":"1","target":"SendEverything","arguments":["m"]}"#),
    (
        "json: everything null",
        r#"{"type":1,"invocationId":"1","target":"EchoEverything","arguments":[null]}"#,
    ),
    ("json: everything empty", r#"{"type":1,"invocationId":"1","target":"EchoEverything","arguments":[{}]}"#),
    (
        "json: everything in part",
        r#"{"type":1,"invocationId":"1","target":"EchoEverything","arguments":[{"flag":true,"TEXT":"t","bytes":"AAH+/w==","when":"2001-02-03T04:05:06.7Z","whenOffset":"2001-02-03T04:05:06+01:30","span":"1.02:03:04.005","id":"00010203-0405-0607-0706-050403020100","colour":2,"money":1.50,"letter":"y","nested":[[1]],"map":{"K":1},"branch":{"name":"n","leaves":null}}]}"#,
    ),
    (
        "json: everything with a wrong member",
        r#"{"type":1,"invocationId":"1","target":"EchoEverything","arguments":[{"number":"x"}]}"#,
    ),
];
