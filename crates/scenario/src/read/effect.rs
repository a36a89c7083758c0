//! What would be read and then do nothing: refused, with the place and the reason.

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::reference::{NamePattern, glob};
use wavetank_model::{Reference, kinds, object};

use super::Reader;
use crate::names::key_of;
use crate::problem::nearest;
use crate::sources::Declared;
use crate::yaml::Node;

/// Names of targets, as the command line spells them.
const TARGETS: &[&str] = &["fake", "control-plane", "kind", "k3s", "kubeconfig"];

/// Built-in kinds that are Pods or make some.
const PODS: &[&str] = &[
    "Pod",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "ReplicationController",
];

/// Other built-in kinds whose changes some controller of the simulated cluster notices.
const NOTICED: &[&str] = &[
    "Namespace",
    "Node",
    "Service",
    "Ingress",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
];

/// Built-in kinds that are scripted now and then and count no generations.
const WITHOUT_GENERATION: &[&str] = &[
    "ConfigMap",
    "Secret",
    "Service",
    "ServiceAccount",
    "Namespace",
    "PersistentVolume",
    "PersistentVolumeClaim",
];

/// Keys of a rule that say what Pods do.
const OF_PODS: &[&str] = &["attempts", "hang", "ready"];

impl Reader<'_, '_> {
    /// Workload rules, once everything is known that can come into being; `node` is their list and `frozen` are the
    /// objects of `cluster.objects`, in the namespace `home` unless they say another one.
    pub(super) fn idle_rules(&mut self, node: Option<&Node>, frozen: &[Arc<Value>], home: &str) {
        let mut before: Vec<(Reference, i64, &Node)> = Vec::new();
        for item in node.into_iter().flat_map(Node::items) {
            let Some((place, reference)) = item
                .get("match")
                .and_then(|place| Some((place, place.reference()?)))
            else {
                continue;
            };
            let generation = item.get("generation").and_then(Node::integer).unwrap_or(0);
            let first = before
                .iter()
                .find(|(earlier, from, _)| *from <= generation && covers(earlier, &reference));
            if let Some((_, _, earlier)) = first {
                let line = self.context.line(earlier.span);
                self.context.error(
                    place.span,
                    "no object ever reaches this rule",
                    format!("the first rule that matches wins, and that of line {line} matches the same objects"),
                );
            }
            self.idle_keys(item, &reference);
            let is_frozen = |object: &Arc<Value>| {
                let stated = object.get("status").is_some_and(|status| !status.is_null());
                let key = key_of(object, home);
                stated && key.is_some_and(|key| reference.matches(&key, home))
            };
            if !reference.name.is_wildcard() && frozen.iter().any(is_frozen) {
                self.context.error(
                    place.span,
                    "this rule changes nothing",
                    "`cluster.objects` states the status of this object, and no controller touches it",
                );
            }
            before.push((reference, generation, place));
        }
    }

    fn idle_keys(&mut self, item: &Node, reference: &Reference) {
        let builtin = kinds::by_kind(&reference.kind).any(|kind| {
            reference
                .group
                .as_deref()
                .is_none_or(|group| group == kind.group)
        });
        let has_pods = if builtin {
            PODS.contains(&&*reference.kind)
        } else {
            // Somebody's own controller, whose Pods the scenario states.
            self.declared
                .iter()
                .any(|declared| is_owned_by(declared, &reference.kind))
        };
        let entries = item.get("timeline").map_or(&[][..], Node::items);
        let of_entries = entries
            .iter()
            .flat_map(|entry| [entry.get("ready"), entry.get("crash")]);
        let of_pods = OF_PODS
            .iter()
            .map(|key| item.get(key))
            .chain(of_entries)
            .flatten();
        if !has_pods && let Some(found) = of_pods.into_iter().next() {
            self.context.error(
                found.span,
                format!("this is what Pods do, and `{}` has none", reference.kind),
                "`timeline` with `status` or `merge` acts on the object itself",
            );
        }
        let acts = entries
            .iter()
            .any(|entry| entry.get("status").is_some() || entry.get("merge").is_some())
            || item.get("deletion").is_some();
        let is_noticed =
            builtin && (PODS.contains(&&*reference.kind) || NOTICED.contains(&&*reference.kind));
        if let Some(reaction) = item.get("reaction").filter(|_| !acts && !is_noticed) {
            self.context.error(
                reaction.span,
                format!("nobody reacts to changes of `{}`", reference.kind),
                "no controller of the simulated cluster looks at them",
            );
        }
        if let Some(generation) = item.get("generation")
            && builtin
            && WITHOUT_GENERATION.contains(&&*reference.kind)
        {
            self.context.error(
                generation.span,
                format!(
                    "objects of the kind `{}` have no generation",
                    reference.kind
                ),
                "the rule would match none of them",
            );
        }
        if let Some(deletion) = item.get("deletion")
            && let Some(jitter) = deletion
                .get("jitter")
                .filter(|_| deletion.get("after").is_none())
        {
            self.context
                .error(jitter.span, "`jitter` goes with `after`", "");
        }
    }

