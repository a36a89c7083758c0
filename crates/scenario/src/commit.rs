//! What a commit makes of the desired state.

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::{ObjectKey, Reference, kinds, object, patch};

use crate::manifests::Placed;
use crate::types::Commit;

/// Why a commit could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// `patch` or `remove` names what is not there.
    #[error("`commit` names `{0}`, but no object of the desired state at that time is meant by it")]
    NoMatch(String),
    /// A patch does not fit its object.
    #[error("`commit` cannot patch `{0}`: {1}")]
    Patch(String, patch::PatchError),
}

impl Commit {
    /// The desired objects after this commit, in order; `before` are those before it, of an app whose destination is
    /// `home`. A patched object keeps its place.
    ///
    /// # Errors
    /// [`CommitError`] when `patch` or `remove` names what is not there, or a patch does not fit.
    pub fn carried_out(&self, before: &[Placed], home: &str) -> Result<Vec<Placed>, CommitError> {
        let mut out = self.manifests.as_deref().unwrap_or(before).to_vec();
        for placed in &self.apply {
            put(&mut out, placed, home);
        }
        for (reference, merge) in &self.patch {
            let mut met = false;
            for placed in out
                .iter_mut()
                .filter(|placed| is_meant(reference, &placed.object, home))
            {
                met = true;
                patch::merge(Arc::make_mut(&mut placed.object), merge)
                    .map_err(|source| CommitError::Patch(reference.to_string(), source))?;
            }
            if !met {
                return Err(CommitError::NoMatch(reference.to_string()));
            }
        }
        for reference in &self.remove {
            let before = out.len();
            out.retain(|placed| !is_meant(reference, &placed.object, home));
            if out.len() == before {
                return Err(CommitError::NoMatch(reference.to_string()));
            }
        }
        Ok(out)
    }
}

/// Replaces the object of the same key, or adds it. An object without a name is always added.
fn put(desired: &mut Vec<Placed>, placed: &Placed, home: &str) {
    let key = desired_key(&placed.object, home);
    let known = desired
        .iter_mut()
        .find(|known| !key.name.is_empty() && desired_key(&known.object, home) == key);
    match known {
        Some(known) => known.clone_from(placed),
        None => desired.push(placed.clone()),
    }
}

fn is_meant(reference: &Reference, object: &Value, home: &str) -> bool {
    reference.matches(&pattern_key(object, home), home)
}

/// The key of a desired object: without a namespace it goes to `home`, unless its kind is cluster-scoped.
pub fn desired_key(object: &Value, home: &str) -> ObjectKey {
    let mut key = ObjectKey::of(object).unwrap_or_default();
    match kinds::find(&key.group, &key.kind) {
        Some(kind) if !kind.namespaced => key.namespace.clear(),
        _ if key.namespace.is_empty() => home.clone_into(&mut key.namespace),
        _ => {}
    }
    key
}

/// As [`desired_key`], with `prefix*` as the name of an object that has only a generateName.
pub fn pattern_key(object: &Value, home: &str) -> ObjectKey {
    let mut key = desired_key(object, home);
    if key.name.is_empty() {
        key.name = format!("{}*", object::meta_str(object, "generateName"));
    }
    key
}
