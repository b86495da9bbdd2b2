//! Where one message ends and the next begins: `text` for JSON and the handshake, `binary` for MessagePack.

#[cfg(feature = "messagepack")]
pub(crate) mod binary;
pub(crate) mod text;
