//! TLS with certificates on both sides, and what is refused, with real certificates and a real Redis.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use signalr_backplane_redis::options::{CommandMap, RedisOptionsBuilder, SslProtocols};
use signalr_backplane_redis::{RedisBackplane, RedisOptions, deadpool_redis::redis};
use signalr_core::{Backplane, BackplaneError, BackplaneErrorKind, BackplaneState, Outcome, Topic};
use signalr_testkit::conformance::Fleet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::comes_true;
use support::secure::{Authority, TlsServer, restrict};
use support::sentinel::Trio;
use support::sink::Node;

const PATIENCE: Duration = Duration::from_secs(20);

/// Everything at once: TLS, certificates on both sides, a user who may use the channels of one prefix and nothing else.
struct SecuredFleet(TlsServer);

impl SecuredFleet {
    fn start() -> Self {
        let server =
            TlsServer::start(&["redis.test", "localhost", "127.0.0.1"], &["--tls-auth-clients", "yes"]);
        restrict(&server.plain, "app", "open-sesame", "fleet:");
        Self(server)
    }

    fn options(&self) -> RedisOptionsBuilder {
        let client = self.0.authority.identity(&["server-1"]);
        let url = format!("rediss://app:open-sesame@127.0.0.1:{}?channelPrefix=fleet:", self.0.port);
        RedisOptions::parse(&url)
            .unwrap()
            .to_builder()
            .certificate_authority(self.0.authority.root())
            .client_certificate(client.certificate, client.key)
    }
}

#[async_trait::async_trait]
impl Fleet for SecuredFleet {
    async fn server(&self) -> Arc<dyn Backplane> {
        Arc::new(RedisBackplane::new(self.options().build().unwrap()).await.unwrap())
    }
}

signalr_testkit::backplane_conformance!(SecuredFleet::start());

/// The first attempt's end.
async fn attempt(options: RedisOptionsBuilder) -> Result<RedisBackplane, BackplaneError> {
    let options = options.abort_on_connect_fail(true).connect_retry(1);
    RedisBackplane::new(options.build().unwrap()).await
}

async fn assert_refused(options: RedisOptionsBuilder, word: &str) {
    let error = attempt(options).await.unwrap_err();
    assert_eq!(error.kind(), BackplaneErrorKind::Refused, "{error}");
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains(word), "{error}");
}

