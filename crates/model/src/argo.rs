//! Argo CD's annotations: hook types, waves, delete policies, sync options.

use wavetank_json::Value;

use crate::event::Phase;
use crate::object;

/// Hook types of an object.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// Delete policies of a hook.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// Wave.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Options of one object.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// How an object, or an app, is compared.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// Differences of one object that do not count, since 3.6.
pub const IGNORE_DIFFERENCES: &str = "argocd.argoproj.io/ignore-differences";
/// Which app an object belongs to.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// Finalizer of applied hooks (SYNC-026).
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
/// Helm's hook types.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// Helm's waves.
pub const HELM_HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// Helm's delete policies.
pub const HELM_HOOK_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";

/// Splits an annotation list: items trimmed, empty and repeated ones dropped (SYNC-005).
pub fn items(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for item in text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}

/// The items of annotation `key` of `object`.
pub fn annotation_items<'a>(object: &'a Value, key: &str) -> Vec<&'a str> {
    object::annotation(object, key)
        .map(items)
        .unwrap_or_default()
}

/// Whether the object's sync options hold exactly `option` (SYNC-005).
pub fn has_option(object: &Value, option: &str) -> bool {
    annotation_items(object, SYNC_OPTIONS).contains(&option)
}

/// The value of the first sync option `name=…` of the object (SYNC-005).
pub fn option_value<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    annotation_items(object, SYNC_OPTIONS)
        .into_iter()
        .find_map(|item| {
            item.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
        })
}

/// A type a hook can have during a sync (SYNC-014).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookType {
    /// Before the application's objects.
    PreSync,
    /// With them.
    Sync,
    /// After they are healthy.
    PostSync,
    /// After a failure.
    SyncFail,
    /// Never applied.
    Skip,
}

impl HookType {
    /// Reads the exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "PreSync" => Self::PreSync,
            "Sync" => Self::Sync,
            "PostSync" => Self::PostSync,
            "SyncFail" => Self::SyncFail,
            "Skip" => Self::Skip,
            _ => return None,
        })
    }

    /// The phase it runs in; none for Skip.
    pub fn phase(self) -> Option<Phase> {
        match self {
            Self::PreSync => Some(Phase::PreSync),
            Self::Sync => Some(Phase::Sync),
            Self::PostSync => Some(Phase::PostSync),
            Self::SyncFail => Some(Phase::SyncFail),
            Self::Skip => None,
        }
    }
}

/// When a hook is deleted (SYNC-072).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeletePolicy {
    /// When the attempt succeeded (SYNC-074).
    HookSucceeded,
    /// When the attempt failed (SYNC-075).
    HookFailed,
    /// Before it is created anew (SYNC-073).
    BeforeHookCreation,
}

/// The hook types of an object: Argo CD's, else Helm's (SYNC-014, SYNC-015).
pub fn hook_types(object: &Value) -> Vec<HookType> {
    let argo: Vec<HookType> = annotation_items(object, HOOK)
        .into_iter()
        .filter_map(HookType::parse)
        .collect();
    if !argo.is_empty() {
        return argo;
    }
    let mut out = Vec::new();
    for item in annotation_items(object, HELM_HOOK) {
        let hook = match item {
            "pre-install" | "pre-upgrade" => HookType::PreSync,
            "post-install" | "post-upgrade" => HookType::PostSync,
            _ => continue,
        };
        if !out.contains(&hook) {
            out.push(hook);
        }
    }
    out
}

/// Whether the object is skipped (SYNC-016).
pub fn is_skipped(object: &Value) -> bool {
    hook_types(object) == [HookType::Skip]
}

/// Whether the object is a hook (SYNC-017).
pub fn is_hook(object: &Value) -> bool {
    if object::annotation(object, HOOK).is_some() {
        return !is_skipped(object);
    }
    object::annotation(object, HELM_HOOK).is_some_and(|value| value != "crd-install")
}

/// Whether the object is a hook without a type and therefore dropped (SYNC-018).
pub fn is_ignored(object: &Value) -> bool {
    is_hook(object) && hook_types(object).is_empty()
}

/// The phases of a sync the object takes part in (SYNC-020), in order.
pub fn phases(object: &Value) -> Vec<Phase> {
    if is_skipped(object) {
        return Vec::new();
    }
    if !is_hook(object) {
        return vec![Phase::Sync];
    }
    let mut phases: Vec<Phase> = hook_types(object)
        .into_iter()
        .filter_map(HookType::phase)
        .collect();
    phases.sort_unstable();
    phases.dedup();
    phases
}

