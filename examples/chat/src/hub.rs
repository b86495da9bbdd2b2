//! The hub: what people in a chat can do. Rooms are groups; which rooms a connection is in, and under which name, lives
//! in its item bag. It knows nothing of the page, of transports or of other servers: with a backplane the same code
//! serves a whole fleet.

use std::collections::HashMap;

use signalr::prelude::*;

/// The chat, one value for all connections.
pub(crate) struct Chat;

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
    async fn on_disconnected(&self, cx: &Context) -> HubResult<()> {
        for (room, name) in cx.items().remove::<Rooms>().unwrap_or_default() {
            cx.clients().others_in_group(&room).send("Left", (room, name)).await?;
        }
        Ok(())
    }
}
