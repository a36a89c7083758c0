//! Patches: JSON patch, merge patch, strategic merge patch, and those that a client computes.
//!
//! [`json`], [`merge`] and [`strategic`] are what the server does with the body of a PATCH (API-128…134);
//! [`three_way_strategic`] and [`three_way_merge`] are what `kubectl apply` sends (API-135, SYNC-091). Server-side apply is in
//! [`apply`]. All work on the versioned JSON form of an object and leave decoding and validation to others.

pub mod apply;
mod directive;
mod order;
mod strategic;
mod three_way;

use wavetank_json::{Map, Value};

pub use strategic::{StrategicError, strategic};
pub use three_way::{three_way_merge, three_way_strategic};

/// The most operations a JSON patch may have.
pub const MAX_JSON_PATCH_OPERATIONS: usize = 10_000;

/// A JSON patch or merge patch that cannot be carried out; see [`PatchError::code`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The body is no patch: 400, this text is the message.
    #[error(
        "error decoding patch: json: cannot unmarshal {found} into Go value of type {expected}"
    )]
    Malformed {
        /// JSON type of the body.
        found: &'static str,
        /// What was expected, as Go says it.
        expected: &'static str,
    },
    /// Too many operations: 413.
    #[error(
        "The allowed maximum operations in a JSON patch is {MAX_JSON_PATCH_OPERATIONS}, got {0}"
    )]
    TooManyOperations(usize),
    /// An operation cannot be applied to this object: 422 with the server's general message; the text says why (API-073).
    #[error("{0}")]
    Inapplicable(String),
}

impl PatchError {
    /// The HTTP status a server answers with.
    pub const fn code(&self) -> u16 {
        match self {
            Self::Malformed { .. } => 400,
            Self::TooManyOperations(_) => 413,
            Self::Inapplicable(_) => 422,
        }
    }
}

const fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Applies a JSON patch (RFC 6902; API-128). `object` is unchanged when it fails.
///
/// # Errors
/// [`PatchError`]: not a list of operations, too many of them, or one that does not apply.
pub fn json(object: &mut Value, patch: &Value) -> Result<(), PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Malformed {
            found: json_type(patch),
            expected: "[]handlers.jsonPatchOp",
        });
    };
    if let Some(wrong) = operations.iter().find(|operation| !operation.is_object()) {
        return Err(PatchError::Malformed {
            found: json_type(wrong),
            expected: "handlers.jsonPatchOp",
        });
    }
    if operations.len() > MAX_JSON_PATCH_OPERATIONS {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let mut patched = object.clone().into();
    for operation in operations {
        apply_operation(&mut patched, operation).map_err(PatchError::Inapplicable)?;
    }
    *object = patched.into();
    Ok(())
}

/// One operation, with the freedoms a real server takes: `replace` adds a key that is not there, a missing value is null,
/// and a key that is not there is equal to null.
fn apply_operation(object: &mut serde_json::Value, operation: &Value) -> Result<(), String> {
    let mut operation = operation.clone();
    let text = |operation: &Value, field: &str| {
        operation
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (name, path) = (text(&operation, "op"), text(&operation, "path"));
    if matches!(name.as_str(), "add" | "replace" | "test")
        && let Value::Object(fields) = &mut operation
    {
        let value = fields.entry("value").or_insert(Value::Null);
        let absent = object.pointer(&path).is_none() && is_in_map(object, &path);
        if absent && name == "test" && value.is_null() {
            return Ok(());
        }
        if absent && name == "replace" {
            fields.insert("op".to_owned(), Value::from("add"));
        }
    }
    let operation: json_patch::PatchOperation =
        wavetank_json::from_value(operation).map_err(|error| error.to_string())?;
    json_patch::patch(object, &[operation]).map_err(|error| error.to_string())
}

fn is_in_map(object: &serde_json::Value, path: &str) -> bool {
    path.rsplit_once('/')
        .and_then(|(parent, _)| object.pointer(parent))
        .is_some_and(serde_json::Value::is_object)
}

/// Applies a merge patch (RFC 7386; API-129).
///
/// # Errors
/// [`PatchError::Malformed`] when `patch` is no JSON object; `object` is then unchanged.
pub fn merge(object: &mut Value, patch: &Value) -> Result<(), PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed {
            found: json_type(patch),
            expected: "map[string]interface {}",
        });
    }
    merge_into(object, patch);
    Ok(())
}

