//! A scenario on any target, judged.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use wavetank_cluster::{Capabilities, Capability, Cluster};
use wavetank_kernel::Seed;
use wavetank_model::script::{Attempt, Behaviour, Delay, Deletion, Rule, TimelineEntry};
use wavetank_model::{GroupKind, GroupVersionKind, object};
use wavetank_report::RunOutcome;
use wavetank_runner::{
    RunOptions, RunRecord, lacks_definition_of_applications, replay, world_objects,
};
use wavetank_scenario::{Scenario, StorageBinding};
use wavetank_sync::{Builtin, StepEngine};

use crate::check::{judge, skipped};
use crate::simulate::{Options, Simulation, assessor, unavailable};

/// Kinds whose status the controllers of a real cluster write, whoever else did.
const CONTROLLED: [(&str, &str); 11] = [
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("", "ReplicationController"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("policy", "PodDisruptionBudget"),
];

/// Why `scenario` cannot be replayed on a target that can do no more than `capabilities`; `None` when it can.
pub fn lacking(scenario: &Scenario, capabilities: &Capabilities) -> Option<String> {
    let lacks = |capability: Capability| !capabilities.contains(&capability);
    if lacks(Capability::ScriptedWorkloads)
        && let Some(rule) = scenario
            .workloads
            .iter()
            .find(|rule| rule.behaviour.is_some() || rule.deletion.is_some())
    {
        return Some(format!(
            "`workloads` scripts {}, and here workloads are real",
            rule.matches
        ));
    }
    if lacks(Capability::ScriptedWorkloads) && lacks_definition_of_applications(scenario) {
        return Some(
            "it has child Applications, and here nobody plays what becomes of them".to_owned(),
        );
    }
    if lacks(Capability::ReactionLag)
        && let Some(rule) = scenario
            .workloads
            .iter()
            .find(|rule| rule.reaction.is_some())
    {
        return Some(format!(
            "real controllers notice changes of {} when they do: `reaction` needs a simulated cluster",
            rule.matches
        ));
    }
    if let Some(reason) = lacks_machines(scenario, capabilities) {
        return Some(reason);
    }
    if !lacks(Capability::VirtualTime) {
        return None;
    }
    let frozen = scenario
        .cluster
        .objects
        .iter()
        .find(|object| is_controlled(object))
        .map(|object| {
            let kind = object["kind"].as_str().unwrap_or_default();
            format!(
                "`cluster.objects` states the status of {kind}/{}, which real controllers write",
                object::name(object)
            )
        });
    frozen.or_else(|| {
        scenario
            .workloads
            .iter()
            .find(|rule| {
                let plays = matches!(&rule.behaviour, Some(Behaviour::Timeline(entries))
                    if entries.iter().any(|entry| matches!(entry, TimelineEntry::Status { .. })));
                let group = rule.matches.group.clone().unwrap_or_else(|| {
                    wavetank_model::kinds::by_kind(&rule.matches.kind)
                        .next()
                        .map(|kind| kind.group.to_owned())
                        .unwrap_or_default()
                });
                plays && is_controlled_kind(&GroupKind::new(group, rule.matches.kind.clone()))
            })
            .map(|rule| {
                format!(
                    "`workloads` writes the status of {}, which real controllers write",
                    rule.matches
                )
            })
    })
}

/// Why the nodes, the storage class, the load balancers or the noise that `cluster` asks for are not to be had.
fn lacks_machines(scenario: &Scenario, capabilities: &Capabilities) -> Option<String> {
    let cluster = &scenario.cluster;
    if cluster.noise && !capabilities.contains(&Capability::VirtualTime) {
        return Some(
            "`cluster.noise` asks for Events and Leases, which runs on real clusters pass over"
                .to_owned(),
        );
    }
    let real = !capabilities.contains(&Capability::ScriptedWorkloads);
    if real && cluster.nodes > 1 {
        return Some(format!(
            "`cluster.nodes` asks for {} nodes, and here nodes are real",
            cluster.nodes
        ));
    }
    if real && cluster.storage == StorageBinding::WaitForFirstConsumer {
        return Some(
            "`cluster.storage` says how volumes are bound, and here storage is real".to_owned(),
        );
    }
    let given = capabilities.contains(&Capability::LoadBalancers);
    let balanced = world_objects(scenario).find(|object| is_balanced(object))?;
    let name = format!(
        "{}/{}",
        balanced["kind"].as_str().unwrap_or_default(),
        object::name(balanced)
    );
    match (cluster.load_balancers, given) {
        (true, false) => Some(format!(
            "{name} needs a load balancer, and here nobody is known to give one an address"
        )),
        (false, false) => Some(format!(
            "`cluster.loadBalancers` says that {name} gets no address, and here that is not known"
        )),
        (_, true) => None,
    }
}

/// Whether somebody gives the object an address from outside.
fn is_balanced(object: &wavetank_json::Value) -> bool {
    let kind = GroupVersionKind::of(object).map(|gvk| gvk.group_kind());
    kind.is_some_and(|kind| match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Service") => object["spec"]["type"] == "LoadBalancer",
        ("networking.k8s.io", "Ingress") => true,
        _ => false,
    })
}

