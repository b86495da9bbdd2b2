//! Which node of a Redis Cluster owns a channel: hash slots, and the table of their owners.
//!
//! Owns the arithmetic and the reading of `CLUSTER SLOTS`; pure. Who asks for the table, and when, is `cluster`'s work.

use crate::settings::Address;
use redis::Value;

/// Slots of every Cluster.
pub(crate) const SLOTS: u16 = 16384;

/// A node, as the Cluster names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node {
    /// The name that the Cluster gave it; empty for a server that is known by its address alone.
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The owners of all slots.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Table {
    /// In the order of their names, so that every server sees the same order.
    masters: Vec<Node>,
    /// First slot, last slot, owner.
    ranges: Vec<(u16, u16, usize)>,
}

impl Node {
    pub(crate) fn address(&self) -> Address {
        Address { host: self.host.clone(), port: self.port }
    }
}

/// The slot of a channel or key: CRC16 of the part in braces if there is one, else of all of it.
pub(crate) fn slot(channel: &[u8]) -> u16 {
    crc16(tagged(channel)) % SLOTS
}

fn tagged(channel: &[u8]) -> &[u8] {
    let Some(open) = channel.iter().position(|&byte| byte == b'{') else { return channel };
    let rest = &channel[open + 1..];
    match rest.iter().position(|&byte| byte == b'}') {
        Some(length) if length > 0 => &rest[..length],
        _ => channel,
    }
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

impl Table {
    /// Reads an answer to `CLUSTER SLOTS` that `host` gave, which stands where a node does not know its own address.
    /// `None` when it is no such answer, or names no node.
    pub(crate) fn read(answer: &Value, host: &str) -> Option<Self> {
        let Value::Array(entries) = answer else { return None };
        let found: Vec<_> = entries.iter().map(|entry| entry_of(entry, host)).collect::<Option<_>>()?;
        let mut masters: Vec<Node> = found.iter().map(|(_, _, node)| node.clone()).collect();
        masters.sort();
        masters.dedup();
        if masters.is_empty() {
            return None;
        }
        let owner = |node: &Node| masters.binary_search(node).ok();
        let mut ranges: Vec<_> = found
            .iter()
            .map(|(first, last, node)| Some((*first, *last, owner(node)?)))
            .collect::<Option<_>>()?;
        ranges.sort_unstable();
        Some(Self { masters, ranges })
    }

    /// The nodes that own slots, in the order of their names.
    pub(crate) fn masters(&self) -> &[Node] {
        &self.masters
    }

    /// The owner of a slot, if it has one.
    pub(crate) fn owner(&self, slot: u16) -> Option<&Node> {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        range.and_then(|&(_, _, owner)| self.masters.get(owner))
    }

    /// For each slot, which of `present` serves it: its owner, or while that is missing, another one, on which all
    /// servers agree that miss the same nodes. `present` is in the order of names and not empty.
    pub(crate) fn routes(&self, present: &[&Node]) -> Vec<usize> {
        let others = present.len().max(1);
        let mut routes: Vec<usize> = (0..usize::from(SLOTS)).map(|slot| slot % others).collect();
        for &(first, last, owner) in &self.ranges {
            let Some(place) = present.iter().position(|node| node.id == self.masters[owner].id) else {
                continue;
            };
            if let Some(part) = routes.get_mut(usize::from(first)..=usize::from(last)) {
                part.fill(place);
            }
        }
        routes
    }
}

fn entry_of(entry: &Value, asked: &str) -> Option<(u16, u16, Node)> {
    let Value::Array(parts) = entry else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = &parts[..] else { return None };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    if first > last || last >= SLOTS {
        return None;
    }
    let [host, Value::Int(port), id, ..] = &node[..] else { return None };
    let host = text(host).filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| asked.to_owned());
    Some((first, last, Node { id: text(id)?, host, port: u16::try_from(*port).ok()? }))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn entry(first: i64, last: i64, host: Value, port: i64, id: &str) -> Value {
        let node = Value::Array(vec![host, Value::Int(port), bulk(id), Value::Array(vec![])]);
        let replica = Value::Array(vec![bulk("r"), Value::Int(1), bulk("replica")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node, replica])
    }

    fn node(id: &str, host: &str, port: u16) -> Node {
        Node { id: id.to_owned(), host: host.to_owned(), port }
    }

    #[test]
    fn slots_are_those_of_redis() {
        // As CLUSTER KEYSLOT answers.
        let known = [("", 0), ("123456789", 12739), ("foo", 12182), ("{foo}bar", 12182), ("a{}b{foo}", 976)];
        for (channel, number) in known {
            assert_eq!(slot(channel.as_bytes()), number, "{channel}");
        }
        assert_eq!(slot(b"x{foo}{bar}y"), slot(b"foo"));
        assert_eq!(slot(b"{{foo}}"), slot(b"{foo"));
    }

    #[test]
    fn a_table_is_read_and_a_node_without_an_address_is_the_one_that_was_asked() {
        let answer = Value::Array(vec![
            entry(8000, 16383, bulk("h1"), 1, "b"),
            entry(0, 7998, Value::Nil, 2, "a"),
            entry(7999, 7999, bulk("h1"), 1, "b"),
        ]);
        let table = Table::read(&answer, "asked").unwrap();
        let (a, b) = (node("a", "asked", 2), node("b", "h1", 1));
        assert_eq!(table.masters(), [a.clone(), b.clone()]);
        let routes = table.routes(&[&a, &b]);
        assert_eq!([routes[0], routes[7998], routes[7999], routes[16383]], [0, 0, 1, 1]);
        assert_eq!([table.owner(7998), table.owner(7999)], [Some(&a), Some(&b)]);
    }

    #[test]
    fn what_a_missing_node_owns_is_spread_over_the_others() {
        let answer = Value::Array(vec![
            entry(0, 99, bulk("h"), 1, "a"),
            entry(100, 199, bulk("h"), 2, "b"),
            entry(200, 16383, bulk("h"), 3, "c"),
        ]);
        let table = Table::read(&answer, "h").unwrap();
        let routes = table.routes(&[&table.masters()[0], &table.masters()[2]]);
        assert_eq!([routes[0], routes[99], routes[200]], [0, 0, 1]);
        assert_eq!([routes[100], routes[101]], [0, 1]);
    }

    #[test]
    fn nonsense_is_no_table() {
        let bad = [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![entry(5, 4, bulk("h"), 1, "a")]),
            Value::Array(vec![entry(0, 16384, bulk("h"), 1, "a")]),
            Value::Array(vec![entry(-1, 3, bulk("h"), 1, "a")]),
            Value::Array(vec![entry(0, 3, bulk("h"), 70000, "a")]),
        ];
        for answer in bad {
            assert_eq!(Table::read(&answer, "h"), None, "{answer:?}");
        }
    }
}
