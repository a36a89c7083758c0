//! What a Job's `podFailurePolicy` and `successPolicy` say (API-332).

use std::collections::BTreeSet;

use wavetank_json::Value;
use wavetank_model::object;

use super::indexes;
use crate::read::{int, list, text};

/// What a rule does with a failed Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    FailJob,
    FailIndex,
    Ignore,
    Count,
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "FailJob" => Some(Self::FailJob),
            "FailIndex" => Some(Self::FailIndex),
            "Ignore" => Some(Self::Ignore),
            "Count" => Some(Self::Count),
            _ => None,
        }
    }
}

/// What the first rule that matches a failed Pod says; without one the failure counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) action: Option<Action>,
    /// Why the rule matched.
    because: String,
}

impl Verdict {
    /// Whether the failure counts towards the back-off limits.
    pub(super) fn counts(&self) -> bool {
        self.action != Some(Action::Ignore)
    }

    /// Why the Job fails as a whole, if it does.
    pub(super) fn failure(&self) -> Option<&str> {
        (self.action == Some(Action::FailJob)).then_some(self.because.as_str())
    }
}

/// What the Job's `podFailurePolicy` says about a failed Pod.
pub(super) fn on_failure(job: &Value, pod: &Value) -> Verdict {
    let rules = list(job, &["spec", "podFailurePolicy", "rules"]);
    for (number, rule) in rules.iter().enumerate() {
        let Some(action) = Action::parse(text(rule, &["action"])) else {
            continue;
        };
        let (namespace, name) = (object::namespace(pod), object::name(pod));
        let because = if let Some(requirement) = rule.get("onExitCodes") {
            exit_code(requirement, pod).map(|(container, code)| {
                format!(
                    "Container {container} for pod {namespace}/{name} failed with exit code {code} matching {action:?} rule at index {number}"
                )
            })
        } else {
            condition(list(rule, &["onPodConditions"]), pod).map(|kind| {
                format!(
                    "Pod {namespace}/{name} has condition {kind} matching {action:?} rule at index {number}"
                )
            })
        };
        if let Some(because) = because {
            return Verdict {
                action: Some(action),
                because,
            };
        }
    }
    Verdict::default()
}

/// The first container that ended with an exit code the requirement names; 0 never does.
fn exit_code<'a>(requirement: &Value, pod: &'a Value) -> Option<(&'a str, i64)> {
    let wanted = requirement.get("containerName").and_then(Value::as_str);
    let values = list(requirement, &["values"]);
    let negated = text(requirement, &["operator"]) == "NotIn";
    let statuses = ["containerStatuses", "initContainerStatuses"]
        .into_iter()
        .flat_map(|field| list(pod, &["status", field]));
    for status in statuses {
        let name = text(status, &["name"]);
        let Some(code) = int(status, &["state", "terminated", "exitCode"]) else {
            continue;
        };
        let listed = values.iter().any(|value| value.as_i64() == Some(code));
        if wanted.is_none_or(|wanted| wanted == name) && code != 0 && listed != negated {
            return Some((name, code));
        }
    }
    None
}

/// The first of the Pod's conditions that a pattern matches.
fn condition<'a>(patterns: &[Value], pod: &'a Value) -> Option<&'a str> {
    let conditions = list(pod, &["status", "conditions"]);
    conditions
        .iter()
        .find(|condition| {
            patterns.iter().any(|pattern| {
                text(pattern, &["type"]) == text(condition, &["type"])
                    && text(pattern, &["status"]) == text(condition, &["status"])
            })
        })
        .map(|condition| text(condition, &["type"]))
}

/// Why the Job succeeds with the indexes that are completed, if its `successPolicy` says so.
pub(super) fn on_success(job: &Value, completed: &BTreeSet<u32>) -> Option<String> {
    let rules = list(job, &["spec", "successPolicy", "rules"]);
    let number = rules.iter().position(|rule| {
        let count = int(rule, &["succeededCount"]).and_then(|count| usize::try_from(count).ok());
        match rule.get("succeededIndexes").and_then(Value::as_str) {
            Some(required) => {
                let required = indexes::parse(required);
                let done = required.intersection(completed).count();
                done >= count.unwrap_or(required.len())
            }
            None => count.is_some_and(|count| completed.len() >= count),
        }
    })?;
    (!completed.is_empty()).then(|| format!("Matched rules at index {number}"))
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    fn failed(code: i64) -> Value {
        json!({
            "metadata": {"name": "a-1", "namespace": "shop"},
            "status": {
                "conditions": [{"type": "Lost", "status": "True"}],
                "containerStatuses": [
                    {"name": "side", "state": {"terminated": {"exitCode": 0}}},
                    {"name": "main", "state": {"terminated": {"exitCode": code}}},
                ],
            },
        })
    }

    fn said(rules: Value, code: i64) -> String {
        let job = json!({"spec": {"podFailurePolicy": {"rules": rules}}});
        let verdict = on_failure(&job, &failed(code));
        format!(
            "{:?} {} {}",
            verdict.action,
            verdict.counts(),
            verdict.because
        )
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = json!([
            {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3], "containerName": "side"}},
            {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}},
            {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [5]}},
            {"action": "Count", "onPodConditions": [{"type": "Lost", "status": "True"}]},
        ]);
        insta::assert_snapshot!(said(rules.clone(), 3), @"Some(FailJob) true Container main for pod shop/a-1 failed with exit code 3 matching FailJob rule at index 1");
        insta::assert_snapshot!(said(rules.clone(), 4), @"Some(Ignore) false Container main for pod shop/a-1 failed with exit code 4 matching Ignore rule at index 2");
        insta::assert_snapshot!(said(rules, 5), @"Some(Count) true Pod shop/a-1 has condition Lost matching Count rule at index 3");
        insta::assert_snapshot!(said(json!([]), 5), @"None true");
    }

    #[test]
    fn success_needs_the_indexes_or_the_count() {
        let said = |rule: Value, completed: &str| {
            on_success(
                &json!({"spec": {"successPolicy": {"rules": [rule]}}}),
                &indexes::parse(completed),
            )
        };
        assert_eq!(said(json!({"succeededIndexes": "0,2-3"}), "0,2"), None);
        assert_eq!(
            said(
                json!({"succeededIndexes": "0,2-3", "succeededCount": 2}),
                "0,2"
            )
            .as_deref(),
            Some("Matched rules at index 0")
        );
        assert_eq!(said(json!({"succeededCount": 2}), "7"), None);
        assert!(said(json!({"succeededCount": 2}), "7,9").is_some());
    }
}
