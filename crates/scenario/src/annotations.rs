//! What Argo CD passes over in annotations: somebody who wrote it meant something.

use wavetank_model::argo;

use crate::context::Context;
use crate::problem::nearest;
use crate::yaml::Node;

/// A hook annotation whose types Argo CD does not know.
const UNKNOWN_HOOK: &str = "WT001";
/// A delete policy that Argo CD does not know.
const UNKNOWN_POLICY: &str = "WT002";
/// A wave that is no number.
const NO_WAVE: &str = "WT003";
/// A sync option that Argo CD does not know.
pub(crate) const UNKNOWN_OPTION: &str = "WT004";

const HOOKS: &[&str] = &[
    "PreSync",
    "Sync",
    "PostSync",
    "SyncFail",
    "Skip",
    "PreDelete",
    "PostDelete",
];
/// Helm's own; those that Argo CD has no use for by design are known all the same (SYNC-015).
const HELM_HOOKS: &[&str] = &[
    "pre-install",
    "pre-upgrade",
    "post-install",
    "post-upgrade",
    "pre-delete",
    "post-delete",
    "crd-install",
    "test",
    "test-success",
    "test-failure",
];
/// Helm's types for a rollback, which Argo CD never makes.
const ROLLBACK: &[&str] = &["pre-rollback", "post-rollback"];
const POLICIES: &[&str] = &["HookSucceeded", "HookFailed", "BeforeHookCreation"];
const HELM_POLICIES: &[&str] = &["hook-succeeded", "hook-failed", "before-hook-creation"];

/// Puts every word of the annotations of `node` that has no effect to the warnings.
pub(crate) fn check(node: &Node, context: &mut Context) {
    let Some(annotations) = node.at(&["metadata", "annotations"]) else {
        return;
    };
    for (key, value) in annotations.entries() {
        let (Some(key), Some(text)) = (key.scalar_text(), value.scalar_text()) else {
            continue;
        };
        match key {
            argo::HOOK => {
                let helm = annotations.get(argo::HELM_HOOK).is_some();
                hooks(value, text, HOOKS, helm, context);
            }
            argo::HELM_HOOK => {
                let argo = annotations.get(argo::HOOK).is_some();
                hooks(value, text, HELM_HOOKS, argo, context);
            }
            argo::HOOK_DELETE_POLICY => policies(value, text, POLICIES, context),
            argo::HELM_HOOK_DELETE_POLICY => policies(value, text, HELM_POLICIES, context),
            argo::SYNC_WAVE | argo::HELM_HOOK_WEIGHT if argo::parse_wave(text).is_none() => {
                context.coded_warning(
                    NO_WAVE,
                    value.span,
                    format!("`{text}` is no wave number"),
                    "counts as 0 (SYNC-034)",
                );
            }
            argo::SYNC_OPTIONS => options(value, text, context),
            _ => {}
        }
    }
}

/// A hook without any type that is known, in the annotation of either tool, is never applied, and nobody says so.
fn hooks(node: &Node, text: &str, known: &[&str], other_tool: bool, context: &mut Context) {
    let any_known = argo::items(text).iter().any(|item| known.contains(item));
    let effect = if any_known || other_tool {
        "Argo CD passes over it (SYNC-014)"
    } else {
        "this object is never applied (SYNC-018)"
    };
    for item in argo::items(text) {
        if ROLLBACK.contains(&item) && known == HELM_HOOKS {
            let message = format!("Argo CD has no `{item}` hooks");
            context.coded_warning(UNKNOWN_HOOK, context.part_of(node, item), message, effect);
        } else {
            word(
                UNKNOWN_HOOK,
                node,
                item,
                known,
                "hook type",
                effect,
                context,
            );
        }
    }
}

fn policies(node: &Node, text: &str, known: &[&str], context: &mut Context) {
    let effect = "Argo CD passes over it (SYNC-072)";
    for item in argo::items(text) {
        let what = "hook delete policy";
        word(UNKNOWN_POLICY, node, item, known, what, effect, context);
    }
}

fn word(
    code: &'static str,
    node: &Node,
    item: &str,
    known: &[&str],
    what: &str,
    effect: &str,
    context: &mut Context,
) {
    if known.contains(&item) {
        return;
    }
    let label = match nearest(item, known.iter().copied()) {
        Some(word) => format!("did you mean `{word}`? {effect}"),
        None => effect.to_owned(),
    };
    let span = context.part_of(node, item);
    context.coded_warning(code, span, format!("`{item}` is no {what}"), label);
}

/// Sync options that Argo CD knows on an object (SYNC-101).
const OBJECT_OPTIONS: &[&str] = &[
    "Prune=false",
    "Prune=true",
    "Prune=confirm",
    "PruneLast=true",
    "PruneLast=false",
    "Delete=false",
    "Delete=true",
    "Delete=confirm",
    "Validate=false",
    "Validate=true",
    "SkipDryRunOnMissingResource=true",
    "SkipDryRunOnMissingResource=false",
    "Replace=true",
    "Replace=false",
    "Force=true",
    "Force=false",
    "ServerSideApply=true",
    "ServerSideApply=false",
];

fn options(node: &Node, text: &str, context: &mut Context) {
    for item in argo::items(text) {
        if !OBJECT_OPTIONS.contains(&item)
            && let Some(word) = nearest(item, OBJECT_OPTIONS.iter().copied())
        {
            let span = context.part_of(node, item);
            context.coded_warning(
                UNKNOWN_OPTION,
                span,
                format!("`{item}` is no sync option"),
                format!("did you mean `{word}`? Argo CD passes over it (SYNC-005)"),
            );
        }
    }
}
