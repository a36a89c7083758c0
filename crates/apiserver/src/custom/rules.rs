//! CEL rules of definitions, `x-kubernetes-validations` (API-262 to 265).
//!
//! Expressions are those of [`crate::expression`]; which rule is run on which value, in which order, and how its failure
//! is told, is decided here. Transition rules (of `oldSelf`) run where a value has an old one: fields, values of maps,
//! and items of lists that are known by keys. Costs are not limited.

mod problems;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use kube_cel::cel::objects::OptionalValue;
use kube_cel::cel::{Context, Value as CelValue};
use wavetank_json::Value;

use crate::expression::{Expression, dialect};
use crate::kinds::json::text;
use crate::kinds::{FieldError, FieldErrorKind};

pub(super) use problems::problems;
use types::{aligned, value_of};

const KEY: &str = "x-kubernetes-validations";

/// The rules of one version of a definition.
#[derive(Debug)]
pub(super) struct Rules(Node);

/// A place in a schema that has rules, or has such a place below it.
#[derive(Debug)]
struct Node {
    rules: Vec<Rule>,
    /// What values are seen as; null where there are no rules.
    schema: Value,
    /// Fields whose values say which item of a list is which; empty for other lists.
    keys: Vec<String>,
    fields: BTreeMap<String, Node>,
    items: Option<Box<Node>>,
    additional: Option<Box<Node>>,
}

#[derive(Debug)]
struct Rule {
    expression: Expression,
    message: String,
    message_expression: Option<Expression>,
    kind: FieldErrorKind,
    /// What a `fieldPath` adds to the path of the value: `.a[k]`.
    below: String,
    /// Whether it needs the old value.
    transition: bool,
    /// Whether it runs without an old value all the same.
    optional_old: bool,
}

impl Rule {
    /// A rule of `schema`; `None` when it cannot be compiled.
    fn of(rule: &Value, schema: &Value, root: bool) -> Option<Self> {
        if !problems::compile(rule, schema, root).is_empty() {
            return None;
        }
        let optional_old = rule["optionalOldSelf"] == true;
        let read = |text: &str| Expression::with_optional(text, optional_old.then_some("oldSelf"));
        let expression = read(text(rule, "rule"));
        let message_expression = Some(text(rule, "messageExpression"))
            .filter(|text| !text.is_empty())
            .map(read);
        Some(Self {
            transition: expression.uses("oldSelf"),
            expression,
            message: text(rule, "message").trim().to_owned(),
            message_expression,
            kind: match text(rule, "reason") {
                "FieldValueRequired" => FieldErrorKind::Required,
                "FieldValueForbidden" => FieldErrorKind::Forbidden,
                "FieldValueDuplicate" => FieldErrorKind::Duplicate,
                _ => FieldErrorKind::Invalid,
            },
            below: problems::path_below(text(rule, "fieldPath"), schema).unwrap_or_default(),
            optional_old,
        })
    }

    /// The failure of the rule in the words of a real server.
    fn judge(
        &self,
        context: &Context<'_>,
        node: &Node,
        value: &Value,
        path: &str,
    ) -> Option<FieldError> {
        match self.expression.evaluate(context) {
            Ok(CelValue::Bool(true)) => None,
            Ok(_) => {
                let shown = matches!(
                    self.kind,
                    FieldErrorKind::Invalid | FieldErrorKind::Duplicate
                );
                let scalar = !value.is_object() && !value.is_array();
                let plain = self.kind != FieldErrorKind::Duplicate;
                Some(FieldError {
                    kind: self.kind,
                    field: place(path, &self.below),
                    value: (shown && scalar).then(|| value.clone()),
                    detail: if plain {
                        self.told(context)
                    } else {
                        String::new()
                    },
                })
            }
            Err(why) => {
                let rule = match self.message.as_str() {
                    "" => self.expression.text.trim(),
                    message => message,
                };
                Some(FieldError {
                    kind: FieldErrorKind::Invalid,
                    field: place(path, ""),
                    value: Some(Value::from(text(&node.schema, "type"))),
                    detail: format!("{why} evaluating rule: {rule}"),
                })
            }
        }
    }

    /// The text of a failure: of `messageExpression` when it gives one line, else `message`, else the rule.
    fn told(&self, context: &Context<'_>) -> String {
        let expression = self.message_expression.as_ref();
        let line = expression.and_then(|expression| expression.line(context));
        line.unwrap_or_else(|| match self.message.as_str() {
            "" => format!("failed rule: {}", self.expression.text.trim()),
            message => message.to_owned(),
        })
    }
}

fn place(path: &str, below: &str) -> String {
    match (path, below) {
        ("", "") => "<nil>".to_owned(),
        ("", below) => below.trim_start_matches('.').to_owned(),
        (path, below) => format!("{path}{below}"),
    }
}

