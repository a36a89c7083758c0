//! Runs the differential cases in `cases/` against the server in memory: one test per case.
//!
//! A case is a list of requests with what is expected of the answers; it says nothing that could not be sent unchanged
//! to a real API server. The format is described in `cases/README.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc::UnboundedReceiver;
use http::{HeaderMap, Request};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Value, json};
use wavetank_apiserver::{ResponseBody, Server, ServerConfig};
use wavetank_kernel::{Chooser, Seed, SimTime};
use wavetank_model::Actor;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    #[serde(rename = "case")]
    number: String,
    title: String,
    /// Why a real server answers otherwise.
    #[serde(default, rename = "differs")]
    _differs: Option<String>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Step {
    request: Option<String>,
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    body_text: Option<String>,
    patch: Option<String>,
    watch: Option<String>,
    events: Option<String>,
    seen: Vec<Value>,
    closed: Option<bool>,
    advance: Option<String>,
    compact: bool,
    code: Option<u16>,
    expect: Option<Value>,
    text: Option<String>,
    response_headers: BTreeMap<String, Option<String>>,
    capture: BTreeMap<String, String>,
}

struct Run {
    server: Server,
    now: SimTime,
    chooser: Chooser,
    captured: BTreeMap<String, String>,
    watches: BTreeMap<String, UnboundedReceiver<Bytes>>,
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for file in files.iter().filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    }) {
        let text = std::fs::read_to_string(file).expect("a readable file");
        let topic = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let cases: Vec<Case> = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in cases {
            let name = format!("{topic}::{} {}", case.number, case.title);
            trials.push(Trial::test(name, move || run(&case).map_err(Failed::from)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(case: &Case) -> Result<(), String> {
    let mut run = Run {
        server: Server::new(ServerConfig::default(), Seed(1)),
        now: SimTime::from_millis(1_000),
        chooser: Chooser::canonical(),
        captured: BTreeMap::new(),
        watches: BTreeMap::new(),
    };
    run.fresh_namespace();
    for (index, step) in case.steps.iter().enumerate() {
        run.step(step).map_err(|why| {
            format!(
                "step {}: {why}\n{}",
                index + 1,
                step.request.as_deref().unwrap_or_default()
            )
        })?;
    }
    Ok(())
}

impl Run {
    fn fresh_namespace(&mut self) {
        let request = Request::post("/api/v1/namespaces")
            .body(Bytes::from(json!({"metadata": {"name": "t"}}).to_string()));
        self.server
            .handle(&request.expect("a request"), &Actor::new("setup"), self.now);
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        if step.compact {
            self.server.compact();
        }
        if let Some(text) = &step.advance {
            self.advance(duration(text)?);
        }
        if step.request.is_some() {
            self.ask(step)?;
        }
        if let Some(name) = &step.events {
            self.look(name, step)?;
        }
        Ok(())
    }

    fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some((at, _)) = self.server.next_due().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.server.run_due(self.now, &mut self.chooser);
        }
        self.now = end;
    }

    fn ask(&mut self, step: &Step) -> Result<(), String> {
        let line = self.fill(step.request.as_deref().unwrap_or_default())?;
        let (method, uri) = line
            .split_once(' ')
            .ok_or("a request reads `METHOD /path`")?;
        let mut builder = Request::builder()
            .method(method)
            .uri(uri.replace(' ', "%20").replace('"', "%22"));
        for (name, value) in &step.headers {
            builder = builder.header(name, self.fill(value)?);
        }
        if let Some(patch) = &step.patch {
            let media = match patch.as_str() {
                "apply" => "application/apply-patch+yaml".to_owned(),
                "strategic" => "application/strategic-merge-patch+json".to_owned(),
                other => format!("application/{other}-patch+json"),
            };
            builder = builder.header("content-type", media);
        }
        let body = match (&step.body, &step.body_text) {
            (Some(body), _) => self.fill(&body.to_string())?,
            (None, Some(text)) => self.fill(text)?,
            (None, None) => String::new(),
        };
        let request = builder
            .body(Bytes::from(body))
            .map_err(|error| error.to_string())?;
        let response = self.server.handle(&request, &Actor::new("user"), self.now);
        let (parts, body) = response.into_parts();
        let code = parts.status.as_u16();
        match body {
            ResponseBody::Watch(receiver) => {
                let name = step
                    .watch
                    .clone()
                    .ok_or("a watch was opened but not named")?;
                self.watches.insert(name, receiver);
                check_code(step.code, code, "")
            }
            ResponseBody::Full(bytes) => self.check(step, code, &parts.headers, &bytes),
        }
    }

    fn check(
        &mut self,
        step: &Step,
        code: u16,
        headers: &HeaderMap,
        bytes: &[u8],
    ) -> Result<(), String> {
        let shown = String::from_utf8_lossy(bytes);
        check_code(step.code, code, &shown)?;
        if let Some(text) = &step.text
            && *text != shown
        {
            return Err(format!("expected the text {text:?}, got {shown:?}"));
        }
        for (name, expected) in &step.response_headers {
            let all: Vec<&str> = headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect();
            match expected {
                None if all.is_empty() => {}
                Some(expected) if all.iter().any(|value| value.contains(expected.as_str())) => {}
                _ => {
                    return Err(format!(
                        "expected header {name} to be {expected:?}, got {all:?}"
                    ));
                }
            }
        }
        if step.expect.is_none() && step.capture.is_empty() {
            return Ok(());
        }
        let body: Value =
            serde_json::from_slice(bytes).map_err(|error| format!("no JSON ({error}): {shown}"))?;
        if let Some(expected) = &step.expect {
            self.matches(expected, &body, "")
                .map_err(|why| format!("{why}\nin {body:#}"))?;
        }
        for (name, pointer) in &step.capture {
            let value = body
                .pointer(pointer)
                .ok_or_else(|| format!("nothing at {pointer} to capture"))?;
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            self.captured.insert(name.clone(), text);
        }
        Ok(())
    }

    fn look(&mut self, name: &str, step: &Step) -> Result<(), String> {
        self.advance(Duration::from_millis(5));
        let mut seen = Vec::new();
        let closed;
        let receiver = self
            .watches
            .get_mut(name)
            .ok_or_else(|| format!("no watch is called {name}"))?;
        loop {
            match receiver.try_recv() {
                Ok(line) => {
                    let event: Value = serde_json::from_slice(&line)
                        .map_err(|error| format!("no JSON: {error}"))?;
                    seen.push(event);
                }
                Err(error) => {
                    closed = error.is_closed();
                    break;
                }
            }
        }
        let seen = Value::from(seen);
        let expected = Value::from(step.seen.clone());
        self.matches(&expected, &seen, "events")
            .map_err(|why| format!("{why}\nin {seen:#}"))?;
        if step.closed.is_some_and(|expected| expected != closed) {
            return Err(format!(
                "expected closed to be {:?}, it is {closed}",
                step.closed
            ));
        }
        Ok(())
    }

    /// Puts captured values in the place of `${name}`.
    fn fill(&self, text: &str) -> Result<String, String> {
        let mut out = text.to_owned();
        while let Some(start) = out.find("${") {
            let end = out[start..].find('}').ok_or("an open `${`")? + start;
            let name = &out[start + 2..end];
            let value = self
                .captured
                .get(name)
                .ok_or_else(|| format!("nothing was captured as {name}"))?;
            out = format!("{}{value}{}", &out[..start], &out[end + 1..]);
        }
        Ok(out)
    }

    /// Whether `found` has what `expected` says: objects may have more; null means absent; `~` begins a regular
    /// expression, `>` a number that must be smaller.
    fn matches(&self, expected: &Value, found: &Value, at: &str) -> Result<(), String> {
        match expected {
            Value::Object(fields) => fields.iter().try_for_each(|(name, expected)| {
                let at = format!("{at}/{name}");
                match (expected, found.get(name)) {
                    (Value::Null, None | Some(Value::Null)) => Ok(()),
                    (_, None) => Err(format!("{at} is missing")),
                    (_, Some(found)) => self.matches(expected, found, &at),
                }
            }),
            Value::Array(items) => {
                let found = found.as_array().ok_or_else(|| format!("{at} is no list"))?;
                if items.len() != found.len() {
                    return Err(format!(
                        "{at} has {} items, expected {}",
                        found.len(),
                        items.len()
                    ));
                }
                items
                    .iter()
                    .zip(found)
                    .enumerate()
                    .try_for_each(|(index, (item, found))| {
                        self.matches(item, found, &format!("{at}/{index}"))
                    })
            }
            Value::String(text) => text_matches(&self.fill(text)?, found, at),
            other if other == found => Ok(()),
            other => Err(format!("{at} is {found}, expected {other}")),
        }
    }
}

fn text_matches(expected: &str, found: &Value, at: &str) -> Result<(), String> {
    let text = found
        .as_str()
        .map_or_else(|| found.to_string(), str::to_owned);
    let fits = if let Some(pattern) = expected.strip_prefix('~') {
        regex::Regex::new(pattern)
            .map_err(|error| error.to_string())?
            .is_match(&text)
    } else if let Some(number) = expected.strip_prefix('>') {
        text.parse::<u64>().ok() > number.parse().ok()
    } else {
        expected == "*" || expected == text
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{at} is {text:?}, expected {expected:?}"))
    }
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
    let (number, unit) = text.split_at(
        text.find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len()),
    );
    let number: u64 = number.parse().map_err(|_| format!("no duration: {text}"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err(format!("no duration: {text}")),
    }
}
