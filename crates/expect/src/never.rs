//! `never`: what must not happen, perhaps only until something else does.

use wavetank_scenario::NeverItem;

use crate::judgement::{Answer, Failure};
use crate::matcher::{Matcher, PatternId};
use crate::part::Part;

/// One item of `never`.
#[derive(Clone, Debug)]
pub(crate) struct Never {
    event: PatternId,
    until: Option<PatternId>,
    violation: Option<u64>,
    ended: Option<u64>,
}

impl Never {
    pub(crate) fn new(item: &NeverItem, matcher: &mut Matcher) -> Self {
        let event = matcher.intern(&item.event);
        let until = item.until.as_ref().map(|until| matcher.intern(until));
        Self {
            event,
            until,
            violation: None,
            ended: None,
        }
    }

    /// The patterns it listens to.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = PatternId> {
        std::iter::once(self.event).chain(self.until)
    }

    /// Takes an occurrence of `hit`. An entry that is both the event and the end is no violation.
    pub(crate) fn push(&mut self, seq: u64, hit: PatternId) {
        if self.until == Some(hit) && self.ended.is_none() {
            self.ended = Some(seq);
            if self.violation == Some(seq) {
                self.violation = None;
            }
        }
        if self.event == hit && self.ended.is_none() && self.violation.is_none() {
            self.violation = Some(seq);
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        if self.violation.is_some() {
            Answer::Never
        } else {
            Answer::Yes
        }
    }

    pub(crate) fn failures(&self, matcher: &Matcher, part: &Part<'_>) -> Vec<Failure> {
        let Some(entry) = self.violation.and_then(|seq| part.entry(seq)) else {
            return Vec::new();
        };
        let event = matcher.pattern(self.event);
        let until = self.until.map(|until| matcher.pattern(until));
        let what = entry.event.describe(part.home).unwrap_or_default();
        let mut expected = format!("never {event}");
        let mut observed = format!("{what} at {}", entry.time);
        let mut subjects = vec![&event.subject];
        let mut last = entry.seq;
        if let Some(until) = until {
            expected = format!("{expected} until {until}");
            match self.ended.and_then(|seq| part.entry(seq)) {
                Some(end) => {
                    observed = format!("{observed}; {until} at {}", end.time);
                    last = end.seq;
                }
                None => observed = format!("{observed}; {}", crate::order::unseen(until, part)),
            }
            subjects.push(&until.subject);
        }
        let excerpt = part.excerpt_of(entry.seq, last, &subjects);
        vec![Failure {
            item: event.to_string(),
            answer: Answer::Never,
            expected,
            observed,
            excerpt,
        }]
    }
}

#[cfg(test)]
mod tests {
    use wavetank_scenario::{Expectations, NeverItem};

    use crate::testing::{judged, pattern, trace};

    fn never(event: &str, until: Option<&str>) -> Expectations {
        let item = NeverItem {
            event: pattern(event),
            until: until.map(pattern),
        };
        Expectations {
            never: vec![item],
            ..Expectations::default()
        }
    }

    #[test]
    fn never_is_never() {
        assert_eq!(
            judged(&never("SyncFail started", None), &trace("1 Sync started")),
            "expect.never: holds"
        );
        insta::assert_snapshot!(judged(&never("SyncFail started", None), &trace("1 Sync started\n2 SyncFail started")), @r"
        expect.never, SyncFail started
          expected  never SyncFail started
          observed  SyncFail started at 2.0s
               2.0s  SyncFail started
        ");
    }

    #[test]
    fn until_ends_it() {
        let expect = never("Job/smoke-* applied", Some("Deployment/web healthy"));
        let good = trace("1 Deployment/web healthy\n2 Job/smoke-1 applied");
        assert_eq!(judged(&expect, &good), "expect.never: holds");
        let bad =
            trace("1 Deployment/web progressing\n2 Job/smoke-1 applied\n3 Deployment/web healthy");
        insta::assert_snapshot!(judged(&expect, &bad), @r"
        expect.never, Job/smoke-* applied
          expected  never Job/smoke-* applied until Deployment/web healthy
          observed  Job/smoke-1 applied at 2.0s; Deployment/web healthy at 3.0s
               2.0s  Job/smoke-1 applied (Sync/0)
               3.0s  Deployment/web healthy
        ");
        let endless = trace("1 Deployment/web progressing\n2 Job/smoke-1 applied");
        insta::assert_snapshot!(judged(&expect, &endless), @r"
        expect.never, Job/smoke-* applied
          expected  never Job/smoke-* applied until Deployment/web healthy
          observed  Job/smoke-1 applied at 2.0s; no Deployment/web healthy; the last of it is Deployment/web progressing at 1.0s
               2.0s  Job/smoke-1 applied (Sync/0)
        ");
    }

    #[test]
    fn an_entry_that_is_both_is_no_violation() {
        let expect = never("Job/* applied", Some("Job/a applied"));
        assert_eq!(
            judged(&expect, &trace("1 Job/a applied\n2 Job/b applied")),
            "expect.never: holds"
        );
    }
}
