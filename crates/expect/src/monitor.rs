//! The expectations that follow the trace entry by entry.

use wavetank_kernel::SimTime;
use wavetank_model::Reference;
use wavetank_scenario::Expectations;
use wavetank_trace::{Entry, World};

use crate::before::Before;
use crate::count::{Count, Requests, engine_request};
use crate::judgement::{Answer, Failure, Judgement};
use crate::matcher::{Matcher, PatternId};
use crate::never::Never;
use crate::order::Order;
use crate::part::Part;
use crate::within::Within;
use crate::{app, cel, operation, phases, results, state, waves};

/// Judges the expectations of one part of a trace: of the whole run, or of a step.
///
/// [`push`](Self::push) takes the entries of the part in order; [`judge`](Self::judge) answers at its end.
#[derive(Clone, Debug)]
pub struct Monitor {
    expectations: Expectations,
    context: Context,
    matcher: Matcher,
    listeners: Vec<Vec<Listener>>,
    order: Order,
    before: Vec<Before>,
    never: Vec<Never>,
    count: Vec<Count>,
    within: Vec<Within>,
    requests: Vec<Requests>,
    hits: Vec<PatternId>,
    now: SimTime,
}

/// Where a part stands.
#[derive(Clone, Debug)]
pub struct Context {
    /// Destination namespace of the app: what references without a namespace mean.
    pub namespace: String,
    /// What the names of the judgements begin with: `expect`, `steps.2.expect`.
    pub prefix: String,
    /// When the part begins; `within` counts from here.
    pub start: SimTime,
}

/// Who wants to know of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Before(usize),
    Never(usize),
    Count(usize),
    Within(usize),
}

impl Monitor {
    /// Judges `expectations` over a part that begins now.
    pub fn new(expectations: &Expectations, context: Context) -> Self {
        let mut matcher = Matcher::new(&context.namespace);
        let order = Order::new(&expectations.order, &mut matcher);
        let before: Vec<Before> = expectations
            .before
            .iter()
            .map(|(key, required)| Before::new(key, required, &mut matcher))
            .collect();
        let never: Vec<Never> = expectations
            .never
            .iter()
            .map(|item| Never::new(item, &mut matcher))
            .collect();
        let count: Vec<Count> = expectations
            .count
            .iter()
            .map(|(event, range)| Count::new(event, *range, &mut matcher))
            .collect();
        let within: Vec<Within> = expectations
            .within
            .iter()
            .map(|(event, item)| Within::new(event, item, &mut matcher))
            .collect();
        let requests = expectations
            .requests
            .iter()
            .map(|(what, range)| Requests::new(what, *range))
            .collect();

        let mut listeners = vec![Vec::new(); matcher.len()];
        let mut listen = |patterns: &mut dyn Iterator<Item = PatternId>, listener| {
            for pattern in patterns {
                let list: &mut Vec<Listener> = &mut listeners[pattern.0];
                if !list.contains(&listener) {
                    list.push(listener);
                }
            }
        };
        for (index, before) in before.iter().enumerate() {
            listen(&mut before.patterns(), Listener::Before(index));
        }
        for (index, never) in never.iter().enumerate() {
            listen(&mut never.patterns(), Listener::Never(index));
        }
        for (index, count) in count.iter().enumerate() {
            listen(&mut std::iter::once(count.event), Listener::Count(index));
        }
        for (index, within) in within.iter().enumerate() {
            listen(&mut within.patterns(), Listener::Within(index));
        }
        let (hits, now) = (Vec::new(), context.start);
        let expectations = expectations.clone();
        Self {
            expectations,
            context,
            matcher,
            listeners,
            order,
            before,
            never,
            count,
            within,
            requests,
            hits,
            now,
        }
    }

    /// Sets when the part begins.
    pub(crate) fn start_at(&mut self, start: SimTime) {
        self.context.start = start;
    }

    /// Takes the next entry of the part.
    pub fn push(&mut self, entry: &Entry) {
        self.now = entry.time;
        if let Some(request) = engine_request(&entry.event) {
            for requests in &mut self.requests {
                requests.push(request, &self.context.namespace);
            }
            return;
        }
        let mut hits = std::mem::take(&mut self.hits);
        self.matcher.hits(&entry.event, &mut hits);
        if !hits.is_empty() {
            self.order.push(entry.seq, &hits);
            for hit in &hits {
                for listener in &self.listeners[hit.0] {
                    match *listener {
                        Listener::Before(index) => self.before[index].push(entry.seq, *hit),
                        Listener::Never(index) => self.never[index].push(entry.seq, *hit),
                        Listener::Count(index) => self.count[index].push(),
                        Listener::Within(index) => {
                            self.within[index].push(entry.seq, entry.time, *hit);
                        }
                    }
                }
            }
        }
        self.hits = hits;
    }

