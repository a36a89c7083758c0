//! The codes: what each means, why it matters, what to do about it.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The sync stops, hangs or does not do what is written.
    Warning,
    /// It does what is written, and many do not expect it.
    Note,
}

impl Level {
    /// `warning`, `note`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `WT101`.
    pub id: &'static str,
    /// `hook-without-deadline`.
    pub name: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What happens.
    pub text: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Rules and reports.
    pub see: &'static str,
}

impl Code {
    /// All that there is to say, as text with a newline at the end.
    pub fn explain(&self) -> String {
        format!(
            "{} {} ({})\n{}\n\n{}\n\nWhat to do: {}\n\nSee {}\n",
            self.id,
            self.name,
            self.level.as_str(),
            self.title,
            self.text,
            self.fix,
            self.see
        )
    }
}

/// The code with this id or name, whatever the case of its letters.
pub fn find(text: &str) -> Option<&'static Code> {
    ALL.iter()
        .find(|code| code.id.eq_ignore_ascii_case(text) || code.name.eq_ignore_ascii_case(text))
        .copied()
}

/// The page of codes, as it stands in the documentation.
pub fn markdown() -> String {
    let row = |code: &&Code| {
        let Code {
            id, name, title, ..
        } = code;
        let anchor = format!("{}-{name}", id.to_lowercase());
        let level = code.level.as_str();
        format!("| [{id}](#{anchor}) | `{name}` | {level} | {title} |\n")
    };
    let section = |code: &&Code| {
        let Code {
            id,
            name,
            text,
            fix,
            see,
            ..
        } = code;
        format!("\n## {id} {name}\n\n{text}\n\n*What to do:* {fix}\n\n*See* {see}\n")
    };
    let rows: String = ALL.iter().map(row).collect();
    let sections: String = ALL.iter().map(section).collect();
    format!("| code | name | level | what |\n|---|---|---|---|\n{rows}{sections}")
}

pub(crate) static UNKNOWN_HOOK: Code = Code {
    id: "WT001",
    name: "unknown-hook-type",
    level: Level::Warning,
    title: "a hook of a type that Argo CD does not know",
    text: "An object whose hook annotation names no known type is a hook without a phase: it is never applied, and nothing says so. Types are matched letter by letter, `presync` is none. Helm's `pre-rollback` and `post-rollback` have no counterpart: Argo CD never rolls back, it syncs an older revision.",
    fix: "Write `PreSync`, `Sync`, `PostSync`, `SyncFail`, `PreDelete`, `PostDelete` or `Skip`.",
    see: "SYNC-014, SYNC-015, SYNC-018",
};

pub(crate) static UNKNOWN_POLICY: Code = Code {
    id: "WT002",
    name: "unknown-delete-policy",
    level: Level::Warning,
    title: "a hook delete policy that Argo CD does not know",
    text: "A policy that is not known is passed over. When none is left the hook has the default, `BeforeHookCreation`.",
    fix: "Write `HookSucceeded`, `HookFailed` or `BeforeHookCreation`; in Helm's annotation `hook-succeeded`, `hook-failed`, `before-hook-creation`.",
    see: "SYNC-072",
};

pub(crate) static NO_WAVE: Code = Code {
    id: "WT003",
    name: "wave-is-no-number",
    level: Level::Warning,
    title: "a wave that is no number",
    text: "A wave is a decimal integer with an optional sign and nothing else: no blanks, no fractions. Anything else counts as absent: then the Helm hook weight counts, and without one the wave is 0.",
    fix: "Write an integer in quotes, as `\"-1\"`.",
    see: "SYNC-034",
};

pub(crate) static UNKNOWN_OPTION: Code = Code {
    id: "WT004",
    name: "unknown-sync-option",
    level: Level::Warning,
    title: "a sync option that Argo CD does not know",
    text: "Options that are not known are passed over, those with another spelling of a known one too.",
    fix: "Write the option as the documentation of Argo CD spells it, with its value: `Prune=false`.",
    see: "SYNC-005, SYNC-006",
};