fn is_controlled(object: &wavetank_json::Value) -> bool {
    let stated = object.get("status").is_some_and(|status| !status.is_null());
    stated && GroupVersionKind::of(object).is_some_and(|gvk| is_controlled_kind(&gvk.group_kind()))
}

fn is_controlled_kind(kind: &GroupKind) -> bool {
    CONTROLLED
        .iter()
        .any(|(group, name)| kind.group == *group && kind.kind == *name)
}

/// The outcome of a scenario that says itself that it is to be skipped on `target` with `engine`.
pub fn skipped_on(
    scenario: &Scenario,
    options: &Options,
    target: &str,
    engine: &str,
) -> Option<RunOutcome> {
    skipped(scenario, options, target, engine)
}

/// Replays a scenario on `cluster`, which is fresh, and judges its expectations and the invariants. Without an engine it
/// is the built-in one. Must run in a runtime that the cluster's clock lives in.
pub async fn check_on(
    scenario: &Arc<Scenario>,
    cluster: Arc<dyn Cluster>,
    options: &Options,
    engine: Option<Box<dyn StepEngine>>,
) -> RunOutcome {
    let seed = Seed(options.seed.unwrap_or(scenario.seed));
    let target = cluster.target().to_owned();
    let assessor = match assessor(scenario, cluster.as_ref()) {
        Ok(assessor) => assessor,
        Err(reason) => return judge(scenario, unavailable(scenario, &target, seed, reason)),
    };
    let engine = engine.unwrap_or_else(|| Box::new(Builtin::new(assessor.clone())));
    let run_options = RunOptions {
        seed: seed.0,
        show_secrets: options.show_secrets,
        fail_fast: options.fail_fast && scenario.exceptions.is_empty(),
    };
    let assessor = Arc::new(assessor);
    let RunRecord {
        trace,
        ended,
        unfired,
    } = replay(
        Arc::clone(scenario),
        cluster,
        engine,
        assessor,
        &run_options,
    )
    .await;
    let simulation = Simulation {
        trace,
        end: ended,
        unfired,
        schedule: Vec::new(),
    };
    judge(scenario, simulation)
}

/// The rules with every time of a script divided by `scale`.
pub fn faster(rules: Vec<Rule>, scale: NonZeroU32) -> Vec<Rule> {
    let scale = scale.get();
    let faster = |delay: &mut Delay| {
        delay.after /= scale;
        delay.jitter /= scale;
    };
    let mut rules = rules;
    for rule in &mut rules {
        match &mut rule.behaviour {
            Some(Behaviour::Attempts(attempts)) => {
                for attempt in attempts {
                    match attempt {
                        Attempt::Succeed(after) | Attempt::Fail { after, .. } => faster(after),
                    }
                }
            }
            Some(Behaviour::Timeline(entries)) => {
                for entry in entries {
                    match entry {
                        TimelineEntry::Ready(after)
                        | TimelineEntry::Crash { after, .. }
                        | TimelineEntry::Status { after, .. }
                        | TimelineEntry::Patch { after, .. } => faster(after),
                    }
                }
            }
            Some(Behaviour::Hang(_)) | None => {}
        }
        if let Some(Deletion::After(delay)) = &mut rule.deletion {
            faster(delay);
        }
    }
    rules
}

/// Why `scenario` cannot be confined to namespaces that the run makes; `None` when it can. Beside namespaces it may make
/// cluster-scoped objects only where that is allowed.
pub fn leaves_its_namespaces(scenario: &Scenario, allow_cluster_scoped: bool) -> Option<String> {
    let app = &scenario.app;
    let objects = || world_objects(scenario);
    let is_namespace = |object: &wavetank_json::Value| {
        object["kind"] == "Namespace" && object["apiVersion"] == "v1"
    };
    let mut made: BTreeSet<&str> = objects()
        .filter(|object| is_namespace(object))
        .map(|object| object::name(object))
        .collect();
    let options = app.sync_policy.sync_options.iter();
    if options
        .map(String::as_str)
        .any(|option| option == "CreateNamespace=true")
    {
        made.insert(&app.namespace);
    }
    for object in objects() {
        let Some(gvk) = GroupVersionKind::of(object) else {
            continue;
        };
        let name = object::name(object);
        if is_namespace(object) {
            if name.starts_with("kube-") || name == "default" {
                return Some(format!("Namespace/{name} belongs to the cluster"));
            }
            continue;
        }
        let namespaced = wavetank_model::kinds::find(&gvk.group, &gvk.kind)
            .map_or(!object::namespace(object).is_empty(), |kind| {
                kind.namespaced
            });
        if !namespaced && !allow_cluster_scoped {
            let kind = &gvk.kind;
            return Some(format!(
                "{kind}/{name} is cluster-scoped: --allow-cluster-scoped is needed"
            ));
        }
        let namespace = match object::namespace(object) {
            "" => app.namespace.as_str(),
            namespace => namespace,
        };
        if namespaced && !made.contains(namespace) {
            return Some(format!(
                "the run does not make the namespace {namespace} of {}/{name}",
                gvk.kind
            ));
        }
    }
    (!made.contains(app.namespace.as_str())).then(|| {
        format!(
            "the run does not make the application's namespace {}",
            app.namespace
        )
    })
}
