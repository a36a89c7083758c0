//! Drawing a scenario.

mod annotations;
mod behaviour;
mod body;
mod steps;

use wavetank_json::{Map, Value, json};
use wavetank_kernel::Seed;

use crate::case::Case;
use crate::dice::Dice;
use body::{DEFINITION, Kind, NAMESPACE, WIDGET};

/// Name of the application and of its namespace where it is not `default`.
const APP: &str = "shop";
const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// Draws a scenario: the same seed gives the same one.
pub fn generate(seed: Seed) -> Case {
    let mut dice = Dice::new(seed.child("fuzz-engine"));
    let mut draft = Draft::new(seed, &mut dice);
    draft.desire(&mut dice);
    draft.place_namespaces(&mut dice);
    draft.place_live(&mut dice);
    draft.finish(&mut dice)
}

/// An object of the scenario and how it is referred to.
#[derive(Clone, Debug)]
struct Drawn {
    kind: Kind,
    reference: String,
    object: Value,
}

/// A scenario in the making.
struct Draft {
    seed: Seed,
    /// Destination namespace.
    namespace: String,
    tracking: &'static str,
    settings: Map,
    sync_options: Vec<String>,
    desired: Vec<Drawn>,
    /// Objects that are there before the first step.
    live: Vec<Drawn>,
    /// The definition of widgets is there from the start.
    defined: bool,
}

impl Draft {
    fn new(seed: Seed, dice: &mut Dice) -> Self {
        let namespace = if dice.chance(55) { "default" } else { APP };
        let tracking = *dice.weighted(&[(85, "annotation"), (8, "label"), (7, "annotation+label")]);
        let mut settings = Map::new();
        if tracking != "annotation" {
            settings.insert("resourceTrackingMethod".to_owned(), tracking.into());
        }
        if dice.chance(20) {
            let delay = *dice.pick(&["0s", "500ms", "7s"]);
            settings.insert("syncWaveDelay".to_owned(), delay.into());
        }
        if dice.chance(12) {
            settings.insert(
                "resourceCustomizations".to_owned(),
                behaviour::scripts(dice),
            );
        }
        Self {
            seed,
            namespace: namespace.to_owned(),
            tracking,
            settings,
            sync_options: annotations::sync_options(dice),
            desired: Vec::new(),
            live: Vec::new(),
            defined: false,
        }
    }

    /// Draws the desired objects.
    fn desire(&mut self, dice: &mut Dice) {
        let count = *dice.weighted(&[(2, 1), (4, 2), (5, 3), (5, 4), (4, 5), (2, 6), (1, 8)]);
        for number in 0..count {
            let kind = *dice.weighted(body::KINDS);
            self.desired.push(self.draw(kind, number, dice));
        }
        if self.desired.iter().any(|drawn| drawn.kind == WIDGET) {
            // The definition is desired, there, or missing.
            match dice.between(0, 9) {
                0..4 => {
                    let definition = self.draw(DEFINITION, 0, dice);
                    self.desired.push(definition);
                }
                4..9 => self.defined = true,
                _ => {}
            }
        }
        let mut names = Vec::new();
        self.desired.retain(|drawn| {
            let is_new = !names.contains(&drawn.reference);
            names.push(drawn.reference.clone());
            is_new
        });
        if dice.chance(30) {
            self.desired.reverse();
        }
    }