    /// Whether an expectation fails whatever comes: the run may end here with `--fail-fast`.
    pub fn is_lost(&self) -> bool {
        let followed = self.before.iter().map(Before::answer);
        let followed = followed.chain(self.never.iter().map(Never::answer));
        let followed = followed.chain(self.count.iter().map(Count::answer));
        let followed = followed.chain(self.requests.iter().map(Requests::answer));
        let followed = followed.chain(
            self.within
                .iter()
                .map(|within| within.answer(self.context.start, self.now)),
        );
        followed
            .chain(std::iter::once(self.order.answer()))
            .any(|answer| answer == Answer::Never)
    }

    /// Whether [`judge`](Self::judge) looks at the objects that are there at the end.
    pub fn needs_state(&self) -> bool {
        self.needs_every_object()
            || !self.expectations.present.is_empty()
            || !self.expectations.absent.is_empty()
    }

    /// Whether it looks at all of them.
    pub(crate) fn needs_every_object(&self) -> bool {
        !self.expectations.cel.is_empty()
    }

    /// What must be present or absent at the end.
    pub(crate) fn needed_objects(&self) -> impl Iterator<Item = Reference> {
        let present = self.expectations.present.iter().map(state::reference);
        present.chain(self.expectations.absent.iter().cloned())
    }

    /// The judgements at the end of the part, one per expectation that was written.
    ///
    /// `entries` are those that were pushed, `earlier` everything before them, `state` the objects at the end (needed
    /// only when [`needs_state`](Self::needs_state)).
    pub fn judge(&self, earlier: &[Entry], entries: &[Entry], state: &World) -> Vec<Judgement> {
        let part = Part {
            entries,
            earlier,
            start: self.context.start,
            home: &self.context.namespace,
        };
        let expect = &self.expectations;
        let mut judgements = Vec::new();
        let mut add = |written: bool, name: &str, failures: &dyn Fn() -> Vec<Failure>| {
            if written {
                judgements.push(Judgement::of(
                    format!("{}.{name}", self.context.prefix),
                    failures(),
                ));
            }
        };
        add(expect.operation.is_some(), "operation", &|| {
            operation::failures(expect.operation.as_ref(), &part)
        });
        add(expect.phases.is_some(), "phases", &|| {
            phases::failures(expect.phases.as_deref(), &part)
        });
        add(expect.waves.is_some(), "waves", &|| {
            waves::failures(expect.waves.as_deref(), &part)
        });
        add(!expect.order.is_empty(), "order", &|| {
            self.order.failures(&self.matcher, &part)
        });
        add(!expect.before.is_empty(), "before", &|| {
            self.before
                .iter()
                .flat_map(|before| before.failures(&self.matcher, &part))
                .collect()
        });
        add(!expect.never.is_empty(), "never", &|| {
            self.never
                .iter()
                .flat_map(|never| never.failures(&self.matcher, &part))
                .collect()
        });
        add(!expect.count.is_empty(), "count", &|| {
            self.count
                .iter()
                .flat_map(|count| count.failures(&self.matcher, &part))
                .collect()
        });
        add(!expect.within.is_empty(), "within", &|| {
            self.within
                .iter()
                .flat_map(|within| within.failures(&self.matcher, &part))
                .collect()
        });
        add(expect.results.is_some(), "results", &|| {
            results::failures(expect.results.as_ref(), &part)
        });
        add(!expect.requests.is_empty(), "requests", &|| {
            self.requests
                .iter()
                .flat_map(|requests| requests.failures(&part))
                .collect()
        });
        add(expect.app.is_some(), "app", &|| {
            app::failures(expect.app.as_ref(), &part)
        });
        add(!expect.present.is_empty(), "present", &|| {
            state::present_failures(&expect.present, state, &part)
        });
        add(!expect.absent.is_empty(), "absent", &|| {
            state::absent_failures(&expect.absent, state, &part)
        });
        add(!expect.cel.is_empty(), "cel", &|| {
            cel::failures(&expect.cel, state, &part)
        });
        judgements
    }
}
