//! The life of a `CustomResourceDefinition` (API-256 to 258, 268 to 270, 393): its names are accepted, it is established and
//! served, it changes, it ends after its objects.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::object::{self, condition, is_true};
use wavetank_model::{DeleteOptions, Propagation, Status};

use crate::binding::set_condition;
use crate::create::Call;
use crate::custom;
use crate::registry::Resource;
use crate::server::{Server, Work};
use crate::store::Event;

const ACTOR: &str = "crd-controller";
const MANAGER: &str = "kube-apiserver";
/// Keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Whether a resource is that of definitions.
pub(crate) fn is_definition(resource: &Resource) -> bool {
    wavetank_model::kinds::is_definition(&resource.group, resource.kind())
}

impl Server {
    /// What follows from a commit of a definition, or of the last object of one that ends.
    pub(crate) fn after_definition(
        &mut self,
        resource: &Arc<Resource>,
        event: &Event,
        value: &Value,
        now: SimTime,
    ) {
        if resource.is_custom() {
            if event.deleted && self.is_ending(resource) {
                let name = format!("{}.{}", resource.plural, resource.group);
                self.plan_definition(&name, now);
            }
            return;
        }
        if !is_definition(resource) {
            return;
        }
        let name = object::name(value);
        if event.deleted {
            self.unserve(value);
            self.plan_rivals(value, now);
            return;
        }
        let old = event.old.as_ref().map(|old| self.store.value(old));
        if is_true(value, "NamesAccepted") || is_true(value, "Established") {
            self.serve(value, old.as_deref());
        }
        let respecified = old
            .as_ref()
            .is_none_or(|old| old["spec"]["names"] != value["spec"]["names"]);
        if respecified
            || event.new.terminating
            || (is_true(value, "NamesAccepted") && !is_true(value, "Established"))
        {
            self.plan_definition(name, now);
        }
    }

    /// Names that a definition had are free: others of its group may have waited for them.
    fn plan_rivals(&mut self, gone: &Value, now: SimTime) {
        let Some(definitions) = self.definitions() else {
            return;
        };
        let waiting: Vec<String> = self
            .store
            .scan(definitions.table, "")
            .map(|stored| self.store.value(stored))
            .filter(|other| other["spec"]["group"] == gone["spec"]["group"])
            .filter(|other| !is_true(other, "NamesAccepted"))
            .map(|other| object::name(&other).to_owned())
            .collect();
        for name in waiting {
            self.plan_definition(&name, now);
        }
    }

    fn plan_definition(&mut self, name: &str, now: SimTime) {
        if self.planned.definitions.insert(name.to_owned()) {
            self.plan(
                now + self.config.latencies.establish,
                Work::Define(name.to_owned()),
            );
        }
    }

    fn definitions(&self) -> Option<Arc<Resource>> {
        self.registry
            .by_plural("apiextensions.k8s.io", "customresourcedefinitions")
            .cloned()
    }

    fn definition(&self, name: &str) -> Option<Arc<Value>> {
        let stored = self.store.get(self.definitions()?.table, name)?;
        Some(self.store.value(stored))
    }

    /// Whether the definition of a custom resource is going away.
    pub(crate) fn is_ending(&self, resource: &Resource) -> bool {
        self.definition(&format!("{}.{}", resource.plural, resource.group))
            .is_some_and(|definition| object::is_terminating(&definition))
    }

    /// Serves what a definition says, in place of what it said before.
    fn serve(&mut self, definition: &Value, old: Option<&Value>) {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let plural = definition["status"]["acceptedNames"]["plural"]
            .as_str()
            .unwrap_or_default();
        let before = self
            .registry
            .by_plural(group, plural)
            .filter(|resource| resource.is_custom())
            .map(|resource| resource.table);
        let table = before.unwrap_or_else(|| self.registry.next_table());
        if before.is_some() && old.is_some_and(|old| old["spec"] != definition["spec"]) {
            self.close_watches(table);
        }
        self.registry.insert(custom::resource(
            definition,
            table,
            is_true(definition, "Established"),
        ));
    }

    fn unserve(&mut self, definition: &Value) {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let plural = definition["status"]["acceptedNames"]["plural"]
            .as_str()
            .unwrap_or_default();
        let Some(table) = self
            .registry
            .by_plural(group, plural)
            .filter(|resource| resource.is_custom())
            .map(|resource| resource.table)
        else {
            return;
        };
        self.close_watches(table);
        self.registry.remove(table);
    }

    /// Takes a definition one step further; again later, when that was refused.
    pub(crate) fn define(&mut self, name: &str, now: SimTime) {
        self.planned.definitions.remove(name);
        let done = self.take_further(name, now);
        self.attempted(Work::Define(name.to_owned()), done, now);
    }

    fn take_further(&mut self, name: &str, now: SimTime) -> Result<(), Status> {
        let Some(definition) = self.definition(name) else {
            return Ok(());
        };
        if object::is_terminating(&definition) {
            return self.end_definition(&definition, now);
        }
        let mut changed = Value::clone(&definition);
        let stamp = self.timestamp(now);
        if definition["status"]["acceptedNames"] == accepted(&definition)
            && is_true(&definition, "NamesAccepted")
        {
            if !is_true(&definition, "Established") {
                let message = "the initial names have been accepted";
                state(
                    &mut changed,
                    "Established",
                    "True",
                    "InitialNamesAccepted",
                    message,
                    &stamp,
                );
            }
        } else {
            self.accept_names(&mut changed, &stamp);
        }
        self.write_definition(changed, "status", now)
    }

