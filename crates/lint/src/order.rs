//! WT201 to WT206: what comes when.

use std::collections::BTreeMap;

use wavetank_health::Assessor;
use wavetank_json::{Value, json};
use wavetank_model::pod::{self, Need};
use wavetank_model::reference::glob;
use wavetank_model::{kinds, object};

use crate::bundled;
use crate::code;
use crate::finding::Finding;
use crate::input::Binding;
use crate::item::{Item, Items, Moment};

pub(crate) fn check(app: &Items<'_>, found: &mut Vec<Finding>) {
    let users: Vec<(&Item<'_>, Vec<Need>)> = app
        .list
        .iter()
        .map(|item| (item, pod::needs(item.object)))
        .filter(|(_, uses)| !uses.is_empty())
        .collect();
    for (user, uses) in &users {
        needs_later(app, user, uses, found);
    }
    permissions(app, &users, found);
    claims(app, &users, found);
    without_health(app, found);
    declared_twice(app, found);
}

fn at(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// Whether the sync waits for its Pods.
fn is_awaited(item: &Item<'_>) -> bool {
    let none_wanted = item
        .object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        == Some(0);
    let suspended = item
        .object
        .pointer("/spec/suspend")
        .and_then(Value::as_bool)
        == Some(true);
    !item.is("batch", "CronJob") && !none_wanted && !suspended
}

/// WT201.
fn needs_later(app: &Items<'_>, user: &Item<'_>, needs: &[Need], found: &mut Vec<Finding>) {
    let code = &code::NEEDS_LATER;
    if !user.wants(code.id) || !is_awaited(user) {
        return;
    }
    for used in needs {
        let namespace = &user.key.namespace;
        let Some(needed) = app.find(used.kind, namespace, &used.name) else {
            continue;
        };
        if app.is_there(used.kind, namespace, &used.name) {
            continue;
        }
        let (Some(when), Some(there)) = (user.first(), needed.first()) else {
            continue;
        };
        if there <= when {
            continue;
        }
        let path = at(&used.path);
        let location = user
            .placed
            .find(&path)
            .unwrap_or_else(|| user.placed.name());
        let message = format!("{} needs {}, which comes later", user.name, needed.name);
        let label = format!(
            "needed in {when}, applied in {there} (line {})",
            needed.line()
        );
        found.push(Finding::new(code, user, location, message, label));
    }
}

/// Permissions of an account.
struct Grant<'i, 'a> {
    binding: &'i Item<'a>,
    /// When role and binding are both there.
    from: Moment,
    account: (String, String),
}

fn grants<'i, 'a>(app: &'i Items<'a>) -> Vec<Grant<'i, 'a>> {
    let mut out = Vec::new();
    for binding in &app.list {
        if !matches!(&*binding.key.kind, "RoleBinding" | "ClusterRoleBinding") {
            continue;
        }
        let Some(from) = binding.first() else {
            continue;
        };
        let reference = |field: &str| {
            let pointer = format!("/roleRef/{field}");
            binding
                .object
                .pointer(&pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let role = app.find(reference("kind"), &binding.key.namespace, reference("name"));
        let from = role
            .and_then(Item::first)
            .map_or(from, |role| role.max(from));
        let subjects = binding.object.get("subjects").and_then(Value::as_array);
        for subject in subjects.into_iter().flatten() {
            let text = |field: &str| subject.get(field).and_then(Value::as_str);
            if text("kind") == Some("ServiceAccount") {
                let namespace = text("namespace")
                    .unwrap_or(&binding.key.namespace)
                    .to_owned();
                let name = text("name").unwrap_or_default().to_owned();
                out.push(Grant {
                    binding,
                    from,
                    account: (namespace, name),
                });
            }
        }
    }
    out
}

/// WT204, WT205.
fn permissions(app: &Items<'_>, users: &[(&Item<'_>, Vec<Need>)], found: &mut Vec<Finding>) {
    let grants = grants(app);
    for (user, uses) in users {
        let (Some(account), Some(when)) = (
            uses.iter().find(|used| used.kind == "ServiceAccount"),
            user.first(),
        ) else {
            continue;
        };
        for grant in &grants {
            let fits = grant.account.0 == user.key.namespace && grant.account.1 == account.name;
            let there = app.is_there(
                &grant.binding.key.kind,
                &grant.binding.key.namespace,
                &grant.binding.key.name,
            );
            if !fits || there {
                continue;
            }
            let path = at(&account.path);
            let location = user
                .placed
                .find(&path)
                .unwrap_or_else(|| user.placed.name());
            let (grantor, line) = (&grant.binding.name, grant.binding.line());
            let finding = if grant.from > when {
                let message = format!("{} gets its permissions later", user.name);
                let label = format!(
                    "needed in {when}, granted in {} by {grantor} (line {line})",
                    grant.from
                );
                Finding::new(&code::PERMISSIONS_LATER, user, location, message, label)
            } else if grant.from == when && user.is_finite() {
                let message = format!("{} gets its permissions in its own wave", user.name);
                let label = format!("granted in {when} by {grantor} (line {line})");
                Finding::new(&code::PERMISSIONS_TOGETHER, user, location, message, label)
            } else {
                continue;
            };
            if user.wants(finding.code.id) {
                found.push(finding);
                break;
            }
        }
    }
}

/// WT203.
fn claims(app: &Items<'_>, users: &[(&Item<'_>, Vec<Need>)], found: &mut Vec<Finding>) {
    let code = &code::CLAIM_BEFORE_CONSUMER;
    for claim in app
        .list
        .iter()
        .filter(|item| item.is("", "PersistentVolumeClaim"))
    {
        let (Some(when), Some(last)) = (claim.first(), app.last_moment()) else {
            continue;
        };
        let namespace = &claim.key.namespace;
        if !claim.wants(code.id)
            || app.is_there("PersistentVolumeClaim", namespace, &claim.key.name)
        {
            continue;
        }
        let binding = binding(app, claim);
        let bound = claim.object.pointer("/spec/volumeName").is_some();
        if binding == Binding::Immediate || bound || (when == last && !claim.hook) {
            continue;
        }
        let consumers = users.iter().filter(|(user, uses)| {
            user.key.namespace == *namespace
                && uses
                    .iter()
                    .any(|used| used.kind == "PersistentVolumeClaim" && used.name == claim.key.name)
        });
        let first = consumers
            .filter_map(|(user, _)| Some((user.first()?, *user)))
            .min_by_key(|(moment, _)| *moment);
        let late = match first {
            Some((moment, _)) if moment <= when => continue,
            Some((moment, user)) => {
                format!("{} uses it in {moment} (line {})", user.name, user.line())
            }
            // Whoever uses it may be known to others.
            None if binding == Binding::Unknown => continue,
            None => "nothing of this application uses it".to_owned(),
        };
        let condition = if binding == Binding::Unknown {
            ", where its class binds on first use"
        } else {
            ""
        };
        let message = format!("{} keeps its wave waiting{condition}", claim.name);
        let label = format!("applied in {when}; {late}");
        found.push(Finding::new(
            code,
            claim,
            claim.placed.name(),
            message,
            label,
        ));
    }
}

