//! One task, and why it stands where it stands.

use std::fmt;
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::argo::{self, DeletePolicy};
use wavetank_model::{
    GroupVersionKind, ObjectKey, OperationPhase, Phase, ResultCode, WaveNumber, object,
};

use crate::engine::ResourceRef;
use crate::kinds::ApiResource;

/// Something that decided about the place of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A hook annotation put it into this phase (SYNC-014, SYNC-015).
    Hook(Phase),
    /// It is a hook in several phases: one task for each (SYNC-038).
    SeveralPhases(Vec<Phase>),
    /// An annotation gives the wave (SYNC-034).
    Wave {
        /// The annotation's key.
        annotation: &'static str,
        /// Its wave.
        wave: i64,
    },
    /// Its kind has a rank among the kinds (SYNC-040).
    KindRank(u8),
    /// The engine makes the destination namespace (SYNC-028).
    AutoNamespace,
    /// It left the desired state (SYNC-021).
    Prune,
    /// The waves of prunes are mirrored (SYNC-035).
    Mirrored {
        /// Wave before.
        from: i64,
        /// Wave now.
        to: i64,
    },
    /// `PruneLast=true` (SYNC-036).
    PruneLast(i64),
    /// Something earlier needs it: a namespace or a CRD (SYNC-041).
    PulledForward {
        /// Phase before.
        phase: Phase,
        /// Wave before.
        wave: i64,
        /// What needs it.
        needed_by: Arc<ObjectKey>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hook(phase) => write!(f, "{phase} hook"),
            Self::SeveralPhases(phases) => {
                let names: Vec<&str> = phases.iter().map(|phase| phase.as_str()).collect();
                write!(f, "one task for each of {} (SYNC-038)", names.join(", "))
            }
            Self::Wave { annotation, wave } => write!(f, "wave {wave} from {annotation}"),
            Self::KindRank(rank) if *rank <= super::order::RANKED_KINDS => {
                write!(f, "kind rank {rank}")
            }
            Self::KindRank(_) => f.write_str("kind after all ranked kinds"),
            Self::AutoNamespace => f.write_str("made by CreateNamespace=true (SYNC-028)"),
            Self::Prune => f.write_str("prune: not in the desired state"),
            Self::Mirrored { from, to } => {
                write!(
                    f,
                    "prune waves are mirrored: {from} becomes {to} (SYNC-035)"
                )
            }
            Self::PruneLast(wave) => write!(f, "PruneLast=true: wave {wave} (SYNC-036)"),
            Self::PulledForward {
                phase,
                wave,
                needed_by,
            } => {
                write!(
                    f,
                    "pulled forward from {phase}/{wave} for {needed_by} (SYNC-041)"
                )
            }
        }
    }
}

/// One task of the list (SYNC-001).
#[derive(Clone, Debug)]
pub struct Task {
    /// Phase it runs in.
    pub phase: Phase,
    /// Key of its result: a cluster-scoped target carries the destination namespace (SYNC-027).
    pub key: Arc<ObjectKey>,
    /// Kind and version of target or live object.
    pub gvk: Arc<GroupVersionKind>,
    /// The desired object, as it is sent; `None` for prunes.
    pub target: Option<Arc<Value>>,
    /// The live object of the snapshot.
    pub live: Option<Arc<Value>>,
    /// Whether it is a hook.
    pub hook: bool,
    /// Delete policies of a hook.
    pub policies: Vec<DeletePolicy>,
    /// The wave by annotation.
    pub own_wave: i64,
    /// The wave that mirroring, `PruneLast` or a dependency gave it.
    pub wave_override: Option<i64>,
    /// Rank of its kind, from 1.
    pub kind_rank: u8,
    /// Path and scope of the kind; `None` when discovery does not know it.
    pub resource: Option<Arc<ApiResource>>,
    /// Whether the dry run leaves it out (SYNC-031).
    pub skip_dry_run: bool,
    /// Stored result code.
    pub status: Option<ResultCode>,
    /// How far it is.
    pub operation: Option<OperationPhase>,
    /// Stored message.
    pub message: String,
    /// What moved it from the place that its annotations give it.
    pub moved: Vec<Reason>,
}