    fn accept_names(&self, definition: &mut Value, stamp: &str) {
        let first = !is_true(definition, "NamesAccepted");
        if let Some((reason, name)) = self.name_conflict(definition) {
            let message = format!("{name:?} is already in use");
            state(
                definition,
                "NamesAccepted",
                "False",
                reason,
                &message,
                stamp,
            );
            if !is_true(definition, "Established") {
                state(
                    definition,
                    "Established",
                    "False",
                    "NotAccepted",
                    "not all names are accepted",
                    stamp,
                );
            }
        } else {
            definition["status"]["acceptedNames"] = accepted(definition);
            state(
                definition,
                "NamesAccepted",
                "True",
                "NoConflicts",
                "no conflicts found",
                stamp,
            );
            if first && !is_true(definition, "Established") {
                let message = "the initial names have been accepted";
                state(
                    definition,
                    "Established",
                    "False",
                    "Installing",
                    message,
                    stamp,
                );
            }
        }
    }

    /// The first name of a definition that another resource of its group has.
    fn name_conflict(&self, definition: &Value) -> Option<(&'static str, String)> {
        let names = &definition["spec"]["names"];
        let text = |field: &str| names[field].as_str().unwrap_or_default();
        let others: Vec<&Arc<Resource>> = self
            .registry
            .iter()
            .filter(|other| Some(other.group.as_str()) == definition["spec"]["group"].as_str())
            .filter(|other| format!("{}.{}", other.plural, other.group) != object::name(definition))
            .collect();
        let taken = |name: &str| {
            others.iter().any(|other| {
                other.plural == name
                    || other.singular == name
                    || other.short_names.iter().any(|short| short == name)
            })
        };
        let taken_kind = |name: &str| {
            others
                .iter()
                .any(|other| other.kind() == name || other.list_kind == name)
        };
        for (reason, field) in [
            ("PluralConflict", "plural"),
            ("SingularConflict", "singular"),
        ] {
            if taken(text(field)) {
                return Some((reason, text(field).to_owned()));
            }
        }
        for short in names["shortNames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if taken(short) {
                return Some(("ShortNamesConflict", short.to_owned()));
            }
        }
        for (reason, field) in [("KindConflict", "kind"), ("ListKindConflict", "listKind")] {
            if taken_kind(text(field)) {
                return Some((reason, text(field).to_owned()));
            }
        }
        None
    }

    /// Deletes the objects of a definition, and lets it go when none is left.
    fn end_definition(&mut self, definition: &Value, now: SimTime) -> Result<(), Status> {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let plural = definition["status"]["acceptedNames"]["plural"]
            .as_str()
            .unwrap_or_default();
        let stamp = self.timestamp(now);
        let resource = self
            .registry
            .by_plural(group, plural)
            .filter(|resource| resource.is_custom())
            .cloned();
        if let Some(resource) = &resource
            && self.store.len(resource.table) > 0
        {
            let mut changed = Value::clone(definition);
            let message = "CustomResource deletion is in progress";
            state(
                &mut changed,
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                message,
                &stamp,
            );
            self.write_definition(changed, "status", now)?;
            self.delete_instances(resource, now)?;
            if self.store.len(resource.table) > 0 {
                return Ok(());
            }
        }
        let Some(newest) = self.definition(object::name(definition)) else {
            return Ok(());
        };
        let mut changed = Value::clone(&newest);
        state(
            &mut changed,
            "Terminating",
            "False",
            "InstanceDeletionCompleted",
            "removed all instances",
            &stamp,
        );
        self.write_definition(changed, "status", now)?;
        let Some(newest) = self.definition(object::name(definition)) else {
            return Ok(());
        };
        let mut changed = Value::clone(&newest);
        let left: Vec<&str> = object::finalizers(&newest)
            .filter(|finalizer| *finalizer != CLEANUP)
            .collect();
        changed["metadata"]["finalizers"] = json!(left);
        self.write_definition(changed, "", now)
    }

    fn delete_instances(&mut self, resource: &Arc<Resource>, now: SimTime) -> Result<(), Status> {
        let found: Vec<_> = self
            .store
            .scan(resource.table, "")
            .filter(|stored| !stored.terminating)
            .cloned()
            .collect();
        for stored in found {
            let value = self.store.value(&stored);
            let mut call = Call::inside(
                resource,
                ACTOR,
                MANAGER,
                object::namespace(&value),
                object::name(&value),
                now,
            );
            let options = DeleteOptions {
                propagation: Some(Propagation::Background),
                ..DeleteOptions::default()
            };
            // A real server reaches into its store here, where no policy is asked.
            call.unasked = true;
            self.delete(&mut call, &options)?;
        }
        Ok(())
    }

    fn write_definition(
        &mut self,
        definition: Value,
        subresource: &str,
        now: SimTime,
    ) -> Result<(), Status> {
        let Some(resource) = self.definitions() else {
            return Ok(());
        };
        let mut call = Call::inside(
            &resource,
            ACTOR,
            MANAGER,
            "",
            object::name(&definition),
            now,
        );
        subresource.clone_into(&mut call.subresource);
        self.update(&mut call, definition.into()).map(|_| ())
    }
}

/// The names a definition asks for, as they are accepted.
fn accepted(definition: &Value) -> Value {
    definition["spec"]["names"].clone()
}

/// Sets a condition; its time changes only with its status.
pub(crate) fn state(
    definition: &mut Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    stamp: &str,
) {
    let same = condition(definition, kind).filter(|one| one["status"] == status);
    let since = same
        .and_then(|one| one["lastTransitionTime"].as_str())
        .unwrap_or(stamp)
        .to_owned();
    let condition = json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since});
    set_condition(definition, condition);
}
