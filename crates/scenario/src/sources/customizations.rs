//! Resource customizations: folders of health scripts, and the `ConfigMap` `argocd-cm`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wavetank_model::boolean;

use super::{Sources, collect_named, parse, reason};
use crate::context::Context;
use crate::format;
use crate::shape::{Ty, check};
use crate::types::{Customizations, IgnoredFields};
use crate::yaml::{Node, Span};

/// The switch in `argocd-cm`.
const ENABLED: &str = "resource.ignoreResourceUpdatesEnabled";
/// How it compares.
const COMPARE_OPTIONS: &str = "resource.compareoptions";
/// How its customizations begin.
const CUSTOMIZATIONS: &str = "resource.customizations";

impl Sources<'_> {
    /// Takes over what a folder laid out as `<group>/<Kind>/health.lua` says (in its names `_` stands for `*`), or the
    /// `argocd-cm` `ConfigMap` in a file. What was said before stays where nothing else is said.
    pub(crate) fn customizations(
        &mut self,
        text: &str,
        span: Span,
        context: &mut Context,
        out: &mut Customizations,
    ) {
        let Some(path) = self.resolve(text, span, context) else {
            return;
        };
        let mut found = false;
        if path.is_dir() {
            let scripts = scripts(&path, span, context);
            found = !scripts.is_empty();
            out.health_scripts.extend(scripts);
        } else {
            for document in self.documents(&path, span, context).unwrap_or_default() {
                for (key, value) in document.get("data").map_or(&[][..], Node::entries) {
                    found |= self.setting(&path, key, value, context, out);
                }
            }
        }
        if !found {
            context.warning(
                span,
                format!("there are no customizations in `{text}`"),
                "`<group>/<Kind>/health.lua` in a folder, `resource.customizations.health.…`, `….ignoreDifferences.…` or `….ignoreResourceUpdates.…` in a ConfigMap",
            );
        }
    }

    /// One entry of `argocd-cm`; says whether it is one that is read.
    fn setting(
        &self,
        file: &Path,
        key: &Node,
        value: &Node,
        context: &mut Context,
        out: &mut Customizations,
    ) -> bool {
        let (name, text) = (key.scalar_text().unwrap_or_default(), value.scalar_text());
        if name == ENABLED {
            match text.map(|text| (text, boolean::parse(text))) {
                Some((_, Some(enabled))) => out.ignores_resource_updates = enabled,
                // The default.
                Some(("", None)) => {}
                _ => context.error(
                    value.span,
                    format!("`{name}` is neither true nor false"),
                    "Argo CD reads nothing of its settings then",
                ),
            }
            return true;
        }
        if name == COMPARE_OPTIONS {
            if let Some(node) = self.inner(file, name, text.unwrap_or_default(), context) {
                compare_options(&node, context, out);
            }
            return true;
        }
        let Some(rest) = name.strip_prefix(CUSTOMIZATIONS) else {
            return false;
        };
        let mut parts = rest.splitn(3, '.').skip(1);
        match (parts.next(), parts.next(), text) {
            (Some("health"), Some(kind), Some(script)) => {
                let kind = kind.rsplit_once('_').map_or_else(
                    || kind.to_owned(),
                    |(group, kind)| format!("{group}/{kind}"),
                );
                out.health_scripts.insert(kind, script.to_owned());
            }
            (
                Some(what @ ("ignoreResourceUpdates" | "ignoreDifferences")),
                Some(kind),
                Some(text),
            ) => {
                let Some(kind) = kind_of(kind) else {
                    let label = "expected `<group>_<Kind>`, `<Kind>` or `all`";
                    context.error(key.span, format!("`{kind}` names no kind"), label);
                    return false;
                };
                let fields = self.inner(file, name, text, context);
                if what == "ignoreDifferences" {
                    let fields = fields.map(|node| {
                        check(&node, &Ty::Map(&format::IGNORED_DIFFERENCES), context);
                        ignored_differences(&node, &kind, context)
                    });
                    out.ignored_differences
                        .insert(kind, fields.unwrap_or_default());
                } else {
                    let fields = fields.map(|node| {
                        check(&node, &Ty::Map(&format::IGNORED_UPDATES), context);
                        ignored_updates(&node, context)
                    });
                    out.ignored_updates.insert(kind, fields.unwrap_or_default());
                }
            }
            _ => {
                context.warning(
                    key.span,
                    format!("`{name}` changes nothing here"),
                    "only `health`, `ignoreDifferences` and `ignoreResourceUpdates` are read",
                );
                return false;
            }
        }
        true
    }

    /// The document within an entry of `argocd-cm`; none in an empty one.
    fn inner(&self, file: &Path, name: &str, text: &str, context: &mut Context) -> Option<Node> {
        // Positions within the text are those of a file of its own.
        let place = format!("{} ({name})", file.display());
        let number = context.add_source(Path::new(&place), Arc::from(text));
        let written = parse(number, self.options.limits, context);
        let mut written = written.into_iter();
        written.next().filter(|node| node.scalar_text() != Some(""))
    }
}

