//! Whether what a scenario names can come into being (section 4).

use std::collections::BTreeSet;

use wavetank_model::{ObjectKey, Reference, Subject, kinds, object};

use crate::context::{Context, Use};
use crate::problem::nearest;
use crate::sources::Declared;

/// What can come into being in a run.
pub(crate) struct Names<'a> {
    /// Destination namespace of the app.
    pub home: &'a str,
    /// Every object of documents, sources and steps.
    pub declared: &'a [Declared],
    /// Whether some sync may create the destination namespace.
    pub creates_namespace: bool,
    /// Whether the cluster makes objects unasked.
    pub noise: bool,
    /// Names of faults.
    pub faults: &'a [String],
    /// Names of bound actions.
    pub bound: &'a [String],
    /// Whether some source could not be loaded, so that nothing can be said of objects.
    pub incomplete: bool,
}

/// Kinds that controllers may bring at any time, whatever the run holds.
const ALWAYS: &[&str] = &[
    "Endpoints",
    "EndpointSlice",
    "PersistentVolume",
    "Secret",
    "Event",
];
/// Namespaces that are there without being named (section 3).
const NAMESPACES: &[&str] = &["default", "kube-system", "kube-public", "kube-node-lease"];

/// An object that can come into being; `*` in a name stands for what is made up at run time.
struct Possible {
    key: ObjectKey,
    /// Index in `declared`, for the line; `None` for what controllers bring.
    declared: Option<usize>,
}

/// Puts every name that leads nowhere to the problems.
pub(crate) fn check(names: &Names<'_>, context: &mut Context) {
    let uses = std::mem::take(&mut context.uses);
    let possible = if uses
        .iter()
        .any(|used| matches!(used.subject, Subject::Object(_)))
    {
        names.possible()
    } else {
        Vec::new()
    };
    for used in &uses {
        match &used.subject {
            Subject::Object(_) if names.incomplete => {}
            Subject::Object(reference) if names.is_possible(reference, &possible) => {
                ambiguous(used, reference, &possible, context);
            }
            Subject::Object(reference) => impossible(used, reference, names, &possible, context),
            Subject::Fault(name) => unknown(used, "fault", name, names.faults, context),
            Subject::Do(name) => unknown(used, "bound action", name, names.bound, context),
            _ => {}
        }
    }
}

fn unknown(used: &Use, what: &str, name: &str, known: &[String], context: &mut Context) {
    if !known.iter().any(|known| known == name) {
        let label = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => String::new(),
        };
        context.error(
            used.span,
            format!("there is no {what} called `{name}`"),
            label,
        );
    }
}

/// A kind that two groups of the run have must carry its group, unless the built-in one is meant.
fn ambiguous(used: &Use, reference: &Reference, possible: &[Possible], context: &mut Context) {
    if reference.group.is_some() || kinds::by_kind(&reference.kind).next().is_some() {
        return;
    }
    let groups = possible
        .iter()
        .filter(|possible| possible.key.kind == reference.kind);
    let groups: BTreeSet<&str> = groups.map(|possible| possible.key.group.as_str()).collect();
    if groups.len() > 1 {
        let kinds: Vec<String> = groups
            .iter()
            .map(|group| format!("`{}.{group}`", reference.kind))
            .collect();
        let message = format!("the kind `{}` exists in several groups", reference.kind);
        context.error(used.span, message, format!("write {}", kinds.join(" or ")));
    }
}

fn impossible(
    used: &Use,
    reference: &Reference,
    names: &Names<'_>,
    possible: &[Possible],
    context: &mut Context,
) {
    let text = context.text(used.span).trim_matches(['"', '\'']).to_owned();
    let text = if text.contains('/') {
        text
    } else {
        reference.to_string()
    };
    let shown: Vec<String> = possible
        .iter()
        .map(|possible| possible.key.short(names.home))
        .collect();
    let label = match nearest(&text, shown.iter().map(String::as_str)) {
        Some(near) => {
            let line = shown
                .iter()
                .position(|name| name == near)
                .and_then(|index| possible[index].declared)
                .map(|index| place(&names.declared[index], used, context))
                .unwrap_or_default();
            format!("did you mean `{near}`{line}?")
        }
        None => "no document, source, step or controller brings it into being".to_owned(),
    };
    context.error(
        used.span,
        format!("no object of this run can be `{text}`"),
        label,
    );
}

/// ` (line 41)`, with the file when it is another one.
fn place(declared: &Declared, used: &Use, context: &Context) -> String {
    let line = context.line(declared.span);
    if declared.span.source == used.span.source {
        return format!(" (line {line})");
    }
    let path = context.sources[declared.span.source as usize]
        .path
        .display()
        .to_string();
    format!(" ({path}:{line})")
}

/// The key of an object; built-in kinds with namespaces are in `home` unless the object says another one.
pub(crate) fn key_of(object: &wavetank_json::Value, home: &str) -> Option<ObjectKey> {
    let mut key = ObjectKey::of(object)?;
    match kinds::find(&key.group, &key.kind) {
        Some(kind) if !kind.namespaced => key.namespace.clear(),
        Some(_) if key.namespace.is_empty() => home.clone_into(&mut key.namespace),
        _ => {}
    }
    Some(key)
}

