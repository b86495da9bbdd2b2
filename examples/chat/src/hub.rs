//! The hub: what people in a chat can do. Rooms are groups; which rooms a connection is in, and under which name, lives
//! in its item bag. It knows nothing of the page or of transports, and with a backplane the same code serves a whole
//! fleet; all it has to say about other servers is whether they are in reach.

use std::collections::HashMap;

use futures_util::stream::BoxStream;
use signalr::prelude::*;

use crate::fleet;

/// The chat, one value for all connections.
#[derive(Default)]
pub(crate) struct Chat {
    /// The hub from outside, for what is not a matter of one call.
    pub(crate) handle: HubHandle<Chat>,
}

/// The rooms of one connection, each with the name that it goes by there.
type Rooms = HashMap<String, String>;

#[hub]
impl Chat {
    async fn join(&self, cx: &Context, room: String, name: String) -> HubResult<()> {
        cx.groups().add(&room).await?;
        cx.items().with_default(|rooms: &mut Rooms| rooms.insert(room.clone(), name.clone()));
        cx.clients().others_in_group(&room).send("Joined", (room, name)).await
    }
    async fn leave(&self, cx: &Context, room: String, name: String) -> HubResult<()> {
        cx.groups().remove(&room).await?;
        cx.items().with(|rooms: &mut Rooms| rooms.remove(&room));
        cx.clients().group(&room).send("Left", (room, name)).await
    }
    async fn say(&self, cx: &Context, room: String, name: String, text: String) -> HubResult<()> {
        cx.clients().group(&room).send("Said", (&room, name, text, cx.connection_id().as_str())).await
    }
    async fn typing(&self, cx: &Context, room: String, name: String) -> HubResult<()> {
        cx.clients().others_in_group(&room).send("Typing", (room, name)).await
    }
    fn reach(&self) -> BoxStream<'static, bool> {
        fleet::reach(&self.handle)
    }
    async fn on_disconnected(&self, cx: &Context) -> HubResult<()> {
        say_good_bye(cx).await
    }
}

/// Tells every room that its member is gone.
async fn say_good_bye(cx: &Context) -> HubResult<()> {
    for (room, name) in cx.items().remove::<Rooms>().unwrap_or_default() {
        cx.clients().others_in_group(&room).send("Left", (room, name)).await?;
    }
    Ok(())
}
