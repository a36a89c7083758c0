//! What the controllers do when something was committed: take notes, and plan who looks at what, and when.

use std::sync::Arc;
use std::time::Duration;

use wavetank_json::Value;
use wavetank_kernel::{Load, SimTime};
use wavetank_model::{Change, ChangeKind, ObjectKey, object};

use super::Controllers;
use crate::agenda::Task;
use crate::read::{map, pod_ended, text};
use crate::script::owner_key;
use crate::{account, cronjob, endpoints, job, kubelet, latency, node, timeline, volume};

impl Controllers {
    /// Takes note of a commit and plans the reactions to it. To be called for every commit, in order.
    pub fn observe(&mut self, change: &Change) {
        let key = Arc::clone(&change.key);
        let gone = change.kind == ChangeKind::Deleted;
        if !self.scripts.is_empty() {
            self.note_reaction(&key, change);
        }
        self.note_script(&key, change);
        self.plan_autoscalers(&key, change.time);
        if change.old.is_none() || gone {
            let old = change.old.as_deref().or(gone.then_some(&*change.new));
            self.claims
                .note_owner(&key, old, (!gone).then_some(&*change.new));
        }
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
                self.plan_namespace(Task::ServiceAccount, change);
            }
            ("", "ConfigMap" | "Secret") => self.observe_config(&key, change),
            ("", "Service") => self.observe_service(&key, change),
            ("", "PersistentVolumeClaim") => self.observe_claim(&key, change),
            ("", "PersistentVolume") => self.observe_volume(&key, change),
            ("batch", "Job") => self.observe_job(&key, change),
            ("batch", "CronJob") if !gone => {
                if let Some(problem) = cronjob::unsupported(&change.new) {
                    self.problems.insert(ObjectKey::clone(&key), problem);
                }
                self.plan(Task::CronJob, &key, change.time);
            }
            ("apps", "ReplicaSet") => {
                self.note_claimed(&key, change);
                self.plan_owner(&key, &change.new, change.time);
                if !gone {
                    self.plan(Task::ReplicaSet, &key, change.time);
                }
            }
            ("apps", "ControllerRevision") => self.note_claimed(&key, change),
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
            ("networking.k8s.io", "Ingress") if !gone => {
                self.plan(Task::Ingress, &key, change.time);
            }
            ("policy", "PodDisruptionBudget") => {
                self.observe_picker(&key, change, "selector", Task::DisruptionBudget);
            }
            ("autoscaling", "HorizontalPodAutoscaler") => self.observe_autoscaler(&key, change),
            ("coordination.k8s.io", "Lease")
                if change.kind == ChangeKind::Created && key.namespace == node::LEASES =>
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
        // The rule may be one from a later generation on.
        if holds && (risen || matches!(change.kind, ChangeKind::Created | ChangeKind::Deleting)) {
            self.agenda
                .push(Task::Hold, Arc::clone(key), change.time, Load::Work);
        }
    }

    /// Lets those look who may adopt an object that nobody controls.
    fn note_claimed(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let gone = change.kind == ChangeKind::Deleted;
        let new = (!gone).then_some(&*change.new);
        let old = change.old.as_deref().or(gone.then_some(&*change.new));
        for owner in self.claims.note_object(key, old, new) {
            let task = match owner.kind.as_str() {
                "Deployment" => Task::Deployment,
                "ReplicaSet" => Task::ReplicaSet,
                "StatefulSet" => Task::StatefulSet,
                "DaemonSet" => Task::DaemonSet,
                _ => Task::Job,
            };
            self.plan(task, &owner, change.time);
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
                && map(old, &["metadata", "labels"]) == map(&change.new, &["metadata", "labels"])
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
                && map(old, &["metadata", "labels"]) == map(&change.new, &["metadata", "labels"])
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
        self.autoscalers.insert(key, &change.new);
        self.plan(Task::Autoscaler, key, change.time);
    }

    /// Lets the autoscalers of a changed workload look at it.
    fn plan_autoscalers(&mut self, key: &ObjectKey, now: SimTime) {
        for scaler in self.autoscalers.of(key) {
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
                .volumes
                .consumers
                .of(key)
                .filter(|pod| self.unscheduled.contains(*pod))
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
        let gone = change.kind == ChangeKind::Deleted;
        self.volumes
            .note(&key.name, (!gone).then_some(&*change.new));
        if gone {
            return;
        }
        self.plan(Task::Volume, key, change.time);
        let old = change.old.as_deref();
        let meant = volume::meant_for(&change.new);
        let is_free = |old: &Value| volume::meant_for(old).is_none();
        // A change tells nobody anything, unless it sets the volume free.
        if old.is_some_and(|old| is_free(old) || meant.is_some()) {
            return;
        }
        if let Some(claim) = meant {
            // Meant for one, it is nothing to the others.
            if let Some(claim) = self.pending_claims.get(&claim).cloned() {
                self.plan(Task::Claim, &claim, change.time);
            }
            return;
        }
        if self.claims_planned == Some(change.time) {
            return;
        }
        self.claims_planned = Some(change.time);
        for claim in self.pending_claims.clone() {
            self.plan(Task::Claim, &claim, change.time);
        }
    }

    fn observe_pod(&mut self, key: &Arc<ObjectKey>, change: &Change) {
        let (pod, old, now) = (&*change.new, change.old.as_deref(), change.time);
        let node = text(pod, &["spec", "nodeName"]);
        let uid = object::uid(pod);
        let had = |test: &dyn Fn(&Value) -> bool| old.is_some_and(test);
        if old.is_none() && change.kind != ChangeKind::Deleted {
            self.volumes.consumers.insert(key, pod);
        }
        if change.kind == ChangeKind::Deleted {
            self.kubelet.forget(key, uid);
            self.jobs.forget_pod(uid);
            self.unscheduled.remove(key);
            self.volumes.consumers.remove(key, pod);
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
            if change.actor.as_str() != kubelet::MANAGER || old.is_none() {
                self.plan_after(Task::Kubelet, key, now, latency::KUBELET_REACTION);
            }
        }
        self.note_pod_for_pickers(key, change);
        self.note_claimed(key, change);
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
            for claim in volume::claims_of(new) {
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
                    self.plan_after(Task::Job, &owner, change.time, latency::JOB_BATCH);
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
}
