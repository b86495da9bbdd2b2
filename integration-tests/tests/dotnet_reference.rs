//! The reference's answers in `data/transcripts.json` and `data/wire.json` are what the reference answers.
//!
//! Needs the reference (`SIGNALR_DOTNET_PEER`). `SIGNALR_RECORD=1` writes the files anew.

use anyhow::{Context, Result};
use signalr_integration_tests::dotnet;
use signalr_integration_tests::http;
use signalr_integration_tests::transcript::{cases, golden::Golden, golden::Servers};
use signalr_integration_tests::wire;

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_answers_are_those_of_the_reference() -> Result<()> {
    let Some(program) = dotnet::find("dotnet-reference")? else { return Ok(()) };
    let servers = Servers::start(&program).await?;
    let first = servers.all().next().context("there are servers")?;
    let info = http::info(first.port()).await?;
    let version =
        info["signalr"].as_str().context("no version")?.split('+').next().unwrap_or_default().to_owned();
    let asked = Golden::record(&cases(), &servers, version).await?;
    if std::env::var_os("SIGNALR_RECORD").is_some() {
        return asked.write();
    }
    let kept = Golden::read()?;
    let names: Vec<&String> = kept.cases.keys().collect();
    assert_eq!(names, asked.cases.keys().collect::<Vec<_>>(), "record again: SIGNALR_RECORD=1");
    for case in cases().into_iter().filter(|case| !case.races) {
        let entry = &kept.cases[case.name];
        let mut answer = asked.cases[case.name].clone();
        // A server that closes may or may not get its last words out before the socket is gone.
        for _ in 0..5 {
            if answer == *entry {
                break;
            }
            println!("`{}` differed: {answer:#?}", case.name);
            answer = Golden::entry(&case, &servers).await?;
        }
        assert_eq!(answer, *entry, "the reference now answers `{}` otherwise", case.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_scenarios_are_those_of_the_reference() -> Result<()> {
    let Some(program) = dotnet::find("dotnet-reference")? else { return Ok(()) };
    let scenarios = wire::script::chosen()?;
    let servers = wire::servers::Servers::start(&program, &scenarios).await?;
    let mut asked = servers.play(&scenarios).await?;
    let is_recording = std::env::var_os("SIGNALR_RECORD").is_some();
    let mut kept = wire::golden::Golden::read().unwrap_or_default();
    if is_recording {
        for (name, again) in servers.play(&scenarios).await? {
            if asked[&name] != again {
                println!("unstable: `{name}`:\n{}", wire::compared(&asked[&name], &again));
            }
        }
        let first = servers.all().next().context("there are servers")?;
        let info = http::info(first.port()).await?;
        let version = info["signalr"].as_str().context("no version")?.split('+').next().unwrap_or_default();
        kept.reference = version.to_owned();
        let all: Vec<String> = wire::script::scenarios()?.into_iter().map(|scenario| scenario.name).collect();
        kept.scenarios.retain(|name, _| all.contains(name));
        kept.scenarios.append(&mut asked);
        return kept.write();
    }
    for scenario in &scenarios {
        let expected =
            kept.scenarios.get(&scenario.name).context("record again: cargo xtask diff --record")?;
        let mut got = asked.remove(&scenario.name).unwrap_or_default();
        for _ in 0..5 {
            if got == *expected {
                break;
            }
            println!("again: `{}`", scenario.name);
            got = servers
                .play(std::slice::from_ref(scenario))
                .await?
                .remove(&scenario.name)
                .unwrap_or_default();
        }
        assert_eq!(got, *expected, "`{}`: {}", scenario.name, wire::compared(expected, &got));
    }
    println!("scenarios: {} as recorded", scenarios.len());
    Ok(())
}
