//! Server-side apply and `managedFields` (API-137…177).
//!
//! [`apply`] merges an applied configuration into an object; [`update`] records any other write. Both work on objects in the
//! form [`crate::schema::complete`] gives them, in one version; defaulting, validation, resourceVersion and no-op detection
//! are the caller's.
//!
//! Left out: entries of another version are taken as they are, without conversion (fields of `autoscaling/v1` and `/v2`
//! differ), and changes of a custom resource's schema are not reconciled with stored entries.

mod conflict;
mod create;
mod element;
mod managed;
mod merge;
mod set;
mod validate;
mod walk;

use std::borrow::Cow;

use wavetank_json::{Map, Value};

pub use conflict::{ApplyError, Conflict};
pub use element::{Atom, PathElement};
pub use merge::{Emptied, remove_items};
pub use set::FieldSet;
pub use validate::validate;
use walk::compare_outside;
pub use walk::{Comparison, compare, fields};

use crate::key::{GroupKind, GroupVersionKind};
use crate::object;
use crate::schema::SchemaRef;
pub use managed::ManagedFields;
use managed::{Entry, Operation, Owner};

/// The annotation in which client-side apply keeps what it applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Field manager; empty is `unknown` (API-170).
    pub manager: &'a str,
    /// `apps/v1`: the version the write is made in.
    pub api_version: &'a str,
    /// `status`, `scale`; empty for the object itself.
    pub subresource: &'a str,
    /// The time of the write, as stored: RFC 3339 in whole seconds.
    pub time: &'a str,
    /// Fields that this endpoint resets and nobody comes to own through it; see [`reset_fields`].
    pub reset: &'a FieldSet,
}

impl Writer<'_> {
    fn owner(&self, manager: &str, operation: Operation) -> Owner {
        Owner {
            manager: if manager.is_empty() {
                "unknown"
            } else {
                manager
            }
            .to_owned(),
            operation,
            version: if operation == Operation::Update {
                self.api_version.to_owned()
            } else {
                String::new()
            },
            subresource: self.subresource.to_owned(),
        }
    }

    fn entry(&self, owner: Owner, set: FieldSet) -> Entry {
        Entry::new(owner, self.api_version, self.stored_time(), set)
    }

    /// The time of an entry; a real server loses it on the way through the scale subresource.
    fn stored_time(&self) -> Option<&str> {
        (self.subresource != "scale").then_some(self.time)
    }
}

/// The fields that the endpoint of a kind resets (API-168): `status` on the main endpoint of kinds with a status
/// subresource, `spec` and some metadata on the status endpoint.
///
/// `has_status` says whether the kind has the status subresource; `custom` whether it is a custom resource.
pub fn reset_fields(
    kind: &GroupKind,
    subresource: &str,
    has_status: bool,
    custom: bool,
) -> FieldSet {
    let path = |text: &str| text.split('.').map(PathElement::field).collect::<Vec<_>>();
    let paths: &[&str] = match (kind.group.as_str(), kind.kind.as_str(), subresource) {
        (_, _, "status") if custom => &["metadata", "spec"],
        ("apps", "Deployment", "status") => &["spec", "metadata.labels"],
        (_, _, "status") => &["spec"],
        (_, _, "") if has_status => &["status"],
        _ => &[],
    };
    let paths: Vec<_> = paths.iter().map(|text| path(text)).collect();
    FieldSet::from_paths(paths.iter().map(Vec::as_slice))
}

/// The stored object as it is before a create: what every object of the kind has.
fn blank(schema: SchemaRef<'_>, kind: Option<GroupVersionKind>) -> Value {
    let mut out = schema.zero_object().into_owned();
    if let (Value::Object(map), Some(kind)) = (&mut out, kind) {
        map.insert("apiVersion".to_owned(), Value::String(kind.api_version()));
        map.insert("kind".to_owned(), Value::String(kind.kind));
    }
    out
}

/// An object, and who owns which of its fields.
#[derive(Clone, Copy, Debug)]
pub struct Tracked<'a> {
    /// The object; what it has in `managedFields` is not looked at.
    pub object: &'a Value,
    /// Who owns its fields.
    pub managed: &'a ManagedFields,
}

