//! Garbage collection (API-243 to 253): what happens to dependents, and to owners that wait for them.
//!
//! Every commit plans visits to the objects it may concern; a visit decides by the newest state, as a real collector's
//! live reads do, and acts through the ordinary write path.

use std::collections::BTreeSet;
use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::object::At;
use wavetank_model::object::OwnerReference;
use wavetank_model::{DeleteOptions, GroupKind, Propagation, Status, key, object};

use crate::create::Call;
use crate::delete::{FOREGROUND, ORPHAN};
use crate::registry::{Resource, TableId};
use crate::server::{Server, Work};
use crate::store::{Event, Place, Stored};

const ACTOR: &str = "garbage-collector";
const MANAGER: &str = "kube-controller-manager";

/// Visits that wait in the queue, so that none is planned twice.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    visits: BTreeSet<Place>,
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) definitions: BTreeSet<String>,
    /// `ClusterRoles` that are sums.
    pub(crate) sums: BTreeSet<String>,
}

/// What an owner reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is there, or it cannot be looked up (API-249): the dependent stays.
    Solid,
    /// It is being deleted in the foreground.
    Waiting,
    /// It is gone, or another object has its name.
    Dangling,
}

impl Server {
    /// Plans the visits that follow from a commit.
    pub(crate) fn plan_collection(
        &mut self,
        resource: &Resource,
        event: &Event,
        value: &Value,
        now: SimTime,
    ) {
        let me = (resource.table, Arc::clone(&event.new.key));
        if event.deleted {
            let dependents: Vec<Place> = self.store.owned(&event.new.uid).cloned().collect();
            for place in dependents {
                self.plan_visit(place, now);
            }
            self.plan_waiting_owners(value, now);
            return;
        }
        let had_owners = event.old.as_ref().is_some_and(|old| !old.owners.is_empty());
        if had_owners || !event.new.owners.is_empty() {
            self.plan_after_owners(resource, event, value, now);
        }
        if event.new.terminating
            && object::finalizers(value).any(|name| name == FOREGROUND || name == ORPHAN)
        {
            self.plan_visit(me, now);
        }
    }

    /// Plans the visits that follow from a change of owner references.
    fn plan_after_owners(
        &mut self,
        resource: &Resource,
        event: &Event,
        value: &Value,
        now: SimTime,
    ) {
        let old = event.old.as_ref().map(|old| self.store.value(old));
        let references = |object: &Value| object.at(&["metadata", "ownerReferences"]).cloned();
        if old
            .as_ref()
            .is_some_and(|old| references(old) == references(value))
        {
            return;
        }
        if object::owners(value)
            .any(|owner| self.find_owner(resource, value, owner) != Owner::Solid)
        {
            self.plan_visit((resource.table, Arc::clone(&event.new.key)), now);
        }
        if let Some(old) = old {
            self.plan_waiting_owners(&old, now);
        }
    }

    fn plan_visit(&mut self, place: Place, now: SimTime) {
        if self.planned.visits.insert(place.clone()) {
            self.plan(now + self.config.latencies.collector, Work::Collect(place));
        }
    }

    /// Owners in a foreground deletion look again when a dependent goes or lets go.
    fn plan_waiting_owners(&mut self, dependent: &Value, now: SimTime) {
        let places: Vec<Place> = object::owners(dependent)
            .filter_map(|owner| self.owner_place(object::namespace(dependent), owner))
            .filter(|(table, key)| {
                self.store
                    .get(*table, key)
                    .is_some_and(|stored| stored.terminating)
            })
            .collect();
        for place in places {
            self.plan_visit(place, now);
        }
    }

    fn owner_place(&self, namespace: &str, owner: OwnerReference<'_>) -> Option<Place> {
        let (group, _) = key::split_api_version(owner.api_version);
        let resource = self.registry.by_kind(group, owner.kind)?;
        let stored = self
            .store
            .get(resource.table, &resource.storage_key(namespace, owner.name))?;
        Some((resource.table, Arc::clone(&stored.key)))
    }

