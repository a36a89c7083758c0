//! Deciding to sync: auto-sync and self-heal (SYNC-150, SYNC-151, SYNC-152).

use jiff::{SignedDuration, Timestamp};
use wavetank_model::OperationPhase;

use super::{OperationState, RetryStrategy};
use crate::compare::{Comparison, SyncCode};
use crate::options::ResourceFilter;

/// `spec.syncPolicy.automated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the switches of Argo CD's policy"
)]
pub struct AutomatedPolicy {
    /// Whether it is on at all.
    pub enabled: bool,
    /// Whether its operations prune.
    pub prune: bool,
    /// Whether a change in the cluster is undone.
    pub self_heal: bool,
    /// Whether it may prune everything.
    pub allow_empty: bool,
}

/// Waits between self-heals: none before the first, then `duration × factor^(n-1)`, at most `cap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfHealBackoff {
    /// First wait.
    pub duration: SignedDuration,
    /// Factor of each further one.
    pub factor: i32,
    /// Longest wait.
    pub cap: SignedDuration,
}

impl Default for SelfHealBackoff {
    fn default() -> Self {
        Self {
            duration: SignedDuration::from_secs(2),
            factor: 3,
            cap: SignedDuration::from_mins(5),
        }
    }
}

impl SelfHealBackoff {
    /// The wait after `attempts` self-heals.
    pub fn wait(&self, attempts: u32) -> SignedDuration {
        if attempts == 0 {
            return SignedDuration::ZERO;
        }
        let mut wait = self.duration;
        for _ in 1..attempts {
            wait = wait.checked_mul(self.factor).unwrap_or(self.cap);
            if wait >= self.cap {
                break;
            }
        }
        wait.min(self.cap)
    }
}

/// What the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct AutoSync<'a> {
    /// The policy; `None` when auto-sync is not configured.
    pub policy: Option<AutomatedPolicy>,
    /// The comparison of this refresh.
    pub comparison: &'a Comparison,
    /// The revision that was compared.
    pub revision: &'a str,
    /// Whether the app's sources are those of the last sync.
    pub same_sources: bool,
    /// The last operation, perhaps in progress.
    pub last: Option<&'a OperationState>,
    /// Whether an operation was requested and not taken up yet.
    pub requested: bool,
    /// Whether the app is being deleted.
    pub deleting: bool,
    /// Waits between self-heals.
    pub backoff: SelfHealBackoff,
    /// `spec.syncPolicy.retry`.
    pub retry: Option<&'a RetryStrategy>,
    /// Now.
    pub now: Timestamp,
}

/// The operation that auto-sync starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutomaticOperation {
    /// Whether it prunes.
    pub prune: bool,
    /// What it is restricted to: self-heal names what is out of sync, without namespaces (SYNC-196).
    pub resources: Vec<ResourceFilter>,
    /// Its retries (SYNC-135).
    pub retry: RetryStrategy,
    /// Self-heals in a row, this one included; 0 for an ordinary auto-sync.
    pub self_heal_attempts: u32,
}

/// What auto-sync does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing, for this reason.
    Nothing(&'static str),
    /// An operation starts.
    Start(AutomaticOperation),
    /// Nothing, and the app gets the condition `SyncError` with this message.
    SyncError(String),
    /// The back-off of self-heal is not over: the app is refreshed then.
    Later(Timestamp),
}

/// Decides in the order of SYNC-150.
pub fn decide(input: &AutoSync<'_>) -> Decision {
    let Some(policy) = input.policy.filter(|policy| policy.enabled) else {
        return Decision::Nothing("auto-sync is off");
    };
    if input.requested || input.last.is_some_and(|last| !last.over()) {
        return Decision::Nothing("an operation is in progress");
    }
    if input.deleting {
        return Decision::Nothing("the app is being deleted");
    }
    if input.comparison.status != SyncCode::OutOfSync {
        return Decision::Nothing("the app is not out of sync");
    }
    let resources = &input.comparison.resources;
    let differing = || {
        resources
            .iter()
            .filter(|resource| resource.status != SyncCode::Synced)
    };
    if !policy.prune
        && !input.comparison.others
        && differing().all(|resource| resource.requires_pruning)
    {
        return Decision::Nothing(
            "only pruning would change anything, and auto-sync does not prune",
        );
    }
    let mut heal = Vec::new();
    let mut attempts = 0;
    if let Some(last) = input.last.filter(|last| already_attempted(last, input)) {
        if last.phase != OperationPhase::Succeeded {
            // An operation without a result has no revision that could be named.
            let revision = last.revision.as_deref().unwrap_or_default();
            return Decision::SyncError(format!(
                "Failed last sync attempt to [{revision}]: {}",
                last.message
            ));
        }
        if !policy.self_heal {
            return Decision::Nothing("this revision was synced already, and self-heal is off");
        }
        let over = last.finished_at.unwrap_or(last.started_at);
        let ready = over
            .checked_add(input.backoff.wait(last.self_heal_attempts))
            .unwrap_or(Timestamp::MAX);
        if input.now < ready {
            return Decision::Later(ready);
        }
        attempts = last.self_heal_attempts + 1;
        heal = differing()
            .map(|resource| ResourceFilter {
                group: resource.key.group.clone(),
                kind: resource.key.kind.clone(),
                name: resource.key.name.clone(),
                namespace: String::new(),
            })
            .collect();
    }
    if policy.prune
        && !policy.allow_empty
        && resources.iter().all(|resource| resource.requires_pruning)
        && !input.comparison.others
    {
        let text = format!(
            "Skipping sync attempt to [{}]: auto-sync will wipe out all resources",
            input.revision
        );
        return Decision::SyncError(text);
    }
    Decision::Start(AutomaticOperation {
        prune: policy.prune,
        resources: heal,
        retry: input
            .retry
            .cloned()
            .unwrap_or_else(RetryStrategy::automatic),
        self_heal_attempts: attempts,
    })
}

