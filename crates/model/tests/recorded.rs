//! What a real API server answered to a fixed sequence of writes (`data/recorded-writes.json`, made by
//! `tools/record-writes.py` with Kubernetes v1.36.2), compared with what this crate makes of the same writes.
//!
//! Defaults of built-in kinds are not this crate's: where the server filled something in, its answer may hold more.

#![expect(
    clippy::unwrap_used,
    reason = "a test: what is missing in the records is a bug"
)]

use wavetank_json::Value;
use wavetank_model::patch::apply::{self, FieldSet, ManagedFields, Tracked, Writer, reset_fields};
use wavetank_model::patch::{self, StrategicError};
use wavetank_model::schema::{self, Schema};
use wavetank_model::selector::LabelSelector;
use wavetank_model::{GroupVersionKind, kinds};

struct Record {
    name: String,
    request: Value,
    before: Option<Value>,
    code: u64,
    after: Value,
}

impl Record {
    fn text(&self, field: &str) -> &str {
        self.request[field].as_str().unwrap_or_default()
    }

    fn kind(&self) -> GroupVersionKind {
        GroupVersionKind::new(self.text("apiVersion"), self.text("kind"))
    }

    fn is_custom(&self) -> bool {
        self.kind().group == "rec.io"
    }

    fn schema(&self, records: &[Record]) -> Schema {
        if !self.is_custom() {
            return Schema::from(schema::builtin(&self.kind()).unwrap());
        }
        let definition = records
            .iter()
            .find(|record| record.request["body"]["spec"]["names"]["kind"] == self.request["kind"])
            .unwrap();
        Schema::from_structural(
            &definition.request["body"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
        )
    }

    fn reset(&self) -> FieldSet {
        let kind = self.kind().group_kind();
        let has_status = self.is_custom()
            || kinds::find(&kind.group, &kind.kind)
                .is_some_and(|kind| kind.has_subresource("status"));
        reset_fields(
            &kind,
            self.text("subresource"),
            has_status,
            self.is_custom(),
        )
    }

    /// The newest time in the managedFields of the answer: when the write was, if it was recorded at all.
    fn time(&self) -> String {
        let times = managed_fields(&self.after)
            .iter()
            .filter_map(|entry| entry["time"].as_str());
        times.max().unwrap_or_default().to_owned()
    }

    fn message(&self) -> &str {
        self.after["message"].as_str().unwrap_or_default()
    }
}

fn records() -> Vec<Record> {
    let list: Vec<Value> =
        serde_json::from_str(include_str!("../data/recorded-writes.json")).unwrap();
    let record = |mut record: Value| Record {
        name: record["name"].as_str().unwrap().to_owned(),
        request: record["request"].take(),
        before: Some(record["before"].take()).filter(|before| !before.is_null()),
        code: record["code"].as_u64().unwrap(),
        after: record["after"].take(),
    };
    list.into_iter().map(record).collect()
}

fn managed_fields(object: &Value) -> &[Value] {
    object["metadata"]["managedFields"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn owners(object: &Value) -> ManagedFields {
    ManagedFields::of(object).unwrap()
}

fn whole((mut object, owners): (Value, ManagedFields)) -> Value {
    owners.put_into(&mut object);
    object
}

fn without(object: &Value, fields: &[&str]) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| !fields.contains(&name.as_str()));
    }
    object
}

/// Without what the server counts up and what is compared elsewhere.
fn plain(object: &Value) -> Value {
    without(object, &["managedFields", "resourceVersion", "generation"])
}

/// Checks every record that `wanted` names, and reports all that differ.
fn check(
    wanted: impl Fn(&Record) -> bool,
    test: impl Fn(&Record, &[Record]) -> Result<(), String>,
) {
    let records = records();
    let chosen: Vec<&Record> = records.iter().filter(|record| wanted(record)).collect();
    assert!(!chosen.is_empty());
    let failures: Vec<String> = chosen
        .iter()
        .filter_map(|record| {
            Some(format!(
                "{}: {}",
                record.name,
                test(record, &records).err()?
            ))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} differ:\n{}",
        failures.len(),
        chosen.len(),
        failures.join("\n\n")
    );
}

fn expect<T: PartialEq + std::fmt::Debug>(seen: &T, expected: &T) -> Result<(), String> {
    if seen == expected {
        Ok(())
    } else {
        Err(format!("\n  expected {expected:?}\n  observed {seen:?}"))
    }
}

