//! A whole run: its own expectations, those of its steps, and the invariants.

use std::collections::BTreeMap;

use wavetank_kernel::SimTime;
use wavetank_model::ObjectKey;
use wavetank_scenario::{Expectations, Scenario};
use wavetank_trace::{Entry, Event, World};

use crate::invariants::Invariants;
use crate::judgement::Judgement;
use crate::matcher::References;
use crate::monitor::{Context, Monitor};

/// Judges a run while it goes on.
///
/// [`push`](Self::push) takes every entry of the trace in order, [`finish`](Self::finish) judges.
#[derive(Clone, Debug)]
pub struct RunMonitor {
    namespace: String,
    run: Monitor,
    /// Expectations of steps that have not begun.
    waiting: BTreeMap<usize, Expectations>,
    steps: Vec<StepPart>,
    invariants: Invariants,
    started: bool,
}

/// A step that has begun.
#[derive(Clone, Debug)]
struct StepPart {
    index: usize,
    monitor: Monitor,
    /// Number of the first entry.
    first: u64,
    /// Number of the last entry; `None` while the step runs.
    last: Option<u64>,
}

impl RunMonitor {
    /// Judges what `scenario` and its steps expect, and the invariants that it does not disable.
    pub fn new(scenario: &Scenario) -> Self {
        let steps = scenario.steps.iter().enumerate();
        let waiting = steps
            .filter_map(|(index, step)| Some((index, step.expect.clone()?)))
            .collect();
        let invariants = Invariants::new(&scenario.app.namespace, &scenario.disabled_invariants);
        Self::with(
            &scenario.app.namespace,
            &scenario.expect,
            waiting,
            invariants,
        )
    }

    /// The same from its parts: `expect` of the run and of its steps by position.
    pub fn with(
        namespace: &str,
        expect: &Expectations,
        steps: BTreeMap<usize, Expectations>,
        invariants: Invariants,
    ) -> Self {
        let context = Context {
            namespace: namespace.to_owned(),
            prefix: "expect".to_owned(),
            start: SimTime::ZERO,
        };
        let run = Monitor::new(expect, context);
        Self {
            namespace: namespace.to_owned(),
            run,
            waiting: steps,
            steps: Vec::new(),
            invariants,
            started: false,
        }
    }

    /// Takes the next entry of the trace.
    pub fn push(&mut self, entry: &Entry) {
        match &entry.event {
            Event::StepStarted { index, .. } => self.begin(*index, entry),
            Event::StepEnded { index } => {
                if let Some(step) = self.steps.last_mut().filter(|step| step.index == *index) {
                    step.last.get_or_insert(entry.seq);
                }
            }
            _ => {}
        }
        self.run.push(entry);
        if let Some(step) = self.steps.last_mut().filter(|step| step.last.is_none()) {
            step.monitor.push(entry);
        }
        self.invariants.push(entry);
    }

    fn begin(&mut self, index: usize, entry: &Entry) {
        if !self.started {
            // What is made before the first step is no part of the run's time.
            self.run.start_at(entry.time);
            self.started = true;
        }
        if let Some(step) = self.steps.last_mut() {
            step.last.get_or_insert(entry.seq.saturating_sub(1));
        }
        if let Some(expect) = self.waiting.remove(&index) {
            let prefix = format!("steps.{index}.expect");
            let context = Context {
                namespace: self.namespace.clone(),
                prefix,
                start: entry.time,
            };
            let monitor = Monitor::new(&expect, context);
            self.steps.push(StepPart {
                index,
                monitor,
                first: entry.seq,
                last: None,
            });
        }
    }

    /// Whether an expectation fails whatever comes: the run may end here with `--fail-fast`.
    pub fn is_lost(&self) -> bool {
        self.run.is_lost()
            || self.steps.iter().any(|step| step.monitor.is_lost())
            || self.invariants.is_violated()
    }

    /// The judgements at the end of the run: those of the run, of its steps, then the invariants.
    ///
    /// `trace` holds the entries that were pushed. Steps that never began are not judged: why the run ended before them
    /// is the runner's to tell.
    pub fn finish(&self, trace: &[Entry]) -> Vec<Judgement> {
        let at = |seq: u64| trace.partition_point(|entry| entry.seq < seq);
        let needed = self.needed_objects();
        let mut world = World::new();
        let mut replayed = 0;
        let mut of_steps = Vec::new();
        for step in &self.steps {
            let end = step.last.map_or(trace.len(), |last| at(last + 1));
            replay(&needed, &mut world, &trace[replayed.min(end)..end]);
            replayed = end;
            let first = at(step.first);
            of_steps.extend(
                step.monitor
                    .judge(&trace[..first], &trace[first..end], &world),
            );
        }
        replay(&needed, &mut world, &trace[replayed..]);
        let mut judgements = self.run.judge(&[], trace, &world);
        judgements.extend(of_steps);
        judgements.extend(self.invariants.judge(trace));
        judgements
    }

    /// What the run and its steps say must be present or absent.
    fn needed_objects(&self) -> Needed {
        let monitors =
            || std::iter::once(&self.run).chain(self.steps.iter().map(|step| &step.monitor));
        if monitors().any(Monitor::needs_every_object) {
            return Needed::All;
        }
        Needed::Some(References::new(
            &monitors()
                .flat_map(Monitor::needed_objects)
                .collect::<Vec<_>>(),
        ))
    }
}

/// The objects whose state is asked for.
enum Needed {
    All,
    Some(References),
}

