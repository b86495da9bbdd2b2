//! Wire scenarios: scripts of HTTP requests and WebSocket frames, what a server answered to each, and the comparison of
//! two servers.
//!
//! The scripts are `data/wire/*.txt`; [`script`] describes their language. [`play`] runs one against a server and gives
//! its transcript: the steps as they are written, each with the lines that came back. Ids and tokens are masked, headers
//! that differ with every answer are left out. The reference's transcripts are kept in `data/wire.json` ([`golden`]), what
//! may differ on purpose in `data/differences.toml` ([`differences`]).

mod cutter;
pub mod differences;
mod exchange;
pub mod golden;
mod link;
mod mask;
mod play;
pub mod script;
pub mod servers;

pub use play::play;

/// Two transcripts as one text: a line that only one of them has is marked.
pub fn compared(expected: &[String], got: &[String]) -> String {
    let same = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    for line in &expected[..same] {
        text += &format!("    {line}\n");
    }
    for (mark, lines) in [("  -", &expected[same..]), ("  +", &got[same..])] {
        for line in lines {
            text += &format!("{mark} {line}\n");
        }
    }
    text
}
