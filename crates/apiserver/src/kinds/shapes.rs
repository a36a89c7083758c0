//! How the Go types behind built-in kinds are written as JSON (API-385 to API-387).
//!
//! A real server reads an object into Go structures and writes it back: nulls go, most zero values go, some fields are
//! always there, quantities become canonical, times lose their fractions. Which is which is a table of facts, generated
//! by `tools/shapes` from the published Go types; it is parsed once, when first used.

use std::sync::OnceLock;

use serde_json::Value;
use wavetank_model::key::GroupKind;

use super::json::Members;
use super::quantity::Quantity;

static TABLE: &str = include_str!("shapes.txt");

#[derive(Debug)]
enum Code {
    Text,
    Boolean,
    Number,
    Any,
    Quantity,
    Time,
    MicroTime,
    IntOrString,
    List(Box<Code>),
    Map(Box<Code>),
    Pointer(Box<Code>),
    Structure(usize),
}

#[derive(Debug)]
struct Field {
    name: &'static str,
    code: Code,
    /// Written even when zero.
    always: bool,
}

#[derive(Debug, Default)]
struct Shapes {
    kinds: Vec<(&'static str, usize)>,
    types: Vec<Vec<Field>>,
}

fn shapes() -> &'static Shapes {
    static SHAPES: OnceLock<Shapes> = OnceLock::new();
    SHAPES.get_or_init(|| parse(TABLE))
}

/// Reads the table. Lines that do not parse are dropped; a test checks that there are none.
fn parse(table: &'static str) -> Shapes {
    let mut names: Vec<&str> = table
        .lines()
        .filter_map(|line| {
            line.split_once(' ')
                .map(|(name, _)| name)
                .or_else(|| (!line.contains('=')).then_some(line))
        })
        .collect();
    names.sort_unstable();
    let index = |name: &str| names.binary_search(&name).ok();
    let mut shapes = Shapes {
        kinds: Vec::new(),
        types: names.iter().map(|_| Vec::new()).collect(),
    };
    for line in table.lines() {
        if let Some((name, fields)) = line.split_once(' ') {
            let Some(index_of_type) = index(name) else {
                continue;
            };
            shapes.types[index_of_type] = fields
                .split(' ')
                .filter_map(|field| {
                    let (name, code) = field.split_once(':')?;
                    let (marked, code) = code
                        .strip_prefix('!')
                        .map_or((false, code), |code| (true, code));
                    let always = marked || code.starts_with('=');
                    Some(Field {
                        name,
                        code: parse_code(code, &index)?,
                        always,
                    })
                })
                .collect();
        } else if let Some((kind, name)) = line.split_once('=')
            && let Some(index_of_type) = index(name)
        {
            shapes.kinds.push((kind, index_of_type));
        }
    }
    shapes
}

fn parse_code(code: &str, index: &impl Fn(&str) -> Option<usize>) -> Option<Code> {
    let inner = |rest| parse_code(rest, index).map(Box::new);
    Some(match code.split_at_checked(1)? {
        ("s", _) => Code::Text,
        ("b", _) => Code::Boolean,
        ("n", _) => Code::Number,
        ("v", _) => Code::Any,
        ("q", _) => Code::Quantity,
        ("t", _) => Code::Time,
        ("m", _) => Code::MicroTime,
        ("i", _) => Code::IntOrString,
        ("[", rest) => Code::List(inner(rest)?),
        ("{", rest) => Code::Map(inner(rest)?),
        ("*", rest) => Code::Pointer(inner(rest)?),
        ("=" | "~", name) => Code::Structure(index(name)?),
        _ => return None,
    })
}

/// Writes `object`, of a built-in kind in `version`, as a real server would after reading it. Unknown fields and
/// `metadata.managedFields` stay as they are; so does an object of a kind that is not built in.
pub fn normalize(gk: &GroupKind, version: &str, object: &mut Value) {
    let shapes = shapes();
    let kind = shapes.kinds.iter().find(|(key, _)| {
        key.strip_suffix(gk.kind.as_str())
            .and_then(|rest| rest.strip_suffix('/'))
            .and_then(|rest| rest.strip_suffix(version))
            .and_then(|rest| rest.strip_suffix('/'))
            == Some(gk.group.as_str())
    });
    if let (Some((_, index)), Some(members)) = (kind, object.as_object_mut()) {
        structure(shapes, *index, members);
    }
}

fn structure(shapes: &Shapes, index: usize, members: &mut Members) {
    let fields = &shapes.types[index];
    members.retain(|key, value| {
        let Ok(found) = fields.binary_search_by(|field| field.name.cmp(key)) else {
            return true;
        };
        let field = &fields[found];
        if field.name == "managedFields" {
            return true;
        }
        let zero = tidy(shapes, &field.code, value);
        // Objects are stored in a form that knows no empty lists: they come back as null where they cannot be absent.
        let emptied = zero && matches!(field.code, Code::List(_) | Code::Map(_));
        if zero && field.always && (value.is_null() || emptied) {
            *value = zero_of(shapes, &field.code);
        }
        !zero || field.always
    });
    for field in fields.iter().filter(|field| field.always) {
        if !members.contains_key(field.name) {
            members.insert(field.name.to_owned(), zero_of(shapes, &field.code));
        }
    }
}

