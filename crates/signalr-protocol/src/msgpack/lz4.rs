//! MessagePack-CSharp's two compressed forms of a value.
//!
//! Owns `Lz4BlockArray` (an array: extension 98 with the plain length of every block, then one bin per block) and
//! `Lz4Block` (extension 99: the plain length, then the block), both ways. In a hub message every argument, item and
//! result is such a value of its own; only the outermost value is taken apart. Works on whole values that `decode`
//! and `write` hand over. A declared length is believed only as far as LZ4 can expand and never above 64 MiB.

use super::cursor::{Cursor, Fault, Integer};
use super::write::{put_array_len, put_int};
use crate::protocol::Compression;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

/// Why a compressed value could not be expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lz4Error {
    #[error("the compressed value is no valid MessagePack: {0}")]
    Fault(#[from] Fault),
    #[error("a compressed block announces a negative or impossible length")]
    Length,
    #[error("the value is larger than 64 MiB when decompressed")]
    TooLarge,
    #[error("as many blocks as lengths are needed")]
    Count,
    #[error("a compressed block is empty")]
    Empty,
    #[error("a compressed block is damaged, or holds more or less than it announces")]
    Damaged,
}

/// Whether a compressed value begins here: extension 99, or an array whose first item is extension 98.
pub(crate) fn is_compressed(cursor: &Cursor<'_>) -> bool {
    let mut ahead = *cursor;
    match ahead.peek() {
        Ok(0xc7..=0xc9 | 0xd4..=0xd8) => matches!(ahead.ext(), Ok((BLOCK, _))),
        Ok(0x91..=0x9f | 0xdc | 0xdd) => {
            ahead.array_len().is_ok()
                && matches!(ahead.peek(), Ok(0xc7..=0xc9 | 0xd4..=0xd8))
                && matches!(ahead.ext(), Ok((BLOCK_ARRAY, _)))
        }
        _ => false,
    }
}

/// The plain form of a value, if it is a compressed one.
pub(crate) fn expand_if_compressed(value: &[u8]) -> Option<Result<Vec<u8>, Lz4Error>> {
    is_compressed(&Cursor::new(value)).then(|| expand(value))
}

/// The plain form of a value for which [`is_compressed`] holds.
pub(crate) fn expand(value: &[u8]) -> Result<Vec<u8>, Lz4Error> {
    let mut cursor = Cursor::new(value);
    if !matches!(cursor.peek()?, 0x90..=0x9f | 0xdc | 0xdd) {
        let (_, data) = cursor.ext()?;
        let mut inner = Cursor::new(data);
        let length = length(&mut inner)?;
        return expand_blocks(&[length], &[inner.rest()]);
    }
    let blocks = cursor.array_len()?.saturating_sub(1);
    let (_, data) = cursor.ext()?;
    let mut inner = Cursor::new(data);
    let mut lengths = Vec::new();
    while !inner.rest().is_empty() {
        lengths.push(length(&mut inner)?);
    }
    if lengths.len() != blocks || blocks == 0 {
        return Err(Lz4Error::Count);
    }
    let blocks = (0..blocks).map(|_| cursor.bin()).collect::<Result<Vec<_>, _>>()?;
    expand_blocks(&lengths, &blocks)
}

fn length(cursor: &mut Cursor<'_>) -> Result<usize, Lz4Error> {
    match cursor.integer()? {
        Integer::Unsigned(length) => usize::try_from(length).map_err(|_| Lz4Error::Length),
        Integer::Negative(_) => Err(Lz4Error::Length),
    }
}

fn expand_blocks(lengths: &[usize], blocks: &[&[u8]]) -> Result<Vec<u8>, Lz4Error> {
    let mut total = 0usize;
    for (length, block) in lengths.iter().zip(blocks) {
        if block.is_empty() {
            return Err(Lz4Error::Empty);
        }
        if *length > block.len().saturating_mul(MAX_RATIO) {
            return Err(Lz4Error::Length);
        }
        total = total.saturating_add(*length);
    }
    if total > MAX_PLAIN {
        return Err(Lz4Error::TooLarge);
    }
    let mut plain = vec![0; total];
    let mut at = 0;
    for (length, block) in lengths.iter().zip(blocks) {
        match decompress_into(block, &mut plain[at..at + length]) {
            Ok(written) if written == *length => at += length,
            _ => return Err(Lz4Error::Damaged),
        }
    }
    Ok(plain)
}

