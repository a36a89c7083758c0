//! One stored object in the versions it is served in (API-067, 259).

use serde_json::{Value, json};

use crate::registry::{Resource, VersionType};

/// Turns an object of the version of a request into the stored version.
pub(crate) fn to_storage(resource: &Resource, api_version: &str, object: &mut Value) {
    if api_version == resource.storage {
        return;
    }
    if is_autoscaler(resource) {
        autoscaler_to_v2(object);
    } else if is_event(resource) {
        rename(object, EVENT_FIELDS.map(|(core, other)| (other, core)));
    }
    object["apiVersion"] = Value::from(resource.storage.clone());
}

/// A stored object in another version.
pub(crate) fn from_storage(resource: &Resource, api_version: &str, object: &Value) -> Value {
    let mut out = object.clone();
    let stored = object["apiVersion"].as_str();
    if api_version == resource.storage && (!resource.mixed || stored == Some(api_version)) {
        return out;
    }
    out["apiVersion"] = Value::from(api_version);
    if is_autoscaler(resource) {
        autoscaler_to_v1(&mut out);
    } else if is_event(resource) {
        rename(&mut out, EVENT_FIELDS);
    }
    if let Some(VersionType::Custom(version)) = resource.version_type(api_version) {
        version.prune(&mut out);
        version.default(&mut out);
    }
    out
}

fn is_autoscaler(resource: &Resource) -> bool {
    resource.kind() == "HorizontalPodAutoscaler" && resource.group == "autoscaling"
}

fn is_event(resource: &Resource) -> bool {
    resource.kind() == "Event" && resource.group.is_empty()
}

/// Fields of a core event, and what `events.k8s.io` calls them.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename<const N: usize>(object: &mut Value, names: [(&str, &str); N]) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

/// Takes a field out of a map.
fn take(object: &mut Value, part: &str, field: &str) -> Option<Value> {
    object.get_mut(part)?.as_object_mut()?.remove(field)
}

fn autoscaler_to_v2(object: &mut Value) {
    let target = take(object, "spec", "targetCPUUtilizationPercentage");
    if let Some(percent) = target {
        object["spec"]["metrics"] = json!([{
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
        }]);
    }
    let current = take(object, "status", "currentCPUUtilizationPercentage");
    if let Some(percent) = current {
        object["status"]["currentMetrics"] = json!([{
            "type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent, "averageValue": "0"}},
        }]);
    }
}

fn autoscaler_to_v1(object: &mut Value) {
    let cpu = |metrics: Option<Value>, pointer: &str| {
        let metrics = metrics?;
        metrics
            .as_array()?
            .iter()
            .find(|metric| metric["resource"]["name"] == "cpu")?
            .pointer(pointer)
            .cloned()
    };
    let metrics = take(object, "spec", "metrics");
    if let Some(percent) = cpu(metrics, "/resource/target/averageUtilization") {
        object["spec"]["targetCPUUtilizationPercentage"] = percent;
    }
    let current = take(object, "status", "currentMetrics");
    if let Some(percent) = cpu(current, "/resource/current/averageUtilization") {
        object["status"]["currentCPUUtilizationPercentage"] = percent;
    }
    drop(take(object, "status", "conditions"));
    drop(take(object, "spec", "behavior"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_autoscaler_keeps_its_target_over_versions() {
        let first = json!({"apiVersion": "autoscaling/v1", "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 70}});
        let mut object = first.clone();
        autoscaler_to_v2(&mut object);
        assert_eq!(
            object["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"],
            70
        );
        autoscaler_to_v1(&mut object);
        assert_eq!(object, first);
    }
}