impl Task {
    /// Why it stands where it stands: hook, wave, rank of its kind, and what moved it.
    pub fn reasons(&self) -> Vec<Reason> {
        let object = self.object();
        let mut out = Vec::new();
        if self.hook {
            out.push(Reason::Hook(self.phase));
            let phases = argo::phases(object);
            if phases.len() > 1 {
                out.push(Reason::SeveralPhases(phases));
            }
        }
        let wave = |annotation| {
            let wave = object::annotation(object, annotation).and_then(argo::parse_wave)?;
            Some(Reason::Wave { annotation, wave })
        };
        out.extend(wave(argo::SYNC_WAVE).or_else(|| wave(argo::HELM_HOOK_WEIGHT)));
        if self.is_prune() {
            out.push(Reason::Prune);
        }
        out.push(Reason::KindRank(self.kind_rank));
        out.extend(self.moved.iter().cloned());
        out
    }

    /// Target, else live object.
    pub fn object(&self) -> &Value {
        self.target
            .as_deref()
            .or(self.live.as_deref())
            .unwrap_or(&Value::Null)
    }

    /// The wave it runs in.
    pub fn wave(&self) -> i64 {
        self.wave_override.unwrap_or(self.own_wave)
    }

    /// The wave as the trace names it: SyncFail has none (SYNC-164).
    pub fn wave_number(&self) -> WaveNumber {
        if self.phase == Phase::SyncFail {
            WaveNumber::All
        } else {
            WaveNumber::Number(self.wave())
        }
    }

    /// Whether it deletes an object that left the desired state.
    pub fn is_prune(&self) -> bool {
        self.target.is_none()
    }

    /// Nothing is recorded yet.
    pub fn pending(&self) -> bool {
        self.operation.is_none()
    }

    /// It was applied and its health is awaited.
    pub fn running(&self) -> bool {
        self.operation == Some(OperationPhase::Running)
    }

    /// It has ended, either way.
    pub fn completed(&self) -> bool {
        self.operation.is_some_and(OperationPhase::completed)
    }

    /// It ended well.
    pub fn successful(&self) -> bool {
        self.operation == Some(OperationPhase::Succeeded)
    }

    /// Whether it is a hook with the delete policy.
    pub fn has_policy(&self, policy: DeletePolicy) -> bool {
        self.policies.contains(&policy)
    }

    /// Whether its live object must go before it is created (SYNC-063).
    pub fn deletes_before_creation(&self) -> bool {
        self.hook
            && self.pending()
            && self.live.is_some()
            && self.has_policy(DeletePolicy::BeforeHookCreation)
    }

    /// Whether the live object carries the hook finalizer.
    pub fn has_finalizer(&self) -> bool {
        self.live
            .as_deref()
            .is_some_and(|live| object::finalizers(live).any(|entry| entry == argo::HOOK_FINALIZER))
    }

    /// Names the live or desired object for a call.
    pub fn resource_ref(&self) -> ResourceRef {
        ResourceRef {
            gvk: GroupVersionKind::clone(&self.gvk),
            resource: self.resource.as_deref().cloned(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
        }
    }

    /// `<group>/<kind>/<name>`, as messages name it.
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.key.group, self.key.kind, self.key.name)
    }

    /// Whether the target's sync options hold exactly `option`.
    pub fn target_has_option(&self, option: &str) -> bool {
        self.target
            .as_deref()
            .is_some_and(|target| argo::has_option(target, option))
    }

    /// Whether the live object's sync options hold exactly `option`.
    pub fn live_has_option(&self, option: &str) -> bool {
        self.live
            .as_deref()
            .is_some_and(|live| argo::has_option(live, option))
    }
}
