//! Events are kept for an hour after they were last written (API-312).

use std::sync::Arc;

use wavetank_kernel::{Class, Load, SimTime};
use wavetank_model::{DeleteOptions, object};

use crate::create::Call;
use crate::registry::Resource;
use crate::server::{Server, Work};
use crate::store::{Event, Place};

const ACTOR: &str = "etcd";
const MANAGER: &str = "kube-apiserver";

impl Server {
    /// Plans the end of an Event that was written just now.
    pub(crate) fn plan_expiry(&mut self, resource: &Resource, event: &Event, now: SimTime) {
        if event.deleted || resource.kind() != "Event" || !resource.group.is_empty() {
            return;
        }
        let place = (resource.table, Arc::clone(&event.new.key));
        let work = Work::Expire(place, event.new.revision);
        let at = now + self.config.latencies.event_life;
        self.queue.push(at, Class::SERVER, Load::Upkeep, work);
    }

    /// Forgets the object of that place, unless it was written since `revision`.
    pub(crate) fn expire(&mut self, (table, key): &Place, revision: u64, now: SimTime) {
        let Some(stored) = self
            .store
            .get(*table, key)
            .filter(|stored| stored.revision == revision)
            .cloned()
        else {
            return;
        };
        let Some(resource) = self.registry.by_plural("", "events").cloned() else {
            return;
        };
        let value = self.store.value(&stored);
        let mut call = Call::inside(
            &resource,
            ACTOR,
            MANAGER,
            object::namespace(&value),
            object::name(&value),
            now,
        );
        // It is no request: an Event that a finalizer holds stays, as nothing asks for it again.
        drop(self.delete(&mut call, &DeleteOptions::default()));
    }
}
