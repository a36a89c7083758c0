//! The desired state: commits of manifests, as a Git repository would hold them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use wavetank_model::{ObjectKey, Reference, kinds, patch};
use wavetank_scenario::Commit;

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
    commits: Vec<Revision>,
}

/// Why a commit could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    #[error("`commit` names `{0}`, but no object of the desired state at that time is meant by it")]
    NoMatch(String),
    #[error("`commit` cannot patch `{0}`: {1}")]
    Patch(String, patch::PatchError),
}

impl Desired {
    /// The first commit.
    pub(crate) fn new(home: String, revision: Option<String>, manifests: Vec<Arc<Value>>) -> Self {
        let mut desired = Self {
            home,
            commits: Vec::new(),
        };
        desired.push(revision, manifests);
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
        let mut manifests: Vec<Arc<Value>> = match &commit.manifests {
            Some(all) => all.clone(),
            None => self.head().manifests.to_vec(),
        };
        for object in &commit.apply {
            self.put(&mut manifests, object);
        }
        for (reference, merge) in &commit.patch {
            let mut met = false;
            for object in manifests
                .iter_mut()
                .filter(|object| self.is_meant(reference, object))
            {
                met = true;
                patch::merge(Arc::make_mut(object), merge)
                    .map_err(|source| CommitError::Patch(reference.to_string(), source))?;
            }
            if !met {
                return Err(CommitError::NoMatch(reference.to_string()));
            }
        }
        for reference in &commit.remove {
            let before = manifests.len();
            manifests.retain(|object| !self.is_meant(reference, object));
            if manifests.len() == before {
                return Err(CommitError::NoMatch(reference.to_string()));
            }
        }
        self.push(commit.revision.clone(), manifests);
        Ok(self.head().name.clone())
    }

    fn push(&mut self, revision: Option<String>, manifests: Vec<Arc<Value>>) {
        let name = revision.unwrap_or_else(|| derived_name(self.commits.len(), &manifests));
        let keys = manifests
            .iter()
            .map(|object| desired_key(object, &self.home))
            .filter(|key| !key.name.is_empty());
        let keys = Arc::new(keys.collect());
        self.commits.push(Revision {
            name,
            manifests: manifests.into(),
            keys,
        });
    }

    /// Replaces the object of the same key, or adds it. An object without a name is always added.
    fn put(&self, manifests: &mut Vec<Arc<Value>>, object: &Arc<Value>) {
        let key = desired_key(object, &self.home);
        let known = manifests
            .iter_mut()
            .find(|known| !key.name.is_empty() && desired_key(known, &self.home) == key);
        match known {
            Some(known) => *known = Arc::clone(object),
            None => manifests.push(Arc::clone(object)),
        }
    }

    fn is_meant(&self, reference: &Reference, object: &Value) -> bool {
        reference.matches(&pattern_key(object, &self.home), &self.home)
    }
}

/// The key of a desired object: without a namespace it goes to `home`, unless its kind is cluster-scoped.
pub(crate) fn desired_key(object: &Value, home: &str) -> ObjectKey {
    let mut key = ObjectKey::of(object).unwrap_or_default();
    match kinds::find(&key.group, &key.kind) {
        Some(kind) if !kind.namespaced => key.namespace.clear(),
        _ if key.namespace.is_empty() => home.clone_into(&mut key.namespace),
        _ => {}
    }
    key
}

/// As [`desired_key`], with `prefix*` as the name of an object that has only a generateName.
pub(crate) fn pattern_key(object: &Value, home: &str) -> ObjectKey {
    let mut key = desired_key(object, home);
    if key.name.is_empty() {
        key.name = format!(
            "{}*",
            wavetank_model::object::meta_str(object, "generateName")
        );
    }
    key
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
    use super::*;
    use serde_json::json;

    fn config(name: &str, value: &str) -> Arc<Value> {
        Arc::new(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}}),
        )
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
