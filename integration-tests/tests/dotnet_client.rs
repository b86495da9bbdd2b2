//! The real .NET client drives our server over WebSockets, in both protocols.
//!
//! Needs the reference's program (`SIGNALR_DOTNET_PEER`). With `SIGNALR_PEER_BIN` naming the reference as well, the same
//! tests show that they ask for what the reference does.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use signalr_integration_tests::dotnet::{self, DotnetClient};
use signalr_integration_tests::http;
use signalr_integration_tests::relay::Relay;
use signalr_integration_tests::server::Server;

const PROTOCOLS: [&str; 2] = ["json", "messagepack"];

/// A server, the client program, and how many fences were sent.
struct Field {
    server: Server,
    client: DotnetClient,
    protocol: &'static str,
    fences: u32,
}

impl Field {
    async fn new(protocol: &'static str, flags: &[&str]) -> Result<Option<Self>> {
        let Some(program) = dotnet::find("dotnet-client")? else { return Ok(None) };
        let server = Server::start(flags).await?;
        let client = DotnetClient::start(&program)?;
        Ok(Some(Self { server, client, protocol, fences: 0 }))
    }

    /// Opens a connection to ScaleHub that listens to `M`; gives its id.
    async fn connect(&mut self, conn: &str, query: &str) -> Result<String> {
        let url = self.server.url(&format!("/scale{query}"));
        let listens = json!({ "on": [{ "method": "M", "argc": 1 }] });
        self.client.connect(conn, &url, self.protocol, listens).await
    }

    /// Which of the connections have got this text since the last time; everything before a fence that each gets.
    async fn who_got(&mut self, text: &str, conns: &[&str]) -> Result<BTreeSet<String>> {
        self.fences += 1;
        let fence = format!("fence {}", self.fences);
        let mut got = BTreeSet::new();
        for conn in conns {
            self.client.invoke(conn, "SendCaller", json!(["M", fence])).await?;
            loop {
                let args = self.client.message(conn, "M").await?;
                if args[0] == fence {
                    break;
                }
                ensure!(args[0] == text, "{conn} got {args} instead of {text}");
                ensure!(got.insert((*conn).to_owned()), "{conn} got {text} twice");
            }
        }
        Ok(got)
    }

    async fn end(self) -> Result<()> {
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
        self.client.end().await?;
        self.server.stop().await
    }
}

/// Runs a test in both protocols.
macro_rules! in_both_protocols {
    ($name:ident, $flags:expr, $field:ident, $body:block) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            for protocol in PROTOCOLS {
                let Some(mut $field) = Field::new(protocol, $flags).await? else { return Ok(()) };
                $body
                $field.end().await.context(protocol)?;
            }
            Ok(())
        }
    };
}

in_both_protocols!(calls_are_answered, &[], field, {
    let id = field.connect("a", "?user=ada").await?;
    let mut ask = async |method, args| field.client.invoke("a", method, args).await;
    assert_eq!(ask("GetConnectionId", json!([])).await?, json!(id));
    assert_eq!(ask("GetUserIdentifier", json!([])).await?, json!("ada"));
    assert_eq!(ask("GetActiveTransportName", json!([])).await?, json!("WebSockets"));
    assert_eq!(ask("Join", json!(["g"])).await?, Value::Null);
    for value in [
        json!(null),
        json!(true),
        json!("na\u{ef}ve \u{1f600} <&'\">"),
        json!(1.5),
        json!(-3),
        json!([1, "x", null]),
    ] {
        assert_eq!(ask("Echo", json!([value])).await?, value);
    }
    assert_eq!(ask("eCHO", json!(["any case"])).await?, json!("any case"));
});

