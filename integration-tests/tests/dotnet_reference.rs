//! The reference's answers in `data/transcripts.json` are what the reference answers.
//!
//! Needs the reference (`SIGNALR_DOTNET_PEER`). `SIGNALR_RECORD=1` writes the file anew.

use anyhow::{Context, Result};
use signalr_integration_tests::dotnet;
use signalr_integration_tests::http;
use signalr_integration_tests::transcript::{cases, golden::Golden, golden::Servers};

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
