//! Child applications: where a scenario desires some, the simulated cluster serves their kind.

use std::sync::Arc;

use serde_json::{Value, json};
use wavetank_model::{GroupVersionKind, object};
use wavetank_scenario::Scenario;

const DEFINITION: &str = "applications.argoproj.io";

/// The scenario with the definition of Applications among `cluster.objects`, where an object of it is one and nothing in
/// it brings the definition.
pub(crate) fn with_definition(scenario: Arc<Scenario>) -> Arc<Scenario> {
    let (mut used, mut defined) = (false, false);
    for object in crate::run::world_objects(&scenario) {
        let Some(gvk) = GroupVersionKind::of(object) else {
            continue;
        };
        used |= gvk.group == "argoproj.io" && gvk.kind == "Application";
        defined |= gvk.kind == "CustomResourceDefinition" && object::name(object) == DEFINITION;
    }
    if !used || defined {
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
