//! The types of objects: what fields there are, how lists and maps merge, and how a request body is decoded.
//!
//! One navigable type, [`SchemaRef`], stands for the types of built-in kinds ([`builtin`], from a table generated out of
//! the published `OpenAPI` facts, read lazily) and for those of custom resources ([`Schema::from_structural`]). Where nothing
//! is known, maps are granular and lists atomic ([`schemaless`]; API-154).
//!
//! [`decode`] brings a body of a built-in kind into the form a real server stores: unknown fields and nulls dropped, wrong
//! types refused, empty optional fields omitted; [`complete`] adds the fields that are serialised even when empty.
//! Validation (required, enum, pattern…), pruning and defaulting of custom resources are not here.

mod decode;
mod index;
mod parse;
mod structural;
mod table;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use wavetank_json::Value;

use self::index::Index;

pub use decode::{DecodeError, complete, decode};
pub use parse::{FieldProblem, parse};
pub use table::builtin;

/// What a scalar holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Any number.
    Number,
    /// Base64 text.
    Bytes,
    /// RFC 3339 time in whole seconds.
    Time,
    /// RFC 3339 time with microseconds.
    MicroTime,
    /// Go duration text, as `1h0m0s`.
    Duration,
    /// Resource quantity, text or number.
    Quantity,
    /// Number or text, as `80` or `"25%"`.
    IntOrString,
    /// Any scalar.
    Any,
}

/// How a list merges in server-side apply (`x-kubernetes-list-type`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// Replaced whole.
    #[default]
    Atomic,
    /// A set of scalars.
    Set,
    /// Items known by the values of these keys.
    Map(Box<[Arc<str>]>),
}

/// What stands at one place of an object.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// One value.
    Scalar(Scalar),
    /// A list.
    List {
        /// Type of the items.
        items: SchemaRef<'a>,
        /// How it merges.
        list_type: &'a ListType,
    },
    /// A map with text keys and values of one type.
    Map {
        /// Type of the values.
        values: SchemaRef<'a>,
    },
    /// An object with declared fields.
    Struct(StructRef<'a>),
    /// Anything: maps granular, lists atomic, the type follows from the value.
    Any,
    /// Anything, owned and replaced whole.
    Raw,
}

/// A schema that owns its types, or stands for a built-in one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema(Owner);

#[derive(Clone, Debug)]
enum Owner {
    Static(&'static Node),
    Shared(Arc<Node>),
}

/// The type of custom resources without a schema: metadata is typed, the rest is [`Shape::Any`].
pub fn schemaless() -> SchemaRef<'static> {
    static ROOT: LazyLock<Node> = LazyLock::new(|| structural::root(None));
    SchemaRef(&ROOT)
}

impl Schema {
    /// The schema of custom resources with `openAPIV3Schema` = `schema` and its `x-kubernetes-*` extensions.
    ///
    /// `apiVersion`, `kind` and `metadata` are typed as a real server types them, whatever `schema` says.
    pub fn from_structural(schema: &Value) -> Self {
        Self(Owner::Shared(Arc::new(structural::root(Some(schema)))))
    }

    /// The type of the whole object.
    pub fn root(&self) -> SchemaRef<'_> {
        SchemaRef(match &self.0 {
            Owner::Static(node) => node,
            Owner::Shared(node) => node,
        })
    }
}

impl From<SchemaRef<'static>> for Schema {
    fn from(schema: SchemaRef<'static>) -> Self {
        Self(Owner::Static(schema.0))
    }
}

/// The type of one place of an object.
#[derive(Clone, Copy, Debug)]
pub struct SchemaRef<'a>(&'a Node);

