//! What an object is called.

use std::fmt;

use serde::{Deserialize, Serialize};
use wavetank_json::Value;

use crate::object::{self, At};

/// A kind and its API group; the core group is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// API group, empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind, as in `Deployment`.
    pub kind: String,
}

impl GroupKind {
    /// The kind `kind` of `group`.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }

    /// This kind in `version`.
    pub fn with_version(&self, version: impl Into<String>) -> GroupVersionKind {
        GroupVersionKind {
            group: self.group.clone(),
            version: version.into(),
            kind: self.kind.clone(),
        }
    }
}

impl fmt::Display for GroupKind {
    /// `Deployment.apps`; `Pod` in the core group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            f.write_str(&self.kind)
        } else {
            write!(f, "{}.{}", self.kind, self.group)
        }
    }
}

/// A kind in one version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupVersionKind {
    /// API group, empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Version, as in `v1`.
    pub version: String,
    /// Kind, as in `Deployment`.
    pub kind: String,
}

impl GroupVersionKind {
    /// `apps/v1` and `Deployment`.
    pub fn new(api_version: &str, kind: impl Into<String>) -> Self {
        let (group, version) = split_api_version(api_version);
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.into(),
        }
    }

    /// The kind of `object`; `None` when it has no `apiVersion` or no `kind`.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |field| {
            let text = object.at(&[field])?.as_str();
            text.filter(|text| !text.is_empty())
        };
        let (api_version, kind) = (text("apiVersion")?, text("kind")?);
        Some(Self::new(api_version, kind))
    }

    /// `apps/v1`, `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            [self.group.as_str(), "/", &self.version].concat()
        }
    }

    /// Without the version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(self.group.clone(), self.kind.clone())
    }
}

impl fmt::Display for GroupVersionKind {
    /// As Go prints it: `apps/v1, Kind=Deployment`; `/v1, Kind=Pod` in the core group.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

/// Splits `apps/v1` into group and version; `v1` has the empty group.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    // Too short for a search that is worth its preparation.
    match api_version.bytes().position(|byte| byte == b'/') {
        Some(at) => (&api_version[..at], &api_version[at + 1..]),
        None => ("", api_version),
    }
}

/// Names one object over all its versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// API group, empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace, empty for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object; `namespace` is empty for cluster-scoped ones.
    pub fn new(
        group: impl Into<String>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The key of `object` as it stands there: nothing is defaulted. `None` without kind or apiVersion.
    pub fn of(object: &Value) -> Option<Self> {
        let gvk = GroupVersionKind::of(object)?;
        Some(Self::new(
            gvk.group,
            gvk.kind,
            object::namespace(object),
            object::name(object),
        ))
    }

    /// Group and kind.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(self.group.clone(), self.kind.clone())
    }

    /// The shortest text that names the object for a reader whose namespace is `home`: `Deployment/web`,
    /// `Pod/other/p`; a kind that is not built in carries its group.
    pub fn short(&self, home: &str) -> String {
        let kind = if self.group.is_empty() || crate::kinds::is_builtin(&self.group, &self.kind) {
            self.kind.clone()
        } else {
            format!("{}.{}", self.kind, self.group)
        };
        if self.namespace.is_empty() || self.namespace == home {
            format!("{kind}/{}", self.name)
        } else {
            format!("{kind}/{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Display for ObjectKey {
    /// As a reference with every part: `Deployment.apps/shop/web`, `Namespace/shop`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.namespace.is_empty() {
            write!(f, "/{}", self.namespace)?;
        }
        write!(f, "/{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_json::json;

    #[test]
    fn key_is_read_from_the_object() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}});
        let key = ObjectKey::of(&object).unwrap();
        assert_eq!(key.to_string(), "Deployment.apps/shop/web");
        assert_eq!(
            (key.short("shop"), key.short("default")),
            ("Deployment/web".into(), "Deployment/shop/web".into())
        );
        assert_eq!(ObjectKey::of(&json!({"kind": "Pod"})), None);
    }
}
