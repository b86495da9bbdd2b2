//! `#[hub]` with every method shape, called through the hub protocol by the in-memory test client.

#![allow(clippy::unwrap_used, reason = "what a test unwraps is what it claims")]

mod support;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use signalr::prelude::*;
use signalr_protocol::{Message, Protocol};
use signalr_testkit::{TestClient, TestError};
use support::{connect, drain, refusal};

type Aliased<T> = Result<T, AppError>;

#[derive(Debug)]
struct AppError(&'static str);

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for AppError {}

/// Would be sent as a value if the macro took a `Result` for one.
#[derive(Debug, Serialize)]
struct SerializableError {
    secret: &'static str,
}

impl From<SerializableError> for HubError {
    fn from(error: SerializableError) -> Self {
        HubError::new(format!("refused: {}", error.secret.len()))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Default)]
struct Shapes {
    calls: AtomicU32,
    words: Vec<String>,
}

#[hub(name = "Test.Shapes")]
impl Shapes {
    const STEP: u32 = 1;

    fn nothing(&self) {
        self.calls.fetch_add(Self::STEP, Ordering::Relaxed);
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The documentation stays.
    fn add(&self, left: i32, mut right: i32) -> i32 {
        right += left;
        right
    }

    fn connection_id(&self, cx: &Context) -> String {
        cx.connection_id().to_string()
    }

    async fn add_later(&self, cx: &Context, left: i32, right: i32) -> i32 {
        let _ = cx.connection_id();
        left + right
    }

    fn divide(&self, left: i32, right: i32) -> Result<i32, AppError> {
        left.checked_div(right).ok_or(AppError("division by zero"))
    }

    async fn divide_later(&self, left: i32, right: i32) -> HubResult<i32> {
        left.checked_div(right).ok_or_else(|| HubError::new("division by zero"))
    }

    fn divide_aliased(&self, left: i32, right: i32) -> Aliased<i32> {
        self.divide(left, right)
    }

    async fn leak(&self, fail: bool) -> Result<u32, SerializableError> {
        if fail { Err(SerializableError { secret: "12345" }) } else { Ok(1) }
    }

    fn middle(&self, from: Point, to: Point) -> Point {
        Point { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 }
    }

    fn optional(&self, value: Option<u32>, _: u32) -> Option<u32> {
        value
    }

    #[hub_method(name = "Renamed.Method")]
    fn original(&self) -> &'static str {
        "renamed"
    }

    #[hub_method(name = "on_purpose")]
    fn on_purpose(&self) -> bool {
        true
    }

    fn r#move(&self) -> u32 {
        7
    }

    #[cfg(any())]
    fn absent(&self, value: TypeThatDoesNotExist) {}

    #[cfg(not(any()))]
    fn present(&self) -> bool {
        true
    }

    #[allow(clippy::too_many_arguments)]
    fn twelve(
        &self,
        cx: &Context,
        a: u8,
        b: u8,
        c: u8,
        d: u8,
        e: u8,
        f: u8,
        g: u8,
        h: u8,
        i: u8,
        j: u8,
        k: u8,
        l: u8,
    ) -> Vec<u8> {
        let _ = cx.protocol();
        vec![a, b, c, d, e, f, g, h, i, j, k, l]
    }

    fn counter(&self, count: u32) -> impl Stream<Item = u32> {
        stream::iter(0..count)
    }

    /// Borrows the hub and the context without naming a lifetime.
    fn words(&self, cx: &Context) -> impl Stream<Item = String> {
        stream::iter(&self.words).map(|word| format!("{word} for {}", cx.connection_id()))
    }

    fn borrowed_words(&self) -> impl Stream<Item = &str> {
        stream::iter(self.words.iter().map(String::as_str))
    }

    fn explicit<'a>(&'a self, _cx: &'a Context) -> impl Stream<Item = &'a String> + Send + 'a {
        stream::iter(&self.words)
    }

    fn failing(&self, good: u32) -> impl Stream<Item = Result<u32, AppError>> + '_ {
        stream::iter(0..good).map(Ok).chain(stream::once(async { Err(AppError("stream broke")) }))
    }

    fn failing_aliased(&self) -> impl Stream<Item = Aliased<u32>> {
        stream::iter([Ok(1), Err(AppError("stream broke"))])
    }

    fn guarded(&self, open: bool) -> Result<impl Stream<Item = u32>, AppError> {
        if open { Ok(stream::iter([1, 2])) } else { Err(AppError("closed")) }
    }

    async fn later(&self, open: bool) -> HubResult<impl Stream<Item = HubResult<u32>>> {
        if open { Ok(stream::iter([Ok(1), Ok(2)])) } else { Err(HubError::new("closed")) }
    }

    fn boxed(&self) -> BoxStream<'_, u32> {
        stream::iter([1, 2, 3]).boxed()
    }

    fn pinned(&self) -> Pin<Box<dyn Stream<Item = u32> + Send + '_>> {
        Box::pin(stream::iter([4, 5]))
    }

    async fn sum(&self, mut numbers: ClientStream<i64>) -> HubResult<i64> {
        let mut sum = 0;
        while let Some(number) = numbers.next().await {
            sum += number?;
        }
        Ok(sum)
    }

    async fn weave(
        &self,
        cx: &Context,
        left: ClientStream<String>,
        mark: String,
        right: ClientStream<String>,
    ) -> String {
        let _ = cx.connection_id();
        let (left, right): (Vec<_>, Vec<_>) = (left.collect().await, right.collect().await);
        left.into_iter().chain(right).flatten().fold(mark, |text, word| text + &word)
    }

    fn relay(&self, items: ClientStream<u32>) -> ClientStream<u32> {
        items
    }

    /// Borrows the hub while it reads.
    fn tagged(&self, items: ClientStream<u32>) -> impl Stream<Item = HubResult<String>> {
        items.map(|item| Ok(format!("{} of {}", item?, self.words.len())))
    }

    #[hub_method(stream)]
    fn named(&self) -> stream::Iter<std::vec::IntoIter<u32>> {
        stream::iter(vec![6, 7])
    }
}

