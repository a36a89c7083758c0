//! References to objects: `Kind/name`, `Kind.group/namespace/name` (scenario format, section 4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::key::ObjectKey;
use crate::kinds;

/// A name in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamePattern(pub String);

impl NamePattern {
    /// Whether `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        glob(&self.0, name)
    }

    /// Whether there is a `*` in it.
    pub fn is_wildcard(&self) -> bool {
        self.0.contains('*')
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text, also the empty one.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let Some(tail) = parts.pop() else { return true };
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

/// Names objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The group when it was written; without one the built-in kind of that name is meant, else any.
    pub group: Option<String>,
    /// Kind.
    pub kind: String,
    /// The namespace when it was written; without one the app's, or none for cluster-scoped objects.
    pub namespace: Option<NamePattern>,
    /// Name, perhaps with `*`.
    pub name: NamePattern,
}

impl Reference {
    /// The reference to exactly `key`.
    pub fn exact(key: &ObjectKey) -> Self {
        Self {
            group: Some(key.group.clone()),
            kind: key.kind.clone(),
            namespace: (!key.namespace.is_empty()).then(|| NamePattern(key.namespace.clone())),
            name: NamePattern(key.name.clone()),
        }
    }

    /// Whether `key` is meant, for an app whose destination namespace is `home`.
    ///
    /// Without a group the kind of the core or another built-in group fits, and any group fits when no built-in kind
    /// has this name.
    pub fn matches(&self, key: &ObjectKey, home: &str) -> bool {
        self.kind == key.kind
            && self.name.matches(&key.name)
            && self.group_matches(&key.group)
            && self.namespace_matches(key, home)
    }

    fn group_matches(&self, group: &str) -> bool {
        match &self.group {
            Some(written) => written == group,
            None => {
                kinds::is_builtin(group, &self.kind) || kinds::by_kind(&self.kind).next().is_none()
            }
        }
    }

    fn namespace_matches(&self, key: &ObjectKey, home: &str) -> bool {
        match &self.namespace {
            Some(written) => written.matches(&key.namespace),
            None => key.namespace.is_empty() || key.namespace == home,
        }
    }
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There are not two or three parts.
    #[error("a reference reads `Kind/name` or `Kind/namespace/name`, this is `{0}`")]
    Parts(String),
    /// A part is empty.
    #[error("a part of the reference `{0}` is empty")]
    Empty(String),
    /// The kind does not begin with a capital letter.
    #[error("the kind in the reference `{0}` does not begin with a capital letter")]
    Kind(String),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts.as_slice() {
            [kind, name] => (*kind, None, *name),
            [kind, namespace, name] => (*kind, Some(*namespace), *name),
            _ => return Err(ReferenceError::Parts(text.to_owned())),
        };
        if kind.is_empty() || name.is_empty() || namespace == Some("") {
            return Err(ReferenceError::Empty(text.to_owned()));
        }
        let (kind, group) = match kind.split_once('.') {
            Some((kind, group)) => (kind, Some(group.to_owned())),
            None => (kind, None),
        };
        if !kind.starts_with(|first: char| first.is_ascii_uppercase()) {
            return Err(ReferenceError::Kind(text.to_owned()));
        }
        Ok(Self {
            group,
            kind: kind.to_owned(),
            namespace: namespace.map(|namespace| NamePattern(namespace.to_owned())),
            name: NamePattern(name.to_owned()),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(group) = self.group.as_ref().filter(|group| !group.is_empty()) {
            write!(f, ".{group}")?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, "/{}", namespace.0)?;
        }
        write!(f, "/{}", self.name.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(reference: &str, key: &ObjectKey) -> bool {
        reference.parse::<Reference>().unwrap().matches(key, "shop")
    }

    #[test]
    fn stars_match_within_a_name() {
        for (pattern, text, fits) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("web-*", "web-", true),
            ("*-a-*", "x-a-y", true),
            ("*-a-*", "x-b-y", false),
            ("a*b", "ab", true),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_namespace_defaults_to_the_apps() {
        let web = ObjectKey::new("apps", "Deployment", "shop", "web");
        assert!(matches("Deployment/web", &web));
        assert!(matches("Deployment.apps/shop/w*", &web));
        assert!(!matches("Deployment/other/web", &web));
        assert!(!matches(
            "Deployment/web",
            &ObjectKey::new("apps", "Deployment", "other", "web")
        ));
        assert!(matches(
            "Namespace/x",
            &ObjectKey::new("", "Namespace", "", "x")
        ));
    }

    #[test]
    fn without_group_the_built_in_kind_is_meant() {
        assert!(!matches(
            "Service/x",
            &ObjectKey::new("serving.knative.dev", "Service", "shop", "x")
        ));
        assert!(matches(
            "Widget/x",
            &ObjectKey::new("example.com", "Widget", "shop", "x")
        ));
    }

    #[test]
    fn bad_references_say_why() {
        for text in ["web", "a/b/c/d", "/web", "Job/", "job/web"] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
