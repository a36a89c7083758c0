//! Tables: what `kubectl get` shows (API-214 to API-219).
//!
//! [`columns`] and [`row`] are for built-in kinds; [`custom_columns`] and [`custom_row`] for custom resources, after the
//! `additionalPrinterColumns` of their version. Wrapping rows into a `Table` and adding `object` is the server's business.
//! Column descriptions are left empty.

use std::borrow::Cow;

use jiff::Timestamp;
use wavetank_json::{Value, json};
use wavetank_model::key::GroupKind;
use wavetank_model::object;

mod cluster;
mod columns;
mod config;
mod custom;
mod duration;
mod pod;
mod workload;

pub(crate) use custom::{custom_columns, custom_row};
pub(crate) use duration::human_duration;

use crate::kinds::json::{entries, items, text};

/// A column of a Table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Heading.
    pub name: Cow<'static, str>,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: Cow<'static, str>,
    /// `name` for the primary column, or empty.
    pub format: Cow<'static, str>,
    /// Explanation; may be empty.
    pub description: Cow<'static, str>,
    /// 0 for what is always shown, more for wide output.
    pub priority: i32,
    /// Where a custom resource has the value.
    path: Option<custom::Path>,
}

impl Column {
    const fn new(
        name: &'static str,
        kind: &'static str,
        format: &'static str,
        priority: i32,
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            kind: Cow::Borrowed(kind),
            format: Cow::Borrowed(format),
            description: Cow::Borrowed(""),
            priority,
            path: None,
        }
    }

    /// As an entry of `columnDefinitions`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format, "description": self.description,
            "priority": self.priority,
        })
    }
}

/// The columns of a built-in kind: name and creation time where it has none of its own.
pub(crate) fn columns(gk: &GroupKind) -> &'static [Column] {
    columns::of(&gk.group, &gk.kind).unwrap_or(columns::PLAIN)
}

/// The cells of one object of a built-in kind, as many as it has columns.
pub(crate) fn row(gk: &GroupKind, object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    match (gk.group.as_str(), gk.kind.as_str()) {
        ("", "Pod") => Some(pod::cells(&row)),
        ("apps" | "batch", _) | ("", "ReplicationController" | "PodTemplate") => {
            workload::cells(&gk.kind, &row)
        }
        ("" | "events.k8s.io", "Event")
        | ("", "Node" | "Namespace" | "PersistentVolume" | "PersistentVolumeClaim") => {
            cluster::cells(&gk.kind, &row)
        }
        _ => config::cells(&gk.group, &gk.kind, &row),
    }
    .unwrap_or_else(|| row.plain())
}

/// An object and the time at which it is shown.
struct Row<'a> {
    object: &'a Value,
    now: Timestamp,
}

impl<'a> Row<'a> {
    fn name(&self) -> Value {
        object::name(self.object).into()
    }

    fn age(&self) -> Value {
        self.since(object::meta_str(self.object, "creationTimestamp"))
            .into()
    }

    /// How long ago `time` was; `<unknown>` when it is no time.
    fn since(&self, time: &str) -> String {
        wavetank_model::timestamp::parse(time).map_or_else(
            || "<unknown>".to_owned(),
            |time| human_duration(self.now.as_second() - time.as_second()),
        )
    }

    fn plain(&self) -> Vec<Value> {
        vec![
            self.name(),
            object::meta_str(self.object, "creationTimestamp").into(),
        ]
    }

    /// The value at a JSON pointer, null when absent.
    fn at(&self, pointer: &str) -> &'a Value {
        static NULL: Value = Value::Null;
        self.object.pointer(pointer).unwrap_or(&NULL)
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    fn int(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or(0)
    }
}

fn or(text: &str, missing: &str) -> String {
    if text.is_empty() {
        missing.to_owned()
    } else {
        text.to_owned()
    }
}

/// A map as `a=b,c=d`.
fn labels(map: &Value) -> String {
    let list: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    or(&list.join(","), "<none>")
}

/// A label selector as a client would write it.
fn selector(selector: &Value) -> String {
    let mut parts: Vec<String> = entries(selector, "matchLabels")
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in items(selector, "matchExpressions") {
        let key = text(expression, "key");
        let mut values: Vec<&str> = items(expression, "values")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push(match text(expression, "operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    or(&parts.join(","), "<none>")
}

/// Names and images of the containers of a Pod spec, each joined by commas.
fn containers(spec: &Value) -> (Value, Value) {
    let list = |key: &str| -> Value {
        items(spec, "containers")
            .iter()
            .map(|container| text(container, key))
            .collect::<Vec<_>>()
            .join(",")
            .into()
    };
    (list("name"), list("image"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// API-217, rows recorded from a real server by `tools/record-tables.py`.
    #[test]
    fn rows_are_those_of_a_real_server() {
        let mut out = Vec::new();
        for line in include_str!("table/recorded/rows.jsonl").lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let stored = &case["object"];
            let gk = wavetank_model::GroupVersionKind::of(stored)
                .unwrap()
                .group_kind();
            let now = object::meta_str(stored, "creationTimestamp")
                .parse()
                .unwrap_or(Timestamp::UNIX_EPOCH);
            let name = object::name(stored);
            let shown: Vec<Value> = columns(&gk)
                .iter()
                .map(|column| json!([column.name, column.kind, column.format, column.priority]))
                .collect();
            if Value::from(shown.clone()) != case["columns"] {
                out.push(format!(
                    "{} {name}: columns {}",
                    gk.kind,
                    Value::from(shown)
                ));
            }
            let cells = Value::from(row(&gk, stored, now)).to_string();
            let theirs = case["cells"].to_string().replace("\"1s\"", "\"0s\"");
            if cells != theirs {
                out.push(format!(
                    "{} {name}:\n  ours   {cells}\n  theirs {}",
                    gk.kind, case["cells"]
                ));
            }
        }
        assert!(out.is_empty(), "{}", out.join("\n"));
    }
}