fn expect_managed(seen: &Value, expected: &Value) -> Result<(), String> {
    let list = |object: &Value| Value::Array(managed_fields(object).to_vec());
    expect_value(&list(seen), &list(expected), false)
}

/// Says where `seen` differs; where `partial`, the expected value may hold more.
fn expect_value(seen: &Value, expected: &Value, partial: bool) -> Result<(), String> {
    let mut lines = Vec::new();
    differences(seen, expected, partial, "", &mut lines);
    if lines.is_empty() {
        Ok(())
    } else {
        Err(lines.join(""))
    }
}

fn differences(seen: &Value, expected: &Value, partial: bool, path: &str, lines: &mut Vec<String>) {
    match (seen, expected) {
        (Value::Object(one), Value::Object(other)) => {
            for (name, value) in one {
                let other = other.get(name).unwrap_or(&Value::Null);
                differences(value, other, partial, &format!("{path}/{name}"), lines);
            }
            for (name, value) in other
                .iter()
                .filter(|(name, _)| !partial && !one.contains_key(name))
            {
                lines.push(format!(
                    "\n  {path}/{name}: expected {value}, observed nothing"
                ));
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(one, other, partial, &format!("{path}/{index}"), lines);
            }
        }
        _ if seen == expected => {}
        _ => lines.push(format!("\n  {path}: expected {expected}, observed {seen}")),
    }
}

#[test]
fn writes_are_recorded_in_managed_fields_as_the_server_does() {
    let wanted =
        |record: &Record| record.code < 300 && !matches!(record.text("verb"), "apply" | "list");
    check(wanted, |record, records| {
        let schema = record.schema(records);
        let sent = match record.text("verb") {
            "create" | "update" | "merge" => {
                record.request["body"]["metadata"].get("managedFields")
            }
            _ => None,
        };
        let mut new = without(&record.after, &["managedFields"]);
        if let Some(sent) = sent.or(record
            .before
            .as_ref()
            .and_then(|before| before["metadata"].get("managedFields")))
        {
            new["metadata"]["managedFields"] = sent.clone();
        }
        let (reset, time) = (record.reset(), record.time());
        let writer = Writer {
            manager: record.text("manager"),
            api_version: record.text("apiVersion"),
            subresource: record.text("subresource"),
            time: &time,
            reset: &reset,
        };
        let owners = record.before.as_ref().map(owners);
        let before = record.before.as_ref().zip(owners.as_ref());
        let before = before.map(|(object, owners)| Tracked {
            object,
            managed: owners,
        });
        apply::update(before, &mut new, &writer, schema.root()).put_into(&mut new);
        expect_managed(&new, &record.after)
    });
}

#[test]
fn applies_give_the_servers_objects_managed_fields_and_errors() {
    check(
        |record| record.text("verb") == "apply" && record.code != 404,
        |record, records| {
            let schema = record.schema(records);
            let (reset, time) = (record.reset(), record.time());
            let writer = Writer {
                manager: record.text("manager"),
                api_version: record.text("apiVersion"),
                subresource: record.text("subresource"),
                time: &time,
                reset: &reset,
            };
            let (config, force) = (&record.request["body"], record.request["force"] == true);
            let owners = record.before.as_ref().map(owners);
            let before = record.before.as_ref().zip(owners.as_ref());
            let before = before.map(|(object, owners)| Tracked {
                object,
                managed: owners,
            });
            let applied = apply::apply(before, config, &writer, force, schema.root());
            match applied.map(whole) {
                Err(error) => {
                    let status = error.status();
                    let message = record.message().to_owned();
                    expect(
                        &(u64::from(status.code), status.message.clone()),
                        &(record.code, message),
                    )?;
                    let causes = |value: &Value| value["details"]["causes"].clone();
                    let sorted = |value: Value| {
                        let mut list = value.as_array().cloned().unwrap_or_default();
                        list.sort_by_key(ToString::to_string);
                        list
                    };
                    expect(
                        &sorted(causes(&status.to_json())),
                        &sorted(causes(&record.after)),
                    )
                }
                Ok(mut object) if record.code < 300 => {
                    expect_managed(&object, &record.after)?;
                    if !record.is_custom() {
                        schema::decode(schema.root(), &mut object)
                            .map_err(|error| error.to_string())?;
                    }
                    // Resetting status on the main endpoint is the caller's.
                    if record.text("subresource").is_empty() {
                        object["status"] = record.after["status"].clone();
                    }
                    expect_value(&plain(&object), &plain(&record.after), true)
                }
                // What only validation refuses.
                Ok(_) if record.after["reason"] == "Invalid" => Ok(()),
                Ok(_) => Err(format!("expected {} {}", record.code, record.message())),
            }
        },
    );
}

