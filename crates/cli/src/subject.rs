//! What `plan` and `lint` look at: scenarios, or manifests without one.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use wavetank_json::{Value, json};
use wavetank_model::{GroupVersionKind, kinds};
use wavetank_scenario::{
    Loaded, Manifests, Problems, Scenario, discover, holds_scenario, load_bytes, manifests,
    manifests_of_text,
};

use crate::args::Selection;
use crate::load::{self, Refused};

/// Standard input on the command line, and its name in positions.
const INPUT: &str = "-";

/// Destination namespace of manifests unless another one is given.
const NAMESPACE: &str = "default";

/// One thing that was named on the command line.
#[derive(Debug)]
pub(crate) enum Subject {
    /// A scenario file.
    Scenarios(Loaded),
    /// Manifests, and what they were named.
    Manifests(PathBuf, Manifests),
}

/// What was read, in order, and the destination namespace of the manifests among it.
pub(crate) struct Subjects<'a> {
    /// Each of them; what could not be read is told in its place.
    pub(crate) all: Vec<Result<Subject, Problems>>,
    /// The namespace.
    pub(crate) namespace: &'a str,
}

/// Reads what `selection` names; a folder that holds scenarios stands for these, any other for its manifests, whose
/// destination is `namespace`.
///
/// # Errors
/// Standard input that cannot be read; [`Refused`] for a case or a namespace where there is nothing that it is about.
pub(crate) fn read<'a>(
    selection: &Selection,
    namespace: Option<&'a str>,
) -> anyhow::Result<Subjects<'a>> {
    let subjects = Subjects {
        all: read_in(selection, namespace.unwrap_or(NAMESPACE))?,
        namespace: namespace.unwrap_or(NAMESPACE),
    };
    let paths = || {
        let paths: Vec<String> = selection
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        paths.join(", ")
    };
    // What could not be read may have been either.
    let any = |what: fn(&Subject) -> bool| {
        subjects
            .all
            .iter()
            .any(|subject| subject.as_ref().map_or(true, what))
    };
    let is_scenario = |subject: &Subject| matches!(subject, Subject::Scenarios(_));
    if selection.case.is_some() && !any(is_scenario) {
        let text = format!(
            "error: --case names a case of a scenario, and {} holds none\n",
            paths()
        );
        return Err(Refused(text).into());
    }
    if namespace.is_some() && !any(|subject| matches!(subject, Subject::Manifests(..))) {
        let text = format!(
            "error: --namespace is about manifests without a scenario, and {} holds none\n  = a scenario says it in \
             app.namespace\n",
            paths()
        );
        return Err(Refused(text).into());
    }
    Ok(subjects)
}

fn read_in(
    selection: &Selection,
    namespace: &str,
) -> anyhow::Result<Vec<Result<Subject, Problems>>> {
    let mut out = Vec::new();
    for path in &selection.paths {
        let is_text = |bytes: &[u8]| holds_scenario(bytes);
        if path == Path::new(INPUT) {
            let mut bytes = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut bytes)
                .context("cannot read standard input")?;
            let options = load::options(Path::new("."), selection);
            out.push(if is_text(&bytes) {
                load_bytes(path, &bytes, &options).map(Subject::Scenarios)
            } else {
                manifests_of_text(path, &bytes, &options)
                    .map(|read| Subject::Manifests(path.clone(), read))
            });
            continue;
        }
        let files = match discover(std::slice::from_ref(path)) {
            Ok(files) => files,
            Err(problems) => {
                out.push(Err(problems));
                continue;
            }
        };
        let scenarios: Vec<PathBuf> = files
            .into_iter()
            .filter(|file| std::fs::read(file).is_ok_and(|bytes| is_text(&bytes)))
            .collect();
        if scenarios.is_empty() {
            let options = load::options(path, selection);
            let read = manifests(path, namespace, &options);
            out.push(read.map(|read| Subject::Manifests(path.clone(), read)));
        }
        for file in scenarios {
            let loaded = wavetank_scenario::load(&file, &load::options(&file, selection));
            out.push(loaded.map(Subject::Scenarios));
        }
    }
    Ok(out)
}

/// A scenario that syncs `read` once, to an empty cluster that knows all kinds.
pub(crate) fn scenario(path: &Path, read: &Manifests, namespace: &str) -> anyhow::Result<Scenario> {
    let text = json!({
        "apiVersion": "wavetank/v1",
        "kind": "Scenario",
        "metadata": {"name": "manifests"},
        "spec": {"app": {"namespace": namespace}},
    });
    let mut scenario = load::text(&text.to_string(), Path::new(""))?;
    path.clone_into(&mut scenario.path);
    for placed in &read.objects {
        scenario.app.manifests.push(Arc::clone(&placed.object));
        scenario.app.places.push(placed.location.clone());
        scenario.cluster.objects.extend(definition(&placed.object));
    }
    Ok(scenario)
}

/// A definition of the kind of `object`, where Kubernetes has none: nobody knows what is installed.
fn definition(object: &Value) -> Option<Arc<Value>> {
    let gvk = GroupVersionKind::of(object)?;
    if kinds::is_builtin(&gvk.group, &gvk.kind) {
        return None;
    }
    let plural = format!("{}s", gvk.kind.to_lowercase());
    Some(Arc::new(json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{}", gvk.group)},
        "spec": {
            "group": gvk.group,
            "names": {"kind": gvk.kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": gvk.version, "served": true}],
        },
    })))
}
