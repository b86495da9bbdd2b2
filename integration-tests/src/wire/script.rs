//! The language of the scripts, read into steps.
//!
//! ```text
//! # a comment
//! == a name @ ws sse lp % stateful
//! on /default
//! connect a {t} json
//! a: send {"type":6}␞
//! p: GET {hub}?id={a.token}
//!     Accept: text/event-stream
//! ```
//!
//! `== NAME` begins a scenario. `@` plays it once for each of these transports, as `{t}`; `%` names the servers' profile.
//! A step is `VERB REST` or `LINK: VERB REST`; indented lines below it are headers, `| a body`, or `hex 00ff`, a binary
//! body. In everything that is sent `␞` stands for 0x1E, `␍` and `␊` for CR and LF, `{name}` for a variable and `{x*9}`
//! for nine times x. What the verbs do is written at [`super::play`].

use std::path::Path;

use anyhow::{Context, Result, bail};

/// One script for one transport.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The name, with the transport if there are several; unique.
    pub name: String,
    /// The transport that `{t}` stands for.
    pub transport: String,
    /// The profile of the servers that answer it.
    pub profile: String,
    /// What the client does.
    pub steps: Vec<Step>,
}

/// One thing that the client does.
#[derive(Debug, Clone)]
pub struct Step {
    /// The link that it acts on, or that it opens.
    pub link: Option<String>,
    /// What is done.
    pub verb: String,
    /// The rest of the line.
    pub rest: String,
    /// Headers, `| body` and `hex` lines.
    pub more: Vec<String>,
}

impl Step {
    /// The step as it was written.
    pub fn text(&self) -> String {
        let link = self.link.as_ref().map(|link| format!("{link}: ")).unwrap_or_default();
        format!("{link}{} {}", self.verb, self.rest).trim_end().to_owned()
    }
}

/// Every scenario of every file, in the order of files and lines.
pub fn scenarios() -> Result<Vec<Scenario>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/wire");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        all.extend(parse(&text).with_context(|| file.display().to_string())?);
    }
    Ok(all)
}

/// Those whose names contain `SIGNALR_SCENARIO`, or all.
pub fn chosen() -> Result<Vec<Scenario>> {
    let part = std::env::var("SIGNALR_SCENARIO").unwrap_or_default();
    Ok(scenarios()?.into_iter().filter(|scenario| scenario.name.contains(&part)).collect())
}

fn parse(text: &str) -> Result<Vec<Scenario>> {
    let mut all: Vec<(Title, Vec<Step>)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            all.push((Title::parse(title), Vec::new()));
            continue;
        }
        let (_, steps) = all.last_mut().with_context(|| format!("line {}: no scenario yet", index + 1))?;
        match (line.starts_with(' '), steps.last_mut()) {
            (true, Some(step)) => step.more.push(line.trim().to_owned()),
            (true, None) => bail!("line {}: belongs to no step", index + 1),
            (false, _) => steps.push(step(line)),
        }
    }
    Ok(all.into_iter().flat_map(|(title, steps)| title.scenarios(&steps)).collect())
}

fn step(line: &str) -> Step {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    let (link, rest) = match line.split_once(": ") {
        Some((name, rest)) if is_name(name) => (Some(name.to_owned()), rest),
        _ => (None, line),
    };
    let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    Step { link, verb: verb.to_owned(), rest: rest.to_owned(), more: Vec::new() }
}

struct Title {
    name: String,
    transports: Vec<String>,
    profile: String,
}

impl Title {
    fn parse(title: &str) -> Self {
        let (title, profile) = title.split_once(" % ").unwrap_or((title, "usual"));
        let (name, transports) = title.split_once(" @ ").unwrap_or((title, ""));
        Self {
            name: name.trim().to_owned(),
            transports: transports.split_whitespace().map(str::to_owned).collect(),
            profile: profile.trim().to_owned(),
        }
    }

    fn scenarios(self, steps: &[Step]) -> Vec<Scenario> {
        let scenario = |name: String, transport: &str| Scenario {
            name,
            transport: transport.to_owned(),
            profile: self.profile.clone(),
            steps: steps.to_vec(),
        };
        if self.transports.is_empty() {
            return vec![scenario(self.name.clone(), "")];
        }
        self.transports.iter().map(|t| scenario(format!("{} [{t}]", self.name), t)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_into_scenarios() {
        let text = "# c\n== a b @ ws lp % small\nconnect x {t} json\nx: send {\"a\": 1}\n  | body\n\n== other\nGET /\n";
        let all = parse(text).unwrap();
        let names: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
        assert_eq!(names, ["a b [ws]", "a b [lp]", "other"]);
        assert_eq!(all[1].profile, "small");
        assert_eq!(all[0].steps[1].link.as_deref(), Some("x"));
        assert_eq!(all[0].steps[1].rest, "{\"a\": 1}");
        assert_eq!(all[0].steps[1].more, ["| body"]);
        assert_eq!(all[2].profile, "usual");
    }
}
