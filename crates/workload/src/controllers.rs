//! All controllers of the simulated cluster behind one door.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wavetank_kernel::{Chooser, Class, Load, Seed, SimTime};
use wavetank_model::script::{Deletion, Rule};
use wavetank_model::{Api, Change, ChangeKind, EventPattern, ObjectKey, Status, object};

use crate::agenda::{Agenda, Task};
use crate::balancer::Balancer;
use crate::config::Config;
use crate::context::{Again, Context};
use crate::job::Jobs;
use crate::kubelet::Kubelet;
use crate::latency;
use crate::read::{pod_ended, text};
use crate::scheduler::Scheduler;
use crate::script::{Chance, Scripts, owner_key};
use crate::selectors::Selectors;
use crate::timeline::Timelines;
use crate::volume::Volumes;
use crate::{
    account, budget, cronjob, daemonset, deployment, endpoints, job, node, replicaset, statefulset,
    timeline, volume,
};

/// How often a refused write is tried again as work; after that it is upkeep, for nothing promises that it helps.
const TRIES: u32 = 8;

/// Something a controller is going to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When.
    pub at: SimTime,
    /// Whether the run waits for it.
    pub load: Load,
    /// Who, as `Job controller`.
    pub controller: &'static str,
    /// The object.
    pub key: ObjectKey,
    /// Why the last try failed, if it did.
    pub refusal: Option<String>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} at {}", self.controller, self.key, self.at)?;
        match &self.refusal {
            Some(refusal) => write!(f, ", refused before: {refusal}"),
            None => Ok(()),
        }
    }
}

/// The controllers, the scheduler and the kubelets of a simulated cluster.
#[derive(Debug)]
pub struct Controllers {
    agenda: Agenda,
    config: Config,
    scripts: Scripts,
    chance: Chance,
    kubelet: Kubelet,
    scheduler: Scheduler,
    jobs: Jobs,
    volumes: Volumes,
    balancer: Balancer,
    selectors: Selectors,
    timelines: Timelines,
    daemons: BTreeSet<Arc<ObjectKey>>,
    /// Autoscalers with what they scale.
    autoscalers: BTreeMap<Arc<ObjectKey>, ObjectKey>,
    pending_claims: BTreeSet<Arc<ObjectKey>>,
    frozen: BTreeSet<ObjectKey>,
    /// Objects whose change controllers have not noticed yet (`reaction` rules).
    unnoticed: BTreeMap<Arc<ObjectKey>, SimTime>,
    /// Pods that no node takes.
    unscheduled: BTreeSet<Arc<ObjectKey>>,
    refusals: BTreeMap<(Task, Arc<ObjectKey>), (u32, String)>,
    problems: BTreeMap<ObjectKey, String>,
}

impl Controllers {
    /// Controllers that play `rules`, whose references without namespace mean `home`.
    pub fn new(rules: Vec<Rule>, home: String, config: Config, seed: Seed) -> Self {
        Self {
            agenda: Agenda::default(),
            config,
            scripts: Scripts::new(rules, home),
            chance: Chance::new(seed),
            kubelet: Kubelet::default(),
            scheduler: Scheduler::default(),
            jobs: Jobs::default(),
            volumes: Volumes::default(),
            balancer: Balancer::default(),
            selectors: Selectors::default(),
            timelines: Timelines::default(),
            daemons: BTreeSet::new(),
            autoscalers: BTreeMap::new(),
            pending_claims: BTreeSet::new(),
            frozen: BTreeSet::new(),
            unnoticed: BTreeMap::new(),
            unscheduled: BTreeSet::new(),
            refusals: BTreeMap::new(),
            problems: BTreeMap::new(),
        }
    }

    /// Lets no controller touch `key`, now and later: its status was given by the scenario.
    pub fn freeze(&mut self, key: &ObjectKey) {
        self.frozen.insert(key.clone());
    }

    /// When the first thing is due, and its class.
    pub fn next_due(&self) -> Option<(SimTime, Class)> {
        self.agenda.next_due()
    }

    /// When the first thing is due that is work.
    pub fn next_work(&self) -> Option<SimTime> {
        self.agenda.next_work()
    }

