//! What `RespectIgnoreDifferences=true` makes of a desired object: ignored fields carry their live values (SYNC-103).

use wavetank_json::{Map, Value};
use wavetank_model::schema::SchemaRef;
use wavetank_model::{ArgoVersion, GroupVersionKind, patch, schema};

use super::{IgnoredDifference, strip_conflicts, strip_paths};

/// The desired object with the live values of ignored fields (SYNC-103), and without `status`, which is ignored always.
///
/// The patch from the live object without its ignored fields to the whole one is applied to the desired object without
/// them. A list without a merge key is taken whole from the live object, elements that nobody ignores with it; maps that
/// patches replace whole keep what is not ignored. An error of the patch leaves the object as it is without the
/// ignored fields.
pub fn with_live_values(
    ignored: &[IgnoredDifference],
    target: &Value,
    live: &Value,
    version: ArgoVersion,
) -> Value {
    let (mut bare_target, mut bare_live) = (target.clone(), live.clone());
    strip_conflicts(ignored, version, &mut bare_target, &mut bare_live);
    strip_paths(ignored, &mut bare_target);
    strip_paths(ignored, &mut bare_live);
    without_status(&mut bare_target);
    if bare_live == *live {
        return bare_target;
    }
    let mut live = live.clone();
    without_status(&mut bare_live);
    without_status(&mut live);
    let mut out = bare_target.clone();
    if patched(&mut out, &bare_live, &live, version).is_none() {
        return bare_target;
    }
    if let (Value::Object(out), Value::Object(target), Value::Object(bare)) =
        (&mut out, target, &bare_target)
    {
        restore(out, target, bare, bare_live.as_object());
    }
    out
}

fn without_status(object: &mut Value) {
    if let Value::Object(map) = object {
        map.remove("status");
    }
}

/// Puts into `out` what `live` has more than `bare_live`; `None` when that cannot be put into words.
fn patched(out: &mut Value, bare_live: &Value, live: &Value, version: ArgoVersion) -> Option<()> {
    if let Some(schema) = patch_schema(out, version) {
        let words = patch::three_way_strategic(live, live, bare_live, schema).ok()?;
        patch::strategic(out, words, schema).ok()
    } else {
        let words = patch::three_way_merge(live, live, bare_live);
        patch::merge(out, &words).ok()
    }
}

/// By which types the patch is made; without them it is a merge patch.
///
/// Since 3.6 it is the server's `OpenAPI` document for custom resources, where no definition can give a list a merge
/// key: only the lists of `metadata` have one, in every kind alike.
fn patch_schema(object: &Value, version: ArgoVersion) -> Option<SchemaRef<'static>> {
    let known = GroupVersionKind::of(object).and_then(|gvk| schema::builtin(&gvk));
    let any_kind = || schema::builtin(&GroupVersionKind::new("v1", "ConfigMap"));
    known.or_else(|| (version >= ArgoVersion::V3_6).then(any_kind).flatten())
}

/// Gives fields that are not ignored back what is desired: a patch that replaces a map whole (the selector of a
/// `PodDisruptionBudget`) brings those of the live object along.
///
/// What the normalisation left alone in the desired object is not ignored, neither is what it left of the live one.
fn restore(out: &mut Map, target: &Map, bare_target: &Map, bare_live: Option<&Map>) {
    for (key, wanted) in target {
        let bare = bare_target.get(key);
        let inner_live = bare_live.and_then(|live| live.get(key)?.as_object());
        if let (Some(Value::Object(out)), Value::Object(wanted), Some(Value::Object(bare))) =
            (out.get_mut(key), wanted, bare)
        {
            restore(out, wanted, bare, inner_live);
        } else if bare == Some(wanted) && out.get(key) != Some(wanted) {
            out.insert(key.clone(), wanted.clone());
        }
    }
    out.retain(|key, _| {
        target.contains_key(key) || !bare_live.is_some_and(|live| live.contains_key(key))
    });
}
