//! The scenario format, version 1, as one table: keys, types and what they mean.

use crate::shape::{Key, Shape, Ty, key, required, shape};

/// `apiVersion` of a scenario.
pub(crate) const API_VERSION: &str = "wavetank/v1";
/// `kind` of a scenario.
pub(crate) const KIND: &str = "Scenario";

/// What of a pass may differ between two engines.
pub(crate) const COMPARED: &[&str] = &[
    "start", "requests", "tasks", "changes", "outcome", "results", "passes",
];

/// Names of the invariants that are judged in every run.
pub(crate) const INVARIANTS: &[&str] = &[
    "phase-order",
    "wave-order",
    "sync-fail-only-after-failure",
    "hook-finalizer-released",
];

const PHASES: &[&str] = &[
    "PreSync",
    "Sync",
    "PostSync",
    "SyncFail",
    "PreDelete",
    "PostDelete",
];
const OPERATION_PHASES: &[&str] = &["Running", "Terminating", "Succeeded", "Failed", "Error"];
const HEALTH: &[&str] = &[
    "Healthy",
    "Suspended",
    "Progressing",
    "Missing",
    "Degraded",
    "Unknown",
];
const SYNC_STATUS: &[&str] = &["Synced", "OutOfSync", "Unknown"];
const MANY: i64 = u32::MAX as i64;

const TEXTS: Ty = Ty::List(&Ty::Text);
const TEXT_MAP: Ty = Ty::Dict(&Ty::Text, &Ty::Text);
const REFERENCES: Ty = Ty::List(&Ty::Reference);
const SOURCES: Ty = Ty::List(&SOURCE_ITEM);
const SOURCE_ITEM: Ty = Ty::Either(&[Ty::Text, Ty::Object]);

/// The document.
pub(crate) static DOCUMENT: Shape = shape(
    "the scenario",
    &[
        required(
            "apiVersion",
            Ty::Choice(&[API_VERSION]),
            "Version of the format.",
        ),
        required(
            "kind",
            Ty::Choice(&[KIND]),
            "Marks the document that is the scenario; all others are desired objects.",
        ),
        required("metadata", Ty::Map(&METADATA), "Name and labels."),
        key(
            "spec",
            Ty::Map(&SPEC),
            "What is desired, what the cluster does, what somebody does, what must hold.",
        ),
    ],
);

static METADATA: Shape = shape(
    "metadata",
    &[
        required(
            "name",
            Ty::Text,
            "Name of the scenario: a DNS-1123 label, unique in a run.",
        ),
        key("labels", TEXT_MAP, "Chosen by `--select key=value`."),
        key(
            "annotations",
            TEXT_MAP,
            "Free; `wavetank/issue` is shown in reports.",
        ),
    ],
);

pub(crate) static SPEC: Shape = shape(
    "spec",
    &[
        key(
            "description",
            Ty::Text,
            "Prose, shown in reports and in the catalogue.",
        ),
        key("links", TEXTS, "URLs or `owner/repo#123`."),
        key(
            "app",
            Ty::Map(&APP),
            "The application: destination, policy, where its manifests are.",
        ),
        key(
            "cluster",
            Ty::Map(&CLUSTER),
            "What is there before the application.",
        ),
        key(
            "workloads",
            Ty::List(&Ty::Map(&RULE)),
            "Scripted behaviour of objects; the first rule that matches wins.",
        ),
        key(
            "faults",
            Ty::List(&Ty::Map(&FAULT)),
            "Bent requests and deliveries.",
        ),
        key("on", Ty::List(&Ty::Map(&BOUND)), "Actions bound to events."),
        key(
            "steps",
            Ty::List(&Ty::Map(&STEP)),
            "What happens, in order; one sync when nothing is written.",
        ),
        key(
            "settle",
            Ty::Bool,
            "Whether to run until quiet after the last step; default true.",
        ),
        key(
            "expect",
            Ty::Map(&EXPECT),
            "What must hold over the whole run.",
        ),
        key(
            "cases",
            Ty::List(&Ty::Map(&CASE)),
            "Parameter sets; each makes a scenario of its own.",
        ),
        key(
            "exceptions",
            Ty::List(&Ty::Map(&EXCEPTION)),
            "Where a target, engine or case is known to differ.",
        ),
        key(
            "invariants",
            Ty::Map(&INVARIANTS_SHAPE),
            "Turns invariants off, with a reason.",
        ),
        key(
            "limits",
            Ty::Map(&LIMITS),
            "When a run counts as not settled.",
        ),
        key(
            "seed",
            Ty::Unsigned,
            "Seed when none is given on the command line; default 0.",
        ),
    ],
);