pub(crate) static DELETE_HOOK_WAVE: Code = Code {
    id: "WT005",
    name: "delete-hook-with-a-wave",
    level: Level::Warning,
    title: "a PreDelete or PostDelete hook with a wave",
    text: "Hooks of a deletion are all created in one go: waves and Helm weights do not order them. A Job that relies on a ServiceAccount of an earlier wave may start before it.",
    fix: "Let one hook do everything that has an order, or make the later ones wait for the earlier ones themselves.",
    see: "SYNC-143, SYNC-146",
};

pub(crate) static SYNC_FAIL_WAVE: Code = Code {
    id: "WT006",
    name: "sync-fail-hook-with-a-wave",
    level: Level::Warning,
    title: "a SyncFail hook with a wave",
    text: "All SyncFail hooks start at once when a sync fails. A wave only decides in which order their kinds are applied; nobody waits for the earlier ones.",
    fix: "Take the wave out, or put what has an order into one Job.",
    see: "SYNC-164",
};

pub(crate) static TWO_ANNOTATIONS: Code = Code {
    id: "WT007",
    name: "hook-annotations-of-two-tools",
    level: Level::Warning,
    title: "hook annotations of Argo CD and of Helm that say different things",
    text: "With both hook annotations Argo CD's decides alone when the hook runs, but the delete policies of both are added together: a policy that was meant for Helm acts in Argo CD as well.",
    fix: "Say in Argo CD's annotations all that Argo CD is to do, delete policy included, and give Helm's annotation the same policies.",
    see: "SYNC-014, SYNC-072",
};

pub(crate) static INSTALL_AND_UPGRADE: Code = Code {
    id: "WT008",
    name: "install-and-upgrade-hooks-together",
    level: Level::Warning,
    title: "one hook for installs and another for upgrades",
    text: "Argo CD knows no difference between the first sync and the next ones: `pre-install` and `pre-upgrade` both become PreSync, `post-install` and `post-upgrade` both become PostSync. Hooks that Helm would run one or the other of run together in every sync.",
    fix: "Make them one hook that finds out itself what has to be done, or order them by waves and let the one for installs do nothing when it ran before.",
    see: "SYNC-015",
};

pub(crate) static INSTALL_HOOK: Code = Code {
    id: "WT009",
    name: "install-hook-runs-every-time",
    level: Level::Note,
    title: "a hook for installs runs in every sync",
    text: "Helm runs an install hook once. Argo CD renders the chart and syncs: it runs the hook in every sync, as it does with upgrade hooks.",
    fix: "Make it safe to run twice, and say so with `pre-install,pre-upgrade` (or `post-…`); where it must not run twice, let it look first.",
    see: "SYNC-015",
};

pub(crate) static NO_DEADLINE: Code = Code {
    id: "WT101",
    name: "hook-without-deadline",
    level: Level::Warning,
    title: "a hook that may run for ever",
    text: "A sync waits for its hooks without limit. A Job whose Pod hangs, or cannot start (no image, no ServiceAccount, no quota), keeps the operation Running until somebody terminates it, and meanwhile no other sync can start.",
    fix: "Set `spec.activeDeadlineSeconds` of the Job (or Pod, or Workflow): when it passes the hook fails and the sync with it. A sync timeout of the controller helps for all hooks at once.",
    see: "SYNC-049, SYNC-138",
};

pub(crate) static HOOK_TTL: Code = Code {
    id: "WT102",
    name: "hook-with-ttl",
    level: Level::Warning,
    title: "a hook that deletes itself",
    text: "With `ttlSecondsAfterFinished` two parties delete the Job: the TTL controller and Argo CD. Argo CD 3.0 and newer hold a finished hook with a finalizer until they have seen its end; older versions may never see it and then wait for ever. In every version the Job and its log may be gone before anybody has looked at them.",
    fix: "Take the TTL out and let a hook delete policy clean up: `HookSucceeded`, or the default, which deletes it when it runs the next time.",
    see: "SYNC-026, SYNC-068; argoproj/argo-cd#21055",
};

