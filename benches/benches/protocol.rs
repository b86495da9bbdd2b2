//! The steps of the protocol crate on the messages that a busy server sees most: find, parse, decode, write.
//!
//! Each measured step is checked once before it is measured. Ratios between the lines of one run mean something; absolute
//! figures belong to the machine.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use signalr_protocol::{HubProtocol, Message, Protocol};
use std::hint::black_box;

fn invocation(protocol: HubProtocol) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = protocol.write_invocation(&mut bytes, Some("12"), "Echo", &("x".repeat(100),));
    assert!(written.is_ok());
    bytes
}

fn parse(protocol: HubProtocol, bytes: &[u8]) -> Message<'_> {
    match protocol.split(bytes) {
        Ok(Some((body, _))) => protocol.parse(body).unwrap_or(Message::Ping),
        _ => Message::Ping,
    }
}

fn read(c: &mut Criterion) {
    for kind in Protocol::ALL {
        let protocol = HubProtocol::new(kind);
        let bytes = invocation(protocol);
        let mut group = c.benchmark_group(format!("read/{}", kind.name()));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("split and parse", |b| b.iter(|| black_box(parse(protocol, black_box(&bytes)))));
        let Message::Invocation(call) = parse(protocol, &bytes) else { panic!("the bench's own message") };
        assert_eq!(call.arguments.decode::<(String,)>().map(|(text,)| text.len()), Ok(100));
        group.bench_function("decode (String,)", |b| {
            b.iter(|| black_box(call.arguments.decode::<(String,)>().is_ok()));
        });
        group.finish();
    }
}

fn write(c: &mut Criterion) {
    for kind in Protocol::ALL {
        let protocol = HubProtocol::new(kind);
        let text = "x".repeat(100);
        let mut out = Vec::with_capacity(256);
        let mut group = c.benchmark_group(format!("write/{}", kind.name()));
        group.bench_function("invocation", |b| {
            b.iter(|| {
                out.clear();
                assert!(
                    protocol.write_invocation(&mut out, None, "ReceiveMessage", &(text.as_str(),)).is_ok()
                );
            });
        });
        group.bench_function("completion", |b| {
            b.iter(|| {
                out.clear();
                assert!(protocol.write_completion_result(&mut out, "12", text.as_str()).is_ok());
            });
        });
        group.finish();
    }
}

criterion_group!(benches, read, write);
criterion_main!(benches);
