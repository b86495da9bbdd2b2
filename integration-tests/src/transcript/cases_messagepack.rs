//! Calls, streams, and every way to get them wrong, in MessagePack.

use serde_json::json;

use super::{Case, Step, framed};

pub(super) fn cases() -> Vec<Case> {
    let mut all = calls();
    all.extend(streams());
    all.extend(broken());
    all.extend(values());
    all
}

fn calls() -> Vec<Case> {
    vec![
        Case::pack("pack: call").message(json!([1, {}, "1", "Echo", ["x"], []])),
        Case::pack("pack: call of five items").message(json!([1, {}, "1", "Echo", ["x"]])),
        Case::pack("pack: call without an id").message(json!([1, {}, null, "Echo", ["x"], []])),
        Case::pack("pack: call with an empty id").message(json!([1, {}, "", "Echo", ["x"], []])),
        Case::pack("pack: call without a result").message(json!([1, {}, "1", "Join", ["g"], []])),
        Case::pack("pack: call in another case, wrong count").message(json!([1, {}, "1", "eCHO", [], []])),
        Case::pack("pack: call with headers").message(json!([1, {"a": "b"}, "1", "Echo", ["x"], []])),
        Case::pack("pack: unknown method").message(json!([1, {}, "1", "Nothing", [], []])),
        Case::pack("pack: unknown method, no id").message(json!([1, {}, null, "Nothing", [], []])),
        Case::pack("pack: too few arguments").message(json!([1, {}, "1", "Echo", [], []])),
        Case::pack("pack: too many arguments").message(json!([1, {}, "1", "Echo", [1, 2, 3], []])),
        Case::pack("pack: wrong argument").message(json!([1, {}, "1", "Burst", ["m", "x"], []])),
        Case::pack("pack: nil for a number").message(json!([1, {}, "1", "Burst", ["m", null], []])),
        Case::pack("pack: fraction for a whole number").message(json!([1, {}, "1", "Burst", ["m", 1.5], []])),
        Case::pack("pack: number for a text").message(json!([1, {}, "1", "Join", [1], []])),
        Case::pack("pack: arguments not a list").message(json!([1, {}, "1", "Echo", "x", []])),
        Case::pack("pack: streams for a method without").message(json!([1, {}, "1", "Echo", [1], ["a"]])),
        Case::pack("pack: streaming method called").message(json!([1, {}, "1", "Counter", [1, 0], []])),
        Case::pack("pack: error hub").message(json!([1, {}, "1", "Throw", ["hub", "a text"], []])),
        Case::pack("pack: error other").message(json!([1, {}, "1", "Throw", ["other", "a text"], []])),
        Case::pack("pack: abort").message(json!([1, {}, "1", "Abort", [], []])),
        Case::pack("pack: message before the completion").message(json!([
            1,
            {},
            "1",
            "SendCaller",
            ["Hello", "\u{e9}"],
            []
        ])),
        Case::pack("pack: send to groups, one empty").message(json!([
            1,
            {},
            "1",
            "SendGroups",
            [["a", ""], "m", "x"],
            []
        ])),
        Case::pack("pack: two calls in one message").step(Step::Binary({
            let one = framed(&rmp_serde::to_vec(&json!([1, {}, "1", "Echo", ["x"], []])).unwrap_or_default());
            [one.clone(), one].concat()
        })),
        Case::pack("pack: a call in two messages").step(Step::Binary(vec![0x10])).step(Step::Binary(
            rmp_serde::to_vec(&json!([1, {}, "1", "Echo", ["1234"], []])).unwrap_or_default(),
        )),
    ]
}

