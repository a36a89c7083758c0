//! RBAC objects are reconciled before they are applied (SYNC-093).
//!
//! Missing rules, selectors of an aggregation rule and subjects are added, extra ones stay; a binding whose roleRef
//! differs is made anew. Labels and annotations are added where there are none of the name: what differs is left to the
//! apply that follows. What opted out is left alone.

use wavetank_json::{Map, Value, json};
use wavetank_model::{Propagation, object};

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

impl Change {
    /// Whether it failed because the object came, or went, meanwhile.
    fn lost_race(&self, error: &CallError) -> bool {
        let CallError::Api(status) = error else {
            return false;
        };
        match self {
            Self::None => false,
            Self::Update(_) => status.is_not_found(),
            Self::Create(_) | Self::Recreate(_) => status.reason == "AlreadyExists",
        }
    }
}

/// A change and the remarks on it.
#[derive(Debug)]
struct Reconciled {
    change: Change,
    /// It is not carried out: the live object opted out.
    protected: bool,
    remarks: Vec<String>,
}

/// So often a write is tried that somebody else got in the way of.
const TRIES: u32 = 3;
/// With the value `false` an object opts out of being reconciled.
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

impl Writer<'_> {
    /// Reconciles and gives the output text.
    pub(super) async fn reconcile_rbac(&self) -> Result<String, String> {
        self.require_namespace().await?;
        let reconciled = self.settle_rbac().await.map_err(|error| {
            // kubectl forgets the error of a binding and stumbles over the missing result: the engine tells of that.
            let error = if self.ask.target.get("roleRef").is_some() {
                "error running kubectl auth reconcile: runtime error: invalid memory address or nil pointer dereference".to_owned()
            } else {
                error.to_string()
            };
            format!("error running kubectl auth reconcile: {error}")
        })?;
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

    /// Does what is needed; again where somebody else was faster, at most three times in a row.
    async fn settle_rbac(&self) -> Result<Reconciled, CallError> {
        let mut conflicts = 0;
        let mut races = 0;
        loop {
            let live = match self.connection.get(self.place).await {
                Ok(live) => Some(live),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error),
            };
            let reconciled = reconcile(&self.ask.target, live.as_ref());
            if self.ask.dry_run || reconciled.protected {
                return Ok(reconciled);
            }
            let Err(error) = self.carry_out(&reconciled.change).await else {
                return Ok(reconciled);
            };
            if reconciled.change.lost_race(&error) {
                races += 1;
                // A binding is made anew once more than a role.
                let binding = self.ask.target.get("roleRef").is_some();
                if races == TRIES + u32::from(binding) {
                    return Err(CallError::Transport("exceeded maximum attempts".to_owned()));
                }
            } else if error.is_conflict() {
                conflicts += 1;
                if conflicts == TRIES {
                    return Err(error);
                }
            } else {
                return Err(error);
            }
        }
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
            told: None,
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
            Change::Update(object) => self.connection.put(self.place, object, &[]).await,
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
    let list_field = if binding { "subjects" } else { "rules" };
    let Some(live) = live else {
        let missing = list(target, list_field);
        return Reconciled::new(Change::Create(target.clone()), "create", false, &missing);
    };
    let protected = object::annotation(live, AUTO_UPDATE) == Some("false");
    if binding && !same_role(live, target) {
        return Reconciled::new(Change::Recreate(target.clone()), "recreate", protected, &[]);
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
        extend(&mut object, list_field, &missing);
    }
    if !binding {
        changed |= aggregate(&mut object, target);
    }
    if changed {
        Reconciled::new(Change::Update(object), "update", protected, &missing)
    } else {
        Reconciled {
            change: Change::None,
            protected,
            remarks: Vec::new(),
        }
    }
}

impl Reconciled {
    fn new(change: Change, what: &str, protected: bool, missing: &[Value]) -> Self {
        let caveat = if protected {
            format!(", but object opted out ({AUTO_UPDATE}: false)")
        } else {
            String::new()
        };
        let mut remarks = vec![format!("reconciliation required {what}{caveat}")];
        remark_missing(&mut remarks, missing);
        Self {
            change,
            protected,
            remarks,
        }
    }
}

fn extend(object: &mut Value, field: &str, more: &[Value]) {
    if !object[field].is_array() {
        object[field] = json!([]);
    }
    if let Some(list) = object[field].as_array_mut() {
        list.extend(more.iter().cloned());
    }
}

