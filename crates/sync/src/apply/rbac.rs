//! RBAC objects are reconciled before they are applied (SYNC-093).
//!
//! Missing rules and subjects are added, extra ones stay; a binding whose roleRef differs is made anew. Aggregation
//! rules are left to the apply that follows.

use serde_json::{Map, Value, json};
use wavetank_model::Propagation;

use super::connection::Place;
use super::write::Writer;
use crate::engine::{ApplyAsk, CallError};

/// Whether the object is reconciled first.
pub(super) fn applies_to(ask: &ApplyAsk) -> bool {
    let gvk = &ask.resource.gvk;
    gvk.group == "rbac.authorization.k8s.io"
        && gvk.version == "v1"
        && matches!(
            gvk.kind.as_str(),
            "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding"
        )
}

/// What the reconcile does.
#[derive(Debug)]
enum Change {
    None,
    Create(Value),
    Update(Value),
    Recreate(Value),
}

/// A change and the remarks on it.
#[derive(Debug)]
struct Reconciled {
    change: Change,
    remarks: Vec<String>,
}

impl Writer<'_> {
    /// Reconciles and gives the output text.
    pub(super) async fn reconcile_rbac(&self) -> Result<String, String> {
        self.require_namespace().await?;
        let live = match self.connection.get(self.place).await {
            Ok(live) => Some(live),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(format!("error running kubectl auth reconcile: {error}")),
        };
        let reconciled = reconcile(&self.ask.target, live.as_ref());
        if !self.ask.dry_run {
            let outcome = self.carry_out(&reconciled.change).await;
            outcome.map_err(|error| format!("error running kubectl auth reconcile: {error}"))?;
        }
        let kind = self
            .ask
            .resource
            .gvk
            .group_kind()
            .to_string()
            .to_lowercase();
        let dry = if self.ask.dry_run { " (dry run)" } else { "" };
        let mut output = format!("{kind}/{} reconciled{dry}", self.place.name);
        if !reconciled.remarks.is_empty() {
            output = format!("{output}. {}", reconciled.remarks.join("\n\t"));
        }
        Ok(output)
    }

    /// A namespaced object needs its namespace before anything is written.
    async fn require_namespace(&self) -> Result<(), String> {
        let name = &self.place.namespace;
        if self.ask.dry_run || name.is_empty() {
            return Ok(());
        }
        let place = Place {
            collection: "/api/v1/namespaces".to_owned(),
            name: name.clone(),
            plural: "namespaces".to_owned(),
            namespace: String::new(),
        };
        match self.connection.get(&place).await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!(
                "error running kubectl auth reconcile: error getting namespace {name}: {error}"
            )),
        }
    }

    async fn carry_out(&self, change: &Change) -> Result<(), CallError> {
        match change {
            Change::None => Ok(()),
            Change::Create(object) => self
                .connection
                .post(self.place, object, &[])
                .await
                .map(drop),
            Change::Update(object) => self.connection.put(self.place, object, &[]).await.map(drop),
            Change::Recreate(object) => {
                self.connection
                    .delete(self.place, Propagation::Background)
                    .await?;
                self.connection
                    .post(self.place, object, &[])
                    .await
                    .map(drop)
            }
        }
    }
}

