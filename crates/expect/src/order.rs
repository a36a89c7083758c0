//! `order`: a subsequence of the trace, in which an inner list is a set.

use std::collections::BTreeMap;

use wavetank_model::EventPattern;
use wavetank_scenario::OrderItem;

use crate::count::times;
use crate::judgement::{Answer, Failure};
use crate::matcher::{Matcher, PatternId};
use crate::part::Part;

/// How far the items were placed. Each is placed as early as possible, which never rules out a later one.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    items: Vec<Vec<PatternId>>,
    current: usize,
    /// Where the item before the current one was complete.
    previous: Option<u64>,
    set: Set,
}

impl Order {
    pub(crate) fn new(items: &[OrderItem], matcher: &mut Matcher) -> Self {
        let items: Vec<Vec<PatternId>> = items
            .iter()
            .map(|item| {
                item.events
                    .iter()
                    .map(|event| matcher.intern(event))
                    .collect()
            })
            .filter(|events: &Vec<PatternId>| !events.is_empty())
            .collect();
        let set = items.first().map(|item| Set::new(item)).unwrap_or_default();
        Self {
            items,
            current: 0,
            previous: None,
            set,
        }
    }

    /// Takes the next entry, which fits the patterns `hits`.
    pub(crate) fn push(&mut self, seq: u64, hits: &[PatternId]) {
        if self.current == self.items.len() || !self.set.take(seq, hits) || !self.set.is_complete()
        {
            return;
        }
        self.previous = Some(seq);
        self.current += 1;
        self.set = self
            .items
            .get(self.current)
            .map(|item| Set::new(item))
            .unwrap_or_default();
    }

    pub(crate) fn answer(&self) -> Answer {
        if self.current == self.items.len() {
            Answer::Yes
        } else {
            Answer::NotYet
        }
    }

    /// The first item that could not be placed.
    pub(crate) fn failures(&self, matcher: &Matcher, part: &Part<'_>) -> Vec<Failure> {
        let Some(item) = self.items.get(self.current) else {
            return Vec::new();
        };
        let Some(missing) = self.set.first_open().and_then(|slot| item.get(slot)) else {
            return Vec::new();
        };
        let missing = matcher.pattern(*missing);
        let previous = self.previous.and_then(|seq| {
            let events = &self.items[self.current - 1];
            let entry = part.entry(seq)?;
            let pattern = events.iter().map(|id| matcher.pattern(*id));
            Some((
                seq,
                pattern
                    .into_iter()
                    .find(|pattern| entry.event.matches(pattern, part.home))?,
            ))
        });
        let expected = match previous {
            Some((_, before)) => format!("{missing} after {before}"),
            None => missing.to_string(),
        };
        let (observed, excerpt) = explain(missing, previous, part);
        vec![Failure {
            item: format!("item {}", self.current + 1),
            answer: Answer::NotYet,
            expected,
            observed,
            excerpt,
        }]
    }
}

/// What was seen instead of `missing` after `previous`.
fn explain(
    missing: &EventPattern,
    previous: Option<(u64, &EventPattern)>,
    part: &Part<'_>,
) -> (String, Vec<crate::judgement::Line>) {
    let last_seq = part.entries.last().map_or(0, |entry| entry.seq);
    let Some(early) = part.occurrences(missing).next_back() else {
        let observed = unseen(missing, part);
        let from = part
            .last_of(&missing.subject, last_seq)
            .map_or(last_seq, |entry| entry.seq);
        let first = previous.map_or(from, |(seq, _)| seq.min(from));
        let mut subjects = vec![&missing.subject];
        subjects.extend(previous.map(|(_, before)| &before.subject));
        return (observed, part.excerpt_of(first, last_seq, &subjects));
    };
    let Some((placed, before)) = previous else {
        // Every occurrence was needed for another event of the same set.
        let observed = format!(
            "{missing} only {}",
            times(part.occurrences(missing).count() as u64)
        );
        return (
            observed,
            part.excerpt_of(early.seq, last_seq, &[&missing.subject]),
        );
    };
    let mut observed = format!("{missing} at {}", early.time);
    let placed_at = part.entry(placed).map_or(part.start, |entry| entry.time);
    match part
        .last_of(&before.subject, early.seq.saturating_sub(1))
        .filter(|_| early.seq < placed)
    {
        Some(state) => {
            let verb = state.event.verb().map_or("", |verb| verb.as_str());
            let (subject, then) = (&before.subject, before.verb);
            observed = format!(
                "{observed}; {subject} {verb} since {}, {then} at {placed_at}",
                state.time
            );
        }
        None => observed = format!("{observed}; {before} at {placed_at}"),
    }
    let (first, last) = (early.seq.min(placed), early.seq.max(placed));
    (
        observed,
        part.excerpt_of(first, last, &[&missing.subject, &before.subject]),
    )
}

/// A sentence on an event that did not happen.
pub(crate) fn unseen(pattern: &EventPattern, part: &Part<'_>) -> String {
    let last_seq = part.entries.last().map_or(0, |entry| entry.seq);
    let seen = part.last_of(&pattern.subject, last_seq).and_then(|entry| {
        let what = entry.event.describe(part.home)?;
        Some(format!("the last of it is {what} at {}", entry.time))
    });
    let seen = seen.unwrap_or_else(|| format!("nothing happened to {}", pattern.subject));
    format!("no {pattern}; {seen}")
}

/// The events of one item, each of which needs an entry of its own.
#[derive(Clone, Debug, Default)]
struct Set {
    slots: BTreeMap<PatternId, Vec<usize>>,
    /// By slot, the entry that it uses.
    used: Vec<Option<u64>>,
    /// The slots that each used entry fits.
    fits: BTreeMap<u64, Vec<usize>>,
}

