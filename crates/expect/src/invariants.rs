//! What holds in every run, judged on the trace alone.
//!
//! The engine's gates are written here a second time, from the rules and not from the engine, so that they can catch
//! it. Times are those at which the API committed, so the engine, which sees later, is never ahead of them.
//!
//! | invariant | says | exemptions |
//! |---|---|---|
//! | `phase-order` | tasks of a later phase begin when every task of the earlier ones came to a good end, and no hook of an earlier phase is left out | SYNC-028, SYNC-046 (the destination namespace comes first), SYNC-041 (namespaces and CRDs are pulled forward), SYNC-143 (hooks of a deletion are not judged) |
//! | `wave-order` | the same for the waves of a phase; each object runs in the wave that it declares | the same, and SYNC-035, SYNC-036, SYNC-177 (waves of prunes are derived anew in each step), SYNC-164 (`SyncFail` has no waves) |
//! | `sync-fail-only-after-failure` | a hook of `SyncFail` runs only in an attempt in which something failed before | – |
//! | `hook-finalizer-released` | when an attempt ends, no hook that it applied still carries the hook finalizer | SYNC-044, SYNC-046, SYNC-047, SYNC-056, SYNC-131 (the attempt ended outside its waves), SYNC-139 (it was terminated), SYNC-052 (the removal failed) |
//!
//! "Came to a good end" is: applied, and Healthy or without health at some moment since (SYNC-048, SYNC-049); pruned,
//! and gone (SYNC-051). A task that came less than a second after the pass began which carried it out is not held
//! against the next, nor is the finalizer it brought: the engine's view may not have seen it yet (SYNC-178).
//!
//! No invariant is judged for an object whose request or delivery a fault hit.

mod attempt;
mod objects;

use std::collections::BTreeMap;

use wavetank_model::{ObjectKey, Phase, Verb};
use wavetank_trace::{Entry, Event, OperationEvent, TaskEvent};

use self::attempt::Attempt;
use self::objects::Objects;
use crate::count::engine_request;
use crate::judgement::{Answer, Failure, Judgement};
use crate::part::Part;

/// The names, as `invariants.disable` writes them.
pub const NAMES: [&str; 4] = [
    "phase-order",
    "wave-order",
    "sync-fail-only-after-failure",
    "hook-finalizer-released",
];

const PHASE_ORDER: usize = 0;
const WAVE_ORDER: usize = 1;
const SYNC_FAIL: usize = 2;
const FINALIZER: usize = 3;

/// How many violations of one invariant are told.
const TOLD: usize = 10;

/// Judges the invariants while a run goes on.
#[derive(Clone, Debug)]
pub struct Invariants {
    home: String,
    enabled: [bool; NAMES.len()],
    objects: Objects,
    attempt: Option<Attempt>,
    violations: Vec<Violation>,
    counts: [usize; NAMES.len()],
}

/// What is wrong, and where to look.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    invariant: usize,
    expected: String,
    observed: String,
    keys: Vec<ObjectKey>,
    first: u64,
    last: u64,
}

impl Invariants {
    /// All invariants but those that `disabled` names, for an app whose destination namespace is `home`.
    pub fn new(home: &str, disabled: &BTreeMap<String, String>) -> Self {
        let enabled = NAMES.map(|name| !disabled.contains_key(name));
        let counts = [0; NAMES.len()];
        let home = home.to_owned();
        Self {
            home,
            enabled,
            objects: Objects::default(),
            attempt: None,
            violations: Vec::new(),
            counts,
        }
    }