/// When the claim is bound.
fn binding(app: &Items<'_>, claim: &Item<'_>) -> Binding {
    let class = claim
        .object
        .pointer("/spec/storageClassName")
        .and_then(Value::as_str);
    let desired = app.list.iter().map(|item| item.object);
    let mut classes = desired
        .chain(app.input.there.iter().map(|object| &**object))
        .filter(|object| object.get("kind").and_then(Value::as_str) == Some("StorageClass"));
    match class {
        None | Some("standard") => app.input.binding,
        Some("") => Binding::Immediate,
        Some(name) => match classes.find(|class| object::name(class) == name) {
            Some(class)
                if class.get("volumeBindingMode").and_then(Value::as_str)
                    == Some("WaitForFirstConsumer") =>
            {
                Binding::FirstConsumer
            }
            Some(_) => Binding::Immediate,
            None => Binding::Unknown,
        },
    }
}

/// WT202.
fn without_health(app: &Items<'_>, found: &mut Vec<Finding>) {
    let Some(last) = app.last_moment() else {
        return;
    };
    let assessor = Assessor::new();
    let mut waves: BTreeMap<Moment, Vec<&Item<'_>>> = BTreeMap::new();
    for item in &app.list {
        for moment in &item.moments {
            waves.entry(*moment).or_default().push(item);
        }
    }
    for (moment, items) in waves.range(..last) {
        if items.iter().any(|item| has_health(app, &assessor, item)) {
            continue;
        }
        let custom = |item: &&&Item<'_>| !kinds::is_builtin(&item.key.group, &item.key.kind);
        let Some(item) = items.iter().find(custom) else {
            continue;
        };
        if !item.wants(code::WAVE_WITHOUT_HEALTH.id) {
            continue;
        }
        let message = format!("nothing waits for {}", item.name);
        let kind = item.key.group_kind();
        let label = format!(
            "the wave {moment} holds no object with a health check; {kind} is not known to have one"
        );
        let location = item.wave_annotation();
        found.push(Finding::new(
            &code::WAVE_WITHOUT_HEALTH,
            item,
            location,
            message,
            label,
        ));
    }
}

fn has_health(app: &Items<'_>, assessor: &Assessor, item: &Item<'_>) -> bool {
    let (group, kind) = (&item.key.group, &item.key.kind);
    let key = if group.is_empty() {
        kind.clone()
    } else {
        format!("{group}/{kind}")
    };
    if app.input.scripted.iter().any(|pattern| glob(pattern, &key))
        || bundled::has_check(group, kind)
    {
        return true;
    }
    let probe = json!({
        "apiVersion": item.object.get("apiVersion").cloned().unwrap_or_default(),
        "kind": kind,
        "metadata": {"name": "probe"},
    });
    // A check that fails is a check.
    assessor
        .assess(&probe)
        .map_or(true, |health| health.is_some())
}

/// WT206.
fn declared_twice(app: &Items<'_>, found: &mut Vec<Finding>) {
    let mut known: BTreeMap<_, &Item<'_>> = BTreeMap::new();
    for item in &app.list {
        if item.is_unnamed() {
            continue;
        }
        let Some(first) = known.insert(&item.key, item) else {
            continue;
        };
        if !item.wants(code::DECLARED_TWICE.id) {
            continue;
        }
        let message = format!("{} is declared twice", item.name);
        let label = format!(
            "the one in {}, line {}, is not applied",
            first.placed.path().display(),
            first.line()
        );
        found.push(Finding::new(
            &code::DECLARED_TWICE,
            item,
            item.placed.name(),
            message,
            label,
        ));
    }
}
