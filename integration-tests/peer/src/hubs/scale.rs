//! ScaleHub: every kind of send, stream, error and value.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use signalr::prelude::*;

use super::everything::Everything;

/// The hub.
pub(crate) struct ScaleHub;

#[hub(name = "Peer.ScaleHub")]
impl ScaleHub {
    fn on_connected(&self, cx: &Context) {
        let user = cx.user_identifier().map(str::to_owned);
        with_live(|live| live.insert(cx.connection_id().to_string(), user));
    }

    fn on_disconnected(&self, cx: &Context) {
        with_live(|live| live.remove(cx.connection_id().as_str()));
    }

    fn get_connection_id(&self, cx: &Context) -> String {
        cx.connection_id().to_string()
    }

    fn get_user_identifier(&self, cx: &Context) -> Option<String> {
        cx.user_identifier().map(str::to_owned)
    }

    fn get_server_name(&self) -> String {
        server_name()
    }

    fn get_active_transport_name(&self, cx: &Context) -> String {
        cx.info().transport.name().to_owned()
    }

    async fn send_all(&self, cx: &Context, method: String, payload: Option<String>) -> HubResult<()> {
        cx.clients().all().send(&method, (payload,)).await
    }

    async fn send_caller(&self, cx: &Context, method: String, payload: Option<String>) -> HubResult<()> {
        cx.clients().caller().send(&method, (payload,)).await
    }

    async fn send_others(&self, cx: &Context, method: String, payload: Option<String>) -> HubResult<()> {
        cx.clients().others().send(&method, (payload,)).await
    }

    async fn send_all_except(
        &self,
        cx: &Context,
        ids: Vec<String>,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().all_except(ids).send(&method, (payload,)).await
    }

    async fn send_client(
        &self,
        cx: &Context,
        id: String,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().client(id).send(&method, (payload,)).await
    }

    async fn send_clients(
        &self,
        cx: &Context,
        ids: Vec<String>,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().clients(ids).send(&method, (payload,)).await
    }

    async fn send_group(
        &self,
        cx: &Context,
        group: String,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().group(group).send(&method, (payload,)).await
    }

    async fn send_groups(
        &self,
        cx: &Context,
        groups: Vec<String>,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().groups(groups).send(&method, (payload,)).await
    }

    async fn send_group_except(
        &self,
        cx: &Context,
        group: String,
        ids: Vec<String>,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().group_except(group, ids).send(&method, (payload,)).await
    }

    async fn send_others_in_group(
        &self,
        cx: &Context,
        group: String,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().others_in_group(group).send(&method, (payload,)).await
    }

    async fn send_user(
        &self,
        cx: &Context,
        user: String,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().user(user).send(&method, (payload,)).await
    }

    async fn send_users(
        &self,
        cx: &Context,
        users: Vec<String>,
        method: String,
        payload: Option<String>,
    ) -> HubResult<()> {
        cx.clients().users(users).send(&method, (payload,)).await
    }

    /// Sends 0 to count - 1 to the caller, one after the other.
    async fn burst(&self, cx: &Context, method: String, count: i32) -> HubResult<()> {
        for number in 0..count {
            cx.clients().caller().send(&method, (number,)).await?;
        }
        Ok(())
    }

    async fn add_to_group(&self, cx: &Context, id: String, group: String) -> HubResult<()> {
        cx.groups().add_connection(id, group).await
    }

    async fn remove_from_group(&self, cx: &Context, id: String, group: String) -> HubResult<()> {
        cx.groups().remove_connection(id, group).await
    }

    async fn join(&self, cx: &Context, group: String) -> HubResult<()> {
        cx.groups().add(group).await
    }

    async fn leave(&self, cx: &Context, group: String) -> HubResult<()> {
        cx.groups().remove(group).await
    }

    async fn ask_client(
        &self,
        cx: &Context,
        id: String,
        method: String,
        argument: Option<String>,
    ) -> HubResult<i32> {
        cx.clients().client(id).invoke(&method, (argument,)).await
    }

