//! The differential cases of `crates/apiserver/cases`: what they say, and how one is replayed against a server.
//!
//! A case is a list of requests with what is expected of the answers; it says nothing that could not be sent unchanged
//! to a real API server. The format is described in the README beside the cases. Who answers is a [`Target`].

mod expectation;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use wavetank_json::Value;

pub use expectation::Expectation;

use crate::root;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// The file it stands in, without extension.
    #[serde(skip)]
    pub topic: String,
    /// `T-nnn`, or a word.
    #[serde(rename = "case")]
    pub number: String,
    /// What is shown.
    pub title: String,
    /// Why a real server answers otherwise.
    #[serde(default)]
    pub differs: Option<String>,
    /// Whether it does so only now and then.
    #[serde(default)]
    pub sometimes: bool,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Case {
    /// How long the case waits.
    pub fn waits(&self) -> Duration {
        let waits = self.steps.iter().filter_map(|step| step.advance.as_deref());
        waits.filter_map(|text| duration(text).ok()).sum()
    }

    /// Topic, number and title.
    pub fn name(&self) -> String {
        format!("{}::{} {}", self.topic, self.number, self.title)
    }
}

/// One step of a case: any of a wait, a request, a look at a watch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Step {
    /// Method and path with query.
    pub request: Option<String>,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    body_text: Option<String>,
    patch: Option<String>,
    watch: Option<String>,
    events: Option<String>,
    seen: Vec<Value>,
    closed: Option<bool>,
    advance: Option<String>,
    /// Whether the past is forgotten first.
    pub compact: bool,
    /// Whether what is expected holds for a moment only.
    fleeting: bool,
    code: Option<u16>,
    expect: Option<Value>,
    /// Whether the body has nothing beyond what is expected, but for what differs from run to run.
    exact: bool,
    text: Option<String>,
    response_headers: BTreeMap<String, Option<String>>,
    capture: BTreeMap<String, String>,
}

impl Step {
    /// The request as it stands in the file, with the names of captured values in their places.
    pub fn written(&self) -> Option<Outgoing> {
        self.outgoing(self.request.as_deref()?, |text| Ok(text.to_owned()))
            .ok()
    }

    fn outgoing(
        &self,
        line: &str,
        fill: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Outgoing, String> {
        let line = fill(line)?;
        let (method, uri) = line
            .split_once(' ')
            .ok_or("a request reads `METHOD /path`")?;
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            headers.push((name.clone(), fill(value)?));
        }
        if let Some(patch) = &self.patch {
            let media = match patch.as_str() {
                "apply" => "application/apply-patch+yaml".to_owned(),
                "strategic" => "application/strategic-merge-patch+json".to_owned(),
                other => format!("application/{other}-patch+json"),
            };
            headers.push(("content-type".to_owned(), media));
        }
        let body = match (&self.body, &self.body_text) {
            (Some(body), _) => fill(&body.to_string())?,
            (None, Some(text)) => fill(text)?,
            (None, None) => String::new(),
        };
        Ok(Outgoing {
            method: method.to_owned(),
            uri: uri.replace(' ', "%20").replace('"', "%22"),
            headers,
            body,
            watch: self.watch.clone(),
        })
    }
}

/// A request as it goes to a target.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Name and value.
    pub headers: Vec<(String, String)>,
    /// Empty when there is none.
    pub body: String,
    /// The name of the watch that the request is to open.
    pub watch: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Status code.
    pub code: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// `None` when the answer is a watch.
    pub body: Option<Vec<u8>>,
}

const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// A server that cases are sent to: fresh, or as good as fresh, with a namespace `t`.
pub trait Target {
    /// Sends a request.
    ///
    /// # Errors
    /// Why there was no answer.
    fn send(&mut self, request: &Outgoing) -> Result<Reply, String>;

    /// The events of a watch since the last look, and whether it has ended.
    ///
    /// # Errors
    /// When there is no such watch, or it sent no JSON.
    fn look(&mut self, watch: &str) -> Result<(Vec<Value>, bool), String>;

    /// Lets time pass.
    fn advance(&mut self, by: Duration);

    /// Whether time passes between requests.
    fn has_own_time(&self) -> bool {
        false
    }

    /// How often a read, a dry run, or a look at a watch, is tried until it shows what is expected: once, where the server does
    /// everything at once.
    fn attempts(&self) -> u32 {
        1
    }

    /// Forgets the past.
    ///
    /// # Errors
    /// When this server cannot be told to.
    fn compact(&mut self) -> Result<(), String>;
}

/// All cases, by file and in the order of each.
///
/// # Panics
/// When a file cannot be read or holds no cases.
pub fn all() -> Vec<Case> {
    let folder = root().join("crates/apiserver/cases");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of cases can be read")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a file of cases can be read");
        let found: Vec<Case> = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let topic = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        cases.extend(found.into_iter().map(|case| Case {
            topic: topic.clone(),
            ..case
        }));
    }
    cases
}