impl Set {
    fn new(events: &[PatternId]) -> Self {
        let mut slots: BTreeMap<PatternId, Vec<usize>> = BTreeMap::new();
        for (slot, event) in events.iter().enumerate() {
            slots.entry(*event).or_default().push(slot);
        }
        Self {
            slots,
            used: vec![None; events.len()],
            fits: BTreeMap::new(),
        }
    }

    /// Gives the entry to a slot, moving others where that makes room; whether there was one.
    fn take(&mut self, seq: u64, hits: &[PatternId]) -> bool {
        let fits: Vec<usize> = hits
            .iter()
            .filter_map(|hit| self.slots.get(hit))
            .flatten()
            .copied()
            .collect();
        if fits.is_empty() {
            return false;
        }
        self.fits.insert(seq, fits);
        let mut visited = vec![false; self.used.len()];
        let found = self.place(seq, &mut visited);
        if !found {
            self.fits.remove(&seq);
        }
        found
    }

    fn place(&mut self, seq: u64, visited: &mut [bool]) -> bool {
        let fits = self.fits.get(&seq).cloned().unwrap_or_default();
        if let Some(free) = fits.iter().find(|slot| self.used[**slot].is_none()) {
            self.used[*free] = Some(seq);
            return true;
        }
        for slot in fits {
            if std::mem::replace(&mut visited[slot], true) {
                continue;
            }
            if let Some(other) = self.used[slot]
                && self.place(other, visited)
            {
                self.used[slot] = Some(seq);
                return true;
            }
        }
        false
    }

    fn is_complete(&self) -> bool {
        self.fits.len() == self.used.len()
    }

    fn first_open(&self) -> Option<usize> {
        self.used.iter().position(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_scenario::Expectations;

    use super::*;
    use crate::testing::{judged, judgements, patterns, trace};

    /// Items between semicolons, the events of a set between commas.
    fn order(items: &str) -> Expectations {
        let events = |item: &str| patterns(&item.split(',').map(str::trim).collect::<Vec<_>>());
        let order = items
            .split(';')
            .map(|item| OrderItem {
                events: events(item),
            })
            .collect();
        Expectations {
            order,
            ..Expectations::default()
        }
    }

    const SHOP: &str = "
        0   operation started
        1   Job/migrate applied in PreSync/0 hook
        5   Job/migrate succeeded
        7   ConfigMap/env applied
        7   Deployment/checkout applied
        7   Deployment/checkout progressing
        31  Job/smoke applied in PostSync/0 hook
        34.1 Deployment/checkout healthy
        40  operation succeeded: successfully synced (no more tasks)";

    #[rstest]
    #[case::in_order(
        "Job/migrate applied; Job/migrate succeeded; operation succeeded",
        true
    )]
    #[case::wildcards("Job/* applied; Job/* applied", true)]
    #[case::the_same_entry_serves_once("Job/smoke applied; Job/smoke applied", false)]
    #[case::set_in_any_order(
        "Deployment/checkout applied, ConfigMap/env applied; Job/smoke applied",
        true
    )]
    #[case::set_members_need_entries_of_their_own(
        "ConfigMap/env applied, ConfigMap/* applied",
        false
    )]
    #[case::wildcard_makes_room("Job/* applied, Job/migrate applied", true)]
    #[case::exact_first("Job/migrate applied, Job/* applied", true)]
    #[case::after_a_set_means_after_all_of_it(
        "Deployment/checkout healthy, ConfigMap/env applied; Job/smoke applied",
        false
    )]
    fn items_are_a_subsequence(#[case] items: &str, #[case] holds: bool) {
        let judgements = judgements(&order(items), &trace(SHOP));
        assert_eq!(judgements[0].holds(), holds, "{}", judgements[0]);
    }

    #[test]
    fn a_failure_says_what_was_seen_instead() {
        let items = "Job/migrate succeeded; Deployment/checkout healthy; Job/smoke applied";
        insta::assert_snapshot!(judged(&order(items), &trace(SHOP)), @r"
        expect.order, item 3
          expected  Job/smoke applied after Deployment/checkout healthy
          observed  Job/smoke applied at 31.0s; Deployment/checkout progressing since 7.0s, healthy at 34.1s
              31.0s  Job/smoke applied (PostSync/0)
              34.1s  Deployment/checkout healthy
        ");
    }

    #[test]
    fn a_failure_says_what_never_came() {
        let items = "Job/migrate succeeded; Deployment/checkout degraded";
        insta::assert_snapshot!(judged(&order(items), &trace(SHOP)), @r"
        expect.order, item 2
          expected  Deployment/checkout degraded after Job/migrate succeeded
          observed  no Deployment/checkout degraded; the last of it is Deployment/checkout healthy at 34.1s
               5.0s  Job/migrate succeeded
               7.0s  Deployment/checkout applied (Sync/0)
               7.0s  Deployment/checkout progressing
              34.1s  Deployment/checkout healthy
        ");
        insta::assert_snapshot!(judged(&order("Job/unknown applied"), &trace(SHOP)), @r"
        expect.order, item 1
          expected  Job/unknown applied
          observed  no Job/unknown applied; nothing happened to Job/unknown
        ");
        insta::assert_snapshot!(judged(&order("ConfigMap/env applied, ConfigMap/* applied"), &trace(SHOP)), @r"
        expect.order, item 1
          expected  ConfigMap/* applied
          observed  ConfigMap/* applied only once
               7.0s  ConfigMap/env applied (Sync/0)
        ");
    }
}