    /// What is planned that is work, in order, in words.
    pub fn waiting(&self) -> Vec<String> {
        self.planned()
            .filter(|planned| planned.load == Load::Work)
            .map(|planned| planned.to_string())
            .collect()
    }

    /// What is planned, in order.
    pub fn planned(&self) -> impl Iterator<Item = Waiting> {
        self.agenda.iter().map(|(at, load, task, key)| Waiting {
            at,
            load,
            controller: task.as_str(),
            key: key.clone(),
            refusal: self
                .refusals
                .get(&(task, Arc::new(key.clone())))
                .map(|(_, message)| message.clone()),
        })
    }

    /// Objects that ask for something the simulation does not do, with what it is.
    pub fn problems(&self) -> impl Iterator<Item = (&ObjectKey, &str)> {
        self.problems
            .iter()
            .map(|(key, problem)| (key, problem.as_str()))
    }

    /// Takes note of a commit and plans the reactions to it. To be called for every commit, in order.
    pub fn observe(&mut self, change: &Change) {
        let key = Arc::new(change.key.clone());
        let gone = change.kind == ChangeKind::Deleted;
        if !self.scripts.is_empty() {
            self.note_reaction(&key, change);
        }
        self.note_script(&key, change);
        self.plan_autoscalers(&key, change.time);
        match (change.key.group.as_str(), change.key.kind.as_str()) {
            ("", "Pod") => self.observe_pod(&key, change),
            ("", "Node") => self.observe_node(&key, change),
            ("", "Namespace") if !gone => {
                self.plan(Task::ServiceAccount, &key, change.time);
                if self.config.noise {
                    self.plan(Task::RootCa, &key, change.time);
                }
            }
            ("", "ServiceAccount") if gone && key.name == "default" => {
                self.plan_namespace(Task::ServiceAccount, change)
            }
            ("", "ConfigMap" | "Secret") => self.observe_config(&key, change),
            ("", "Service") => self.observe_service(&key, change),
            ("", "PersistentVolumeClaim") => self.observe_claim(&key, change),
            ("", "PersistentVolume") => self.observe_volume(&key, change),
            ("batch", "Job") => self.observe_job(&key, change),
            ("batch", "CronJob") if !gone => {
                if let Some(problem) = cronjob::unsupported(&change.new) {
                    self.problems.insert(change.key.clone(), problem);
                }
                self.plan(Task::CronJob, &key, change.time);
            }
            ("apps", "ReplicaSet") => {
                self.plan_owner(&key, &change.new, change.time);
                if !gone {
                    self.plan(Task::ReplicaSet, &key, change.time);
                }
            }
            ("apps", "Deployment") if !gone => self.plan(Task::Deployment, &key, change.time),
            ("apps", "StatefulSet") if !gone => self.plan(Task::StatefulSet, &key, change.time),
            ("apps", "DaemonSet") => {
                if gone {
                    self.daemons.remove(&key);
                } else {
                    self.daemons.insert(Arc::clone(&key));
                    self.plan(Task::DaemonSet, &key, change.time);
                }
            }
            ("apps", "ControllerRevision") => {}
            ("networking.k8s.io", "Ingress") if !gone => {
                self.plan(Task::Ingress, &key, change.time)
            }
            ("policy", "PodDisruptionBudget") => {
                self.observe_picker(&key, change, "selector", Task::DisruptionBudget)
            }
            ("autoscaling", "HorizontalPodAutoscaler") => self.observe_autoscaler(&key, change),
            ("coordination.k8s.io", "Lease")
                if change.kind == ChangeKind::Created && key.namespace == "kube-node-lease" =>
            {
                self.agenda.push(
                    Task::Lease,
                    key,
                    change.time + latency::LEASE_RENEWAL,
                    Load::Upkeep,
                );
            }
            _ => {}
        }
    }

    /// An `until` event of a rule ([`Controllers::until_events`]) happened: deletions it holds go on.
    pub fn occurred(&mut self, rule: usize, now: SimTime) {
        for key in self.timelines.release(rule) {
            self.agenda.push(Task::Hold, key, now, Load::Work);
        }
    }

