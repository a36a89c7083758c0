//! Booleans as Go reads them from text.

/// Reads a boolean as `strconv.ParseBool` does: `1`, `t`, `true` and their like; `None` for any other text.
pub fn parse(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_spellings_are_booleans() {
        assert_eq!(["1", "T", "True"].map(parse), [Some(true); 3]);
        assert_eq!(["0", "f", "FALSE"].map(parse), [Some(false); 3]);
        assert_eq!(["", "yes", "tRUE", " true"].map(parse), [None; 4]);
    }
}
