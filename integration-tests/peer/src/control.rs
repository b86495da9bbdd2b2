//! `/control/...`: ScaleHub driven from outside, over HTTP and JSON.
//!
//! Owns the requests and answers of `dotnet-peer`: always status 200, errors as `{"error":{"type","message"}}`. Ours
//! alone are `liveBytes` in the info, with the feature `count-allocations`, and `backplane`, what its Redis cost.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signalr_hub::{ClientProxy, HubContext, HubError, HubResult, SingleClient};
use signalr_protocol::{DynamicArguments, HubProtocol, NamingPolicy, PayloadStyle, Protocol};
use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::http::header::HeaderValue;
use warp::http::{Method, Response, StatusCode};
use warp::{Filter, Rejection};

use crate::fleet;
use crate::hubs::{self, Everything, ScaleHub};
use crate::plain::{self, Plain};

/// The routes; none without the hub.
pub(crate) fn routes(
    scale: Option<HubContext<ScaleHub>>,
    stop: watch::Sender<bool>,
) -> BoxedFilter<(Response<String>,)> {
    let Some(scale) = scale else {
        return warp::any()
            .and_then(|| async { Err::<Response<String>, Rejection>(warp::reject::not_found()) })
            .boxed();
    };
    warp::path!("control" / String)
        .and(warp::method())
        .and(warp::body::bytes())
        .and_then(move |action: String, method: Method, body: Bytes| {
            let (scale, stop) = (scale.clone(), stop.clone());
            async move {
                match (action.as_str(), method) {
                    ("info", Method::GET) => Ok(answer(Ok(info()))),
                    ("info", _) => Ok(not_allowed("GET")),
                    ("send" | "group" | "invoke" | "stop", Method::POST) => {
                        Ok(answer(act(&scale, stop, &action, &body).await))
                    }
                    ("send" | "group" | "invoke" | "stop", _) => Ok(not_allowed("POST")),
                    _ => Err(warp::reject::not_found()),
                }
            }
        })
        .boxed()
}

fn not_allowed(allowed: &'static str) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert("allow", HeaderValue::from_static(allowed));
    response
}

