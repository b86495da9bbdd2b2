//! The table of test suites: what `test` runs, under which name, with which needs and time budget.
//!
//! Rust suites come from the workspace's own test targets, grouped: one per crate, and one each for vectors, conformance,
//! compile errors (`trybuild`) and every file of `integration-tests/tests`. The real clients' suites are found by their folders.
//! Decides what there is; `test` runs it.

use std::path::Path;
use std::time::Duration;

use cargo_metadata::{Package, Target};

use crate::setup::Need;
use crate::workspace::Workspace;

/// One named group of tests.
#[derive(Debug, Clone)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) needs: Vec<Need>,
    pub(crate) budget: Duration,
    pub(crate) work: Work,
    /// Running no test is no failure here.
    pub(crate) may_be_empty: bool,
}

impl Suite {
    /// Whether its tests start our servers.
    pub(crate) fn starts_servers(&self) -> bool {
        match &self.work {
            Work::Programs(targets) => targets.iter().any(|t| t.package == INTEGRATION && t.kind == "test"),
            Work::Doctests => false,
            Work::Node(_) | Work::Python => true,
        }
    }
}

/// How a suite is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// Built test programs, one after the other.
    Programs(Vec<TestTarget>),
    /// The examples in the documentation.
    Doctests,
    /// Files for node's own test runner, in `integration-tests/js`.
    Node(Vec<String>),
    /// pytest in `integration-tests/python`.
    Python,
}

/// A test program by what cargo calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestTarget {
    pub(crate) package: String,
    pub(crate) target: String,
    /// `lib`, `bin` or `test`.
    pub(crate) kind: String,
}

/// Every suite of this workspace, in the order in which they run: cheap ones first.
pub(crate) fn all(workspace: &Workspace) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    for package in workspace.members() {
        for target in package.targets.iter().filter(|target| target.test) {
            add_target(&mut suites, package, target);
        }
    }
    suites.sort_by_key(|suite| (rank(suite), suite.name.clone()));
    suites.push(Suite {
        name: "doctests".to_owned(),
        about: "the examples in the documentation".to_owned(),
        needs: Vec::new(),
        budget: Duration::from_secs(900),
        work: Work::Doctests,
        may_be_empty: false,
    });
    add_node(&mut suites, &workspace.js());
    add_clusters(&mut suites, &workspace.js());
    if workspace.python().join("requirements.txt").is_file() {
        suites.push(Suite {
            name: "python".to_owned(),
            about: "Python client against our server".to_owned(),
            needs: vec![Need::PythonPackages],
            budget: Duration::from_secs(300),
            work: Work::Python,
            may_be_empty: false,
        });
    }
    suites
}

fn add_target(suites: &mut Vec<Suite>, package: &Package, target: &Target) {
    let Some(kind) = kind_of(target) else { return };
    let target =
        TestTarget { package: package.name.to_string(), target: target.name.clone(), kind: kind.to_owned() };
    let name = suite_name(&target);
    let needs = needs_of(&target);
    if let Some(suite) = suites.iter_mut().find(|suite| suite.name == name) {
        if let Work::Programs(programs) = &mut suite.work {
            programs.push(target);
        }
        suite.needs.extend(needs.into_iter().filter(|need| !suite.needs.contains(need)).collect::<Vec<_>>());
        return;
    }
    let budget = budget_of(&name, &target);
    let about = about(&name, &target);
    let is_example = package.manifest_path.components().any(|folder| folder.as_str() == "examples");
    let is_thin = is_example || THIN.contains(&target.package.as_str());
    let may_be_empty = is_thin && target.kind != "test";
    suites.push(Suite { name, about, needs, budget, work: Work::Programs(vec![target]), may_be_empty });
}

/// What cargo's many kinds come to; None for what holds no tests (examples, benches, build scripts).
pub(crate) fn kind_of(target: &Target) -> Option<&'static str> {
    if target.is_test() {
        return Some("test");
    }
    if target.is_bin() {
        return Some("bin");
    }
    (target.is_lib() || target.is_proc_macro()).then_some("lib")
}