impl<'a> SchemaRef<'a> {
    /// What stands here, references resolved.
    pub fn shape(self) -> Shape<'a> {
        match &self.0.kind {
            NodeKind::Scalar(scalar) => Shape::Scalar(*scalar),
            NodeKind::List { items, list_type } => Shape::List {
                items: SchemaRef(items),
                list_type,
            },
            NodeKind::Map(values) => Shape::Map {
                values: SchemaRef(values),
            },
            NodeKind::Struct(definition) => Shape::Struct(StructRef(definition)),
            NodeKind::Definition(number) => Shape::Struct(StructRef(table::definition(*number))),
            NodeKind::Any => Shape::Any,
            NodeKind::Raw => Shape::Raw,
        }
    }

    /// The type of the field or map value `name`; `None` where no such field is declared.
    pub fn field(self, name: &str) -> Option<SchemaRef<'a>> {
        match self.shape() {
            Shape::Struct(definition) => definition.field(name).or_else(|| definition.additional()),
            Shape::Map { values } => Some(values),
            Shape::Any => Some(ANY),
            Shape::Raw => Some(RAW),
            Shape::Scalar(_) | Shape::List { .. } => None,
        }
    }

    /// The type of the list's items.
    pub fn items(self) -> Option<SchemaRef<'a>> {
        match self.shape() {
            Shape::List { items, .. } => Some(items),
            Shape::Any | Shape::Raw => Some(RAW),
            _ => None,
        }
    }

    /// How this list merges in server-side apply; atomic for what is not a declared list.
    pub fn list_type(self) -> &'a ListType {
        match self.shape() {
            Shape::List { list_type, .. } => list_type,
            _ => &ListType::Atomic,
        }
    }

    /// Whether this map or struct is owned and replaced whole (`x-kubernetes-map-type: atomic`).
    pub fn is_atomic_map(self) -> bool {
        self.0.facts.atomic.unwrap_or(match self.shape() {
            Shape::Struct(definition) => definition.0.atomic,
            Shape::Raw => true,
            _ => false,
        })
    }

    /// An object of this type before anything is set: `{"metadata": {}, "spec": …}` with the fields that are serialised even
    /// when empty; `{"metadata": {}}` for custom resources.
    pub fn zero_object(self) -> Cow<'static, Value> {
        if let NodeKind::Definition(number) = &self.0.kind {
            return Cow::Borrowed(table::zero(*number));
        }
        Cow::Owned(wavetank_json::json!({"metadata": {}}))
    }

    /// How a strategic merge patch treats this field.
    pub fn patch_strategy(self) -> &'a PatchStrategy {
        &self.0.facts.patch
    }

    /// The default of this field, known for keys of list-maps.
    pub fn default_value(self) -> Option<&'a Value> {
        self.0.facts.default.as_ref()
    }

    /// Whether an empty value is left out when the object is serialised; see [`complete`].
    ///
    /// What is a struct in Go, times and quantities among them, is never empty in the sense of `omitempty`.
    pub fn omits_empty(self) -> bool {
        let facts = &self.0.facts;
        facts.omit_zero || facts.omit_empty && (facts.pointer || !self.is_go_struct())
    }

    fn is_go_struct(self) -> bool {
        use Scalar::{Duration, IntOrString, MicroTime, Quantity, Time};
        matches!(
            self.0.kind,
            NodeKind::Struct(_)
                | NodeKind::Definition(_)
                | NodeKind::Raw
                | NodeKind::Scalar(Time | MicroTime | Duration | Quantity | IntOrString)
        )
    }

    /// The type as Go's reflection spells it: `[]v1.Container`, `v1.PullPolicy`, `int32`.
    pub fn go_type(self) -> Cow<'a, str> {
        if let Some(text) = &self.0.facts.go_type {
            return Cow::Borrowed(text);
        }
        match self.shape() {
            Shape::Scalar(scalar) => Cow::Borrowed(scalar.go_type()),
            Shape::List { items, .. } => Cow::Owned(format!("[]{}", items.go_type())),
            Shape::Map { values } => Cow::Owned(format!("map[string]{}", values.go_type())),
            Shape::Struct(definition) => {
                Cow::Owned(format!("{}.{}", definition.0.package, definition.0.name))
            }
            Shape::Any => Cow::Borrowed("interface {}"),
            Shape::Raw => Cow::Borrowed("runtime.RawExtension"),
        }
    }
}

impl Scalar {
    const fn go_type(self) -> &'static str {
        match self {
            Self::String | Self::Time | Self::MicroTime | Self::Duration => "string",
            Self::Boolean => "bool",
            Self::Int32 | Self::IntOrString => "int32",
            Self::Int64 => "int64",
            Self::Number => "float64",
            Self::Bytes => "[]uint8",
            Self::Quantity => "resource.Quantity",
            Self::Any => "interface {}",
        }
    }
}