pub(crate) static STATEFUL_HOOK: Code = Code {
    id: "WT103",
    name: "stateful-hook",
    level: Level::Warning,
    title: "an object that holds data is a hook",
    text: "Every delete policy deletes the object, and with it what it holds: the default one in every sync, before the object is made anew. A claim, a StatefulSet, a Namespace or a CRD that is a hook loses its data.",
    fix: "Make it an ordinary object of an early wave: then it is applied, and never deleted by a sync that still wants it.",
    see: "SYNC-072, SYNC-073",
};

pub(crate) static GENERATED_NAME_RETRIES: Code = Code {
    id: "WT104",
    name: "generated-name-with-retries",
    level: Level::Warning,
    title: "retries meet the failed hook of the attempt before",
    text: "The generated name of a hook is made of the revision and of the start of the operation, and a retry keeps both. With a policy other than BeforeHookCreation or HookFailed the failed Job is still there: the retry finds it, reads that it failed, and fails at once. Nothing runs again.",
    fix: "Add `BeforeHookCreation` (or `HookFailed`) to its delete policies.",
    see: "SYNC-024, SYNC-171",
};

pub(crate) static RUNS_ONCE: Code = Code {
    id: "WT105",
    name: "hook-that-does-not-run-again",
    level: Level::Warning,
    title: "a hook that does not run again",
    text: "Any delete policy switches the default, BeforeHookCreation, off. HookSucceeded acts when the sync as a whole succeeded, HookFailed when it failed; in the other case the finished hook stays. The next sync finds it, takes its old outcome for the new one and goes on without running it; when its template has changed the apply fails on an immutable field instead.",
    fix: "Add `BeforeHookCreation`, or give both `HookSucceeded` and `HookFailed`.",
    see: "SYNC-170, SYNC-167, SYNC-168",
};

pub(crate) static POLICY_OF_THE_SYNC: Code = Code {
    id: "WT106",
    name: "policy-follows-the-sync",
    level: Level::Note,
    title: "a delete policy that acts on the sync and not on the hook",
    text: "HookSucceeded means: the sync succeeded. HookFailed means: the sync failed. A hook that succeeded stays when another object fails; one that succeeded is deleted by HookFailed when something else failed, and its log with it.",
    fix: "Nothing, where that is meant. To have it gone in any case give both policies.",
    see: "SYNC-167, SYNC-168; argoproj/argo-cd#27506",
};

pub(crate) static HOOKS_PILE_UP: Code = Code {
    id: "WT107",
    name: "hooks-pile-up",
    level: Level::Note,
    title: "every sync leaves a hook behind",
    text: "A hook with `generateName` has another name in every sync. BeforeHookCreation never finds the one before, so that without HookSucceeded and HookFailed every run stays in the cluster, and hooks are never pruned.",
    fix: "Give it a fixed name, the policies `HookSucceeded,HookFailed`, or count on a TTL.",
    see: "SYNC-024, SYNC-173",
};

pub(crate) static FOREIGN_FINALIZER: Code = Code {
    id: "WT108",
    name: "hook-with-a-finalizer",
    level: Level::Warning,
    title: "a hook that somebody else must let go of",
    text: "Argo CD deletes hooks before it makes them anew and waits until they are gone. A finalizer that is not its own holds the deletion; while it does, the sync waits, or fails because nothing may be added to an object that is being deleted.",
    fix: "Take the finalizer out, or make the object an ordinary one of an early wave.",
    see: "SYNC-073, SYNC-176; argoproj/argo-cd#26180",
};

pub(crate) static HOOK_IN_USE: Code = Code {
    id: "WT109",
    name: "hook-used-by-what-stays",
    level: Level::Warning,
    title: "a hook is deleted while an ordinary object needs it",
    text: "HookSucceeded deletes the hook when the sync has succeeded. An ordinary object that refers to it goes on running until its next Pod starts, and that one finds nothing.",
    fix: "Make it an ordinary object of an earlier wave, or drop HookSucceeded.",
    see: "SYNC-074",
};