fn answer(result: HubResult<Value>) -> Response<String> {
    let body = result.unwrap_or_else(
        |error| json!({ "error": { "type": error.type_name(), "message": error.message() } }),
    );
    let mut response = Response::new(body.to_string());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

async fn act(
    scale: &HubContext<ScaleHub>,
    stop: watch::Sender<bool>,
    action: &str,
    body: &[u8],
) -> HubResult<Value> {
    let body: Value = if body.trim_ascii().is_empty() { json!({}) } else { serde_json::from_slice(body)? };
    match action {
        "send" => send(scale, &body).await?,
        "group" => group(scale, &body).await?,
        "invoke" => return invoke(scale, &body).await,
        _ => stop_soon(stop),
    }
    Ok(json!({ "ok": true }))
}

async fn send(scale: &HubContext<ScaleHub>, body: &Value) -> HubResult<()> {
    let target = target(scale, body)?;
    let (method, args) = (text(body, "method")?, DynamicArguments(values(body)?));
    match target {
        Target::Many(clients) => clients.send(&method, args).await,
        Target::One(client) => client.send(&method, args).await,
    }
}

enum Target {
    Many(ClientProxy),
    One(SingleClient),
}

fn target(scale: &HubContext<ScaleHub>, body: &Value) -> HubResult<Target> {
    let clients = scale.clients();
    let (ids, except) = (strings(body, "ids")?, strings(body, "except")?);
    let first = || match &ids[..] {
        [only] => Ok(only.clone()),
        _ => Err(argument("this target needs exactly one id".to_owned())),
    };
    Ok(Target::Many(match text(body, "target")?.as_str() {
        "all" => clients.all(),
        "allExcept" => clients.all_except(except),
        "client" => return Ok(Target::One(clients.client(first()?))),
        "clients" => clients.clients(ids),
        "group" => clients.group(first()?),
        "groups" => clients.groups(ids),
        "groupExcept" => clients.group_except(first()?, except),
        "user" => clients.user(first()?),
        "users" => clients.users(ids),
        other => return Err(argument(format!("unknown target '{other}'"))),
    }))
}

async fn group(scale: &HubContext<ScaleHub>, body: &Value) -> HubResult<()> {
    let (id, group) = (text(body, "connectionId")?, text(body, "group")?);
    match text(body, "action")?.as_str() {
        "add" => scale.groups().add(id, group).await,
        "remove" => scale.groups().remove(id, group).await,
        other => Err(argument(format!("unknown action '{other}'"))),
    }
}

async fn invoke(scale: &HubContext<ScaleHub>, body: &Value) -> HubResult<Value> {
    let client = scale.clients().client(text(body, "connectionId")?);
    let time =
        Duration::from_millis(body["timeoutMs"].as_u64().filter(|ms| *ms > 0).unwrap_or(u64::from(u32::MAX)));
    let asked = tokio::time::timeout(time, ask(&client, body)).await;
    let result = asked.map_err(|_| HubError::named("TaskCanceledException", "A task was canceled."))??;
    Ok(json!({ "result": result }))
}

async fn ask(client: &SingleClient, body: &Value) -> HubResult<Value> {
    async fn typed<R: DeserializeOwned + serde::Serialize>(
        client: &SingleClient,
        body: &Value,
    ) -> HubResult<Value> {
        let result: R = client.invoke(&text(body, "method")?, DynamicArguments(values(body)?)).await?;
        // As the reference's serialiser without settings: names as declared.
        let style = PayloadStyle::dotnet(Protocol::Json).names(NamingPolicy::PascalCase);
        let mut out = Vec::new();
        HubProtocol::new(Protocol::Json).with_style(style).write_value(&mut out, &result)?;
        Ok(serde_json::from_slice(&out)?)
    }
    match body["type"].as_str().unwrap_or("object") {
        "int" => typed::<i32>(client, body).await,
        "double" => typed::<f64>(client, body).await,
        "bool" => typed::<bool>(client, body).await,
        "string" => typed::<Option<String>>(client, body).await,
        "ints" => typed::<Option<Vec<i32>>>(client, body).await,
        "everything" => typed::<Option<Everything>>(client, body).await,
        "object" => {
            let args = DynamicArguments(values(body)?);
            Ok(plain::to_json(&client.invoke::<rmpv::Value>(&text(body, "method")?, args).await?))
        }
        other => Err(argument(format!("unknown type '{other}'"))),
    }
}

/// After the answer: stopping waits for connections, this one among them.
fn stop_soon(stop: watch::Sender<bool>) {
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.send_replace(true);
    });
}

fn info() -> Value {
    let live = hubs::live();
    json!({
        "pid": std::process::id(),
        "hub": "Peer.ScaleHub",
        "machine": hubs::machine_name(),
        "name": hubs::server_name(),
        "connections": live.len(),
        "ids": live.iter().map(|(id, user)| json!({ "id": id, "user": user })).collect::<Vec<_>>(),
        "runtime": "rust",
        "signalr": env!("CARGO_PKG_VERSION"),
        "redisClient": null,
        "messagePack": null,
        "serverGc": false,
        "liveBytes": live_bytes(),
        "backplane": fleet::report(),
    })
}

#[cfg(feature = "count-allocations")]
fn live_bytes() -> Option<usize> {
    Some(crate::allocator::live_bytes())
}

#[cfg(not(feature = "count-allocations"))]
fn live_bytes() -> Option<usize> {
    None
}

fn argument(message: String) -> HubError {
    HubError::named("ArgumentException", message)
}

fn text(body: &Value, name: &str) -> HubResult<String> {
    match &body[name] {
        Value::Null => Err(argument(format!("'{name}' is missing"))),
        Value::String(text) => Ok(text.clone()),
        other => Ok(other.to_string()),
    }
}

fn items<'a>(body: &'a Value, name: &str) -> HubResult<&'a [Value]> {
    match &body[name] {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        _ => Err(argument(format!("'{name}' must be an array"))),
    }
}

fn strings(body: &Value, name: &str) -> HubResult<Vec<String>> {
    let strings =
        items(body, name)?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
    strings.ok_or_else(|| argument(format!("'{name}' must be an array of strings")))
}

fn values(body: &Value) -> HubResult<Vec<Plain>> {
    Ok(items(body, "args")?.iter().cloned().map(Plain).collect())
}
