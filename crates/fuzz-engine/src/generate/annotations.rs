//! What Argo CD and Helm read from the annotations of an object.

use wavetank_json::Map;

use super::body::Kind;
use crate::dice::Dice;

const HOOK: &str = "argocd.argoproj.io/hook";
const POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
const WAVE: &str = "argocd.argoproj.io/sync-wave";
const OPTIONS: &str = "argocd.argoproj.io/sync-options";

/// Draws the annotations of a desired object.
pub(super) fn draw(kind: Kind, dice: &mut Dice) -> Map {
    let mut out = Map::new();
    let hook = if kind.is_finite() { 60 } else { 15 };
    if dice.chance(hook) {
        if dice.chance(25) {
            helm(&mut out, dice);
        } else {
            argo(&mut out, dice);
        }
        if dice.chance(4) {
            helm(&mut out, dice);
        }
    }
    if dice.chance(35) {
        let wave = dice.weighted(&[
            (6, "-1"),
            (6, "1"),
            (4, "2"),
            (3, "0"),
            (2, "-5"),
            (2, "10"),
            (1, "one"),
            (1, ""),
            (1, "1.5"),
        ]);
        out.insert(WAVE.to_owned(), (*wave).into());
    }
    if dice.chance(25) {
        out.insert(OPTIONS.to_owned(), options(dice).into());
    }
    if dice.chance(3) {
        let name = "argocd.argoproj.io/ignore-healthcheck";
        out.insert(name.to_owned(), "true".into());
    }
    if kind.kind == "Pod" && dice.chance(30) {
        let name = "argocd.argoproj.io/ignore-restart-policy";
        out.insert(name.to_owned(), (*dice.pick(&["true", "false"])).into());
    }
    if dice.chance(3) {
        let name = "argocd.argoproj.io/compare-options";
        let value = *dice.pick(&[
            "IgnoreExtraneous",
            "ServerSideDiff=true",
            "IgnoreResourceUpdates=false",
        ]);
        out.insert(name.to_owned(), value.into());
    }
    out
}

fn argo(out: &mut Map, dice: &mut Dice) {
    const TYPES: &[(u64, &str)] = &[
        (10, "PreSync"),
        (8, "Sync"),
        (10, "PostSync"),
        (5, "SyncFail"),
        (2, "Skip"),
        (2, "PreDelete"),
        (2, "PostDelete"),
        (1, "presync"),
        (1, ""),
    ];
    let mut types = vec![*dice.weighted(TYPES)];
    while types.len() < 3 && dice.chance(20) {
        types.push(*dice.weighted(TYPES));
    }
    let separator = if dice.chance(20) { ", " } else { "," };
    out.insert(HOOK.to_owned(), types.join(separator).into());
    if dice.chance(50) {
        let policies = &[
            "HookSucceeded",
            "HookFailed",
            "BeforeHookCreation",
            "hooksucceeded",
        ];
        let mut drawn = dice.some(&policies[..3], 40);
        if dice.chance(5) {
            drawn.push(policies[3].to_owned());
        }
        out.insert(POLICY.to_owned(), drawn.join(",").into());
    }
}

fn helm(out: &mut Map, dice: &mut Dice) {
    const TYPES: &[(u64, &str)] = &[
        (8, "pre-install"),
        (8, "post-install"),
        (5, "pre-upgrade"),
        (5, "post-upgrade"),
        (2, "crd-install"),
        (2, "pre-delete"),
        (2, "post-delete"),
        (1, "pre-rollback"),
        (1, "post-rollback"),
        (1, "test"),
        (1, "test-success"),
    ];
    let mut types = vec![*dice.weighted(TYPES)];
    while types.len() < 3 && dice.chance(30) {
        types.push(*dice.weighted(TYPES));
    }
    out.insert("helm.sh/hook".to_owned(), types.join(",").into());
    if dice.chance(40) {
        let weight = *dice.pick(&["-1", "0", "1", "5"]);
        out.insert("helm.sh/hook-weight".to_owned(), weight.into());
    }
    if dice.chance(40) {
        let policies = dice.some(
            &["hook-succeeded", "hook-failed", "before-hook-creation"],
            45,
        );
        let name = "helm.sh/hook-delete-policy".to_owned();
        out.insert(name, policies.join(",").into());
    }
    if dice.chance(5) {
        out.insert("helm.sh/resource-policy".to_owned(), "keep".into());
    }
}

/// Draws the value of the annotation of sync options.
pub(super) fn options(dice: &mut Dice) -> String {
    const OPTIONS: &[(u64, &str)] = &[
        (6, "Replace=true"),
        (4, "Force=true"),
        (3, "Replace=true,Force=true"),
        (6, "ServerSideApply=true"),
        (2, "ServerSideApply=false"),
        (4, "Prune=false"),
        (2, "Prune=confirm"),
        (4, "PruneLast=true"),
        (3, "Validate=false"),
        (4, "SkipDryRunOnMissingResource=true"),
        (2, "Delete=false"),
        (1, "Delete=confirm"),
        (1, "PrunePropagationPolicy=background"),
        (1, "ClientSideApplyMigration=false"),
    ];
    let mut drawn = vec![*dice.weighted(OPTIONS)];
    while drawn.len() < 3 && dice.chance(25) {
        drawn.push(*dice.weighted(OPTIONS));
    }
    let separator = if dice.chance(20) { ", " } else { "," };
    drawn.join(separator)
}

/// Draws sync options of the application or of an operation.
pub(super) fn sync_options(dice: &mut Dice) -> Vec<String> {
    let mut out = dice.some(
        &[
            "PruneLast=true",
            "Replace=true",
            "ServerSideApply=true",
            "ApplyOutOfSyncOnly=true",
            "SkipDryRunOnMissingResource=true",
            "RespectIgnoreDifferences=true",
            "FailOnSharedResource=true",
            "Prune=false",
            "Prune=confirm",
            "Delete=false",
            "ClientSideApplyMigration=false",
        ],
        6,
    );
    // With validation kubectl reads the OpenAPI document for every object, which is slow.
    if dice.chance(85) {
        out.push("Validate=false".to_owned());
    }
    if dice.chance(10) {
        let policy = *dice.pick(&["background", "orphan", "foreground"]);
        out.push(format!("PrunePropagationPolicy={policy}"));
    }
    out
}
