//! Validating custom objects by their schema (API-262, 263, 265); CEL rules are in `rules`.

use regex::Regex;
use wavetank_json::Value;

use crate::kinds::{FieldError, FieldErrorKind};

/// What is wrong with `value`; with `old`, what was so before is let pass.
pub(super) fn validate(schema: &Value, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut checker = Checker { errors: Vec::new() };
    checker.check(schema, value, old, "", true);
    checker.errors
}

struct Checker {
    errors: Vec<FieldError>,
}

impl Checker {
    fn add(
        &mut self,
        kind: FieldErrorKind,
        path: &str,
        value: Option<Value>,
        detail: impl Into<String>,
    ) {
        self.errors.push(FieldError {
            kind,
            field: path.to_owned(),
            value,
            detail: detail.into(),
        });
    }

    fn body(&mut self, path: &str, value: &Value, detail: &str) {
        let at = if path.is_empty() { "<root>" } else { path };
        self.add(
            FieldErrorKind::Invalid,
            at,
            Some(shown(value)),
            format!("{at} in body {detail}"),
        );
    }

    fn check(
        &mut self,
        schema: &Value,
        value: &Value,
        old: Option<&Value>,
        path: &str,
        root: bool,
    ) {
        // What did not change was accepted before (ratcheting).
        if old == Some(value) {
            return;
        }
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if !self.check_type(schema, value, path) {
            return;
        }
        self.check_enum(schema, value, path);
        match value {
            Value::String(text) => self.check_text(schema, text, path),
            Value::Number(number) => self.check_number(schema, number, value, path),
            Value::Array(items) => self.check_items(schema, items, old, path),
            Value::Object(_) => self.check_fields(schema, value, old, path, root),
            _ => {}
        }
        self.check_junctors(schema, value, path);
    }

    fn check_type(&mut self, schema: &Value, value: &Value, path: &str) -> bool {
        if schema["x-kubernetes-int-or-string"] == true {
            if value.is_string() || value.is_i64() || value.is_u64() {
                return true;
            }
            self.type_error("integer,string", value, path);
            return false;
        }
        let Some(wanted) = schema["type"].as_str() else {
            return true;
        };
        let fits = match wanted {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            "number" => value.is_number(),
            _ => true,
        };
        if !fits {
            self.type_error(wanted, value, path);
        }
        fits
    }

    fn type_error(&mut self, wanted: &str, value: &Value, path: &str) {
        let name = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let at = if path.is_empty() { "<root>" } else { path };
        let detail = format!("{at} in body must be of type {wanted}: \"{name}\"");
        self.add(
            FieldErrorKind::TypeInvalid,
            at,
            Some(Value::from(name)),
            detail,
        );
    }

    fn check_enum(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(values) = schema["enum"].as_array() else {
            return;
        };
        if !values.contains(value) {
            let texts: Vec<String> = values
                .iter()
                .map(|value| shown(value).to_string())
                .collect();
            let detail = format!("supported values: {}", texts.join(", "));
            self.add(
                FieldErrorKind::NotSupported,
                path,
                Some(shown(value)),
                detail,
            );
        }
    }

