//! What URLs mean, which settings exclude each other, and what the errors say.

use proptest::prelude::*;
use signalr_backplane_redis::options::{
    CommandMap, ConnectionString, OutagePolicy, ReconnectRetryPolicy, RedisOptions, RedisVersion,
    SslProtocols, Topology,
};
use std::time::Duration;

fn options(text: &str) -> RedisOptions {
    RedisOptions::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    match RedisOptions::parse(text) {
        Ok(options) => panic!("{text} was accepted: {options:?}"),
        Err(error) => error.to_string(),
    }
}

fn addresses(options: &RedisOptions) -> Vec<String> {
    options.connect_to().iter().map(ToString::to_string).collect()
}

#[test]
fn a_plain_url() {
    let options = options("redis://localhost");
    assert_eq!(addresses(&options), ["localhost:6379"]);
    assert_eq!(options.topology(), Topology::Standalone);
    assert!(!options.ssl() && !options.abort_on_connect_fail());
    assert_eq!((options.user(), options.password()), (None, None));
    assert_eq!(options.default_database(), 0);
}

#[test]
fn user_password_and_database() {
    let options = options("redis://app%40x:p%2C%2F%3F%23%25a@10.0.0.1:7000/3");
    assert_eq!(options.user(), Some("app@x"));
    assert_eq!(options.password().unwrap().expose(), "p,/?#%a");
    assert_eq!(options.default_database(), 3);
    assert_eq!(addresses(&options), ["10.0.0.1:7000"]);
    assert_eq!(self::options("redis://:only@h").password().unwrap().expose(), "only");
    assert_eq!(self::options("redis://:a@b/c@h").password().unwrap().expose(), "a@b/c");
}

#[test]
fn encryption() {
    let options = options("rediss://redis.example.com?sslProtocols=Tls13&sslHost=other");
    assert_eq!(addresses(&options), ["redis.example.com:6380"]);
    assert!(options.ssl());
    assert_eq!(options.ssl_protocols(), SslProtocols::TLS13);
    assert_eq!(options.ssl_host(), Some("other"));
    assert!(!self::options("redis://a.redis.azure.net").ssl(), "the scheme decides, not the host");
    assert!(self::options("redis+sentinel://h/m?ssl=true").ssl());
}

#[test]
fn several_servers_and_sockets() {
    let options = options("redis://a:1,b,[::1]:3");
    assert_eq!(addresses(&options), ["a:1", "b:6379", "[::1]:3"]);
    assert_eq!(options.topology(), Topology::Endpoints);
    assert_eq!(addresses(&self::options("redis+unix:///run/redis.sock?db=2")), ["!/run/redis.sock"]);
}

#[test]
fn sentinels() {
    let text = "redis+sentinel://user:pass@h1:26379,h2/mymaster/4?sentinelUser=s&sentinelPassword=t";
    let options = options(text);
    assert_eq!(options.topology(), Topology::Sentinel { service_name: "mymaster".to_owned() });
    assert_eq!(addresses(&options), ["h1:26379", "h2:26379"]);
    assert_eq!(options.default_database(), 4);
    assert_eq!(options.password().unwrap().expose(), "pass");
    assert_eq!((options.sentinel_user(), options.sentinel_password().unwrap().expose()), (Some("s"), "t"));
    assert_eq!(self::options("rediss+sentinel://:p@h/m").sentinel_password().unwrap().expose(), "p");
    assert_eq!(self::options("rediss+sentinel://h/m").ssl_host(), None, "the primary has another name");
    assert_eq!(self::options("rediss://h").ssl_host(), Some("h"));
}

#[test]
fn clusters() {
    let options = options("redis-cluster://h1,h2:7001");
    assert_eq!(options.topology(), Topology::Cluster);
    assert_eq!(addresses(&options), ["h1:6379", "h2:7001"]);
    assert_eq!(self::options("redis://h1?topology=cluster").topology(), Topology::Cluster);
}