in_both_protocols!(everything_survives_the_way_there_and_back, &["--max-receive", "0"], field, {
    field.connect("a", "").await?;
    let made = field.client.invoke("a", "MakeEverything", json!([])).await?;
    assert_eq!(made.as_object().map(|members| members.len()), Some(24));
    let echoed = field.client.invoke("a", "EchoEverything", json!([made])).await?;
    assert_eq!(echoed, made);
    field.client.invoke("a", "SendEverything", json!(["M"])).await?;
    assert_eq!(field.client.message("a", "M").await?, json!([made]));
    let long = "x".repeat(300_000);
    assert_eq!(field.client.invoke("a", "Echo", json!([long])).await?, json!(long));
});

in_both_protocols!(hub_methods_reach_exactly_their_targets, &[], field, {
    let all = ["a", "b", "c"];
    let mut ids = Vec::new();
    for (conn, user) in all.into_iter().zip(["u", "u", "v"]) {
        ids.push(field.connect(conn, &format!("?user={user}")).await?);
    }
    for conn in ["a", "b"] {
        field.client.invoke(conn, "Join", json!(["g"])).await?;
    }
    field.client.invoke("a", "AddToGroup", json!([ids[2], "h"])).await?;
    let sends: &[(&str, Value, &[&str])] = &[
        ("SendAll", json!([]), &["a", "b", "c"]),
        ("SendCaller", json!([]), &["a"]),
        ("SendOthers", json!([]), &["b", "c"]),
        ("SendAllExcept", json!([[ids[1]]]), &["a", "c"]),
        ("SendClient", json!([ids[2]]), &["c"]),
        ("SendClient", json!(["nobody"]), &[]),
        ("SendClients", json!([[ids[0], ids[2], "nobody"]]), &["a", "c"]),
        ("SendGroup", json!(["g"]), &["a", "b"]),
        ("SendGroup", json!(["G"]), &[]),
        ("SendGroups", json!([["g", "h"]]), &["a", "b", "c"]),
        ("SendGroupExcept", json!(["g", [ids[0]]]), &["b"]),
        ("SendOthersInGroup", json!(["g"]), &["b"]),
        ("SendUser", json!(["u"]), &["a", "b"]),
        ("SendUsers", json!([["u", "v"]]), &["a", "b", "c"]),
    ];
    for (number, (method, targets, receivers)) in sends.iter().enumerate() {
        let text = format!("{number} {method}");
        let mut args = targets.clone();
        args.as_array_mut().context("a list")?.extend([json!("M"), json!(text)]);
        field.client.invoke("a", method, args).await.context(text.clone())?;
        let got = field.who_got(&text, &all).await?;
        assert_eq!(got, receivers.iter().map(ToString::to_string).collect(), "{text}");
    }
    field.client.invoke("b", "Leave", json!(["g"])).await?;
    field.client.invoke("a", "RemoveFromGroup", json!([ids[2], "h"])).await?;
    field.client.invoke("a", "SendGroups", json!([["g", "h"], "M", "left"])).await?;
    assert_eq!(field.who_got("left", &all).await?, ["a".to_owned()].into());
});

in_both_protocols!(sends_from_outside_reach_exactly_their_targets, &[], field, {
    let all = ["a", "b", "c"];
    let mut ids = Vec::new();
    for (conn, user) in all.into_iter().zip(["u", "u", "v"]) {
        ids.push(field.connect(conn, &format!("?user={user}")).await?);
    }
    for id in &ids[..2] {
        let add = json!({ "action": "add", "connectionId": id, "group": "g" });
        assert_eq!(http::control(field.server.port(), "group", &add).await?, json!({ "ok": true }));
    }
    let sends: &[(&str, Value, &[&str])] = &[
        ("all", json!({}), &["a", "b", "c"]),
        ("allExcept", json!({ "except": [ids[0]] }), &["b", "c"]),
        ("client", json!({ "ids": [ids[1]] }), &["b"]),
        ("clients", json!({ "ids": [ids[1], ids[2]] }), &["b", "c"]),
        ("group", json!({ "ids": ["g"] }), &["a", "b"]),
        ("groups", json!({ "ids": ["g", "none"] }), &["a", "b"]),
        ("groupExcept", json!({ "ids": ["g"], "except": [ids[1]] }), &["a"]),
        ("user", json!({ "ids": ["v"] }), &["c"]),
        ("users", json!({ "ids": ["u", "v"] }), &["a", "b", "c"]),
    ];
    for (target, fields, receivers) in sends {
        let mut body = fields.clone();
        body["target"] = json!(target);
        body["method"] = json!("M");
        body["args"] = json!([target]);
        assert_eq!(
            http::control(field.server.port(), "send", &body).await?,
            json!({ "ok": true }),
            "{target}"
        );
        let got = field.who_got(target, &all).await?;
        assert_eq!(got, receivers.iter().map(ToString::to_string).collect(), "{target}");
    }
    let info = http::info(field.server.port()).await?;
    assert_eq!(info["connections"], 3);
});

