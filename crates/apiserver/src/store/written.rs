//! Objects as text, written over the version before: what did not change is taken over.

use std::cmp::Ordering;
use std::iter::Peekable;

use wavetank_json::{Map, Value};
use wavetank_model::patch::apply::{ManagedFields, Tracked};

const METADATA: &str = "\"metadata\":{";

/// Where what is in the text of an object.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// Where the fields behind kind and version begin.
    pub(super) types: usize,
    /// Where each of them ends, in their order.
    ends: Box<[usize]>,
    /// Where each field of the metadata ends, counted from where the metadata begin, in their order.
    metadata: Box<[usize]>,
}

/// A version that was written before.
#[derive(Clone, Copy)]
pub(crate) struct Past<'a> {
    pub(super) object: &'a Value,
    pub(super) text: &'a [u8],
    pub(super) layout: &'a Layout,
}

/// A field that was written before: its name and value, and both as text.
type Known<'a> = (&'a String, &'a Value, &'a [u8]);

impl<'a> Past<'a> {
    fn fields(self) -> impl Iterator<Item = Known<'a>> {
        let fields = self.object.as_object().into_iter().flat_map(own_fields);
        known(fields, self.text, self.layout.types, &self.layout.ends)
    }
}

/// `fields` with their text, which begins at `start` of `text`.
fn known<'a>(
    fields: impl Iterator<Item = (&'a String, &'a Value)>,
    text: &'a [u8],
    mut start: usize,
    ends: &'a [usize],
) -> impl Iterator<Item = Known<'a>> {
    fields.zip(ends).map(move |((name, value), end)| {
        let text = &text[start..*end];
        start = end + 1;
        (name, value, text)
    })
}

/// All fields but kind and version.
fn own_fields(fields: &Map) -> impl Iterator<Item = (&String, &Value)> {
    fields
        .iter()
        .filter(|(name, _)| *name != "kind" && *name != "apiVersion")
}

/// Serialises with `kind` and `apiVersion` first, as a real server does.
pub(crate) fn write_object(out: &mut Vec<u8>, object: &Value) {
    let managed = &ManagedFields::default();
    write(out, Tracked { object, managed }, None);
}

/// Serialises an object with its `managedFields`, `kind` and `apiVersion` first.
pub(super) fn write(out: &mut Vec<u8>, object: Tracked<'_>, past: Option<Past<'_>>) -> Layout {
    let Some(fields) = object.object.as_object() else {
        wavetank_json::write(out, object.object);
        return Layout::default();
    };
    let start = out.len();
    out.push(b'{');
    for name in ["kind", "apiVersion"] {
        if let Some(text) = fields.get(name) {
            write_field(out, name, text);
            out.push(b',');
        }
    }
    let types = out.len() - start;
    let mut metadata = Vec::new();
    let mut ends = Vec::with_capacity(fields.len());
    let mut known = past.into_iter().flat_map(Past::fields).peekable();
    for (name, field) in own_fields(fields) {
        let before = find(&mut known, name);
        match (field, before) {
            (Value::Object(fields), _) if name == "metadata" => {
                let past = past.zip(before);
                metadata = write_metadata(out, fields, object.managed, past);
            }
            (_, Some((_, value, text))) if value == field => out.extend_from_slice(text),
            _ => write_field(out, name, field),
        }
        ends.push(out.len() - start);
        out.push(b',');
    }
    close(out);
    Layout {
        // An object of type fields alone has no comma behind them.
        types: types.min(out.len() - 1 - start),
        ends: ends.into_boxed_slice(),
        metadata: metadata.into_boxed_slice(),
    }
}

/// Writes the metadata with who owns the fields of the object; gives where their fields end. `past` is the version before
/// with its metadata.
fn write_metadata(
    out: &mut Vec<u8>,
    fields: &Map,
    managed: &ManagedFields,
    past: Option<(Past<'_>, Known<'_>)>,
) -> Vec<usize> {
    let start = out.len();
    out.extend_from_slice(METADATA.as_bytes());
    let mut ends = Vec::with_capacity(fields.len());
    let known = past.into_iter().flat_map(|(past, (_, metadata, text))| {
        let fields = metadata.as_object().into_iter().flatten();
        known(fields, text, METADATA.len(), &past.layout.metadata)
    });
    let mut known = known.peekable();
    for (name, field) in fields {
        match find(&mut known, name) {
            Some((_, value, text)) if value == field => out.extend_from_slice(text),
            _ => write_field(out, name, field),
        }
        ends.push(out.len() - start);
        out.push(b',');
    }
    if !managed.is_empty() {
        out.extend_from_slice(b"\"managedFields\":");
        managed.write(out);
    }
    close(out);
    ends
}

/// Goes on to the field `name`, if it is there.
fn find<'a>(
    known: &mut Peekable<impl Iterator<Item = Known<'a>>>,
    name: &str,
) -> Option<Known<'a>> {
    while let Some((before, ..)) = known.peek() {
        match before.as_str().cmp(name) {
            Ordering::Less => known.next(),
            Ordering::Equal => return known.next(),
            Ordering::Greater => return None,
        };
    }
    None
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &Value) {
    wavetank_json::write_text(out, name);
    out.push(b':');
    wavetank_json::write(out, value);
}

/// Ends an object, behind the comma of its last field.
fn close(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    fn written(
        object: &Value,
        managed: &ManagedFields,
        past: Option<Past<'_>>,
    ) -> (String, Layout) {
        let mut out = b"{".to_vec();
        let layout = write(&mut out, Tracked { object, managed }, past);
        (String::from_utf8(out.split_off(1)).expect("text"), layout)
    }

    #[test]
    fn a_version_over_another_is_written_as_if_there_was_none() {
        let versions = [
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "c"}, "spec": {"a": [1, "\n"]}, "status": {}}),
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"name": "c", "uid": "u"}, "spec": {"a": [1, "\n"]}, "status": {"b": 1}}),
            json!({"data": {"é": "ü"}, "kind": "X", "metadata": {"labels": {}, "name": "d", "uid": "u"}, "spec": {"a": [2]}}),
            json!({"metadata": {"kind": "x", "uid": "u"}, "spec": {"a": [2]}, "zone": null}),
            json!({"metadata": {}, "zone": 1}),
            json!({"metadata": null, "zone": null}),
            json!({"apiVersion": "v1", "kind": "X"}),
            json!({"zone": null}),
            json!({}),
        ];
        let entries = json!([{"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:zone": {}}}]);
        let owned =
            ManagedFields::of(&json!({"metadata": {"managedFields": entries}})).expect("an entry");
        let nobody = ManagedFields::default();
        for (object, before) in versions
            .iter()
            .flat_map(|object| [(object, &nobody), (object, &owned)])
        {
            let (text, layout) = written(object, before, None);
            let past = Past {
                object,
                text: text.as_bytes(),
                layout: &layout,
            };
            for (new, after) in versions
                .iter()
                .flat_map(|new| [(new, &nobody), (new, &owned)])
            {
                let afresh = written(new, after, None);
                assert_eq!(
                    written(new, after, Some(past)),
                    afresh,
                    "{new} over {object}"
                );
                let mut whole = new.clone();
                if whole["metadata"].is_object() {
                    after.put_into(&mut whole);
                }
                assert_eq!(
                    afresh.0.parse::<Value>().expect("JSON"),
                    whole,
                    "{}",
                    afresh.0
                );
            }
        }
    }
}
