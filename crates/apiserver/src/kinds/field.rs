//! Field errors: what validation says, where, and how it is printed (API-074 to API-077).

use std::fmt;

use wavetank_json::Value;
use wavetank_model::key::GroupKind;
use wavetank_model::status::{Status, StatusCause, StatusDetails};

use super::json::{present, text};

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FieldErrorKind {
    /// Missing.
    Required,
    /// Malformed or out of range.
    Invalid,
    /// Of the wrong type.
    TypeInvalid,
    /// Not one of the values of an enumeration.
    NotSupported,
    /// Not permitted under the circumstances.
    Forbidden,
    /// There already, where values are unique.
    Duplicate,
    /// Refers to something absent.
    NotFound,
    /// Too long.
    TooLong,
    /// Too many items.
    TooMany,
}

impl FieldErrorKind {
    /// As it is printed.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::NotFound => "Not found",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }

    /// The `reason` of the cause in the Status.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    const fn prints_value(self) -> bool {
        !matches!(self, Self::Required | Self::Forbidden | Self::TooLong)
    }
}

/// One problem of one field; prints as `spec.x: Invalid value: "a": detail`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldError {
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// Path of the field, as `spec.containers[0].image`.
    pub field: String,
    /// The offending value, for the kinds that print one.
    pub value: Option<Value>,
    /// More; may be empty.
    pub detail: String,
}

impl FieldError {
    /// The text without the path: the `message` of the cause.
    pub(crate) fn body(&self) -> String {
        let mut out = self.kind.text().to_owned();
        if let Some(value) = self.value.as_ref().filter(|_| self.kind.prints_value()) {
            out.push_str(": ");
            match value {
                Value::String(text) => out.push_str(&quote(text)),
                other => out.push_str(&other.to_string()),
            }
        }
        if !self.detail.is_empty() {
            out.push_str(": ");
            out.push_str(&self.detail);
        }
        out
    }