fn streams() -> Vec<Case> {
    let endless = json!([4, {}, "s", "Counter", [5, 3600000], []]);
    let cancel = json!([5, {}, "s"]);
    vec![
        Case::pack("pack: stream of three").message(json!([4, {}, "s", "Counter", [3, 0], []])).wait(4),
        Case::pack("pack: stream, cancelled").message(endless.clone()).message(cancel).wait(1),
        Case::pack("pack: stream, id in use").message(endless.clone()).message(endless).wait(1),
        Case::pack("pack: stream fails later")
            .message(json!([4, {}, "s", "CounterThrow", [1, "hub", "x"], []]))
            .wait(2),
        Case::pack("pack: stream without a stream method").message(json!([4, {}, "s", "Echo", [1], []])),
        Case::pack("pack: stream in another case, wrong count").message(json!([
            4,
            {},
            "s",
            "cOUNTER",
            [1],
            []
        ])),
        Case::pack("pack: stream, unknown method").message(json!([4, {}, "s", "Nothing", [], []])),
        Case::pack("pack: stream call without an id").message(json!([4, {}, null, "Counter", [1, 0], []])),
        Case::pack("pack: item of an unknown stream").message(json!([2, {}, "nobody", 1])),
        Case::pack("pack: completion of nothing").message(json!([3, {}, "nobody", 3, 1])),
        Case::pack("pack: completion of an unknown kind").message(json!([3, {}, "nobody", 4, 1])),
        Case::pack("pack: cancel of nothing").message(json!([5, {}, "nobody"])),
        Case::pack("pack: cancel without an id").message(json!([5, {}, null])),
        Case::pack("pack: ping").message(json!([6])),
        Case::pack("pack: close").message(json!([7, null, true])),
        Case::pack("pack: close of two items").message(json!([7, "tired"])),
        Case::pack("pack: ack").message(json!([8, 1])),
        Case::pack("pack: sequence").message(json!([9, 1])),
    ]
}

fn broken() -> Vec<Case> {
    vec![
        Case::pack("pack: unknown message type").message(json!([99, 1])).stalls().differs(
            "types of the future are skipped; the reference reads nothing more after one",
            &[
                "binary 7b7d1e",
                "binary 1d950380ad746865206c6173742063616c6c03aa7472616e736372697074",
                "close 1000",
            ],
        ),
        Case::pack("pack: type a text").message(json!(["1", {}, "1", "Echo", [1], []])),
        Case::pack("pack: headers a list").message(json!([1, [], "1", "Echo", [1], []])),
        Case::pack("pack: header a number").message(json!([1, {"a": 1}, "1", "Echo", [1], []])),
        Case::pack("pack: id a number").message(json!([1, {}, 1, "Echo", [1], []])),
        Case::pack("pack: target a number").message(json!([1, {}, "1", 1, [1], []])),
        Case::pack("pack: target nil").message(json!([1, {}, "1", null, [1], []])),
        Case::pack("pack: target empty").message(json!([1, {}, "1", "", [1], []])),
        Case::pack("pack: streams a number").message(json!([1, {}, "1", "Echo", [1], 1])),
        Case::pack("pack: a map").message(json!({"type": 6})),
        Case::pack("pack: a number").body(&[1]),
        Case::pack("pack: an empty body").body(&[]),
        Case::pack("pack: a reserved byte").body(&[0xc1]),
        Case::pack("pack: an array of nothing").body(&[0x90]),
        Case::pack("pack: an array that ends early").body(&[0x96, 1, 0x80]),
        Case::pack("pack: more announced than there is").body(&[0xdd, 0xff, 0xff, 0xff, 0xff, 6]),
        Case::pack("pack: a length of six bytes").step(Step::Binary(vec![0xff; 8])),
        Case::pack("pack: a length above the limit")
            .step(Step::Binary(vec![0xff, 0xff, 0xff, 0x7f, 0x91]))
            .stalls(),
        Case::pack("pack: far too long").step(Step::Binary(framed(&vec![0x91; 40_000]))),
        Case::pack("pack: bytes after the array").body(&[0x91, 6, 1, 2, 3]),
        Case::pack("pack: JSON").text("{\"type\":6}\u{1e}").stalls(),
    ]
}

fn values() -> Vec<Case> {
    vec![
        Case::pack("pack: echo of nil").message(json!([1, {}, "1", "Echo", [null], []])),
        Case::pack("pack: echo of a text").message(json!([1, {}, "1", "Echo", ["na\u{ef}ve \u{1f600}"], []])),
        Case::pack("pack: everything made")
            .message(json!([1, {}, "1", "MakeEverything", [], []]))
            .replaces(SHORTEST, &[("95d200000001", "9501"), ("binary 9503950380", "binary 9103950380")]),
        Case::pack("pack: everything sent")
            .message(json!([1, {}, "1", "SendEverything", ["m"], []]))
            .replaces(SHORTEST, &[("95d200000001", "9501"), ("binary 9703960180", "binary 9303960180")]),
        Case::pack("pack: everything null").message(json!([1, {}, "1", "EchoEverything", [null], []])),
        Case::pack("pack: everything empty").message(json!([1, {}, "1", "EchoEverything", [{}], []])),
    ]
}

const SHORTEST: &str =
    "integers are as short as can be everywhere; the reference keeps their .NET type in lists of `object`";
