//! BenchHub: the contract of the load tools. As lean as a hub can be.

use signalr::prelude::*;

/// Four methods; clients listen to `ReceiveMessage`.
pub(crate) struct BenchHub;

#[hub(name = "Peer.BenchHub")]
impl BenchHub {
    fn echo(&self, payload: String) -> String {
        payload
    }

    async fn broadcast(&self, cx: &Context, payload: String) -> HubResult<()> {
        cx.clients().all().send(CLIENT_METHOD, (payload,)).await
    }

    async fn join_group(&self, cx: &Context, group: String) -> HubResult<()> {
        cx.groups().add(group).await
    }

    async fn send_to_group(&self, cx: &Context, group: String, payload: String) -> HubResult<()> {
        cx.clients().group(group).send(CLIENT_METHOD, (payload,)).await
    }
}

const CLIENT_METHOD: &str = "ReceiveMessage";
