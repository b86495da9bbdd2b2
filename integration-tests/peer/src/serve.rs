//! The server put together: hubs on their paths, addresses, and an orderly end.
//!
//! Owns two SignalR servers. Bench and scale are answered by the accept loop itself, as a bare server does; the hubs of
//! the suites are routes behind what their test apps do to requests (`suites`).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures_util::future::try_join_all;
use signalr_core::{ConnectInfo, RequestHead, TransportKind, User};
use signalr_hub::{HubContext, HubEndpoint, HubOptions};
use signalr_protocol::{Compression, NamingPolicy};
use signalr_transport::{Denied, EndpointOptions, Server, bearer_token};
use signalr_warp::{Serving, Tls};
use tokio::sync::watch;
use warp::Filter;

use crate::options::{Address, ServeOptions};
use crate::tokens::Tokens;
use crate::{control, fleet, hubs, suites};

/// How long connections may take to end.
const DRAIN: Duration = Duration::from_secs(5);

const WITHOUT_WEBSOCKETS: [TransportKind; 2] = [TransportKind::ServerSentEvents, TransportKind::LongPolling];

/// Serves until SIGINT, SIGTERM or `POST /control/stop`.
pub(crate) async fn run(options: ServeOptions) -> Result<()> {
    if let Some(name) = &options.name {
        hubs::set_server_name(name.clone());
    }
    let (stop, stopped) = watch::channel(false);
    let tokens = Arc::new(Tokens::new(options.token_life)?);
    let mut hubs = Vec::new();
    let (suite, test) = suite_server(&options, &tokens, &mut hubs);
    if !options.hubs.iter().any(|hub| hub == "suite") {
        hubs.clear();
    }
    let (server, scale) = bare_server(&options, &tokens, suite.clone(), &mut hubs);
    fleet::join(&options, &hubs).await?;
    let scale = options.hubs.iter().any(|hub| hub == "scale").then_some(scale);
    let routes = control::routes(scale, stop)
        .or(suites::routes(suite, test, tokens, options.hubs.iter().any(|hub| hub == "suite")))
        .boxed();
    let (mut serving, mut listening) = (Vec::new(), Vec::new());
    for address in &options.addresses {
        let bound = Serving::bind(server.clone(), address.socket).await;
        let mut bound = bound.map_err(|error| cannot_bind(*address, &error))?;
        if address.secure {
            bound = bound.with_tls(self_signed()?);
        }
        listening.push(Address { socket: bound.local_addr(), ..*address });
        serving.push(bound.with_routes(routes.clone()).drain(DRAIN).until(end(stopped.clone())?));
    }
    for address in &listening {
        println!("Now listening on: {address}");
    }
    try_join_all(serving.into_iter().map(Serving::run)).await?;
    Ok(())
}

/// A certificate for this machine, made at every start.
fn self_signed() -> Result<Tls> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    Ok(Tls::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())?)
}

fn cannot_bind(address: Address, error: &signalr_warp::ServeError) -> anyhow::Error {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(at) = cause {
        if at.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::AddrInUse) {
            return anyhow!("Failed to bind to address {address}: address already in use.");
        }
        cause = at.source();
    }
    anyhow!("Failed to bind to address {address}: {error}")
}

/// Ready when the server shall end.
fn end(mut stopped: watch::Receiver<bool>) -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            // Without control requests there is nobody who could stop it.
            Ok(_) = stopped.wait_for(|stop| *stop) => {}
        }
    })
}

/// `/bench` and `/scale`.
fn bare_server(
    options: &ServeOptions,
    tokens: &Arc<Tokens>,
    suite: Server,
    joining: &mut Vec<Arc<HubEndpoint>>,
) -> (Server, HubContext<hubs::ScaleHub>) {
    let mut plain = hub_options(options, false);
    plain.dotnet_payloads();
    if options.has_declared_names {
        plain.json_payloads = plain.json_payloads.names(NamingPolicy::PascalCase);
    }
    let scale = HubEndpoint::new(hubs::ScaleHub, plain.clone());
    let context = scale.context();
    let mut builder = Server::builder();
    if let Some(timeout) = options.disconnect_timeout {
        builder = builder.disconnect_timeout(timeout);
    }
    for hub in &options.hubs {
        builder = match hub.as_str() {
            "bench" => {
                let bench = HubEndpoint::new(hubs::BenchHub, plain.clone());
                joining.push(bench.clone());
                builder.endpoint("/bench", bench.handler(), endpoint(options))
            }
            "scale" => {
                let endpoint = endpoint(options).authenticate(anybody(tokens.clone()));
                joining.push(scale.clone());
                builder.endpoint("/scale", scale.handler(), endpoint)
            }
            _ => builder,
        };
    }
    let joined = joining.clone();
    let members = joining.clone();
    let builder = builder.on_stopping(move || async move { fleet::catch_up(&members).await });
    let builder = builder.on_stop(move || {
        let (suite, joined) = (suite.clone(), joined.clone());
        async move {
            suite.stop(DRAIN).await;
            fleet::leave(&joined).await;
        }
    });
    (builder.build(), context)
}

