//! Resource customizations: folders of health scripts, and the `ConfigMap` `argocd-cm`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Sources, collect_named, parse, reason};
use crate::context::Context;
use crate::format;
use crate::shape::{Ty, check};
use crate::types::IgnoredFields;
use crate::yaml::{Node, Span};

/// The switch in `argocd-cm`.
const ENABLED: &str = "resource.ignoreResourceUpdatesEnabled";
/// How it compares.
const COMPARE_OPTIONS: &str = "resource.compareoptions";
/// How its customizations begin.
const CUSTOMIZATIONS: &str = "resource.customizations";

/// What a folder or an `argocd-cm` says, by `<group>/<Kind>`.
#[derive(Debug, Default)]
pub(crate) struct Customizations {
    /// Health scripts.
    pub health: Vec<(String, String)>,
    /// Fields whose changes are passed over.
    pub updates: Vec<(String, IgnoredFields)>,
    /// Whether any are.
    pub enabled: Option<bool>,
    /// Fields that comparisons pass over.
    pub differences: Vec<(String, IgnoredFields)>,
    /// Whether those are passed over in updates.
    pub differences_on_updates: Option<bool>,
    /// Whether the rules of aggregated roles are.
    pub aggregated_roles: Option<bool>,
    /// Whether anything was read at all.
    found: bool,
}

impl Sources<'_> {
    /// What a folder laid out as `<group>/<Kind>/health.lua` says (in its names `_` stands for `*`), or the `argocd-cm`
    /// `ConfigMap` in a file.
    pub(crate) fn customizations(
        &mut self,
        text: &str,
        span: Span,
        context: &mut Context,
    ) -> Customizations {
        let mut out = Customizations::default();
        let Some(path) = self.resolve(text, span, context) else {
            return out;
        };
        if path.is_dir() {
            out.health = scripts(&path, span, context);
            out.found = !out.health.is_empty();
        } else {
            for document in self.documents(&path, span, context).unwrap_or_default() {
                for (key, value) in document.get("data").map_or(&[][..], Node::entries) {
                    self.setting(&path, key, value, context, &mut out);
                }
            }
        }
        if !out.found {
            context.warning(
                span,
                format!("there are no customizations in `{text}`"),
                "`<group>/<Kind>/health.lua` in a folder, `resource.customizations.health.…`, `….ignoreDifferences.…` or `….ignoreResourceUpdates.…` in a ConfigMap",
            );
        }
        out
    }

    /// One entry of `argocd-cm`.
    fn setting(
        &self,
        file: &Path,
        key: &Node,
        value: &Node,
        context: &mut Context,
        out: &mut Customizations,
    ) {
        let (name, text) = (key.scalar_text().unwrap_or_default(), value.scalar_text());
        if name == ENABLED {
            out.found = true;
            match text.map(enabled) {
                Some(Ok(enabled)) => out.enabled = enabled,
                _ => context.error(
                    value.span,
                    format!("`{name}` is neither true nor false"),
                    "Argo CD reads nothing of its settings then",
                ),
            }
            return;
        }
        if name == COMPARE_OPTIONS {
            out.found = true;
            if let Some(node) = self.inner(file, name, text.unwrap_or_default(), context) {
                compare_options(&node, context, out);
            }
            return;
        }
        let Some(rest) = name.strip_prefix(CUSTOMIZATIONS) else {
            return;
        };
        let mut parts = rest.splitn(3, '.').skip(1);
        match (parts.next(), parts.next(), text) {
            (Some("health"), Some(kind), Some(script)) => {
                let kind = kind.rsplit_once('_').map_or_else(
                    || kind.to_owned(),
                    |(group, kind)| format!("{group}/{kind}"),
                );
                out.found = true;
                out.health.push((kind, script.to_owned()));
            }
            (
                Some(what @ ("ignoreResourceUpdates" | "ignoreDifferences")),
                Some(kind),
                Some(text),
            ) => {
                let Some(kind) = kind_of(kind) else {
                    let label = "expected `<group>_<Kind>`, `<Kind>` or `all`";
                    context.error(key.span, format!("`{kind}` names no kind"), label);
                    return;
                };
                out.found = true;
                let fields = self.inner(file, name, text, context);
                if what == "ignoreDifferences" {
                    let fields = fields.map(|node| {
                        check(&node, &Ty::Map(&format::IGNORED_DIFFERENCES), context);
                        ignored_differences(&node, &kind, context)
                    });
                    out.differences.push((kind, fields.unwrap_or_default()));
                } else {
                    let fields = fields.map(|node| {
                        check(&node, &Ty::Map(&format::IGNORED_UPDATES), context);
                        ignored_updates(&node, context)
                    });
                    out.updates.push((kind, fields.unwrap_or_default()));
                }
            }
            _ => context.warning(
                key.span,
                format!("`{name}` changes nothing here"),
                "only `health`, `ignoreDifferences` and `ignoreResourceUpdates` are read",
            ),
        }
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
    let flag = |key: &str| node.get(key).and_then(Node::boolean);
    out.aggregated_roles = flag("ignoreAggregatedRoles");
    out.differences_on_updates = flag("ignoreDifferencesOnResourceUpdates");
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

/// As Go's `ParseBool` reads it; nothing is the default.
fn enabled(text: &str) -> Result<Option<bool>, ()> {
    match text {
        "" => Ok(None),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
        _ => Err(()),
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