pub(crate) static SYNC_FAIL_SUCCEEDED: Code = Code {
    id: "WT110",
    name: "sync-fail-hook-cleaned-late",
    level: Level::Warning,
    title: "a SyncFail hook is cleaned up one sync late",
    text: "A SyncFail hook runs only when the sync fails, and HookSucceeded acts only when it succeeds: the hook stays until the end of the next sync that succeeds, and a sync that fails before that finds the old one finished and does not run it again.",
    fix: "Use `HookFailed`, or the default.",
    see: "SYNC-169, SYNC-170",
};

pub(crate) static NAMESPACE_HOOK: Code = Code {
    id: "WT111",
    name: "destination-namespace-is-a-hook",
    level: Level::Warning,
    title: "the destination namespace is a hook and CreateNamespace is on",
    text: "With CreateNamespace=true Argo CD makes the destination namespace itself unless an ordinary object declares it. It does not see a hook that does: the namespace is then made without the labels of the hook, and two tasks share one result.",
    fix: "Declare the Namespace as an ordinary object, it is applied first anyway, or use `managedNamespaceMetadata`.",
    see: "SYNC-028, SYNC-041",
};

pub(crate) static UNNAMED_OBJECT: Code = Code {
    id: "WT112",
    name: "unnamed-object-that-is-no-hook",
    level: Level::Warning,
    title: "an ordinary object with generateName",
    text: "Only hooks get a generated name. An ordinary object without a name cannot be applied, and the sync fails.",
    fix: "Give it a name, or make it a hook.",
    see: "SYNC-024, SYNC-025",
};

pub(crate) static JOB_COMES_BACK: Code = Code {
    id: "WT113",
    name: "job-comes-back",
    level: Level::Warning,
    title: "a Job deletes itself and self-heal makes it anew",
    text: "A finished Job with `ttlSecondsAfterFinished` that is no hook goes away after that time. To Argo CD it is then missing: with self-heal it is made again and runs again, for ever.",
    fix: "Make it a hook, take the TTL out, or switch self-heal off.",
    see: "SYNC-152",
};

pub(crate) static TWO_PHASES: Code = Code {
    id: "WT114",
    name: "one-hook-in-two-phases",
    level: Level::Warning,
    title: "a hook of two phases runs only in the first",
    text: "A hook with a fixed name in two phases is one object. Without BeforeHookCreation the second phase finds it finished, takes its old outcome for the new one and does not run it.",
    fix: "Add `BeforeHookCreation`, or make it two hooks.",
    see: "SYNC-038, SYNC-170",
};

pub(crate) static NEEDS_LATER: Code = Code {
    id: "WT201",
    name: "needs-what-comes-later",
    level: Level::Warning,
    title: "an object needs what is applied later",
    text: "A wave ends when its objects are healthy and its hooks are done. A Pod that refers to a ConfigMap, Secret, claim, ServiceAccount or priority class of a later wave or phase cannot start before that is there, and it comes only after the Pod is ready: the first sync waits for ever. Later syncs find it from the time before, so that nobody notices until the application is installed anew.",
    fix: "Give what is needed an earlier wave; what a PreSync hook needs must be a PreSync hook too, or be there before.",
    see: "SYNC-039, SYNC-050; argoproj/argo-cd#4288",
};

pub(crate) static WAVE_WITHOUT_HEALTH: Code = Code {
    id: "WT202",
    name: "wave-without-health",
    level: Level::Note,
    title: "a wave of objects without health is not waited for",
    text: "A wave ends when its objects are healthy. Argo CD has health checks for Kubernetes' own workloads and for many kinds of other projects; of a kind without one it says nothing and goes on at once. Since version 1.8 that is so for child Applications too: an app of apps does not wait for its children, unless a health script for `argoproj.io/Application` is configured.",
    fix: "Configure a health script (`resource.customizations.health.GROUP_KIND`), or let a Job of the same wave wait for what is needed.",
    see: "SYNC-050, SYNC-122; argoproj/argo-cd#4577",
};

