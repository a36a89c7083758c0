//! Warnings about Pod specs (API-185).

use std::collections::BTreeMap;

use wavetank_json::Value;

use crate::kinds::json::{int, items, text};

/// What to warn about in the Pod spec at `path`, as `spec.template.spec`.
pub(in crate::kinds) fn of_spec(spec: &Value, path: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut host_paths: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, volume) in items(spec, "volumes").iter().enumerate() {
        if let Some(target) = volume
            .get("hostPath")
            .map(|source| text(source, "path"))
            .filter(|path| !path.is_empty())
        {
            if let Some(first) = host_paths.get(target) {
                out.push(format!(
                    "{path}.volumes[{index}].hostPath.path: duplicates volume mounted at {path}.volumes[{first}]"
                ));
            } else {
                host_paths.insert(target, index);
            }
        }
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in items(spec, list).iter().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            repeated_environment(container, &path, &mut out);
            repeated_ports(container, &path, &mut out);
        }
    }
    out
}

fn repeated_environment(container: &Value, path: &str, out: &mut Vec<String>) {
    let variables = items(container, "env");
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "name");
        // A later definition that refers to the earlier one does not hide it.
        let hides = variables[..index]
            .iter()
            .any(|earlier| text(earlier, "name") == name)
            && !text(variable, "value").contains(&format!("$({name})"));
        if !hides {
            continue;
        }
        out.push(format!(
            "{path}.env[{index}]: hides previous definition of \"{name}\", which may be dropped when using apply"
        ));
    }
}

fn repeated_ports(container: &Value, path: &str, out: &mut Vec<String>) {
    let ports = items(container, "ports");
    let key = |port: &Value| {
        (
            int(port, "containerPort"),
            text(port, "protocol").to_owned(),
            int(port, "hostPort"),
            text(port, "hostIP").to_owned(),
        )
    };
    for (index, port) in ports.iter().enumerate() {
        if int(port, "containerPort").unwrap_or(0) == 0 {
            continue;
        }
        if let Some(first) = ports[..index]
            .iter()
            .position(|earlier| key(earlier) == key(port))
        {
            out.push(format!(
                "{path}.ports[{index}]: duplicate port definition with {path}.ports[{first}]"
            ));
        }
    }
}
