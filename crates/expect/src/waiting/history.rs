//! Where the time of a run went: every wave that took a while, and what it waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wavetank_kernel::SimTime;
use wavetank_model::{ChangeKind, ObjectKey, Verb};
use wavetank_trace::{Event, Trace};

/// Waves that took less are not told of.
const SHORT: Duration = Duration::from_millis(100);

/// One wave that took time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveWait {
    /// `PreSync/0`, or `operation 2, PreSync/0` where there are several operations.
    pub wave: String,
    /// When it began.
    pub from: SimTime,
    /// When the next one was selected, or the attempt ended.
    pub to: SimTime,
    /// The object that was done last, and when: healthy, degraded, at its end, or gone where it was pruned.
    pub last: Option<(String, SimTime)>,
    /// The pass that noticed, and why it was made.
    pub noticed: Option<(SimTime, String)>,
}

/// A wave that runs.
struct Open<'a> {
    operation: u32,
    name: String,
    from: SimTime,
    /// The objects it applied or pruned, and when each was done.
    objects: BTreeMap<&'a ObjectKey, Option<SimTime>>,
    /// The first pass after the last object was done.
    noticed: Option<(SimTime, &'a str)>,
}

/// Every wave of `trace` that ended and took time, in order.
pub fn history(trace: &Trace) -> Vec<WaveWait> {
    let home = &trace.header.namespace;
    let mut out: Vec<(u32, WaveWait)> = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let mut gone: BTreeSet<&ObjectKey> = BTreeSet::new();
    let mut operation = 0;
    // Objects that have health or an end, and since when they are done.
    let mut done: BTreeMap<&ObjectKey, Option<SimTime>> = BTreeMap::new();
    for entry in &trace.entries {
        let now = entry.time;
        match &entry.event {
            Event::Operation(event) => operation = event.number,
            Event::Wave { phase, wave, verb } => {
                out.extend(open.take().and_then(|wave| wave.close(now, home)));
                if *verb == Verb::Started {
                    open = Some(Open {
                        operation,
                        name: format!("{phase}/{wave}"),
                        from: now,
                        objects: BTreeMap::new(),
                        noticed: None,
                    });
                }
            }
            Event::Task(task) if task.verb == Verb::Applied => {
                if let Some(open) = &mut open {
                    // What has no health is done when it is applied.
                    let at = done.get(&task.key).copied().unwrap_or(Some(now));
                    open.objects.insert(&task.key, at);
                }
            }
            Event::Task(task) if task.verb == Verb::Pruned => {
                if let Some(open) = &mut open {
                    let at = gone.contains(&task.key).then_some(now);
                    open.objects.insert(&task.key, at);
                }
            }
            Event::Api(change) if change.verb == ChangeKind::Deleted => {
                gone.insert(&change.key);
                done.remove(&change.key);
                mark(open.as_mut(), &change.key, Some(now));
            }
            Event::Api(change) if change.verb == ChangeKind::Created => {
                gone.remove(&change.key);
            }
            Event::Health(health) => {
                // What is Degraded is not waited for any more: it fails.
                let healthy = matches!(health.verb, Verb::Healthy | Verb::Degraded);
                let known = done.entry(&health.key).or_default();
                *known = healthy.then(|| known.unwrap_or(now));
                mark(open.as_mut(), &health.key, *known);
            }
            Event::End { key, .. } => {
                let known = done.entry(key).or_default();
                *known = Some(known.unwrap_or(now));
                mark(open.as_mut(), key, *known);
            }
            Event::Pass { cause, .. } => {
                if let Some(open) = &mut open
                    && open.objects.values().all(Option::is_some)
                {
                    open.noticed.get_or_insert((now, cause));
                }
            }
            _ => {}
        }
    }
    // The waves of a deletion belong to no operation of their own: they are told with the last one.
    let several = operation > 1;
    out.into_iter()
        .map(|(operation, wait)| match operation {
            1.. if several => WaveWait {
                wave: format!("operation {operation}, {}", wait.wave),
                ..wait
            },
            _ => wait,
        })
        .collect()
}

fn mark<'a>(open: Option<&mut Open<'a>>, key: &'a ObjectKey, at: Option<SimTime>) {
    let Some(open) = open else { return };
    let Some(known) = open.objects.get_mut(key) else {
        return;
    };
    match (at, known.is_some()) {
        (Some(_), false) | (None, _) => {
            *known = at;
            open.noticed = None;
        }
        _ => {}
    }
}

impl Open<'_> {
    fn close(self, now: SimTime, home: &str) -> Option<(u32, WaveWait)> {
        if now.since(self.from) < SHORT {
            return None;
        }
        let last = self
            .objects
            .iter()
            .filter_map(|(key, at)| Some((key.short(home), (*at)?)))
            .filter(|(_, at)| *at > self.from)
            .max_by_key(|(_, at)| *at);
        let wait = WaveWait {
            wave: self.name,
            from: self.from,
            to: now,
            noticed: self
                .noticed
                .filter(|_| last.is_some())
                .map(|(at, cause)| (at, cause.to_owned())),
            last,
        };
        Some((self.operation, wait))
    }
}