impl Names<'_> {
    fn possible(&self) -> Vec<Possible> {
        let mut out = Vec::new();
        for (index, declared) in self.declared.iter().enumerate() {
            let Some(mut key) = key_of(&declared.object, self.home) else {
                continue;
            };
            if key.name.is_empty() {
                key.name = format!("{}*", object::meta_str(&declared.object, "generateName"));
            }
            Self::children(&key, &declared.object, &mut out);
            out.push(Possible {
                key,
                declared: Some(index),
            });
        }
        let mut more = |group: &str, kind: &str, namespace: &str, name: &str| {
            out.push(Possible {
                key: ObjectKey::new(group, kind, namespace, name),
                declared: None,
            });
        };
        for namespace in NAMESPACES {
            more("", "Namespace", "", namespace);
        }
        if self.creates_namespace {
            more("", "Namespace", "", self.home);
        }
        more("", "ServiceAccount", "*", "default");
        more("", "Node", "", "*");
        more("storage.k8s.io", "StorageClass", "", "standard");
        if self.noise {
            for kind in ["ConfigMap", "Service"] {
                more("", kind, "*", "kube*");
            }
        }
        for kind in ALWAYS {
            for builtin in kinds::by_kind(kind) {
                more(
                    builtin.group,
                    kind,
                    if builtin.namespaced { "*" } else { "" },
                    "*",
                );
            }
        }
        out
    }

    /// What controllers make of an object.
    fn children(owner: &ObjectKey, value: &wavetank_json::Value, out: &mut Vec<Possible>) {
        let names: &[(&str, &str, &str)] = match (owner.group.as_str(), owner.kind.as_str()) {
            ("apps", "Deployment") => &[("apps", "ReplicaSet", ""), ("", "Pod", "")],
            ("apps", "ReplicaSet") | ("", "ReplicationController") | ("batch", "Job") => {
                &[("", "Pod", "")]
            }
            ("apps", "DaemonSet") => &[("", "Pod", ""), ("apps", "ControllerRevision", "")],
            ("apps", "StatefulSet") => &[
                ("", "Pod", ""),
                ("apps", "ControllerRevision", ""),
                ("", "PersistentVolumeClaim", "claims"),
            ],
            ("batch", "CronJob") => &[("batch", "Job", ""), ("", "Pod", "")],
            _ => return,
        };
        for (group, kind, what) in names {
            let patterns: Vec<String> = if *what == "claims" {
                let claims = value
                    .pointer("/spec/volumeClaimTemplates")
                    .and_then(wavetank_json::Value::as_array);
                let claims = claims.into_iter().flatten();
                claims
                    .map(|claim| format!("{}-{}-*", object::name(claim), owner.name))
                    .collect()
            } else {
                vec![format!("{}-*", owner.name)]
            };
            for name in patterns {
                out.push(Possible {
                    key: ObjectKey::new(*group, *kind, owner.namespace.as_str(), name),
                    declared: None,
                });
            }
        }
    }

    fn is_possible(&self, reference: &Reference, possible: &[Possible]) -> bool {
        possible.iter().any(|possible| {
            possible.key.kind == reference.kind
                && globs_meet(&reference.name.0, &possible.key.name)
                && self.namespace_fits(reference, &possible.key)
                && group_fits(reference, &possible.key.group)
        })
    }

    fn namespace_fits(&self, reference: &Reference, key: &ObjectKey) -> bool {
        match &reference.namespace {
            Some(written) if key.namespace.is_empty() => {
                // The scope of a kind that is not built in may be either.
                !kinds::is_builtin(&key.group, &key.kind) && globs_meet(&written.0, self.home)
            }
            Some(written) => globs_meet(&written.0, &key.namespace),
            None => key.namespace.is_empty() || globs_meet(self.home, &key.namespace),
        }
    }
}

fn group_fits(reference: &Reference, group: &str) -> bool {
    match &reference.group {
        Some(written) => written == group,
        None => {
            kinds::is_builtin(group, &reference.kind)
                || kinds::by_kind(&reference.kind).next().is_none()
        }
    }
}

/// Whether some text fits both patterns.
fn globs_meet(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // row[j]: whether the rest of `a` and the rest of `b` from j on can meet.
    let mut row = vec![false; b.len() + 1];
    row[b.len()] = true;
    for j in (0..b.len()).rev() {
        row[j] = row[j + 1] && b[j] == b'*';
    }
    for &x in a.iter().rev() {
        let below = row;
        row = vec![false; b.len() + 1];
        row[b.len()] = below[b.len()] && x == b'*';
        for j in (0..b.len()).rev() {
            row[j] = if x == b'*' || b[j] == b'*' {
                below[j] || row[j + 1] || below[j + 1]
            } else {
                x == b[j] && below[j + 1]
            };
        }
    }
    row[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_meet_when_some_text_fits_both() {
        for (a, b, meet) in [
            ("web", "web", true),
            ("web", "wen", false),
            ("smoke-*", "smoke-*", true),
            ("smoke-*", "*-x", true),
            ("*", "", true),
            ("a*c", "b*", false),
            ("*b", "a*c", false),
            ("web-0", "web-*", true),
            ("web", "web-*", false),
            ("", "", true),
        ] {
            assert_eq!(
                (globs_meet(a, b), globs_meet(b, a)),
                (meet, meet),
                "{a} {b}"
            );
        }
    }
}