in_both_protocols!(messages_keep_their_order, &[], field, {
    field.connect("a", "").await?;
    field.client.invoke("a", "Burst", json!(["M", 500])).await?;
    for number in 0..500 {
        assert_eq!(field.client.message("a", "M").await?, json!([number]));
    }
});

in_both_protocols!(streams_yield_end_fail_and_are_cancelled, &[], field, {
    field.connect("a", "").await?;
    for method in ["Counter", "CounterChannel"] {
        let (items, end) = field.client.stream("a", method, json!([4, 1])).await?;
        assert_eq!((json!(items), end.as_str()), (json!([0, 1, 2, 3]), "complete"));
    }
    let (items, end) = field.client.stream("a", "CounterThrow", json!([2, "hub", "no more"])).await?;
    assert_eq!(json!(items), json!([0, 1]));
    assert_eq!(end, "An error occurred on the server while streaming results. HubException: no more");
    let (items, end) = field.client.stream("a", "CounterThrow", json!([0, "other", "secret"])).await?;
    assert_eq!((items.len(), end.as_str()), (0, "An error occurred on the server while streaming results."));

    let endless = json!({ "conn": "a", "method": "Counter", "args": [1_000_000, 1] });
    let stream = field.client.begin("stream", endless).await?;
    field.client.reply(stream).await?;
    for number in 0..3 {
        assert_eq!(field.client.stream_event(stream).await?["value"], number);
    }
    // A call runs beside the stream.
    assert_eq!(field.client.invoke("a", "Echo", json!(["beside"])).await?, json!("beside"));
    field.client.ask("cancel", json!({ "stream": stream })).await?;
    let last = loop {
        let event = field.client.stream_event(stream).await?;
        if event["event"] != "item" {
            break event;
        }
    };
    assert!(last["event"] == "error" || last["event"] == "complete", "{last}");
    assert_eq!(field.client.invoke("a", "Echo", json!(["after"])).await?, json!("after"));
});

in_both_protocols!(streams_of_the_client_are_read, &[], field, {
    field.connect("a", "").await?;
    let upload = |method: &str, streams: Value, way: &str| json!({ "conn": "a", "method": method, "args": [], "streams": streams, "as": way });
    let numbers: Vec<u32> = (1..=100).collect();
    let sum = field.client.ask("upload", upload("Sum", json!([numbers]), "invoke")).await?;
    assert_eq!(sum, 5050);
    // The client library loses streams after the first one that ends; the longest comes first for that reason.
    let text =
        field.client.ask("upload", upload("Concat", json!([["a", "b", "c"], ["d"]]), "invoke")).await?;
    assert_eq!(text, "abcd");

    let broken = upload("Sum", json!([[1, { "$error": "out of ink" }]]), "invoke");
    let error = field.client.ask("upload", broken).await.unwrap_err().to_string();
    let failed = "An unexpected error occurred invoking 'Sum' on the server. HubException: ";
    assert!(error.contains(failed) && error.contains("out of ink"), "{error}");
    let wrong =
        field.client.ask("upload", upload("Sum", json!([["text"]]), "invoke")).await.unwrap_err().to_string();
    assert!(wrong.contains(&format!("{failed}Failed to bind Stream message.")), "{wrong}");

    let relay = field.client.begin("upload", upload("Relay", json!([numbers]), "stream")).await?;
    field.client.reply(relay).await?;
    for number in numbers {
        assert_eq!(field.client.stream_event(relay).await?["value"], number);
    }
    assert_eq!(field.client.stream_event(relay).await?["event"], "complete");
    field.client.ask("upload", upload("Sum", json!([[1, 2]]), "send")).await?;
    assert_eq!(field.client.invoke("a", "Echo", json!(["after"])).await?, json!("after"));
});

