//! Which writes a policy or binding is about: `matchConstraints` and `matchResources`.

use wavetank_json::Value;
use wavetank_model::selector::LabelSelector;

use crate::admission::Operation;
use crate::kinds::json::{items, text};

use super::evaluate::Facts;

/// The constraints of a policy or binding.
#[derive(Debug)]
pub(super) struct Matcher {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    namespaces: LabelSelector,
    objects: LabelSelector,
    /// Whether a rule for another version of the same resource counts.
    equivalent: bool,
}

#[derive(Debug)]
struct Rule {
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    operations: Vec<String>,
    names: Vec<String>,
    scope: String,
}

impl Matcher {
    /// Reads `matchConstraints` or `matchResources`.
    pub(super) fn of(constraints: &Value) -> Self {
        let rules = |key: &str| items(constraints, key).iter().map(Rule::of).collect();
        // A selector that is not given, or cannot be used, restricts nothing: validation let no bad one in.
        let selector = |key: &str| match constraints.get(key) {
            Some(given) if !given.is_null() => {
                LabelSelector::from_object(Some(given)).unwrap_or_default()
            }
            _ => LabelSelector::everything(),
        };
        Self {
            rules: rules("resourceRules"),
            excluded: rules("excludeResourceRules"),
            namespaces: selector("namespaceSelector"),
            objects: selector("objectSelector"),
            equivalent: text(constraints, "matchPolicy") != "Exact",
        }
    }

    /// The `apiVersion` in which the policy wants to see the object of a write that it is about.
    pub(super) fn matches(&self, facts: &Facts<'_>) -> Option<String> {
        let version = if self.rules.is_empty() {
            facts.requested().to_owned()
        } else {
            self.version(&self.rules, facts)?
        };
        let about = facts.in_namespace(&self.namespaces)
            && facts.has_labels(&self.objects)
            && self.version(&self.excluded, facts).is_none();
        about.then_some(version)
    }

    fn version(&self, rules: &[Rule], facts: &Facts<'_>) -> Option<String> {
        let fits = |api_version: &&str| rules.iter().any(|rule| rule.matches(facts, api_version));
        let others = facts.versions().filter(|_| self.equivalent);
        std::iter::once(facts.requested())
            .chain(others)
            .find(fits)
            .map(str::to_owned)
    }
}

impl Rule {
    fn of(rule: &Value) -> Self {
        let list = |key: &str| {
            let texts = items(rule, key).iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        Self {
            groups: list("apiGroups"),
            versions: list("apiVersions"),
            resources: list("resources"),
            operations: list("operations"),
            names: list("resourceNames"),
            scope: text(rule, "scope").to_owned(),
        }
    }

    fn matches(&self, facts: &Facts<'_>, api_version: &str) -> bool {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let has =
            |list: &[String], wanted: &str| list.iter().any(|one| one == "*" || one == wanted);
        let operation = match facts.operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        };
        let scope = match self.scope.as_str() {
            "Namespaced" => facts.is_namespaced(),
            "Cluster" => !facts.is_namespaced(),
            _ => true,
        };
        scope
            && has(&self.operations, operation)
            && has(&self.groups, group)
            && has(&self.versions, version)
            && self.resources.iter().any(|one| {
                let (resource, subresource) = one.split_once('/').unwrap_or((one, ""));
                (resource == "*" || resource == facts.plural())
                    && (subresource == "*" || subresource == facts.subresource())
            })
            && (self.names.is_empty() || self.names.iter().any(|name| name == facts.name()))
    }
}
