//! Our server answers every input of the table as the reference does, byte for byte, except where the table says why not.
//!
//! The reference's answers come from `data/transcripts.json`, so this runs without the reference.

use std::fmt::Write;

use anyhow::{Context, Result};
use signalr_integration_tests::server;
use signalr_integration_tests::transcript::{cases, golden::Golden, golden::PROFILES, golden::Servers};
use signalr_integration_tests::wire;
use signalr_integration_tests::wire::differences::Differences;

#[tokio::test(flavor = "multi_thread")]
async fn our_answers_are_the_references() -> Result<()> {
    let golden = Golden::read()?;
    let servers = Servers::start(server::peer()?).await?;
    let mut differences = String::new();
    for case in cases() {
        let (expected, got) = (golden.expected(&case)?, servers.answer(&case).await?);
        if let Some(deviation) = &case.deviation {
            println!("allowed: `{}`: {}", case.name, deviation.why);
        }
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
    println!("cases: {} as they should be", cases().len());
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

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_goes_as_with_the_reference() -> Result<()> {
    let (golden, differences) = (wire::golden::Golden::read()?, Differences::read()?);
    let scenarios = wire::script::chosen()?;
    let servers = wire::servers::Servers::start(server::peer()?, &scenarios).await?;
    let mut transcripts = servers.play(&scenarios).await?;
    let expected = |name: &str| {
        let theirs = golden.scenarios.get(name).context("record again: cargo xtask diff --record")?;
        anyhow::Ok(differences.apply(name, theirs))
    };
    // What a loaded machine does between two steps may change the order of what comes.
    let mut again = scenarios.clone();
    again.retain(|one| {
        differences.open(&one.name).is_none()
            && expected(&one.name).is_ok_and(|(expected, _)| transcripts[&one.name] != expected)
    });
    println!("again: {:?}", again.iter().map(|scenario| &scenario.name).collect::<Vec<_>>());
    transcripts.extend(servers.play(&again).await?);
    let (mut wrong, mut failed, mut allowed, mut open) = (String::new(), 0, 0, 0);
    for scenario in &scenarios {
        let (expected, used) = expected(&scenario.name)?;
        let got = &transcripts[&scenario.name];
        if *got == expected && used.is_empty() {
        } else if let Some(reason) = differences.open(&scenario.name) {
            open += 1;
            println!("open: `{}`: {reason}", scenario.name);
        } else if *got != expected {
            failed += 1;
            writeln!(wrong, "`{}`:\n{}", scenario.name, wire::compared(&expected, got))?;
        } else if !used.is_empty() {
            allowed += 1;
            used.iter().for_each(|used| println!("allowed: `{}`: {}", scenario.name, used.reason));
        }
    }
    for server in servers.all() {
        assert!(!server.log().contains("panicked"), "{}", server.log());
    }
    let equal = scenarios.len() - failed - allowed - open;
    println!(
        "scenarios: {equal} equal, {allowed} with an allowed difference, {open} open, {failed} different"
    );
    assert!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn every_scenario_has_its_own_name_and_every_difference_is_one() -> Result<()> {
    let (golden, differences) = (wire::golden::Golden::read()?, Differences::read()?);
    let scenarios = wire::script::scenarios()?;
    let mut names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    names.sort_unstable();
    let recorded: Vec<&str> = golden.scenarios.keys().map(String::as_str).collect();
    assert_eq!(names, recorded, "a name twice, or not recorded: cargo xtask diff --record");
    assert!(names.len() >= 150, "{}", names.len());
    for difference in &differences.difference {
        assert!(difference.reason.len() > 20, "{difference:?} needs a reason");
        for pattern in difference.scenarios.iter().filter(|_| !difference.open) {
            let start = pattern.trim_end_matches('*');
            let is_used =
                golden.scenarios.iter().filter(|(name, _)| name.starts_with(start)).any(|(name, theirs)| {
                    differences.apply(name, theirs).1.iter().any(|used| used.reason == difference.reason)
                });
            assert!(is_used, "`{pattern}`: {} changes nothing", difference.reason);
        }
    }
    Ok(())
}
