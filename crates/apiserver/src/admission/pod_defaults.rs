//! Priority, `DefaultTolerationSeconds` (API-273), `RuntimeClass`, `TaintNodesByCondition`.

use wavetank_json::{Value, json};
use wavetank_model::key::{GroupKind, ObjectKey};
use wavetank_model::object::{self, At};
use wavetank_model::status::Status;

use crate::kinds::json::{ensure, ensure_list, flag, int, items, present, restore, set, text};

use super::{Lookup, Operation, Request};

const GROUP: &str = "scheduling.k8s.io";

/// Sets priority and preemption policy of a new Pod from its `PriorityClass`; an update keeps them.
pub(super) fn priority(
    request: &Request<'_>,
    pod: &mut Value,
    old: Option<&Value>,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    let Some(spec) = ensure(pod, "spec") else {
        return Ok(());
    };
    if request.operation == Operation::Update {
        let before = old.and_then(|old| old.get("spec")).unwrap_or(&Value::Null);
        for key in ["priority", "preemptionPolicy"] {
            if present(spec, key).is_none() {
                restore(spec, before, key);
            }
        }
        return Ok(());
    }
    let (name, value, policy) = establish(request, text(spec, "priorityClassName"), lookup)?;
    if let Some(asked) = int(spec, "priority").filter(|asked| *asked != value) {
        return Err(request.forbidden(&format!(
            "the integer value of priority ({asked}) must not be provided in pod spec; priority admission controller \
             computed {value} from the given PriorityClass name"
        )));
    }
    if let Some(asked) = present(spec, "preemptionPolicy")
        .and_then(Value::as_str)
        .filter(|asked| *asked != policy)
    {
        return Err(request.forbidden(&format!(
            "the string value of PreemptionPolicy ({asked}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        )));
    }
    if !name.is_empty() {
        set(spec, "priorityClassName", Some(name.into()));
    }
    set(spec, "priority", Some(value.into()));
    set(spec, "preemptionPolicy", Some(policy.into()));
    Ok(())
}

/// Class, value and policy for a Pod that asks for the class `name`.
fn establish(
    request: &Request<'_>,
    name: &str,
    lookup: &dyn Lookup,
) -> Result<(String, i64, String), Status> {
    if name.is_empty() {
        let Some(class) = default_class(lookup, "") else {
            return Ok((String::new(), 0, "PreemptLowerPriority".to_owned()));
        };
        return Ok(read(&class));
    }
    match lookup.get(&ObjectKey::new(GROUP, "PriorityClass", "", name)) {
        Some(class) => Ok(read(&class)),
        // The system classes are there even where a cluster was started without noise.
        None if name == "system-cluster-critical" => Ok((
            name.to_owned(),
            2_000_000_000,
            "PreemptLowerPriority".to_owned(),
        )),
        None if name == "system-node-critical" => Ok((
            name.to_owned(),
            2_000_001_000,
            "PreemptLowerPriority".to_owned(),
        )),
        None => Err(request.forbidden(&format!("no PriorityClass with name {name} was found"))),
    }
}

fn read(class: &Value) -> (String, i64, String) {
    let policy = match text(class, "preemptionPolicy") {
        "" => "PreemptLowerPriority",
        policy => policy,
    };
    (
        object::name(class).to_owned(),
        int(class, "value").unwrap_or(0),
        policy.to_owned(),
    )
}

/// The global default class with the lowest value, `except` one.
fn default_class(lookup: &dyn Lookup, except: &str) -> Option<std::sync::Arc<Value>> {
    lookup
        .list(&GroupKind::new(GROUP, "PriorityClass"), None)
        .into_iter()
        .filter(|class| flag(class, "globalDefault") && object::name(class) != except)
        .min_by_key(|class| int(class, "value").unwrap_or(0))
}

/// There is at most one global default.
pub(super) fn validate_priority_class(
    request: &Request<'_>,
    class: &Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    if !flag(class, "globalDefault") {
        return Ok(());
    }
    let itself = match request.operation {
        Operation::Update => object::name(class),
        Operation::Create | Operation::Delete => "",
    };
    match default_class(lookup, itself) {
        Some(other) => Err(request.forbidden(&format!(
            "PriorityClass {} is already marked as default. Only one default can exist",
            object::name(&other)
        ))),
        None => Ok(()),
    }
}

/// Adds the tolerations for nodes that are not ready or not reachable, each 300 s.
pub(super) fn tolerations(pod: &mut Value) {
    let Some(spec) = ensure(pod, "spec") else {
        return;
    };
    for key in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = items(spec, "tolerations").iter().any(|toleration| {
            matches!(text(toleration, "effect"), "" | "NoExecute")
                && (text(toleration, "key").is_empty() || text(toleration, "key") == key)
        });
        if tolerated {
            continue;
        }
        if let Some(tolerations) = ensure_list(spec, "tolerations") {
            tolerations.push(
                json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }),
            );
        }
    }
}

/// Checks that the `RuntimeClass` exists; the Pod takes its overhead.
pub(super) fn runtime_class(
    request: &Request<'_>,
    pod: &mut Value,
    lookup: &dyn Lookup,
) -> Result<(), Status> {
    let Some(spec) = pod.get_mut("spec") else {
        return Ok(());
    };
    let Some(name) = present(spec, "runtimeClassName")
        .and_then(Value::as_str)
        .map(str::to_owned)
    else {
        return Ok(());
    };
    let Some(class) = lookup.get(&ObjectKey::new(
        "node.k8s.io",
        "RuntimeClass",
        "",
        name.as_str(),
    )) else {
        return Err(request.forbidden(&format!("pod rejected: RuntimeClass \"{name}\" not found")));
    };
    if let Some(overhead) = class.at(&["overhead", "podFixed"]) {
        if present(spec, "overhead").is_some_and(|own| own != overhead) {
            return Err(request.forbidden(
                "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
            ));
        }
        set(spec, "overhead", Some(overhead.clone()));
    }
    Ok(())
}

/// A new Node takes no Pods until it is known to be ready.
pub(super) fn taint_node(node: &mut Value) {
    const KEY: &str = "node.kubernetes.io/not-ready";
    if let Some(taints) = ensure(node, "spec").and_then(|spec| ensure_list(spec, "taints")) {
        let there =
            |taint: &Value| text(taint, "key") == KEY && text(taint, "effect") == "NoSchedule";
        if !taints.iter().any(there) {
            taints.push(json!({ "key": KEY, "effect": "NoSchedule" }));
        }
    }
}
