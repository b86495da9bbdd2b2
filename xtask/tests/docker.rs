//! The files in `docker/` as data: they parse, and say what their README promises.
//!
//! Starts no container; that needs an engine which test machines do not have.

#![expect(clippy::expect_used, reason = "helpers of tests may fail the test")]

use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn compose() -> Yaml {
    let mut documents = YamlLoader::load_from_str(&read("compose.yaml")).expect("compose.yaml is YAML");
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

fn strings(list: &Yaml) -> Vec<&str> {
    list.as_vec().expect("a list").iter().map(|item| item.as_str().expect("a string")).collect()
}

#[test]
fn every_service_has_an_image_or_a_build_that_exists() {
    let compose = compose();
    let services = compose["services"].as_hash().expect("services");
    assert!(!services.is_empty());
    for (name, service) in services {
        let name = name.as_str().expect("a name");
        let image = service["image"].as_str();
        let dockerfile = service["build"]["dockerfile"].as_str();
        assert!(image.is_some() != dockerfile.is_some(), "{name} needs an image or a build");
        if let Some(image) = image {
            assert!(image.contains(':') && !image.ends_with(":latest"), "{name}: pin the version of {image}");
        }
        if let Some(dockerfile) = dockerfile {
            assert_eq!(service["build"]["context"].as_str(), Some(".."), "{name} builds from the root");
            assert!(!read(dockerfile.strip_prefix("docker/").expect("a file in docker/")).is_empty());
        }
    }
}

#[test]
fn redis_is_open_to_this_machine_only_keeps_nothing_and_says_when_it_is_ready() {
    let compose = compose();
    let redis = &compose["services"]["redis"];
    assert_eq!(strings(&redis["ports"]), ["127.0.0.1:6379:6379"]);
    let command = strings(&redis["command"]);
    assert!(command.windows(2).any(|pair| pair == ["--save", ""]), "{command:?}");
    assert!(command.windows(2).any(|pair| pair == ["--enable-debug-command", "yes"]), "{command:?}");
    assert_eq!(strings(&redis["healthcheck"]["test"]), ["CMD", "redis-cli", "ping"]);
}

#[test]
fn the_chat_image_builds_the_chat_and_runs_it_without_rights() {
    let dockerfile = read("chat.Dockerfile");
    let instructions: Vec<&str> =
        dockerfile.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let bases: Vec<&&str> = instructions.iter().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(bases.len(), 2, "one stage to build, one to run");
    assert!(
        bases.iter().all(|base| base.contains("-bookworm") || base.contains(":bookworm")),
        "one system for both"
    );
    assert!(instructions.contains(&"RUN cargo build --release --locked -p chat"));
    assert!(instructions.contains(&"USER nobody"));
    assert!(instructions.last().is_some_and(|line| line.starts_with("CMD ")));
}

#[test]
fn the_readme_names_every_file() {
    let readme = read("README.md");
    for file in ["compose.yaml", "chat.Dockerfile"] {
        assert!(readme.contains(file), "{file}");
    }
}