static LIMITS: Shape = shape(
    "limits",
    &[
        key("time", Ty::Duration, "Virtual time; default 1h."),
        key("wall", Ty::Duration, "Real time; default 10m."),
    ],
);

static INVARIANTS_SHAPE: Shape = shape(
    "invariants",
    &[key(
        "disable",
        Ty::Dict(&Ty::Choice(INVARIANTS), &Ty::Text),
        "Name of the invariant and why it is not judged.",
    )],
);

static CASE: Shape = shape(
    "a case",
    &[
        required(
            "name",
            Ty::Text,
            "Name of the case; the scenario is called `name@case`.",
        ),
        required(
            "with",
            Ty::Object,
            "Parameters: `${name}` is replaced in every scalar.",
        ),
    ],
);

static EXCEPTION: Shape = Shape {
    name: "an exception",
    keys: &[
        key("target", Ty::Text, "Target, `*` allowed."),
        key("engine", Ty::Text, "Engine, `*` allowed."),
        key("case", Ty::Text, "Case, `*` allowed."),
        key(
            "fails",
            Ty::Text,
            "What fails: `expect.order`, `steps.2.expect.waves`, `invariant.NAME`, `settled`; `compare` or `compare.results` for `wavetank compare` alone.",
        ),
        key("skip", Ty::Text, "Why the scenario is skipped."),
        key("bug", Ty::Text, "Where the difference is reported."),
    ],
    one_of: &["fails", "skip"],
    exclusive: &[],
};

pub(crate) static APP: Shape = shape(
    "app",
    &[
        key(
            "name",
            Ty::Text,
            "Name of the application; default the scenario's.",
        ),
        key(
            "namespace",
            Ty::Text,
            "Destination namespace; default `default`.",
        ),
        key(
            "revision",
            Ty::Text,
            "Revision of the first commit; default derived from its content.",
        ),
        key(
            "manifests",
            SOURCES,
            "Desired objects beside the documents of this file: files, folders, inline objects.",
        ),
        key(
            "from",
            SOURCE_ITEM,
            "An Application, as a file or inline, that supplies destination and policy.",
        ),
        key(
            "syncPolicy",
            Ty::Map(&SYNC_POLICY),
            "As in the Application's `spec.syncPolicy`.",
        ),
        key(
            "ignoreDifferences",
            Ty::List(&Ty::Map(&IGNORED)),
            "As in the Application.",
        ),
        key("finalizers", TEXTS, "Finalizers of the Application."),
        key(
            "project",
            Ty::Map(&PROJECT),
            "Spec of an AppProject; default everything is allowed.",
        ),
        key(
            "settings",
            Ty::Map(&SETTINGS),
            "Settings of the controller.",
        ),
    ],
);

pub(crate) static SYNC_POLICY: Shape = shape(
    "syncPolicy",
    &[
        key("automated", Ty::Map(&AUTOMATED), "Automated sync."),
        key(
            "syncOptions",
            TEXTS,
            "Sync options, as `CreateNamespace=true`.",
        ),
        key("retry", Ty::Map(&RETRY), "Retries of a failed operation."),
        key(
            "managedNamespaceMetadata",
            Ty::Object,
            "Labels and annotations of the created namespace.",
        ),
    ],
);

static IGNORED: Shape = shape(
    "an ignored difference",
    &[
        key(
            "group",
            Ty::Text,
            "API group, perhaps `*`; empty for the core group.",
        ),
        required("kind", Ty::Text, "Kind, perhaps `*`."),
        key("name", Ty::Text, "Name; default any."),
        key("namespace", Ty::Text, "Namespace; default any."),
        key("jsonPointers", TEXTS, "JSON pointers of ignored fields."),
        key("jqPathExpressions", TEXTS, "jq paths of ignored fields."),
        key(
            "managedFieldsManagers",
            TEXTS,
            "Fields of these managers are ignored.",
        ),
    ],
);

static PROJECT: Shape = shape(
    "project",
    &[
        key("name", Ty::Text, "Name of the project; default `default`."),
        key("description", Ty::Text, "Prose."),
        key(
            "destinations",
            Ty::List(&Ty::Map(&DESTINATION)),
            "Where objects may go; default everywhere.",
        ),
        key(
            "clusterResourceWhitelist",
            NAMED_PATTERNS,
            "Cluster-scoped kinds that are permitted; default all.",
        ),
        key(
            "clusterResourceBlacklist",
            NAMED_PATTERNS,
            "Cluster-scoped kinds that are not permitted.",
        ),
        key(
            "namespaceResourceWhitelist",
            KIND_PATTERNS,
            "Namespaced kinds that are permitted; default all.",
        ),
        key(
            "namespaceResourceBlacklist",
            KIND_PATTERNS,
            "Namespaced kinds that are not permitted.",
        ),
        key(
            "syncWindows",
            Ty::List(&Ty::Map(&SYNC_WINDOW)),
            "When syncs may run.",
        ),
        key(
            "sourceRepos",
            TEXTS,
            "Not looked at: the manifests are given.",
        ),
        key("roles", Ty::List(&Ty::Object), "Not looked at."),
        key("orphanedResources", Ty::Object, "Not looked at."),
        key("signatureKeys", Ty::List(&Ty::Object), "Not looked at."),
        key("sourceNamespaces", TEXTS, "Not looked at."),
        key("sourceIntegrity", Ty::Object, "Not looked at."),
        key(
            "destinationServiceAccounts",
            Ty::List(&Ty::Object),
            "Not looked at: the engine may do everything.",
        ),
        key(
            "permitOnlyProjectScopedClusters",
            Ty::Bool,
            "Not looked at: there is one cluster.",
        ),
    ],
);