/// Whether the object is a hook of the deletion `phase`, PreDelete or PostDelete (SYNC-143).
pub fn is_delete_hook(object: &Value, phase: Phase) -> bool {
    let (argo, helm) = match phase {
        Phase::PreDelete => ("PreDelete", "pre-delete"),
        Phase::PostDelete => ("PostDelete", "post-delete"),
        _ => return false,
    };
    annotation_items(object, HOOK).contains(&argo)
        || annotation_items(object, HELM_HOOK).contains(&helm)
}

/// Whether the object is a hook of the deletion of the app, before or after it (SYNC-143).
pub fn is_any_delete_hook(object: &Value) -> bool {
    [Phase::PreDelete, Phase::PostDelete]
        .into_iter()
        .any(|phase| is_delete_hook(object, phase))
}

/// The wave that the object's annotations give it (SYNC-034).
pub fn wave(object: &Value) -> i64 {
    let number = |key| object::annotation(object, key).and_then(parse_wave);
    number(SYNC_WAVE)
        .or_else(|| number(HELM_HOOK_WEIGHT))
        .unwrap_or(0)
}

/// A decimal number with an optional sign and nothing else (SYNC-034).
pub fn parse_wave(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// The delete policies of a hook; BeforeHookCreation when none is valid (SYNC-072).
pub fn delete_policies(object: &Value) -> Vec<DeletePolicy> {
    let argo = annotation_items(object, HOOK_DELETE_POLICY)
        .into_iter()
        .filter_map(|item| match item {
            "HookSucceeded" => Some(DeletePolicy::HookSucceeded),
            "HookFailed" => Some(DeletePolicy::HookFailed),
            "BeforeHookCreation" => Some(DeletePolicy::BeforeHookCreation),
            _ => None,
        });
    let helm = annotation_items(object, HELM_HOOK_DELETE_POLICY)
        .into_iter()
        .filter_map(|item| match item {
            "hook-succeeded" => Some(DeletePolicy::HookSucceeded),
            "hook-failed" => Some(DeletePolicy::HookFailed),
            "before-hook-creation" => Some(DeletePolicy::BeforeHookCreation),
            _ => None,
        });
    let mut policies: Vec<DeletePolicy> = Vec::new();
    for policy in argo.chain(helm) {
        if !policies.contains(&policy) {
            policies.push(policy);
        }
    }
    if policies.is_empty() {
        policies.push(DeletePolicy::BeforeHookCreation);
    }
    policies
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;

    use super::*;

    fn object(argo: Option<&str>, helm: Option<&str>) -> Value {
        let mut object = json!({"metadata": {"annotations": {}}});
        for (key, value) in [(HOOK, argo), (HELM_HOOK, helm)] {
            if let Some(value) = value {
                object["metadata"]["annotations"][key] = value.into();
            }
        }
        object
    }

    /// SYNC-005, U-157: items are trimmed, empty and repeated ones dropped; an option is the whole item.
    #[rstest]
    #[case(None, &[])]
    #[case(Some(""), &[])]
    #[case(Some("bar"), &["bar"])]
    #[case(Some("bar,bar"), &["bar"])]
    #[case(Some("bar,baz"), &["bar", "baz"])]
    #[case(Some(" bar , ,baz"), &["bar", "baz"])]
    fn lists_are_trimmed_and_without_repeats(
        #[case] text: Option<&str>,
        #[case] expected: &[&str],
    ) {
        let mut object = json!({"metadata": {"annotations": {}}});
        if let Some(text) = text {
            object["metadata"]["annotations"][SYNC_OPTIONS] = text.into();
        }
        assert_eq!(annotation_items(&object, SYNC_OPTIONS), expected);
        assert_eq!(
            has_option(&object, "bar"),
            text.is_some_and(|text| text.contains("bar"))
        );
        assert!(!has_option(&object, "ba"));
    }

    /// SYNC-005: of several values the first counts, and names are exact.
    #[test]
    fn the_first_value_of_an_option_counts() {
        let object = json!({"metadata": {"annotations": {
            SYNC_OPTIONS: "PruneLast=true, prune=x, Prune=confirm, Prune=false"}}});
        assert_eq!(option_value(&object, "Prune"), Some("confirm"));
        assert_eq!(option_value(&object, "Delete"), None);
        assert!(has_option(&object, "Prune=false") && !has_option(&object, "Prune=False"));
    }

    /// SYNC-014, SYNC-015, U-002, U-013, U-014, U-015: names are exact; Helm's types count where there is no other.
    #[rstest]
    #[case(None, None, &[])]
    #[case(Some("Garbage"), None, &[])]
    #[case(Some("presync"), None, &[])]
    #[case(Some("PreSync"), None, &[HookType::PreSync])]
    #[case(Some("Sync,Garbage"), None, &[HookType::Sync])]
    #[case(Some("PostSync, SyncFail"), Some("pre-install"), &[HookType::PostSync, HookType::SyncFail])]
    #[case(Some("Garbage"), Some("post-upgrade"), &[HookType::PostSync])]
    #[case(None, Some("pre-install"), &[HookType::PreSync])]
    #[case(None, Some("pre-upgrade"), &[HookType::PreSync])]
    #[case(None, Some("pre-install,pre-upgrade"), &[HookType::PreSync])]
    #[case(None, Some("post-install"), &[HookType::PostSync])]
    #[case(None, Some("crd-install,post-upgrade"), &[HookType::PostSync])]
    #[case(None, Some("pre-rollback,post-rollback,test-success,test-failure"), &[])]
    fn types_of_hooks(
        #[case] argo: Option<&str>,
        #[case] helm: Option<&str>,
        #[case] expected: &[HookType],
    ) {
        assert_eq!(hook_types(&object(argo, helm)), expected);
    }

    /// SYNC-143, U-305, U-306, U-308, U-310: either annotation makes a delete hook, of one phase or of both.
    #[rstest]
    #[case(Some("PreDelete"), None, true, false)]
    #[case(Some("PostDelete"), None, false, true)]
    #[case(None, Some("pre-delete"), true, false)]
    #[case(None, Some("post-delete"), false, true)]
    #[case(Some("PostDelete,PreDelete"), None, true, true)]
    #[case(None, Some("post-delete,pre-delete"), true, true)]
    #[case(Some("PreSync"), Some("pre-install"), false, false)]
    #[case(Some("predelete"), None, false, false)]
    #[case(None, None, false, false)]
    fn delete_hooks(
        #[case] argo: Option<&str>,
        #[case] helm: Option<&str>,
        #[case] before: bool,
        #[case] after: bool,
    ) {
        let object = object(argo, helm);
        assert_eq!(is_delete_hook(&object, Phase::PreDelete), before);
        assert_eq!(is_delete_hook(&object, Phase::PostDelete), after);
        assert!(!is_delete_hook(&object, Phase::PreSync));
        assert_eq!(is_hook(&object), argo.is_some() || helm.is_some());
    }

    /// The truth table of SYNC-019; SYNC-016, SYNC-017, SYNC-018.
    #[rstest]
    #[case(None, None, "resource")]
    #[case(None, Some("pre-install"), "PreSync")]
    #[case(None, Some("pre-install,pre-upgrade"), "PreSync")]
    #[case(None, Some("crd-install"), "resource")]
    #[case(None, Some("test"), "ignored")]
    #[case(Some("PreSync"), Some("post-install"), "PreSync")]
    #[case(Some("PreSync,PostSync"), None, "PreSync,PostSync")]
    #[case(Some("Skip"), Some("post-install"), "skipped")]
    #[case(Some("Skip,Sync"), None, "Sync")]
    #[case(Some(""), Some("pre-install"), "PreSync")]
    #[case(Some("presync"), Some("pre-install"), "PreSync")]
    #[case(Some(""), None, "ignored")]
    #[case(Some("PreDelete"), None, "ignored")]
    #[case(Some("PreDelete,PreSync"), None, "PreSync")]
    fn classification(
        #[case] argo: Option<&str>,
        #[case] helm: Option<&str>,
        #[case] expected: &str,
    ) {
        let object = object(argo, helm);
        let class = if is_skipped(&object) {
            "skipped".to_owned()
        } else if is_ignored(&object) {
            "ignored".to_owned()
        } else if is_hook(&object) {
            phases(&object)
                .iter()
                .map(|phase| phase.as_str())
                .collect::<Vec<_>>()
                .join(",")
        } else {
            "resource".to_owned()
        };
        assert_eq!(class, expected);
    }

    /// SYNC-034: a sign is fine, a space or a fraction is not.
    #[rstest]
    #[case("+5", Some(5))]
    #[case("-3", Some(-3))]
    #[case(" 5", None)]
    #[case("1.5", None)]
    #[case("", None)]
    fn waves_are_plain_integers(#[case] text: &str, #[case] wave: Option<i64>) {
        assert_eq!(parse_wave(text), wave);
    }

    /// SYNC-072, U-087, U-088: Argo CD's and Helm's policies add up; the default applies only when there is none.
    #[test]
    fn delete_policies_add_up() {
        let object = json!({"metadata": {"annotations": {
            HOOK_DELETE_POLICY: "HookSucceeded, nonsense", HELM_HOOK_DELETE_POLICY: "hook-failed"}}});
        assert_eq!(
            delete_policies(&object),
            [DeletePolicy::HookSucceeded, DeletePolicy::HookFailed]
        );
        assert_eq!(
            delete_policies(&json!({})),
            [DeletePolicy::BeforeHookCreation]
        );
    }
}