/// Tidies `value`; whether it is the zero value of its type.
fn tidy(shapes: &Shapes, code: &Code, value: &mut Value) -> bool {
    if value.is_null() {
        return true;
    }
    match (code, &mut *value) {
        (Code::Text, Value::String(text)) => text.is_empty(),
        (Code::Boolean, Value::Bool(flag)) => !*flag,
        (Code::Number, Value::Number(number)) => number.as_i64() == Some(0),
        (Code::Quantity, _) => {
            if let Some(canonical) = Quantity::read(value).map(Quantity::canonical)
                && value.as_str() != Some(canonical.as_str())
            {
                *value = canonical.into();
            }
            value == "0"
        }
        (Code::Time | Code::MicroTime, Value::String(text)) => {
            if let Some(canonical) = canonical_time(text, matches!(code, Code::MicroTime)) {
                *text = canonical;
            }
            false
        }
        (Code::List(item), Value::Array(list)) => {
            for entry in list.iter_mut() {
                if entry.is_null() {
                    *entry = zero_of(shapes, item);
                } else {
                    tidy(shapes, item, entry);
                }
            }
            list.is_empty()
        }
        (Code::Map(item), Value::Object(map)) => {
            for entry in map.values_mut() {
                if entry.is_null() {
                    *entry = zero_of(shapes, item);
                } else {
                    tidy(shapes, item, entry);
                }
            }
            map.is_empty()
        }
        (Code::Pointer(inner), _) => {
            tidy(shapes, inner, value);
            false
        }
        (Code::Structure(index), Value::Object(members)) => {
            structure(shapes, *index, members);
            members.is_empty()
        }
        _ => false,
    }
}

fn zero_of(shapes: &Shapes, code: &Code) -> Value {
    match code {
        Code::Text => "".into(),
        Code::Boolean => false.into(),
        Code::Number | Code::IntOrString => 0.into(),
        Code::Quantity => "0".into(),
        Code::Structure(index) => {
            let mut members = Members::new();
            structure(shapes, *index, &mut members);
            members.into()
        }
        Code::Any
        | Code::Time
        | Code::MicroTime
        | Code::List(_)
        | Code::Map(_)
        | Code::Pointer(_) => Value::Null,
    }
}

/// RFC 3339 in UTC with whole seconds, or with six digits after the point; `None` when it is that already or no time.
fn canonical_time(text: &str, micro: bool) -> Option<String> {
    let (length, format) = if micro {
        (27, "%Y-%m-%dT%H:%M:%S.%6fZ")
    } else {
        (20, "%Y-%m-%dT%H:%M:%SZ")
    };
    if text.len() == length && text.ends_with('Z') {
        return None;
    }
    Some(
        wavetank_model::timestamp::parse(text)?
            .strftime(format)
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn normalized(group: &str, version: &str, kind: &str, mut object: Value) -> Value {
        normalize(&GroupKind::new(group, kind), version, &mut object);
        object
    }

    #[test]
    fn the_whole_table_parses() {
        let kinds = TABLE
            .lines()
            .filter(|line| !line.contains(' ') && line.contains('='))
            .count();
        let fields: usize = TABLE
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(_, fields)| fields.split_whitespace().count())
            .sum();
        assert_eq!(shapes().kinds.len(), kinds);
        assert_eq!(shapes().types.iter().map(Vec::len).sum::<usize>(), fields);
        assert!(
            shapes()
                .types
                .iter()
                .all(|fields| fields.is_sorted_by(|a, b| a.name < b.name))
        );
    }

    #[test]
    fn zero_values_go_and_pointers_stay() {
        let pod = normalized(
            "",
            "v1",
            "Pod",
            json!({"metadata": {"name": "p", "creationTimestamp": null, "labels": {}}, "spec": {
                "hostNetwork": false, "automountServiceAccountToken": false, "nodeSelector": {}, "volumes": [],
                "containers": [{"name": "c", "image": "i", "tty": false, "env": [{"name": "A", "value": ""}],
                    "securityContext": {"privileged": false}}]}}),
        );
        assert_eq!(
            pod,
            json!({"metadata": {"name": "p"}, "spec": {"automountServiceAccountToken": false, "containers": [
                {"name": "c", "image": "i", "env": [{"name": "A"}], "securityContext": {"privileged": false},
                    "resources": {}}]}, "status": {}})
        );
    }

    /// API-385.
    #[test]
    fn some_counters_are_always_there() {
        let status = normalized(
            "apps",
            "v1",
            "DaemonSet",
            json!({"status": {"numberAvailable": 0}}),
        )["status"]
            .clone();
        assert_eq!(
            status,
            json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0})
        );
        let job = normalized(
            "batch",
            "v1",
            "Job",
            json!({"status": {"ready": 0, "terminating": 0, "active": 0}}),
        );
        assert_eq!(job["status"], json!({"ready": 0, "terminating": 0}));
    }

    /// API-017.
    #[test]
    fn times_and_quantities_become_canonical() {
        let lease = normalized(
            "coordination.k8s.io",
            "v1",
            "Lease",
            json!({"spec": {"renewTime": "2026-01-01T01:00:00+01:00"}}),
        );
        assert_eq!(lease["spec"]["renewTime"], "2026-01-01T00:00:00.000000Z");
        let claim = normalized(
            "",
            "v1",
            "PersistentVolumeClaim",
            json!({"spec": {"resources": {"requests": {"storage": "1024Mi"}}}}),
        );
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "1Gi");
    }

    #[test]
    fn managed_fields_are_left_alone() {
        let object = json!({"metadata": {"managedFields": []}});
        assert_eq!(normalized("", "v1", "ConfigMap", object.clone()), object);
    }
}