/// What must be done so that `live` grants what `target` grants.
fn reconcile(target: &Value, live: Option<&Value>) -> Reconciled {
    let binding = target.get("roleRef").is_some();
    let Some(live) = live else {
        let mut remarks = vec!["reconciliation required create".to_owned()];
        remark_missing(&mut remarks, binding, &wanted(target, binding));
        return Reconciled {
            change: Change::Create(target.clone()),
            remarks,
        };
    };
    if binding && live.get("roleRef") != target.get("roleRef") && !same_role(live, target) {
        let remarks = vec!["reconciliation required recreate".to_owned()];
        return Reconciled {
            change: Change::Recreate(target.clone()),
            remarks,
        };
    }
    let mut object = live.clone();
    let mut changed = merge_metadata(&mut object, target);
    let missing = if binding {
        missing_subjects(live, target)
    } else {
        missing_rules(live, target)
    };
    if !missing.is_empty() {
        changed = true;
        let field = if binding { "subjects" } else { "rules" };
        if !object[field].is_array() {
            object[field] = json!([]);
        }
        if let Some(list) = object[field].as_array_mut() {
            list.extend(missing.iter().cloned());
        }
    }
    if !changed {
        return Reconciled {
            change: Change::None,
            remarks: Vec::new(),
        };
    }
    let mut remarks = vec!["reconciliation required update".to_owned()];
    remark_missing(&mut remarks, binding, &missing);
    Reconciled {
        change: Change::Update(object),
        remarks,
    }
}

fn wanted(target: &Value, binding: bool) -> Vec<Value> {
    if binding {
        list(target, "subjects")
    } else {
        missing_rules(&Value::Null, target)
    }
}

