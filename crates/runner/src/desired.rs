//! The desired state: commits of manifests, as a Git repository would hold them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wavetank_json::Value;
use wavetank_model::ObjectKey;
use wavetank_scenario::{Commit, CommitError, Placed, desired_key};

/// One commit.
#[derive(Clone, Debug)]
pub(crate) struct Revision {
    /// Its name: 40 hexadecimal digits unless the scenario gives one.
    pub(crate) name: String,
    /// Everything that is desired, as rendered.
    pub(crate) manifests: Arc<[Arc<Value>]>,
    /// The keys of the objects that have a name.
    pub(crate) keys: Arc<BTreeSet<ObjectKey>>,
}

/// All commits so far; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    home: String,
    /// The newest commit's objects, with their places.
    state: Vec<Placed>,
    commits: Vec<Revision>,
}

impl Desired {
    /// The first commit.
    pub(crate) fn new(home: String, revision: Option<String>, state: Vec<Placed>) -> Self {
        let mut desired = Self {
            home,
            state: Vec::new(),
            commits: Vec::new(),
        };
        desired.push(revision, state);
        desired
    }

    /// The newest commit.
    pub(crate) fn head(&self) -> &Revision {
        self.commits
            .last()
            .unwrap_or_else(|| unreachable!("there is always a first commit"))
    }

    /// The newest commit of that name.
    pub(crate) fn find(&self, name: &str) -> Option<&Revision> {
        self.commits.iter().rev().find(|commit| commit.name == name)
    }

    /// Makes a new commit; gives its name.
    ///
    /// # Errors
    /// [`CommitError`] when `patch` or `remove` names what is not there; nothing is changed then.
    pub(crate) fn commit(&mut self, commit: &Commit) -> Result<String, CommitError> {
        let state = commit.carried_out(&self.state, &self.home)?;
        self.push(commit.revision.clone(), state);
        Ok(self.head().name.clone())
    }

    fn push(&mut self, revision: Option<String>, state: Vec<Placed>) {
        let objects = state.iter().map(|placed| Arc::clone(&placed.object));
        let manifests: Arc<[_]> = objects.collect();
        self.state = state;
        let name = revision.unwrap_or_else(|| derived_name(self.commits.len(), &manifests));
        let keys = manifests
            .iter()
            .map(|object| desired_key(object, &self.home))
            .filter(|key| !key.name.is_empty());
        let keys = Arc::new(keys.collect());
        self.commits.push(Revision {
            name,
            manifests,
            keys,
        });
    }
}

/// 40 hexadecimal digits from the number of the commit and its manifests, so that a revert is a new revision.
fn derived_name(number: usize, manifests: &[Arc<Value>]) -> String {
    let mut hash = Sha256::new();
    hash.update(number.to_le_bytes());
    for object in manifests {
        hash.update(object.to_string());
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(20)
        .fold(String::new(), |mut name, byte| {
            // Writing to a String cannot fail.
            write!(name, "{byte:02x}").ok();
            name
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wavetank_json::json;
    use wavetank_scenario::Location;

    use super::*;

    fn config(name: &str, value: &str) -> Placed {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}});
        Placed {
            object: Arc::new(object),
            location: Location::start_of(Path::new("x.yaml")),
        }
    }

    #[test]
    fn a_commit_replaces_patches_and_removes() {
        let mut desired = Desired::new(
            "shop".into(),
            None,
            vec![config("a", "1"), config("b", "1")],
        );
        let first = desired.head().name.clone();
        assert_eq!(first.len(), 40);
        let commit = Commit {
            apply: vec![config("a", "2"), config("c", "1")],
            patch: vec![("ConfigMap/c".parse().unwrap(), json!({"data": {"a": "9"}}))],
            remove: vec!["ConfigMap/b".parse().unwrap()],
            ..Commit::default()
        };
        let second = desired.commit(&commit).unwrap();
        let values: Vec<_> = desired
            .head()
            .manifests
            .iter()
            .map(|object| object["data"]["a"].clone())
            .collect();
        assert_eq!(
            (values, first == second),
            (vec![json!("2"), json!("9")], false)
        );
        assert_eq!(desired.find(&first).unwrap().manifests.len(), 2);
    }

    #[test]
    fn a_revert_is_a_new_revision() {
        let mut desired = Desired::new("shop".into(), None, vec![config("a", "1")]);
        let names: Vec<String> = ["2", "1"]
            .map(|value| {
                desired
                    .commit(&Commit {
                        apply: vec![config("a", value)],
                        ..Commit::default()
                    })
                    .unwrap()
            })
            .into();
        assert!(!names.contains(&desired.commits[0].name));
    }

    #[test]
    fn removing_what_is_not_there_is_an_error_and_changes_nothing() {
        let mut desired = Desired::new("shop".into(), None, vec![config("a", "1")]);
        let commit = Commit {
            remove: vec!["ConfigMap/x".parse().unwrap()],
            ..Commit::default()
        };
        assert_eq!(
            desired.commit(&commit),
            Err(CommitError::NoMatch("ConfigMap/x".into()))
        );
        assert_eq!(desired.commits.len(), 1);
    }
}
