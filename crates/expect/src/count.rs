//! `count` and `requests`: how often something happens.

use wavetank_model::{Actor, EventPattern, RequestRecord};
use wavetank_scenario::{CountRange, RequestCount};
use wavetank_trace::Event;

use crate::judgement::{Answer, Failure};
use crate::matcher::{Matcher, PatternId};
use crate::part::Part;

/// One key of `count`.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    pub(crate) event: PatternId,
    range: CountRange,
    seen: u64,
}

impl Count {
    pub(crate) fn new(event: &EventPattern, range: CountRange, matcher: &mut Matcher) -> Self {
        Self {
            event: matcher.intern(event),
            range,
            seen: 0,
        }
    }

    pub(crate) fn push(&mut self) {
        self.seen += 1;
    }

    pub(crate) fn answer(&self) -> Answer {
        judge(self.seen, self.range)
    }

    pub(crate) fn failures(&self, matcher: &Matcher, part: &Part<'_>) -> Vec<Failure> {
        let answer = self.answer();
        if answer == Answer::Yes {
            return Vec::new();
        }
        let event = matcher.pattern(self.event);
        let observed = match self.seen {
            0 => crate::order::unseen(event, part),
            _ => times(self.seen),
        };
        let last = part.entries.last().map_or(0, |entry| entry.seq);
        let excerpt = part.excerpt(0, last, |seen| seen.matches(event, part.home));
        vec![Failure {
            item: event.to_string(),
            answer,
            expected: range_text(self.range),
            observed,
            excerpt,
        }]
    }
}

/// One key of `requests`.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    what: RequestCount,
    range: CountRange,
    seen: u64,
}

impl Requests {
    pub(crate) fn new(what: &RequestCount, range: CountRange) -> Self {
        Self {
            what: what.clone(),
            range,
            seen: 0,
        }
    }

    /// Takes a request of the engine, whatever its answer.
    pub(crate) fn push(&mut self, request: &RequestRecord, home: &str) {
        if self.fits(request, home) {
            self.seen += 1;
        }
    }