static DESTINATION: Shape = shape(
    "a destination",
    &[
        key(
            "server",
            Ty::Text,
            "Address of the cluster, perhaps with `*`; this one is `https://kubernetes.default.svc`.",
        ),
        key(
            "name",
            Ty::Text,
            "Name of the cluster, perhaps with `*`; this one is `in-cluster`.",
        ),
        key(
            "namespace",
            Ty::Text,
            "Namespace, perhaps with `*`; denied with a leading `!`.",
        ),
    ],
);

const KIND_PATTERNS: Ty = Ty::List(&Ty::Map(&KIND_PATTERN));

static KIND_PATTERN: Shape = shape(
    "a kind pattern",
    &[
        key("group", Ty::Text, "API group, perhaps with `*`."),
        required("kind", Ty::Text, "Kind, perhaps with `*`."),
    ],
);

const NAMED_PATTERNS: Ty = Ty::List(&Ty::Map(&NAMED_PATTERN));

static NAMED_PATTERN: Shape = shape(
    "a pattern of cluster-scoped objects",
    &[
        key("group", Ty::Text, "API group, perhaps with `*`."),
        required("kind", Ty::Text, "Kind, perhaps with `*`."),
        key(
            "name",
            Ty::Text,
            "Name of the object, perhaps with `*`; default any.",
        ),
    ],
);

static SYNC_WINDOW: Shape = shape(
    "a sync window",
    &[
        required("kind", Ty::Choice(&["allow", "deny"]), "What it does."),
        required(
            "schedule",
            Ty::Text,
            "Cron line of five fields, by the clock of `timeZone`.",
        ),
        required("duration", Ty::Text, "How long it stays open, as `1h`."),
        key("applications", TEXTS, "Names of the apps it is for."),
        key("namespaces", TEXTS, "Namespaces it is for."),
        key(
            "clusters",
            TEXTS,
            "Clusters it is for; this one is `in-cluster`.",
        ),
        key("manualSync", Ty::Bool, "Whether manual syncs pass."),
        key("syncOverrun", Ty::Bool, "Whether a running sync may go on."),
        key(
            "andOperator",
            Ty::Bool,
            "Whether applications, namespaces and clusters must all fit.",
        ),
        key(
            "timeZone",
            Ty::TimeZone,
            "Time zone of the schedule, such as `Europe/Paris`; UTC without.",
        ),
        key("description", Ty::Text, "Prose."),
    ],
);

static AUTOMATED: Shape = shape(
    "automated",
    &[
        key("enabled", Ty::Bool, "Default true."),
        key("prune", Ty::Bool, "Whether to prune."),
        key("selfHeal", Ty::Bool, "Whether to correct drift."),
        key(
            "allowEmpty",
            Ty::Bool,
            "Whether the application may become empty.",
        ),
    ],
);

static RETRY: Shape = shape(
    "retry",
    &[
        key(
            "limit",
            Ty::Int(i64::MIN, i64::MAX),
            "How many retries; negative for no end; default 0.",
        ),
        key(
            "refresh",
            Ty::Bool,
            "Whether retries take the newest revision.",
        ),
        key("backoff", Ty::Map(&BACKOFF), "How long to wait."),
    ],
);

static BACKOFF: Shape = shape(
    "backoff",
    &[
        key("duration", Ty::ArgoDuration, "First wait; default 5s."),
        key("factor", Ty::Int(1, MANY), "Factor; default 2."),
        key("maxDuration", Ty::ArgoDuration, "Longest wait; default 3m."),
    ],
);