/// The suite to which a target belongs.
fn suite_name(target: &TestTarget) -> String {
    let topic = target.target.as_str();
    if target.kind == "test" {
        if target.package == INTEGRATION {
            return topic.replace('_', "-");
        }
        for (prefix, name) in [
            ("vectors", "vectors"),
            ("conformance", "conformance"),
            ("trybuild", "trybuild"),
            ("ui", "trybuild"),
            ("compile_fail", "trybuild"),
        ] {
            if topic.starts_with(prefix) {
                return name.to_owned();
            }
        }
    }
    target.package.trim_start_matches("signalr-").to_owned()
}

fn needs_of(target: &TestTarget) -> Vec<Need> {
    let mut needs = Vec::new();
    if target.kind == "test" && target.package == INTEGRATION && target.target.contains("dotnet") {
        needs.push(Need::DotnetPeer);
    }
    // Vectors of the Redis wire format are data, whatever their name.
    if target.target.starts_with("vectors") {
        return needs;
    }
    let is_of_redis = target.target.contains("redis") || target.target.starts_with("cluster");
    if target.package == "signalr-backplane-redis" || is_of_redis {
        needs.push(Need::Redis);
    }
    if target.target.ends_with("redis5") {
        needs.push(Need::Redis5);
    }
    needs
}

fn budget_of(name: &str, target: &TestTarget) -> Duration {
    Duration::from_secs(match name {
        // It compiles a small program per case.
        "trybuild" => 420,
        _ if target.package == INTEGRATION => 300,
        _ => 240,
    })
}

fn about(name: &str, target: &TestTarget) -> String {
    match name {
        "vectors" => "the reference's data files, entry by entry".to_owned(),
        "conformance" => "the written contract of every backplane".to_owned(),
        "trybuild" => "compile errors of the macros".to_owned(),
        _ if target.package == INTEGRATION && target.kind == "test" => {
            format!("integration-tests/tests/{}.rs", target.target)
        }
        _ => format!("unit and integration tests of {}", target.package),
    }
}

fn rank(suite: &Suite) -> u8 {
    match (&suite.work, suite.name.as_str()) {
        (Work::Programs(_), "vectors") => 1,
        (Work::Programs(_), "conformance") => 2,
        (Work::Programs(_), "trybuild") => 3,
        (Work::Programs(programs), _) if programs.iter().any(|program| program.package == INTEGRATION) => 4,
        _ => 0,
    }
}

/// The page in a browser is a suite of its own, and so are the page of a fleet on Redis and the client behind proxies;
/// everything else that node runs is one.
fn add_node(suites: &mut Vec<Suite>, folder: &Path) {
    let (browser, client): (Vec<String>, Vec<String>) =
        node_tests(folder).into_iter().partition(|file| file.starts_with("browser"));
    let (fleet, browser): (Vec<String>, Vec<String>) =
        browser.into_iter().partition(|file| file.starts_with("browser-redis"));
    let (proxies, client): (Vec<String>, Vec<String>) =
        client.into_iter().partition(|file| file.starts_with("proxies"));
    if !proxies.is_empty() {
        suites.push(Suite {
            name: "proxies".to_owned(),
            about: "the official JavaScript client behind nginx and haproxy that buffer and compress"
                .to_owned(),
            needs: vec![Need::NodePackages, Need::Nginx, Need::Haproxy],
            budget: Duration::from_secs(120),
            work: Work::Node(proxies),
            may_be_empty: false,
        });
    }
    let (matrix, client): (Vec<String>, Vec<String>) =
        client.into_iter().partition(|file| file.starts_with("matrix-"));
    suites.extend(matrix.into_iter().map(matrix_suite));
    if !client.is_empty() {
        suites.push(Suite {
            name: "js".to_owned(),
            about: "the official JavaScript client against our server".to_owned(),
            needs: vec![Need::NodePackages],
            budget: Duration::from_secs(300),
            work: Work::Node(client),
            may_be_empty: false,
        });
    }
    if !browser.is_empty() {
        suites.push(Suite {
            name: "browser".to_owned(),
            about: "the chat page in headless Chromium".to_owned(),
            needs: vec![Need::NodePackages, Need::Chromium],
            budget: Duration::from_secs(300),
            work: Work::Node(browser),
            may_be_empty: false,
        });
    }
    if !fleet.is_empty() {
        suites.push(Suite {
            name: "browser-redis".to_owned(),
            about: "the chat page on two servers that share a Redis, in headless Chromium".to_owned(),
            needs: vec![Need::NodePackages, Need::Chromium, Need::Redis],
            budget: Duration::from_secs(180),
            work: Work::Node(fleet),
            may_be_empty: false,
        });
    }
}

