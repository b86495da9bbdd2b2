//! Asks the reference's library itself about strings that the recorded answers lack: odd ones, and mixtures.
//!
//! Needs `SIGNALR_DOTNET_PEER` (the path of `dotnet-peer`); says so when it is missing.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed entry")]

mod redis_config;

use redis_config::{check_error, check_fields, same};
use serde_json::{Value, json};
use signalr_backplane_redis::options::ConnectionString;
use std::process::Command;

/// How many mixtures are asked about; each starts a process of the peer.
const MIXTURES: u64 = 40;

const ODD: [&str; 34] = [
    "10.1",
    "256.1",
    "ab]:5",
    "redis,REDIS:1",
    "localhost,proxy=7",
    "localhost,connectTimeout=-1,version=+7. 2",
    "localhost,tcpKeepAlive=true,tunnel=http://u:p@a:3/x?y,setlib=false,protocol=2",
    "0x7f.1",
    "[::1",
    "[::1]x",
    "[::1]:",
    "[::1]:0",
    "2001:DB8::0010",
    "!",
    "! /a b",
    "!rel,ssl=1",
    "10.0.0.1:+5",
    "010.0.0.1",
    "1.2.3.4.5",
    "localhost,proxy=2",
    "localhost,version=07.01",
    "localhost,version=7.-1",
    "localhost,sslProtocols=default|tls12|ssl3|ssl2|tls13",
    "localhost,sslProtocols=5",
    "localhost,sslProtocols=tls12||tls13",
    "localhost,$PING=PING,proxy=twemproxy",
    "localhost,$GET=\u{e4}",
    "localhost,tunnel=http:PROXY:1",
    "localhost,tunnel=ftp://x",
    "localhost,keepAlive=-2147483648",
    "localhost,tieBreaker=,name=,user=,sslHost=,serviceName=,configChannel=,channelPrefix=,password=,setlib=true",
    "a.redis.azure.net,a.redis.cache.windows.net",
    "a.redis.cache.windows.net:6380,1.2.3.4:6380",
    "a.redis.sovcloud-api.de:10000",
];

const WORDS: [&str; 36] = [
    "localhost",
    "redis0:7000",
    "10.0.0.1",
    "[::1]:6380",
    "contoso.redis.cache.windows.net:6380",
    "contoso.redis.azure.net",
    "ssl=true",
    "ssl=no",
    "password=secret",
    "user=app",
    "abortConnect=1",
    "connectTimeout=777",
    "connectTimeout=-1",
    "syncTimeout=10",
    "asyncTimeout=0",
    "connectRetry=9",
    "defaultDatabase=-7",
    "keepAlive=1",
    "name=a b",
    "channelPrefix=p:",
    "serviceName=m",
    "sslHost=h",
    "sslProtocols=Tls13",
    "proxy=none",
    "$PUBLISH=",
    "$info=x",
    "tiebreaker=",
    "configChannel=c",
    "protocol=resp3",
    "version=6",
    "tcpKeepAlive=off",
    "highIntegrity=yes",
    "resolveDns=true",
    "writeBuffer=x",
    "unknown=1",
    ",  ,",
];

#[test]
fn the_library_says_the_same() {
    let Ok(peer) = std::env::var("SIGNALR_DOTNET_PEER") else {
        println!("NOT RUN: set SIGNALR_DOTNET_PEER to the path of dotnet-peer");
        return;
    };
    let strings: Vec<String> =
        ODD.iter().map(|odd| (*odd).to_owned()).chain((0..MIXTURES).map(mixture)).collect();
    let failures: Vec<String> = strings.iter().filter_map(|string| check(&peer, string).err()).collect();
    println!("{} strings asked", strings.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Some words in some order, the same in every run.
fn mixture(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let count = 2 + next(7);
    (0..count).map(|_| WORDS[next(WORDS.len())]).collect::<Vec<_>>().join(",")
}

fn check(peer: &str, string: &str) -> Result<(), String> {
    let output = Command::new(peer).args(["redis-config", string]).output().unwrap();
    let expected: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = match ConnectionString::parse(string) {
        Err(error) => check_error(&expected["error"], &error),
        Ok(_) if expected.get("error").is_some() => Err(format!("accepted instead of {}", expected["error"])),
        Ok(parsed) => check_fields(&expected, &parsed)
            .and_then(|()| same("canonical", &json!(parsed.to_text(false)), &expected["canonical"])),
    };
    result.map_err(|reason| format!("{string:?}: {reason}"))
}
