//! The page and its client library as warp routes. The page is part of the program; the library is not part of this
//! repository: it is read, at each request, from where `cargo xtask setup` puts the npm packages, and answered with 404
//! where they are not installed (the page then takes a pinned copy from a public mirror). No hub, no sockets here.

use std::path::{Path, PathBuf};

use warp::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use warp::http::{Response, StatusCode};
use warp::{Filter, Rejection, Reply};

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page may load and talk to: this server and the mirror of the library.
const POLICY: &str = "default-src 'self'; script-src 'self' https://cdn.jsdelivr.net; connect-src 'self' ws: wss:; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PACKAGES: &str = "integration-tests/js/node_modules/@microsoft";

/// `/`, `/app.js`, `/style.css` and `/lib/...`, each for GET.
pub(crate) fn routes()
-> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone + Send + Sync + 'static {
    let index =
        warp::path::end().map(|| text("text/html; charset=utf-8", include_str!("../page/index.html")));
    let script = warp::path!("app.js").map(|| text(JAVASCRIPT, include_str!("../page/app.js")));
    let style =
        warp::path!("style.css").map(|| text("text/css; charset=utf-8", include_str!("../page/style.css")));
    let library = warp::path!("lib" / String).then(|file: String| async move { library(&file).await });
    warp::get().and(index.or(script).unify().or(style).unify().or(library).unify())
}

fn text(kind: &str, body: impl Into<String>) -> Response<String> {
    respond(StatusCode::OK, kind, body.into())
}

/// The minified build of one npm package, or 404.
async fn library(file: &str) -> Response<String> {
    let package = match file {
        "signalr.js" => "signalr",
        "signalr-protocol-msgpack.js" => "signalr-protocol-msgpack",
        _ => return respond(StatusCode::NOT_FOUND, "text/plain", String::new()),
    };
    for root in roots() {
        let path = root.join(PACKAGES).join(format!("{package}/dist/browser/{package}.min.js"));
        if let Ok(script) = tokio::fs::read_to_string(path).await {
            return text(JAVASCRIPT, script);
        }
    }
    respond(StatusCode::NOT_FOUND, "text/plain", "Not installed: run `cargo xtask setup`.".to_owned())
}

/// Where the repository may be: where this program was built, and where it was started.
fn roots() -> impl Iterator<Item = PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned);
    built.into_iter().chain(std::env::current_dir())
}

fn respond(status: StatusCode, kind: &str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    response
}