/// How a strategic merge patch treats a field (`x-kubernetes-patch-strategy`, `-merge-key`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Lists merge; without it they are replaced.
    pub merge: bool,
    /// The key by which objects in the list are known; `None` for lists of scalars.
    pub merge_key: Option<Box<str>>,
    /// Clients send `$retainKeys` for this field.
    pub retain_keys: bool,
    /// The map is replaced whole.
    pub replace: bool,
}

/// An object type with declared fields.
#[derive(Clone, Copy, Debug)]
pub struct StructRef<'a>(&'a Struct);

impl<'a> StructRef<'a> {
    /// Go name of the type: `DeploymentSpec`; empty for types of custom resources.
    pub fn name(self) -> &'a str {
        &self.0.name
    }

    /// The declared field `name`.
    pub fn field(self, name: &str) -> Option<SchemaRef<'a>> {
        self.0.index.find(&self.0.fields, name).map(SchemaRef)
    }

    /// The type of fields that are not declared; `None` where there may be none.
    pub fn additional(self) -> Option<SchemaRef<'a>> {
        self.0.additional.as_deref().map(SchemaRef)
    }

    /// The declared fields that are serialised even when they are empty, by name.
    fn kept(self) -> impl Iterator<Item = (&'a str, SchemaRef<'a>)> {
        self.0.kept.iter().map(|at| {
            let (name, node) = &self.0.fields[*at];
            (name.as_ref(), SchemaRef(node))
        })
    }

    /// The declared fields by name.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, SchemaRef<'a>)> {
        self.0
            .fields
            .iter()
            .map(|(name, node)| (name.as_ref(), SchemaRef(node)))
    }
}

/// The type that follows from the value: maps granular, lists atomic.
pub const ANY: SchemaRef<'static> = SchemaRef(&Node {
    kind: NodeKind::Any,
    facts: Facts::NONE,
});

/// Anything, owned and replaced whole.
pub const RAW: SchemaRef<'static> = SchemaRef(&Node {
    kind: NodeKind::Raw,
    facts: Facts::NONE,
});

#[derive(Debug)]
struct Node {
    kind: NodeKind,
    facts: Facts,
}

impl Node {
    const fn plain(kind: NodeKind) -> Self {
        Self {
            kind,
            facts: Facts::NONE,
        }
    }
}

#[derive(Debug)]
enum NodeKind {
    Scalar(Scalar),
    List {
        items: Box<Node>,
        list_type: ListType,
    },
    Map(Box<Node>),
    Struct(Box<Struct>),
    /// A definition of the table of built-in types.
    Definition(u32),
    Any,
    Raw,
}

/// What is said of a field beside its type.
#[derive(Debug)]
struct Facts {
    atomic: Option<bool>,
    patch: PatchStrategy,
    default: Option<Value>,
    go_type: Option<Box<str>>,
    omit_empty: bool,
    omit_zero: bool,
    pointer: bool,
}

impl Facts {
    const NONE: Self = Self {
        atomic: None,
        patch: PatchStrategy {
            merge: false,
            merge_key: None,
            retain_keys: false,
            replace: false,
        },
        default: None,
        go_type: None,
        omit_empty: false,
        omit_zero: false,
        pointer: false,
    };
}

#[derive(Debug, Default)]
struct Struct {
    name: Cow<'static, str>,
    package: Cow<'static, str>,
    /// Sorted by name.
    fields: Box<[(Cow<'static, str>, Node)]>,
    /// Finds them by name.
    index: Index,
    /// Which of the fields are serialised even when they are empty.
    kept: Box<[usize]>,
    additional: Option<Box<Node>>,
    atomic: bool,
}

impl Struct {
    fn with_fields(fields: Box<[(Cow<'static, str>, Node)]>) -> Self {
        let kept = fields
            .iter()
            .enumerate()
            .filter(|(_, (_, node))| !SchemaRef(node).omits_empty())
            .map(|(at, _)| at)
            .collect();
        Self {
            index: Index::of(&fields),
            fields,
            kept,
            ..Self::default()
        }
    }
}
