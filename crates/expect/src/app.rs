//! `app`: what is stored of the application at the end of the part.

use wavetank_scenario::{AppExpectation, MessagePattern};
use wavetank_trace::{AppState, Event};

use crate::judgement::{Answer, Failure};
use crate::message;
use crate::part::Part;

pub(crate) fn failures(wanted: Option<&AppExpectation>, part: &Part<'_>) -> Vec<Failure> {
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let judge = Judge {
        state: last_state(part),
        part,
    };
    let mut failures = Vec::new();
    failures.extend(judge.text("health", wanted.health.as_deref(), |state| &state.health));
    failures.extend(judge.health_message(wanted.health_message.as_ref()));
    failures.extend(judge.text("sync", wanted.sync.as_deref(), |state| &state.sync));
    for (condition, pattern) in &wanted.conditions {
        let known = judge
            .state
            .and_then(|state| state.conditions.get(condition));
        let fits = match (pattern, known) {
            (None, None) => true,
            (Some(pattern), Some(text)) => message::fits(pattern, text),
            _ => false,
        };
        if !fits {
            let expected = pattern
                .as_ref()
                .map_or_else(|| "none".to_owned(), ToString::to_string);
            let observed = known.map_or_else(|| "none".to_owned(), |text| format!("{text:?}"));
            failures.push(judge.failure(format!("conditions, {condition}"), expected, observed));
        }
    }
    for (reference, sync, health) in &wanted.resources {
        let mut found = judge
            .state
            .into_iter()
            .flat_map(|state| &state.resources)
            .filter(|resource| reference.matches(&resource.key, part.home))
            .peekable();
        let item = || format!("resources, {reference}");
        if found.peek().is_none() {
            let observed = judge.compared("the app has no such object");
            failures.push(judge.failure(item(), "an object of the app".to_owned(), observed));
        }
        for resource in found {
            let none = || "none".to_owned();
            let pairs = [
                (sync, Some(&resource.sync)),
                (health, resource.health.as_ref()),
            ];
            for (wanted, seen) in pairs {
                let Some(wanted) = wanted else { continue };
                let seen = seen.cloned().unwrap_or_else(none);
                if !seen.eq_ignore_ascii_case(wanted) {
                    let observed = format!("{}: {seen}", part.name(&resource.key));
                    failures.push(judge.failure(item(), wanted.clone(), observed));
                }
            }
        }
    }
    if let Some(length) = wanted.history {
        let seen = judge.state.map_or(0, |state| state.history);
        if seen != length {
            failures.push(judge.failure(
                "history".to_owned(),
                length.to_string(),
                seen.to_string(),
            ));
        }
    }
    failures
}

fn last_state<'a>(part: &Part<'a>) -> Option<&'a AppState> {
    let entries = part.entries.iter().rev().chain(part.earlier.iter().rev());
    entries.into_iter().find_map(|entry| match &entry.event {
        Event::AppState(state) => Some(state.as_ref()),
        _ => None,
    })
}

struct Judge<'a, 'p> {
    state: Option<&'a AppState>,
    part: &'p Part<'a>,
}

impl Judge<'_, '_> {
    fn text(
        &self,
        item: &str,
        wanted: Option<&str>,
        read: impl Fn(&AppState) -> &str,
    ) -> Option<Failure> {
        let wanted = wanted?;
        let seen = self.state.map(read).unwrap_or_default();
        if seen.eq_ignore_ascii_case(wanted) {
            return None;
        }
        Some(self.failure(item.to_owned(), wanted.to_owned(), self.compared(seen)))
    }

    fn health_message(&self, wanted: Option<&MessagePattern>) -> Option<Failure> {
        let wanted = wanted?;
        let seen = self.state.map_or("", |state| &state.health_message);
        if message::fits(wanted, seen) {
            return None;
        }
        let observed = self.compared(&format!("{seen:?}"));
        Some(self.failure("healthMessage".to_owned(), wanted.to_string(), observed))
    }

