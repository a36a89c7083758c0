//! Section 8 of the format: expectations.

use wavetank_model::{EventPattern, Phase};

use super::{Reader, strings};
use crate::expectations::{
    AppExpectation, CountRange, Expectations, MessagePattern, NeverItem, OperationExpectation,
    OrderItem, RequestCount, ResultExpectation, ResultFields, ResultsExpectation, WaveItem,
    WithinItem,
};
use crate::shape::{regex_of, request_target, wave};
use crate::yaml::{Node, NodeValue};

impl Reader<'_, '_> {
    pub(super) fn expectations(&mut self, node: Option<&Node>) -> Expectations {
        let Some(node) = node else {
            return Expectations::default();
        };
        let entries = |key: &str| node.get(key).map_or(&[][..], Node::entries);
        let items = |key: &str| node.get(key).map_or(&[][..], Node::items);
        self.says_nothing(node);
        let present = items("present")
            .iter()
            .filter_map(|object| self.present(object))
            .collect();
        Expectations {
            operation: node.get("operation").map(operation),
            phases: node
                .get("phases")
                .map(|phases| phases.items().iter().filter_map(phase).collect()),
            waves: node.get("waves").map(|waves| self.waves(waves)),
            order: items("order")
                .iter()
                .map(order_item)
                .filter(|item| !item.events.is_empty())
                .collect(),
            before: entries("before")
                .iter()
                .filter_map(|(key, value)| Some((key.event()?, events(value))))
                .collect(),
            never: items("never").iter().filter_map(never).collect(),
            count: entries("count")
                .iter()
                .filter_map(|(key, value)| Some((key.event()?, self.range(value)?)))
                .collect(),
            within: entries("within")
                .iter()
                .filter_map(|(key, value)| Some((key.event()?, self.within(value)?)))
                .collect(),
            results: node.get("results").map(|results| self.results(results)),
            requests: entries("requests")
                .iter()
                .filter_map(|(key, value)| Some((request(key)?, self.range(value)?)))
                .collect(),
            app: node.get("app").map(app),
            present,
            absent: strings(node.get("absent"))
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            cel: strings(node.get("cel")),
        }
    }

    /// What is written and judges nothing; in a case keys may have dropped out, which is no mistake.
    fn says_nothing(&mut self, node: &Node) {
        let maps = ["operation", "app"].iter().filter_map(|key| node.get(key));
        let lists = node.get("order").map_or(&[][..], Node::items).iter();
        let needed = node.get("before").map_or(&[][..], Node::entries).iter();
        for node in maps.chain(lists).chain(needed.map(|(_, needed)| needed)) {
            let written: String = self.context.text(node.span).split_whitespace().collect();
            if matches!(written.as_str(), "{}" | "[]") {
                self.context.error(
                    node.span,
                    "this expects nothing",
                    "leave it out, or say what",
                );
            }
        }
    }

    /// A partial object must say which one it is.
    fn present(&mut self, node: &Node) -> Option<wavetank_json::Value> {
        for path in [&["apiVersion"][..], &["kind"], &["metadata", "name"]] {
            if node.is_map()
                && node
                    .at(path)
                    .and_then(Node::string)
                    .is_none_or(|text| text.is_empty())
            {
                let label = "`apiVersion`, `kind` and `metadata.name` say which object is meant";
                self.context.error(
                    node.span,
                    format!("this object has no `{}`", path.join(".")),
                    label,
                );
                return None;
            }
        }
        let value = self.json(node);
        if let Some(key) = wavetank_model::ObjectKey::of(&value)
            && let Some(name) = node.at(&["metadata", "name"])
        {
            self.context
                .use_reference(name, &key.name, wavetank_model::Reference::exact(&key));
        }
        Some(value)
    }

    fn waves(&mut self, node: &Node) -> Vec<WaveItem> {
        let mut out = Vec::new();
        for item in node.items() {
            if let NodeValue::Scalar(_) = item.value {
                out.push(WaveItem::Any);
                continue;
            }
            if item.is_map() && item.entries().len() != 1 {
                let label = "begin a new item with `-` for the next wave";
                self.context
                    .error(item.span, "an item of `waves` is one wave", label);
            }
            for (key, objects) in item.entries() {
                let text = key.string().unwrap_or_default();
                if text == "*" {
                    self.context
                        .error(key.span, "`*` stands alone in `waves`", "write `- \"*\"`");
                }
                let Some((phase, wave)) = wave(&text) else {
                    continue;
                };
                let names = strings(Some(objects));
                let others = names.iter().any(|name| name == "*");
                let objects = names
                    .iter()
                    .filter(|name| *name != "*")
                    .filter_map(|name| name.parse().ok())
                    .collect();
                out.push(WaveItem::Wave {
                    phase,
                    wave,
                    objects,
                    others,
                });
            }
        }
        out
    }

    fn range(&mut self, node: &Node) -> Option<CountRange> {
        if !node.is_map() {
            let exact = node.unsigned()?;
            return Some(CountRange {
                min: exact,
                max: Some(exact),
            });
        }
        let number = |key: &str| node.get(key).and_then(Node::unsigned);
        let range = CountRange {
            min: number("min").unwrap_or(0),
            max: number("max"),
        };
        if range.max.is_some_and(|max| max < range.min) {
            self.context
                .error(node.span, "`max` is less than `min`", "nothing can fit");
        }
        if number("min").is_none() && number("max").is_none() {
            self.context.error(
                node.span,
                "this count says nothing",
                "expected `min`, `max` or a number",
            );
        }
        Some(range)
    }

