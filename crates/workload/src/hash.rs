//! Names made from content.

use wavetank_json::Value;
use wavetank_kernel::{Rng, Seed};

/// The alphabet of generated names (API-092): no vowels, no look-alikes.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The `pod-template-hash` of a template: 10 characters that depend on its content only (API-345).
pub(crate) fn template(template: &Value, collisions: Option<i64>) -> String {
    let mut hash = Fnv::new();
    hash.value(template);
    if let Some(collisions) = collisions {
        hash.bytes(&collisions.to_le_bytes());
    }
    letters(Seed(hash.0).rng(), 10)
}

fn letters(mut rng: Rng, count: usize) -> String {
    (0..count)
        .map(|_| {
            let index = usize::try_from(rng.below(27)).unwrap_or(0);
            char::from(ALPHABET[index % ALPHABET.len()])
        })
        .collect()
}

/// FNV-1a, 64 bits: stable over versions and platforms.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Maps by sorted key, so that the order in which a document was written does not count.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes(b"n"),
            Value::Bool(flag) => self.bytes(if *flag { b"t" } else { b"f" }),
            Value::Number(number) => self.bytes(number.to_string().as_bytes()),
            Value::String(text) => {
                self.bytes(b"\"");
                self.bytes(text.as_bytes());
                self.bytes(b"\"");
            }
            Value::Array(items) => {
                self.bytes(b"[");
                for item in items {
                    self.value(item);
                    self.bytes(b",");
                }
            }
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by_key(|(key, _)| *key);
                self.bytes(b"{");
                for (key, value) in fields {
                    self.bytes(key.as_bytes());
                    self.bytes(b":");
                    self.value(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn the_hash_depends_on_content_and_collisions() {
        let one = template(&json!({"a": 1, "b": [true]}), None);
        assert_eq!(one, template(&json!({"b": [true], "a": 1}), None));
        assert_ne!(one, template(&json!({"a": 1, "b": [true]}), Some(1)));
        assert_eq!(one.len(), 10);
    }
}