in_both_protocols!(errors_say_as_much_as_they_may, &[], field, {
    field.connect("a", "").await?;
    let failed = "An unexpected error occurred invoking";
    let not_invoked = "Failed to invoke";
    let server = "due to an error on the server.";
    let cases = [
        ("Throw", json!(["hub", "for you"]), format!("HubException: {failed} 'Throw' on the server. HubException: for you")),
        ("Throw", json!(["derived", "for you"]), format!("HubException: {failed} 'Throw' on the server. DerivedHubException: for you")),
        ("Throw", json!(["other", "secret"]), format!("HubException: {failed} 'Throw' on the server.")),
        ("ThrowLater", json!(["argument", "secret"]), format!("HubException: {failed} 'ThrowLater' on the server.")),
        ("Nothing", json!([]), format!("HubException: {not_invoked} 'Nothing' {server} HubException: Method does not exist.")),
        ("Burst", json!(["M"]), format!("HubException: {not_invoked} 'Burst' {server}")),
        ("Burst", json!(["M", "x"]), format!("HubException: {not_invoked} 'Burst' {server}")),
        (
            "Counter",
            json!([1, 0]),
            "HubException: The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation.".to_owned(),
        ),
    ];
    for (method, args, text) in cases {
        assert_eq!(field.client.refused("a", method, args).await?, text);
    }
    assert_eq!(field.client.invoke("a", "Echo", json!(["alive"])).await?, json!("alive"));
});

in_both_protocols!(details_are_shown_when_asked_for, &["--detailed-errors"], field, {
    field.connect("a", "").await?;
    let text = field.client.refused("a", "Throw", json!(["argument", "shown"])).await?;
    assert_eq!(
        text,
        "HubException: An unexpected error occurred invoking 'Throw' on the server. ArgumentException: shown"
    );
    let text = field.client.refused("a", "Burst", json!(["M"])).await?;
    let detail = "InvalidDataException: Invocation provides 1 argument(s) but target expects 2.";
    assert_eq!(
        text,
        format!("HubException: Failed to invoke 'Burst' due to an error on the server. {detail}")
    );
});

in_both_protocols!(clients_answer_questions, &[], field, {
    field.connect("a", "").await?;
    let url = field.server.url("/scale");
    let answers = json!({ "respond": [
        { "method": "Int", "argc": 1, "result": 42 },
        { "method": "Text", "argc": 1, "result": "yes" },
        { "method": "No", "argc": 1, "throw": "not today" },
    ] });
    let b = field.client.connect("b", &url, field.protocol, answers).await?;
    assert_eq!(field.client.invoke("a", "AskClient", json!([b, "Int", "?"])).await?, json!(42));
    assert_eq!(field.client.invoke("b", "AskClientText", json!([b, "Text", "?"])).await?, json!("yes"));
    let text = field.client.refused("a", "AskClient", json!([b, "No", "?"])).await?;
    assert!(text.contains("HubException: not today"), "{text}");
    let body = json!({ "connectionId": b, "method": "Int", "args": ["?"], "type": "int" });
    assert_eq!(http::control(field.server.port(), "invoke", &body).await?, json!({ "result": 42 }));
});

