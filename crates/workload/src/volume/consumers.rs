//! The Pods that use a claim.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use wavetank_model::ObjectKey;

use crate::scheduler::claim_names;

/// Pods by namespace and name of a claim they use. The volumes of a Pod do not change.
#[derive(Debug, Default)]
pub(crate) struct Consumers(BTreeMap<(String, String), BTreeSet<Arc<ObjectKey>>>);

impl Consumers {
    /// A Pod came.
    pub(crate) fn insert(&mut self, key: &Arc<ObjectKey>, pod: &Value) {
        for name in claim_names(pod) {
            let claim = (key.namespace.clone(), name);
            self.0.entry(claim).or_default().insert(Arc::clone(key));
        }
    }

    /// A Pod went.
    pub(crate) fn remove(&mut self, key: &Arc<ObjectKey>, pod: &Value) {
        for name in claim_names(pod) {
            let claim = (key.namespace.clone(), name);
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
        let claim = (claim.namespace.clone(), claim.name.clone());
        self.0.get(&claim).into_iter().flatten()
    }
}