    fn find_owner(&self, dependent: &Resource, value: &Value, owner: OwnerReference<'_>) -> Owner {
        let (group, _) = key::split_api_version(owner.api_version);
        let Some(resource) = self.registry.by_kind(group, owner.kind) else {
            return Owner::Solid;
        };
        if resource.namespaced && !dependent.namespaced {
            return Owner::Solid;
        }
        let place = resource.storage_key(object::namespace(value), owner.name);
        match self
            .store
            .get(resource.table, &place)
            .filter(|stored| &*stored.uid == owner.uid)
        {
            None => Owner::Dangling,
            Some(stored) if stored.terminating && self.has_finalizer(stored, FOREGROUND) => {
                Owner::Waiting
            }
            Some(_) => Owner::Solid,
        }
    }

    fn has_finalizer(&self, stored: &Stored, name: &str) -> bool {
        object::finalizers(&self.store.value(stored)).any(|finalizer| finalizer == name)
    }

    /// Visits one object; again later, when something could not be done.
    pub(crate) fn collect(&mut self, place: Place, now: SimTime) {
        self.planned.visits.remove(&place);
        let done = self.visit(&place, now);
        self.attempted(Work::Collect(place), done, now);
    }

    fn visit(&mut self, place: &Place, now: SimTime) -> Result<(), Status> {
        let Some(resource) = self.registry.table(place.0).cloned() else {
            return Ok(());
        };
        let Some(stored) = self.store.get(place.0, &place.1).cloned() else {
            return Ok(());
        };
        let value = self.store.value(&stored);
        if stored.terminating {
            if object::finalizers(&value).any(|name| name == ORPHAN) {
                return self.orphan_dependents(&resource, &stored, &value, now);
            }
            if object::finalizers(&value).any(|name| name == FOREGROUND) {
                return self.await_dependents(&resource, &stored, &value, now);
            }
            return Ok(());
        }
        let owners: Vec<(Owner, &str)> = object::owners(&value)
            .map(|owner| (self.find_owner(&resource, &value, owner), owner.uid))
            .collect();
        if owners.is_empty() || owners.iter().all(|(found, _)| *found == Owner::Solid) {
            return Ok(());
        }
        if owners.iter().any(|(found, _)| *found == Owner::Solid) {
            let gone: Vec<&str> = owners
                .iter()
                .filter(|(found, _)| *found != Owner::Solid)
                .map(|(_, uid)| *uid)
                .collect();
            return self.drop_owners(&resource, &value, &gone, now);
        }
        let waiting = owners.iter().any(|(found, _)| *found == Owner::Waiting);
        self.delete_dependent(&resource, &stored, &value, waiting, now)
    }

    /// Deletes an object none of whose owners is solid (API-244).
    fn delete_dependent(
        &mut self,
        resource: &Arc<Resource>,
        stored: &Stored,
        value: &Value,
        waiting: bool,
        now: SimTime,
    ) -> Result<(), Status> {
        let dependents: Vec<Place> = self.store.owned(&stored.uid).cloned().collect();
        let has = |name: &str| object::finalizers(value).any(|finalizer| finalizer == name);
        let policy = if waiting && !dependents.is_empty() {
            self.break_cycle(resource, stored, value, &dependents, now)?;
            Propagation::Foreground
        } else if has(ORPHAN) {
            Propagation::Orphan
        } else if has(FOREGROUND) {
            Propagation::Foreground
        } else {
            Propagation::Background
        };
        let options = DeleteOptions {
            propagation: Some(policy),
            uid: Some(stored.uid.to_string()),
            ..DeleteOptions::default()
        };
        let mut call = collector_call(resource, value, now);
        self.delete(&mut call, &options).map(|_| ())
    }