static SETTINGS: Shape = shape(
    "settings",
    &[
        key(
            "syncWaveDelay",
            Ty::Duration,
            "Wait after each wave but the last; default 2s.",
        ),
        key(
            "syncTimeout",
            Ty::Duration,
            "Longest time of an operation; 0s for none.",
        ),
        key(
            "selfHealBackoff",
            Ty::Map(&SELF_HEAL_BACKOFF),
            "Waits between self-heals.",
        ),
        key(
            "resyncPeriod",
            Ty::Duration,
            "`timeout.reconciliation`; default 120s.",
        ),
        key(
            "resourceTrackingMethod",
            Ty::Choice(&["annotation", "label", "annotation+label"]),
            "Default `annotation`.",
        ),
        key("passes", Ty::Map(&PASSES), "When the engine looks again."),
        key("version", Ty::Text, "Which Argo CD; default \"3.6\"."),
        key(
            "resourceCustomizations",
            Ty::List(&Ty::Either(&[Ty::Text, Ty::Map(&CUSTOMIZATION)])),
            "Health scripts in Lua, and fields that comparisons pass over, or whose changes bring none.",
        ),
        key(
            "ignoreResourceUpdatesEnabled",
            Ty::Bool,
            "`resource.ignoreResourceUpdatesEnabled`; default true.",
        ),
    ],
);

static SELF_HEAL_BACKOFF: Shape = shape(
    "selfHealBackoff",
    &[
        key("duration", Ty::Duration, "First wait; default 2s."),
        key("factor", Ty::Int(1, MANY), "Factor; default 3."),
        key("cap", Ty::Duration, "Longest wait; default 5m."),
    ],
);

static PASSES: Shape = shape(
    "passes",
    &[
        key(
            "batch",
            Ty::Duration,
            "After the first change of a managed object; default 5s, before 3.6 100ms.",
        ),
        key(
            "backstop",
            Ty::Duration,
            "After the last pass at the latest; default 30s, before 3.6 `resyncPeriod`.",
        ),
    ],
);

static CUSTOMIZATION: Shape = shape(
    "a customization",
    &[
        key("group", Ty::Text, "API group; empty for the core group."),
        required("kind", Ty::Text, "Kind."),
        key("health.lua", Ty::Text, "The script."),
        key(
            "ignoreResourceUpdates",
            Ty::Map(&IGNORED_UPDATES),
            "Fields whose changes bring no comparison.",
        ),
        key(
            "ignoreDifferences",
            Ty::Map(&IGNORED_DIFFERENCES),
            "Fields that comparisons pass over.",
        ),
    ],
);

/// `ignoreDifferences` of a kind.
pub(crate) static IGNORED_DIFFERENCES: Shape = shape(
    "ignoreDifferences of a kind",
    &[
        key("jsonPointers", TEXTS, "JSON pointers."),
        key("jqPathExpressions", TEXTS, "jq paths."),
        key("managedFieldsManagers", TEXTS, "Field managers."),
    ],
);

/// `resource.compareoptions` of `argocd-cm`.
pub(crate) static COMPARE_OPTIONS: Shape = shape(
    "resource.compareoptions",
    &[
        key(
            "ignoreAggregatedRoles",
            Ty::Bool,
            "Whether the rules of aggregated roles are passed over; default false.",
        ),
        key(
            "ignoreDifferencesOnResourceUpdates",
            Ty::Bool,
            "Whether ignored differences are ignored updates; default true.",
        ),
        key(
            "ignoreResourceStatusField",
            Ty::Text,
            "Of which kinds the status is passed over; default `all`.",
        ),
    ],
);

/// `ignoreResourceUpdates` of a kind.
pub(crate) static IGNORED_UPDATES: Shape = shape(
    "ignoreResourceUpdates",
    &[
        key("jsonPointers", TEXTS, "JSON pointers."),
        key("jqPathExpressions", TEXTS, "jq paths."),
        key("managedFieldsManagers", TEXTS, "Not looked at."),
    ],
);

static CLUSTER: Shape = shape(
    "cluster",
    &[
        key(
            "version",
            Ty::Text,
            "Version of Kubernetes; default \"1.36\".",
        ),
        key(
            "objects",
            SOURCES,
            "Created before the first step, in order.",
        ),
        key("nodes", Ty::Int(1, 5000), "How many nodes; default 1."),
        key(
            "storage",
            Ty::Map(&STORAGE),
            "The storage class `standard`.",
        ),
        key(
            "loadBalancers",
            Ty::Bool,
            "Whether LoadBalancer Services and Ingresses get an address; default true.",
        ),
        key(
            "noise",
            Ty::Bool,
            "Whether objects that a real cluster makes unasked are there; default false.",
        ),
    ],
);

static STORAGE: Shape = shape(
    "storage",
    &[key(
        "bindingMode",
        Ty::Choice(&["Immediate", "WaitForFirstConsumer"]),
        "When claims are bound.",
    )],
);

