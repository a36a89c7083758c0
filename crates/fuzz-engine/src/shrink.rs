//! Making a case smaller while the difference stays.

use wavetank_json::Value;

use crate::case::Case;

/// Takes away whatever is not needed for `differs` to stay true, and asks at most `tries` times.
///
/// Documents go first, then items of lists and keys of mappings, from the outside in; a try that is no valid scenario
/// must count as not differing.
pub fn shrink(case: Case, mut tries: usize, mut differs: impl FnMut(&Case) -> bool) -> Case {
    let mut best = case;
    loop {
        let before = best.size();
        let mut at = 0;
        // Places move when something goes: the place stays, and what comes next is there then.
        loop {
            match without(&best, at) {
                Part::End => break,
                Part::Needed => at += 1,
                Part::Gone(_) if tries == 0 => return best,
                Part::Gone(smaller) => {
                    tries -= 1;
                    if differs(&smaller) {
                        best = *smaller;
                    } else {
                        at += 1;
                    }
                }
            }
        }
        if best.size() == before {
            return best;
        }
    }
}

/// What comes of taking a part away.
enum Part {
    /// The case without it.
    Gone(Box<Case>),
    /// It cannot go.
    Needed,
    /// There is no such part.
    End,
}

/// The case without the part with number `at`.
fn without(case: &Case, at: usize) -> Part {
    let documents = case.documents.len();
    if at < documents {
        let mut smaller = case.clone();
        smaller.documents.remove(documents - 1 - at);
        return Part::Gone(Box::new(smaller));
    }
    let mut paths = Vec::new();
    collect(&case.scenario, &mut vec![Step::Scenario], &mut paths);
    for (number, document) in case.documents.iter().enumerate() {
        collect(document, &mut vec![Step::Document(number)], &mut paths);
    }
    // What is near the root is large: it goes first.
    paths.sort_by_key(Vec::len);
    let Some(path) = paths.get(at - documents) else {
        return Part::End;
    };
    if is_needed(path) {
        return Part::Needed;
    }
    let mut smaller = case.clone();
    remove(&mut smaller, path);
    Part::Gone(Box::new(smaller))
}

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Scenario,
    Document(usize),
    Key(String),
    Item(usize),
}

fn collect(value: &Value, path: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
    let mut child = |step: Step, value: &Value| {
        path.push(step);
        out.push(path.clone());
        collect(value, path, out);
        path.pop();
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                child(Step::Key(key.clone()), value);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                child(Step::Item(index), item);
            }
        }
        _ => {}
    }
}

/// What makes a document what it is.
fn is_needed(path: &[Step]) -> bool {
    let keys: Vec<&str> = path
        .iter()
        .filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            _ => None,
        })
        .collect();
    let is_head = matches!(
        keys.as_slice(),
        ["apiVersion" | "kind" | "metadata"] | ["metadata", "name"]
    );
    is_head || (keys == ["spec"] && path.first() == Some(&Step::Scenario))
}

fn remove(case: &mut Case, path: &[Step]) {
    let [root, way @ .., last] = path else { return };
    let mut value = match root {
        Step::Document(number) => &mut case.documents[*number],
        _ => &mut case.scenario,
    };
    for step in way {
        let next = match step {
            Step::Key(key) => value.get_mut(key.as_str()),
            Step::Item(index) => value.get_mut(*index),
            Step::Scenario | Step::Document(_) => None,
        };
        let Some(next) = next else { return };
        value = next;
    }
    match (last, value) {
        (Step::Key(key), Value::Object(map)) => {
            map.remove(key);
        }
        (Step::Item(index), Value::Array(items)) => {
            items.remove(*index);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;

    use super::*;

    #[test]
    fn only_what_matters_is_left() {
        let object = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"a": "b", "c": "d"}}});
        let case = Case {
            scenario: json!({"kind": "Scenario", "metadata": {"name": "x"}, "spec": {"steps": [{"sync": {}}, {"settle": {}}]}}),
            documents: vec![object("one"), object("two"), object("three")],
        };
        let small = shrink(case, 1_000, |case| {
            case.documents
                .iter()
                .any(|object| object["metadata"]["labels"]["c"] == "d")
                && case.scenario["spec"]["steps"]
                    .as_array()
                    .is_some_and(|steps| steps.iter().any(|step| step.get("settle").is_some()))
        });
        assert_eq!(small.scenario["spec"], json!({"steps": [{"settle": {}}]}));
        assert_eq!(
            small.documents,
            [
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "labels": {"c": "d"}}})
            ]
        );
    }

    #[test]
    fn tries_are_bounded() {
        let case = Case {
            scenario: json!({"spec": {"a": 1, "b": 2, "c": 3, "d": 4}}),
            documents: Vec::new(),
        };
        let mut asked = 0;
        shrink(case, 3, |_| {
            asked += 1;
            false
        });
        assert_eq!(asked, 3);
    }
}