#[test]
fn options_of_a_url_have_all_spellings_and_units() {
    let options = options(
        "redis://h?connect_timeout=2s&syncTimeout=300&async-timeout=1m&abort_on_connect_fail=yes&client_name=a%20b\
         &channel_prefix=p&keep_alive=90&connect_retry=5&$CONFIG=&$PUBLISH=PUB2&disable=INFO,PING&outage=buffer\
         &buffer_bytes=2MiB&buffer_ttl=3s&in_flight_bytes=1024&ordered_direct=true&pool_size=3&probe_period=500ms\
         &probe_timeout=1s&reconnect_retry_policy=exponential:5s:30s",
    );
    assert_eq!(options.connect_timeout(), Duration::from_secs(2));
    assert_eq!(options.sync_timeout(), Duration::from_millis(300));
    assert_eq!(options.async_timeout(), Duration::from_secs(60));
    assert!(options.abort_on_connect_fail() && options.ordered_direct());
    assert_eq!((options.client_name(), options.channel_prefix()), (Some("a b"), Some("p")));
    assert_eq!((options.keep_alive(), options.connect_retry()), (Duration::from_secs(90), 5));
    let map = options.command_map();
    assert_eq!((map.get("CONFIG"), map.get("INFO"), map.get("PUBLISH")), (None, None, Some("PUB2")));
    assert_eq!(options.outage(), OutagePolicy::Buffer { bytes: 2 << 20, ttl: Duration::from_secs(3) });
    assert_eq!((options.in_flight_bytes(), options.pool_size()), (1024, 3));
    assert_eq!(
        (options.probe_period(), options.probe_timeout()),
        (Duration::from_millis(500), Duration::from_secs(1))
    );
    let policy =
        ReconnectRetryPolicy::Exponential { delta: Duration::from_secs(5), max: Duration::from_secs(30) };
    assert_eq!(options.reconnect_retry_policy(), policy);
    assert_eq!(self::options("redis://h?outage=local_only").outage(), OutagePolicy::LocalOnly);
}

#[test]
fn defaults() {
    let options = RedisOptions::builder().endpoint("localhost").build().unwrap();
    assert_eq!(options.connect_timeout(), Duration::from_secs(5));
    assert_eq!(options.async_timeout(), Duration::from_secs(5));
    assert_eq!((options.connect_retry(), options.keep_alive()), (3, Duration::from_secs(60)));
    assert_eq!(options.outage(), OutagePolicy::Buffer { bytes: 1 << 20, ttl: Duration::from_secs(10) });
    assert_eq!((options.in_flight_bytes(), options.pool_size()), (4 << 20, 8));
    assert_eq!(
        (options.probe_period(), options.probe_timeout()),
        (Duration::from_secs(1), Duration::from_secs(2))
    );
    let policy =
        ReconnectRetryPolicy::Exponential { delta: Duration::from_millis(50), max: Duration::from_secs(1) };
    assert_eq!(options.reconnect_retry_policy(), policy);
    assert!(!options.abort_on_connect_fail() && !options.ordered_direct());
    assert_eq!(options.to_connection_string(true).unwrap(), "localhost,abortConnect=False");
}

/// The configurations of the guide to scaling out, one after the other.
#[test]
fn the_guides_configurations() {
    let basic = options("localhost:6379,ssl=false,abortConnect=false").to_builder();
    let basic = basic
        .channel_prefix("myapp")
        .connect_timeout(Duration::from_secs(5))
        .connect_retry(3)
        .build()
        .unwrap();
    assert_eq!(
        basic.to_connection_string(false).unwrap(),
        "localhost:6379,connectTimeout=5000,ssl=False,abortConnect=False,channelPrefix=myapp,connectRetry=3"
    );
    let advanced = RedisOptions::builder()
        .endpoints(["redis-primary.azure.com:6380", "redis-secondary.azure.com:6380"])
        .password("from the environment")
        .ssl(true)
        .ssl_protocols(SslProtocols::TLS12)
        .abort_on_connect_fail(false)
        .connect_retry(5)
        .reconnect_retry_policy(ReconnectRetryPolicy::exponential(Duration::from_secs(5)))
        .keep_alive(Duration::from_secs(180))
        .default_database(0)
        .client_name("machine-42")
        .build()
        .unwrap();
    assert_eq!(advanced.topology(), Topology::Endpoints);
    assert_eq!(advanced.ssl_host(), None, "each server is checked by its own name");
    assert_eq!(advanced.reconnect_retry_policy().wait(9, 0.0), Duration::from_secs(10));
    let azure = options(
        "your-redis.redis.cache.windows.net:6380,password=your-access-key,ssl=True,abortConnect=False,\
         connectTimeout=5000,syncTimeout=5000",
    );
    assert_eq!((azure.ssl(), azure.abort_on_connect_fail()), (true, false));
    let commands = ["INFO", "CONFIG", "CLUSTER", "PING", "ECHO", "CLIENT"];
    let elasticache = RedisOptions::builder()
        .endpoint("clustercfg.your-redis.abc123.use1.cache.amazonaws.com:6379")
        .command_map(CommandMap::create(commands, false).unwrap())
        .keep_alive(Duration::from_secs(180))
        .default_version(RedisVersion::new(3, 0, 0))
        .password("token")
        .build()
        .unwrap();
    assert_eq!(elasticache.topology(), Topology::Standalone);
    assert!(commands.iter().all(|command| !elasticache.command_map().is_available(command)));
    let sentinels = RedisOptions::builder()
        .endpoints([
            "sentinel1.company.com:26379",
            "sentinel2.company.com:26379",
            "sentinel3.company.com:26379",
        ])
        .command_map(CommandMap::sentinel())
        .service_name("mymaster")
        .tie_breaker("")
        .password("sentinel-password")
        .ssl(true)
        .build()
        .unwrap();
    assert_eq!(sentinels.topology(), Topology::Sentinel { service_name: "mymaster".to_owned() });
    assert!(sentinels.ssl() && sentinels.command_map().is_available("PUBLISH"), "the map is the Sentinels'");
    assert_eq!(sentinels.sentinel_password().unwrap().expose(), "sentinel-password");
    let patient =
        options("localhost").to_builder().reconnect_retry_policy(ReconnectRetryPolicy::Exponential {
            delta: Duration::from_secs(5),
            max: Duration::from_secs(30),
        });
    assert_eq!(patient.build().unwrap().reconnect_retry_policy().wait(9, 0.0), Duration::from_secs(30));
    let pooled = options("localhost").to_builder().async_timeout(Duration::from_secs(5)).pool_size(8);
    let pooled =
        pooled.reconnect_retry_policy(ReconnectRetryPolicy::linear(Duration::from_secs(5))).build().unwrap();
    assert_eq!(
        (pooled.pool_size(), pooled.reconnect_retry_policy().wait(7, 1.0)),
        (8, Duration::from_secs(5))
    );
}