/// A place where an object of a source may say how it is rendered.
pub(crate) static SOURCE: Shape = Shape {
    name: "a source",
    keys: &[
        key(
            "kustomize",
            Ty::Text,
            "Folder that `kustomize build` renders.",
        ),
        key(
            "helm",
            Ty::Map(&HELM),
            "Chart that `helm template` renders.",
        ),
    ],
    one_of: &["kustomize", "helm"],
    exclusive: &[],
};

static HELM: Shape = shape(
    "helm",
    &[
        required("chart", Ty::Text, "Folder of the chart."),
        key("values", TEXTS, "Value files."),
        key("set", Ty::Object, "Single values."),
        key("release", Ty::Text, "Name of the release."),
    ],
);

static RULE: Shape = Shape {
    name: "a workload rule",
    keys: &[
        required("match", Ty::Reference, "Which objects."),
        key(
            "generation",
            Ty::Int(1, i64::MAX),
            "Only from this `metadata.generation` on.",
        ),
        key(
            "attempts",
            Ty::List(&Ty::Map(&ATTEMPT)),
            "One entry per Pod in creation order; the last repeats.",
        ),
        key("hang", Ty::Map(&HANG), "The Pod never ends."),
        key("ready", Ty::Map(&DELAY), "When Pods become ready."),
        key(
            "timeline",
            Ty::List(&Ty::Map(&TIMELINE)),
            "What happens, one after the other.",
        ),
        key(
            "deletion",
            Ty::Map(&DELETION),
            "How long something holds the deletion up.",
        ),
        key(
            "reaction",
            Ty::Map(&DELAY),
            "How much later controllers notice changes.",
        ),
    ],
    one_of: &[],
    exclusive: &["attempts", "hang", "ready", "timeline"],
};

const AFTER: Key = key("after", Ty::Duration, "How long.");
const JITTER: Key = key(
    "jitter",
    Ty::Duration,
    "At most this much longer, drawn from the seed.",
);

static DELAY: Shape = shape("a delay", &[AFTER, JITTER]);

static ATTEMPT: Shape = Shape {
    name: "an attempt",
    keys: &[
        key(
            "succeed",
            Ty::Map(&DELAY),
            "The containers run that long and exit with 0; default 1s.",
        ),
        key("fail", Ty::Map(&FAIL), "They run that long and fail."),
    ],
    one_of: &["succeed", "fail"],
    exclusive: &[],
};

static FAIL: Shape = shape(
    "a failure",
    &[
        AFTER,
        JITTER,
        key("exitCode", Ty::Int(1, 255), "Exit code; default 1."),
        key("message", Ty::Text, "Termination message."),
    ],
);

static HANG: Shape = shape(
    "hang",
    &[key(
        "state",
        Ty::Choice(&["Running", "Pending", "ImagePullBackOff"]),
        "Where the Pod sticks; default Running.",
    )],
);

static TIMELINE: Shape = Shape {
    name: "a timeline entry",
    keys: &[
        key("ready", Ty::Map(&DELAY), "The Pod becomes ready."),
        key(
            "crash",
            Ty::Map(&CRASH),
            "A container fails and is started again with back-off.",
        ),
        key(
            "status",
            Ty::Object,
            "Merge patch of the object's status; `after` stands beside it.",
        ),
        key(
            "merge",
            Ty::Object,
            "Merge patch of the object; `after` stands beside it.",
        ),
        AFTER,
        JITTER,
        key(
            "observedGeneration",
            Ty::Choice(&["current"]),
            "With `status`: also sets `status.observedGeneration`.",
        ),
    ],
    one_of: &["ready", "crash", "status", "merge"],
    exclusive: &[],
};

static CRASH: Shape = shape(
    "a crash",
    &[
        AFTER,
        JITTER,
        key("reason", Ty::Text, "Termination reason; default Error."),
        key("exitCode", Ty::Int(1, 255), "Exit code; default 1."),
        key("message", Ty::Text, "Termination message."),
    ],
);

static DELETION: Shape = Shape {
    name: "a deletion",
    keys: &[
        key("after", Ty::Duration, "That long after it was asked for."),
        JITTER,
        key("never", Ty::Exactly(true), "For ever."),
        key("until", Ty::Event, "Until an event."),
    ],
    one_of: &["after", "never", "until"],
    exclusive: &[],
};

