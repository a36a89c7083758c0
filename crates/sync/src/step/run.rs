//! Running a set of tasks: R1 to R5 (SYNC-059..066), and how an object is written (SYNC-088..090).

use wavetank_model::{ArgoVersion, OperationPhase, Phase, ResultCode, argo};

use super::Step;
use super::hooks::no_outcome;
use crate::engine::{ApplyAsk, DeleteReason, Note, Strategy};
use crate::message;
use crate::plan::Task;

/// How a run went; the worse is the greater (SYNC-059).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RunState {
    Successful,
    Pending,
    Failed,
}

/// One run of a set.
struct Run<'s> {
    set: &'s [usize],
    /// Nothing is written.
    dry: bool,
    /// It is the dry-run stage of a wet operation: only failures are recorded.
    quiet: bool,
    /// Whether the wave was noted as started.
    noted: bool,
}

impl Step<'_> {
    /// Runs a set of tasks, dry or wet; an operation that is a dry run makes every run dry.
    pub(super) async fn run(&mut self, set: &[usize], dry_run: bool) -> RunState {
        let dry = dry_run || self.input.options.dry_run;
        let mut run = Run {
            set,
            dry,
            quiet: dry_run && !self.input.options.dry_run,
            noted: dry,
        };
        let mut state = self.strip_existing_hooks(&mut run).await; // R1
        if state != RunState::Successful {
            return state;
        }
        if set
            .iter()
            .any(|&place| self.needs_confirmation(&self.tasks[place]))
        {
            return RunState::Pending; // R2
        }
        state = self.prune(&mut run).await; // R3
        if state != RunState::Successful {
            return state;
        }
        state = self.delete_before_creation(&mut run).await; // R4
        if state != RunState::Successful {
            return state;
        }
        self.apply_groups(&mut run).await // R5
    }

    /// Notes the start of the wave before the first wet call of a run.
    fn start_wave(&mut self, run: &mut Run<'_>, place: usize) {
        if !run.noted {
            run.noted = true;
            let task = &self.tasks[place];
            self.asks.note(Note::WaveStarted {
                phase: task.phase,
                wave: task.wave_number(),
            });
        }
    }

    /// R1: the finalizer of a hook that exists already goes before its wave is run (SYNC-060).
    async fn strip_existing_hooks(&mut self, run: &mut Run<'_>) -> RunState {
        if run.dry {
            return RunState::Successful;
        }
        let existing = |task: &Task| task.hook && task.pending() && task.has_finalizer();
        let set: Vec<usize> = run
            .set
            .iter()
            .copied()
            .filter(|&place| existing(&self.tasks[place]))
            .collect();
        let Some(&first) = set.first() else {
            return RunState::Successful;
        };
        self.start_wave(run, first);
        let mut state = RunState::Successful;
        for (place, outcome) in set.iter().copied().zip(self.strip(&set).await) {
            if let Err(error) = outcome {
                let text = format!("failed to remove hook finalizer: {error}");
                self.record_error(place, OperationPhase::Error, &text);
                state = RunState::Failed;
            }
        }
        state
    }

    /// Whether the task is a prune that waits for a confirmation (SYNC-061, SYNC-181).
    pub(super) fn needs_confirmation(&self, task: &Task) -> bool {
        task.is_prune() && !self.input.prune_confirmed && self.prune_option(task) == Some("confirm")
    }

    /// The value of `Prune=`: the live object's, else the app's (SYNC-066).
    fn prune_option<'t>(&'t self, task: &'t Task) -> Option<&'t str> {
        let own = task
            .live
            .as_deref()
            .and_then(|live| argo::option_value(live, "Prune"));
        own.or(self.input.options.default_prune.as_deref())
    }

    /// What becomes of a prune without a call; `None` when the object is to be deleted (SYNC-066).
    fn prune_without_call(&self, task: &Task, dry: bool) -> Option<(ResultCode, &'static str)> {
        if !self.input.options.prune {
            Some((ResultCode::PruneSkipped, message::REQUIRES_PRUNING))
        } else if self.prune_option(task) == Some("false") {
            Some((ResultCode::PruneSkipped, message::NO_PRUNE))
        } else if dry {
            Some((ResultCode::Pruned, message::PRUNED_DRY_RUN))
        } else if task
            .live
            .as_deref()
            .is_some_and(wavetank_model::object::is_terminating)
        {
            Some((ResultCode::Pruned, message::PRUNED))
        } else {
            None
        }
    }

    /// R3: all prunes of the set, concurrently (SYNC-062, SYNC-066).
    async fn prune(&mut self, run: &mut Run<'_>) -> RunState {
        let prunes: Vec<usize> = run
            .set
            .iter()
            .copied()
            .filter(|&place| self.tasks[place].is_prune())
            .collect();
        let decided: Vec<Option<(ResultCode, &str)>> = prunes
            .iter()
            .map(|&place| self.prune_without_call(&self.tasks[place], run.dry))
            .collect();
        let wet = prunes
            .iter()
            .zip(&decided)
            .filter(|(_, decided)| decided.is_none())
            .map(|(&place, _)| place);
        let wet: Vec<usize> = wet.collect();
        let mut outcomes = Vec::new().into_iter();
        if let Some(&first) = wet.first() {
            self.start_wave(run, first);
            let asks = wet
                .iter()
                .map(|&place| self.delete_ask(place, DeleteReason::Prune))
                .collect();
            outcomes = self.asks.delete(asks).await.into_iter();
        }
        let mut state = RunState::Successful;
        for (place, decided) in prunes.into_iter().zip(decided) {
            let (code, text) = match decided {
                Some((code, text)) => (code, text.to_owned()),
                None => match outcomes.next().unwrap_or_else(|| Err(no_outcome())) {
                    Ok(()) => (ResultCode::Pruned, message::PRUNED.to_owned()),
                    // 404 included (SYNC-180).
                    Err(error) => (ResultCode::SyncFailed, error.to_string()),
                },
            };
            if code == ResultCode::SyncFailed {
                state = RunState::Failed;
            }
            if !run.quiet || code == ResultCode::SyncFailed {
                self.ledger.record(
                    &mut self.tasks[place],
                    Some(code),
                    Some(code.phase()),
                    &text,
                );
            }
        }
        state
    }

    /// R4: hooks that must go before they are created anew (SYNC-063, SYNC-073).
    async fn delete_before_creation(&mut self, run: &mut Run<'_>) -> RunState {
        if run.dry {
            return RunState::Successful;
        }
        let set: Vec<usize> = run
            .set
            .iter()
            .copied()
            .filter(|&place| self.tasks[place].deletes_before_creation())
            .collect();
        let Some(&first) = set.first() else {
            return RunState::Successful;
        };
        self.start_wave(run, first);
        let asks = set
            .iter()
            .map(|&place| self.delete_ask(place, DeleteReason::BeforeHookCreation))
            .collect();
        let mut state = RunState::Successful;
        for (place, outcome) in set.iter().copied().zip(self.asks.delete(asks).await) {
            match outcome {
                Ok(()) => state = state.max(RunState::Pending),
                // It is created in this very run.
                Err(error) if error.is_not_found() => self.tasks[place].live = None,
                Err(error) => {
                    let text =
                        format!("failed to delete resource: failed to delete resource: {error}");
                    self.record_error(place, OperationPhase::Error, &text);
                    state = RunState::Failed;
                }
            }
        }
        state
    }

    /// R5: consecutive tasks of one kind are applied together; a failed group stops no other (SYNC-064, SYNC-163).
    async fn apply_groups(&mut self, run: &mut Run<'_>) -> RunState {
        let dry = run.dry;
        let left_out = |task: &Task| dry && task.skip_dry_run;
        let creates: Vec<usize> = run
            .set
            .iter()
            .copied()
            .filter(|&place| !self.tasks[place].is_prune())
            .collect();
        let mut state = RunState::Successful;
        let mut rest = creates.as_slice();
        while let Some(&first) = rest.first() {
            let same = |place: &&usize| self.tasks[**place].gvk.kind == self.tasks[first].gvk.kind;
            let (group, others) = rest.split_at(rest.iter().take_while(same).count());
            rest = others;
            let group: Vec<usize> = group
                .iter()
                .copied()
                .filter(|&place| !left_out(&self.tasks[place]))
                .collect();
            if group.is_empty() {
                continue;
            }
            self.start_wave(run, first);
            let asks = group
                .iter()
                .map(|&place| self.apply_ask(&self.tasks[place], dry))
                .collect();
            let mut outcomes = self.asks.apply(asks).await.into_iter();
            for place in group {
                let outcome = outcomes
                    .next()
                    .unwrap_or_else(|| Err(no_outcome().to_string()));
                if outcome.is_err() {
                    state = RunState::Failed;
                }
                self.record_applied(place, run.quiet, outcome);
            }
        }
        state
    }

    fn record_applied(&mut self, place: usize, quiet: bool, outcome: Result<String, String>) {
        let (code, text) = match outcome {
            Ok(_) if quiet => return,
            Ok(text) => (ResultCode::Synced, text),
            Err(text) => (ResultCode::SyncFailed, text),
        };
        let phase = match code.phase() {
            OperationPhase::Running if self.input.options.dry_run => OperationPhase::Succeeded,
            phase => phase,
        };
        self.ledger
            .record(&mut self.tasks[place], Some(code), Some(phase), &text);
    }

    /// How an object is written (SYNC-088, SYNC-089, SYNC-090).
    fn apply_ask(&self, task: &Task, dry_run: bool) -> ApplyAsk {
        let options = &self.input.options;
        let on_either = |option| task.target_has_option(option) || task.live_has_option(option);
        let server_side = !dry_run
            && !task.target_has_option("ServerSideApply=false")
            && (options.server_side_apply || task.target_has_option("ServerSideApply=true"));
        let updates = matches!(
            (task.key.group.as_str(), task.key.kind.as_str()),
            ("apiextensions.k8s.io", "CustomResourceDefinition") | (_, "Namespace")
        );
        let strategy = if options.replace || on_either("Replace=true") {
            match &task.live {
                None => Strategy::Create,
                Some(_) if updates => Strategy::Update,
                Some(_) => Strategy::Replace,
            }
        } else if server_side {
            Strategy::ServerSideApply
        } else {
            Strategy::Apply
        };
        // Since 3.6 force means nothing where the server applies; before, kubectl refused the two together (SYNC-092).
        let is_new = options.version >= ArgoVersion::V3_6;
        let forced = !(is_new && strategy == Strategy::ServerSideApply);
        ApplyAsk {
            key: task.key.clone(),
            resource: task.resource_ref(),
            target: task.target.clone().unwrap_or_default(),
            live: task.live.clone(),
            strategy,
            force: forced && (options.force || on_either("Force=true")),
            validate: options.validate && !task.target_has_option("Validate=false"),
            dry_run,
            manager: options.manager.clone(),
            migrate_from: (server_side && options.migrate)
                .then(|| options.migration_manager.clone()),
            reconcile_always: options.version < ArgoVersion::V3_5,
            validates_creations: is_new,
            phase: task.phase,
            wave: if task.phase == Phase::SyncFail {
                wavetank_model::WaveNumber::All
            } else {
                task.wave_number()
            },
            hook: task.hook,
        }
    }
}
