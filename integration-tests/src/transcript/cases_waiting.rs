//! Clients that keep the server waiting: for the handshake, or for a sign of life.

use serde_json::json;

use super::{Case, Step};

pub(super) fn cases() -> Vec<Case> {
    let mute = |name| Case { shakes_hands: false, ..Case::json(name) };
    vec![
        mute("waiting: no handshake").until_closed(),
        mute("waiting: half a handshake").text("{\"protocol\":\"json\"").until_closed(),
        Case::json("waiting: silent after a ping").send("{\"type\":6}").until_closed(),
        Case::pack("waiting: silent after a ping, in MessagePack").message(json!([6])).until_closed(),
        Case::json("waiting: half a message after a ping")
            .send("{\"type\":6}")
            .step(Step::Text(b"{\"type\":1,\"target\":".to_vec()))
            .until_closed(),
    ]
}