/// The text, and a word that the error must have: what was wrong, or the fix.
const REFUSED: [(&str, &[&str]); 39] = [
    ("", &["empty"]),
    ("http://localhost", &["`http://`", "`redis://`", "`redis-cluster://`"]),
    ("redi://localhost", &["`redi://`", "`redis://`"]),
    ("redis+sentinal://localhost/m", &["`redis+sentinel://`"]),
    ("redis://", &["names no server"]),
    ("redis://localhost/first", &["number of a database"]),
    ("redis://localhost:70000", &["port"]),
    ("redis://user@localhost", &["`user:password@`"]),
    ("redis://localhost#x", &["%23"]),
    ("redis://:a?b@localhost", &["%3F"]),
    ("redis://:a%zz@localhost", &["%25"]),
    ("redis://localhost,ssl=true", &["behind a `?`"]),
    ("redis://localhost?ssl", &["option=value"]),
    ("redis://localhost?conect_timeout=5s", &["`conect_timeout`", "`connectTimeout`"]),
    ("redis://localhost?probeperiode=5s", &["`probePeriod`"]),
    ("redis://localhost?connect_timeout=5h", &["`connect_timeout`", "`5h`", "500ms"]),
    ("redis://localhost?connect_timeout=0", &["connectTimeout", "at least 1"]),
    ("redis://localhost?outage=wait", &["`wait`", "local_only"]),
    ("redis://localhost?disable=SUBSCRBE", &["`SUBSCRBE`", "`SUBSCRIBE`"]),
    ("redis://localhost?disable=PUBLISH", &["PUBLISH", "$PUBLISH="]),
    ("redis://localhost?pool_size=0", &["pool_size", "more than zero"]),
    ("redis://localhost?buffer_bytes=0", &["LocalOnly"]),
    ("redis://localhost?reconnect_retry_policy=linear:0", &["reconnect_retry_policy"]),
    ("redis://localhost?reconnect_retry_policy=exponential:5s:1s", &["5000:1000"]),
    ("redis://localhost?sentinelPassword=x", &["service name"]),
    ("rediss://localhost?ssl=false", &["`ssl=false`", "scheme"]),
    ("redis+sentinel://localhost", &["mymaster"]),
    ("redis+sentinel://localhost/m?disable=SENTINEL", &["SENTINEL"]),
    ("redis+sentinel://localhost/m?topology=cluster", &["`serviceName`", "Cluster"]),
    ("redis-cluster://localhost/1", &["database 0"]),
    ("redis-cluster://localhost?disable=CLUSTER", &["CLUSTER"]),
    ("redis+unix:///a.sock?topology=cluster", &["Unix socket"]),
    ("localhost,pasword=x", &["`pasword`", "`password`"]),
    ("localhost,clientName=x", &["`clientName`"]),
    ("localhost,connect timeout=5", &["`connectTimeout`"]),
    ("localhost,connectTimeout=5s", &["`connectTimeout`", "`5s`", "whole number"]),
    ("localhost,$CONFG=", &["$CONFG="]),
    ("localhost,ssl=true,sslProtocols=Tls11", &["`Tls11`", "`Tls12`"]),
    ("localhost,password=x,$AUTH=", &["AUTH"]),
];

