//! WT005 to WT009: annotations that do something else than they say.

use std::collections::BTreeSet;

use wavetank_model::argo::{self, DeletePolicy};
use wavetank_model::{Phase, object};

use crate::code;
use crate::finding::Finding;
use crate::item::{Item, Items};

pub(crate) fn check(app: &Items<'_>, found: &mut Vec<Finding>) {
    for item in &app.list {
        waves(item, found);
        two_tools(item, found);
    }
    installs(app, found);
}

/// WT005, WT006: waves that order nothing.
fn waves(item: &Item<'_>, found: &mut Vec<Finding>) {
    let wave = argo::wave(item.object);
    if wave == 0 {
        return;
    }
    let only_on_failure =
        !item.moments.is_empty() && item.moments.iter().all(|at| at.phase == Phase::SyncFail);
    let (code, message) = if argo::is_any_delete_hook(item.object) && item.moments.is_empty() {
        let message = format!("the wave of {} has no effect", item.name);
        (&code::DELETE_HOOK_WAVE, message)
    } else if only_on_failure {
        let message = format!("the wave of {} orders nothing", item.name);
        (&code::SYNC_FAIL_WAVE, message)
    } else {
        return;
    };
    let label = if code == &code::DELETE_HOOK_WAVE {
        "all hooks of a deletion are created in one go"
    } else {
        "all SyncFail hooks start at once"
    };
    if item.wants(code.id) {
        found.push(Finding::new(
            code,
            item,
            item.wave_annotation(),
            message,
            label,
        ));
    }
}

/// WT007: both tools' annotations, with different content.
fn two_tools(item: &Item<'_>, found: &mut Vec<Finding>) {
    let has = |key| object::annotation(item.object, key).is_some();
    if !item.wants(code::TWO_ANNOTATIONS.id) || !has(argo::HOOK) && !has(argo::HELM_HOOK) {
        return;
    }
    if has(argo::HOOK_DELETE_POLICY) && has(argo::HELM_HOOK_DELETE_POLICY) {
        let argo = policies(item, argo::HOOK_DELETE_POLICY);
        let helm = policies(item, argo::HELM_HOOK_DELETE_POLICY);
        if argo != helm {
            let message = format!("the delete policies of {} add up", item.name);
            let list: BTreeSet<&str> = argo.union(&helm).copied().collect();
            let list: Vec<&str> = list.into_iter().collect();
            let label = format!("Argo CD takes {}", list.join(", "));
            found.push(of_policy(item, message, label));
        }
    } else if has(argo::HOOK) && has(argo::HELM_HOOK) && has(argo::HELM_HOOK_DELETE_POLICY) {
        let message = format!("Helm's delete policy of {} acts in Argo CD too", item.name);
        let label = "the hook annotation beside it is Argo CD's, and decides alone when it runs";
        found.push(of_policy(item, message, label.to_owned()));
    }
}

/// A finding at Helm's delete policy.
fn of_policy(item: &Item<'_>, message: String, label: String) -> Finding {
    let location = item.annotation(argo::HELM_HOOK_DELETE_POLICY);
    Finding::new(&code::TWO_ANNOTATIONS, item, location, message, label)
}

/// The policies of one annotation, by Argo CD's names.
fn policies(item: &Item<'_>, key: &str) -> BTreeSet<&'static str> {
    argo::annotation_items(item.object, key)
        .into_iter()
        .filter_map(|word| match word {
            "HookSucceeded" | "hook-succeeded" => Some("HookSucceeded"),
            "HookFailed" | "hook-failed" => Some("HookFailed"),
            "BeforeHookCreation" | "before-hook-creation" => Some("BeforeHookCreation"),
            _ => None,
        })
        .collect()
}

/// WT008, WT009: hooks that Helm runs once.
fn installs(app: &Items<'_>, found: &mut Vec<Finding>) {
    for (install, upgrade) in [
        ("pre-install", "pre-upgrade"),
        ("post-install", "post-upgrade"),
    ] {
        let with = |wanted: &str, other: &str| {
            let fits = |item: &&Item<'_>| {
                let words = argo::annotation_items(item.object, argo::HELM_HOOK);
                words.contains(&wanted)
                    && !words.contains(&other)
                    && object::annotation(item.object, argo::HOOK).is_none()
                    && item.is_finite()
            };
            app.list.iter().filter(fits).collect::<Vec<_>>()
        };
        let partner = with(upgrade, install).into_iter().next();
        for item in with(install, upgrade) {
            let location = item
                .placed
                .word(&["metadata", "annotations", argo::HELM_HOOK], install);
            let finding = if let Some(partner) = partner {
                let message = format!("{} and {} run in the same sync", item.name, partner.name);
                let label = format!(
                    "`{upgrade}` hooks run with it, as {} (line {})",
                    partner.name,
                    partner.line()
                );
                Finding::new(&code::INSTALL_AND_UPGRADE, item, location, message, label)
            } else {
                let message = format!("{} runs in every sync", item.name);
                let label = "Argo CD does not know which sync is the first";
                Finding::new(&code::INSTALL_HOOK, item, location, message, label)
            };
            if item.wants(finding.code.id) {
                found.push(finding);
            }
        }
    }
}

/// The words for a set of policies.
pub(crate) fn words(policies: &[DeletePolicy]) -> String {
    let word = |policy: &DeletePolicy| match policy {
        DeletePolicy::HookSucceeded => "HookSucceeded",
        DeletePolicy::HookFailed => "HookFailed",
        DeletePolicy::BeforeHookCreation => "BeforeHookCreation",
    };
    policies.iter().map(word).collect::<Vec<_>>().join(", ")
}