    /// The events that deletions wait for, with the number of their rule for [`Controllers::occurred`].
    pub fn until_events(&self) -> impl Iterator<Item = (usize, &EventPattern)> {
        self.scripts
            .rules()
            .iter()
            .enumerate()
            .filter_map(|(number, rule)| match &rule.deletion {
                Some(Deletion::Until(event)) => Some((number, event)),
                _ => None,
            })
    }

    /// Plans what a rule says about the object itself.
    fn note_script(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        if self.scripts.is_empty() {
            return;
        }
        if change.kind == ChangeKind::Deleted {
            self.timelines.forget(key);
            return;
        }
        let generation = object::generation(&change.new);
        let Some((_, rule)) = self
            .scripts
            .of(key, generation)
            .filter(|(_, rule)| timeline::concerns(rule))
        else {
            return;
        };
        let (plays, holds) = (timeline::plays(rule), rule.deletion.is_some());
        let risen = change
            .old
            .as_deref()
            .is_none_or(|old| object::generation(old) < generation);
        if plays && risen && change.kind != ChangeKind::Deleting {
            self.agenda
                .push(Task::Timeline, Arc::clone(key), change.time, Load::Work);
        }
        if holds && matches!(change.kind, ChangeKind::Created | ChangeKind::Deleting) {
            self.agenda
                .push(Task::Hold, Arc::clone(key), change.time, Load::Work);
        }
    }

    fn plan_namespace(&mut self, task: Task, change: &Change) {
        let namespace = Arc::new(ObjectKey::new(
            "",
            "Namespace",
            "",
            change.key.namespace.clone(),
        ));
        self.plan(task, &namespace, change.time);
    }

    fn observe_node(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        if change.kind == ChangeKind::Created {
            self.plan_after(Task::Node, key, change.time, Duration::ZERO);
        }
        let same = change.old.as_deref().is_some_and(|old| {
            old.get("spec") == change.new.get("spec")
                && crate::read::map(old, &["metadata", "labels"])
                    == crate::read::map(&change.new, &["metadata", "labels"])
        });
        if same {
            return;
        }
        let at = change.time + latency::CONTROLLER_REACTION;
        for pod in &self.unscheduled {
            self.agenda
                .push(Task::Schedule, Arc::clone(pod), at, Load::Work);
        }
        for set in &self.daemons {
            self.agenda
                .push(Task::DaemonSet, Arc::clone(set), at, Load::Work);
        }
    }

    fn observe_config(&mut self, key: &ObjectKey, change: &Change) {
        if key.kind == "ConfigMap"
            && key.name == account::ROOT_CA
            && self.config.noise
            && change.kind != ChangeKind::Created
        {
            self.plan_namespace(Task::RootCa, change);
        }
        if change.kind != ChangeKind::Deleted {
            for pod in self.kubelet.hindered(&key.namespace) {
                self.agenda.push(
                    Task::Kubelet,
                    pod,
                    change.time + latency::KUBELET_REACTION,
                    Load::Work,
                );
            }
        }
    }

    fn observe_service(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        self.observe_picker(key, change, "selector", Task::Endpoints);
        if change.kind != ChangeKind::Deleted {
            self.plan(Task::LoadBalancer, key, change.time);
        }
    }

    /// Keeps the index of selecting objects, and plans a look at one that changed.
    fn observe_picker(&mut self, key: &Arc<ObjectKey>, change: &Change, field: &str, task: Task) {
        let selector =
            |object: &'_ Value| object.get("spec").and_then(|spec| spec.get(field)).cloned();
        let gone = change.kind == ChangeKind::Deleted;
        let (old, new) = (
            change.old.as_deref().and_then(selector),
            selector(&change.new).filter(|_| !gone),
        );
        if old != new || change.old.is_none() {
            self.selectors.note_picker(key, old.as_ref(), new.as_ref());
        }
        let own = change.old.as_deref().is_some_and(|old| {
            old.get("spec") == change.new.get("spec")
                && object::generation(old) == object::generation(&change.new)
                && crate::read::map(old, &["metadata", "labels"])
                    == crate::read::map(&change.new, &["metadata", "labels"])
        });
        if !gone && !own {
            self.plan(task, key, change.time);
        }
    }

