//! Volumes by the claim they are meant for, and free ones by class and size, so that a claim is not held against each.
//!
//! What stands here may be older than the store: a volume is looked at again before it is given away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::object::{self, At};
use wavetank_model::quantity::Quantity;
use wavetank_model::{Api, ObjectKey};

use super::{claims_volume, meant_for};
use crate::read::{list, text};

/// Where a volume stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// With a claim.
    Meant(ObjectKey),
    /// With a class.
    Free(String),
}

/// The volumes of the cluster.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    /// Names by size: the smallest first, the first by name among equals.
    volumes: BTreeMap<Place, BTreeSet<(Option<Quantity>, String)>>,
    places: BTreeMap<String, (Place, Option<Quantity>)>,
}

fn size(of: &Value, path: &[&str]) -> Option<Quantity> {
    text(of, path).parse().ok()
}

impl Shelves {
    /// A volume came or changed; `None` when it went.
    pub(super) fn note(&mut self, name: &str, volume: Option<&Value>) {
        let new = volume.map(|volume| {
            let free = || Place::Free(text(volume, &["spec", "storageClassName"]).to_owned());
            let place = meant_for(volume).map_or_else(free, Place::Meant);
            (place, size(volume, &["spec", "capacity", "storage"]))
        });
        if self.places.get(name) == new.as_ref() {
            return;
        }
        self.take(name);
        if let Some((place, size)) = new {
            let entry = (size, name.to_owned());
            self.volumes.entry(place.clone()).or_default().insert(entry);
            self.places.insert(name.to_owned(), (place, size));
        }
    }

    /// A volume is given away, or went.
    pub(super) fn take(&mut self, name: &str) {
        let Some((place, size)) = self.places.remove(name) else {
            return;
        };
        if let Some(shelf) = self.volumes.get_mut(&place) {
            shelf.remove(&(size, name.to_owned()));
            if shelf.is_empty() {
                self.volumes.remove(&place);
            }
        }
    }

    /// The volume that names the claim, whose key is `key`.
    pub(super) fn meant(
        &self,
        key: &ObjectKey,
        claim: &Value,
        api: &dyn Api,
    ) -> Option<Arc<Value>> {
        let place = Place::Meant(key.clone());
        let volumes = self.volumes.get(&place).into_iter().flatten();
        volumes
            .filter_map(|entry| get(entry, api))
            .find(|volume| claims_volume(volume, claim))
    }

    /// The smallest free volume that fits, the first by name among equals.
    pub(super) fn free(&self, claim: &Value, api: &dyn Api) -> Option<Arc<Value>> {
        let least = size(claim, &["spec", "resources", "requests", "storage"])?;
        let place = Place::Free(text(claim, &["spec", "storageClassName"]).to_owned());
        let volumes = self.volumes.get(&place)?;
        volumes
            .range((Some(least), String::new())..)
            .filter_map(|entry| get(entry, api))
            .find(|volume| fits(volume, claim))
    }
}

fn get((_, name): &(Option<Quantity>, String), api: &dyn Api) -> Option<Arc<Value>> {
    api.get(&ObjectKey::new("", "PersistentVolume", "", name.as_str()))
}

/// Whether the claim may have the volume, its class and size apart.
fn fits(volume: &Value, claim: &Value) -> bool {
    let wanted = text(claim, &["spec", "volumeName"]);
    let modes = list(volume, &["spec", "accessModes"]);
    volume.at(&["spec", "claimRef"]).is_none()
        && !object::is_terminating(volume)
        && (wanted.is_empty() || wanted == object::name(volume))
        && list(claim, &["spec", "accessModes"])
            .iter()
            .all(|mode| modes.contains(mode))
        && claim
            .at(&["spec", "selector"])
            .is_none_or(|selector| crate::selectors::picks(selector, volume))
}