    /// A dependent that is itself waiting for this object holds it no longer (API-253).
    fn break_cycle(
        &mut self,
        resource: &Arc<Resource>,
        stored: &Stored,
        value: &Value,
        dependents: &[Place],
        now: SimTime,
    ) -> Result<(), Status> {
        let in_cycle = dependents.iter().any(|(table, key)| {
            self.store
                .get(*table, key)
                .is_some_and(|other| other.terminating && self.has_finalizer(other, FOREGROUND))
        });
        if !in_cycle || self.store.get(resource.table, &stored.key).is_none() {
            return Ok(());
        }
        let owners: Vec<Value> = value
            .at(&["metadata", "ownerReferences"])
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|reference| {
                let mut reference = reference.clone();
                reference["blockOwnerDeletion"] = json!(false);
                reference
            })
            .collect();
        self.change(resource, value, &json!({"ownerReferences": owners}), now)
    }

    /// An owner in an orphaning deletion lets its dependents go, then ends (API-246).
    fn orphan_dependents(
        &mut self,
        resource: &Arc<Resource>,
        stored: &Stored,
        value: &Value,
        now: SimTime,
    ) -> Result<(), Status> {
        let dependents: Vec<Place> = self.store.owned(&stored.uid).cloned().collect();
        let mut all = Ok(());
        for (table, key) in dependents {
            let Some(dependent) = self.store.get(table, &key).cloned() else {
                continue;
            };
            let Some(kind) = self.registry.table(table).cloned() else {
                continue;
            };
            let dependent = self.store.value(&dependent);
            let done = self.drop_owners(&kind, &dependent, &[&stored.uid], now);
            all = all.and(done);
        }
        all?;
        self.drop_finalizer(resource, value, ORPHAN, now)
    }

    /// An owner in a foreground deletion ends when no dependent blocks it; the others are visited.
    fn await_dependents(
        &mut self,
        resource: &Arc<Resource>,
        stored: &Stored,
        value: &Value,
        now: SimTime,
    ) -> Result<(), Status> {
        let dependents: Vec<Place> = self.store.owned(&stored.uid).cloned().collect();
        let mut blocked = false;
        let mut visits: Vec<(TableId, Arc<str>)> = Vec::new();
        for (table, key) in dependents {
            let Some(dependent) = self.store.get(table, &key) else {
                continue;
            };
            let dependent_value = self.store.value(dependent);
            blocked |= object::owners(&dependent_value)
                .any(|owner| owner.uid == &*stored.uid && owner.block_owner_deletion);
            if !dependent.terminating {
                visits.push((table, key));
            }
        }
        // A dependent is deleted by this visit already: the owner's mark is what it waited for.
        for place in visits {
            self.collect(place, now);
        }
        if blocked {
            return Ok(());
        }
        self.drop_finalizer(resource, value, FOREGROUND, now)
    }

    fn drop_owners(
        &mut self,
        resource: &Arc<Resource>,
        value: &Value,
        uids: &[&str],
        now: SimTime,
    ) -> Result<(), Status> {
        let left: Vec<&Value> = value
            .at(&["metadata", "ownerReferences"])
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|reference| {
                reference
                    .get("uid")
                    .and_then(Value::as_str)
                    .is_none_or(|uid| !uids.contains(&uid))
            })
            .collect();
        let patch = if left.is_empty() {
            json!({"ownerReferences": null})
        } else {
            json!({"ownerReferences": left})
        };
        self.change(resource, value, &patch, now)
    }

    fn drop_finalizer(
        &mut self,
        resource: &Arc<Resource>,
        value: &Value,
        name: &str,
        now: SimTime,
    ) -> Result<(), Status> {
        let left: Vec<&str> = object::finalizers(value)
            .filter(|finalizer| *finalizer != name)
            .collect();
        let patch = if left.is_empty() {
            json!({"finalizers": null})
        } else {
            json!({"finalizers": left})
        };
        self.change(resource, value, &patch, now)
    }

    /// Patches metadata of the newest version of an object.
    fn change(
        &mut self,
        resource: &Arc<Resource>,
        value: &Value,
        metadata: &Value,
        now: SimTime,
    ) -> Result<(), Status> {
        let mut call = collector_call(resource, value, now);
        let patch = json!({"metadata": metadata});
        self.patch(&mut call, wavetank_model::PatchType::Merge, patch.into())
            .map(|_| ())
    }
}

fn collector_call(resource: &Arc<Resource>, value: &Value, now: SimTime) -> Call {
    Call::inside(
        resource,
        ACTOR,
        MANAGER,
        object::namespace(value),
        object::name(value),
        now,
    )
}