    fn observe_autoscaler(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        if change.kind == ChangeKind::Deleted {
            self.autoscalers.remove(key);
            return;
        }
        self.autoscalers
            .insert(Arc::clone(key), budget::target(key, &change.new));
        self.plan(Task::Autoscaler, key, change.time);
    }

    /// Lets the autoscalers of a changed workload look at it.
    fn plan_autoscalers(&mut self, key: &ObjectKey, now: SimTime) {
        if self.autoscalers.is_empty() {
            return;
        }
        let scalers: Vec<Arc<ObjectKey>> = self
            .autoscalers
            .iter()
            .filter(|(_, target)| *target == key)
            .map(|(scaler, _)| Arc::clone(scaler))
            .collect();
        for scaler in scalers {
            self.plan(Task::Autoscaler, &scaler, now);
        }
    }

    fn observe_claim(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let now = change.time;
        if change.kind == ChangeKind::Deleted {
            let volume = text(&change.new, &["spec", "volumeName"]);
            if !volume.is_empty() {
                self.plan(
                    Task::Volume,
                    &Arc::new(ObjectKey::new("", "PersistentVolume", "", volume)),
                    now,
                );
            }
            return;
        }
        self.plan(Task::Claim, key, now);
        let bound = |claim: &Value| text(claim, &["status", "phase"]) == "Bound";
        if change.kind == ChangeKind::Created
            || (bound(&change.new) && !change.old.as_deref().is_some_and(bound))
        {
            for pod in self
                .unscheduled
                .iter()
                .filter(|pod| pod.namespace == key.namespace)
            {
                self.agenda.push(
                    Task::Schedule,
                    Arc::clone(pod),
                    now + latency::BINDING,
                    Load::Work,
                );
            }
        }
        if bound(&change.new) {
            self.pending_claims.remove(key);
        } else {
            self.pending_claims.insert(Arc::clone(key));
        }
    }

    fn observe_volume(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        if change.kind == ChangeKind::Deleted {
            return;
        }
        self.plan(Task::Volume, key, change.time);
        if change.kind == ChangeKind::Created {
            for claim in self.pending_claims.clone() {
                self.plan(Task::Claim, &claim, change.time);
            }
        }
    }

    fn observe_pod(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let (pod, old, now) = (&*change.new, change.old.as_deref(), change.time);
        let node = text(pod, &["spec", "nodeName"]);
        let uid = object::uid(pod);
        let had = |test: &dyn Fn(&Value) -> bool| old.is_some_and(test);
        if change.kind == ChangeKind::Deleted {
            self.kubelet.forget(key, uid);
            self.jobs.forget_pod(uid);
            self.unscheduled.remove(key);
            if !node.is_empty() && !pod_ended(pod) {
                self.scheduler.remove(node);
            }
        } else if node.is_empty() {
            self.plan_after(Task::Schedule, key, now, latency::BINDING);
        } else {
            if !had(&|old| !text(old, &["spec", "nodeName"]).is_empty()) {
                self.unscheduled.remove(key);
                self.scheduler.add(node);
            }
            if pod_ended(pod) && !had(&pod_ended) {
                self.scheduler.remove(node);
                self.jobs.pod_ended(uid, now);
            }
            // The kubelet knows what it wrote.
            if change.actor.as_str() != crate::kubelet::MANAGER || old.is_none() {
                self.plan_after(Task::Kubelet, key, now, latency::KUBELET_REACTION);
            }
        }
        self.note_pod_for_pickers(key, change);
        self.plan_pod_owner(key, change);
    }

