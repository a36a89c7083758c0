//! Custom resources: what a `CustomResourceDefinition` says about its objects (section 19).
//!
//! [`CustomVersion`] is one version of a definition, ready for use; [`resource`] makes a resource of a definition. The
//! life of definitions is in `establish`.

pub(crate) mod definition;
mod rules;
mod structural;
mod validate;

use std::sync::Arc;

use wavetank_json::Value;
use wavetank_model::GroupKind;
use wavetank_model::defaults::Defaults;
use wavetank_model::object::At;
use wavetank_model::schema::{Schema, SchemaRef};

use crate::kinds::{FieldError, FieldErrorKind, custom_resource};
use crate::registry::{Behaviour, Origin, Resets, Resource, TableId, Version, VersionType};
use crate::scale::ScalePaths;
use crate::table::{Column, custom_columns};

use rules::Rules;
pub(crate) use structural::{default, prune};

/// One version of a custom resource.
#[derive(Clone, Debug)]
pub(crate) struct CustomVersion {
    schema: Schema,
    /// What `kubectl get` shows.
    pub(crate) columns: Vec<Column>,
    /// `openAPIV3Schema`.
    pub(crate) structural: Value,
    rules: Option<Arc<Rules>>,
    pub(crate) has_status: bool,
    pub(crate) scale: Option<ScalePaths>,
    /// Warning of a deprecated version.
    pub(crate) deprecation: Option<String>,
    /// Field labels that can be selected by, beyond name and namespace.
    pub(crate) selectable: Vec<String>,
}

impl CustomVersion {
    fn new(group: &str, kind: &str, version: &Value) -> Self {
        let name = version["name"].as_str().unwrap_or_default();
        let structural = version
            .at(&["schema", "openAPIV3Schema"])
            .cloned()
            .unwrap_or_default();
        let deprecated = version.get("deprecated").and_then(Value::as_bool) == Some(true);
        let deprecation = deprecated.then(|| {
            let text = version.get("deprecationWarning").and_then(Value::as_str);
            text.map_or_else(
                || format!("{group}/{name} {kind} is deprecated"),
                str::to_owned,
            )
        });
        let pointer = |path: &Value| {
            path.as_str()
                .filter(|path| !path.is_empty())
                .map(|path| path.replace('.', "/"))
        };
        let scale = version
            .at(&["subresources", "scale"])
            .map(|scale| ScalePaths {
                spec_replicas: pointer(&scale["specReplicasPath"]).unwrap_or_default(),
                status_replicas: pointer(&scale["statusReplicasPath"]).unwrap_or_default(),
                selector: Some(
                    pointer(&scale["labelSelectorPath"]).unwrap_or_else(|| "/-".to_owned()),
                ),
            });
        let selectable = version
            .get("selectableFields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Self {
            schema: Schema::from_structural(&structural),
            columns: custom_columns(version),
            has_status: version.at(&["subresources", "status"]).is_some(),
            scale,
            deprecation,
            selectable: selectable
                .filter_map(|field| {
                    Some(
                        field
                            .get("jsonPath")?
                            .as_str()?
                            .trim_start_matches('.')
                            .to_owned(),
                    )
                })
                .collect(),
            rules: Rules::of(&structural).map(Arc::new),
            structural,
        }
    }

    /// The type that patches and field ownership go by.
    pub(crate) fn schema(&self) -> SchemaRef<'_> {
        self.schema.root()
    }

    /// Drops what the schema does not know; gives the paths.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut unknown = Vec::new();
        prune(&self.structural, object, true, "", &mut unknown);
        unknown
    }

    /// Fills in the schema's defaults.
    pub(crate) fn default(&self, object: &mut Value) {
        default(&self.structural, object);
    }

    /// What is wrong with a new object.
    pub(crate) fn validate(&self, object: &Value) -> Vec<FieldError> {
        self.problems(object, None)
    }

    fn problems(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = validate::validate(&self.structural, object, old);
        if let Some(rules) = &self.rules {
            let failed = rules.check(object, old, &errors);
            errors.extend(failed);
        }
        errors.extend(self.scale_problem(object));
        errors
    }

    /// What is wrong with the field that a Scale stands for.
    fn scale_problem(&self, object: &Value) -> Option<FieldError> {
        let pointer = &self.scale.as_ref()?.spec_replicas;
        let value = object.pointer(pointer)?;
        let field = pointer.replace('/', ".");
        let invalid = |value: i64, detail: String| {
            Some(FieldError {
                kind: FieldErrorKind::Invalid,
                field: field.clone(),
                value: Some(Value::from(value)),
                detail,
            })
        };
        let found = match value {
            Value::String(text) => (text.clone(), "string"),
            Value::Bool(flag) => (flag.to_string(), "bool"),
            other => {
                let number = other.as_i64().filter(|number| *number < 0)?;
                return invalid(number, "should be a non-negative integer".to_owned());
            }
        };
        invalid(
            0,
            format!(
                "{field} accessor error: {} is of the type {}, expected int64",
                found.0, found.1
            ),
        )
    }

    /// What is wrong with a changed object; what was wrong before and did not change is let pass (API-265).
    pub(crate) fn validate_change(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        self.problems(new, Some(old))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// The resource that a definition describes, by its accepted names.
pub(crate) fn resource(definition: &Value, table: TableId, discoverable: bool) -> Resource {
    let spec = &definition["spec"];
    let group = text(&spec["group"]);
    let names = &definition["status"]["acceptedNames"];
    let kind = text(&names["kind"]);
    let all = spec["versions"].as_array().cloned().unwrap_or_default();
    let storage = all
        .iter()
        .find(|version| version["storage"] == true)
        .unwrap_or(&Value::Null);
    let versions: Vec<Version> = all
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| Version {
            name: text(&version["name"]),
            api_version: format!("{group}/{}", text(&version["name"])),
            objects: VersionType::Custom(Arc::new(CustomVersion::new(&group, &kind, version))),
        })
        .collect();
    let mut subresources = Vec::new();
    for name in ["scale", "status"] {
        if all
            .iter()
            .any(|version| version["subresources"].get(name).is_some())
        {
            subresources.push((name.to_owned(), "gpu".to_owned()));
        }
    }
    let has_status = storage["subresources"].get("status").is_some();
    Resource {
        table,
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        group_kind: GroupKind::new(group.clone(), kind),
        list_kind: text(&names["listKind"]),
        namespaced: spec["scope"] == "Namespaced",
        verbs: "cdDglpuw".to_owned(),
        subresources,
        versions,
        storage: format!("{group}/{}", text(&storage["name"])),
        mixed: definition["status"]["storedVersions"]
            .as_array()
            .is_some_and(|stored| stored.len() > 1),
        origin: Origin::Custom { discoverable },
        strategy: Behaviour::new(custom_resource(has_status)),
        defaults: Defaults::NONE,
        resets: Resets::default(),
        group,
    }
}
