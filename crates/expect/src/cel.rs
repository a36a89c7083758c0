//! `cel`: expressions of the Common Expression Language over the objects, the operation and the trace.
//!
//! | name | what it is |
//! |---|---|
//! | `objects('Kind')` | the objects of a kind that are there at the end, ordered by namespace and name; the kind may carry its group: `Widget.example.com` |
//! | `operation` | the stored state of the operation at the end: `phase`, `message`, `retries`, `revision`, `results`; null without one |
//! | `trace` | the entries of the part as a trace file has them; those that are events have their text as `event` |
//!
//! Kubernetes' own functions (strings, lists, sets, quantities, regular expressions …) are there too. Whole numbers are
//! `int`.

use std::sync::Arc;

use kube_cel::KubeCelExt;
use kube_cel::cel::{Context, ExecutionError, Program, Value as CelValue, to_value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use wavetank_json::Value;
use wavetank_model::{ObjectKey, Reference};
use wavetank_trace::World;

use crate::judgement::{Answer, Failure};
use crate::part::Part;

/// The expressions that are not true.
pub(crate) fn failures(expressions: &[String], state: &World, part: &Part<'_>) -> Vec<Failure> {
    expressions
        .iter()
        .enumerate()
        .filter_map(|(index, text)| {
            let (answer, observed) = match evaluate(text, state, part) {
                Ok(CelValue::Bool(true)) => return None,
                Ok(CelValue::Bool(false)) => (Answer::NotYet, "false".to_owned()),
                Ok(other) => (
                    Answer::Never,
                    format!("a value of type {}, not a bool", other.type_of()),
                ),
                Err(error) => (Answer::NotYet, error),
            };
            Some(Failure {
                item: format!("item {}", index + 1),
                answer,
                expected: text.clone(),
                observed,
                excerpt: Vec::new(),
            })
        })
        .collect()
}

fn evaluate(text: &str, state: &World, part: &Part<'_>) -> Result<CelValue, String> {
    let program = Program::compile(text)
        .map_err(|error| format!("the expression cannot be read: {}", one_line(&error)))?;
    let mut context = Context::default();
    context.register_all();
    let objects: Vec<(ObjectKey, Arc<Value>)> = state
        .objects()
        .map(|(key, object)| (key.clone(), Arc::clone(object)))
        .collect();
    let home = part.home.to_owned();
    context.add_function("objects", move |kind: Arc<String>| {
        of_kind(&kind, &objects, &home)
    });
    let references = program.references();
    if references.has_variable("operation") {
        let operation = part.operation().map(|operation| &operation.state);
        let json = wavetank_json::to_value(operation).map_err(|error| error.to_string())?;
        context.add_variable_from_value("operation", convert(&json)?);
    }
    if references.has_variable("trace") {
        let entries: Result<Vec<Value>, String> = part
            .entries
            .iter()
            .map(|entry| {
                let mut json = wavetank_json::to_value(entry).map_err(|error| error.to_string())?;
                if let Some(event) = entry.event.describe(part.home) {
                    json["event"] = event.into();
                }
                Ok(json)
            })
            .collect();
        context.add_variable_from_value("trace", convert(&Value::Array(entries?))?);
    }
    program
        .execute(&context)
        .map_err(|error| format!("the expression cannot be evaluated: {}", one_line(&error)))
}

fn of_kind(
    kind: &str,
    objects: &[(ObjectKey, Arc<Value>)],
    home: &str,
) -> Result<CelValue, ExecutionError> {
    let failed = |error: String| ExecutionError::function_error("objects", error);
    let reference: Reference = format!("{kind}/*/*")
        .parse()
        .map_err(|_| failed(format!("`{kind}` is no kind")))?;
    let items: Result<Vec<CelValue>, String> = objects
        .iter()
        .filter(|(key, _)| reference.matches(key, home))
        .map(|(_, object)| convert(object))
        .collect();
    items
        .map(|items| CelValue::List(Arc::new(items)))
        .map_err(failed)
}

fn convert(json: &Value) -> Result<CelValue, String> {
    to_value(Signed(json)).map_err(|error| error.to_string())
}

/// JSON whose whole numbers are signed wherever they fit, so that they compare with literals.
struct Signed<'a>(&'a Value);

impl Serialize for Signed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => match number.as_i64() {
                Some(number) => serializer.serialize_i64(number),
                None => number.serialize(serializer),
            },
            Value::Array(items) => {
                let mut out = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    out.serialize_element(&Signed(item))?;
                }
                out.end()
            }
            Value::Object(fields) => {
                let mut out = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    out.serialize_entry(name, &Signed(value))?;
                }
                out.end()
            }
            other => other.serialize(serializer),
        }
    }
}

fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let parts: Vec<&str> = text.split_whitespace().collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_kernel::SimTime;

    use super::*;
    use crate::testing::{HOME, trace};

    const RUN: &str = r#"
        1 operation started
        2 Deployment/web created = {"metadata": {"name": "web", "generation": 2}, "status": {"readyReplicas": 3}}
        3 operation succeeded: done
    "#;

    fn observed(expression: &str) -> String {
        let entries = trace(RUN);
        let mut world = World::new();
        for entry in &entries {
            world.push(entry);
        }
        let part = Part {
            entries: &entries,
            earlier: &[],
            start: SimTime::ZERO,
            home: HOME,
        };
        failures(&[expression.to_owned()], &world, &part)
            .pop()
            .map_or_else(|| "holds".to_owned(), |failure| failure.observed)
    }

    #[test]
    fn objects_operation_and_trace_can_be_asked() {
        for expression in [
            "objects('Deployment').all(d, d.status.readyReplicas > 2 && d.metadata.generation == 2)",
            "objects('Deployment').size() == 1 && objects('Job').size() == 0",
            "operation.phase == 'Succeeded' && operation.message == 'done'",
            "trace.exists(e, has(e.event) && e.event == 'Deployment/web created' && e.ms == 2000)",
            "objects('Deployment')[0].metadata.name.replace('w', 'v') == 'veb'",
        ] {
            assert_eq!(observed(expression), "holds", "{expression}");
        }
    }

    #[test]
    fn what_is_not_true_says_why() {
        assert_eq!(observed("operation.retries == 7"), "false");
        assert_eq!(
            observed("operation.phase"),
            "a value of type string, not a bool"
        );
        assert!(observed("objects('Deployment')[0].nope == 1").contains("No such key: nope"));
        assert!(observed("objects('deployment') == []").contains("`deployment` is no kind"));
        assert!(observed("1 +").starts_with("the expression cannot be read"));
    }

    #[test]
    fn numbers_too_large_for_int_stay_unsigned() {
        let value = convert(&json!({"a": 18_446_744_073_709_551_615_u64, "b": -1}));
        assert!(value.is_ok());
    }
}
