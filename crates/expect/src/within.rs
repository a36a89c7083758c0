//! `within`: how soon something happens.

use std::time::Duration;

use wavetank_kernel::SimTime;
use wavetank_model::EventPattern;
use wavetank_scenario::WithinItem;

use crate::judgement::{Answer, Failure};
use crate::matcher::{Matcher, PatternId};
use crate::part::Part;

/// One key of `within`.
///
/// Without `since` the first occurrence counts from the start of the part. With it the nth occurrence counts from the
/// nth of `since`; one that has no counterpart fails.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    event: PatternId,
    since: Option<PatternId>,
    min: Duration,
    max: Option<Duration>,
    events: Vec<(u64, SimTime)>,
    starts: Vec<(u64, SimTime)>,
}

impl Within {
    pub(crate) fn new(event: &EventPattern, item: &WithinItem, matcher: &mut Matcher) -> Self {
        let since = item.since.as_ref().map(|since| matcher.intern(since));
        let event = matcher.intern(event);
        Self {
            event,
            since,
            min: item.min,
            max: item.max,
            events: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// The patterns it listens to.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = PatternId> {
        std::iter::once(self.event).chain(self.since)
    }

    /// Takes an occurrence of `hit`.
    pub(crate) fn push(&mut self, seq: u64, time: SimTime, hit: PatternId) {
        if self.event == hit && (self.since.is_some() || self.events.is_empty()) {
            self.events.push((seq, time));
        }
        if self.since == Some(hit) {
            self.starts.push((seq, time));
        }
    }

    fn in_range(&self, from: SimTime, to: SimTime) -> bool {
        let took = to.since(from);
        to >= from && took >= self.min && self.max.is_none_or(|max| took <= max)
    }

    /// The answer so far, at `now`, for a part that began at `start`.
    pub(crate) fn answer(&self, start: SimTime, now: SimTime) -> Answer {
        let pairs = self.pairs(start);
        if pairs.iter().any(|(from, to)| matches!((from, to), (Some(from), Some(to)) if !self.in_range(from.1, to.1))) {
            return Answer::Never;
        }
        let late = |from: SimTime| self.max.is_some_and(|max| now.since(from) > max);
        let open = pairs
            .iter()
            .find(|(from, to)| from.is_none() || to.is_none());
        match open {
            Some((Some(from), None)) if late(from.1) => Answer::Never,
            Some(_) => Answer::NotYet,
            None if pairs.is_empty() => Answer::NotYet,
            None => Answer::Yes,
        }
    }

    /// Each start with its event.
    #[expect(clippy::type_complexity, reason = "used in this file only")]
    fn pairs(&self, start: SimTime) -> Vec<(Option<(u64, SimTime)>, Option<(u64, SimTime)>)> {
        if self.since.is_none() {
            // What came before the start (in the cluster's set-up) counts as the start itself.
            let event = self
                .events
                .first()
                .map(|(seq, time)| (*seq, (*time).max(start)));
            return vec![(Some((0, start)), event)];
        }
        let count = self.starts.len().max(self.events.len());
        (0..count)
            .map(|n| (self.starts.get(n).copied(), self.events.get(n).copied()))
            .collect()
    }

    pub(crate) fn failures(&self, matcher: &Matcher, part: &Part<'_>) -> Vec<Failure> {
        let event = matcher.pattern(self.event);
        let since = self.since.map(|since| matcher.pattern(since));
        let of = since.map_or_else(|| "the start".to_owned(), ToString::to_string);
        let expected = format!("{} {of}", range_text(self.min, self.max));
        let failure = |answer, observed, excerpt| Failure {
            item: event.to_string(),
            answer,
            expected: expected.clone(),
            observed,
            excerpt,
        };
        let mut subjects = vec![&event.subject];
        subjects.extend(since.map(|since| &since.subject));
        let pairs = self.pairs(part.start);
        if let Some(since) = since.filter(|_| pairs.is_empty()) {
            let observed = format!(
                "{}; {}",
                crate::order::unseen(event, part),
                crate::order::unseen(since, part)
            );
            return vec![failure(Answer::NotYet, observed, Vec::new())];
        }
        let mut failures = Vec::new();
        for pair in pairs {
            match pair {
                (Some(from), Some(to)) if !self.in_range(from.1, to.1) => {
                    let observed = if to.1 < from.1 {
                        format!("{event} at {}, {of} only at {}", to.1, from.1)
                    } else {
                        format!(
                            "{} after it, at {}",
                            SimTime::ZERO + to.1.since(from.1),
                            to.1
                        )
                    };
                    let excerpt = part.excerpt_of(from.0.min(to.0), from.0.max(to.0), &subjects);
                    failures.push(failure(Answer::Never, observed, excerpt));
                }
                (Some(from), None) => {
                    let late = self.max.is_some_and(|max| part.end().since(from.1) > max);
                    let answer = if late { Answer::Never } else { Answer::NotYet };
                    let observed = if self.events.is_empty() {
                        crate::order::unseen(event, part)
                    } else {
                        format!("no further {event} after {of} at {}", from.1)
                    };
                    failures.push(failure(
                        answer,
                        observed,
                        part.excerpt_of(from.0, u64::MAX, &subjects),
                    ));
                }
                (None, Some(to)) => {
                    let observed = format!("{event} at {} without a {of} of its own", to.1);
                    failures.push(failure(
                        Answer::NotYet,
                        observed,
                        part.excerpt_of(to.0, to.0, &subjects),
                    ));
                }
                _ => {}
            }
        }
        failures
    }
}

fn range_text(min: Duration, max: Option<Duration>) -> String {
    let show = |duration: Duration| (SimTime::ZERO + duration).to_string();
    match (min, max) {
        (Duration::ZERO, Some(max)) => format!("within {} of", show(max)),
        (min, Some(max)) => format!("{} to {} after", show(min), show(max)),
        (min, None) => format!("at least {} after", show(min)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_scenario::Expectations;

    use super::*;
    use crate::testing::{judged, judgements, pattern, trace};

    fn within(event: &str, since: Option<&str>, min: u64, max: Option<u64>) -> Expectations {
        let item = WithinItem {
            since: since.map(pattern),
            min: Duration::from_secs(min),
            max: max.map(Duration::from_secs),
        };
        Expectations {
            within: vec![(pattern(event), item)],
            ..Expectations::default()
        }
    }

    const WAVES: &str = "
        1  step 0 started
        3  Sync/-1 started
        8  Sync/0 started
        20 Sync/-1 started
        30 Sync/0 started";

    #[rstest]
    #[case("Sync/0 started", None, 0, Some(7), Answer::Yes)]
    #[case("Sync/0 started", None, 0, Some(6), Answer::Never)]
    #[case("Sync/0 started", None, 8, None, Answer::Never)]
    #[case("Sync/0 started", Some("Sync/-1 started"), 5, Some(10), Answer::Yes)]
    #[case("Sync/0 started", Some("Sync/-1 started"), 6, Some(10), Answer::Never)]
    #[case("Sync/0 started", Some("Sync/-1 started"), 5, Some(9), Answer::Never)]
    #[case("Sync/1 started", None, 0, Some(100), Answer::NotYet)]
    #[case("Sync/1 started", None, 0, Some(10), Answer::Never)]
    #[case("Sync/-1 started", Some("Sync/0 started"), 0, None, Answer::Never)]
    fn the_nth_counts_from_the_nth(
        #[case] event: &str,
        #[case] since: Option<&str>,
        #[case] min: u64,
        #[case] max: Option<u64>,
        #[case] answer: Answer,
    ) {
        assert_eq!(
            judgements(&within(event, since, min, max), &trace(WAVES))[0].answer,
            answer
        );
    }

    #[test]
    fn failures_say_how_long_it_took() {
        let entries = trace(WAVES);
        insta::assert_snapshot!(judged(&within("Sync/0 started", Some("Sync/-1 started"), 2, Some(8)), &entries), @r"
        expect.within, Sync/0 started
          expected  2.0s to 8.0s after Sync/-1 started
          observed  10.0s after it, at 30.0s
              20.0s  Sync/-1 started
              30.0s  Sync/0 started
        ");
        insta::assert_snapshot!(judged(&within("operation succeeded", None, 0, Some(10)), &entries), @r"
        expect.within, operation succeeded
          expected  within 10.0s of the start
          observed  no operation succeeded; nothing happened to operation
        ");
        insta::assert_snapshot!(judged(&within("Sync/1 started", Some("Sync/0 started"), 0, Some(60)), &entries), @r"
        expect.within, Sync/1 started
          expected  within 60.0s of Sync/0 started
          observed  no Sync/1 started; nothing happened to Sync/1
               8.0s  Sync/0 started
              30.0s  Sync/0 started
        expect.within, Sync/1 started
          expected  within 60.0s of Sync/0 started
          observed  no Sync/1 started; nothing happened to Sync/1
              30.0s  Sync/0 started
        ");
    }
}