/// Adds the selectors that are missing; an aggregation that the target has not goes.
fn aggregate(object: &mut Value, target: &Value) -> bool {
    const RULE: &str = "aggregationRule";
    const SELECTORS: &str = "clusterRoleSelectors";
    let given = |object: &Value| object.get(RULE).is_some_and(|rule| !rule.is_null());
    if !given(target) {
        let had = given(object);
        if let Some(object) = object.as_object_mut() {
            object.remove(RULE);
        }
        return had;
    }
    let have = list(&object[RULE], SELECTORS);
    let missing: Vec<Value> = list(&target[RULE], SELECTORS)
        .into_iter()
        .filter(|selector| !have.contains(selector))
        .collect();
    if !missing.is_empty() {
        if !given(object) {
            object[RULE] = json!({});
        }
        extend(&mut object[RULE], SELECTORS, &missing);
    }
    !missing.is_empty()
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

/// Labels and annotations that the live object has not are added; of those it has its own values stay.
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
            if current.get(key).is_none() {
                current[key] = value.clone();
                changed = true;
            }
        }
    }
    changed
}

/// Tells of subjects or rules, with their fields as Go prints them.
fn remark_missing(remarks: &mut Vec<String>, missing: &[Value]) {
    const SUBJECT: &[(&str, &str)] = &[
        ("Kind", "kind"),
        ("APIGroup", "apiGroup"),
        ("Name", "name"),
        ("Namespace", "namespace"),
    ];
    const RULE: &[(&str, &str)] = &[
        ("Verbs", "verbs"),
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"),
    ];
    let Some(first) = missing.first() else {
        return;
    };
    let (title, fields) = if first.get("verbs").is_some() {
        ("missing rules added:", RULE)
    } else {
        ("missing subjects added:", SUBJECT)
    };
    remarks.push(title.to_owned());
    for entry in missing {
        let shown: Vec<String> = fields
            .iter()
            .map(
                |(name, field)| match entry.get(*field).and_then(Value::as_str) {
                    Some(text) => format!("{name}:{text}"),
                    None if fields == SUBJECT => format!("{name}:"),
                    None => format!("{name}:[{}]", texts(entry, field).join(" ")),
                },
            )
            .collect();
        remarks.push(format!("\t{{{}}}", shown.join(" ")));
    }
}

fn missing_subjects(live: &Value, target: &Value) -> Vec<Value> {
    let mut have: Vec<Value> = list(live, "subjects").iter().map(subject).collect();
    let mut out = Vec::new();
    for wanted in list(target, "subjects") {
        let comparable = subject(&wanted);
        if !have.contains(&comparable) {
            have.push(comparable);
            out.push(wanted);
        }
    }
    out
}

/// A subject with an empty text for every field it does not state.
fn subject(subject: &Value) -> Value {
    let field = |name: &str| {
        subject
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    json!([
        field("kind"),
        field("apiGroup"),
        field("name"),
        field("namespace")
    ])
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
            "reconciliation required update\n\tmissing rules added:\n\t\t{Verbs:[list] APIGroups:[] Resources:[pods] ResourceNames:[] NonResourceURLs:[]}"
        );
        let all = role(json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]));
        assert!(matches!(
            reconcile(&target, Some(&all)).change,
            Change::None
        ));
    }

    /// SYNC-093: of labels and annotations only those are added that the live object has not at all.
    #[test]
    fn a_value_that_differs_is_left_to_the_apply() {
        let mut live = role(json!([]));
        live["metadata"]["annotations"] = json!({"a": "live"});
        let mut target = role(json!([]));
        target["metadata"]["annotations"] = json!({"a": "wanted"});
        assert!(matches!(
            reconcile(&target, Some(&live)).change,
            Change::None
        ));
        target["metadata"]["annotations"]["b"] = "new".into();
        let Change::Update(object) = reconcile(&target, Some(&live)).change else {
            panic!("an update")
        };
        assert_eq!(
            object["metadata"]["annotations"],
            json!({"a": "live", "b": "new"})
        );
    }

    /// SYNC-093: what opted out is told of, and not written.
    #[test]
    fn an_object_that_opted_out_is_protected() {
        let mut live = role(json!([]));
        live["metadata"]["annotations"] = json!({AUTO_UPDATE: "false"});
        let target = role(json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
        let reconciled = reconcile(&target, Some(&live));
        assert!(reconciled.protected);
        assert!(
            reconciled.remarks[0].ends_with("(rbac.authorization.kubernetes.io/autoupdate: false)")
        );
    }

    /// SYNC-093: selectors are added; the aggregation goes where the target has none.
    #[test]
    fn aggregation_rules_are_reconciled() {
        let aggregated = |names: &[&str]| {
            let selectors: Vec<Value> = names
                .iter()
                .map(|name| json!({"matchLabels": {"a": name}}))
                .collect();
            let mut role = role(json!([]));
            role["aggregationRule"] = json!({"clusterRoleSelectors": selectors});
            role
        };
        let Change::Update(object) =
            reconcile(&aggregated(&["y"]), Some(&aggregated(&["x"]))).change
        else {
            panic!("an update")
        };
        assert_eq!(
            object["aggregationRule"],
            aggregated(&["x", "y"])["aggregationRule"]
        );
        let Change::Update(object) = reconcile(&role(json!([])), Some(&aggregated(&["x"]))).change
        else {
            panic!("an update")
        };
        assert_eq!(object.get("aggregationRule"), None);
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