/// The server says why it refuses a client's certificate after the handshake, and the reason may be lost with the
/// connection: then the next attempt shows it.
async fn assert_refused_by_the_server(options: RedisOptionsBuilder) {
    for _ in 0..100 {
        let error = attempt(options.clone()).await.unwrap_err();
        if error.kind() == BackplaneErrorKind::Refused {
            assert!(error.to_string().contains("client certificate"), "{error}");
            return;
        }
    }
    panic!("the reason never came through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secured_fleet_outlives_its_redis() {
    let mut fleet = SecuredFleet::start();
    let (a, b) = (attempt(fleet.options()).await.unwrap(), attempt(fleet.options()).await.unwrap());
    let (a, b) = (Node::join(a).await, Node::join(b).await);
    let topic = Topic::group("g");
    b.subscribe(&topic).await;
    assert_eq!(a.say(&topic, 1).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || b.log.len() == 1).await);
    fleet.0.plain.kill();
    a.reaches(BackplaneState::Down).await;
    b.reaches(BackplaneState::Down).await;
    fleet.0.plain.restart();
    restrict(&fleet.0.plain, "app", "open-sesame", "fleet:");
    a.reaches(BackplaneState::Up).await;
    b.reaches(BackplaneState::Up).await;
    assert_eq!(a.say(&topic, 2).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || b.log.len() == 2).await);
    assert_eq!(b.log.numbers(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_or_client_without_the_right_certificate_is_refused() {
    let fleet = SecuredFleet::start();
    let strange = Authority::new();
    assert_refused(fleet.options().certificate_authority(strange.root()), "certificate authority").await;
    let mine = strange.identity(&["server-1"]);
    assert_refused_by_the_server(fleet.options().client_certificate(mine.certificate, mine.key)).await;
    let none =
        fleet.options().certificates(Default::default()).certificate_authority(fleet.0.authority.root());
    assert_refused_by_the_server(none).await;
    assert_refused(fleet.options().ssl_host("elsewhere.test"), "ssl_host").await;
    assert!(attempt(fleet.options().ssl_host("redis.test")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_plain_ports_are_told_apart() {
    let fleet = SecuredFleet::start();
    let plain = RedisOptions::builder().endpoint(&format!("127.0.0.1:{}", fleet.0.port));
    assert!(attempt(plain).await.unwrap_err().is_transient());
    let address = format!("rediss://127.0.0.1:{}", fleet.0.plain.port());
    let secured = RedisOptions::parse(&address).unwrap().to_builder();
    let secured = secured.certificate_authority(fleet.0.authority.root());
    let error = attempt(secured.connect_timeout(Duration::from_millis(500))).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("TLS"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_versions_of_tls_are_those_that_were_asked_for() {
    let server =
        TlsServer::start(&["127.0.0.1"], &["--tls-auth-clients", "no", "--tls-protocols", "TLSv1.2"]);
    let options = |versions| {
        let address = format!("127.0.0.1:{}", server.port);
        let options = RedisOptions::builder().endpoint(&address).ssl(true).ssl_protocols(versions);
        options.certificate_authority(server.authority.root())
    };
    assert!(attempt(options(SslProtocols::TLS12)).await.is_ok());
    assert!(attempt(options(SslProtocols::NONE)).await.is_ok());
    assert_refused(options(SslProtocols::TLS13), "TLS versions").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_application_judges_certificates_after_the_usual_check() {
    let fleet = SecuredFleet::start();
    let seen = Arc::<Mutex<Vec<(String, Option<String>)>>>::default();
    let judged = |options: RedisOptionsBuilder, verdict: bool| {
        let seen = seen.clone();
        options.certificate_validation(
            move |server: &signalr_backplane_redis::options::ServerCertificate<'_>| {
                assert!(!server.certificate.is_empty());
                seen.lock().unwrap().push((server.host.to_owned(), server.problem.map(str::to_owned)));
                verdict
            },
        )
    };
    assert_refused(judged(fleet.options(), false), "validation of the application").await;
    let strange = Authority::new().root();
    let lenient = attempt(judged(fleet.options().certificate_authority(strange.as_str()), true)).await;
    assert!(lenient.is_ok(), "the hook has the last word");
    assert_refused(judged(fleet.options().certificate_authority(strange), false), "invalid peer certificate")
        .await;
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(host, _)| host == "127.0.0.1"), "{seen:?}");
    let good = seen.iter().filter(|(_, problem)| problem.is_none()).count();
    assert!(good > 0 && good < seen.len(), "{seen:?}");
}

#[test]
fn certificates_that_cannot_be_read_are_errors_of_the_configuration() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let authority = Authority::new();
    let (one, two) = (authority.identity(&["one"]), authority.identity(&["two"]));
    let options = || RedisOptions::builder().endpoint("127.0.0.1:1").ssl(true);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for options in [
        options().certificate_authority(broken),
        options()
            .certificate_authority(authority.root())
            .client_certificate(one.certificate, two.key.as_str()),
    ] {
        // Although it is otherwise the way of options built in code to wait for a Redis that is not there.
        let error = runtime.block_on(RedisBackplane::new(options.build().unwrap())).unwrap_err();
        assert_eq!(error.kind(), BackplaneErrorKind::Config, "{error}");
        assert!(!error.to_string().contains(&two.key));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_goes_the_same_way() {
    let fleet = SecuredFleet::start();
    assert_eq!(fleet.0.plain.ask("ACL SETUSER app +set +get ~*"), "+OK");
    let backplane = RedisBackplane::new(fleet.options().build().unwrap()).await.unwrap();
    for value in 0..3 {
        let mut connection = backplane.pool().get().await.unwrap();
        redis::cmd("SET").arg("key").arg(value).exec_async(&mut connection).await.unwrap();
        let read: u32 = redis::cmd("GET").arg("key").query_async(&mut connection).await.unwrap();
        assert_eq!(read, value);
    }
    assert_eq!(backplane.pool().status().size, 1, "one connection was used again");
    assert!(backplane.pool().deadpool().await.unwrap().is_none(), "certificates are judged by ourselves");
}

async fn assert_works(options: RedisOptions) {
    let node = Node::join(RedisBackplane::new(options).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    assert_eq!(node.say(&topic, 1).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 1).await);
}

/// The string that Azure gives its customers, to a server of that shape: TLS without a client's certificate, one key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_string_of_azures_cache_reaches_a_server_of_its_shape() {
    let arguments = ["--tls-auth-clients", "no", "--requirepass", "your-access-key"];
    let server = TlsServer::start(&["127.0.0.1"], &arguments);
    let text = format!(
        "127.0.0.1:{},password=your-access-key,ssl=True,abortConnect=False,connectTimeout=5000,syncTimeout=5000",
        server.port
    );
    let options = RedisOptions::parse(&text).unwrap().to_builder();
    assert_works(options.certificate_authority(server.authority.root()).build().unwrap()).await;
}

/// The guide's configuration for Sentinel, but for encryption (`integration-tests` has that).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_configuration_for_sentinel_reaches_the_primary() {
    let trio = Trio::without_replica();
    let text = trio.url();
    let addresses = text.trim_start_matches("redis+sentinel://").trim_end_matches("/mymaster");
    let options = RedisOptions::builder().endpoints(addresses.split(',')).command_map(CommandMap::sentinel());
    assert_works(options.service_name("mymaster").tie_breaker("").build().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_come_from_the_applications_factory() {
    let fleet = SecuredFleet::start();
    let (port, calls) = (fleet.0.port, Arc::<AtomicU32>::default());
    let counted = calls.clone();
    let client = fleet.0.authority.identity(&["server-2"]);
    // A name that only the factory knows how to reach; the certificate is checked against it.
    let options = RedisOptions::builder()
        .endpoint("redis.test:1")
        .ssl(true)
        .user("app")
        .password("open-sesame")
        .channel_prefix("fleet:")
        .certificate_authority(fleet.0.authority.root())
        .client_certificate(client.certificate, client.key)
        .connection_factory(move |server| {
            let call = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                assert_eq!(server.to_string(), "redis.test:1");
                if call < 3 {
                    return Err(std::io::Error::other("the tunnel is not there yet"));
                }
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await
            }
        });
    let node = Node::join(RedisBackplane::new(options.build().unwrap()).await.unwrap()).await;
    node.reaches(BackplaneState::Up).await;
    assert!(calls.load(Ordering::Relaxed) >= 5);
    let topic = Topic::group("g");
    node.subscribe(&topic).await;
    assert_eq!(node.say(&topic, 1).await, Ok(Outcome::Receivers(1)));
    assert!(comes_true(PATIENCE, || node.log.len() == 1).await);
}