    fn compared(&self, seen: &str) -> String {
        match self.state {
            Some(state) if !state.sync.is_empty() => seen.to_owned(),
            _ => "the app was never compared".to_owned(),
        }
    }

    fn failure(&self, item: String, expected: String, observed: String) -> Failure {
        let of_app = |event: &Event| matches!(event, Event::App { .. });
        Failure {
            item,
            answer: Answer::NotYet,
            expected,
            observed,
            excerpt: self.part.excerpt(0, u64::MAX, of_app),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_kernel::SimTime;
    use wavetank_model::ObjectKey;
    use wavetank_scenario::{AppExpectation, MessagePattern};
    use wavetank_trace::{AppResource, AppState, Entry, Event};

    use super::*;

    fn state() -> AppState {
        AppState {
            sync: "OutOfSync".to_owned(),
            health: "Degraded".to_owned(),
            health_message: "Caused by it".to_owned(),
            resources: vec![AppResource {
                key: ObjectKey::new("", "ConfigMap", "demo", "a"),
                sync: "OutOfSync".to_owned(),
                health: None,
            }],
            conditions: [("SyncError".to_owned(), "why".to_owned())].into(),
            history: 2,
            ..AppState::default()
        }
    }

    fn said(wanted: AppExpectation, states: Vec<AppState>) -> Vec<String> {
        let entries: Vec<Entry> = states
            .into_iter()
            .enumerate()
            .map(|(index, state)| Entry {
                seq: index as u64 + 1,
                time: SimTime::ZERO,
                event: Event::AppState(Box::new(state)),
            })
            .collect();
        let part = Part {
            entries: &entries,
            earlier: &[],
            start: SimTime::ZERO,
            home: "demo",
        };
        failures(Some(&wanted), &part)
            .into_iter()
            .map(|failure| {
                format!(
                    "{}: {} / {}",
                    failure.item, failure.expected, failure.observed
                )
            })
            .collect()
    }

    fn wanted() -> AppExpectation {
        AppExpectation {
            sync: Some("OutOfSync".to_owned()),
            health: Some("degraded".to_owned()),
            health_message: Some(MessagePattern::Literal("Caused by it".to_owned())),
            conditions: [
                (
                    "SyncError".to_owned(),
                    Some(MessagePattern::Literal("why".to_owned())),
                ),
                ("InvalidSpecError".to_owned(), None),
            ]
            .into_iter()
            .collect(),
            resources: vec![(
                "ConfigMap/a".parse().unwrap(),
                Some("OutOfSync".to_owned()),
                Some("none".to_owned()),
            )],
            history: Some(2),
        }
    }

    #[test]
    fn the_last_stored_state_counts() {
        assert_eq!(said(wanted(), vec![AppState::default(), state()]), [""; 0]);
    }

    #[rstest]
    #[case(AppExpectation { sync: Some("Synced".into()), ..AppExpectation::default() }, "sync: Synced / OutOfSync")]
    #[case(AppExpectation { health_message: Some(MessagePattern::Literal(String::new())), ..AppExpectation::default() },
        "healthMessage: \"\" / \"Caused by it\"")]
    #[case(AppExpectation { history: Some(1), ..AppExpectation::default() }, "history: 1 / 2")]
    #[case(AppExpectation { conditions: [("SyncError".into(), None)].into_iter().collect(), ..AppExpectation::default() },
        "conditions, SyncError: none / \"why\"")]
    #[case(AppExpectation { resources: vec![("ConfigMap/b".parse().unwrap(), None, None)], ..AppExpectation::default() },
        "resources, ConfigMap/b: an object of the app / the app has no such object")]
    fn what_differs_is_said(#[case] wanted: AppExpectation, #[case] failure: &str) {
        assert_eq!(said(wanted, vec![state()]), [failure]);
    }

    #[test]
    fn an_app_that_was_not_compared_has_no_status() {
        let wanted = AppExpectation {
            health: Some("Healthy".to_owned()),
            ..AppExpectation::default()
        };
        assert_eq!(
            said(wanted, Vec::new()),
            ["health: Healthy / the app was never compared"]
        );
    }
}