impl Needed {
    fn holds(&self, key: &ObjectKey) -> bool {
        match self {
            Self::All => true,
            Self::Some(references) => references.candidates(key).next().is_some(),
        }
    }
}

/// Applies the changes of the objects that are `needed`.
fn replay(needed: &Needed, world: &mut World, entries: &[Entry]) {
    if matches!(needed, Needed::Some(references) if references.is_empty()) {
        return;
    }
    for entry in entries {
        if let Event::Api(api) = &entry.event
            && needed.holds(&api.key)
        {
            world.push(entry);
        }
    }
}

/// Judges `trace`, a whole run of `scenario`.
pub fn judge(scenario: &Scenario, trace: &[Entry]) -> Vec<Judgement> {
    let mut monitor = RunMonitor::new(scenario);
    for entry in trace {
        monitor.push(entry);
    }
    monitor.finish(trace)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wavetank_json::json;
    use wavetank_model::Phase;
    use wavetank_scenario::{OperationExpectation, WithinItem};

    use super::*;
    use crate::testing::{HOME, pattern, show, trace};

    fn judged(
        run: &Expectations,
        steps: &[(usize, Expectations)],
        entries: &[Entry],
    ) -> Vec<Judgement> {
        let invariants = Invariants::new(HOME, &BTreeMap::new());
        let mut monitor = RunMonitor::with(HOME, run, steps.iter().cloned().collect(), invariants);
        for entry in entries {
            monitor.push(entry);
        }
        monitor
            .finish(entries)
            .into_iter()
            .filter(|judgement| !judgement.name.starts_with("invariant"))
            .collect()
    }

    fn phase(phase: &str) -> Expectations {
        let operation = Some(OperationExpectation {
            phase: Some(phase.to_owned()),
            ..OperationExpectation::default()
        });
        Expectations {
            operation,
            ..Expectations::default()
        }
    }

    const TWO_STEPS: &str = r#"
        1  ConfigMap/a created by setup = {"apiVersion": "v1", "data": {"x": "1"}}
        2  step 0 started
        3  operation started
        4  PreSync started
        5  step 0 ended
        5  step 1 started
        6  PreSync completed
        6  Sync started
        7  ConfigMap/a updated = {"data": {"x": "2"}}
        9  operation succeeded: done
        9  step 1 ended
        9  step 2 started
        9  ConfigMap/a deleted by user
        9  step 2 ended"#;

    /// Section 8: `operation` is the state at the end of the part, of the operation that was in progress in it.
    #[test]
    fn each_step_has_the_operation_of_its_part() {
        let entries = trace(TWO_STEPS);
        let steps = [
            (0, phase("Running")),
            (1, phase("Succeeded")),
            (2, phase("Succeeded")),
        ];
        insta::assert_snapshot!(show(&judged(&phase("Succeeded"), &steps, &entries)), @r"
        expect.operation: holds
        steps.0.expect.operation: holds
        steps.1.expect.operation: holds
        steps.2.expect.operation
          expected  an operation, Succeeded
          observed  no operation was in progress
        ");
    }

    #[test]
    fn each_step_has_the_state_at_its_end() {
        let entries = trace(TWO_STEPS);
        let present = |x: &str| Expectations {
            present: vec![
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": x}}),
            ],
            ..Expectations::default()
        };
        let absent = Expectations {
            absent: vec!["ConfigMap/a".parse().unwrap()],
            ..Expectations::default()
        };
        let judgements = judged(
            &absent,
            &[(0, present("1")), (1, present("2")), (2, absent.clone())],
            &entries,
        );
        assert!(
            judgements.iter().all(Judgement::holds),
            "{}",
            show(&judgements)
        );
        assert_eq!(judgements.len(), 4);
    }

    #[test]
    fn phases_are_those_that_ran_within_the_step() {
        let entries = trace(TWO_STEPS);
        let phases = |phases: &[Phase]| Expectations {
            phases: Some(phases.to_vec()),
            ..Expectations::default()
        };
        let steps = [
            (0, phases(&[Phase::PreSync])),
            (1, phases(&[Phase::PreSync, Phase::Sync])),
        ];
        let judgements = judged(&Expectations::default(), &steps, &entries);
        assert!(
            judgements.iter().all(Judgement::holds),
            "{}",
            show(&judgements)
        );
    }

    #[test]
    fn within_counts_from_the_start_of_the_part() {
        let entries = trace(TWO_STEPS);
        let within = |seconds| {
            let item = WithinItem {
                since: None,
                min: Duration::ZERO,
                max: Some(Duration::from_secs(seconds)),
            };
            Expectations {
                within: vec![(pattern("operation succeeded"), item)],
                ..Expectations::default()
            }
        };
        let judgements = judged(&within(7), &[(1, within(4))], &entries);
        assert!(
            judgements.iter().all(Judgement::holds),
            "{}",
            show(&judgements)
        );
        let judgements = judged(&within(6), &[(1, within(3))], &entries);
        assert!(
            !judgements.iter().any(Judgement::holds),
            "{}",
            show(&judgements)
        );
    }

    #[test]
    fn a_step_that_never_ended_is_judged_to_the_end() {
        let entries = trace("1 step 0 started\n2 operation started\n3 operation failed: x");
        let judgements = judged(
            &Expectations::default(),
            &[(0, phase("Failed")), (1, phase("Failed"))],
            &entries,
        );
        assert_eq!(show(&judgements), "steps.0.expect.operation: holds");
    }
}
