//! `HorizontalPodAutoscalers` in `autoscaling/v1`: what that version has no fields for stands in annotations, as text.
//!
//! The texts are those of a real server: with the names that `autoscaling/v1` gave these fields, in the order of Go's types.

use wavetank_json::{Map, Value, json};
use wavetank_model::defaults::scaling::METRICS_ANNOTATION as METRICS;
use wavetank_model::object::At;

const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// Metrics by their `type`, and the field that holds them.
const SOURCES: [(&str, &str); 5] = [
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
    ("Pods", "pods"),
    ("Object", "object"),
    ("External", "external"),
];

/// Takes a field out of a map.
fn take(object: &mut Value, part: &str, field: &str) -> Option<Value> {
    object.get_mut(part)?.as_object_mut()?.remove(field)
}

/// What stands in an annotation, which goes; `None` when that cannot be read.
fn take_annotation(object: &mut Value, name: &str) -> Option<Value> {
    let annotations = object
        .pointer_mut("/metadata/annotations")?
        .as_object_mut()?;
    let text = annotations.remove(name)?;
    if annotations.is_empty() {
        object["metadata"].as_object_mut()?.remove("annotations");
    }
    serde_json::from_str(text.as_str()?).ok()
}

/// From `autoscaling/v1` to `autoscaling/v2`.
pub(super) fn to_v2(object: &mut Value) {
    let target = take(object, "spec", "targetCPUUtilizationPercentage").map(|percent| {
        json!({
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
        })
    });
    let metrics = take_annotation(object, METRICS);
    let mut metrics: Vec<Value> = items(metrics.as_ref()).map(spec_to_v2).collect();
    metrics.extend(target);
    if !metrics.is_empty() {
        object["spec"]["metrics"] = Value::Array(metrics);
    }
    let current = take(object, "status", "currentCPUUtilizationPercentage").map(|percent| {
        json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}})
    });
    let statuses = take_annotation(object, CURRENT_METRICS);
    let statuses: Vec<Value> = match &statuses {
        Some(Value::Array(all)) => all.iter().map(status_to_v2).collect(),
        _ => current.into_iter().collect(),
    };
    if !statuses.is_empty() {
        object["status"]["currentMetrics"] = Value::Array(statuses);
    }
    if object.at(&["status", "currentReplicas"]) == Some(&Value::from(0)) {
        // The later version leaves it out.
        drop(take(object, "status", "currentReplicas"));
    }
    if let Some(behavior) = take_annotation(object, BEHAVIOR) {
        object["spec"]["behavior"] = behavior_to_v2(&behavior);
    }
    if let Some(conditions) = take_annotation(object, CONDITIONS) {
        object["status"]["conditions"] = conditions;
    }
}