/// One client of the matrix: `matrix-CLIENT.test.mjs`.
fn matrix_suite(file: String) -> Suite {
    let name = file.trim_end_matches(".test.mjs").to_owned();
    let mut needs = vec![Need::NodePackages];
    needs.extend(name.contains("browser").then_some(Need::Chromium));
    needs.extend(name.contains("dotnet").then_some(Need::DotnetPeer));
    Suite {
        about: "one client by every transport and protocol, feature by feature; prints a table".to_owned(),
        name,
        needs,
        budget: Duration::from_secs(120),
        work: Work::Node(vec![file]),
        may_be_empty: false,
    }
}

/// Suites of fleets: each file of `integration-tests/js/cluster` is one.
fn add_clusters(suites: &mut Vec<Suite>, folder: &Path) {
    for file in node_tests(&folder.join("cluster")) {
        let topic = file.split('.').next().unwrap_or(&file);
        let mut needs = vec![Need::NodePackages, Need::Redis];
        if topic.contains("mixed") {
            needs.push(Need::DotnetPeer);
        }
        if topic == "elastic" {
            needs.push(Need::Haproxy);
        }
        suites.push(Suite {
            name: format!("cluster-{topic}"),
            about: format!("several servers on one Redis: integration-tests/js/cluster/{file}"),
            needs,
            budget: Duration::from_secs(120),
            work: Work::Node(vec![format!("cluster/{file}")]),
            may_be_empty: false,
        });
    }
}

fn node_tests(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".test.mjs") || name.ends_with(".test.js"))
        .collect();
    files.sort();
    files
}

const INTEGRATION: &str = "signalr-integration-tests";

/// Like the examples, thin programs and support code, tested by the suites that use them; what tests they have is run all the same.
const THIN: &[&str] = &["peer", "signalr-benches", INTEGRATION];

#[cfg(test)]
mod tests {
    use super::*;

    fn target(package: &str, target: &str, kind: &str) -> TestTarget {
        TestTarget { package: package.to_owned(), target: target.to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn targets_find_their_suites() {
        assert_eq!(suite_name(&target("signalr-core", "signalr_core", "lib")), "core");
        assert_eq!(suite_name(&target("signalr-core", "outbox", "test")), "core");
        assert_eq!(suite_name(&target("signalr-protocol", "vectors_lz4", "test")), "vectors");
        assert_eq!(suite_name(&target("signalr-backplane-memory", "conformance", "test")), "conformance");
        assert_eq!(suite_name(&target("signalr", "ui", "test")), "trybuild");
        assert_eq!(suite_name(&target(INTEGRATION, "bad_input", "test")), "bad-input");
        assert_eq!(suite_name(&target("signalr", "signalr", "lib")), "signalr");
    }

    #[test]
    fn needs_follow_from_names() {
        assert_eq!(needs_of(&target(INTEGRATION, "dotnet_client", "test")), [Need::DotnetPeer]);
        assert_eq!(needs_of(&target("signalr-backplane-redis", "outage", "test")), [Need::Redis]);
        assert!(needs_of(&target("signalr-backplane-redis", "vectors_redis_protocol", "test")).is_empty());
        assert_eq!(needs_of(&target(INTEGRATION, "cluster_redis5", "test")), [Need::Redis, Need::Redis5]);
        assert!(needs_of(&target("signalr-core", "signalr_core", "lib")).is_empty());
    }

    #[test]
    fn this_workspace_has_one_suite_per_crate_and_no_name_twice() {
        let suites = all(&Workspace::load().unwrap());
        let mut names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
        for expected in ["protocol", "core", "hub", "transport", "xtask", "doctests"] {
            assert!(names.contains(&expected), "{expected} is missing in {names:?}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
