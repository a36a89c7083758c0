//! The stages of a write that depend on the kind, in the server's order (API-012, API-013).

use wavetank_json::Value;
use wavetank_model::key::GroupKind;
use wavetank_model::object;
use wavetank_model::status::Status;

use super::field::{Errors, invalid};
use super::json::{Members, int, restore, set};
use super::{Env, StatusOnCreate, Strategy, meta, reject};

/// Makes `object` (defaulted, admitted, named) ready to be stored: drops the status, fills generated fields, sets the
/// generation, validates. Gives the warnings.
///
/// # Errors
/// 422 with every problem found.
pub(crate) fn create(
    strategy: &dyn Strategy,
    gk: &GroupKind,
    namespaced: bool,
    object: &mut Value,
    env: &mut Env<'_>,
) -> Result<Vec<String>, Status> {
    match strategy.status_on_create() {
        StatusOnCreate::Kept => {}
        StatusOnCreate::Empty => set(object, "status", Some(Value::Object(Members::new()))),
        StatusOnCreate::Absent => set(object, "status", None),
    }
    // Kinds that do not count generations keep the number that a client sends.
    if strategy.has_generation()
        && let Some(metadata) = object.get_mut("metadata")
    {
        set(metadata, "generation", Some(1.into()));
    }
    let mut warnings = meta::deduplicate_owners(object);
    let name = object::name(object).to_owned();
    strategy
        .prepare_for_create(object, env)
        .map_err(|errors| invalid(gk, &name, errors))?;
    let mut errors = Errors::default();
    meta::validate_create(object, namespaced, strategy, &mut errors);
    strategy.validate_create(object, &mut errors);
    reject(gk, &name, errors)?;
    warnings.extend(strategy.warnings(object));
    Ok(warnings)
}

/// Makes `new` ready to replace `old`: keeps what the write may not change, raises the generation, validates. The main
/// resource has the empty `subresource`. Gives the warnings.
///
/// # Errors
/// 422 with every problem found.
pub(crate) fn update(
    strategy: &dyn Strategy,
    gk: &GroupKind,
    new: &mut Value,
    old: &Value,
    subresource: &str,
    env: &mut Env<'_>,
) -> Result<Vec<String>, Status> {
    match subresource {
        "" if strategy.has_status() => restore(new, old, "status"),
        "status" => keep_all_but_status(new, old),
        _ => {}
    }
    meta::restore_system_fields(new, old);
    // Metadata that are stored were found right before.
    let metadata_differ = new.get("metadata") != old.get("metadata");
    let mut warnings = if metadata_differ {
        meta::deduplicate_owners(new)
    } else {
        Vec::new()
    };
    let name = object::name(old).to_owned();
    strategy
        .prepare_for_update(new, old, subresource, env)
        .map_err(|errors| invalid(gk, &name, errors))?;
    if subresource.is_empty() && strategy.has_generation() && strategy.bumps_generation(new, old) {
        let generation = old
            .get("metadata")
            .and_then(|metadata| int(metadata, "generation"))
            .unwrap_or(0);
        if let Some(metadata) = new.get_mut("metadata") {
            set(metadata, "generation", Some((generation + 1).into()));
        }
    }
    let mut errors = Errors::default();
    if metadata_differ {
        meta::validate_update(new, old, strategy, &mut errors);
    }
    strategy.validate_update(new, old, subresource, &mut errors);
    reject(gk, &name, errors)?;
    if subresource.is_empty() {
        warnings.extend(strategy.warnings(new));
    }
    Ok(warnings)
}

/// A status write changes status and metadata, nothing else (API-222).
fn keep_all_but_status(new: &mut Value, old: &Value) {
    let (Some(members), Some(before)) = (new.as_object_mut(), old.as_object()) else {
        return;
    };
    members.retain(|key, _| {
        matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status")
            || before.contains_key(key)
    });
    for (key, value) in before {
        if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status")
            && members.get(key) != Some(value)
        {
            members.insert(key.clone(), value.clone());
        }
    }
}
