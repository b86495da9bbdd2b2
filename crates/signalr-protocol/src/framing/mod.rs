//! Where one message ends and the next begins: `text` for JSON and the handshake, `binary` for MessagePack.

pub(crate) mod text;