#[derive(Default, Clone)]
struct Watched(Arc<Mutex<Vec<String>>>);

impl Watched {
    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[hub]
impl Watched {
    async fn on_connected(&self, cx: &Context) -> HubResult<()> {
        self.note("connected".to_owned());
        cx.clients().caller().send("Welcome", ("hello",)).await
    }

    fn on_disconnected(&self, _cx: &Context, error: Option<&HubError>) {
        self.note(format!("disconnected: {:?}", error.map(HubError::message)));
    }
}

struct Short;

#[hub(rename_all = "camelCase")]
impl Short {
    fn on_connected(&self) {}

    async fn on_disconnected(&self) -> HubResult<()> {
        Ok(())
    }

    async fn say_hello(&self) -> &'static str {
        "hello"
    }
}

struct Picky(Box<str>);

#[hub(rename_all = "snake_case", crate = "::signalr")]
impl Picky {
    async fn on_connected(&self) -> Result<(), AppError> {
        if self.0.is_empty() { Err(AppError("nobody may come")) } else { Ok(()) }
    }

    fn own_name(&self) -> String {
        self.0.to_string()
    }
}

fn definition(hub: impl Hub) -> (String, Vec<String>) {
    let definition = hub.define();
    let mut names: Vec<_> = definition.method_names().map(str::to_owned).collect();
    names.sort();
    (definition.name().to_owned(), names)
}