    /// Lets Services, budgets and claims of a Pod look at it where it matters to them.
    fn note_pod_for_pickers(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let (old, new, gone) = (
            change.old.as_deref(),
            &*change.new,
            change.kind == ChangeKind::Deleted,
        );
        self.selectors
            .note_pod(&key.namespace, &key.name, old, (!gone).then_some(new));
        if !gone && old.is_some_and(|old| endpoints::is_same_for_services(old, new)) {
            return;
        }
        let mut pickers = self.selectors.pickers(&key.namespace, new);
        if let Some(old) = old {
            pickers.append(&mut self.selectors.pickers(&key.namespace, old));
        }
        for picker in pickers {
            let task = if picker.kind == "Service" {
                Task::Endpoints
            } else {
                Task::DisruptionBudget
            };
            self.plan(task, &picker, change.time);
        }
        if gone || pod_ended(new) {
            for name in crate::scheduler::claim_names(new) {
                let claim =
                    ObjectKey::new("", "PersistentVolumeClaim", key.namespace.clone(), name);
                self.plan(Task::Claim, &Arc::new(claim), change.time);
            }
        }
    }

    fn plan_pod_owner(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let owner = owner_key(key, &change.new);
        let former = change
            .old
            .as_deref()
            .and_then(|old| owner_key(key, old))
            .filter(|former| Some(former) != owner.as_ref());
        let is_job = |owner: &ObjectKey| owner.kind == "Job" && owner.group == "batch";
        let was_job_pod = owner.as_ref().or(former.as_ref()).is_some_and(is_job);
        if was_job_pod
            && change.kind != ChangeKind::Deleted
            && (former.is_some() || object::is_terminating(&change.new))
        {
            self.plan(Task::OrphanPod, key, change.time);
        }
        for owner in owner.into_iter().chain(former) {
            let owner = Arc::new(owner);
            match (owner.group.as_str(), owner.kind.as_str()) {
                ("batch", "Job") => {
                    self.plan_after(Task::Job, &owner, change.time, latency::JOB_BATCH)
                }
                ("apps", "ReplicaSet") => self.plan(Task::ReplicaSet, &owner, change.time),
                ("apps", "StatefulSet") => self.plan(Task::StatefulSet, &owner, change.time),
                ("apps", "DaemonSet") => self.plan(Task::DaemonSet, &owner, change.time),
                _ => {}
            }
        }
    }

    fn observe_job(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let (new, old) = (&*change.new, change.old.as_deref());
        self.plan_owner(key, new, change.time);
        if change.kind == ChangeKind::Deleted {
            self.jobs.forget(object::uid(new));
            return;
        }
        if let Some(field) = job::unsupported(new) {
            self.problems.insert(
                change.key.clone(),
                format!("`spec.{field}` of Jobs is not simulated: the Job is left alone"),
            );
        }
        if job::is_finished(new) {
            self.plan(Task::JobTtl, key, change.time);
            return;
        }
        // Spec changes are looked at at once, status changes with the next batch (API-326).
        if old.is_some_and(|old| object::generation(old) == object::generation(new)) {
            self.plan_after(Task::Job, key, change.time, latency::JOB_BATCH);
        } else {
            self.plan(Task::Job, key, change.time);
        }
    }

    /// Lets the managing controller look at the owner.
    fn plan_owner(&mut self, key: &ObjectKey, object: &Value, now: SimTime) {
        let Some(owner) = owner_key(key, object) else {
            return;
        };
        let task = match (owner.group.as_str(), owner.kind.as_str()) {
            ("apps", "Deployment") => Task::Deployment,
            ("batch", "CronJob") => Task::CronJob,
            _ => return,
        };
        self.plan(task, &Arc::new(owner), now);
    }

    fn plan(&mut self, task: Task, key: &Arc<ObjectKey>, now: SimTime) {
        self.plan_after(task, key, now, latency::CONTROLLER_REACTION);
    }

    fn plan_after(&mut self, task: Task, key: &Arc<ObjectKey>, now: SimTime, latency: Duration) {
        let mut at = now + latency;
        if let Some(noticed) = self.unnoticed.get(key) {
            at = at.max(*noticed + latency);
        }
        self.agenda.push(task, Arc::clone(key), at, Load::Work);
    }

    /// Makes controllers blind to the object until a `reaction` rule's time has passed.
    fn note_reaction(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let rule = self.scripts.of(key, object::generation(&change.new));
        let Some(reaction) = rule.and_then(|(_, rule)| rule.reaction) else {
            return;
        };
        let noticed = change.time + self.chance.seeded(reaction);
        self.unnoticed.insert(Arc::clone(key), noticed);
    }