in_both_protocols!(abort_closes_for_good, &[], field, {
    let url = field.server.url("/scale");
    field.client.connect("a", &url, field.protocol, json!({ "autoReconnect": [0, 0, 0] })).await?;
    field.client.ask("send", json!({ "conn": "a", "method": "Abort", "args": [] })).await?;
    assert_eq!(field.client.event("closed", "a").await?["error"], Value::Null);
    assert_eq!(field.client.ask("state", json!({ "conn": "a" })).await?, json!("Disconnected"));
});

in_both_protocols!(tokens_open_what_is_closed, &[], field, {
    let token = http::request(field.server.port(), "GET", "/generateJwtToken/ada", "").await?;
    let token = String::from_utf8(token.body)?;
    for path in ["/authorizedhub", "/authorizedhub2"] {
        let url = field.server.url(path);
        let refused = field.client.connect("x", &url, field.protocol, json!({})).await;
        let text = refused.err().context("it should be closed")?.to_string();
        assert!(text.contains("401"), "{text}");
        field.client.connect(path, &url, field.protocol, json!({ "accessToken": token })).await?;
        assert_eq!(field.client.invoke(path, "Echo", json!(["in"])).await?, json!("in"));
    }
    let url = field.server.url("/scale");
    field.client.connect("s", &url, field.protocol, json!({ "accessToken": token })).await?;
    assert_eq!(field.client.invoke("s", "GetUserIdentifier", json!([])).await?, json!("ada"));
});

in_both_protocols!(many_connections_live_side_by_side, &[], field, {
    let conns: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    for conn in &conns {
        field.connect(conn, "").await?;
    }
    http::control(field.server.port(), "send", &json!({ "target": "all", "method": "M", "args": ["x"] }))
        .await?;
    for conn in &conns {
        assert_eq!(field.client.message(conn, "M").await?, json!(["x"]));
    }
});

in_both_protocols!(the_hubs_of_the_suites_answer, &[], field, {
    let url = |path: &str| field.server.url(path);
    for path in ["/default", "/dynamic", "/hubT"] {
        let listens = json!({ "on": [{ "method": "Echo", "argc": 1 }] });
        let id = field.client.connect(path, &url(path), field.protocol, listens).await?;
        let mut ask = async |method, args| field.client.invoke(path, method, args).await;
        assert_eq!(ask("HelloWorld", json!([])).await?, json!("Hello World!"));
        assert_eq!(ask("Echo", json!([null])).await?, Value::Null);
        assert_eq!(ask("GetCallerConnectionId", json!([])).await?, json!(id));
        ask("CallEcho", json!(["back"])).await?;
        ask("CallHandlerThatDoesntExist", json!([])).await?;
        assert_eq!(field.client.message(path, "Echo").await?, json!(["back"]));
        let (items, end) = field.client.stream(path, "Stream", json!([3])).await?;
        assert_eq!((json!(items), end.as_str()), (json!([0, 1, 2]), "complete"));
        let failed = "An unexpected error occurred invoking";
        let text = field.client.refused(path, "InvokeException", json!([])).await?;
        let detail = "InvalidOperationException: Error occurred while invoking.";
        assert_eq!(text, format!("HubException: {failed} 'InvokeException' on the server. {detail}"));
        let (_, end) = field.client.stream(path, "StreamException", json!([])).await?;
        let detail = "InvalidOperationException: Error occurred while streaming.";
        assert_eq!(end, format!("{failed} 'StreamException' on the server. {detail}"));
    }
});