/// From `autoscaling/v2` to `autoscaling/v1`.
pub(super) fn to_v1(object: &mut Value) {
    let mut annotations = Map::new();
    let mut others = Vec::new();
    let metrics = take(object, "spec", "metrics");
    for metric in items(metrics.as_ref()) {
        let percent = metric.pointer("/resource/target/averageUtilization");
        match percent.filter(|_| metric["resource"]["name"] == "cpu") {
            Some(percent) => {
                object["spec"]["targetCPUUtilizationPercentage"] = percent.clone();
            }
            None => others.push(metric_text(metric, "target")),
        }
    }
    if !others.is_empty() {
        annotations.insert(METRICS.to_owned(), list(&others));
    }
    let current = take(object, "status", "currentMetrics");
    let mut statuses = Vec::new();
    for metric in items(current.as_ref()) {
        let percent = metric.pointer("/resource/current/averageUtilization");
        if let Some(percent) = percent.filter(|_| metric["resource"]["name"] == "cpu") {
            object["status"]["currentCPUUtilizationPercentage"] = percent.clone();
        }
        statuses.push(metric_text(metric, "current"));
    }
    if !statuses.is_empty() {
        annotations.insert(CURRENT_METRICS.to_owned(), list(&statuses));
    }
    if let Some(behavior) = take(object, "spec", "behavior") {
        annotations.insert(BEHAVIOR.to_owned(), behavior_text(&behavior).into());
    }
    let conditions = take(object, "status", "conditions");
    let conditions: Vec<String> = items(conditions.as_ref()).map(condition_text).collect();
    if !conditions.is_empty() {
        annotations.insert(CONDITIONS.to_owned(), list(&conditions));
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.entry("currentReplicas").or_insert(0.into());
    }
    if !annotations.is_empty() {
        let metadata = &mut object["metadata"];
        if !metadata["annotations"].is_object() {
            metadata["annotations"] = json!({});
        }
        for (name, text) in annotations {
            metadata["annotations"][name] = text;
        }
    }
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn list(texts: &[String]) -> Value {
    Value::from(format!("[{}]", texts.join(",")))
}

/// An object with its fields in this order; those without a value are left out.
fn written(fields: &[(&str, Option<String>)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .filter_map(|(name, text)| Some(format!("\"{name}\":{}", text.as_ref()?)))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn raw(object: &Value, name: &str) -> Option<String> {
    object.get(name).map(Value::to_string)
}

/// A selector, whose labels stand first.
fn selector_text(metric: &Value) -> Option<String> {
    let selector = metric.get("selector")?;
    Some(written(&[
        ("matchLabels", raw(selector, "matchLabels")),
        ("matchExpressions", raw(selector, "matchExpressions")),
    ]))
}

/// A metric, or its status, in the words of `autoscaling/v1`; `which` is `target` or `current`.
fn metric_text(metric: &Value, which: &str) -> String {
    let kind = metric["type"].as_str().unwrap_or_default();
    let Some((_, field)) = SOURCES.iter().find(|(name, _)| *name == kind) else {
        return written(&[("type", raw(metric, "type"))]);
    };
    let source = &metric[*field];
    let (amount, of) = (&source[which], &source["metric"]);
    // Go writes amounts that are no pointers even where there is none.
    let zero = || Some("\"0\"".to_owned());
    let is_current = which == "current";
    let average = format!("{which}AverageValue");
    let value = format!("{which}Value");
    let utilization = format!("{which}AverageUtilization");
    let average_value = raw(amount, "averageValue");
    let text = match kind {
        "Resource" | "ContainerResource" => written(&[
            ("name", raw(source, "name")),
            (&utilization, raw(amount, "averageUtilization")),
            (
                &average,
                average_value.or_else(|| is_current.then(zero).flatten()),
            ),
            ("container", raw(source, "container")),
        ]),
        "Pods" => written(&[
            ("metricName", raw(of, "name")),
            (&average, average_value.or_else(zero)),
            ("selector", selector_text(of)),
        ]),
        "Object" => {
            let target = &source["describedObject"];
            let target = written(&[
                ("kind", raw(target, "kind")),
                ("name", raw(target, "name")),
                ("apiVersion", raw(target, "apiVersion")),
            ]);
            written(&[
                ("target", Some(target)),
                ("metricName", raw(of, "name")),
                (&value, raw(amount, "value").or_else(zero)),
                ("selector", selector_text(of)),
                ("averageValue", average_value),
            ])
        }
        _ => written(&[
            ("metricName", raw(of, "name")),
            ("metricSelector", selector_text(of)),
            (
                &value,
                raw(amount, "value").or_else(|| is_current.then(zero).flatten()),
            ),
            (&average, average_value),
        ]),
    };
    written(&[("type", raw(metric, "type")), (field, Some(text))])
}

/// Puts what there is of these into a map.
fn made<const N: usize>(fields: [(&str, Option<&Value>); N]) -> Value {
    let there = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
    Value::Object(there.collect())
}

fn spec_to_v2(metric: &Value) -> Value {
    to_source(metric, "target", |source| {
        let average = source
            .get("targetAverageValue")
            .or_else(|| source.get("averageValue"));
        let value = source.get("targetValue");
        if let Some(percent) = source.get("targetAverageUtilization") {
            json!({"type": "Utilization", "averageUtilization": percent})
        } else if let Some(average) = average {
            json!({"type": "AverageValue", "averageValue": average})
        } else {
            json!({"type": "Value", "value": value.cloned().unwrap_or_else(|| "0".into())})
        }
    })
}

fn status_to_v2(metric: &Value) -> Value {
    to_source(metric, "current", |source| {
        made([
            (
                "averageUtilization",
                source.get("currentAverageUtilization"),
            ),
            (
                "averageValue",
                source
                    .get("currentAverageValue")
                    .or_else(|| source.get("averageValue")),
            ),
            ("value", source.get("currentValue")),
        ])
    })
}

/// A metric of `autoscaling/v1` in the shape of `autoscaling/v2`, with its amount under the name `which`.
fn to_source(metric: &Value, which: &str, amount: impl Fn(&Value) -> Value) -> Value {
    let kind = metric["type"].as_str().unwrap_or_default();
    let Some((_, field)) = SOURCES.iter().find(|(name, _)| *name == kind) else {
        return metric.clone();
    };
    let source = &metric[*field];
    let selector = source
        .get("selector")
        .or_else(|| source.get("metricSelector"));
    let of = made([("name", source.get("metricName")), ("selector", selector)]);
    let mut out = match kind {
        "Resource" | "ContainerResource" => made([
            ("name", source.get("name")),
            ("container", source.get("container")),
        ]),
        "Object" => made([
            ("describedObject", source.get("target")),
            ("metric", Some(&of)),
        ]),
        _ => made([("metric", Some(&of))]),
    };
    out[which] = amount(source);
    json!({"type": kind, *field: out})
}

/// The fields of `behavior` as the text names them, in its order: the server's own type has no other names.
const RULES: [(&str, &str); 2] = [("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown")];

fn behavior_text(behavior: &Value) -> String {
    let or_null = |object: &Value, name: &str| {
        let value = object.get(name).cloned().unwrap_or_default();
        Some(value.to_string())
    };
    let rules = RULES.map(|(shown, name)| {
        let text = behavior
            .get(name)
            .filter(|rules| rules.is_object())
            .map(|rules| {
                let policies = rules["policies"].as_array().map(|all| {
                    let all: Vec<String> = all
                        .iter()
                        .map(|policy| {
                            written(&[
                                ("Type", or_null(policy, "type")),
                                ("Value", or_null(policy, "value")),
                                ("PeriodSeconds", or_null(policy, "periodSeconds")),
                            ])
                        })
                        .collect();
                    format!("[{}]", all.join(","))
                });
                written(&[
                    (
                        "StabilizationWindowSeconds",
                        or_null(rules, "stabilizationWindowSeconds"),
                    ),
                    ("SelectPolicy", or_null(rules, "selectPolicy")),
                    (
                        "Policies",
                        Some(policies.unwrap_or_else(|| "null".to_owned())),
                    ),
                    ("Tolerance", or_null(rules, "tolerance")),
                ])
            });
        (shown, Some(text.unwrap_or_else(|| "null".to_owned())))
    });
    written(&rules)
}

/// The field of this name, in whatever letters it is written.
fn any_case<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let mut fields = object.as_object()?.iter();
    fields
        .find(|(written, value)| written.eq_ignore_ascii_case(name) && !value.is_null())
        .map(|(_, value)| value)
}

fn behavior_to_v2(behavior: &Value) -> Value {
    let mut out = Map::new();
    for (_, name) in RULES {
        let Some(rules) = any_case(behavior, name) else {
            continue;
        };
        let mut of = made([
            (
                "stabilizationWindowSeconds",
                any_case(rules, "stabilizationWindowSeconds"),
            ),
            ("selectPolicy", any_case(rules, "selectPolicy")),
            ("tolerance", any_case(rules, "tolerance")),
        ]);
        // Without any it has none, and no default: as the server's own type, which is not that of `autoscaling/v2`.
        let policies = items(any_case(rules, "policies")).map(|policy| {
            made(["type", "value", "periodSeconds"].map(|name| (name, any_case(policy, name))))
        });
        of["policies"] = policies.collect();
        out.insert(name.to_owned(), of);
    }
    Value::Object(out)
}

fn condition_text(condition: &Value) -> String {
    let names = ["type", "status", "lastTransitionTime", "reason", "message"];
    written(&names.map(|name| (name, raw(condition, name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_keeps_its_target_over_versions() {
        let first = json!({"apiVersion": "autoscaling/v1", "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 70}});
        let mut object = first.clone();
        to_v2(&mut object);
        assert_eq!(
            object["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
            70
        );
        to_v1(&mut object);
        assert_eq!(object, first);
    }

    #[test]
    fn what_v1_has_no_fields_for_survives_it() {
        let first = json!({
            "metadata": {"name": "a"},
            "spec": {
                "metrics": [
                    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                    {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "hits"}, "target": {"type": "Value", "value": "9"}}},
                ],
                "behavior": {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}], "selectPolicy": "Max"}},
            },
            "status": {"conditions": [{"type": "AbleToScale", "status": "True"}]},
        });
        let mut object = first.clone();
        to_v1(&mut object);
        assert_eq!(
            object["metadata"]["annotations"][METRICS],
            r#"[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}},{"type":"Object","object":{"target":{"kind":"Service","name":"s"},"metricName":"hits","targetValue":"9"}}]"#
        );
        to_v2(&mut object);
        assert_eq!(object, first);
    }
}