    /// Whether one is violated.
    pub fn is_violated(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Takes the next entry of the trace.
    pub fn push(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Api(api) => {
                let gone = self.objects.change(api);
                if let Some(attempt) = self.attempt.as_mut().filter(|_| gone) {
                    attempt.gone(&api.key);
                }
            }
            Event::Health(health) => {
                self.objects.health(&health.key, health.verb, entry.time);
                if let Some(attempt) = &mut self.attempt {
                    attempt.health(&health.key, health.verb);
                }
            }
            Event::Task(task) => self.task(entry, task),
            Event::Operation(operation) => self.operation(entry, operation),
            Event::Pass { .. } => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.pass(entry);
                }
            }
            Event::Fault { key, .. } => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.fault(key.is_none());
                }
                if let Some(key) = key {
                    self.objects.fault(key);
                }
            }
            _ => {
                if let Some(request) = engine_request(&entry.event)
                    && request.code >= 400
                    && request.code != 404
                    && !request.dry_run
                {
                    if let Some(attempt) = &mut self.attempt {
                        attempt.failed();
                    }
                    if let Some(key) = &request.key {
                        self.objects.refused(key);
                    }
                }
            }
        }
    }

    fn task(&mut self, entry: &Entry, task: &TaskEvent) {
        if matches!(task.phase, Phase::PreDelete | Phase::PostDelete) {
            return;
        }
        let attempt = self
            .attempt
            .get_or_insert_with(|| Attempt::new(entry.seq, None, None));
        let mut violations = Vec::new();
        if task.phase == Phase::SyncFail {
            violations.extend(attempt.sync_fail(entry, task, &self.home));
        } else if !attempt.is_exempt() && !self.objects.is_faulted(&task.key) {
            attempt.check(entry, task, &self.objects, &self.home, &mut violations);
        }
        attempt.carried_out(entry, task, &self.objects, &self.home);
        self.report(violations);
    }

    fn operation(&mut self, entry: &Entry, operation: &OperationEvent) {
        match operation.verb {
            Some(Verb::Started) => {
                let earlier = self.attempt.take();
                self.attempt = Some(Attempt::new(
                    entry.seq,
                    operation.desired.as_deref(),
                    earlier.as_ref(),
                ));
            }
            Some(Verb::Terminating) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.terminate();
                }
            }
            Some(Verb::Succeeded | Verb::Failed | Verb::Error | Verb::Retrying) => {
                let Some(attempt) = &mut self.attempt else {
                    return;
                };
                let violations = attempt.end(entry, operation, &self.objects, &self.home);
                self.report(violations);
            }
            _ => {}
        }
    }

    fn report(&mut self, violations: Vec<Violation>) {
        for violation in violations
            .into_iter()
            .filter(|violation| self.enabled[violation.invariant])
        {
            self.counts[violation.invariant] += 1;
            if self.counts[violation.invariant] <= TOLD {
                self.violations.push(violation);
            }
        }
    }

    /// The judgements: one per invariant that is not disabled.
    pub fn judge(&self, trace: &[Entry]) -> Vec<Judgement> {
        let part = Part {
            entries: trace,
            earlier: &[],
            start: wavetank_kernel::SimTime::ZERO,
            home: &self.home,
        };
        let enabled = NAMES
            .iter()
            .enumerate()
            .filter(|(index, _)| self.enabled[*index]);
        enabled
            .map(|(index, name)| {
                let mine = self
                    .violations
                    .iter()
                    .filter(|violation| violation.invariant == index);
                let mut failures: Vec<Failure> =
                    mine.map(|violation| violation.failure(&part)).collect();
                if self.counts[index] > TOLD {
                    failures.push(Failure {
                        item: String::new(),
                        answer: Answer::Never,
                        expected: "no violation".to_owned(),
                        observed: format!("{} more", self.counts[index] - TOLD),
                        excerpt: Vec::new(),
                    });
                }
                Judgement::of(format!("invariant.{name}"), failures)
            })
            .collect()
    }
}

impl Violation {
    fn failure(&self, part: &Part<'_>) -> Failure {
        let excerpt = part.excerpt(self.first, self.last, |event| match event {
            Event::Phase { .. } | Event::Wave { .. } | Event::Operation(_) => true,
            event => event.object().is_some_and(|key| self.keys.contains(key)),
        });
        let item = self
            .keys
            .first()
            .map(|key| part.name(key))
            .unwrap_or_default();
        Failure {
            item,
            answer: Answer::Never,
            expected: self.expected.clone(),
            observed: self.observed.clone(),
            excerpt,
        }
    }
}

#[cfg(test)]
mod tests;
