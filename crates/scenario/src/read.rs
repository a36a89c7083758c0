//! From the checked tree to the types: what [`crate::shape::check`] has passed is taken for granted, what it has not is
//! passed over, because it was told already.

mod app;
mod effect;
mod expect;
mod faults;
mod steps;
mod workloads;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use wavetank_json::Value;
use wavetank_model::{EventPattern, Reference};

use crate::context::Context;
use crate::format;
use crate::load::LoadOptions;
use crate::manifests::Placed;
use crate::names;
use crate::problem::Severity;
use crate::shape::{self, Ty, check};
use crate::sources::{Declared, Sources, report};
use crate::types::{App, Cluster, Exception, Limits, Scenario};
use crate::yaml::manifest::to_json;
use crate::yaml::scalar::{Dialect, resolve};
use crate::yaml::{Node, NodeValue};

/// What readers share.
pub(crate) struct Reader<'r, 's> {
    context: &'r mut Context,
    sources: &'r mut Sources<'s>,
    /// Every object that a source of this run holds.
    declared: Vec<Declared>,
    /// Whether some sync may create the destination namespace.
    creates_namespace: bool,
    /// Names of faults.
    faults: Vec<String>,
    /// Names of bound actions.
    bound: Vec<String>,
    limits: Limits,
    /// The application as the steps read so far leave it.
    app: App,
}

/// The objects of the documents beside the Scenario.
pub(crate) fn documents<'n>(
    nodes: impl IntoIterator<Item = &'n Node>,
    sources: &mut Sources<'_>,
    context: &mut Context,
) -> Vec<Declared> {
    let mut out = Vec::new();
    for node in nodes {
        sources.objects(node, Dialect::Manifest, context, &mut out);
    }
    out
}

/// Reads the Scenario document; `None` when it is too broken to say more about it.
pub(crate) fn scenario(
    node: &Node,
    documents: &[Declared],
    case: Option<&str>,
    path: &Path,
    sources: &mut Sources<'_>,
    context: &mut Context,
) -> Option<Scenario> {
    context.uses.clear();
    context.names_app = false;
    check(node, &Ty::Map(&format::DOCUMENT), context);
    let name_node = node.at(&["metadata", "name"])?;
    let base_name = name_node.string()?;
    if !is_dns_label(&base_name) {
        let label = "lower-case letters, digits and `-`, at most 63, beginning and ending with a letter or digit";
        context.error(
            name_node.span,
            format!("`{base_name}` is no DNS-1123 label"),
            label,
        );
    }
    let empty = Node {
        span: node.span,
        value: NodeValue::Map(Vec::new()),
    };
    let spec = node.get("spec").unwrap_or(&empty);
    let declared = documents.to_vec();
    let limits = limits(spec.get("limits"));
    let mut reader = Reader {
        context,
        sources,
        declared,
        creates_namespace: false,
        faults: Vec::new(),
        bound: Vec::new(),
        limits,
        app: App::default(),
    };
    let cases: Vec<String> = spec
        .get("cases")
        .map_or(&[][..], Node::items)
        .iter()
        .filter_map(|case| case.get("name")?.string())
        .collect();
    let metadata = |key: &str| text_map(node.at(&["metadata", key]));
    let version = spec.at(&["cluster", "version"]).and_then(Node::string);
    let version = version.unwrap_or_else(|| Cluster::default().version);
    let app = reader.app(spec.get("app"), &base_name, &version, documents);
    reader.app.clone_from(&app);
    let cluster = reader.cluster(spec.get("cluster"));
    let scenario = Scenario {
        path: path.to_owned(),
        name: case.map_or_else(|| base_name.clone(), |case| format!("{base_name}@{case}")),
        declared: reader.context.location(name_node.span),
        case: case.map(str::to_owned),
        labels: metadata("labels"),
        annotations: metadata("annotations"),
        description: spec.get("description").and_then(Node::string),
        links: strings(spec.get("links")),
        cluster,
        workloads: reader.workloads(spec.get("workloads")),
        faults: reader.faults(spec.get("faults")),
        on: reader.bound(spec.get("on")),
        steps: reader.steps(spec.get("steps")),
        settle: spec.get("settle").and_then(Node::boolean).unwrap_or(true),
        expect: reader.expectations(spec.get("expect")),
        exceptions: reader.exceptions(spec.get("exceptions"), &cases),
        disabled_invariants: text_map(spec.at(&["invariants", "disable"])),
        limits,
        seed: spec.get("seed").and_then(Node::unsigned).unwrap_or(0),
        names_app: reader.context.names_app,
        app,
    };
    reader.idle_rules(
        spec.get("workloads"),
        &scenario.cluster.objects,
        &scenario.app.namespace,
    );
    let names = names::Names {
        home: &scenario.app.namespace,
        declared: &reader.declared,
        creates_namespace: reader.creates_namespace,
        noise: scenario.cluster.noise,
        faults: &reader.faults,
        bound: &reader.bound,
        incomplete: reader.sources.incomplete,
    };
    names::check(&names, reader.context);
    Some(scenario)
}

