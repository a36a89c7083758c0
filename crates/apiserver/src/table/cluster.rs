//! Rows of nodes, namespaces, volumes and events.

use wavetank_json::{Value, json};
use wavetank_model::object;

use super::{Row, or};
use crate::kinds::json::{entries, flag, int, items, present, text};

pub(super) fn cells(kind: &str, row: &Row<'_>) -> Option<Vec<Value>> {
    Some(match kind {
        "Namespace" => vec![row.name(), row.text("/status/phase").into(), row.age()],
        "Node" => node(row),
        "Event" => event(row),
        "PersistentVolume" => {
            let claim = row.at("/spec/claimRef");
            let claim = if claim.is_null() {
                String::new()
            } else {
                format!("{}/{}", text(claim, "namespace"), text(claim, "name"))
            };
            vec![
                row.name(),
                row.text("/spec/capacity/storage").into(),
                access_modes(row.at("/spec")).into(),
                row.text("/spec/persistentVolumeReclaimPolicy").into(),
                phase(row).into(),
                claim.into(),
                row.text("/spec/storageClassName").into(),
                attributes_class(row),
                row.text("/status/reason").into(),
                row.age(),
                or(row.text("/spec/volumeMode"), "<unset>").into(),
            ]
        }
        "PersistentVolumeClaim" => {
            let bound = !row.text("/spec/volumeName").is_empty();
            vec![
                row.name(),
                phase(row).into(),
                row.text("/spec/volumeName").into(),
                if bound {
                    row.text("/status/capacity/storage")
                } else {
                    ""
                }
                .into(),
                if bound {
                    access_modes(row.at("/status"))
                } else {
                    String::new()
                }
                .into(),
                row.text("/spec/storageClassName").into(),
                attributes_class(row),
                row.age(),
                or(row.text("/spec/volumeMode"), "<unset>").into(),
            ]
        }
        _ => return None,
    })
}

fn phase(row: &Row<'_>) -> String {
    if object::is_terminating(row.object) {
        "Terminating".to_owned()
    } else {
        row.text("/status/phase").to_owned()
    }
}

fn attributes_class(row: &Row<'_>) -> Value {
    row.at("/spec/volumeAttributesClassName")
        .as_str()
        .unwrap_or("<unset>")
        .into()
}

/// Access modes in their short form, in a fixed order.
fn access_modes(owner: &Value) -> String {
    let has = |mode: &str| items(owner, "accessModes").iter().any(|item| item == mode);
    let short = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    short
        .iter()
        .filter(|(mode, _)| has(mode))
        .map(|(_, short)| *short)
        .collect::<Vec<_>>()
        .join(",")
}

fn node(row: &Row<'_>) -> Vec<Value> {
    let ready = items(row.at("/status"), "conditions")
        .iter()
        .find(|condition| text(condition, "type") == "Ready");
    let mut status = match ready.map(|condition| text(condition, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if flag(row.at("/spec"), "unschedulable") {
        status.push_str(",SchedulingDisabled");
    }
    let mut roles: Vec<&str> = entries(row.at("/metadata"), "labels")
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None => value.as_str().filter(|_| key == "kubernetes.io/role"),
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    let address = |kind: &str| {
        let found = items(row.at("/status"), "addresses")
            .iter()
            .find(|address| text(address, "type") == kind);
        or(
            found
                .map(|address| text(address, "address"))
                .unwrap_or_default(),
            "<none>",
        )
    };
    vec![
        row.name(),
        status.into(),
        or(&roles.join(","), "<none>").into(),
        row.age(),
        row.text("/status/nodeInfo/kubeletVersion").into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        or(row.text("/status/nodeInfo/osImage"), "<unknown>").into(),
        or(row.text("/status/nodeInfo/kernelVersion"), "<unknown>").into(),
        or(
            row.text("/status/nodeInfo/containerRuntimeVersion"),
            "<unknown>",
        )
        .into(),
    ]
}

fn event(row: &Row<'_>) -> Vec<Value> {
    let event_time = row.text("/eventTime");
    let since = |pointer: &str| {
        let time = row.text(pointer);
        let time = if time.is_empty() { event_time } else { time };
        if time.is_empty() {
            "<unknown>".to_owned()
        } else {
            row.since(time)
        }
    };
    let last = match row.at("/series/lastObservedTime").as_str() {
        Some(time) => row.since(time),
        None => since("/lastTimestamp"),
    };
    let involved = row.at("/involvedObject");
    let target = if text(involved, "name").is_empty() {
        text(involved, "kind").to_lowercase()
    } else {
        format!(
            "{}/{}",
            text(involved, "kind").to_lowercase(),
            text(involved, "name")
        )
    };
    let (component, host) = (row.text("/source/component"), row.text("/source/host"));
    let component = if component.is_empty() {
        row.text("/reportingComponent")
    } else {
        component
    };
    let host = if host.is_empty() {
        row.text("/reportingInstance")
    } else {
        host
    };
    let source = if host.is_empty() {
        component.to_owned()
    } else {
        format!("{component}, {host}")
    };
    let count = match present(row.object, "series") {
        Some(series) => int(series, "count").unwrap_or(0),
        None => row.int("/count"),
    };
    vec![
        last.into(),
        row.text("/type").into(),
        row.text("/reason").into(),
        target.into(),
        text(involved, "fieldPath").into(),
        source.into(),
        row.text("/message").trim().into(),
        since("/firstTimestamp").into(),
        json!(count.max(1)),
        row.name(),
    ]
}