in_both_protocols!(the_request_is_seen_by_hubs, &[], field, {
    let with = json!({ "headers": { "X-One": "1", "Super-Insecure-UserName": "eve" } });
    field.client.connect("d", &field.server.url("/default?q=1"), field.protocol, with).await?;
    let mut ask = async |method, args| field.client.invoke("d", method, args).await;
    assert_eq!(ask("GetHeaderValues", json!([["x-one", "X-Two"]])).await?, json!(["1", null]));
    assert_eq!(ask("GetUserIdentifier", json!([])).await?, json!("eve"));
    assert_eq!(ask("GetCookieValue", json!(["testCookie"])).await?, json!("testValue"));
    assert_eq!(ask("GetHttpProtocol", json!([])).await?, json!("HTTP/1.1"));
    let addresses = ask("GetIHttpConnectionFeatureProperties", json!([])).await?;
    assert_eq!(addresses[0], field.server.port());
    assert_eq!([&addresses[2], &addresses[3]], ["127.0.0.1", "127.0.0.1"]);
});

in_both_protocols!(a_result_that_cannot_be_written_ends_the_connection, &[], field, {
    field.client.connect("d", &field.server.url("/default"), field.protocol, json!({})).await?;
    let ask = json!({ "conn": "d", "method": "GetUnserializableObject", "args": [] });
    field.client.begin("invoke", ask).await?;
    let error = field.client.event("closed", "d").await?["error"].clone();
    assert!(error.to_string().contains("Connection closed with an error."), "{error}");
});

in_both_protocols!(the_typescript_hub_answers, &[], field, {
    let listens = json!({ "on": [
        { "method": "Message", "argc": 1 }, { "method": "CustomObject", "argc": 1 }, { "method": "StreamCanceled", "argc": 0 },
    ] });
    field.client.connect("t", &field.server.url("/testhub?numRedirects=3"), field.protocol, listens).await?;
    let mut ask = async |method, args| field.client.invoke("t", method, args).await;
    assert_eq!(ask("GetNumRedirects", json!([])).await?, json!(3));
    let complex = ask("SendComplexObject", json!([])).await?;
    assert_eq!(complex["String"], "hello world");
    assert_eq!(complex["IntArray"], json!([1, 2, 3]));
    assert_eq!(ask("EchoComplexObject", json!([complex])).await?, complex);
    assert_eq!(ask("EchoComplexObject", json!([null])).await?, Value::Null);
    ask("InvokeWithString", json!(["hi"])).await?;
    ask("SendCustomObject", json!([{ "Name": "n", "Value": 1 }])).await?;
    assert_eq!(field.client.message("t", "Message").await?, json!(["hi"]));
    assert_eq!(field.client.message("t", "CustomObject").await?, json!([{ "Name": "n", "Value": 1 }]));
    let (items, end) = field.client.stream("t", "Stream", json!([])).await?;
    assert_eq!((json!(items), end.as_str()), (json!(["a", "b", "c"]), "complete"));
    let (items, end) = field.client.stream("t", "EmptyStream", json!([])).await?;
    assert_eq!((items.len(), end.as_str()), (0, "complete"));
    let endless = json!({ "conn": "t", "method": "InfiniteStream", "args": [] });
    let stream = field.client.begin("stream", endless).await?;
    field.client.reply(stream).await?;
    field.client.invoke("t", "Echo", json!(["the stream runs"])).await?;
    field.client.ask("cancel", json!({ "stream": stream })).await?;
    assert_eq!(field.client.message("t", "StreamCanceled").await?, json!([]));
});