fn list(object: &Value, field: &str) -> Vec<Value> {
    object
        .get(field)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn same_role(a: &Value, b: &Value) -> bool {
    let part = |object: &Value, field: &str| {
        object
            .pointer(&format!("/roleRef/{field}"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let group = |object: &Value| match part(object, "apiGroup") {
        group if group.is_empty() => "rbac.authorization.k8s.io".to_owned(),
        group => group,
    };
    group(a) == group(b) && part(a, "kind") == part(b, "kind") && part(a, "name") == part(b, "name")
}

/// Labels and annotations of the target win; the others stay.
fn merge_metadata(object: &mut Value, target: &Value) -> bool {
    let mut changed = false;
    for field in ["labels", "annotations"] {
        let Some(wanted) = target
            .pointer(&format!("/metadata/{field}"))
            .and_then(Value::as_object)
        else {
            continue;
        };
        let meta = crate::target::metadata(object);
        let current = meta
            .entry(field)
            .or_insert_with(|| Value::Object(Map::new()));
        for (key, value) in wanted {
            if current.get(key) != Some(value) {
                current[key] = value.clone();
                changed = true;
            }
        }
    }
    changed
}

fn remark_missing(remarks: &mut Vec<String>, binding: bool, missing: &[Value]) {
    if missing.is_empty() {
        return;
    }
    let (title, fields): (&str, &[&str]) = if binding {
        (
            "missing subjects added:",
            &["kind", "apiGroup", "name", "namespace"],
        )
    } else {
        (
            "missing rules added:",
            &[
                "verbs",
                "apiGroups",
                "resources",
                "resourceNames",
                "nonResourceURLs",
            ],
        )
    };
    remarks.push(title.to_owned());
    for entry in missing {
        let shown: Vec<String> = fields
            .iter()
            .map(|field| as_go(entry.get(*field), binding))
            .collect();
        remarks.push(format!("\t{{{}}}", shown.join(" ")));
    }
}

/// A field as Go prints it: `[get list]`, or the text.
fn as_go(value: Option<&Value>, text: bool) -> String {
    let strings = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match value {
        Some(Value::Array(items)) => format!(
            "[{}]",
            items.iter().map(strings).collect::<Vec<_>>().join(" ")
        ),
        Some(value) => strings(value),
        None if text => String::new(),
        None => "[]".to_owned(),
    }
}

fn missing_subjects(live: &Value, target: &Value) -> Vec<Value> {
    let have = list(live, "subjects");
    list(target, "subjects")
        .into_iter()
        .filter(|subject| !have.contains(subject))
        .collect()
}

/// The single permissions of the target's rules that no live rule covers.
fn missing_rules(live: &Value, target: &Value) -> Vec<Value> {
    let have = list(live, "rules");
    let single = list(target, "rules")
        .iter()
        .flat_map(single_permissions)
        .collect::<Vec<_>>();
    single
        .into_iter()
        .filter(|rule| !have.iter().any(|own| covers(own, rule)))
        .collect()
}

fn texts<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    rule.get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// A rule, one verb, group, resource and name at a time.
fn single_permissions(rule: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    let names = texts(rule, "resourceNames");
    for group in texts(rule, "apiGroups") {
        for resource in texts(rule, "resources") {
            for verb in texts(rule, "verbs") {
                let base = json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
                if names.is_empty() {
                    out.push(base);
                    continue;
                }
                for name in &names {
                    let mut single = base.clone();
                    single["resourceNames"] = json!([name]);
                    out.push(single);
                }
            }
        }
    }
    for url in texts(rule, "nonResourceURLs") {
        for verb in texts(rule, "verbs") {
            out.push(json!({"nonResourceURLs": [url], "verbs": [verb]}));
        }
    }
    out
}

/// Whether `own` grants everything that `rule` grants.
fn covers(own: &Value, rule: &Value) -> bool {
    let all = |field: &str, fits: &dyn Fn(&str, &str) -> bool| {
        let have = texts(own, field);
        texts(rule, field)
            .iter()
            .all(|want| have.iter().any(|have| *have == "*" || fits(have, want)))
    };
    let equal = |have: &str, want: &str| have == want;
    let resource = |have: &str, want: &str| {
        have == want
            || have
                .strip_prefix("*/")
                .is_some_and(|sub| want.split_once('/').is_some_and(|(_, want)| want == sub))
    };
    let url = |have: &str, want: &str| {
        have == want
            || have
                .strip_suffix('*')
                .is_some_and(|start| want.starts_with(start))
    };
    let own_names = texts(own, "resourceNames");
    let names = own_names.is_empty()
        || (!texts(rule, "resourceNames").is_empty()
            && texts(rule, "resourceNames")
                .iter()
                .all(|name| own_names.contains(name)));
    all("verbs", &equal)
        && all("apiGroups", &equal)
        && all("resources", &resource)
        && all("nonResourceURLs", &url)
        && names
        && (!object_rule(rule) || object_rule(own))
}

/// Whether a rule is about resources.
fn object_rule(rule: &Value) -> bool {
    !texts(rule, "resources").is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rules: Value) -> Value {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": rules})
    }

    fn binding(role: &str, subjects: Value) -> Value {
        json!({"kind": "RoleBinding", "metadata": {"name": "b"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}, "subjects": subjects})
    }

    /// SYNC-093: missing rules are added, extra ones stay.
    #[test]
    fn missing_rules_are_added() {
        let live =
            role(json!([{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get"]}]));
        let target =
            role(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]));
        let reconciled = reconcile(&target, Some(&live));
        let Change::Update(object) = &reconciled.change else {
            panic!("{reconciled:?}")
        };
        assert_eq!(object["rules"].as_array().map(Vec::len), Some(2));
        assert_eq!(
            reconciled.remarks.join("\n\t"),
            "reconciliation required update\n\tmissing rules added:\n\t\t{[list] [] [pods] [] []}"
        );
        let all = role(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]));
        assert!(matches!(
            reconcile(&target, Some(&all)).change,
            Change::None
        ));
    }

    /// SYNC-093: another roleRef makes a binding anew; missing subjects are added.
    #[test]
    fn a_binding_to_another_role_is_made_anew() {
        let user = |name: &str| json!({"kind": "User", "name": name});
        let live = binding("a", json!([user("x")]));
        assert!(matches!(
            reconcile(&binding("b", json!([])), Some(&live)).change,
            Change::Recreate(_)
        ));
        let reconciled = reconcile(&binding("a", json!([user("y")])), Some(&live));
        let Change::Update(object) = &reconciled.change else {
            panic!("{reconciled:?}")
        };
        assert_eq!(object["subjects"], json!([user("x"), user("y")]));
        assert!(matches!(reconcile(&live, Some(&live)).change, Change::None));
    }
}