#[test]
fn wire_names_follow_the_attributes() {
    let (name, methods) = definition(Shapes::default());
    assert_eq!(name, "Test.Shapes");
    for present in ["Nothing", "AddLater", "ConnectionId", "Renamed.Method", "on_purpose", "Move", "Present"]
    {
        assert!(methods.iter().any(|method| method == present), "{present} is missing in {methods:?}");
    }
    for absent in ["Absent", "Original", "OnPurpose", "R#move"] {
        assert!(!methods.iter().any(|method| method == absent), "{absent} is in {methods:?}");
    }
    assert_eq!(definition(Short), ("Short".to_owned(), vec!["sayHello".to_owned()]));
    assert_eq!(definition(Picky("a".into())), ("Picky".to_owned(), vec!["own_name".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn methods_without_errors_answer_with_their_value() {
    let mut client = connect(Shapes::default()).await;
    let id = client.call("Nothing", ()).unwrap();
    let nothing = client.completion(&id).await.unwrap();
    assert!(matches!(nothing.message().unwrap(), Message::Completion { error: None, .. }), "{nothing:?}");
    assert_eq!(client.invoke::<u32>("Calls", ()).await.unwrap(), 1);
    assert_eq!(client.invoke::<i32>("Add", (2, 3)).await.unwrap(), 5);
    assert_eq!(client.invoke::<i32>("AddLater", (2, 3)).await.unwrap(), 5);
    assert_eq!(client.invoke::<String>("ConnectionId", ()).await.unwrap(), client.id().as_str());
    assert_eq!(client.invoke::<Option<u32>>("Optional", (Some(4), 1)).await.unwrap(), Some(4));
    assert_eq!(client.invoke::<String>("Renamed.Method", ()).await.unwrap(), "renamed");
    assert!(client.invoke::<bool>("Present", ()).await.unwrap());
    assert!(client.invoke::<bool>("on_purpose", ()).await.unwrap());
    assert_eq!(client.invoke::<u32>("Move", ()).await.unwrap(), 7);
    let points = (Point { x: 0, y: 2 }, Point { x: 4, y: 4 });
    assert_eq!(client.invoke::<Point>("Middle", points).await.unwrap(), Point { x: 2, y: 3 });
    let twelve: Vec<u8> = (1..=12).collect();
    assert_eq!(
        client.invoke::<Vec<u8>>("Twelve", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)).await.unwrap(),
        twelve
    );
}

#[tokio::test(start_paused = true)]
async fn no_error_reaches_the_caller_as_a_value() {
    let mut client = connect(Shapes::default()).await;
    assert_eq!(client.invoke::<i32>("Divide", (6, 3)).await.unwrap(), 2);
    assert_eq!(client.invoke::<i32>("DivideLater", (6, 3)).await.unwrap(), 2);
    assert_eq!(client.invoke::<i32>("DivideAliased", (6, 3)).await.unwrap(), 2);
    assert_eq!(client.invoke::<u32>("Leak", (false,)).await.unwrap(), 1);
    let hidden = "An unexpected error occurred invoking";
    assert!(refusal(&mut client, "Divide", (1, 0)).await.starts_with(hidden));
    assert!(refusal(&mut client, "DivideAliased", (1, 0)).await.starts_with(hidden));
    assert!(refusal(&mut client, "DivideLater", (1, 0)).await.contains("division by zero"));
    assert!(refusal(&mut client, "Leak", (true,)).await.ends_with("refused: 5"));
}

#[tokio::test(start_paused = true)]
async fn streams_of_every_spelling_are_driven() {
    let words = vec!["a".to_owned(), "b".to_owned()];
    let mut client = connect(Shapes { words: words.clone(), ..Shapes::default() }).await;
    let id = client.id().to_string();
    assert_eq!(drain(&mut client, "Counter", (3,)).await, (vec![0, 1, 2], None));
    assert_eq!(drain(&mut client, "Counter", (0,)).await, (Vec::<u32>::new(), None));
    let addressed = words.iter().map(|word| format!("{word} for {id}")).collect();
    assert_eq!(drain::<String>(&mut client, "Words", ()).await, (addressed, None));
    assert_eq!(drain::<String>(&mut client, "BorrowedWords", ()).await, (words.clone(), None));
    assert_eq!(drain::<String>(&mut client, "Explicit", ()).await, (words, None));
    assert_eq!(drain(&mut client, "Boxed", ()).await, (vec![1, 2, 3], None));
    assert_eq!(drain(&mut client, "Pinned", ()).await, (vec![4, 5], None));
    assert_eq!(drain(&mut client, "Named", ()).await, (vec![6, 7], None));
    assert_eq!(drain(&mut client, "Guarded", (true,)).await, (vec![1, 2], None));
    assert_eq!(drain(&mut client, "Later", (true,)).await, (vec![1, 2], None));
}

#[tokio::test(start_paused = true)]
async fn streams_of_the_client_are_arguments() {
    let mut client = connect(Shapes::default()).await;
    let (call, streams) = client.upload("Sum", (), 1).unwrap();
    for number in [1, 2, 3] {
        client.send_item(&streams[0], &number).unwrap();
    }
    client.end_stream(&streams[0], None).unwrap();
    assert_eq!(client.completion(&call).await.unwrap().text(), result(&call, "6"));

    let (call, streams) = client.upload("Weave", ("=",), 2).unwrap();
    for (stream, word) in streams.iter().rev().zip(["c", "b"]) {
        client.send_item(stream, &word).unwrap();
        client.end_stream(stream, None).unwrap();
    }
    assert_eq!(client.completion(&call).await.unwrap().text(), result(&call, r#""=bc""#));

    for (method, item) in [("Relay", "7"), ("Tagged", r#""7 of 0""#)] {
        let (call, streams) = client.open_stream_and_upload(method, (), 1).unwrap();
        client.send_item(&streams[0], &7).unwrap();
        let relayed = client.next_message().await.unwrap().text();
        assert_eq!(relayed, format!(r#"{{"type":2,"invocationId":"{call}","item":{item}}}"#));
        client.end_stream(&streams[0], None).unwrap();
        let end = client.completion(&call).await.unwrap().text();
        assert_eq!(end, format!(r#"{{"type":3,"invocationId":"{call}"}}"#));
    }
}

fn result(call: &str, value: &str) -> String {
    format!(r#"{{"type":3,"invocationId":"{call}","result":{value}}}"#)
}

#[tokio::test(start_paused = true)]
async fn the_first_error_ends_a_stream() {
    let mut client = connect(Shapes::default()).await;
    let (items, error) = drain::<u32>(&mut client, "Failing", (2,)).await;
    assert_eq!(items, [0, 1]);
    assert!(error.is_some_and(|text| text.starts_with("An error occurred on the server while streaming")));
    let (items, error) = drain::<u32>(&mut client, "FailingAliased", ()).await;
    assert_eq!(items, [1]);
    assert!(error.is_some());
    assert!(drain::<u32>(&mut client, "Guarded", (false,)).await.1.is_some());
    let (_, error) = drain::<u32>(&mut client, "Later", (false,)).await;
    assert!(error.is_some_and(|text| text.contains("closed")));
}

#[tokio::test(start_paused = true)]
async fn life_cycle_methods_run_and_cannot_be_called() {
    let hub = Watched::default();
    let mut client = connect(hub.clone()).await;
    assert_eq!(client.expect::<(String,)>("Welcome").await.unwrap(), ("hello".to_owned(),));
    assert!(refusal(&mut client, "OnConnected", ()).await.contains("Method does not exist"));
    assert!(refusal(&mut client, "on_connected", ()).await.contains("Method does not exist"));
    client.close();
    client.ended().await.unwrap();
    assert_eq!(hub.seen(), ["connected", "disconnected: None"]);
}

#[tokio::test(start_paused = true)]
async fn life_cycle_methods_may_leave_out_arguments() {
    let mut client = connect(Short).await;
    assert_eq!(client.invoke::<String>("sayHello", ()).await.unwrap(), "hello");
    client.close();
    client.ended().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_error_of_on_connected_closes_the_connection() {
    let mut client =
        TestClient::connect(signalr_hub::HubEndpoint::new(Picky("".into()), HubOptions::default()).handler());
    client.handshake(Protocol::Json).await.unwrap();
    let last = client.next_message().await.unwrap();
    assert!(matches!(last.message().unwrap(), Message::Close { error: Some(_), .. }), "{last:?}");
    assert!(matches!(client.next_message().await, Err(TestError::Ended { .. })));
}