static FAULT: Shape = Shape {
    name: "a fault",
    keys: &[
        key("name", Ty::Text, "Shows up as `fault/<name>`."),
        required("on", Ty::FaultTarget, "Verb and reference."),
        key(
            "by",
            Ty::Choice(&["engine", "user"]),
            "Whose requests; default engine.",
        ),
        key(
            "dryRun",
            Ty::Bool,
            "Only dry (true) or only wet (false) requests; default both.",
        ),
        key(
            "after",
            Ty::Int(0, MANY),
            "How many are let through first; default 0.",
        ),
        key(
            "times",
            Ty::Either(&[Ty::Int(1, MANY), Ty::Choice(&["always"])]),
            "How many are hit; default 1.",
        ),
        key("optional", Ty::Bool, "Whether it may stay unfired."),
        key("reply", Ty::Map(&REPLY), "Answers in the server's stead."),
        key(
            "lose",
            Ty::Choice(&["response", "request"]),
            "The answer or the request is lost.",
        ),
        key("delay", Ty::Duration, "Request or delivery comes later."),
        key("drop", Ty::Map(&DROP), "Watch events are dropped."),
        key("disconnect", Ty::Exactly(true), "The watch is cut."),
        key("expire", Ty::Exactly(true), "The watch answers 410 Gone."),
        key("stale", Ty::Map(&STALE), "The view shows an old state."),
        key("hide", Ty::Map(&HIDE), "The view does not show the object."),
    ],
    one_of: &[
        "reply",
        "lose",
        "delay",
        "drop",
        "disconnect",
        "expire",
        "stale",
        "hide",
    ],
    exclusive: &[],
};

static REPLY: Shape = shape(
    "a reply",
    &[
        required("code", Ty::Int(400, 599), "HTTP status code."),
        key("reason", Ty::Text, "Reason of the Status."),
        key("message", Ty::Text, "Message of the Status."),
    ],
);

static DROP: Shape = shape("drop", &[required("events", Ty::Int(1, MANY), "How many.")]);
static STALE: Shape = shape(
    "stale",
    &[required("passes", Ty::Int(1, MANY), "For how many passes.")],
);
static HIDE: Shape = shape(
    "hide",
    &[required(
        "passes",
        Ty::Either(&[Ty::Int(1, MANY), Ty::Choice(&["always"])]),
        "For how many passes.",
    )],
);

/// Keys of steps that say what is done.
pub(crate) const ACTIONS: &[&str] = &[
    "sync",
    "plan",
    "app",
    "commit",
    "apply",
    "patch",
    "delete",
    "terminate",
    "confirmPrune",
    "confirmDelete",
    "refresh",
    "deleteApp",
    "restart",
    "advance",
    "wait",
    "settle",
];

const PATCH_ACTION: Key = key(
    "patch",
    Ty::Map(&PATCH),
    "As a user: merge patch of a live object.",
);
const APP_ACTION: Key = key(
    "app",
    Ty::Object,
    "Merge patch of `app`, without name and namespace.",
);
const COMMIT_ACTION: Key = key("commit", Ty::Map(&COMMIT), "Changes the desired state.");
const APPLY_ACTION: Key = key("apply", SOURCES, "As a user: kubectl apply.");
const DELETE_ACTION: Key = key("delete", Ty::Reference, "As a user: kubectl delete.");
const PROPAGATION: Key = key(
    "propagation",
    Ty::Choice(&["foreground", "background", "orphan"]),
    "With `delete`; default background.",
);
const FORCE: Key = key("force", Ty::Bool, "With `delete`: without grace period.");
const PLAN_ACTION: Key = key(
    "plan",
    Ty::Map(&EMPTY),
    "Builds the task list and writes nothing.",
);
const TERMINATE_ACTION: Key = key(
    "terminate",
    Ty::Map(&EMPTY),
    "Terminates the running operation.",
);
const CONFIRM_PRUNE: Key = key("confirmPrune", Ty::Map(&EMPTY), "Confirms prunes.");
const CONFIRM_DELETE: Key = key("confirmDelete", Ty::Map(&EMPTY), "Confirms deletions.");
const REFRESH_ACTION: Key = key("refresh", Ty::Map(&REFRESH), "Compares the application.");
const DELETE_APP: Key = key(
    "deleteApp",
    Ty::Map(&DELETE_APP_SHAPE),
    "Deletes the application.",
);
const RESTART: Key = key(
    "restart",
    Ty::Choice(&["engine"]),
    "Drops the running pass.",
);

pub(crate) static STEP: Shape = Shape {
    name: "a step",
    keys: &[
        key("name", Ty::Text, "Name of the step."),
        key(
            "on",
            Ty::List(&Ty::Map(&BOUND)),
            "Actions bound to events of this step.",
        ),
        key(
            "faults",
            Ty::List(&Ty::Map(&FAULT)),
            "Faults that count and live within this step.",
        ),
        key(
            "expect",
            Ty::Map(&EXPECT),
            "Judged on the trace of this step and the state at its end.",
        ),
        key(
            "sync",
            Ty::Map(&SYNC),
            "Requests a sync and runs until the operation ends.",
        ),
        PLAN_ACTION,
        APP_ACTION,
        COMMIT_ACTION,
        APPLY_ACTION,
        PATCH_ACTION,
        DELETE_ACTION,
        PROPAGATION,
        FORCE,
        TERMINATE_ACTION,
        CONFIRM_PRUNE,
        CONFIRM_DELETE,
        REFRESH_ACTION,
        DELETE_APP,
        RESTART,
        key("advance", Ty::Duration, "Lets time pass."),
        key("wait", Ty::Map(&WAIT), "Runs until an event happens."),
        key("settle", Ty::Map(&EMPTY), "Runs until quiet."),
    ],
    one_of: ACTIONS,
    exclusive: &[],
};

