//! Child applications: where a scenario desires some, clusters whose workloads are simulated serve their kind.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_model::{GroupVersionKind, object};
use wavetank_scenario::Scenario;

const DEFINITION: &str = "applications.argoproj.io";

/// Whether an object of the scenario is an Application, and nothing in it brings the definition.
pub fn lacks_definition_of_applications(scenario: &Scenario) -> bool {
    let (mut used, mut defined) = (false, false);
    for object in crate::run::world_objects(scenario) {
        let Some(gvk) = GroupVersionKind::of(object) else {
            continue;
        };
        used |= gvk.group == "argoproj.io" && gvk.kind == "Application";
        defined |= gvk.kind == "CustomResourceDefinition" && object::name(object) == DEFINITION;
    }
    used && !defined
}

/// The scenario with the definition of Applications among `cluster.objects`, where it lacks that.
pub(crate) fn with_definition(scenario: Arc<Scenario>) -> Arc<Scenario> {
    if !lacks_definition_of_applications(&scenario) {
        return scenario;
    }
    let mut scenario = Scenario::clone(&scenario);
    scenario.cluster.objects.insert(0, Arc::new(definition()));
    Arc::new(scenario)
}

/// Argo CD's CRD without its schema; the kind has no status subresource there.
fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": DEFINITION},
        "spec": {
            "group": "argoproj.io",
            "scope": "Namespaced",
            "names": {
                "plural": "applications", "singular": "application", "kind": "Application",
                "listKind": "ApplicationList", "shortNames": ["app", "apps"],
            },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}