/// Who owns the fields of `new` after a write other than apply (API-147, 165…175).
///
/// `old` is the stored object, `None` for a create; `new` is the object to be stored, defaulted, with the
/// `managedFields` the client sent or none: they are taken out of it. Whatever is wrong with them, the write goes on.
pub fn update(
    old: Option<Tracked<'_>>,
    new: &mut Value,
    writer: &Writer<'_>,
    schema: SchemaRef<'_>,
) -> ManagedFields {
    let sent = Sent::of(managed::take(new).filter(|_| writer.subresource.is_empty()));
    let owner = || writer.owner(writer.manager, Operation::Update);
    if old.is_none()
        && matches!(sent, Sent::Nothing)
        && let Some(fields) =
            create::created_fields(&schema.zero_object(), new, schema, writer.reset)
    {
        let mut owners = ManagedFields::default();
        if !fields.is_empty() {
            owners.put(writer.entry(owner(), fields));
        }
        return owners;
    }
    let comparison = match old {
        Some(old) => compare_outside(writer.reset, old.object, new, schema),
        None => compare_outside(writer.reset, &schema.zero_object(), new, schema),
    };
    // An object that cannot be walked is stored without managedFields, as a real server does.
    let Ok(comparison) = comparison else {
        return ManagedFields::default();
    };
    let stored = || old.map(|old| old.managed.clone()).unwrap_or_default();
    let mut owners = match sent {
        Sent::Reset => ManagedFields::default(),
        Sent::Nothing => stored(),
        Sent::Entries(list) => match ManagedFields::decode(&list) {
            Ok(mut owners) if !owners.is_empty() => {
                owners.sort();
                owners
            }
            _ => stored(),
        },
    };
    let tracked = old.is_none() || !owners.is_empty();
    if tracked && !comparison.is_empty() {
        record(&mut owners, comparison, owner(), writer);
    }
    owners
}

/// What a client sent as `managedFields`.
enum Sent {
    Nothing,
    /// `[]` or `[{}]`: tracking ends.
    Reset,
    Entries(Vec<Value>),
}

impl Sent {
    fn of(list: Option<Value>) -> Self {
        let Some(Value::Array(list)) = list else {
            return Self::Nothing;
        };
        let resets = match list.as_slice() {
            [] => true,
            [one] => one.as_object().is_some_and(Map::is_empty),
            _ => false,
        };
        if resets {
            Self::Reset
        } else {
            Self::Entries(list)
        }
    }
}

/// Moves changed and added paths to the writer's Update entry, and removed ones away from all.
fn record(owners: &mut ManagedFields, comparison: Comparison, owner: Owner, writer: &Writer<'_>) {
    let Comparison {
        added,
        modified,
        removed,
    } = comparison;
    let changed = modified.union(added);
    let own = owners.position(&owner).map(|at| owners.entries.remove(at));
    owners
        .entries
        .retain_mut(|entry| entry.take_away(&changed) && entry.take_away(&removed));
    let mut own = own.unwrap_or_else(|| writer.entry(owner, FieldSet::EMPTY));
    let left = own.take_away(&removed);
    if !changed.is_empty() {
        own.stamp(writer.stored_time());
    }
    if left || !changed.is_empty() {
        own.add(changed);
        owners.entries.push(own);
    }
    owners.cap();
    owners.sort();
}

