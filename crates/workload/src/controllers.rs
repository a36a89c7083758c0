//! All controllers of the simulated cluster behind one door.

mod observe;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wavetank_kernel::{Chooser, Class, Load, Seed, SimTime, doubling};
use wavetank_model::script::Rule;
use wavetank_model::{Api, ObjectKey, Status};

use crate::agenda::{Agenda, Task};
use crate::autoscaler::Autoscalers;
use crate::balancer::Balancer;
use crate::claim::Claims;
use crate::config::Config;
use crate::context::{Again, Context};
use crate::events::Events;
use crate::job::Jobs;
use crate::kubelet::Kubelet;
use crate::read::text;
use crate::role::Role;
use crate::scheduler::Scheduler;
use crate::script::{Chance, Scripts};
use crate::selectors::Selectors;
use crate::timeline::Timelines;
use crate::volume::Volumes;
use crate::{
    account, autoscaler, budget, cronjob, daemonset, deployment, endpoints, job, node, replicaset,
    statefulset, volume,
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
    role: Role,
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
    autoscalers: Autoscalers,
    pending_claims: BTreeSet<Arc<ObjectKey>>,
    /// When the pending claims were last told of a free volume: all that came at one instant are one news.
    claims_planned: Option<SimTime>,
    frozen: BTreeSet<ObjectKey>,
    /// Objects whose change controllers have not noticed yet (`reaction` rules).
    unnoticed: BTreeMap<Arc<ObjectKey>, SimTime>,
    /// Pods that no node takes.
    unscheduled: BTreeSet<Arc<ObjectKey>>,
    refusals: BTreeMap<(Task, Arc<ObjectKey>), (u32, String)>,
    problems: BTreeMap<ObjectKey, String>,
    events: Events,
    claims: Claims,
}

impl Controllers {
    /// Controllers that play `rules`, whose references without namespace mean `home`.
    pub fn new(rules: Vec<Rule>, home: String, config: Config, seed: Seed) -> Self {
        Self {
            agenda: Agenda::default(),
            config,
            role: Role::Everything,
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
            autoscalers: Autoscalers::default(),
            pending_claims: BTreeSet::new(),
            claims_planned: None,
            frozen: BTreeSet::new(),
            unnoticed: BTreeMap::new(),
            unscheduled: BTreeSet::new(),
            refusals: BTreeMap::new(),
            problems: BTreeMap::new(),
            events: Events::default(),
            claims: Claims::default(),
        }
    }

    /// The same as only a part of a cluster.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.agenda = Agenda::of(&role);
        self.role = role;
        self
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

    /// The event of rule `rule`, counted from 0, happened whose `deletion` is [`wavetank_model::script::Deletion::Until`]
    /// it: deletions that the rule holds go on.
    pub fn occurred(&mut self, rule: usize, now: SimTime) {
        for key in self.timelines.release(rule) {
            self.agenda.push(Task::Hold, key, now, Load::Work);
        }
    }

    /// Does what is due first, at or before `now`. The world then reports the commits and asks again.
    pub fn run_next(&mut self, now: SimTime, api: &mut dyn Api, chooser: &mut Chooser) {
        let Some((task, key)) = self.agenda.pop_due(now) else {
            return;
        };
        if self.frozen.contains(&*key) {
            return;
        }
        if let Some(noticed) = self.unnoticed.get(&key).copied() {
            if noticed > now {
                self.agenda.push(task, key, noticed, Load::Work);
                return;
            }
            self.unnoticed.remove(&key);
        }
        let outcome = self.run(task, &key, now, api, chooser);
        self.settle(task, key, now, outcome);
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
            role: &self.role,
            now,
            scripts: &mut self.scripts,
            chance: &mut self.chance,
            chooser,
            events: &mut self.events,
            claims: &self.claims,
        };
        let context = &mut context;
        match task {
            Task::Schedule => {
                let held = self.kubelet.admit(key, context);
                if !context.role.schedules() {
                    return Ok(Again::Never);
                }
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
            Task::Autoscaler => autoscaler::sync(key, context),
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
                let wait = doubling(Duration::from_millis(5), entry.0, Duration::from_secs(1000));
                let load = if entry.0 < TRIES {
                    Load::Work
                } else {
                    Load::Upkeep
                };
                *entry = (entry.0.saturating_add(1), status.message);
                self.agenda.push(task, key, now + wait, load);
            }
        }
    }
}
