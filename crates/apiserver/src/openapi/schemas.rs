//! Schemas of kinds as `OpenAPI` has them: names and types of fields, how lists merge; no descriptions of built-in kinds.

use wavetank_json::{Map, Value, json};
use wavetank_model::schema::{ListType, Scalar, SchemaRef, Shape, StructRef};
use wavetank_model::{GroupVersionKind, schema};

use crate::registry::{Resource, VersionType};

const NO_PROSE: &str = "Fields and types only: wavetank carries no descriptions of built-in kinds.";

/// Version of the format: it decides where schemas stand, and what can be said of a value of two types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Swagger 2.0.
    V2,
    /// `OpenAPI` 3.0.
    V3,
}

/// The schemas of a document.
#[derive(Debug)]
pub(super) struct Schemas {
    format: Format,
    /// What the names of one group version begin with. Types are described once per group version, so that types of one
    /// name in two groups never meet.
    prefix: String,
    pub(super) found: Map,
}

impl Schemas {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            prefix: String::new(),
            found: Map::new(),
        }
    }

    /// Adds the kind of `resource` in `version`, and the types it is made of.
    pub(super) fn add(&mut self, resource: &Resource, version: &str) {
        let group = if resource.group.is_empty() {
            "core"
        } else {
            &resource.group
        };
        let kind = GroupVersionKind {
            group: resource.group.clone(),
            version: version.to_owned(),
            kind: resource.kind().to_owned(),
        };
        let (name, mut described) =
            if let Some(custom) = resource.custom_version(&kind.api_version()) {
                let reversed: Vec<&str> = group.rsplit('.').collect();
                self.prefix = format!("{}.{version}", reversed.join("."));
                let name = format!("{}.{}", self.prefix, kind.kind);
                (name, self.custom(&custom.structural))
            } else {
                let group = group.split('.').next().unwrap_or_default();
                self.prefix = format!("io.k8s.api.{group}.{version}");
                let Some(Shape::Struct(definition)) = schema::builtin(&kind).map(SchemaRef::shape)
                else {
                    return;
                };
                let name = self.add_struct(definition);
                let mut described = self.found.remove(&name).unwrap_or_default();
                described["description"] = Value::from(NO_PROSE);
                (name, described)
            };
        described["x-kubernetes-group-version-kind"] =
            json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
        self.found.insert(name, described);
    }

    /// The schema of a definition, with the fields that every object has.
    fn custom(&mut self, structural: &Value) -> Value {
        let mut described = if structural.is_object() {
            structural.clone()
        } else {
            json!({"type": "object"})
        };
        let metadata = schema::builtin(&GroupVersionKind::new("v1", "ConfigMap"))
            .and_then(|kind| kind.field("metadata"))
            .map(|metadata| self.field(metadata));
        if !described["properties"].is_object() {
            described["properties"] = json!({});
        }
        described["properties"]["apiVersion"] = json!({"type": "string"});
        described["properties"]["kind"] = json!({"type": "string"});
        described["properties"]["metadata"] = metadata.unwrap_or_else(|| json!({"type": "object"}));
        described
    }

    /// Adds a type and what it is made of; gives its name.
    fn add_struct(&mut self, definition: StructRef<'_>) -> String {
        let name = format!("{}.{}", self.prefix, definition.name());
        if !self.found.contains_key(&name) {
            // Types may hold themselves: the name is taken before the fields are looked at.
            self.found.insert(name.clone(), Value::Null);
            let properties: Map = definition
                .fields()
                .map(|(field, schema)| (field.to_owned(), self.field(schema)))
                .collect();
            let described = json!({"type": "object", "properties": properties});
            self.found.insert(name.clone(), described);
        }
        name
    }

    fn reference(&self, name: &str) -> Value {
        let folder = match self.format {
            Format::V2 => "definitions",
            Format::V3 => "components/schemas",
        };
        json!({"$ref": format!("#/{folder}/{name}")})
    }

    /// The schema of a field, with what is said of the field beside its type.
    fn field(&mut self, field: SchemaRef<'_>) -> Value {
        let mut described = self.value(field);
        if described.get("$ref").is_some() && self.format == Format::V3 {
            described = json!({"allOf": [described]});
        }
        if let Shape::List { list_type, .. } = field.shape() {
            let (name, keys) = match list_type {
                ListType::Atomic => ("atomic", None),
                ListType::Set => ("set", None),
                ListType::Map(keys) => ("map", Some(keys)),
            };
            described["x-kubernetes-list-type"] = Value::from(name);
            if let Some(keys) = keys {
                described["x-kubernetes-list-map-keys"] =
                    keys.iter().map(|key| Value::from(&**key)).collect();
            }
        } else if field.is_atomic_map() && matches!(field.shape(), Shape::Map { .. }) {
            described["x-kubernetes-map-type"] = Value::from("atomic");
        }
        let patch = field.patch_strategy();
        let strategy = [(patch.merge, "merge"), (patch.retain_keys, "retainKeys")];
        let strategy: Vec<&str> = strategy
            .into_iter()
            .filter_map(|(said, name)| said.then_some(name))
            .collect();
        if !strategy.is_empty() {
            described["x-kubernetes-patch-strategy"] = Value::from(strategy.join(","));
        }
        if let Some(key) = &patch.merge_key {
            described["x-kubernetes-patch-merge-key"] = Value::from(&**key);
        }
        if let Some(default) = field.default_value() {
            described["default"] = default.clone();
        }
        described
    }

    /// The schema of a value.
    fn value(&mut self, value: SchemaRef<'_>) -> Value {
        match value.shape() {
            Shape::Scalar(scalar) => self.scalar(scalar),
            Shape::List { items, .. } => json!({"type": "array", "items": self.value(items)}),
            Shape::Map { values } => {
                json!({"type": "object", "additionalProperties": self.value(values)})
            }
            Shape::Struct(definition) => {
                let name = self.add_struct(definition);
                self.reference(&name)
            }
            Shape::Any => anything(),
            Shape::Raw => json!({"type": "object"}),
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> Value {
        match scalar {
            Scalar::String | Scalar::Duration => json!({"type": "string"}),
            Scalar::Boolean => json!({"type": "boolean"}),
            Scalar::Int32 => json!({"type": "integer", "format": "int32"}),
            Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
            Scalar::Number => json!({"type": "number", "format": "double"}),
            Scalar::Bytes => json!({"type": "string", "format": "byte"}),
            Scalar::Any => anything(),
            // Types with a name of their own, by which they are shown.
            Scalar::Time => self.named("Time", json!({"type": "string", "format": "date-time"})),
            Scalar::MicroTime => self.named(
                "MicroTime",
                json!({"type": "string", "format": "date-time"}),
            ),
            Scalar::Quantity if self.format == Format::V3 => {
                let either = json!({"oneOf": [{"type": "string"}, {"type": "number"}]});
                self.named("Quantity", either)
            }
            Scalar::Quantity => self.named("Quantity", json!({"type": "string"})),
            Scalar::IntOrString if self.format == Format::V3 => {
                let either = json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]});
                self.named("IntOrString", either)
            }
            Scalar::IntOrString => self.named(
                "IntOrString",
                json!({"type": "string", "format": "int-or-string"}),
            ),
        }
    }

    fn named(&mut self, name: &str, described: Value) -> Value {
        let name = format!("{}.{name}", self.prefix);
        let reference = self.reference(&name);
        self.found.entry(name).or_insert(described);
        reference
    }
}

/// Any JSON. A schema without a word is taken for none by kubectl.
fn anything() -> Value {
    json!({"description": "Any value."})
}

/// What a hash of a document is to depend on, beside the paths: the schemas of definitions. Those of built-in kinds do not
/// change while a server runs.
pub(super) fn changeable<'a>(resource: &'a Resource, version: &str) -> Option<&'a Value> {
    let version = resource.version(version)?;
    match &version.objects {
        VersionType::Custom(custom) => Some(&custom.structural),
        VersionType::BuiltIn(_) => None,
    }
}
