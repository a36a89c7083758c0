//! A scenario as plain values.

use wavetank_json::Value;

use crate::yaml;

/// A scenario and the desired objects of its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The document of kind Scenario.
    pub scenario: Value,
    /// The other documents, in order.
    pub documents: Vec<Value>,
}

impl Case {
    /// The text of the scenario file.
    pub fn text(&self) -> String {
        let mut out = String::new();
        yaml::write(&self.scenario, &mut out);
        for document in &self.documents {
            out.push_str("---\n");
            yaml::write(document, &mut out);
        }
        out
    }

    /// The number of values in it: what shrinking makes smaller.
    pub fn size(&self) -> usize {
        size(&self.scenario) + self.documents.iter().map(size).sum::<usize>()
    }
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}