/// The compressed form of one value; `None` when it is to be sent as it is: below 64 bytes, as in the library, and
/// above 64 MiB, which readers refuse to expand.
pub(crate) fn compress(plain: &[u8], form: Compression) -> Option<Vec<u8>> {
    if plain.len() < MIN_PLAIN || plain.len() > MAX_PLAIN {
        return None;
    }
    match form {
        Compression::None => None,
        Compression::Lz4BlockArray => compress_array(plain),
        Compression::Lz4Block => compress_block(plain),
    }
}

fn compress_array(plain: &[u8]) -> Option<Vec<u8>> {
    let blocks = plain.chunks(BLOCK_SIZE);
    let mut lengths = Vec::new();
    for block in blocks.clone() {
        put_int(&mut lengths, block.len() as i64);
    }
    let mut out = Vec::with_capacity(plain.len() / 2);
    put_array_len(&mut out, 1 + blocks.len());
    put_ext_header(&mut out, BLOCK_ARRAY, lengths.len());
    out.extend_from_slice(&lengths);
    for block in blocks {
        out.push(0xc6);
        let length_at = out.len();
        out.extend_from_slice(&[0; 4]);
        let written = append_block(&mut out, block)?;
        out[length_at..length_at + 4].copy_from_slice(&u32::try_from(written).ok()?.to_be_bytes());
    }
    Some(out)
}

fn compress_block(plain: &[u8]) -> Option<Vec<u8>> {
    let mut data = vec![0xd2];
    data.extend_from_slice(&i32::try_from(plain.len()).ok()?.to_be_bytes());
    append_block(&mut data, plain)?;
    let mut out = Vec::with_capacity(data.len() + 6);
    put_ext_header(&mut out, BLOCK, data.len());
    out.extend_from_slice(&data);
    Some(out)
}

/// Appends one raw LZ4 block and gives its length.
fn append_block(out: &mut Vec<u8>, plain: &[u8]) -> Option<usize> {
    let start = out.len();
    out.resize(start + get_maximum_output_size(plain.len()), 0);
    let written = compress_into(plain, &mut out[start..]).ok()?;
    out.truncate(start + written);
    Some(written)
}

fn put_ext_header(out: &mut Vec<u8>, kind: i8, length: usize) {
    match length {
        1 | 2 | 4 | 8 | 16 => out.push(0xd4 + length.trailing_zeros() as u8),
        0..0x100 => out.extend_from_slice(&[0xc7, length as u8]),
        0x100..0x1_0000 => {
            out.push(0xc8);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0xc9);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.push(kind as u8);
}

const BLOCK_ARRAY: i8 = 98;
const BLOCK: i8 = 99;
/// Values below are not worth it; the library's limit.
const MIN_PLAIN: usize = 64;
/// What the reference's "untrusted data" mode allows per value.
const MAX_PLAIN: usize = 64 << 20;
/// The window of LZ4: larger blocks would not compress better.
const BLOCK_SIZE: usize = 64 << 10;
/// One byte of a block stands for at most 255 plain bytes.
const MAX_RATIO: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Vec<u8> {
        let mut value = vec![0xdb];
        value.extend_from_slice(&(length as u32).to_be_bytes());
        value.extend((0..length).map(|n| b'a' + (n % 7) as u8));
        value
    }

    #[test]
    fn both_forms_come_back() {
        for length in [64, 100, 5_000, 65_531, 65_536, 200_000] {
            for form in [Compression::Lz4BlockArray, Compression::Lz4Block] {
                let plain = text(length);
                let compressed = compress(&plain, form).expect("large enough");
                assert!(is_compressed(&Cursor::new(&compressed)));
                assert_eq!(Cursor::new(&compressed).value(), Ok(&compressed[..]));
                assert_eq!(expand(&compressed).as_deref(), Ok(&plain[..]));
            }
        }
        assert_eq!(compress(&text(10), Compression::Lz4Block), None);
    }

    #[test]
    fn announced_lengths_are_bounded_by_the_block() {
        let bomb = [0xc7, 7, 99, 0xd2, 0x03, 0xff, 0xff, 0xff, 0x10, 0x07];
        assert!(is_compressed(&Cursor::new(&bomb)));
        assert_eq!(expand(&bomb), Err(Lz4Error::Length));
    }
}
