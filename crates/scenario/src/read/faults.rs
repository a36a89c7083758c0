//! Section 6 of the format: bent requests and deliveries.

use super::Reader;
use crate::shape::request_target;
use crate::types::{Fault, FaultEffect};
use crate::yaml::Node;

impl Reader<'_, '_> {
    pub(super) fn faults(&mut self, node: Option<&Node>) -> Vec<Fault> {
        let mut out = Vec::new();
        for item in node.into_iter().flat_map(Node::items) {
            let Some(fault) = self.fault(item) else {
                continue;
            };
            if let Some(name) = &fault.name {
                if self.faults.contains(name) {
                    let span = item.get("name").map_or(item.span, |name| name.span);
                    self.context
                        .error(span, format!("two faults are called `{name}`"), "");
                }
                self.faults.push(name.clone());
            }
            out.push(fault);
        }
        out
    }

    fn fault(&mut self, node: &Node) -> Option<Fault> {
        let on = node.get("on")?;
        let words = on.string()?;
        let (verb, target) = words
            .split_once(' ')
            .map_or((words.as_str(), None), |(verb, target)| {
                (verb, Some(target))
            });
        let effect = effect(node)?;
        let of_watch = matches!(
            effect,
            FaultEffect::DropEvents(_) | FaultEffect::Disconnect | FaultEffect::Expire
        );
        let of_view = matches!(effect, FaultEffect::Stale(_) | FaultEffect::Hide(_));
        let fits = match verb {
            "watch" => of_watch || matches!(effect, FaultEffect::Delay(_)),
            "view" => of_view,
            _ => !of_watch && !of_view,
        };
        if !fits {
            let label = "watch: delay, drop, disconnect, expire; view: stale, hide; others: reply, lose, delay";
            self.context.error(
                on.span,
                format!("`{verb}` cannot be bent in this way"),
                label,
            );
        }
        if verb == "discover" && target.is_some() {
            let label = "write `on: discover`";
            self.context
                .error(on.span, "discovery is about no single object", label);
        }
        self.idle_fault(node, verb);
        let times = node.get("times");
        Some(Fault {
            name: node.get("name").and_then(Node::string),
            verb: verb.to_owned(),
            target: target.and_then(|target| request_target(target.trim()).ok()),
            by: node
                .get("by")
                .and_then(Node::string)
                .unwrap_or_else(|| "engine".to_owned()),
            dry_run: node.get("dryRun").and_then(Node::boolean),
            after: node.get("after").and_then(Node::small).unwrap_or(0),
            times: times.map_or(Some(1), Node::small),
            optional: node
                .get("optional")
                .and_then(Node::boolean)
                .unwrap_or(false),
            effect,
        })
    }
}

fn effect(node: &Node) -> Option<FaultEffect> {
    if let Some(reply) = node.get("reply") {
        let text = |key: &str| reply.get(key).and_then(Node::string).unwrap_or_default();
        let code = reply
            .get("code")
            .and_then(Node::unsigned)
            .and_then(|code| u16::try_from(code).ok())?;
        return Some(FaultEffect::Reply {
            code,
            reason: text("reason"),
            message: text("message"),
        });
    }
    if let Some(lose) = node.get("lose") {
        return Some(if lose.string()? == "request" {
            FaultEffect::LoseRequest
        } else {
            FaultEffect::LoseResponse
        });
    }
    if let Some(delay) = node.get("delay") {
        return delay.duration().map(FaultEffect::Delay);
    }
    if let Some(drop) = node.get("drop") {
        return drop
            .get("events")
            .and_then(Node::small)
            .map(FaultEffect::DropEvents);
    }
    if node.get("disconnect").is_some() {
        return Some(FaultEffect::Disconnect);
    }
    if node.get("expire").is_some() {
        return Some(FaultEffect::Expire);
    }
    if let Some(stale) = node.get("stale") {
        return stale
            .get("passes")
            .and_then(Node::small)
            .map(FaultEffect::Stale);
    }
    node.get("hide")
        .and_then(|hide| hide.get("passes"))
        .map(|passes| FaultEffect::Hide(passes.small()))
}