impl Rules {
    /// The rules of `openAPIV3Schema`; `None` when there are none. Rules that cannot be compiled are left out: they are
    /// refused with the definition, unless the server is told to pass over them.
    pub(super) fn of(schema: &Value) -> Option<Self> {
        Node::of(schema, true).map(Self)
    }

    /// What is wrong with an object, whose schema has found `errors`; `old` is what it was before.
    pub(super) fn check(
        &self,
        object: &Value,
        old: Option<&Value>,
        errors: &[FieldError],
    ) -> Vec<FieldError> {
        // Rules may rely on the types (API-263).
        let blocking = [
            FieldErrorKind::NotSupported,
            FieldErrorKind::Required,
            FieldErrorKind::TooLong,
            FieldErrorKind::TooMany,
            FieldErrorKind::TypeInvalid,
        ];
        if errors.iter().any(|error| blocking.contains(&error.kind)) {
            return vec![FieldError {
                kind: FieldErrorKind::Invalid,
                field: "<nil>".to_owned(),
                value: Some(Value::Null),
                detail: "some validation rules were not checked because the object was invalid; correct the existing \
                         errors to complete validation"
                    .to_owned(),
            }];
        }
        let mut found = Vec::new();
        let context = dialect::context();
        self.0.check(&context, object, old, "", &mut found);
        found
    }
}

impl Node {
    fn of(schema: &Value, root: bool) -> Option<Self> {
        let rules: Vec<Rule> = schema[KEY]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|rule| Rule::of(rule, schema, root))
            .collect();
        let fields: BTreeMap<String, Self> = schema["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, schema)| Some((name.clone(), Self::of(schema, false)?)))
            .collect();
        let below = |name: &str| Self::of(schema.get(name)?, false).map(Box::new);
        let (items, additional) = (below("items"), below("additionalProperties"));
        if rules.is_empty() && fields.is_empty() && items.is_none() && additional.is_none() {
            return None;
        }
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let keys = keys.filter(|_| schema["x-kubernetes-list-type"] == "map");
        Some(Self {
            schema: if rules.is_empty() {
                Value::Null
            } else {
                schema.clone()
            },
            rules,
            keys: keys
                .into_iter()
                .flatten()
                .filter_map(|key| key.as_str().map(str::to_owned))
                .collect(),
            fields,
            items,
            additional,
        })
    }

    fn check(
        &self,
        context: &Context<'_>,
        value: &Value,
        old: Option<&Value>,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        // What did not change was accepted before (API-265).
        if old == Some(value) {
            return;
        }
        self.judge(context, value, old, path, errors);
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let node = self.fields.get(name).or(self.additional.as_deref());
                    if let Some(node) = node.filter(|_| !value.is_null()) {
                        let old = old.and_then(|old| old.get(name));
                        let path = if self.fields.contains_key(name) {
                            place("", &format!("{path}.{name}"))
                        } else {
                            format!("{path}[{name}]")
                        };
                        node.check(context, value, old, &path, errors);
                    }
                }
            }
            Value::Array(list) => {
                let Some(node) = &self.items else { return };
                for (index, item) in list.iter().enumerate() {
                    let old = self.old_item(item, old);
                    node.check(context, item, old, &format!("{path}[{index}]"), errors);
                }
            }
            _ => {}
        }
    }

    /// Runs the rules that stand at this place.
    fn judge(
        &self,
        context: &Context<'_>,
        value: &Value,
        old: Option<&Value>,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        if self.rules.is_empty() {
            return;
        }
        let new = value_of(value, &self.schema);
        let old = old
            .filter(|old| !old.is_null())
            .map(|old| value_of(&aligned(old, value, &self.schema), &self.schema));
        for rule in &self.rules {
            let mut context = context.new_inner_scope();
            dialect::bind(&mut context, "self", &new);
            match (&old, rule.optional_old) {
                (None, false) if rule.transition => continue,
                (None, false) => {}
                (Some(old), false) => dialect::bind(&mut context, "oldSelf", old),
                (old, true) => {
                    let old = old
                        .clone()
                        .map_or_else(OptionalValue::none, OptionalValue::of);
                    dialect::bind(&mut context, "oldSelf", &CelValue::Opaque(Arc::new(old)));
                }
            }
            errors.extend(rule.judge(&context, self, value, path));
        }
    }

    /// What `item` was before: the item with the same keys.
    fn old_item<'a>(&self, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
        if self.keys.is_empty() {
            return None;
        }
        old?.as_array()?
            .iter()
            .find(|old| self.keys.iter().all(|key| old.get(key) == item.get(key)))
    }
}
