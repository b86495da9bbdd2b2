//! Our server answers every input of the table as the reference does, byte for byte, except where the table says why not.
//!
//! The reference's answers come from `data/transcripts.json`, so this runs without the reference.

use std::fmt::Write;

use anyhow::Result;
use signalr_integration_tests::server;
use signalr_integration_tests::transcript::{cases, golden::Golden, golden::PROFILES, golden::Servers};

#[tokio::test(flavor = "multi_thread")]
async fn our_answers_are_the_references() -> Result<()> {
    let golden = Golden::read()?;
    let servers = Servers::start(server::peer()?).await?;
    let mut differences = String::new();
    for case in cases() {
        let (expected, got) = (golden.expected(&case)?, servers.answer(&case).await?);
        for (profile, (name, _)) in PROFILES.into_iter().enumerate() {
            let (expected, got) = (&expected[profile], &got[profile]);
            if expected != got {
                writeln!(differences, "`{}`, {name}:\n  expected {expected:#?}\n  got {got:#?}", case.name)?;
            }
        }
    }
    for server in servers.all() {
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
    assert!(differences.is_empty(), "{differences}");
    Ok(())
}

#[test]
fn every_case_has_its_own_name_and_every_deviation_a_reason() -> Result<()> {
    let (golden, cases) = (Golden::read()?, cases());
    let mut names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len());
    assert_eq!(golden.cases.len(), cases.len(), "record again: SIGNALR_RECORD=1");
    for case in cases {
        if let Some(deviation) = &case.deviation {
            assert!(!deviation.why.is_empty());
            let entry = &golden.cases[case.name];
            let theirs = [entry.plain.clone(), entry.detailed.clone()];
            assert!(
                case.races || deviation.ours.lines(theirs.clone()) != theirs,
                "{} does not differ",
                case.name
            );
        }
    }
    Ok(())
}
