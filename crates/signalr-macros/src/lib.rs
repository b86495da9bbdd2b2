//! The attribute macros of `signalr`: [`macro@hub`] turns an inherent `impl` block into a hub,
//! [`macro@hub_client`] turns a trait into typed senders.
//!
//! Owns the reading of user code, the compile errors about it and the generated glue. It does not know the
//! wire, the runtime or any connection: the generated code calls the doc-hidden `__private` module of the
//! facade crate, which re-exports what `signalr-hub` offers. Tokens come from the compiler and go back to it.
//!
//! - `names`: wire names made of Rust names.
//! - `options`: the arguments of the attributes.
//! - `signature`: receiver, arguments and return type, shared by both macros.
//! - `errors`: collects every problem of a block, so that one compilation shows them all.
//! - `hub`, `client`: the two macros.

mod client;
mod errors;
mod hub;
mod names;
mod options;
mod signature;

use proc_macro::TokenStream;

/// Makes a hub of an inherent `impl` block: clients may call every `&self` method in it.
///
/// ```text
/// #[hub(name = "ChatHub")]
/// impl Chat {
///     async fn send_message(&self, cx: &Context, user: String, text: String) -> HubResult<()> {
///         cx.clients().all().send("ReceiveMessage", (user, text)).await
///     }
/// }
/// ```
///
/// # Arguments of the attribute
///
/// | argument | meaning | default |
/// | --- | --- | --- |
/// | `name = "ChatHub"` | the hub's name on a backplane and in traces; in a fleet with .NET servers it must be the full name of the .NET type, e.g. `"Company.Chat.ChatHub"` | the type's name |
/// | `rename_all = "camelCase"` | how method names are written on the wire: `"PascalCase"`, `"camelCase"` or `"snake_case"` | `"PascalCase"` |
/// | `authorize` | who may connect, see below; checked before every request, negotiate included | everybody |
/// | `crate = "path"` | where the facade is found when it was renamed | `::signalr` |
///
/// # Methods
///
/// - The receiver is `&self`: one value serves all connections. `cx: &Context` comes first or is left out.
/// - Then up to 12 owned arguments that serde can deserialise, or streams of such items that the client sends while
///   the method runs (`numbers: ClientStream<i64>`), in any order.
/// - `async fn` or `fn`; a plain `fn` runs on the connection's own task and must not block.
/// - It returns nothing, a serialisable value, a `Result` of one whose error converts into `HubError`, or a
///   stream (`impl Stream<Item = T>`, or items of `Result<T, E>`), also inside a `Result`. A stream may borrow
///   `self` and `cx`. Any `Result` counts as fallible, also behind a type alias: an `Err` never reaches the
///   caller as a value.
/// - `impl Stream`, `Pin<Box<dyn Stream>>`, `BoxStream` and `ClientStream` are recognised; for any other stream type write
///   `#[hub_method(stream)]` above the method.
/// - `#[hub_method(name = "...")]` sets the wire name. Names are matched ignoring ASCII case, so two methods
///   whose names differ by case only are a compile error.
/// - `#[hub_method(authorize)]` and its forms below say who may call the method; to others it fails with `Failed to
///   invoke 'X' because user is unauthorized`.
/// - `on_connected(&self, cx: &Context)` and `on_disconnected(&self, cx: &Context, error: Option<&HubError>)`
///   are the life cycle (both return nothing or `HubResult<()>`, arguments may be left out) and are never
///   callable by clients. Other names that begin with `on_` are a compile error unless `#[hub_method(name =
///   "...")]` says that it is meant.
/// - Functions without `self`, generics and helpers belong into another, plain `impl` block.
///
/// # Who may
///
/// | written | who passes |
/// | --- | --- |
/// | `authorize` | every authenticated user |
/// | `authorize = moderators` | whom the function `fn moderators(caller: &Caller<'_>) -> bool`, or another `Policy` at that path, allows; a wrong path does not compile |
/// | `authorize = "moderators"` | whom the policy of that name in the hub's options allows; an unknown name fails the server's `build` |
///
/// Several of them must all allow. Who the user is says the endpoint's `authenticate` hook.
#[proc_macro_attribute]
pub fn hub(arguments: TokenStream, item: TokenStream) -> TokenStream {
    hub::expand(arguments.into(), item.into()).into()
}

/// Makes typed senders of a trait that lists the methods of a client.
///
/// ```text
/// #[hub_client]
/// trait ChatClient {
///     async fn receive_message(&self, user: &str, text: &str);
///     async fn ask(&self, question: String) -> i32;
/// }
///
/// cx.clients().typed::<ChatClient>().all().receive_message("ada", "hello").await?;
/// let answer = cx.clients().typed::<ChatClient>().caller().ask("6 * 7".to_owned()).await?;
/// ```
///
/// The trait is consumed: its name becomes a marker type, and `ChatClientProxy` (many clients) and
/// `ChatClientSingle` (one client) carry the methods, so no trait has to be imported to call them. Each
/// generated method is `async` and returns `HubResult<T>`. A method with a return type asks the client for a
/// result and therefore exists only on the sender for a single client. Arguments may be borrowed.
///
/// The attribute takes `rename_all` and `crate` as [`macro@hub`] does, and methods take
/// `#[hub_method(name = "...")]`.
#[proc_macro_attribute]
pub fn hub_client(arguments: TokenStream, item: TokenStream) -> TokenStream {
    client::expand(arguments.into(), item.into()).into()
}