    fn within(&mut self, node: &Node) -> Option<WithinItem> {
        if !node.is_map() {
            return Some(WithinItem {
                since: None,
                min: std::time::Duration::ZERO,
                max: Some(node.duration()?),
            });
        }
        let duration = |key: &str| node.get(key).and_then(Node::duration);
        let item = WithinItem {
            since: node.get("since").and_then(Node::event),
            min: duration("min").unwrap_or_default(),
            max: duration("max"),
        };
        if item.max.is_some_and(|max| max < item.min) {
            self.context
                .error(node.span, "`max` is less than `min`", "nothing can fit");
        }
        if duration("min").is_none() && duration("max").is_none() {
            self.context.error(
                node.span,
                "this time says nothing",
                "expected `min`, `max` or a duration",
            );
        }
        Some(item)
    }

    fn results(&mut self, node: &Node) -> ResultsExpectation {
        let mut out = ResultsExpectation::default();
        for (key, value) in node.entries() {
            let Some(text) = key.string() else { continue };
            let is_absent = !value.is_map();
            if text == "*" {
                out.no_others = is_absent;
                if !is_absent {
                    self.context.error(
                        value.span,
                        "`*` takes `none`",
                        "it says that there are no other results",
                    );
                }
                continue;
            }
            let (phase, object) = match text.split_once(' ') {
                Some((phase, object)) => (Phase::parse(phase), object.trim()),
                None => (None, text.as_str()),
            };
            let Ok(reference) = object.parse() else {
                continue;
            };
            let expected = if is_absent {
                ResultExpectation::None
            } else {
                ResultExpectation::Fields(Box::new(result(value)))
            };
            out.items.push((phase, reference, expected));
        }
        out
    }
}

fn phase(node: &Node) -> Option<Phase> {
    Phase::parse(&node.string()?)
}

fn message(node: &Node) -> Option<MessagePattern> {
    let text = node.string()?;
    match regex_of(&text) {
        Some(regex) => regex.ok().map(MessagePattern::Regex),
        None => Some(MessagePattern::Literal(text)),
    }
}

fn operation(node: &Node) -> OperationExpectation {
    OperationExpectation {
        phase: node.get("phase").and_then(Node::string),
        message: node.get("message").and_then(message),
        messages: node
            .get("messages")
            .map_or(&[][..], Node::items)
            .iter()
            .filter_map(message)
            .collect(),
        retries: node.get("retries").and_then(Node::small),
        revision: node.get("revision").and_then(Node::string),
    }
}

fn events(node: &Node) -> Vec<EventPattern> {
    node.items().iter().filter_map(Node::event).collect()
}

fn order_item(node: &Node) -> OrderItem {
    match &node.value {
        NodeValue::List(_) => OrderItem {
            events: events(node),
        },
        _ => OrderItem {
            events: node.event().into_iter().collect(),
        },
    }
}

fn never(node: &Node) -> Option<NeverItem> {
    if node.is_map() {
        return Some(NeverItem {
            event: node.get("event")?.event()?,
            until: node.get("until").and_then(Node::event),
        });
    }
    Some(NeverItem {
        event: node.event()?,
        until: None,
    })
}

fn request(node: &Node) -> Option<RequestCount> {
    let text = node.string()?;
    let (dry_run, words) = match text.strip_prefix("dry-run ") {
        Some(words) => (true, words),
        None => (false, text.as_str()),
    };
    let (verb, target) = words
        .split_once(' ')
        .map_or((words, None), |(verb, target)| (verb, Some(target.trim())));
    let target = match target {
        Some(target) => Some(request_target(target).ok()?),
        None => None,
    };
    Some(RequestCount {
        verb: verb.to_owned(),
        target,
        dry_run,
    })
}

fn result(node: &Node) -> ResultFields {
    let text = |key: &str| node.get(key).and_then(Node::string);
    ResultFields {
        sync_phase: node.get("syncPhase").and_then(phase),
        hook_phase: text("hookPhase"),
        hook_type: text("hookType"),
        status: text("status"),
        message: node.get("message").and_then(message),
        images: node.get("images").map(|images| strings(Some(images))),
    }
}

fn app(node: &Node) -> AppExpectation {
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::string);
    let conditions = node.get("conditions").map_or(&[][..], Node::entries);
    let resources = node.get("resources").map_or(&[][..], Node::entries);
    AppExpectation {
        health: text(node, "health"),
        health_message: node.get("healthMessage").and_then(message),
        sync: text(node, "sync"),
        conditions: conditions
            .iter()
            .filter_map(|(key, value)| {
                let absent = value.string().as_deref() == Some("none");
                Some((key.string()?, if absent { None } else { message(value) }))
            })
            .collect(),
        resources: resources
            .iter()
            .filter_map(|(key, value)| {
                Some((key.reference()?, text(value, "sync"), text(value, "health")))
            })
            .collect(),
        history: node.get("history").and_then(Node::small),
    }
}