    fn check_text(&mut self, schema: &Value, text: &str, path: &str) {
        let length = text.chars().count() as u64;
        let value = Value::from(text);
        if let Some(limit) = schema["maxLength"].as_u64().filter(|limit| length > *limit) {
            self.add(
                FieldErrorKind::TooLong,
                path,
                None,
                format!("may not be more than {limit} bytes"),
            );
        }
        if let Some(limit) = schema["minLength"].as_u64().filter(|limit| length < *limit) {
            self.body(
                path,
                &value,
                &format!("should be at least {limit} chars long"),
            );
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            // A pattern that does not compile is refused with its definition.
            if Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)) {
                self.body(path, &value, &format!("should match '{pattern}'"));
            }
        }
        let bad_format = match schema["format"].as_str() {
            Some("date-time") => text.parse::<jiff::Timestamp>().is_err(),
            Some("date") => text.parse::<jiff::civil::Date>().is_err(),
            Some("ipv4") => text.parse::<std::net::Ipv4Addr>().is_err(),
            Some("ipv6") => text.parse::<std::net::Ipv6Addr>().is_err(),
            _ => false,
        };
        if bad_format {
            let format = schema["format"].as_str().unwrap_or_default();
            self.body(path, &value, &format!("must be of type {format}: {value}"));
        }
    }

    fn check_number(
        &mut self,
        schema: &Value,
        number: &wavetank_json::Number,
        value: &Value,
        path: &str,
    ) {
        let Some(found) = number.as_f64() else { return };
        if let Some(limit) = schema["minimum"].as_f64() {
            let exclusive = schema["exclusiveMinimum"] == true;
            if found < limit || (exclusive && found <= limit) {
                let equal = if exclusive { "" } else { " or equal to" };
                self.body(
                    path,
                    value,
                    &format!("should be greater than{equal} {}", schema["minimum"]),
                );
            }
        }
        if let Some(limit) = schema["maximum"].as_f64() {
            let exclusive = schema["exclusiveMaximum"] == true;
            if found > limit || (exclusive && found >= limit) {
                let equal = if exclusive { "" } else { " or equal to" };
                self.body(
                    path,
                    value,
                    &format!("should be less than{equal} {}", schema["maximum"]),
                );
            }
        }
        if let Some(step) = schema["multipleOf"]
            .as_f64()
            .filter(|step| *step > 0.0 && (found / step).fract() != 0.0)
        {
            self.body(path, value, &format!("should be a multiple of {step}"));
        }
    }

    fn check_items(&mut self, schema: &Value, items: &[Value], old: Option<&Value>, path: &str) {
        let count = items.len() as u64;
        if let Some(limit) = schema["maxItems"].as_u64().filter(|limit| count > *limit) {
            let s = if limit == 1 { "" } else { "s" };
            self.add(
                FieldErrorKind::TooMany,
                path,
                Some(Value::from(count)),
                format!("must have at most {limit} item{s}"),
            );
        }
        if let Some(limit) = schema["minItems"].as_u64().filter(|limit| count < *limit) {
            self.body(
                path,
                &Value::from(count),
                &format!("should have at least {limit} items"),
            );
        }
        self.check_unique(schema, items, path);
        let before = old.and_then(Value::as_array);
        let item_schema = &schema["items"];
        for (index, item) in items.iter().enumerate() {
            if item_schema.is_object() {
                // An item that was there before, anywhere, was accepted.
                let known = before.and_then(|before| before.iter().find(|old| *old == item));
                let known = known.or_else(|| before.and_then(|before| before.get(index)));
                self.check(item_schema, item, known, &format!("{path}[{index}]"), false);
            }
        }
    }

    fn check_unique(&mut self, schema: &Value, items: &[Value], path: &str) {
        let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let identity = |item: &Value| match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Some(item.clone()),
            Some("map") => Some(
                keys.iter()
                    .map(|key| ((*key).to_owned(), item[*key].clone()))
                    .collect(),
            ),
            _ => None,
        };
        let found: Vec<Option<Value>> = items.iter().map(identity).collect();
        for (index, item) in found.iter().enumerate() {
            if item.is_some() && found[..index].contains(item) {
                self.add(
                    FieldErrorKind::Duplicate,
                    &format!("{path}[{index}]"),
                    item.clone(),
                    "",
                );
            }
        }
    }

    fn check_fields(
        &mut self,
        schema: &Value,
        value: &Value,
        old: Option<&Value>,
        path: &str,
        root: bool,
    ) {
        let Some(fields) = value.as_object() else {
            return;
        };
        let join = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            }
        };
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !fields.contains_key(name) {
                self.add(FieldErrorKind::Required, &join(name), None, "");
            }
        }
        let count = fields.len() as u64;
        if let Some(limit) = schema["maxProperties"]
            .as_u64()
            .filter(|limit| count > *limit)
        {
            self.add(
                FieldErrorKind::TooMany,
                path,
                Some(Value::from(count)),
                format!("must have at most {limit} items"),
            );
        }
        if let Some(limit) = schema["minProperties"]
            .as_u64()
            .filter(|limit| count < *limit)
        {
            self.body(
                path,
                value,
                &format!("should have at least {limit} properties"),
            );
        }
        for (name, field) in fields {
            if root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            let known = schema["properties"].get(name).or_else(|| {
                schema
                    .get("additionalProperties")
                    .filter(|more| more.is_object())
            });
            if let Some(known) = known {
                self.check(
                    known,
                    field,
                    old.and_then(|old| old.get(name)),
                    &join(name),
                    false,
                );
            }
        }
    }

    /// allOf, anyOf, oneOf, not.
    fn check_junctors(&mut self, schema: &Value, value: &Value, path: &str) {
        let passes = |schema: &Value| {
            let mut inner = Checker { errors: Vec::new() };
            inner.check(schema, value, None, path, false);
            inner.errors.is_empty()
        };
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value, None, path, false);
        }
        if let Some(parts) = schema["anyOf"].as_array()
            && !parts.iter().any(passes)
        {
            self.body(path, value, "must validate at least one schema (anyOf)");
        }
        if let Some(parts) = schema["oneOf"].as_array() {
            let found = parts.iter().filter(|part| passes(part)).count();
            if found != 1 {
                let seen = if found == 0 {
                    "Found none valid".to_owned()
                } else {
                    format!("Found {found} valid alternatives")
                };
                self.body(
                    path,
                    value,
                    &format!("must validate one and only one schema (oneOf). {seen}"),
                );
            }
        }
        if schema["not"].is_object() && passes(&schema["not"]) {
            self.body(path, value, "must not validate the schema (not)");
        }
    }
}

