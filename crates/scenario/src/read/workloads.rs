//! Section 5 of the format: scripted behaviour.

use wavetank_model::script::{Attempt, Behaviour, Delay, Deletion, HangState, Rule, TimelineEntry};

use super::Reader;
use crate::yaml::Node;

impl Reader<'_, '_> {
    pub(super) fn workloads(&mut self, node: Option<&Node>) -> Vec<Rule> {
        node.into_iter()
            .flat_map(Node::items)
            .filter_map(|item| self.rule(item))
            .collect()
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let says_something = [
            "attempts", "hang", "ready", "timeline", "deletion", "reaction",
        ];
        if node.is_map() && !says_something.iter().any(|key| node.get(key).is_some()) {
            let label =
                "one of `attempts`, `hang`, `ready`, `timeline`, `deletion`, `reaction` is needed";
            self.context
                .error(node.span, "this rule changes nothing", label);
        }
        Some(Rule {
            matches: node.get("match")?.reference()?,
            generation: node.get("generation").and_then(Node::integer),
            behaviour: self.behaviour(node),
            deletion: node.get("deletion").and_then(deletion),
            reaction: node.get("reaction").map(delay),
        })
    }

    fn behaviour(&mut self, node: &Node) -> Option<Behaviour> {
        if let Some(attempts) = node.get("attempts") {
            self.not_empty(attempts, "attempts");
            return Some(Behaviour::Attempts(
                attempts.items().iter().filter_map(attempt).collect(),
            ));
        }
        if let Some(hang) = node.get("hang") {
            return Some(Behaviour::Hang(
                match hang.get("state").and_then(Node::string).as_deref() {
                    Some("Pending") => HangState::Pending,
                    Some("ImagePullBackOff") => HangState::ImagePullBackOff,
                    _ => HangState::Running,
                },
            ));
        }
        if let Some(ready) = node.get("ready") {
            return Some(Behaviour::Timeline(vec![TimelineEntry::Ready(delay(
                ready,
            ))]));
        }
        let timeline = node.get("timeline")?;
        self.not_empty(timeline, "timeline");
        let entries = timeline
            .items()
            .iter()
            .filter_map(|entry| self.timeline_entry(entry))
            .collect();
        Some(Behaviour::Timeline(entries))
    }

    fn not_empty(&mut self, node: &Node, what: &str) {
        if node.items().is_empty() && !node.is_map() {
            self.context
                .error(node.span, format!("`{what}` needs at least one entry"), "");
        }
    }

    fn timeline_entry(&mut self, node: &Node) -> Option<TimelineEntry> {
        if let Some(ready) = node.get("ready") {
            self.delay_inside(node, "ready");
            return Some(TimelineEntry::Ready(delay(ready)));
        }
        if let Some(crash) = node.get("crash") {
            self.delay_inside(node, "crash");
            return Some(TimelineEntry::Crash {
                after: delay(crash),
                reason: crash
                    .get("reason")
                    .and_then(Node::string)
                    .unwrap_or_else(|| "Error".to_owned()),
                exit_code: exit_code(crash),
                message: crash.get("message").and_then(Node::string),
            });
        }
        let after = delay(node);
        if let Some(status) = node.get("status") {
            let patch = self.json(status);
            return Some(TimelineEntry::Status {
                after,
                patch,
                observe_generation: node.get("observedGeneration").is_some(),
            });
        }
        let merge = node.get("merge")?;
        if let Some(observed) = node.get("observedGeneration") {
            self.context
                .error(observed.span, "`observedGeneration` goes with `status`", "");
        }
        Some(TimelineEntry::Patch {
            after,
            patch: self.json(merge),
        })
    }

    /// `after` belongs into `ready` and `crash`, and beside `status` and `merge`.
    fn delay_inside(&mut self, node: &Node, key: &str) {
        for beside in ["after", "jitter", "observedGeneration"] {
            if let Some(found) = node.get(beside) {
                self.context.error(
                    found.span,
                    format!("`{beside}` does not stand beside `{key}`"),
                    format!("write `{key}: {{{beside}: …}}`"),
                );
            }
        }
    }
}

fn delay(node: &Node) -> Delay {
    let duration = |key: &str| node.get(key).and_then(Node::duration).unwrap_or_default();
    Delay {
        after: duration("after"),
        jitter: duration("jitter"),
    }
}

/// How long containers run unless the scenario says so (section 5).
fn run_time(node: &Node) -> Delay {
    let after = node
        .get("after")
        .and_then(Node::duration)
        .unwrap_or(std::time::Duration::from_secs(1));
    Delay {
        after,
        ..delay(node)
    }
}

fn exit_code(node: &Node) -> i32 {
    node.get("exitCode")
        .and_then(Node::integer)
        .and_then(|code| i32::try_from(code).ok())
        .unwrap_or(1)
}

fn attempt(node: &Node) -> Option<Attempt> {
    if let Some(succeed) = node.get("succeed") {
        return Some(Attempt::Succeed(run_time(succeed)));
    }
    let fail = node.get("fail")?;
    Some(Attempt::Fail {
        after: run_time(fail),
        exit_code: exit_code(fail),
        message: fail.get("message").and_then(Node::string),
    })
}

fn deletion(node: &Node) -> Option<Deletion> {
    if node.get("never").is_some() {
        return Some(Deletion::Never);
    }
    if let Some(until) = node.get("until") {
        return Some(Deletion::Until(until.event()?));
    }
    Some(Deletion::After(delay(node)))
}
