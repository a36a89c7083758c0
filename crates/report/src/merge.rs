//! Several JSON results as one: what the shards of a suite wrote.

use std::collections::BTreeSet;

use wavetank_json::{Value, json};

use crate::json::VERSION;
use crate::outcome::WINNERS;

/// Why results cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A document is none of ours, or of another version.
    #[error("document {number} is no result of `wavetank run --format json`, version {VERSION}")]
    Form {
        /// Its number, from 1.
        number: usize,
    },
    /// One run is in two documents.
    #[error("{run} is in two of the documents")]
    Twice {
        /// Scenario and seed.
        run: String,
    },
}

/// Results that were put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// One document of the same form, indented, with a newline at the end.
    pub text: String,
    /// How many runs there are.
    pub runs: usize,
    /// The exit code of all of them.
    pub exit_code: u8,
}

/// Puts documents together, in their order. What is skipped in one is not skipped everywhere: the run fails for skips only
/// where all were skipped, or `fail_on_skip` is set.
///
/// # Errors
/// [`MergeError`] when a document is of another form, or two hold the same run.
pub fn merge(documents: &[Value], fail_on_skip: bool) -> Result<Merged, MergeError> {
    let mut runs = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, document) in documents.iter().enumerate() {
        let form = || MergeError::Form { number: index + 1 };
        if document["version"] != VERSION {
            return Err(form());
        }
        for run in document["runs"].as_array().ok_or_else(form)? {
            let name = run["scenario"]
                .as_str()
                .or_else(|| run["path"].as_str())
                .unwrap_or_default();
            let name = format!("{name} (seed {})", run["seed"]);
            if !seen.insert(name.clone()) {
                return Err(MergeError::Twice { run: name });
            }
            runs.push(run.clone());
        }
    }
    let is = |run: &Value, verdict: &str| run["verdict"] == verdict;
    let skipped = runs.iter().filter(|run| is(run, "skipped")).count();
    let skip_fails = skipped > 0 && (fail_on_skip || skipped == runs.len());
    let exit_code = WINNERS
        .into_iter()
        .find(|code| {
            (*code == 4 && skip_fails) || runs.iter().any(|run| exit_code(&run["verdict"]) == *code)
        })
        .unwrap_or(0);
    let count = runs.len();
    let document = json!({"version": VERSION, "exitCode": exit_code, "runs": runs});
    Ok(Merged {
        text: format!("{document:#}\n"),
        runs: count,
        exit_code,
    })
}

/// The exit code of one verdict; what nobody knows is a bug.
fn exit_code(verdict: &Value) -> u8 {
    match verdict.as_str().unwrap_or_default() {
        "passed" | "knownFailure" | "skipped" => 0,
        "failed" | "unexpectedlyFixed" => 1,
        "notSettled" => 2,
        "invalid" => 3,
        "unavailable" => 4,
        _ => 101,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(runs: &[(&str, &str)]) -> Value {
        let runs: Vec<Value> = runs
            .iter()
            .map(|(name, verdict)| json!({"scenario": name, "seed": 0, "verdict": verdict}))
            .collect();
        json!({"version": VERSION, "exitCode": 0, "runs": runs})
    }

    #[test]
    fn the_gravest_exit_code_of_all_documents_wins() {
        let merged = merge(
            &[
                document(&[("a", "passed"), ("b", "failed")]),
                document(&[("c", "unavailable"), ("d", "notSettled")]),
            ],
            false,
        )
        .unwrap();
        assert_eq!((merged.runs, merged.exit_code), (4, 4));
        let again: Value = serde_json::from_str(&merged.text).unwrap();
        assert_eq!(again["runs"][2]["scenario"], "c");
    }

    #[test]
    fn a_shard_that_was_skipped_is_no_failure_of_the_whole() {
        let shards = [document(&[("a", "skipped")]), document(&[("b", "passed")])];
        assert_eq!(merge(&shards, false).map(|merged| merged.exit_code), Ok(0));
        assert_eq!(merge(&shards, true).map(|merged| merged.exit_code), Ok(4));
        assert_eq!(
            merge(&shards[..1], false).map(|merged| merged.exit_code),
            Ok(4)
        );
    }

    #[test]
    fn a_run_in_two_documents_is_refused() {
        let shard = document(&[("a", "passed")]);
        let error = merge(&[shard.clone(), shard], false).unwrap_err();
        assert_eq!(error.to_string(), "a (seed 0) is in two of the documents");
        assert_eq!(
            merge(&[json!({})], false),
            Err(MergeError::Form { number: 1 })
        );
    }
}