    /// As a cause of a Status.
    pub(crate) fn cause(&self) -> StatusCause {
        StatusCause {
            reason: self.kind.reason().to_owned(),
            message: self.body(),
            field: self.field.clone(),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Quotes as Go's `%q` does.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => {
                out.extend(format!("\\x{:02x}", u32::from(c)).chars());
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The 422 of an object that fails validation (API-073, API-077). Exact duplicates are dropped.
pub(crate) fn invalid(gk: &GroupKind, name: &str, errors: Vec<FieldError>) -> Status {
    let causes: Vec<StatusCause> = errors.iter().map(FieldError::cause).collect();
    let mut lines: Vec<String> = Vec::with_capacity(errors.len());
    for error in &errors {
        let line = error.to_string();
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let joined = if let [one] = lines.as_slice() {
        one.clone()
    } else {
        format!("[{}]", lines.join(", "))
    };
    Status::new(
        422,
        "Invalid",
        format!("{gk} {} is invalid: {joined}", quote(name)),
    )
    .with_details(StatusDetails {
        name: name.to_owned(),
        group: gk.group.clone(),
        kind: gk.kind.clone(),
        causes,
        ..StatusDetails::default()
    })
}

#[derive(Clone, Copy, Debug)]
enum Segment<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

/// Where a field is, built on the stack; printed only when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

impl<'a> Path<'a> {
    /// A field at the top of the object.
    pub(crate) const fn new(name: &'a str) -> Self {
        Self {
            parent: None,
            segment: Segment::Field(name),
        }
    }

    /// A field of this one.
    #[must_use]
    pub(crate) const fn field(&'a self, name: &'a str) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Field(name),
        }
    }

    /// An item of this list.
    #[must_use]
    pub(crate) const fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// An entry of this map.
    #[must_use]
    pub(crate) const fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Key(key),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Field(name) if self.parent.is_none() => f.write_str(name),
            Segment::Field(name) => write!(f, ".{name}"),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// The problems found so far, in the order of the checks.
#[derive(Debug, Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All problems.
    pub(crate) fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    /// Adds problems found elsewhere.
    pub(crate) fn extend(&mut self, errors: Vec<FieldError>) {
        self.0.extend(errors);
    }

    fn push(
        &mut self,
        kind: FieldErrorKind,
        path: &Path<'_>,
        value: Option<Value>,
        detail: impl Into<String>,
    ) {
        self.0.push(FieldError {
            kind,
            field: path.to_string(),
            value,
            detail: detail.into(),
        });
    }

    /// `path: Required value: detail`.
    pub(crate) fn required(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(FieldErrorKind::Required, path, None, detail);
    }

    /// `path: Invalid value: value: detail`.
    pub(crate) fn invalid(
        &mut self,
        path: &Path<'_>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) {
        self.push(FieldErrorKind::Invalid, path, Some(value.into()), detail);
    }

    /// `path: Invalid value: detail`, for values that the server does not print.
    pub(crate) fn invalid_omitted(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(FieldErrorKind::Invalid, path, None, detail);
    }

    /// One `Invalid value` for each message.
    pub(crate) fn invalid_each(&mut self, path: &Path<'_>, value: &str, messages: Vec<String>) {
        for message in messages {
            self.invalid(path, value, message);
        }
    }

    /// `path: Unsupported value: value: supported values: "A", "B"`; `supported` in the order to print (API-076).
    pub(crate) fn not_supported(
        &mut self,
        path: &Path<'_>,
        value: impl Into<Value>,
        supported: &[&str],
    ) {
        let list: Vec<String> = supported.iter().map(|text| quote(text)).collect();
        let detail = format!("supported values: {}", list.join(", "));
        self.push(
            FieldErrorKind::NotSupported,
            path,
            Some(value.into()),
            detail,
        );
    }

    /// The same for a struct, `value` being how Go prints it.
    pub(crate) fn struct_not_supported(
        &mut self,
        path: &Path<'_>,
        value: &str,
        supported: &[&str],
    ) {
        let list: Vec<String> = supported.iter().map(|text| quote(text)).collect();
        let detail = format!("{value}: supported values: {}", list.join(", "));
        self.push(FieldErrorKind::NotSupported, path, None, detail);
    }

    /// Checks that `key` of `object`, which is required, has one of some values; `path` is that of the object.
    pub(crate) fn one_of(&mut self, path: &Path<'_>, object: &Value, key: &str, values: &[&str]) {
        match text(object, key) {
            "" => self.required(&path.field(key), ""),
            value if values.contains(&value) => {}
            value => self.not_supported(&path.field(key), value, values),
        }
    }

    /// Checks that `key` of `object` has one of some values where it is present.
    pub(crate) fn optional_one_of(
        &mut self,
        path: &Path<'_>,
        object: &Value,
        key: &str,
        values: &[&str],
    ) {
        let value = present(object, key).and_then(Value::as_str);
        if let Some(value) = value.filter(|value| !values.contains(value)) {
            self.not_supported(&path.field(key), value, values);
        }
    }

    /// `path: Forbidden: detail`.
    pub(crate) fn forbidden(&mut self, path: &Path<'_>, detail: impl Into<String>) {
        self.push(FieldErrorKind::Forbidden, path, None, detail);
    }

    /// `path: Duplicate value: value`.
    pub(crate) fn duplicate(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        self.push(FieldErrorKind::Duplicate, path, Some(value.into()), "");
    }

    /// `path: Not found: value`.
    pub(crate) fn not_found(&mut self, path: &Path<'_>, value: impl Into<Value>) {
        self.push(FieldErrorKind::NotFound, path, Some(value.into()), "");
    }

    /// `path: Too long: may not be more than limit bytes`.
    pub(crate) fn too_long(&mut self, path: &Path<'_>, limit: usize) {
        self.push(
            FieldErrorKind::TooLong,
            path,
            None,
            format!("may not be more than {limit} bytes"),
        );
    }

    /// `Invalid value: must be greater than or equal to 0` when the integer at `path` is negative.
    pub(crate) fn not_negative(&mut self, path: &Path<'_>, value: Option<&Value>) {
        if let Some(number) = value.and_then(Value::as_i64).filter(|number| *number < 0) {
            self.invalid(path, number, "must be greater than or equal to 0");
        }
    }

    /// `Invalid value: …: field is immutable` when the two differ.
    pub(crate) fn immutable(&mut self, path: &Path<'_>, new: Option<&Value>, old: Option<&Value>) {
        if new != old {
            self.invalid(
                path,
                new.cloned().unwrap_or(Value::Null),
                "field is immutable",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn errors_print_as_the_server_prints_them() {
        let mut errors = Errors::default();
        let spec = Path::new("spec");
        errors.required(&spec.field("containers"), "");
        errors.invalid(
            &spec.field("replicas"),
            -1,
            "must be greater than or equal to 0",
        );
        errors.invalid(
            &spec.field("selector"),
            json!({"matchLabels": {"a": "c"}}),
            "field is immutable",
        );
        errors.not_supported(&spec.field("restartPolicy"), "x", &["Always", "Never"]);
        errors.forbidden(&spec, "no");
        errors.duplicate(&spec.field("containers").index(1).field("name"), "c");
        errors.not_found(&Path::new("data").key("k"), "v\n");
        errors.too_long(&spec, 5);
        let lines: Vec<String> = errors.into_vec().iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        spec.containers: Required value
        spec.replicas: Invalid value: -1: must be greater than or equal to 0
        spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable
        spec.restartPolicy: Unsupported value: "x": supported values: "Always", "Never"
        spec: Forbidden: no
        spec.containers[1].name: Duplicate value: "c"
        data[k]: Not found: "v\n"
        spec: Too long: may not be more than 5 bytes
        "#);
    }

    #[test]
    fn several_errors_join_and_duplicates_drop() {
        let error = |field: &str| FieldError {
            kind: FieldErrorKind::Required,
            field: field.to_owned(),
            value: None,
            detail: String::new(),
        };
        let gk = GroupKind::new("apps", "Deployment");
        let status = invalid(&gk, "web", vec![error("a"), error("b"), error("a")]);
        assert_eq!(
            status.message,
            r#"Deployment.apps "web" is invalid: [a: Required value, b: Required value]"#
        );
        let details = status.details.unwrap();
        assert_eq!(
            (
                details.kind.as_str(),
                details.group.as_str(),
                details.causes.len()
            ),
            ("Deployment", "apps", 3)
        );
    }
}