in_both_protocols!(a_hub_that_cannot_be_made_says_so, &[], field, {
    field.client.connect("u", &field.server.url("/uncreatable"), field.protocol, json!({})).await?;
    let error = field.client.event("closed", "u").await?["error"]["message"].clone();
    let detail = "InvalidOperationException: Unable to resolve service for type 'System.Object' while attempting to activate 'Peer.UncreatableHub'.";
    assert_eq!(
        error,
        format!(
            "The server closed the connection with the following error: Connection closed with an error. {detail}"
        )
    );
});

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_back_after_a_restart() -> Result<()> {
    for protocol in PROTOCOLS {
        let Some(mut field) = Field::new(protocol, &[]).await? else { return Ok(()) };
        let delays: Vec<u32> = vec![50; 200];
        let more = json!({ "autoReconnect": delays, "on": [{ "method": "M", "argc": 1 }] });
        let url = field.server.url("/scale");
        let before = field.client.connect("a", &url, protocol, more).await?;
        let port = field.server.port();
        field.server.kill().await?;
        field.client.event("reconnecting", "a").await?;
        field.server = Server::start_on(port, &[]).await?;
        let after = field.client.event("reconnected", "a").await?["connectionId"].clone();
        assert_ne!(after, json!(before));
        assert_eq!(field.client.invoke("a", "GetConnectionId", json!([])).await?, after);
        http::control(port, "send", &json!({ "target": "all", "method": "M", "args": ["again"] })).await?;
        assert_eq!(field.client.message("a", "M").await?, json!(["again"]));
        field.end().await.context(protocol)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_lets_clients_come_back() -> Result<()> {
    let Some(mut field) = Field::new("json", &[]).await? else { return Ok(()) };
    let url = field.server.url("/scale");
    let delays: Vec<u32> = vec![50; 200];
    field.client.connect("a", &url, "json", json!({ "autoReconnect": delays })).await?;
    let port = field.server.port();
    field.server.stop().await?;
    field.client.event("reconnecting", "a").await?;
    field.server = Server::start_on(port, &[]).await?;
    field.client.event("reconnected", "a").await?;
    field.end().await
}

in_both_protocols!(a_cut_socket_is_replaced_and_nobody_notices, &["--stateful", "--parallel", "4"], field, {
    const ROUNDS: usize = 60;
    let relay = Relay::start(field.server.port()).await?;
    let more = json!({
        "statefulReconnect": true,
        "on": [{ "method": "M", "argc": 1 }],
        "respond": [{ "method": "Number", "argc": 1, "result": 42 }],
    });
    let url = format!("http://{}/scale", relay.address());
    let id = field.client.connect("a", &url, field.protocol, more).await?;
    let other = field.connect("b", "").await?;
    let client = &mut field.client;
    client.invoke("a", "Join", json!(["g"])).await?;
    let counter = json!({ "conn": "a", "method": "Counter", "args": [ROUNDS, 5] });
    let stream = client.begin("stream", counter).await?;
    client.reply(stream).await?;
    let mut calls = Vec::new();
    for n in 0..ROUNDS {
        if n % 12 == 6 {
            relay.cut_all();
        }
        let call = json!({ "conn": "a", "method": "Echo", "args": [n] });
        calls.push(client.begin("invoke", call).await?);
        let up = json!({ "conn": "a", "method": "SendClient", "args": [other, "M", format!("up {n}")] });
        client.ask("send", up).await?;
        let text = format!("down {n}");
        match n % 3 {
            0 => client.invoke("b", "SendClient", json!([id, "M", text])).await?,
            1 => client.invoke("b", "SendGroup", json!(["g", "M", text])).await?,
            _ => client.invoke("b", "SendOthers", json!(["M", text])).await?,
        };
        if n % 10 == 7 {
            assert_eq!(client.invoke("b", "AskClient", json!([id, "Number", text])).await?, json!(42));
        }
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(client.reply(call).await?, json!(n));
    }
    for n in 0..ROUNDS {
        assert_eq!(client.message("a", "M").await?, json!([format!("down {n}")]));
        assert_eq!(client.message("b", "M").await?, json!([format!("up {n}")]));
        assert_eq!(client.stream_event(stream).await?["value"], n);
    }
    assert_eq!(client.stream_event(stream).await?["event"], "complete");
    assert_eq!(client.invoke("a", "GetConnectionId", json!([])).await?, json!(id));
    // A question is reported as a message, too: each came once.
    assert_eq!((client.untaken("a"), client.untaken("b")), (ROUNDS / 10, 0));
});