/// Merges `config` into `live` (`None`: the object is created) and gives the object to be defaulted, validated and stored,
/// and who owns its fields (API-144).
///
/// `writer.manager` is the applying manager. When only the times of entries would change, none does.
///
/// # Errors
/// [`ApplyError`]; nothing is changed then.
pub fn apply(
    live: Option<Tracked<'_>>,
    config: &Value,
    writer: &Writer<'_>,
    force: bool,
    schema: SchemaRef<'_>,
) -> Result<(Value, ManagedFields), ApplyError> {
    let mut managed = live.map(|live| live.managed.clone()).unwrap_or_default();
    let live = live.map(|live| live.object);
    check_config(live, config, writer, schema)?;
    let live: Cow<'_, Value> = match live {
        Some(live) => Cow::Borrowed(live),
        None => Cow::Owned(blank(schema, GroupVersionKind::of(config))),
    };
    if managed.is_empty() {
        // Fields of an object that was not tracked belong to an entry of their own (API-160).
        let before = Writer {
            manager: "before-first-apply",
            ..*writer
        };
        let empty = blank(schema, GroupVersionKind::of(config));
        if let Ok(comparison) = compare_outside(writer.reset, &empty, &live, schema) {
            let Comparison {
                added, modified, ..
            } = comparison;
            let set = modified.union(added);
            if !set.is_empty() {
                let owner = before.owner(before.manager, Operation::Update);
                managed.put(before.entry(owner, set));
            }
        }
    }
    let first = apply_to(&live, config, managed.clone(), writer, force, schema);
    let (mut merged, owners) = match first {
        Err(ApplyError::Conflict(conflicts)) if writer.manager == "kubectl" => {
            let left = conflicts_beyond_last_applied(&live, conflicts, writer, schema);
            if !left.is_empty() {
                return Err(ApplyError::Conflict(left));
            }
            apply_to(&live, config, managed, writer, true, schema)?
        }
        other => other?,
    };
    if writer.manager == "kubectl"
        && object::annotation(&merged, LAST_APPLIED).is_some_and(|text| !text.is_empty())
    {
        refresh_last_applied(&mut merged, config);
    }
    Ok((merged, owners))
}

fn check_config(
    live: Option<&Value>,
    config: &Value,
    writer: &Writer<'_>,
    schema: SchemaRef<'_>,
) -> Result<(), ApplyError> {
    let kind = GroupVersionKind::of(config).unwrap_or_default();
    if kind.api_version() != writer.api_version
        || live.is_some_and(|live| live.get("kind") != config.get("kind"))
    {
        return Err(ApplyError::BadRequest(format!(
            "invalid object type: {kind}"
        )));
    }
    if managed::find(config).is_some_and(|list| !list.is_null()) {
        return Err(ApplyError::BadRequest(
            "metadata.managedFields must be nil".to_owned(),
        ));
    }
    let named = |object: &Value| {
        format!(
            "{}/{}; {kind}",
            object::namespace(object),
            object::name(object)
        )
    };
    if let Some(text) = validate(config, schema, false) {
        return Err(ApplyError::Typed(format!(
            "failed to create typed patch object ({}): {text}",
            named(config)
        )));
    }
    if let Some(live) = live
        && let Some(text) = validate(live, schema, true)
    {
        return Err(ApplyError::Typed(format!(
            "failed to create typed live object ({}): {text}",
            named(live)
        )));
    }
    Ok(())
}

fn apply_to(
    live: &Value,
    config: &Value,
    mut managed: ManagedFields,
    writer: &Writer<'_>,
    force: bool,
    schema: SchemaRef<'_>,
) -> Result<(Value, ManagedFields), ApplyError> {
    let typed = |text: String| ApplyError::Typed(format!("failed to merge config: {text}"));
    let mut merged = merge::merge(live, config, schema).map_err(typed)?;
    let owner = writer.owner(writer.manager, Operation::Apply);
    let set = fields(config, schema)
        .map_err(typed)?
        .recursive_difference(writer.reset);
    let last = managed
        .position(&owner)
        .map(|at| managed.entries.remove(at));
    if let Some(last) = &last {
        merged = prune(merged, last.set(), &set, &managed, schema).map_err(typed)?;
    }
    let unchanged = *live == merged;
    let comparison = if unchanged {
        Comparison::default()
    } else {
        compare_outside(writer.reset, live, &merged, schema).map_err(typed)?
    };
    take_over(&mut managed, comparison, force)?;
    let set = set.difference(&untracked());
    if !set.is_empty() {
        // An apply that changes no field keeps the time of its entry.
        let time = if unchanged {
            last.as_ref().and_then(Entry::time)
        } else {
            Some(writer.time)
        };
        managed.put(Entry::new(owner, writer.api_version, time, set));
    }
    managed.sort();
    Ok((merged, managed))
}