    fn draw(&self, kind: Kind, number: u64, dice: &mut Dice) -> Drawn {
        let name = format!("{}-{number}", kind.kind.to_lowercase());
        let mut object = body::object(kind, &name, dice);
        let annotations = annotations::draw(kind, dice);
        let is_hook = annotations.keys().any(|key| key.contains("hook"));
        if !annotations.is_empty() {
            object["metadata"]["annotations"] = Value::Object(annotations);
        }
        let generated = is_hook && kind != DEFINITION && dice.chance(12);
        if generated && let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), format!("{name}-").into());
        }
        let mut drawn = Drawn {
            kind,
            reference: String::new(),
            object,
        };
        if kind.namespaced && dice.chance(6) {
            drawn.object["metadata"]["namespace"] = self.other_namespace().into();
        }
        if dice.chance(5) {
            let finalizers = if dice.chance(70) {
                json!(["example.com/hold"])
            } else {
                json!(["example.com/hold", "example.com/keep"])
            };
            drawn.object["metadata"]["finalizers"] = finalizers;
        }
        drawn.name_reference();
        drawn
    }

    /// A namespace that is not the destination.
    fn other_namespace(&self) -> &'static str {
        if self.namespace == "default" {
            APP
        } else {
            "default"
        }
    }

    /// Makes the namespaces of the objects, nearly always.
    fn place_namespaces(&mut self, dice: &mut Dice) {
        let is_used = self.namespace == APP
            || self
                .desired
                .iter()
                .any(|drawn| drawn.object["metadata"]["namespace"] == APP);
        if !is_used {
            return;
        }
        let mut namespace = Drawn {
            kind: NAMESPACE,
            reference: format!("Namespace/{APP}"),
            object: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APP}}),
        };
        match dice.between(0, 19) {
            0..9 => self.live.push(namespace),
            9..14 => self.sync_options.push("CreateNamespace=true".to_owned()),
            14..17 => {
                let annotations = annotations::draw(NAMESPACE, dice);
                if !annotations.is_empty() {
                    namespace.object["metadata"]["annotations"] = Value::Object(annotations);
                }
                self.desired.push(namespace);
            }
            17..19 => {
                self.sync_options.push("CreateNamespace=true".to_owned());
                self.live.push(namespace);
            }
            _ => {}
        }
    }

    /// Draws what is there before: forms of desired objects, and objects that are desired no more.
    fn place_live(&mut self, dice: &mut Dice) {
        if self.defined {
            let object = body::object(DEFINITION, "", dice);
            self.live.push(Drawn::new(DEFINITION, object));
        }
        let has_namespace =
            self.namespace == "default" || self.live.iter().any(|drawn| drawn.kind == NAMESPACE);
        if !has_namespace {
            return;
        }
        for drawn in self.desired.clone() {
            if dice.chance(25) && self.can_be_there(&drawn) {
                let live = self.live_form(drawn, dice);
                self.live.push(live);
            }
        }
        if dice.chance(45) {
            for number in 0..dice.between(1, 4) {
                let kind = *dice.weighted(body::KINDS);
                let mut old = self.draw(kind, 20 + number, dice);
                if let Some(metadata) = old.object["metadata"].as_object_mut()
                    && metadata.remove("generateName").is_some()
                {
                    metadata.insert("name".to_owned(), format!("old-{number}").into());
                }
                old.name_reference();
                let is_new = !self.live.iter().any(|live| live.reference == old.reference)
                    && !self
                        .desired
                        .iter()
                        .any(|other| other.reference == old.reference);
                if is_new && self.can_be_there(&old) {
                    self.track(&mut old, APP);
                    self.live.push(old);
                }
            }
        }
    }

    fn can_be_there(&self, drawn: &Drawn) -> bool {
        let namespace = &drawn.object["metadata"]["namespace"];
        let is_here = namespace.is_null() || *namespace == "default";
        let is_known = drawn.kind != WIDGET || self.defined;
        let is_named = drawn.object["metadata"].get("name").is_some();
        let is_other = !matches!(drawn.kind.kind, "Namespace" | "CustomResourceDefinition");
        is_here && is_known && is_named && is_other
    }

    /// What an earlier sync, or somebody, left of a desired object.
    fn live_form(&self, mut drawn: Drawn, dice: &mut Dice) -> Drawn {
        match dice.between(0, 9) {
            0..5 => self.track(&mut drawn, APP),
            5..7 => {}
            7 => self.track(&mut drawn, "another"),
            _ => {
                drawn.object = body::object(drawn.kind, drawn.name(), dice);
                self.track(&mut drawn, APP);
            }
        }
        let metadata = &mut drawn.object["metadata"];
        if dice.chance(15) {
            metadata["finalizers"] = json!(["argocd.argoproj.io/hook-finalizer"]);
        }
        if dice.chance(8) {
            metadata["finalizers"] = json!(["example.com/hold"]);
        }
        if dice.chance(10) {
            metadata["labels"]["somebody"] = "else".into();
        }
        drawn
    }

    /// Marks an object as one of `app`.
    fn track(&self, drawn: &mut Drawn, app: &str) {
        let group = drawn.kind.group();
        let kind = drawn.kind.kind;
        let name = drawn.name().to_owned();
        let namespace = drawn.object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(&self.namespace)
            .to_owned();
        let metadata = &mut drawn.object["metadata"];
        if self.tracking != "label" {
            metadata["annotations"][TRACKING] =
                format!("{app}:{group}/{kind}:{namespace}/{name}").into();
        }
        if self.tracking != "annotation" {
            metadata["labels"]["app.kubernetes.io/instance"] = app.into();
        }
    }

    fn finish(mut self, dice: &mut Dice) -> Case {
        let mut app = json!({"name": APP, "namespace": self.namespace});
        let mut policy = Map::new();
        if dice.chance(12) {
            let retry = json!({"limit": dice.between(1, 3), "backoff": {"duration": "5s", "factor": 2, "maxDuration": "1m"}});
            policy.insert("retry".to_owned(), retry);
        }
        if self
            .sync_options
            .iter()
            .any(|option| option == "CreateNamespace=true")
            && dice.chance(40)
        {
            let metadata = json!({"labels": {"team": "a"}, "annotations": {"example.com/a": "b"}});
            policy.insert("managedNamespaceMetadata".to_owned(), metadata);
        }
        if dice.chance(6) {
            let automated = json!({"prune": dice.chance(50), "selfHeal": dice.chance(50)});
            policy.insert("automated".to_owned(), automated);
        }
        if !self.sync_options.is_empty() {
            policy.insert("syncOptions".to_owned(), json!(self.sync_options));
        }
        if !policy.is_empty() {
            app["syncPolicy"] = Value::Object(policy);
        }
        if dice.chance(8) {
            app["ignoreDifferences"] = json!([
                {"group": "*", "kind": "*", "jsonPointers": [dice.pick(&["/data/colour", "/spec/replicas", "/metadata/labels"])]},
            ]);
        }
        if dice.chance(4) {
            app["project"] = json!({"namespaceResourceBlacklist": [{"group": "*", "kind": dice.pick(&["ConfigMap", "Job", "Secret"])}]});
        }
        if !self.settings.is_empty() {
            app["settings"] = Value::Object(std::mem::take(&mut self.settings));
        }
        let mut spec = json!({"app": app, "limits": {"time": "10m", "wall": "5m"}});
        let live: Vec<&Value> = self.live.iter().map(|drawn| &drawn.object).collect();
        if !live.is_empty() {
            spec["cluster"] = json!({"objects": live});
        }
        for (key, items) in [
            (
                "workloads",
                behaviour::workloads(&self.desired, &self.live, dice),
            ),
            ("faults", behaviour::faults(&self.desired, &self.live, dice)),
            ("on", steps::bound(&self.desired, &self.live, dice)),
            ("steps", steps::steps(&self.desired, &self.live, dice)),
        ] {
            if !items.is_empty() {
                spec[key] = items.into();
            }
        }
        let mut case = Case {
            scenario: json!({
                "apiVersion": "wavetank/v1",
                "kind": "Scenario",
                "metadata": {"name": format!("fuzz-{:016x}", self.seed.0)},
                "spec": spec,
            }),
            documents: self.desired.into_iter().map(|drawn| drawn.object).collect(),
        };
        if forces(&case) {
            hasten(&mut case.scenario);
            case.documents.iter_mut().for_each(hasten);
        }
        case
    }
}