    /// Does everything that is due first, at or before `now`: the entries of one instant and class, in order. The
    /// world then reports the commits and asks again.
    pub fn run_due(&mut self, now: SimTime, api: &mut dyn Api, chooser: &mut Chooser) {
        let Some(first) = self.agenda.next_due().filter(|(at, _)| *at <= now) else {
            return;
        };
        while self.agenda.next_due() == Some(first) {
            let Some((task, key)) = self.agenda.pop_due(now) else {
                return;
            };
            if self.frozen.contains(&*key) {
                continue;
            }
            if let Some(noticed) = self.unnoticed.get(&key).copied() {
                if noticed > now {
                    self.agenda.push(task, key, noticed, Load::Work);
                    continue;
                }
                self.unnoticed.remove(&key);
            }
            let outcome = self.run(task, &key, now, api, chooser);
            self.settle(task, key, now, outcome);
        }
    }

    fn run(
        &mut self,
        task: Task,
        key: &Arc<ObjectKey>,
        now: SimTime,
        api: &mut dyn Api,
        chooser: &mut Chooser,
    ) -> Result<Again, Status> {
        let mut context = Context {
            api,
            config: &self.config,
            now,
            scripts: &mut self.scripts,
            chance: &mut self.chance,
            chooser,
        };
        let context = &mut context;
        match task {
            Task::Schedule => {
                let held = self.kubelet.admit(key, context);
                let outcome = self.scheduler.sync(key, held, context);
                if context
                    .api
                    .get(key)
                    .is_some_and(|pod| text(&pod, &["spec", "nodeName"]).is_empty())
                {
                    self.unscheduled.insert(Arc::clone(key));
                }
                outcome
            }
            Task::Kubelet => self.kubelet.sync(key, context),
            Task::Node => node::sync(key, context),
            Task::Lease => node::sync_lease(key, context),
            Task::Job => self.jobs.sync(key, context),
            Task::OrphanPod => job::sync_orphan(key, context),
            Task::JobTtl => job::sync_ttl(key, context),
            Task::ReplicaSet => replicaset::sync(key, context),
            Task::Deployment => deployment::sync(key, context),
            Task::StatefulSet => statefulset::sync(key, context),
            Task::DaemonSet => daemonset::sync(key, context),
            Task::CronJob => cronjob::sync(key, context),
            Task::ServiceAccount => account::sync(key, context),
            Task::RootCa => account::sync_root_ca(key, context),
            Task::Endpoints => endpoints::sync(key, &self.selectors, context),
            Task::LoadBalancer | Task::Ingress => self.balancer.sync(key, context),
            Task::Volume => volume::sync_volume(key, context),
            Task::Claim => self.volumes.sync_claim(key, context),
            Task::DisruptionBudget => budget::sync(key, &self.selectors, context),
            Task::Autoscaler => budget::sync_autoscaler(key, context),
            Task::Timeline => self.timelines.play(key, context),
            Task::Hold => self.timelines.hold(key, context),
        }
    }

    /// Plans the next look; a refused write is tried again with back-off (5 ms, doubling up to 1000 s).
    fn settle(
        &mut self,
        task: Task,
        key: Arc<ObjectKey>,
        now: SimTime,
        outcome: Result<Again, Status>,
    ) {
        match outcome {
            Ok(again) => {
                if !self.refusals.is_empty() {
                    self.refusals.remove(&(task, Arc::clone(&key)));
                }
                if let Again::At(at, load) = again {
                    self.agenda
                        .push(task, key, at.max(now + Duration::from_millis(1)), load);
                }
            }
            Err(status) => {
                let entry = self.refusals.entry((task, Arc::clone(&key))).or_default();
                let wait = Duration::from_millis(5).saturating_mul(2_u32.saturating_pow(entry.0));
                let load = if entry.0 < TRIES {
                    Load::Work
                } else {
                    Load::Upkeep
                };
                *entry = (entry.0.saturating_add(1), status.message);
                self.agenda
                    .push(task, key, now + wait.min(Duration::from_secs(1000)), load);
            }
        }
    }
}
