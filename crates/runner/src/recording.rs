//! Recording without a run: what outside programs do to a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use wavetank_cluster::{ApiService, Cluster, Observer};
use wavetank_health::Assessor;
use wavetank_model::{Actor, ObjectKey, argo};
use wavetank_scenario::{Scenario, desired_key};
use wavetank_trace::{Header, Trace};

use crate::actions::{arm_deletions, release};
use crate::desired::Desired;
use crate::recorder::{Recorder, Trigger, Waiter};
use crate::run::{header, resource_names};
use crate::seam::{Declared, Seam};
use crate::shared::Shared;
use crate::user::User;

/// Records what happens in a cluster that outside programs use.
///
/// `applied` is an accepted wet write of a declared object by the actor `engine`. There are no operations, phases or
/// waves: those are known to an engine only.
pub struct Recording {
    shared: Arc<Shared>,
    names: Arc<crate::seam::ResourceNames>,
    declared: Arc<BTreeMap<ObjectKey, Declared>>,
    header: Header,
    /// Ends with the recording.
    _tasks: JoinSet<()>,
}

impl Recording {
    /// Records from now on. `scenario` says what is declared, and names the trace; `assessor` has its rules of health. Must
    /// be called in the runtime that paces the cluster.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        scenario: Arc<Scenario>,
        assessor: Arc<Assessor>,
        seed: u64,
        show_secrets: bool,
    ) -> Self {
        let home = scenario.app.namespace.clone();
        let changed = Arc::new(Notify::new());
        let (recorder, triggers) = Recorder::new(
            cluster.clock(),
            assessor,
            home.clone(),
            show_secrets,
            Duration::MAX,
            Arc::clone(&changed),
        );
        let recorder = Arc::new(recorder);
        cluster.observe(Arc::clone(&recorder) as Arc<dyn Observer>);
        let declared = scenario.app.manifests.iter().filter_map(|object| {
            let phase = *argo::phases(object).first()?;
            let declared = Declared {
                phase,
                wave: argo::wave(object),
                hook: argo::is_hook(object),
            };
            Some((desired_key(object, &home), declared))
        });
        let declared = Arc::new(declared.collect());
        let header = header(
            &scenario,
            cluster.target(),
            "external",
            seed,
            cluster.epoch(),
        );
        let names = Arc::new(resource_names(&scenario));
        let desired = Desired::new(home, scenario.app.revision.clone(), Vec::new());
        let shared = Arc::new(Shared::new(scenario, cluster, recorder, changed, desired));
        shared.faults.arm(&shared.scenario.faults, None);
        arm_deletions(&shared);
        let mut tasks = JoinSet::new();
        tasks.spawn(let_go(triggers, Arc::clone(&shared)));
        Self {
            shared,
            names,
            declared,
            header,
            _tasks: tasks,
        }
    }

    /// Keeps nothing of what happens: what waits for an event goes on as before, and [`Self::take`] gives no entries. A
    /// cluster that is used for long needs no more memory with time.
    #[must_use]
    pub fn without_trace(self) -> Self {
        self.shared.recorder.forget();
        self
    }

    /// Makes `cluster.objects`, in order; CRDs are awaited.
    ///
    /// # Errors
    /// What the server said of the first object it did not take.
    pub async fn set_up(&self) -> Result<(), String> {
        let user = User::new(&self.seam(&Actor::new(Actor::SETUP)), &self.shared);
        for object in &self.shared.scenario.cluster.objects {
            user.set_up(object).await?;
        }
        Ok(())
    }

    fn seam(&self, actor: &Actor) -> Seam {
        let service = self.shared.cluster.service(actor);
        Seam::new(
            service,
            actor.clone(),
            Arc::clone(&self.names),
            Arc::clone(&self.shared.recorder),
            Arc::clone(&self.shared.faults),
        )
    }

    /// The API as `actor`; what is asked there is recorded.
    pub fn service(&self, actor: &Actor) -> ApiService {
        ApiService::new(self.seam(actor).declaring(Arc::clone(&self.declared)))
    }

    /// Everything that was recorded. What comes later is a trace of its own.
    pub fn take(&self) -> Trace {
        Trace {
            header: self.header.clone(),
            entries: self.shared.recorder.take(),
        }
    }
}

/// Lets deletions go when what they wait for has come. No bound action is ever armed. Never ends.
async fn let_go(mut triggers: UnboundedReceiver<Trigger>, shared: Arc<Shared>) {
    while let Some(trigger) = triggers.next().await {
        if let Waiter::Deletions(rule) = trigger.waiter {
            release(&shared, rule);
        }
    }
}