/// How many cases each file has, as a Markdown table for the documentation.
pub fn markdown() -> String {
    let mut topics: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for case in all() {
        let (count, differ) = topics.entry(case.topic).or_default();
        *count += 1;
        *differ += usize::from(case.differs.is_some());
    }
    let (mut count, mut differ) = (0, 0);
    let mut out =
        "| file | cases | of these answered otherwise by a real server |\n|---|---|---|\n"
            .to_owned();
    for (topic, (here, otherwise)) in topics {
        // Writing to a String cannot fail.
        writeln!(out, "| `{topic}.yaml` | {here} | {otherwise} |").ok();
        count += here;
        differ += otherwise;
    }
    writeln!(out, "| all | {count} | {differ} |").ok();
    out
}

/// Replays a case.
///
/// # Errors
/// The first step whose answer is not the expected one, with the answer.
pub fn replay(case: &Case, target: &mut dyn Target) -> Result<(), String> {
    let mut replay = Replay {
        target,
        expectation: Expectation::default(),
    };
    for (index, step) in case.steps.iter().enumerate() {
        replay.step(step).map_err(|why| {
            let request = step.request.as_deref().unwrap_or_default();
            format!("step {}: {why}\n{request}", index + 1)
        })?;
    }
    Ok(())
}

struct Replay<'a> {
    target: &'a mut dyn Target,
    expectation: Expectation,
}

impl Replay<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        if step.compact {
            self.target.compact()?;
        }
        if let Some(text) = &step.advance {
            self.target.advance(duration(text)?);
        }
        let mut attempts = self.target.attempts();
        if let Some(line) = &step.request {
            let request = self.outgoing(line, step)?;
            let stores_nothing = request.method == "GET" || request.uri.contains("dryRun=All");
            let may_repeat = stores_nothing && request.watch.is_none();
            loop {
                let reply = self.target.send(&request)?;
                match self.check(step, &reply) {
                    Err(_) if step.fleeting && self.target.has_own_time() => break,
                    Err(_) if may_repeat && attempts > 1 => {}
                    checked => break checked?,
                }
                attempts -= 1;
                self.target.advance(BETWEEN_ATTEMPTS);
            }
        }
        if let Some(name) = &step.events {
            let (mut seen, mut closed) = self.target.look(name)?;
            loop {
                match self.check_events(step, &seen, closed) {
                    Err(_) if attempts > 1 => {}
                    checked => return checked,
                }
                attempts -= 1;
                self.target.advance(BETWEEN_ATTEMPTS);
                let (more, ended) = self.target.look(name)?;
                seen.extend(more);
                closed = ended;
            }
        }
        Ok(())
    }

    fn check_events(&mut self, step: &Step, seen: &[Value], closed: bool) -> Result<(), String> {
        let seen = Value::from(seen);
        let expected = Value::from(step.seen.clone());
        self.expectation
            .matches(&expected, &seen, "events")
            .map_err(|why| format!("{why}\nin {seen:#}"))?;
        if step.closed.is_some_and(|expected| expected != closed) {
            let expected = step.closed;
            return Err(format!(
                "expected closed to be {expected:?}, it is {closed}"
            ));
        }
        Ok(())
    }

    fn outgoing(&self, line: &str, step: &Step) -> Result<Outgoing, String> {
        step.outgoing(line, |text| self.expectation.fill(text))
    }

    fn check(&mut self, step: &Step, reply: &Reply) -> Result<(), String> {
        let code = reply.code;
        let Some(bytes) = &reply.body else {
            if step.watch.is_none() {
                return Err("a watch was opened but not named".to_owned());
            }
            check_headers(&step.response_headers, &reply.headers)?;
            return check_code(step.code, code, "");
        };
        let shown = String::from_utf8_lossy(bytes);
        check_code(step.code, code, &shown)?;
        if let Some(text) = &step.text {
            let is_it = match text.strip_prefix('~') {
                Some(pattern) => expectation::fits(pattern, &shown)?,
                None => *text == shown,
            };
            if !is_it {
                return Err(format!("expected the text {text:?}, got {shown:?}"));
            }
        }
        check_headers(&step.response_headers, &reply.headers)?;
        if step.expect.is_none() && step.capture.is_empty() {
            return Ok(());
        }
        let body: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("no JSON ({error}): {shown}"))?;
        if let Some(expected) = &step.expect {
            self.expectation
                .matches(expected, &body, "")
                .and_then(|()| {
                    if step.exact {
                        expectation::nothing_more(expected, &body, "")
                    } else {
                        Ok(())
                    }
                })
                .map_err(|why| format!("{why}\nin {body:#}"))?;
        }
        for (name, pointer) in &step.capture {
            let value = body
                .pointer(pointer)
                .ok_or_else(|| format!("nothing at {pointer} to capture"))?;
            self.expectation.capture(name, value);
        }
        Ok(())
    }
}

fn check_headers(
    expected: &BTreeMap<String, Option<String>>,
    found: &HeaderMap,
) -> Result<(), String> {
    for (name, expected) in expected {
        let all: Vec<&str> = found
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let fits = match expected {
            None => all.is_empty(),
            Some(expected) => all.iter().any(|value| value.contains(expected.as_str())),
        };
        if !fits {
            return Err(format!(
                "expected header {name} to be {expected:?}, got {all:?}"
            ));
        }
    }
    Ok(())
}

fn check_code(expected: Option<u16>, code: u16, body: &str) -> Result<(), String> {
    match expected {
        Some(expected) if expected != code => {
            Err(format!("expected code {expected}, got {code}: {body}"))
        }
        _ => Ok(()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| format!("no duration: {text}"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err(format!("no duration: {text}")),
    }
}