/// `patch` over `object`; what it does not name stays shared with copies of the object.
fn merge_into(object: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Value::Object(fields) = object else {
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge_into(fields.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_json::json;

    use super::*;

    #[rstest]
    #[case(json!([{"op": "add", "path": "/data/b", "value": "2"}]), json!({"data": {"a": "1", "b": "2"}, "list": [1, 2]}))]
    #[case(json!([{"op": "add", "path": "/list/-", "value": 3}]), json!({"data": {"a": "1"}, "list": [1, 2, 3]}))]
    #[case(json!([{"op": "remove", "path": "/data/a"}, {"op": "test", "path": "/list/0", "value": 1}]), json!({"data": {}, "list": [1, 2]}))]
    #[case(json!([{"op": "move", "from": "/data/a", "path": "/data/x~1y"}]), json!({"data": {"x/y": "1"}, "list": [1, 2]}))]
    #[case(json!([{"op": "replace", "path": "/data/n", "value": "1"}]), json!({"data": {"a": "1", "n": "1"}, "list": [1, 2]}))]
    #[case(json!([{"op": "add", "path": "/data/n"}, {"op": "test", "path": "/data/m"}]), json!({"data": {"a": "1", "n": null}, "list": [1, 2]}))]
    fn json_patches_apply(#[case] patch: Value, #[case] expected: Value) {
        let mut object = json!({"data": {"a": "1"}, "list": [1, 2]});
        json(&mut object, &patch).unwrap();
        assert_eq!(object, expected);
    }

    #[rstest]
    #[case(json!([{"op": "test", "path": "/data/a", "value": "zzz"}]), 422)] // T-028
    #[case(json!([{"op": "add", "path": "/metadata/annotations/x", "value": "1"}]), 422)] // T-029
    #[case(json!([{"op": "replace", "path": "/none/x", "value": "1"}]), 422)]
    #[case(json!([{"op": "remove", "path": "/data/none"}]), 422)]
    #[case(json!([{"op": "add", "path": "/data/b", "value": "1"}, {"op": "remove", "path": "/data/none"}]), 422)]
    #[case(json!([{"op": "jump", "path": "/data/a"}]), 422)]
    #[case(json!({"op": "add"}), 400)] // T-030
    #[case(json!(["x"]), 400)]
    fn json_patches_that_fail_change_nothing(#[case] patch: Value, #[case] code: u16) {
        let mut object = json!({"data": {"a": "1"}});
        assert_eq!(json(&mut object, &patch).unwrap_err().code(), code);
        assert_eq!(object, json!({"data": {"a": "1"}}));
    }

    #[test]
    fn more_than_ten_thousand_operations_are_refused() {
        let operations = vec![json!({"op": "test", "path": "/a", "value": 1}); 10_001];
        let error = json(&mut json!({"a": 1}), &Value::Array(operations)).unwrap_err();
        assert_eq!(error.code(), 413);
        assert_eq!(
            error.to_string(),
            "The allowed maximum operations in a JSON patch is 10000, got 10001"
        );
    }

    #[test]
    fn merge_patches_delete_by_null_and_replace_lists() {
        // T-026
        let mut object = json!({"data": {"a": "1"}, "list": [1, 2]});
        merge(
            &mut object,
            &json!({"data": {"b": "2", "a": null}, "list": [3]}),
        )
        .unwrap();
        assert_eq!(object, json!({"data": {"b": "2"}, "list": [3]}));
        assert_eq!(
            merge(&mut object, &json!([])).unwrap_err().to_string(),
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        );
    }
}