/// `app` after a merge patch of what was written of it.
pub(crate) fn patched(app: &App, merge: &Value) -> Result<App, String> {
    let mut written = app.written.clone();
    wavetank_model::patch::merge(&mut written, merge).map_err(|error| error.to_string())?;
    let node = Node::of_json(&written);
    let mut context = Context::default();
    let _source = context.add_source(Path::new("the patched application"), "".into());
    check(&node, &Ty::Map(&format::APP), &mut context);
    let options = LoadOptions::default();
    let mut reader = Reader {
        context: &mut context,
        sources: &mut Sources::new(Path::new(""), &options),
        declared: Vec::new(),
        creates_namespace: false,
        faults: Vec::new(),
        bound: Vec::new(),
        limits: Limits::default(),
        app: App::default(),
    };
    let mut patched = app.clone();
    patched.sync_policy = reader.sync_policy(node.get("syncPolicy"));
    patched.settings = reader.settings(node.get("settings"));
    patched.settings.customizations = app.settings.customizations.clone();
    patched.ignore_differences = list(&written, "ignoreDifferences");
    patched.finalizers = strings(node.get("finalizers"));
    patched.project = written.get("project").cloned();
    patched.written = written;
    let wrong = context
        .problems
        .iter()
        .find(|problem| problem.severity == Severity::Error);
    match wrong {
        Some(problem) => Err(format!("{} ({})", problem.message, problem.label)),
        None => Ok(patched),
    }
}

/// The items of a list in a written application.
fn list(written: &Value, key: &str) -> Vec<Value> {
    let items = written.get(key).and_then(Value::as_array);
    items.cloned().unwrap_or_default()
}

fn limits(node: Option<&Node>) -> Limits {
    let default = Limits::default();
    let duration = |key, default| {
        node.and_then(|node| node.get(key))
            .and_then(Node::duration)
            .unwrap_or(default)
    };
    Limits {
        time: duration("time", default.time),
        wall: duration("wall", default.wall),
    }
}

impl Reader<'_, '_> {
    /// A free value as JSON.
    fn json(&mut self, node: &Node) -> Value {
        let mut findings = Vec::new();
        let value = to_json(node, Dialect::Scenario, &mut findings);
        report(findings, Dialect::Scenario, self.context);
        value
    }

    /// The objects of a list of sources; they may come into being.
    fn source_list(&mut self, node: Option<&Node>) -> Vec<std::sync::Arc<Value>> {
        self.declared_list(node)
            .into_iter()
            .map(|declared| declared.object)
            .collect()
    }

    /// The same, with their places.
    fn placed_list(&mut self, node: Option<&Node>) -> Vec<Placed> {
        let declared = self.declared_list(node).into_iter();
        declared
            .map(|declared| declared.placed(self.context))
            .collect()
    }

    fn declared_list(&mut self, node: Option<&Node>) -> Vec<Declared> {
        let objects = self.sources.list(node, self.context);
        self.declared.extend(objects.iter().cloned());
        objects
    }

    fn exceptions(&mut self, node: Option<&Node>, cases: &[String]) -> Vec<Exception> {
        let items = node.map_or(&[][..], Node::items);
        let mut out = Vec::new();
        for item in items {
            let text = |key: &str| item.get(key).and_then(Node::string);
            if let Some(fails) = item.get("fails")
                && let Some(path) = fails.string()
                && !is_failure_path(&path)
            {
                let label = "as `expect.order`, `steps.2.expect.waves`, `invariant.NAME`, `settled` or `compare.results`";
                self.context
                    .error(fails.span, format!("`{path}` names no expectation"), label);
            }
            self.idle_exception(item, cases);
            out.push(Exception {
                target: text("target"),
                engine: text("engine"),
                case: text("case"),
                fails: text("fails"),
                skip: text("skip"),
                bug: text("bug"),
            });
        }
        out
    }
}

fn is_failure_path(path: &str) -> bool {
    let is_expectation = |key: &str| format::EXPECT.keys.iter().any(|known| known.name == key);
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        ["settled" | "compare"] => true,
        ["expect", key] => is_expectation(key),
        ["steps", number, "expect", key] => {
            number.bytes().all(|byte| byte.is_ascii_digit()) && is_expectation(key)
        }
        ["invariant", name] => format::INVARIANTS.contains(name),
        ["compare", what] => format::COMPARED.contains(what),
        _ => false,
    }
}

fn is_dns_label(text: &str) -> bool {
    let edge = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && edge(text.bytes().next())
        && edge(text.bytes().next_back())
}

fn strings(node: Option<&Node>) -> Vec<String> {
    node.into_iter()
        .flat_map(Node::items)
        .filter_map(Node::string)
        .collect()
}

fn text_map(node: Option<&Node>) -> BTreeMap<String, String> {
    let entries = node.into_iter().flat_map(Node::entries);
    entries
        .filter_map(|(key, value)| Some((key.scalar_text()?.to_owned(), value.string()?)))
        .collect()
}

/// Typed readings of a node in the Scenario; `None` when it is something else.
impl Node {
    fn value(&self) -> Value {
        match &self.value {
            NodeValue::Scalar(scalar) => resolve(scalar, Dialect::Scenario).unwrap_or_default(),
            _ => Value::Null,
        }
    }

    pub(crate) fn string(&self) -> Option<String> {
        match self.value() {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        self.value().as_bool()
    }

    fn integer(&self) -> Option<i64> {
        self.value().as_i64()
    }

    fn unsigned(&self) -> Option<u64> {
        self.value().as_u64()
    }

    fn small(&self) -> Option<u32> {
        self.unsigned()
            .and_then(|number| u32::try_from(number).ok())
    }

    fn duration(&self) -> Option<Duration> {
        shape::duration(&self.string()?)
    }

    /// A duration, or seconds.
    fn argo_duration(&self) -> Option<Duration> {
        let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
        self.unsigned()
            .map(Duration::from_secs)
            .or_else(|| self.duration())
            .or_else(|| seconds(&self.string()?))
    }

    fn event(&self) -> Option<EventPattern> {
        self.string()?.parse().ok()
    }

    fn reference(&self) -> Option<Reference> {
        self.string()?.parse().ok()
    }
}