/// An action of `do`: a step without what waits.
pub(crate) static ACTION: Shape = Shape {
    name: "an action",
    keys: &[
        PLAN_ACTION,
        APP_ACTION,
        COMMIT_ACTION,
        APPLY_ACTION,
        PATCH_ACTION,
        DELETE_ACTION,
        PROPAGATION,
        FORCE,
        TERMINATE_ACTION,
        CONFIRM_PRUNE,
        CONFIRM_DELETE,
        REFRESH_ACTION,
        DELETE_APP,
        RESTART,
    ],
    one_of: ACTIONS,
    exclusive: &[],
};

static EMPTY: Shape = shape("this action", &[]);

static SYNC: Shape = shape(
    "sync",
    &[
        key("prune", Ty::Bool, "Whether to prune; default false."),
        key("dryRun", Ty::Bool, "Whether nothing is written."),
        key(
            "revision",
            Ty::Text,
            "Takes the manifests of the commit with this revision.",
        ),
        key("resources", REFERENCES, "Selective sync."),
        key(
            "syncOptions",
            TEXTS,
            "In place of those of the application.",
        ),
        key(
            "strategy",
            Ty::Choice(&["hook", "apply"]),
            "With or without hooks; default hook.",
        ),
        key(
            "force",
            Ty::Bool,
            "Whether to delete and recreate what cannot be changed.",
        ),
        key("retry", Ty::Map(&RETRY), "In place of the application's."),
        key(
            "until",
            Ty::Event,
            "Stops waiting at this event; the operation goes on.",
        ),
    ],
);

static COMMIT: Shape = shape(
    "commit",
    &[
        key("manifests", SOURCES, "Replaces everything."),
        key("apply", SOURCES, "Replaces by key, or adds."),
        key(
            "patch",
            Ty::List(&Ty::Map(&PATCH)),
            "Merge patches of desired objects.",
        ),
        key("remove", REFERENCES, "Removes desired objects."),
        key("revision", Ty::Text, "Revision of the new commit."),
    ],
);

static PATCH: Shape = shape(
    "a patch",
    &[
        required("target", Ty::Reference, "The object."),
        required("merge", Ty::Object, "Merge patch (RFC 7386)."),
    ],
);

static REFRESH: Shape = shape(
    "refresh",
    &[key(
        "hard",
        Ty::Bool,
        "False, the default: a run caches nothing that a hard refresh could pass over.",
    )],
);

static DELETE_APP_SHAPE: Shape = shape(
    "deleteApp",
    &[
        key(
            "cascade",
            Ty::Either(&[
                Ty::Choice(&["foreground", "background"]),
                Ty::Exactly(false),
            ]),
            "What happens to the resources; default foreground.",
        ),
        key("until", Ty::Event, "Stops waiting at this event."),
    ],
);

static WAIT: Shape = shape(
    "wait",
    &[
        required(
            "for",
            Ty::Event,
            "The event, later than the start of the step.",
        ),
        key(
            "within",
            Ty::Duration,
            "At most this long; default the time limit of the run.",
        ),
    ],
);

static BOUND: Shape = shape(
    "a bound action",
    &[
        key("name", Ty::Text, "Shows up as `do/<name>`."),
        required("event", Ty::Event, "The event."),
        key("nth", Ty::Int(1, MANY), "Which occurrence; default 1."),
        key("delay", Ty::Duration, "How long after it; default 0s."),
        key("optional", Ty::Bool, "Whether it may stay unfired."),
        required("do", Ty::List(&Ty::Map(&ACTION)), "What is done, in order."),
    ],
);