/// Whether something may be replaced by force.
fn forces(case: &Case) -> bool {
    let text = case.scenario.to_string();
    let forces = |text: &str| text.contains("Force=true");
    text.contains("\"force\":true")
        || forces(&text)
        || case
            .documents
            .iter()
            .any(|object| forces(&object.to_string()))
}

/// Lets deletions end soon: kubectl waits for them in real time, second by second, for five minutes.
fn hasten(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("finalizers");
            if let Some(deletion) = map.get_mut("deletion") {
                *deletion = json!({"after": "2s"});
            }
            map.values_mut().for_each(hasten);
        }
        Value::Array(items) => items.iter_mut().for_each(hasten),
        _ => {}
    }
}

impl Drawn {
    fn new(kind: Kind, object: Value) -> Self {
        let mut drawn = Self {
            kind,
            reference: String::new(),
            object,
        };
        drawn.name_reference();
        drawn
    }

    fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn name_reference(&mut self) {
        let metadata = &self.object["metadata"];
        let name = match (&metadata["name"], &metadata["generateName"]) {
            (Value::String(name), _) => name.clone(),
            (_, Value::String(prefix)) => format!("{prefix}*"),
            _ => String::new(),
        };
        let kind = if self.kind == WIDGET {
            "Widget.example.com"
        } else {
            self.kind.kind
        };
        self.reference = match metadata["namespace"].as_str() {
            Some(namespace) => format!("{kind}/{namespace}/{name}"),
            None => format!("{kind}/{name}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wavetank_scenario::{LoadOptions, load_bytes};

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_case() {
        assert_eq!(generate(Seed(7)), generate(Seed(7)));
        assert_ne!(generate(Seed(7)), generate(Seed(8)));
    }

    /// Whatever is drawn can be read, and what is read is what was drawn.
    #[test]
    fn what_is_drawn_is_a_scenario() {
        for seed in 0..400 {
            let case = generate(Seed(seed));
            let text = case.text();
            let read = load_bytes(
                Path::new("fuzz.yaml"),
                text.as_bytes(),
                &LoadOptions::default(),
            );
            match read {
                Ok(loaded) => {
                    let [scenario] = loaded.scenarios.as_slice() else {
                        panic!("seed {seed} gives {} scenarios", loaded.scenarios.len())
                    };
                    let read: Vec<&Value> =
                        scenario.app.manifests.iter().map(AsRef::as_ref).collect();
                    let drawn: Vec<&Value> = case.documents.iter().collect();
                    assert_eq!(read, drawn, "seed {seed}");
                }
                Err(problems) => panic!("seed {seed}: {}\n{text}", problems.render(false)),
            }
        }
    }
}
