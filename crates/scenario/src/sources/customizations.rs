//! Resource customizations: folders of health scripts, and the `ConfigMap` `argocd-cm`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Sources, collect_named, parse, reason};
use crate::context::Context;
use crate::format;
use crate::shape::{Ty, check};
use crate::types::IgnoredUpdates;
use crate::yaml::{Node, Span};

/// The switch in `argocd-cm`.
const ENABLED: &str = "resource.ignoreResourceUpdatesEnabled";
/// How its customizations begin.
const CUSTOMIZATIONS: &str = "resource.customizations";

/// What a folder or an `argocd-cm` says, by `<group>/<Kind>`.
#[derive(Debug, Default)]
pub(crate) struct Customizations {
    /// Health scripts.
    pub health: Vec<(String, String)>,
    /// Fields whose changes are passed over.
    pub updates: Vec<(String, IgnoredUpdates)>,
    /// Whether any are.
    pub enabled: Option<bool>,
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
        } else {
            for document in self.documents(&path, span, context).unwrap_or_default() {
                for (key, value) in document.get("data").map_or(&[][..], Node::entries) {
                    self.setting(&path, key, value, context, &mut out);
                }
            }
        }
        if out.health.is_empty() && out.updates.is_empty() && out.enabled.is_none() {
            context.warning(
                span,
                format!("there are no customizations in `{text}`"),
                "`<group>/<Kind>/health.lua` in a folder, `resource.customizations.health.…` or `….ignoreResourceUpdates.…` in a ConfigMap",
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
                out.health.push((kind, script.to_owned()));
            }
            (Some("ignoreResourceUpdates"), Some(kind), Some(text)) => {
                let Some(kind) = kind_of(kind) else {
                    let label = "expected `<group>_<Kind>`, `<Kind>` or `all`";
                    context.error(key.span, format!("`{kind}` names no kind"), label);
                    return;
                };
                // Positions within the text are those of a file of its own.
                let place = format!("{} ({name})", file.display());
                let number = context.add_source(Path::new(&place), Arc::from(text));
                let written = parse(number, self.options.limits, context);
                let fields = written
                    .first()
                    .filter(|node| node.scalar_text() != Some(""));
                let fields = fields.map(|node| {
                    check(node, &Ty::Map(&format::IGNORED_UPDATES), context);
                    ignored_updates(node, context)
                });
                out.updates.push((kind, fields.unwrap_or_default()));
            }
            _ => context.warning(
                key.span,
                format!("`{name}` changes nothing here"),
                "only `health` and `ignoreResourceUpdates` are read",
            ),
        }
    }
}

/// The fields of an `ignoreResourceUpdates` whose shape was checked.
pub(crate) fn ignored_updates(node: &Node, context: &mut Context) -> IgnoredUpdates {
    if let Some(managers) = node.get("managedFieldsManagers") {
        context.warning(
            managers.span,
            "`managedFieldsManagers` changes nothing here",
            "Argo CD looks at pointers and jq paths of ignored updates only",
        );
    }
    let texts = |key: &str| {
        let items = node.get(key).map_or(&[][..], Node::items);
        items
            .iter()
            .filter_map(Node::scalar_text)
            .map(str::to_owned)
            .collect()
    };
    IgnoredUpdates {
        json_pointers: texts("jsonPointers"),
        jq_path_expressions: texts("jqPathExpressions"),
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