#[test]
fn errors_name_the_word_and_the_fix() {
    for (text, words) in REFUSED {
        let error = error(text);
        for word in words {
            assert!(error.contains(word), "{text}: {error:?} lacks {word:?}");
        }
    }
}

#[test]
fn certificates_need_encryption_and_pem() {
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";
    let secure = || RedisOptions::builder().endpoint("h").ssl(true);
    let options =
        secure().client_certificate(CERTIFICATE, KEY).certificate_authority(CERTIFICATE).build().unwrap();
    assert_eq!(options.certificates().client_key.as_ref().unwrap().expose(), KEY);
    assert!(!format!("{options:?}").contains("MA=="));
    let plain = RedisOptions::builder().endpoint("h").certificate_authority(CERTIFICATE).build();
    assert!(plain.unwrap_err().to_string().contains("not encrypted"));
    let file_name = secure().certificate_authority("/etc/ca.pem").build();
    assert!(file_name.unwrap_err().to_string().contains("contents of the file"));
    let swapped = secure().client_certificate(KEY, CERTIFICATE).build();
    assert!(swapped.unwrap_err().to_string().contains("BEGIN CERTIFICATE"));
}

#[test]
fn the_hook_judges_certificates() {
    use signalr_backplane_redis::options::ServerCertificate;
    let options = RedisOptions::builder()
        .endpoint("h")
        .ssl(true)
        .certificate_validation(|server: &ServerCertificate<'_>| {
            server.problem.is_none() && server.host == "h"
        })
        .build()
        .unwrap();
    let hook = options.certificates().validation.clone().unwrap();
    assert!(hook.accept(&ServerCertificate::new("h", b"der", &[], None)));
    assert!(!hook.accept(&ServerCertificate::new("h", b"der", &[], Some("expired"))));
}

#[test]
fn what_a_connection_string_cannot_say_is_not_written() {
    let options = RedisOptions::builder().endpoint("h").password("a,b").build().unwrap();
    let error = options.to_connection_string(true).unwrap_err().to_string();
    assert!(error.contains("`password`") && !error.contains("a,b"), "{error}");
    assert_eq!(options.to_connection_string(false).unwrap(), "h,password=*****,abortConnect=False");
}

#[test]
fn written_options_read_back_as_the_same() {
    let map = CommandMap::create(["INFO", "PING"], false).unwrap().rename("SUBSCRIBE", "SUB9").unwrap();
    let built = RedisOptions::builder()
        .endpoints(["a:1", "[::1]:2", "c"])
        .command_map(map)
        .channel_prefix("p:")
        .password("secret=")
        .default_database(2)
        .ssl(true)
        .ssl_protocols(SslProtocols::TLS12.and(SslProtocols::TLS13))
        .keep_alive(Duration::from_secs(180))
        .build()
        .unwrap();
    let text = built.to_connection_string(true).unwrap();
    let again = options(&text);
    assert_eq!(again.to_connection_string(true).unwrap(), text);
    assert_eq!(again.password().unwrap().expose(), "secret=");
    assert_eq!(again.command_map().get("SUBSCRIBE"), Some("SUB9"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in ".{0,60}") {
        let _ = (RedisOptions::parse(&text).is_ok(), ConnectionString::parse(&text).is_ok());
    }

    #[test]
    fn no_url_makes_the_parsers_panic(text in "redis(s|\\+sentinel|-cluster)?://[a-z:@/?&=,%\\[\\]0-9$é-]{0,40}") {
        let accepted = RedisOptions::parse(&text).is_ok_and(|options| options.connect_to().is_empty());
        prop_assert!(!accepted, "accepted without a server");
    }

    #[test]
    fn no_connection_string_makes_the_parsers_panic(text in "([a-z:.\\[\\]0-9!$é]{0,9}[=,]?){0,8}") {
        if let Ok(options) = RedisOptions::parse(&text) {
            let written = options.to_connection_string(true).unwrap();
            let again = RedisOptions::parse(&written).unwrap();
            prop_assert_eq!(again.to_connection_string(true).unwrap(), written);
        }
    }
}
