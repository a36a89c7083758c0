//! The step `plan`: the task list of a sync that nobody asks for.

use std::sync::Arc;

use wavetank_model::{ObjectKey, OperationPhase, ResultCode, object};
use wavetank_scenario::SyncRequest;
use wavetank_sync::StepInput;
use wavetank_sync::ledger::Ledger;
use wavetank_sync::plan::{Task, ViewAsks, build};
use wavetank_sync::target::normalise;
use wavetank_trace::{Event, PlanTask};

use crate::controller::{identity, known_kinds};
use crate::request::sync_options;
use crate::shared::Shared;

impl Shared {
    /// Enters the task list that a sync of now would have; makes no request.
    pub(crate) async fn plan(&self) {
        let (app, commit, kinds) = {
            let state = self.state();
            let commit = state.desired.head().clone();
            (Arc::clone(&state.app), commit, known_kinds(&state))
        };
        let kinds = Arc::new(kinds);
        let options = Arc::new(sync_options(&app, &SyncRequest::default()));
        let whole = options.read_managed_fields(&commit.manifests);
        let live = self.view.snapshot(whole);
        let identity = identity(&app);
        let targets = normalise(&commit.manifests, &identity, &kinds, options.version);
        let input = StepInput {
            app: identity,
            revision: commit.name,
            targets: commit.manifests,
            live: live.clone(),
            kinds: Arc::clone(&kinds),
            options,
            started_at: self.cluster.epoch().wall(self.clock.now()).as_second(),
            phase: OperationPhase::Running,
            message: String::new(),
            results: Vec::new(),
            prune_confirmed: false,
            answers: Arc::default(),
        };
        let mut ledger = Ledger::new(Vec::new());
        let mut asks = ViewAsks::new(kinds, live);
        let plan = build(&input, &targets, &mut ledger, &mut asks).await;
        let refused = ledger
            .results()
            .iter()
            .filter(|result| result.status == Some(ResultCode::SyncFailed));
        for result in refused {
            let text = format!("{}: {}", result.key.short(self.home()), result.message);
            self.recorder.push(Event::Note { text });
        }
        let tasks = plan
            .tasks
            .iter()
            .filter(|task| !task.is_prune())
            .map(planned);
        self.recorder.push(Event::Plan {
            tasks: tasks.collect(),
        });
    }
}

fn planned(task: &Task) -> PlanTask {
    let mut key = ObjectKey::clone(&task.key);
    let prefix = object::meta_str(task.object(), "generateName");
    if !prefix.is_empty() {
        key.name = format!("{prefix}*");
    }
    PlanTask {
        key,
        phase: task.phase,
        wave: task.wave_number(),
    }
}