/// What `resource.compareoptions` says.
fn compare_options(node: &Node, context: &mut Context, out: &mut Customizations) {
    check(node, &Ty::Map(&format::COMPARE_OPTIONS), context);
    for (key, switch) in [
        ("ignoreAggregatedRoles", &mut out.ignores_aggregated_roles),
        (
            "ignoreDifferencesOnResourceUpdates",
            &mut out.ignores_differences_on_updates,
        ),
    ] {
        let said = node.get(key).and_then(Node::boolean);
        *switch = said.unwrap_or(*switch);
    }
    if let Some(status) = node.get("ignoreResourceStatusField")
        && !matches!(status.string().as_deref(), Some("" | "all"))
    {
        context.warning(
            status.span,
            "`ignoreResourceStatusField` changes nothing here",
            "comparisons pass over the status of every kind, as with `all`",
        );
    }
}

/// The fields of an `ignoreDifferences` of a kind, whose shape was checked.
pub(crate) fn ignored_differences(node: &Node, kind: &str, context: &mut Context) -> IgnoredFields {
    let mut fields = ignored_fields(node);
    // Argo CD looks for managers by the whole name of the kind, with a group before the slash.
    let is_found = kind == "*/*" || kind.contains('/') && !kind.contains(['*', '?', '[', '{']);
    if let Some(managers) = node.get("managedFieldsManagers")
        && !is_found
    {
        fields.managed_fields_managers.clear();
        context.warning(
            managers.span,
            "`managedFieldsManagers` changes nothing here",
            "Argo CD finds managers by `<group>_<Kind>` (`_<Kind>` in the core group) and by `all` only",
        );
    }
    fields
}

/// The fields of an `ignoreResourceUpdates` whose shape was checked.
pub(crate) fn ignored_updates(node: &Node, context: &mut Context) -> IgnoredFields {
    if let Some(managers) = node.get("managedFieldsManagers") {
        context.warning(
            managers.span,
            "`managedFieldsManagers` changes nothing here",
            "Argo CD looks at pointers and jq paths of ignored updates only",
        );
    }
    IgnoredFields {
        managed_fields_managers: Vec::new(),
        ..ignored_fields(node)
    }
}

fn ignored_fields(node: &Node) -> IgnoredFields {
    let texts = |key: &str| {
        let items = node.get(key).map_or(&[][..], Node::items);
        items
            .iter()
            .filter_map(Node::scalar_text)
            .map(str::to_owned)
            .collect()
    };
    IgnoredFields {
        json_pointers: texts("jsonPointers"),
        jq_path_expressions: texts("jqPathExpressions"),
        managed_fields_managers: texts("managedFieldsManagers"),
    }
}

/// `<group>/<Kind>` of `<group>_<Kind>`, `<Kind>` or `all`.
fn kind_of(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('_').collect();
    match parts[..] {
        ["all"] => Some("*/*".to_owned()),
        [kind] if !kind.is_empty() => Some(kind.to_owned()),
        [group, kind] => Some(format!("{group}/{kind}")),
        _ => None,
    }
}

fn scripts(path: &Path, span: Span, context: &mut Context) -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = Vec::new();
    collect_named(path, "health.lua", &mut files);
    files.sort();
    let mut out = Vec::new();
    for file in files {
        let Some(folder) = file
            .parent()
            .and_then(|folder| folder.strip_prefix(path).ok())
        else {
            continue;
        };
        let parts = folder
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        let key = parts.collect::<Vec<_>>().join("/").replace('_', "*");
        match std::fs::read_to_string(&file) {
            Ok(script) => out.push((key, script)),
            Err(error) => context.error(
                span,
                format!("cannot read `{}`", file.display()),
                reason(&error),
            ),
        }
    }
    out
}