/// Takes changed paths away from the other entries, or says that they are in conflict.
fn take_over(
    managed: &mut ManagedFields,
    comparison: Comparison,
    force: bool,
) -> Result<(), ApplyError> {
    let Comparison {
        added,
        modified,
        removed,
    } = comparison;
    let changed = modified.union(added);
    let mut conflicts = Vec::new();
    for entry in &managed.entries {
        let shared = changed.clone().intersection(entry.set());
        shared.for_each(&mut |path| {
            conflicts.push(Conflict {
                owner: entry.owner().clone(),
                path: path.to_vec(),
            });
        });
    }
    if !force && !conflicts.is_empty() {
        conflicts.sort_by(|a, b| a.owner.cmp(&b.owner));
        return Err(ApplyError::Conflict(conflicts));
    }
    managed
        .entries
        .retain_mut(|entry| entry.take_away(&changed) && entry.take_away(&removed));
    Ok(())
}

/// Takes out of `merged` what the manager applied last time, applies no more, and nobody else owns.
fn prune(
    merged: Value,
    last: &FieldSet,
    set: &FieldSet,
    others: &ManagedFields,
    schema: SchemaRef<'_>,
) -> Result<Value, String> {
    if last.clone().difference(set).is_empty() {
        return Ok(merged);
    }
    let members = |set: FieldSet| set.with_declared_parents(Some(schema));
    let all = members(fields(&merged, schema)?);
    let last = members(last.clone());
    let mut pruned = merged.clone();
    remove_items(&mut pruned, &last, schema, Emptied::Stays);
    let owned = others
        .entries
        .iter()
        .fold(set.clone(), |all, entry| all.union(entry.set().clone()));
    let kept = members(fields(&pruned, schema)?).union(members(owned));
    // What others own comes back…
    let mut pruned = merged.clone();
    remove_items(
        &mut pruned,
        &all.clone().difference(&kept),
        schema,
        Emptied::Stays,
    );
    // …and so does what nobody owns: it hung below something removed, and was never this manager's.
    let kept = members(fields(&pruned, schema)?);
    let mut out = merged;
    remove_items(
        &mut out,
        &all.difference(&kept).intersection(&last),
        schema,
        Emptied::Stays,
    );
    Ok(out)
}

/// Paths that no entry holds (API-168).
fn untracked() -> FieldSet {
    let metadata = PathElement::field("metadata");
    let mut paths = vec![
        vec![PathElement::field("apiVersion")],
        vec![PathElement::field("kind")],
        vec![metadata.clone()],
    ];
    paths.extend(
        walk::UNTRACKED
            .iter()
            .map(|name| vec![metadata.clone(), PathElement::field(name)]),
    );
    FieldSet::from_paths(paths.iter().map(Vec::as_slice))
}

/// The conflicts that remain when fields still as client-side apply left them are given up to kubectl (API-161).
fn conflicts_beyond_last_applied(
    live: &Value,
    conflicts: Vec<Conflict>,
    writer: &Writer<'_>,
    schema: SchemaRef<'_>,
) -> Vec<Conflict> {
    let Some(allowed) = still_as_last_applied(live, writer, schema) else {
        return conflicts;
    };
    conflicts
        .into_iter()
        .filter(|conflict| !allowed.contains(&conflict.path))
        .collect()
}

fn still_as_last_applied(
    live: &Value,
    writer: &Writer<'_>,
    schema: SchemaRef<'_>,
) -> Option<FieldSet> {
    let text = object::annotation(live, LAST_APPLIED).filter(|text| !text.is_empty())?;
    let applied: Value = serde_json::from_str(text).ok()?;
    if applied.get("apiVersion").and_then(Value::as_str) != Some(writer.api_version) {
        return None;
    }
    let set = fields(&applied, schema).ok()?;
    let Comparison {
        added,
        modified,
        removed,
    } = compare(&applied, live, schema).ok()?;
    Some(
        set.difference(&modified)
            .difference(&added)
            .difference(&removed),
    )
}

/// While the annotation of client-side apply is there, an apply by kubectl keeps it current (API-161).
fn refresh_last_applied(merged: &mut Value, config: &Value) {
    let mut applied = config.clone();
    if let Some(annotations) = applied
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(annotations) = merged
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.insert(
            LAST_APPLIED.to_owned(),
            Value::String(format!("{applied}\n")),
        );
    }
}

#[cfg(test)]
mod tests;