pub(crate) static EXPECT: Shape = shape(
    "expect",
    &[
        key("operation", Ty::Map(&OPERATION), "The last operation."),
        key(
            "phases",
            Ty::List(&Ty::Choice(PHASES)),
            "Exactly these phases ran, in this order.",
        ),
        key(
            "waves",
            Ty::List(&Ty::Either(&[
                Ty::Choice(&["*"]),
                Ty::Dict(&Ty::Wave, &Ty::List(&WAVE_OBJECT)),
            ])),
            "Exactly what the engine applied or pruned, a set per wave, in this order.",
        ),
        key(
            "order",
            Ty::List(&Ty::Either(&[Ty::Event, Ty::List(&Ty::Event)])),
            "A subsequence of the trace; an inner list is a set.",
        ),
        key(
            "before",
            Ty::Dict(&Ty::Event, &Ty::List(&Ty::Event)),
            "What must have happened earlier, every time.",
        ),
        key(
            "never",
            Ty::List(&Ty::Either(&[Ty::Event, Ty::Map(&NEVER)])),
            "What must not happen.",
        ),
        key("count", Ty::Dict(&Ty::Event, &COUNT), "How often."),
        key(
            "within",
            Ty::Dict(&Ty::Event, &Ty::Either(&[Ty::Duration, Ty::Map(&WITHIN)])),
            "How soon.",
        ),
        key(
            "results",
            Ty::Dict(&Ty::ResultKey, &RESULT),
            "Per-resource results of the operation.",
        ),
        key(
            "requests",
            Ty::Dict(&Ty::RequestKey, &COUNT),
            "Counts of the engine's requests.",
        ),
        key("app", Ty::Map(&APP_STATE), "The application's own state."),
        key(
            "present",
            Ty::List(&Ty::Object),
            "Partial objects that are there at the end.",
        ),
        key(
            "absent",
            REFERENCES,
            "Objects that are not there at the end.",
        ),
        key(
            "cel",
            Ty::List(&Ty::Cel),
            "Expressions in the Common Expression Language.",
        ),
    ],
);

const WAVE_OBJECT: Ty = Ty::Either(&[Ty::Choice(&["*"]), Ty::Reference]);
const COUNT: Ty = Ty::Either(&[Ty::Unsigned, Ty::Map(&RANGE)]);
const RESULT: Ty = Ty::Either(&[Ty::Choice(&["none"]), Ty::Map(&RESULT_FIELDS)]);

static OPERATION: Shape = shape(
    "operation",
    &[
        key("phase", Ty::Choice(OPERATION_PHASES), "Phase."),
        key("message", Ty::Message, "Message."),
        key(
            "messages",
            Ty::List(&Ty::Message),
            "A subsequence of all messages it had.",
        ),
        key("retries", Ty::Int(0, MANY), "Retries."),
        key("revision", Ty::Text, "Revision."),
    ],
);

static NEVER: Shape = shape(
    "never",
    &[
        required("event", Ty::Event, "The event."),
        key("until", Ty::Event, "Only until this."),
    ],
);

static RANGE: Shape = shape(
    "a count",
    &[
        key("min", Ty::Unsigned, "At least."),
        key("max", Ty::Unsigned, "At most."),
    ],
);

static WITHIN: Shape = shape(
    "within",
    &[
        key(
            "since",
            Ty::Event,
            "Counted from this event; default the start of the judged part.",
        ),
        key("min", Ty::Duration, "Not sooner."),
        key("max", Ty::Duration, "Not later."),
    ],
);

static RESULT_FIELDS: Shape = shape(
    "a result",
    &[
        key("syncPhase", Ty::Choice(PHASES), "Phase of the task."),
        key(
            "hookPhase",
            Ty::Choice(&["Running", "Succeeded", "Failed", "Error", ""]),
            "Outcome.",
        ),
        key(
            "hookType",
            Ty::Choice(&["PreSync", "Sync", "PostSync", "SyncFail", ""]),
            "Type of the hook; empty for other objects.",
        ),
        key(
            "status",
            Ty::Choice(&["Synced", "SyncFailed", "Pruned", "PruneSkipped", ""]),
            "Status.",
        ),
        key("message", Ty::Message, "Message."),
        key("images", TEXTS, "Container images."),
    ],
);

static APP_STATE: Shape = shape(
    "app (expected)",
    &[
        key("health", Ty::Choice(HEALTH), "Health."),
        key(
            "healthMessage",
            Ty::Message,
            "Message of the health (since 3.6): up to three objects that it comes from.",
        ),
        key("sync", Ty::Choice(SYNC_STATUS), "Sync status."),
        key(
            "conditions",
            Ty::Dict(
                &Ty::Text,
                &Ty::Either(&[Ty::Choice(&["none"]), Ty::Message]),
            ),
            "Conditions by type.",
        ),
        key(
            "resources",
            Ty::Dict(&Ty::Reference, &Ty::Map(&RESOURCE_STATE)),
            "State of single resources.",
        ),
        key("history", Ty::Int(0, MANY), "Length of the history."),
    ],
);

static RESOURCE_STATE: Shape = shape(
    "a resource",
    &[
        key("sync", Ty::Choice(SYNC_STATUS), "Sync status."),
        key("health", Ty::Choice(HEALTH), "Health."),
    ],
);
