//! Tables of custom resources: `additionalPrinterColumns` (API-218).

use std::borrow::Cow;

use jiff::Timestamp;
use wavetank_json::Value;

use super::{Column, Row};
use crate::kinds::json::{int, items, text};

/// A JSON path of the simple sort: fields, indices, and a filter by the value of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
    All,
    Where(String, String),
}

impl Path {
    /// Reads `.spec.a[0].b`, `.metadata.labels['x/y']`, `.a[*].b`, `.a[?(@.type=="Ready")].status`. Dots in a field name
    /// are escaped with a backslash.
    fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim().trim_start_matches('$');
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let end = after.find(']')?;
                // A filter holds brackets of its own only in quotes; the first closing one after it ends the step.
                let (inside, tail) = (&after[..end], &after[end + 1..]);
                steps.push(bracket(inside)?);
                rest = tail;
                continue;
            }
            let after = rest.strip_prefix('.').unwrap_or(rest);
            let (mut name, mut used) = (String::new(), after.len());
            let mut chars = after.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
                    '.' | '[' => {
                        used = at;
                        break;
                    }
                    c => name.push(c),
                }
            }
            if used == 0 {
                return None;
            }
            steps.push(Step::Field(name));
            rest = &after[used..];
        }
        Some(Self(steps))
    }

    /// The first value the path leads to.
    fn first<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        walk(&self.0, object)
    }
}

fn bracket(inside: &str) -> Option<Step> {
    let unquote = |text: &str| text.trim().trim_matches(['\'', '"']).to_owned();
    if inside == "*" {
        return Some(Step::All);
    }
    if let Some(filter) = inside
        .strip_prefix("?(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let (field, value) = filter.split_once("==")?;
        return Some(Step::Where(
            field.trim().strip_prefix("@.")?.to_owned(),
            unquote(value),
        ));
    }
    if let Ok(index) = inside.parse() {
        return Some(Step::Index(index));
    }
    inside
        .starts_with(['\'', '"'])
        .then(|| Step::Field(unquote(inside)))
}

fn walk<'a>(steps: &[Step], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(value);
    };
    match step {
        Step::Field(name) => walk(rest, value.get(name.as_str())?),
        Step::Index(index) => walk(rest, value.get(index)?),
        Step::All => value.as_array()?.iter().find_map(|item| walk(rest, item)),
        Step::Where(field, wanted) => value
            .as_array()?
            .iter()
            .filter(|item| text(item, field) == wanted)
            .find_map(|item| walk(rest, item)),
    }
}

/// The columns of a CRD's version (an entry of `spec.versions`): name first, then those it declares, else the age.
pub(crate) fn custom_columns(version: &Value) -> Vec<Column> {
    let mut out = vec![Column::new("Name", "string", "name", 0)];
    let declared = items(version, "additionalPrinterColumns");
    if declared.is_empty() {
        let mut age = Column::new("Age", "date", "", 0);
        age.path = Path::parse(".metadata.creationTimestamp");
        out.push(age);
        return out;
    }
    out.extend(declared.iter().map(|column| {
        Column {
            name: Cow::Owned(text(column, "name").to_owned()),
            kind: Cow::Owned(text(column, "type").to_owned()),
            format: Cow::Owned(text(column, "format").to_owned()),
            description: Cow::Owned(text(column, "description").to_owned()),
            priority: int(column, "priority")
                .and_then(|priority| i32::try_from(priority).ok())
                .unwrap_or(0),
            path: Path::parse(text(column, "jsonPath")),
        }
    }));
    out
}

/// The cells of one custom resource for [`custom_columns`]; what is missing or of another type is null.
pub(crate) fn custom_row(columns: &[Column], object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    columns
        .iter()
        .map(|column| {
            if column.format == "name" {
                return row.name();
            }
            let value = column
                .path
                .as_ref()
                .and_then(|path| path.first(object))
                .filter(|value| !value.is_null());
            let Some(value) = value else {
                return Value::Null;
            };
            match column.kind.as_ref() {
                "date" => value
                    .as_str()
                    .map_or(Value::Null, |time| row.since(time).into()),
                "integer" => value.as_i64().map_or(Value::Null, Value::from),
                "number" => value.as_f64().map_or(Value::Null, Value::from),
                "boolean" => value.as_bool().map_or(Value::Null, Value::from),
                _ => match value {
                    Value::String(text) => text.as_str().into(),
                    other => other.to_string().into(),
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn cells_follow_the_paths() {
        let version = json!({"additionalPrinterColumns": [
            {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
            {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
            {"name": "Label", "type": "string", "jsonPath": ".metadata.labels.a\\.b/c", "priority": 1},
            {"name": "Quoted", "type": "string", "jsonPath": ".metadata.labels['a.b/c']"},
            {"name": "First", "type": "string", "jsonPath": ".spec.list[0]"},
            {"name": "Any", "type": "string", "jsonPath": ".spec.items[*].name"},
            {"name": "Missing", "type": "string", "jsonPath": ".spec.none"},
            {"name": "Wrong", "type": "boolean", "jsonPath": ".spec.replicas"},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ]});
        let object = json!({
            "metadata": {"name": "x", "labels": {"a.b/c": "l"}, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 2, "list": ["f"], "items": [{}, {"name": "n"}]},
            "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        let now = "2026-01-01T00:02:10Z".parse().unwrap();
        let columns = custom_columns(&version);
        assert_eq!(
            Value::from(custom_row(&columns, &object, now)),
            json!(["x", 2, "True", "l", "l", "f", "n", null, null, "2m10s"])
        );
        assert_eq!(columns[3].priority, 1);
    }

    #[test]
    fn without_columns_there_are_name_and_age() {
        let names: Vec<Cow<'static, str>> = custom_columns(&json!({}))
            .into_iter()
            .map(|column| column.name)
            .collect();
        assert_eq!(names, ["Name", "Age"]);
    }
}