    async fn ask_client_text(
        &self,
        cx: &Context,
        id: String,
        method: String,
        argument: Option<String>,
    ) -> HubResult<Option<String>> {
        cx.clients().client(id).invoke(&method, (argument,)).await
    }

    fn counter(&self, count: i32, delay_ms: i32) -> impl Stream<Item = i32> {
        count_slowly(count, delay_ms)
    }

    fn counter_channel(&self, count: i32, delay_ms: i32) -> impl Stream<Item = i32> {
        count_slowly(count, delay_ms)
    }

    /// Yields 0 to count - 1, then fails.
    fn counter_throw(&self, count: i32, kind: String, message: String) -> impl Stream<Item = HubResult<i32>> {
        stream::iter(0..count).map(Ok).chain(stream::once(async move { Err(failure(&kind, message)) }))
    }

    async fn sum(&self, mut items: ClientStream<i32>) -> HubResult<i32> {
        let mut sum = 0_i32;
        while let Some(item) = items.next().await {
            sum = sum.wrapping_add(item?);
        }
        Ok(sum)
    }

    async fn concat(&self, first: ClientStream<String>, second: ClientStream<String>) -> HubResult<String> {
        first.chain(second).try_collect().await
    }

    fn relay(&self, items: ClientStream<i32>) -> ClientStream<i32> {
        items
    }

    fn throw(&self, kind: String, message: String) -> HubResult<()> {
        Err(failure(&kind, message))
    }

    async fn throw_later(&self, kind: String, message: String) -> HubResult<()> {
        tokio::task::yield_now().await;
        Err(failure(&kind, message))
    }

    fn abort(&self, cx: &Context) {
        cx.abort();
    }

    async fn delay(&self, milliseconds: u32) {
        tokio::time::sleep(Duration::from_millis(u64::from(milliseconds))).await;
    }

    fn echo(&self, value: rmpv::Value) -> rmpv::Value {
        value
    }

    fn echo_everything(&self, value: Option<Everything>) -> Option<Everything> {
        value
    }

    fn make_everything(&self) -> Everything {
        Everything::sample()
    }

    async fn send_everything(&self, cx: &Context, method: String) -> HubResult<()> {
        cx.clients().caller().send(&method, (Everything::sample(),)).await
    }
}

fn count_slowly(count: i32, delay_ms: i32) -> impl Stream<Item = i32> + Send {
    let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or_default());
    stream::iter(0..count).then(move |number| async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        number
    })
}

/// The error that the reference's hub throws for a kind.
fn failure(kind: &str, message: String) -> HubError {
    match kind {
        "hub" | "nested" => HubError::new(message),
        "derived" => HubError::exception_named("DerivedHubException", message),
        "argument" => HubError::named("ArgumentException", message),
        "cancel" => HubError::named("OperationCanceledException", message),
        "timeout" => HubError::named("TimeoutException", message),
        "aggregate" => HubError::named("AggregateException", format!("{message} (one) (two)")),
        _ => HubError::named("InvalidOperationException", message),
    }
}

/// Connections of this process: id and user id.
pub(crate) fn live() -> BTreeMap<String, Option<String>> {
    with_live(|live| live.clone())
}

fn with_live<R>(f: impl FnOnce(&mut BTreeMap<String, Option<String>>) -> R) -> R {
    static LIVE: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());
    f(&mut LIVE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What `GetServerName` answers.
pub(crate) fn server_name() -> String {
    SERVER_NAME.get().cloned().unwrap_or_else(|| format!("{}:{}", machine_name(), std::process::id()))
}

/// Sets what `GetServerName` answers; the first call counts.
pub(crate) fn set_server_name(name: String) {
    SERVER_NAME.get_or_init(|| name);
}

/// The host's name.
pub(crate) fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

static SERVER_NAME: OnceLock<String> = OnceLock::new();