pub(crate) static CLAIM_BEFORE_CONSUMER: Code = Code {
    id: "WT203",
    name: "claim-before-its-consumer",
    level: Level::Warning,
    title: "a claim waits for a Pod of a later wave",
    text: "A claim whose class binds when its first consumer comes (WaitForFirstConsumer, the default of most clouds) stays Pending until a Pod uses it, and Pending is Progressing to Argo CD. When that Pod is in a later wave both wait for each other.",
    fix: "Put the claim into the wave of its consumer, or use a class that binds at once.",
    see: "SYNC-118; argoproj/argo-cd#12840",
};

pub(crate) static PERMISSIONS_TOGETHER: Code = Code {
    id: "WT204",
    name: "permissions-with-their-user",
    level: Level::Note,
    title: "permissions and their user are in one wave",
    text: "Within a wave roles and bindings are applied before Jobs and Pods, but nothing waits for them to take effect. A Pod that asks the API at once may be refused.",
    fix: "Give roles, bindings and ServiceAccount an earlier wave: the next one starts two seconds later.",
    see: "SYNC-040, SYNC-128",
};

pub(crate) static PERMISSIONS_LATER: Code = Code {
    id: "WT205",
    name: "permissions-after-their-user",
    level: Level::Warning,
    title: "permissions come after their user",
    text: "The ServiceAccount of a Pod gets its role in a later wave or phase. What the Pod asks the API for is refused until then, and when the sync waits for that Pod it waits for ever, or fails.",
    fix: "Give roles and bindings an earlier wave than the Pod; for a PreSync hook make them PreSync hooks of an earlier wave.",
    see: "SYNC-039, SYNC-050; argoproj/argo-cd#4384",
};

pub(crate) static DECLARED_TWICE: Code = Code {
    id: "WT206",
    name: "object-declared-twice",
    level: Level::Warning,
    title: "an object is declared twice",
    text: "Of several objects with one kind, namespace and name only the last is applied; Argo CD shows a RepeatedResourceWarning on the application.",
    fix: "Take all but one out.",
    see: "SYNC-011",
};

/// Every code, in order.
pub static ALL: &[&Code] = &[
    &UNKNOWN_HOOK,
    &UNKNOWN_POLICY,
    &NO_WAVE,
    &UNKNOWN_OPTION,
    &DELETE_HOOK_WAVE,
    &SYNC_FAIL_WAVE,
    &TWO_ANNOTATIONS,
    &INSTALL_AND_UPGRADE,
    &INSTALL_HOOK,
    &NO_DEADLINE,
    &HOOK_TTL,
    &STATEFUL_HOOK,
    &GENERATED_NAME_RETRIES,
    &RUNS_ONCE,
    &POLICY_OF_THE_SYNC,
    &HOOKS_PILE_UP,
    &FOREIGN_FINALIZER,
    &HOOK_IN_USE,
    &SYNC_FAIL_SUCCEEDED,
    &NAMESPACE_HOOK,
    &UNNAMED_OBJECT,
    &JOB_COMES_BACK,
    &TWO_PHASES,
    &NEEDS_LATER,
    &WAVE_WITHOUT_HEALTH,
    &CLAIM_BEFORE_CONSUMER,
    &PERMISSIONS_TOGETHER,
    &PERMISSIONS_LATER,
    &DECLARED_TWICE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_names_are_unique() {
        assert!(ALL.is_sorted_by(|a, b| a.id < b.id));
        for code in ALL {
            assert_eq!(find(code.name), Some(*code));
            assert_eq!(find(&code.id.to_lowercase()), Some(*code));
            assert!(
                !code.title.ends_with('.') && code.text.ends_with('.') && code.fix.ends_with('.')
            );
        }
    }
}
