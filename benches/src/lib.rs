//! Benchmarks, and the server that load generators drive (`src/bin/bench-server.rs`).
//!
//! `cargo bench -p signalr-benches` measures the single steps: the protocol crate on its usual messages, and a fan-out
//! without system calls. Whole servers are compared from outside, side by side with a floor, because a ratio within one
//! run is the only figure that a busy machine gives twice.