/// Whether this revision was tried (SYNC-151).
fn already_attempted(last: &OperationState, input: &AutoSync<'_>) -> bool {
    match &last.revision {
        None => last.over(),
        Some(revision) => revision == input.revision && input.same_sources,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use wavetank_model::ArgoVersion;

    use super::*;
    use crate::compare::compare;
    use crate::testing::{app, objects, tracked};
    use crate::{Kinds, StepOutput, SyncOptions};

    const ALL: AutomatedPolicy = AutomatedPolicy {
        enabled: true,
        prune: true,
        self_heal: true,
        allow_empty: false,
    };

    fn comparison(targets: &str, live: &str) -> Comparison {
        let live: Vec<Arc<wavetank_json::Value>> = tracked(live);
        compare(
            &objects(targets),
            &live,
            &app(),
            &Kinds::builtin(),
            &SyncOptions::default(),
            &crate::server_side_diff::Answers::new(),
        )
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn done(phase: OperationPhase, revision: Option<&str>, attempts: u32) -> OperationState {
        let mut state = OperationState::start(RetryStrategy::never(), true, at(0));
        state.revision = revision.map(str::to_owned);
        state.self_heal_attempts = attempts;
        let output = StepOutput {
            phase,
            message: "why".to_owned(),
            results: Vec::new(),
        };
        state.finish(
            super::super::Act::Step,
            output,
            at(0),
            ArgoVersion::default(),
        );
        state
    }

    fn decided(
        policy: AutomatedPolicy,
        comparison: &Comparison,
        last: Option<&OperationState>,
        now: i64,
    ) -> Decision {
        decide(&AutoSync {
            policy: Some(policy),
            comparison,
            revision: "r1",
            same_sources: true,
            last,
            requested: false,
            deleting: false,
            backoff: SelfHealBackoff::default(),
            retry: None,
            now: at(now),
        })
    }

    /// SYNC-150, U-266: a new revision is synced, with five retries (SYNC-135).
    #[test]
    fn a_new_revision_is_synced() {
        let changed = comparison("ConfigMap/a", "");
        let last = done(OperationPhase::Failed, Some("r0"), 0);
        let Decision::Start(operation) = decided(ALL, &changed, Some(&last), 0) else {
            panic!("no start")
        };
        assert_eq!(
            (
                operation.prune,
                operation.retry.limit,
                operation.resources.len()
            ),
            (true, 5, 0)
        );
    }

    /// SYNC-150, SYNC-151, SYNC-198, U-272: a failed attempt is not repeated for the same revision, also one without a result.
    #[rstest]
    #[case(Some("r1"), "r1")]
    #[case(None, "")]
    fn a_failed_revision_is_not_tried_again(#[case] revision: Option<&str>, #[case] named: &str) {
        let changed = comparison("ConfigMap/a", "");
        let last = done(OperationPhase::Failed, revision, 0);
        let error = format!("Failed last sync attempt to [{named}]: why");
        assert_eq!(
            decided(ALL, &changed, Some(&last), 1000),
            Decision::SyncError(error)
        );
    }

    /// SYNC-152, SYNC-196: only what is out of sync, by kind and name, after a growing wait (SYNC-197).
    #[test]
    fn self_heal_names_what_is_out_of_sync_and_backs_off() {
        let changed = comparison("ConfigMap/a\nConfigMap/b", "ConfigMap/b");
        let first = done(OperationPhase::Succeeded, Some("r1"), 0);
        let Decision::Start(operation) = decided(ALL, &changed, Some(&first), 0) else {
            panic!("no start")
        };
        assert_eq!(operation.self_heal_attempts, 1);
        let names: Vec<&str> = operation
            .resources
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(
            (names, operation.resources[0].namespace.as_str()),
            (vec!["a"], "")
        );
        let third = done(OperationPhase::Succeeded, Some("r1"), 2);
        assert_eq!(
            decided(ALL, &changed, Some(&third), 5),
            Decision::Later(at(6))
        );
        assert!(matches!(
            decided(ALL, &changed, Some(&third), 6),
            Decision::Start(_)
        ));
        let off = AutomatedPolicy {
            self_heal: false,
            ..ALL
        };
        assert!(matches!(
            decided(off, &changed, Some(&first), 0),
            Decision::Nothing(_)
        ));
    }

    /// SYNC-151, U-274: by revision and sources, or by the end of an operation that never had a revision.
    #[rstest]
    #[case(OperationPhase::Running, None, true, false)]
    #[case(OperationPhase::Failed, None, true, true)]
    #[case(OperationPhase::Succeeded, Some("r1"), true, true)]
    #[case(OperationPhase::Succeeded, Some("r0"), true, false)]
    #[case(OperationPhase::Succeeded, Some("r1"), false, false)]
    #[case(OperationPhase::Failed, Some("r1"), false, false)]
    #[case(OperationPhase::Failed, Some(""), true, false)]
    fn a_revision_was_tried_with_these_sources(
        #[case] phase: OperationPhase,
        #[case] revision: Option<&str>,
        #[case] same_sources: bool,
        #[case] expected: bool,
    ) {
        let changed = comparison("ConfigMap/a", "");
        let last = done(phase, revision, 0);
        let input = AutoSync {
            policy: Some(ALL),
            comparison: &changed,
            revision: "r1",
            same_sources,
            last: Some(&last),
            requested: false,
            deleting: false,
            backoff: SelfHealBackoff::default(),
            retry: None,
            now: at(0),
        };
        assert_eq!(already_attempted(&last, &input), expected);
    }

    /// SYNC-152: 0 s, then 2, 6, 18, 54, 162, 300, 300.
    #[test]
    fn self_heal_waits_grow_up_to_the_cap() {
        let waits: Vec<i64> = (0..8)
            .map(|count| SelfHealBackoff::default().wait(count).as_secs())
            .collect();
        assert_eq!(waits, [0, 2, 6, 18, 54, 162, 300, 300]);
    }

    /// SYNC-150, U-269: what only pruning would change, and what pruning would empty.
    #[test]
    fn pruning_needs_its_permissions() {
        let only_extra = comparison("ConfigMap/a", "ConfigMap/a\nConfigMap/x");
        let keep = AutomatedPolicy {
            prune: false,
            ..ALL
        };
        assert!(matches!(
            decided(keep, &only_extra, None, 0),
            Decision::Nothing(_)
        ));
        assert!(matches!(
            decided(ALL, &only_extra, None, 0),
            Decision::Start(_)
        ));
        let empty = comparison("", "ConfigMap/x");
        let error =
            "Skipping sync attempt to [r1]: auto-sync will wipe out all resources".to_owned();
        assert_eq!(decided(ALL, &empty, None, 0), Decision::SyncError(error));
        let allowed = AutomatedPolicy {
            allow_empty: true,
            ..ALL
        };
        assert!(matches!(
            decided(allowed, &empty, None, 0),
            Decision::Start(_)
        ));
    }

    /// SYNC-150: an object that is skipped has no status, but is one that pruning would not take.
    #[test]
    fn skipped_objects_stand_beside_what_is_pruned() {
        let only_extra = comparison("ConfigMap/s hook=Skip", "ConfigMap/x");
        let keep = AutomatedPolicy {
            prune: false,
            ..ALL
        };
        for policy in [keep, ALL] {
            let decision = decided(policy, &only_extra, None, 0);
            assert!(matches!(decision, Decision::Start(_)), "{decision:?}");
        }
    }

    /// SYNC-150: in sync, off, or in progress.
    #[test]
    fn nothing_starts_without_need() {
        let same = comparison("ConfigMap/a", "ConfigMap/a");
        assert!(matches!(decided(ALL, &same, None, 0), Decision::Nothing(_)));
        let changed = comparison("ConfigMap/a", "");
        let running = OperationState::start(RetryStrategy::never(), false, at(0));
        assert!(matches!(
            decided(ALL, &changed, Some(&running), 0),
            Decision::Nothing(_)
        ));
        let off = AutomatedPolicy {
            enabled: false,
            ..ALL
        };
        assert!(matches!(
            decided(off, &changed, None, 0),
            Decision::Nothing(_)
        ));
    }
}