    fn fits(&self, request: &RequestRecord, home: &str) -> bool {
        if request.dry_run != self.what.dry_run || !verb_fits(&self.what.verb, &request.verb) {
            return false;
        }
        match (&self.what.target, &request.key) {
            (None, _) => true,
            (Some(target), Some(key)) => target.kind == key.kind && target.matches(key, home),
            (Some(_), None) => false,
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        judge(self.seen, self.range)
    }

    pub(crate) fn failures(&self, part: &Part<'_>) -> Vec<Failure> {
        let answer = self.answer();
        if answer == Answer::Yes {
            return Vec::new();
        }
        let excerpt = part
            .entries
            .iter()
            .filter_map(|entry| {
                let request = engine_request(&entry.event)?;
                let key = request
                    .key
                    .as_ref()
                    .map(|key| part.name(key))
                    .unwrap_or_default();
                let dry = if request.dry_run { "dry-run " } else { "" };
                let text = format!("{dry}{} {key}: {}", request.verb, request.code);
                self.fits(request, part.home)
                    .then_some(crate::judgement::Line {
                        seq: entry.seq,
                        time: entry.time,
                        text,
                    })
            })
            .take(10)
            .collect();
        let item = match &self.what.target {
            Some(target) => format!("{} {target}", self.what.verb),
            None => self.what.verb.clone(),
        };
        let item = if self.what.dry_run {
            format!("dry-run {item}")
        } else {
            item
        };
        vec![Failure {
            item,
            answer,
            expected: range_text(self.range),
            observed: times(self.seen),
            excerpt,
        }]
    }
}

/// The request of the engine that `event` is.
pub(crate) fn engine_request(event: &Event) -> Option<&RequestRecord> {
    match event {
        Event::Request(request) if request.actor.as_str() == Actor::ENGINE => Some(request),
        _ => None,
    }
}

/// The words of section 6 of the format; deleting a collection is a delete.
fn verb_fits(word: &str, verb: &str) -> bool {
    match word {
        "any" => true,
        "write" => matches!(
            verb,
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ),
        "delete" => matches!(verb, "delete" | "deletecollection"),
        word => word == verb,
    }
}

fn judge(count: u64, range: CountRange) -> Answer {
    if range.max.is_some_and(|max| count > max) {
        Answer::Never
    } else if count < range.min {
        Answer::NotYet
    } else {
        Answer::Yes
    }
}

/// `once`, `3 times`.
pub(crate) fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

fn range_text(range: CountRange) -> String {
    match (range.min, range.max) {
        (min, Some(max)) if min == max => times(min),
        (0, Some(max)) => format!("at most {}", times(max)),
        (min, Some(max)) => format!("between {min} and {max} times"),
        (min, None) => format!("at least {}", times(min)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_scenario::Expectations;

    use super::*;
    use crate::testing::{judged, judgements, pattern, trace};

    fn count(event: &str, min: u64, max: Option<u64>) -> Expectations {
        Expectations {
            count: vec![(pattern(event), CountRange { min, max })],
            ..Expectations::default()
        }
    }

    fn requests(what: &str, min: u64, max: Option<u64>) -> Expectations {
        let (dry_run, what) = what
            .strip_prefix("dry-run ")
            .map_or((false, what), |what| (true, what));
        let (verb, target) = what.split_once(' ').unwrap();
        let what = RequestCount {
            verb: verb.to_owned(),
            target: Some(target.parse().unwrap()),
            dry_run,
        };
        Expectations {
            requests: vec![(what, CountRange { min, max })],
            ..Expectations::default()
        }
    }

    #[rstest]
    #[case("Job/a created", 2, Some(2), Answer::Yes)]
    #[case("Job/a created", 3, None, Answer::NotYet)]
    #[case("Job/a created", 0, Some(1), Answer::Never)]
    #[case("Job/b created", 0, Some(0), Answer::Yes)]
    #[case("Job/* created", 1, Some(9), Answer::Yes)]
    fn occurrences_are_counted(
        #[case] event: &str,
        #[case] min: u64,
        #[case] max: Option<u64>,
        #[case] answer: Answer,
    ) {
        let entries = trace("1 Job/a created\n2 Job/a deleted\n3 Job/a created\n4 Job/c created");
        assert_eq!(
            judgements(&count(event, min, max), &entries)[0].answer,
            answer
        );
    }

    #[test]
    fn a_failure_lists_the_occurrences() {
        let entries = trace("1 Job/a created\n2 Job/a deleted\n3 Job/a created");
        insta::assert_snapshot!(judged(&count("Job/a created", 1, Some(1)), &entries), @r"
        expect.count, Job/a created
          expected  once
          observed  2 times
               1.0s  Job/a created (by engine)
               3.0s  Job/a created (by engine)
        ");
        insta::assert_snapshot!(judged(&count("Job/a applied", 1, None), &entries), @r"
        expect.count, Job/a applied
          expected  at least once
          observed  no Job/a applied; the last of it is Job/a created at 3.0s
        ");
    }

    #[rstest]
    #[case("write Deployment/web", 2)]
    #[case("patch Deployment/web", 1)]
    #[case("any Deployment/web", 3)]
    #[case("dry-run patch Deployment/web", 1)]
    #[case("delete Job/*", 1)]
    fn requests_of_the_engine_are_counted(#[case] what: &str, #[case] expected: u64) {
        let entries = trace(
            "1 request get Deployment/web 404
             1 request patch Deployment/web 200 dry-run
             1 request create Deployment/web 201
             2 request patch Deployment/web 409
             3 request deletecollection Job/a 200",
        );
        let text = judged(&requests(what, expected, Some(expected)), &entries);
        assert_eq!(text, "expect.requests: holds");
    }

    #[test]
    fn a_failure_lists_the_requests() {
        let entries =
            trace("1 request create Deployment/web 201\n2 request patch Deployment/web 409");
        insta::assert_snapshot!(judged(&requests("write Deployment/web", 0, Some(1)), &entries), @r"
        expect.requests, write Deployment/web
          expected  at most once
          observed  2 times
               1.0s  create Deployment/web: 201
               2.0s  patch Deployment/web: 409
        ");
    }
}