/// The hubs of the official functional suites. Their apps always show errors.
fn suite_server(
    options: &ServeOptions,
    tokens: &Arc<Tokens>,
    joining: &mut Vec<Arc<HubEndpoint>>,
) -> (Server, HubContext<hubs::TestHub>) {
    let detailed = hub_options(options, true);
    let open = || endpoint(options).authenticate(anybody(tokens.clone()));
    let test = HubEndpoint::new(hubs::TestHub, detailed.clone());
    let default = HubEndpoint::of(hubs::default_hub(), detailed.clone());
    joining.extend([test.clone(), default.clone()]);
    let mut hub = |hub: HubEndpointOf| {
        let hub = hub(detailed.clone());
        joining.push(hub.clone());
        hub.handler()
    };
    let mut builder = Server::builder();
    if let Some(timeout) = options.disconnect_timeout {
        builder = builder.disconnect_timeout(timeout);
    }
    let server = builder
        .endpoint("/testhub", test.handler(), open())
        .endpoint("/testhub-nowebsockets", test.handler(), open().transports(WITHOUT_WEBSOCKETS))
        .endpoint("/uncreatable", hub(|options| HubEndpoint::of(hubs::uncreatable_hub(), options)), open())
        .endpoint(
            "/authorizedhub",
            hub(|options| HubEndpoint::of(hubs::authorized_hub("Peer.AuthorizedHub"), options)),
            open(),
        )
        .endpoint(
            "/authorizedhub2",
            hub(|options| HubEndpoint::of(hubs::authorized_hub("Peer.AuthorizedHub2"), options)),
            open(),
        )
        .endpoint("/echo", Arc::new(hubs::EchoHandler), open())
        .endpoint("/default", default.handler(), open().allow_stateful_reconnects(true))
        .endpoint("/default-nowebsockets", default.handler(), open().transports(WITHOUT_WEBSOCKETS))
        .endpoint("/negotiateProtocolVersion12", default.handler(), open().minimum_protocol_version(12))
        .endpoint("/negotiateProtocolVersionNegative", default.handler(), open().minimum_protocol_version(-1))
        .endpoint("/dynamic", hub(|options| HubEndpoint::of(hubs::dynamic_hub(), options)), open())
        .endpoint("/hubT", hub(|options| HubEndpoint::of(hubs::typed_hub(), options)), open())
        .build();
    (server, test.context())
}

type HubEndpointOf = fn(HubOptions) -> Arc<HubEndpoint>;

fn hub_options(options: &ServeOptions, always_detailed: bool) -> HubOptions {
    let mut hub = HubOptions::default();
    hub.detailed_errors = options.detailed_errors || always_detailed;
    hub.protocols = options.protocols.clone();
    hub.compression = if options.lz4 { Compression::Lz4BlockArray } else { Compression::None };
    hub.handshake_timeout = options.handshake_timeout.unwrap_or(hub.handshake_timeout);
    hub.keep_alive_interval = options.keep_alive.unwrap_or(hub.keep_alive_interval);
    hub.client_timeout = options.client_timeout.unwrap_or(hub.client_timeout);
    if let Some(bytes) = options.max_receive {
        hub.maximum_receive_message_size = (bytes > 0).then_some(bytes);
    }
    hub.stream_buffer_capacity = options.stream_buffer.unwrap_or(hub.stream_buffer_capacity);
    hub.stateful_reconnect_buffer_size =
        options.stateful_buffer.unwrap_or(hub.stateful_reconnect_buffer_size);
    hub.maximum_parallel_invocations = options.parallel.unwrap_or(hub.maximum_parallel_invocations);
    hub.user_id(user_id);
    hub
}

fn endpoint(options: &ServeOptions) -> EndpointOptions {
    let mut endpoint = EndpointOptions::new()
        .close_on_authentication_expiration(options.close_on_auth_expiry)
        .allow_stateful_reconnects(options.stateful);
    if let Some(timeout) = options.send_timeout {
        endpoint = endpoint.send_timeout(timeout);
    }
    if let Some(timeout) = options.close_timeout {
        endpoint = endpoint.close_timeout(timeout);
    }
    if let Some(timeout) = options.poll_timeout {
        endpoint = endpoint.poll_timeout(timeout);
    }
    if let Some(bytes) = options.transport_buffer {
        endpoint = endpoint.transport_max_buffer_size(bytes);
    }
    if let Some(bytes) = options.application_buffer {
        endpoint = endpoint.application_max_buffer_size(bytes);
    }
    endpoint
}

/// Query `user`, else the name identifier claim, else the header that the .NET suite uses.
fn user_id(info: &ConnectInfo) -> Option<String> {
    let filled = |text: String| (!text.is_empty()).then_some(text);
    let claim = || info.user.as_ref()?.id().map(str::to_owned).and_then(filled);
    let header = || info.request.header("Super-Insecure-UserName").map(str::to_owned).and_then(filled);
    info.request.query_value("user").and_then(filled).or_else(claim).or_else(header)
}

type Known = std::future::Ready<Result<Option<User>, Denied>>;

/// A good token names a user; without one, or with a bad one, the client is anonymous.
fn anybody(tokens: Arc<Tokens>) -> impl Fn(RequestHead) -> Known + Send + Sync + 'static {
    move |request| std::future::ready(Ok(bearer_token(&request).and_then(|token| tokens.read(&token))))
}
