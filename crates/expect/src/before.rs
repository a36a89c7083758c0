//! `before`: what must have happened earlier, every time.

use wavetank_model::EventPattern;

use crate::judgement::{Answer, Failure};
use crate::matcher::{Matcher, PatternId};
use crate::part::Part;

/// One key of `before` with what must precede each of its occurrences.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    key: PatternId,
    required: Vec<Required>,
    previous_key: Option<u64>,
    violations: Vec<Violation>,
}

#[derive(Clone, Debug)]
struct Required {
    event: PatternId,
    /// The first occurrence since the previous one of the key.
    seen: Option<u64>,
}

#[derive(Clone, Debug)]
struct Violation {
    key: u64,
    previous_key: Option<u64>,
    required: PatternId,
}

impl Before {
    pub(crate) fn new(
        key: &EventPattern,
        required: &[EventPattern],
        matcher: &mut Matcher,
    ) -> Self {
        let required = required
            .iter()
            .map(|event| Required {
                event: matcher.intern(event),
                seen: None,
            })
            .collect();
        Self {
            key: matcher.intern(key),
            required,
            previous_key: None,
            violations: Vec::new(),
        }
    }

    /// The patterns it listens to.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = PatternId> {
        std::iter::once(self.key).chain(self.required.iter().map(|required| required.event))
    }

    /// Takes an occurrence of `hit`. The entry of the key itself is no earlier one, in whichever order the hits come.
    pub(crate) fn push(&mut self, seq: u64, hit: PatternId) {
        for required in self
            .required
            .iter_mut()
            .filter(|required| required.event == hit)
        {
            if required.seen.is_none() && self.previous_key != Some(seq) {
                required.seen = Some(seq);
            }
        }
        if self.key == hit && self.previous_key != Some(seq) {
            for required in &mut self.required {
                if required.seen.take().is_none_or(|seen| seen >= seq) {
                    let previous_key = self.previous_key;
                    self.violations.push(Violation {
                        key: seq,
                        previous_key,
                        required: required.event,
                    });
                }
            }
            self.previous_key = Some(seq);
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        if self.violations.is_empty() {
            Answer::Yes
        } else {
            Answer::Never
        }
    }

    pub(crate) fn failures(&self, matcher: &Matcher, part: &Part<'_>) -> Vec<Failure> {
        let key = matcher.pattern(self.key);
        self.violations
            .iter()
            .map(|violation| {
                let required = matcher.pattern(violation.required);
                let at = |seq| part.entry(seq).map_or(part.start, |entry| entry.time);
                let again = violation.previous_key.is_some();
                let expected = format!(
                    "{required} before {}{key} at {}",
                    if again { "the next " } else { "" },
                    at(violation.key)
                );
                let late = part
                    .occurrences(required)
                    .find(|entry| entry.seq > violation.key);
                let observed = match (late, violation.previous_key) {
                    (Some(late), None) => format!(
                        "{key} at {}; {required} at {}",
                        at(violation.key),
                        late.time
                    ),
                    (Some(late), Some(previous)) => format!(
                        "none between {key} at {} and at {}; {required} at {}",
                        at(previous),
                        at(violation.key),
                        late.time
                    ),
                    (None, None) => crate::order::unseen(required, part),
                    (None, Some(previous)) => {
                        format!(
                            "none between {key} at {} and at {}",
                            at(previous),
                            at(violation.key)
                        )
                    }
                };
                let first = violation.previous_key.unwrap_or(violation.key);
                let last = late.map_or(violation.key, |entry| entry.seq);
                let excerpt = part.excerpt_of(first, last, &[&key.subject, &required.subject]);
                Failure {
                    item: key.to_string(),
                    answer: Answer::Never,
                    expected,
                    observed,
                    excerpt,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use wavetank_scenario::Expectations;

    use crate::testing::{judged, pattern, patterns, trace};

    fn before(key: &str, required: &[&str]) -> Expectations {
        Expectations {
            before: vec![(pattern(key), patterns(required))],
            ..Expectations::default()
        }
    }

    #[test]
    fn every_occurrence_needs_one_of_its_own() {
        let expect = before("Deployment/web applied", &["Job/migrate succeeded"]);
        let good = trace(
            "1 Job/migrate succeeded
             2 Deployment/web applied
             3 Job/migrate succeeded
             4 Deployment/web applied",
        );
        assert_eq!(judged(&expect, &good), "expect.before: holds");
        let second = trace(
            "1 Job/migrate succeeded
             1.5 Job/migrate succeeded
             2 Deployment/web applied
             4 Deployment/web applied
             5 Job/migrate succeeded",
        );
        insta::assert_snapshot!(judged(&expect, &second), @r"
        expect.before, Deployment/web applied
          expected  Job/migrate succeeded before the next Deployment/web applied at 4.0s
          observed  none between Deployment/web applied at 2.0s and at 4.0s; Job/migrate succeeded at 5.0s
               2.0s  Deployment/web applied (Sync/0)
               4.0s  Deployment/web applied (Sync/0)
               5.0s  Job/migrate succeeded
        ");
        let first = trace("2 Deployment/web applied");
        insta::assert_snapshot!(judged(&expect, &first), @r"
        expect.before, Deployment/web applied
          expected  Job/migrate succeeded before Deployment/web applied at 2.0s
          observed  no Job/migrate succeeded; nothing happened to Job/migrate
               2.0s  Deployment/web applied (Sync/0)
        ");
    }

    #[test]
    fn an_entry_does_not_precede_itself() {
        let expect = before("Job/* applied", &["Job/a applied"]);
        assert!(
            judged(&expect, &trace("1 Job/a applied"))
                .contains("Job/a applied before Job/* applied at 1.0s")
        );
        let two = trace("1 Job/a applied\n2 Job/b applied");
        assert!(judged(&expect, &two).contains("before the next Job/* applied at 2.0s"));
    }

    #[test]
    fn what_never_happens_needs_nothing() {
        let expect = before("Deployment/web applied", &["Job/migrate succeeded"]);
        assert_eq!(
            judged(&expect, &trace("1 Job/other applied")),
            "expect.before: holds"
        );
    }
}
