//! One stored object in the versions it is served in (API-067, 259).

pub(crate) mod autoscaler;

use wavetank_json::Value;

use crate::registry::{Resource, VersionType};

/// Turns an object of the version of a request into the stored version.
pub(crate) fn to_storage(resource: &Resource, api_version: &str, object: &mut Value) {
    if api_version == resource.storage {
        return;
    }
    if is_autoscaler(resource) {
        autoscaler::to_v2(object);
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
        autoscaler::to_v1(&mut out);
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
