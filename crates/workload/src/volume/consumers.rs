//! The Pods that use a claim.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::{ObjectKey, object};

use super::claim_key;
use crate::read::{list, text};

/// The claims a Pod uses.
pub(crate) fn claims_of(pod: &Value) -> impl Iterator<Item = ObjectKey> {
    let names = list(pod, &["spec", "volumes"]).iter().filter_map(|volume| {
        if let Some(claim) = volume.get("persistentVolumeClaim") {
            return Some(text(claim, &["claimName"]).to_owned());
        }
        volume
            .get("ephemeral")
            .map(|_| format!("{}-{}", object::name(pod), text(volume, &["name"])))
    });
    names.map(|name| claim_key(object::namespace(pod), name))
}

/// Pods by a claim they use. The volumes of a Pod do not change.
#[derive(Debug, Default)]
pub(crate) struct Consumers(BTreeMap<ObjectKey, BTreeSet<Arc<ObjectKey>>>);

impl Consumers {
    /// A Pod came.
    pub(crate) fn insert(&mut self, key: &Arc<ObjectKey>, pod: &Value) {
        for claim in claims_of(pod) {
            self.0.entry(claim).or_default().insert(Arc::clone(key));
        }
    }

    /// A Pod went.
    pub(crate) fn remove(&mut self, key: &Arc<ObjectKey>, pod: &Value) {
        for claim in claims_of(pod) {
            if let Some(pods) = self.0.get_mut(&claim) {
                pods.remove(key);
                if pods.is_empty() {
                    self.0.remove(&claim);
                }
            }
        }
    }

    /// The Pods that name the claim, by name.
    pub(crate) fn of(&self, claim: &ObjectKey) -> impl Iterator<Item = &Arc<ObjectKey>> {
        self.0.get(claim).into_iter().flatten()
    }
}