/// The value as it stands in a message: objects and lists by their type alone would be lost, they are shown whole.
fn shown(value: &Value) -> Value {
    value.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    fn messages(schema: &Value, value: &Value) -> Vec<String> {
        validate(schema, value, None)
            .iter()
            .map(|error| format!("{}: {}", error.field, error.body()))
            .collect()
    }

    #[test]
    fn messages_are_those_of_api_262() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["foo"], "properties": {
            "replicas": {"type": "integer", "minimum": 1, "maximum": 10}, "mode": {"type": "string", "enum": ["a", "b"]},
            "x": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2},
            "list": {"type": "array", "maxItems": 1, "minItems": 1, "items": {"type": "string"}},
        }}}});
        let value =
            json!({"spec": {"replicas": "string", "mode": "x", "x": "A", "list": ["1", "2"]}});
        assert_eq!(
            messages(&schema, &value),
            [
                "spec.foo: Required value",
                "spec.list: Too many: 2: must have at most 1 item",
                "spec.mode: Unsupported value: \"x\": supported values: \"a\", \"b\"",
                "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
                "spec.x: Invalid value: \"A\": spec.x in body should be at least 2 chars long",
                "spec.x: Invalid value: \"A\": spec.x in body should match '^[a-z]+$'",
            ]
        );
        let value = json!({"spec": {"foo": 1, "replicas": 0, "x": "abcdef", "list": []}});
        assert_eq!(
            messages(&schema, &value),
            [
                "spec.list: Invalid value: 0: spec.list in body should have at least 1 items",
                "spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
                "spec.x: Too long: may not be more than 5 bytes",
            ]
        );
    }

    #[test]
    fn what_did_not_change_is_let_pass() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
        let old = json!({"a": 1, "b": "x"});
        assert!(validate(&schema, &json!({"a": 1, "b": "y"}), Some(&old)).is_empty());
        assert_eq!(
            validate(&schema, &json!({"a": 2, "b": "y"}), Some(&old)).len(),
            1
        );
    }
}
