//! Completion indexes of Indexed Jobs.

use std::collections::BTreeSet;

use wavetank_json::{Value, json};
use wavetank_model::object;

/// Label and annotation with a Pod's index.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Reads `1,3-5`.
pub(super) fn parse(text: &str) -> BTreeSet<u32> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
        })
        .flatten()
        .collect()
}

/// Writes `1,3-5`.
pub(super) fn format(indexes: &BTreeSet<u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => ranges.push((*index, *index)),
        }
    }
    let parts: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    parts.join(",")
}

const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// How often the index of this Pod had failed before: counted failures, and those that a policy ignored.
pub(super) fn failures(pod: &Value) -> (i64, i64) {
    let read = |key| {
        object::annotation(pod, key)
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    };
    (read(FAILURES), read(IGNORED))
}

/// Notes on a new Pod how often its index failed before.
pub(super) fn note_failures(pod: &mut Value, (counted, ignored): (i64, i64)) {
    pod["metadata"]["annotations"][FAILURES] = counted.to_string().into();
    if ignored > 0 {
        pod["metadata"]["annotations"][IGNORED] = ignored.to_string().into();
    }
}

/// Gives a Pod its index: label, annotation, host name, environment.
pub(super) fn mark(pod: &mut Value, job: &str, index: u32) {
    let text = index.to_string();
    pod["metadata"]["labels"][INDEX] = text.clone().into();
    pod["metadata"]["annotations"][INDEX] = text.into();
    pod["spec"]["hostname"] = format!("{job}-{index}").into();
    let variable = json!({
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}},
    });
    for field in ["initContainers", "containers"] {
        let Some(containers) = pod["spec"].get_mut(field).and_then(Value::as_array_mut) else {
            continue;
        };
        for container in containers {
            match container.get_mut("env").and_then(Value::as_array_mut) {
                Some(variables) => variables.push(variable.clone()),
                None => container["env"] = json!([variable]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_lists_read_and_print_alike() {
        for text in ["", "0", "0,1", "1,3-5", "0-2,7"] {
            assert_eq!(format(&parse(text)), text);
        }
    }
}
