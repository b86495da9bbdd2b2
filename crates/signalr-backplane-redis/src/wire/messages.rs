//! The messages as they stand on the wire (B-9.2): MessagePack arrays without a length prefix.
//!
//! Owns their bytes in both directions. Names are texts here; what they mean to a hub is the codec's.

use super::error::WireError;
use super::reader::Reader;
use bytes::Bytes;
use rmp::encode;

/// A send to clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invocation {
    /// Ids of connections that must not get it.
    pub excluded: Vec<String>,
    /// For each protocol's name, the whole hub message as framed for the wire.
    pub payloads: Vec<(String, Bytes)>,
    /// The invocation's id, when a client result is wanted.
    pub invocation_id: Option<String>,
    /// The channel for the result, without the prefix.
    pub return_channel: Option<String>,
    /// The node that has already served its own members. Ours.
    pub origin: Option<String>,
}

/// What an [`Invocation`] is written from, wherever that lies: nothing is copied to be written.
pub(super) struct InvocationParts<'a, E, P> {
    pub(super) excluded: E,
    pub(super) payloads: P,
    pub(super) invocation_id: Option<&'a str>,
    pub(super) return_channel: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
}

impl<'a, E, P> InvocationParts<'a, E, P>
where
    E: ExactSizeIterator<Item = &'a str>,
    P: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    pub(super) fn write(self) -> Vec<u8> {
        let (mut count, mut size) = (0, self.excluded.len() * 24 + 64);
        for (protocol, bytes) in self.payloads.clone() {
            (count, size) = (count + 1, size + protocol.len() + bytes.len() + 10);
        }
        let mut out = Vec::with_capacity(size);
        let items = match (self.origin, self.invocation_id.or(self.return_channel)) {
            (Some(_), _) => 5,
            (None, Some(_)) => 4,
            (None, None) => 2,
        };
        array(&mut out, items);
        array(&mut out, self.excluded.len());
        self.excluded.for_each(|id| string(&mut out, id));
        infallible(encode::write_map_len(&mut out, length(count)));
        for (protocol, bytes) in self.payloads {
            string(&mut out, protocol);
            blob(&mut out, bytes);
        }
        if items > 2 {
            optional_string(&mut out, self.invocation_id);
            optional_string(&mut out, self.return_channel);
        }
        if let Some(origin) = self.origin {
            string(&mut out, origin);
        }
        out
    }
}

/// Asks whichever server has a connection to change a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCommandMessage {
    /// The command's id.
    pub id: i32,
    /// The server that asks.
    pub server: String,
    /// 1 is add, 2 remove; any other changes nothing.
    pub action: u8,
    /// The group.
    pub group: String,
    /// The connection.
    pub connection: String,
}

/// A group command is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckMessage {
    /// The command's id.
    pub id: i32,
}

/// A client's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionMessage {
    /// The protocol's name.
    pub protocol: String,
    /// The whole Completion message as framed for the wire.
    pub message: Bytes,
}

/// Something of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetMessage {
    /// Its version.
    pub version: u32,
    /// Its content.
    pub body: Bytes,
}

impl Invocation {
    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        InvocationParts {
            excluded: self.excluded.iter().map(String::as_str),
            payloads: self.payloads.iter().map(|(protocol, bytes)| (protocol.as_str(), &**bytes)),
            invocation_id: self.invocation_id.as_deref(),
            return_channel: self.return_channel.as_deref(),
            origin: self.origin.as_deref(),
        }
        .write()
    }

    /// Reads the bytes. Payloads are slices of them.
    ///
    /// # Errors
    /// It is no invocation.
    pub fn read(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let items = reader.array_of(2, "Invocation")?;
        let excluded = reader.array()?;
        let mut message = Self { excluded: Vec::with_capacity(reader.room(excluded)), ..Self::default() };
        for _ in 0..excluded {
            message.excluded.push(reader.string()?.to_owned());
        }
        for _ in 0..reader.map()? {
            let protocol = reader.string()?.to_owned();
            message.payloads.push((protocol, reader.blob()?));
        }
        if items > 3 {
            message.invocation_id = reader.optional_string()?.map(str::to_owned);
            message.return_channel = reader.optional_string()?.map(str::to_owned);
        }
        // Somebody else's fifth item may be anything.
        if items > 4 && reader.is_string()? {
            message.origin = Some(reader.string()?.to_owned());
        }
        Ok(message)
    }
}

impl GroupCommandMessage {
    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.server.len() + self.group.len() + self.connection.len());
        array(&mut out, 5);
        integer(&mut out, self.id.into());
        string(&mut out, &self.server);
        integer(&mut out, self.action.into());
        string(&mut out, &self.group);
        string(&mut out, &self.connection);
        out
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// It is no group command.
    pub fn read(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(5, "GroupCommand")?;
        Ok(Self {
            id: reader.integer()?,
            server: reader.string()?.to_owned(),
            action: reader.integer()?,
            group: reader.string()?.to_owned(),
            connection: reader.string()?.to_owned(),
        })
    }
}

impl AckMessage {
    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(6);
        array(&mut out, 1);
        integer(&mut out, self.id.into());
        out
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// It is no ack.
    pub fn read(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(1, "Ack")?;
        Ok(Self { id: reader.integer()? })
    }
}

impl CompletionMessage {
    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.message.len() + self.protocol.len() + 16);
        array(&mut out, 2);
        string(&mut out, &self.protocol);
        blob(&mut out, &self.message);
        out
    }

    /// Reads the bytes. The message is a slice of them.
    ///
    /// # Errors
    /// It is no completion.
    pub fn read(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2, "CompletionMessage")?;
        Ok(Self { protocol: reader.string()?.to_owned(), message: reader.blob()? })
    }
}

impl FleetMessage {
    /// The bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 16);
        array(&mut out, 2);
        integer(&mut out, self.version.into());
        blob(&mut out, &self.body);
        out
    }

    /// Reads the bytes. The body is a slice of them.
    ///
    /// # Errors
    /// It is no message of the fleet.
    pub fn read(bytes: &Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.array_of(2, "Fleet")?;
        Ok(Self { version: reader.integer()?, body: reader.blob()? })
    }
}

fn array(out: &mut Vec<u8>, count: usize) {
    infallible(encode::write_array_len(out, length(count)));
}

fn string(out: &mut Vec<u8>, text: &str) {
    infallible(encode::write_str(out, text));
}

fn optional_string(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => infallible(encode::write_nil(out)),
    }
}

fn blob(out: &mut Vec<u8>, bytes: &[u8]) {
    infallible(encode::write_bin(out, bytes));
}

/// The shortest form, as the reference writes integers.
fn integer(out: &mut Vec<u8>, value: i64) {
    infallible(encode::write_sint(out, value));
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Writing to a vector cannot fail.
fn infallible<T, E: std::fmt::Debug>(written: Result<T, E>) {
    debug_assert!(written.is_ok());
}