#[test]
fn json_and_merge_patches_give_the_servers_objects_and_errors() {
    check(
        |record| {
            record.name.starts_with("patches: ")
                && record.text("verb") != "create"
                && record.request["body"].is_array()
        },
        |record, records| {
            let schema = record.schema(records);
            let mut object = record.before.clone().unwrap();
            let body = &record.request["body"];
            let result = match record.text("verb") {
                "json" => patch::json(&mut object, body),
                _ => patch::merge(&mut object, body),
            };
            match result {
                Err(error) if error.code() == 422 => {
                    let general = "the server rejected our request due to an error in our request";
                    expect(&(422, general), &(record.code, record.message()))
                }
                Err(error) => expect(
                    &(u64::from(error.code()), error.to_string().as_str()),
                    &(record.code, record.message()),
                ),
                Ok(()) if record.code < 300 => {
                    schema::decode(schema.root(), &mut object)
                        .map_err(|error| error.to_string())?;
                    expect_value(&plain(&object), &plain(&record.after), true)
                }
                Ok(()) => Err(format!("expected {} {}", record.code, record.message())),
            }
        },
    );
}

#[test]
fn strategic_patches_give_the_servers_objects_and_errors() {
    check(
        |record| record.text("verb") == "strategic",
        |record, records| {
            let schema = record.schema(records);
            let mut object = record.before.clone().unwrap();
            let result: Result<(), StrategicError> =
                patch::strategic(&mut object, record.request["body"].clone(), schema.root());
            match result {
                Err(error) => expect(
                    &(u64::from(error.code()), error.to_string().as_str()),
                    &(record.code, record.message()),
                ),
                Ok(()) if record.code < 300 => {
                    schema::decode(schema.root(), &mut object)
                        .map_err(|error| error.to_string())?;
                    expect_value(&plain(&object), &plain(&record.after), true)
                }
                Ok(()) => Err(format!("expected {} {}", record.code, record.message())),
            }
        },
    );
}

#[test]
fn bodies_decode_into_the_servers_form_or_its_errors() {
    check(
        |record| record.name.starts_with("body: "),
        |record, records| {
            let schema = record.schema(records);
            let mut object = record.request["body"].clone();
            let kind = record.kind();
            match schema::decode(schema.root(), &mut object) {
                Err(error) => {
                    let message = format!(
                        "{} in version {:?} cannot be handled as a {}: {error}",
                        kind.kind, kind.version, kind.kind
                    );
                    expect(&(400, message.as_str()), &(record.code, record.message()))
                }
                Ok(_) if record.code == 400 => Err(format!("expected {}", record.message())),
                Ok(_) if record.code < 300 => {
                    schema::complete(schema.root(), &mut object);
                    expect_value(&object, &record.after, true)
                }
                Ok(_) => Ok(()),
            }
        },
    );
}

#[test]
fn what_the_server_stores_is_complete_and_canonical() {
    check(
        |record| record.code < 300 && record.text("verb") != "list" && !record.is_custom(),
        |record, records| {
            let schema = record.schema(records);
            let mut object = record.after.clone();
            let problems =
                schema::decode(schema.root(), &mut object).map_err(|error| error.to_string())?;
            expect(&problems, &Vec::new())?;
            schema::complete(schema.root(), &mut object);
            expect_value(&object, &record.after, false)
        },
    );
}

#[test]
fn bad_selectors_have_the_servers_messages() {
    check(
        |record| record.text("verb") == "list",
        |record, _| {
            let seen = if let Some(text) = record.request["labelSelector"].as_str() {
                text.parse::<LabelSelector>()
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            } else {
                let selector = record
                    .text("fieldSelector")
                    .parse::<wavetank_model::selector::FieldSelector>();
                selector.map_err(|error| error.to_string()).and_then(|selector| {
                    match selector.unknown(&["metadata.name", "metadata.namespace"]) {
                        Some(field) => Err(format!(
                            "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                        )),
                        None => Ok(()),
                    }
                })
            };
            match seen {
                Ok(()) => expect(&200, &record.code),
                Err(message) => expect(&(400, message.as_str()), &(record.code, record.message())),
            }
        },
    );
}