    /// An exception's target and case; `cases` are the names of the file's cases.
    pub(super) fn idle_exception(&mut self, item: &Node, cases: &[String]) {
        if let Some(node) = item.get("target")
            && let Some(target) = node.string()
            && !TARGETS.iter().any(|known| glob(&target, known))
        {
            let label = match nearest(&target, TARGETS.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("targets are {}", TARGETS.join(", ")),
            };
            self.context
                .error(node.span, format!("there is no target `{target}`"), label);
        }
        if let Some(node) = item.get("case")
            && let Some(case) = node.string()
            && !cases.iter().any(|known| glob(&case, known))
        {
            let label = match nearest(&case, cases.iter().map(String::as_str)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => String::new(),
            };
            self.context
                .error(node.span, format!("there is no case `{case}`"), label);
        }
    }

    /// Keys of a fault that the others leave nothing to do; `verb` is that of its `on`.
    pub(super) fn idle_fault(&mut self, node: &Node, verb: &str) {
        let is_request = !matches!(verb, "watch" | "view");
        if let Some(by) = node
            .get("by")
            .filter(|by| by.string().as_deref() == Some("user"))
            && !is_request
        {
            let label = "only the engine has a view, which watches feed";
            self.context
                .error(by.span, format!("a user has no `{verb}`"), label);
        }
        let writes = matches!(
            verb,
            "create" | "update" | "patch" | "delete" | "write" | "any"
        );
        if let Some(dry_run) = node.get("dryRun").filter(|_| !writes) {
            let message = format!("`{verb}` is never a dry run");
            self.context
                .error(dry_run.span, message, "only writes can be dry or wet");
        }
        let always = node
            .at(&["hide", "passes"])
            .and_then(Node::string)
            .is_some();
        if let Some(times) = node
            .get("times")
            .filter(|times| always && times.small() != Some(1))
        {
            self.context.error(
                times.span,
                "what is hidden always is hidden once",
                "`times` counts how often it begins",
            );
        }
    }

    /// Keys of the spec of an Application in `from` that nothing is taken from.
    pub(super) fn idle_application(&mut self, spec: Option<&Node>) {
        for (key, value) in spec.map_or(&[][..], Node::entries) {
            let name = key.scalar_text().unwrap_or_default();
            let label = match name {
                "source" | "sources" => "the manifests are given by the scenario",
                "destination" | "syncPolicy" | "ignoreDifferences" => continue,
                "project" if value.string().as_deref() == Some("default") => continue,
                "project" => "`app.project` says what is permitted",
                _ => "no part of a run looks at it",
            };
            self.context.warning(
                key.span,
                format!("the {name} of this Application is ignored"),
                label,
            );
        }
    }

    /// A destination that says nothing of the cluster.
    fn idle_destination(&mut self, destination: &Node) {
        let says = |key: &str| destination.get(key).and_then(Node::string);
        let nothing = |key: &str| says(key).is_none_or(|text| text.is_empty());
        if nothing("server") && nothing("name") {
            self.context.warning(
                destination.span,
                "this destination permits nothing",
                "Argo CD looks for a cluster by `server` or `name`; here it is `https://kubernetes.default.svc`, called `in-cluster`",
            );
        }
    }

    /// Keys of a project that no part of a run looks at.
    pub(super) fn idle_project(&mut self, project: Option<&Node>) {
        const IDLE: &[&str] = &[
            "sourceRepos",
            "roles",
            "orphanedResources",
            "signatureKeys",
            "sourceNamespaces",
            "sourceIntegrity",
            "destinationServiceAccounts",
            "permitOnlyProjectScopedClusters",
        ];
        for (key, value) in project.map_or(&[][..], Node::entries) {
            if key.scalar_text() == Some("destinations") {
                value
                    .items()
                    .iter()
                    .for_each(|item| self.idle_destination(item));
            }
            let name = key.scalar_text().unwrap_or_default();
            let everything = value
                .items()
                .iter()
                .any(|item| item.string().as_deref() == Some("*"));
            if IDLE.contains(&name) && !everything {
                self.context.warning(
                    key.span,
                    format!("`{name}` of a project changes nothing here"),
                    "a run has one source, one cluster and one user",
                );
            }
        }
    }
}

/// Whether every object that `later` matches is matched by `earlier`.
fn covers(earlier: &Reference, later: &Reference) -> bool {
    // What fits a pattern as a text fits it whatever its own `*` stand for.
    let fits = |earlier: &NamePattern, later: &NamePattern| glob(&earlier.0, &later.0);
    let namespace = match (&earlier.namespace, &later.namespace) {
        (Some(earlier), Some(later)) => fits(earlier, later),
        (earlier, later) => earlier == later,
    };
    let same_kind = earlier.kind == later.kind && earlier.group == later.group;
    same_kind && namespace && fits(&earlier.name, &later.name)
}

/// Whether an object of the kind controls this one.
fn is_owned_by(declared: &Declared, kind: &str) -> bool {
    object::controller(&declared.object).is_some_and(|owner| owner.kind == kind)
}
