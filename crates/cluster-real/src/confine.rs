//! Keeping a run inside what it made: for clusters that are somebody's.
//!
//! Every write of a run passes [`Confinement::admit`] before it is sent. Namespaces are admitted when they were not there
//! before, and everything else only inside of those; cluster-scoped objects only where that is allowed, and never one
//! that was there before. What is going to be made is written to a file first, so that it can be removed by whoever comes
//! later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use wavetank_json::Value;
use wavetank_model::{ObjectKey, object};

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// The object's path.
    pub(crate) path: String,
    /// Its uid, once it was made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
}

/// What a run made and may change.
pub(crate) struct Confinement {
    inner: Mutex<Inner>,
    allow_cluster_scoped: bool,
    /// Told when something was refused: the run is over then.
    refused: watch::Sender<Option<String>>,
}

struct Inner {
    file: File,
    /// Namespaces of the run.
    namespaces: BTreeSet<String>,
    /// Cluster-scoped objects of the run, by path.
    objects: BTreeSet<String>,
    /// Paths of cluster-scoped objects that were there before.
    before: BTreeSet<String>,
    uids: BTreeMap<String, String>,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    /// The collection of namespaces.
    Namespaces,
    /// A namespace itself.
    Namespace(&'a str),
    /// Something in a namespace.
    Inside(&'a str),
    /// A cluster-scoped object, by its path without subresource.
    Object(String),
    /// A cluster-scoped collection, by its path.
    Collection(&'a str),
    /// Questions that store nothing.
    Review,
}

fn place(path: &str) -> Option<Place<'_>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (head, group, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => (format!("/api/{version}"), "", rest),
        ["apis", group, version, rest @ ..] => (format!("/apis/{group}/{version}"), *group, rest),
        _ => return None,
    };
    if matches!(group, "authorization.k8s.io" | "authentication.k8s.io") {
        return Some(Place::Review);
    }
    Some(match rest {
        ["namespaces"] if group.is_empty() => Place::Namespaces,
        ["namespaces", name] | ["namespaces", name, "status" | "finalize"] if group.is_empty() => {
            Place::Namespace(name)
        }
        ["namespaces", name, ..] => Place::Inside(name),
        [_] => Place::Collection(path),
        [plural, name, ..] => Place::Object(format!("{head}/{plural}/{name}")),
        [] => return None,
    })
}

impl Confinement {
    /// A run that has made nothing yet; `before` are the paths of all cluster-scoped objects. Refusals go to `refused`.
    ///
    /// # Errors
    /// When `file`, which must not be there, cannot be made.
    pub(crate) fn new(
        file: &Path,
        before: BTreeSet<String>,
        allow_cluster_scoped: bool,
        refused: watch::Sender<Option<String>>,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(file)?;
        Ok(Self {
            inner: Mutex::new(Inner {
                file,
                namespaces: BTreeSet::new(),
                objects: BTreeSet::new(),
                before,
                uids: BTreeMap::new(),
            }),
            allow_cluster_scoped,
            refused,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a write may be sent; `name` is that of a body that is posted. What it is going to make is written down.
    ///
    /// # Errors
    /// Why not, in words: the run ends then.
    pub(crate) fn admit(&self, method: &Method, path: &str, name: &str) -> Result<(), String> {
        let admitted = self
            .lock()
            .admit(method, path, name, self.allow_cluster_scoped);
        if let Err(reason) = &admitted {
            // Nobody listens when the run is over anyway.
            self.refused
                .send(Some(format!("refused before it was sent: {reason}")))
                .ok();
        }
        admitted
    }

    /// An object was made.
    pub(crate) fn made(&self, path: &str, object: &Value) {
        let mut inner = self.lock();
        let path = match place(path) {
            Some(Place::Namespaces) => format!("/api/v1/namespaces/{}", object::name(object)),
            Some(Place::Collection(collection)) => {
                format!("{collection}/{}", object::name(object))
            }
            Some(Place::Namespace(name)) => format!("/api/v1/namespaces/{name}"),
            Some(Place::Object(path)) => path,
            _ => return,
        };
        let uid = object::uid(object).to_owned();
        if !inner.uids.contains_key(&path) {
            inner.uids.insert(path.clone(), uid.clone());
            // The intention is written down already.
            inner.write(&Line { path, uid }).ok();
        }
    }

    /// Whether an object is the run's: only those are observed.
    pub(crate) fn concerns(&self, key: &ObjectKey, path: &str) -> bool {
        let inner = self.lock();
        if !key.namespace.is_empty() {
            return inner.namespaces.contains(&key.namespace);
        }
        if key.kind == "Namespace" && key.group.is_empty() {
            return inner.namespaces.contains(&key.name);
        }
        inner.objects.contains(path)
    }

    /// The paths of what the run made: cluster-scoped objects first, then namespaces.
    pub(crate) fn paths(&self) -> Vec<(String, String)> {
        let inner = self.lock();
        let namespaces = inner
            .namespaces
            .iter()
            .map(|name| format!("/api/v1/namespaces/{name}"));
        inner
            .objects
            .iter()
            .cloned()
            .chain(namespaces)
            .map(|path| {
                let uid = inner.uids.get(&path).cloned().unwrap_or_default();
                (path, uid)
            })
            .collect()
    }
}

impl Inner {
    fn admit(
        &mut self,
        method: &Method,
        path: &str,
        name: &str,
        allow_cluster_scoped: bool,
    ) -> Result<(), String> {
        let creates = *method == Method::POST || *method == Method::PATCH || *method == Method::PUT;
        match place(path) {
            Some(Place::Review) => Ok(()),
            Some(Place::Namespaces) => self.admit_namespace(name),
            Some(Place::Namespace(name)) if self.namespaces.contains(name) => Ok(()),
            Some(Place::Namespace(name)) if creates => self.admit_namespace(name),
            Some(Place::Namespace(name)) => {
                Err(format!("Namespace/{name} is not one that this run made"))
            }
            Some(Place::Inside(namespace)) if self.namespaces.contains(namespace) => Ok(()),
            Some(Place::Inside(namespace)) => Err(format!(
                "{path} is in the namespace {namespace}, which this run did not make"
            )),
            Some(Place::Object(object)) => {
                if self.objects.contains(&object) {
                    return Ok(());
                }
                self.admit_object(object, creates, allow_cluster_scoped)
            }
            Some(Place::Collection(collection)) => {
                if *method != Method::POST || name.is_empty() {
                    return Err(format!("{method} {collection} names no object"));
                }
                self.admit_object(format!("{collection}/{name}"), true, allow_cluster_scoped)
            }
            None => Err(format!("{method} {path} is no object of the API")),
        }
    }

    fn admit_namespace(&mut self, name: &str) -> Result<(), String> {
        if name.starts_with("kube-") || name == "default" {
            return Err(format!("Namespace/{name} belongs to the cluster"));
        }
        if name.is_empty() {
            return Err("a Namespace without a name".to_owned());
        }
        let path = format!("/api/v1/namespaces/{name}");
        if self.before.contains(&path) {
            return Err(format!("Namespace/{name} was there before the run"));
        }
        self.write_down(path)?;
        self.namespaces.insert(name.to_owned());
        Ok(())
    }

    fn admit_object(
        &mut self,
        path: String,
        creates: bool,
        allow_cluster_scoped: bool,
    ) -> Result<(), String> {
        if self.before.contains(&path) {
            return Err(format!("{path} was there before the run"));
        }
        if !allow_cluster_scoped {
            return Err(format!(
                "{path} is cluster-scoped: --allow-cluster-scoped is needed"
            ));
        }
        // What is not there is not deleted either: the server says so.
        if creates {
            self.write_down(path.clone())?;
            self.objects.insert(path);
        }
        Ok(())
    }

    fn write_down(&mut self, path: String) -> Result<(), String> {
        let line = Line {
            path,
            uid: String::new(),
        };
        self.write(&line)
            .map_err(|error| format!("{} cannot be written down: {error}", line.path))
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let text = serde_json::to_string(line).map_err(io::Error::other)?;
        writeln!(self.file, "{text}")?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        allow_cluster_scoped: bool,
    ) -> (
        tempfile::TempDir,
        Confinement,
        watch::Receiver<Option<String>>,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let before = [
            "/api/v1/namespaces/shop",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/view",
        ];
        let (tell, told) = watch::channel(None);
        let run = Confinement::new(
            &folder.path().join("made.jsonl"),
            before.map(str::to_owned).into(),
            allow_cluster_scoped,
            tell,
        )
        .unwrap();
        (folder, run, told)
    }

    #[test]
    fn writes_stay_in_namespaces_of_the_run() {
        let (folder, run, told) = run(false);
        let maps = "/api/v1/namespaces/mine/configmaps";
        assert!(run.admit(&Method::POST, maps, "a").is_err());
        assert!(told.borrow().is_some());
        run.admit(&Method::POST, "/api/v1/namespaces", "mine")
            .unwrap();
        run.admit(&Method::POST, maps, "a").unwrap();
        run.admit(&Method::DELETE, "/api/v1/namespaces/mine", "")
            .unwrap();
        let text = std::fs::read_to_string(folder.path().join("made.jsonl")).unwrap();
        assert_eq!(text, "{\"path\":\"/api/v1/namespaces/mine\"}\n");
    }

    #[test]
    fn what_was_there_before_is_never_changed() {
        let (_folder, run, _told) = run(true);
        for (method, path, name) in [
            (Method::POST, "/api/v1/namespaces", "shop"),
            (Method::POST, "/api/v1/namespaces", "kube-mine"),
            (Method::PATCH, "/api/v1/namespaces/shop", ""),
            (Method::DELETE, "/api/v1/namespaces/shop", ""),
            (Method::DELETE, "/api/v1/namespaces/default/pods/a", ""),
            (
                Method::PUT,
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/view",
                "",
            ),
            (Method::DELETE, "/api/v1/nodes", ""),
        ] {
            assert!(run.admit(&method, path, name).is_err(), "{method} {path}");
        }
    }

    #[test]
    fn cluster_scoped_objects_need_a_word() {
        let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
        let (_folder, refuses, _told) = run(false);
        assert!(refuses.admit(&Method::POST, roles, "mine").is_err());
        let (_folder, allows, _told) = run(true);
        allows.admit(&Method::POST, roles, "mine").unwrap();
        allows
            .admit(&Method::PATCH, &format!("{roles}/mine"), "")
            .unwrap();
        let key = ObjectKey::new("rbac.authorization.k8s.io", "ClusterRole", "", "mine");
        assert!(allows.concerns(&key, &format!("{roles}/mine")));
        assert!(!allows.concerns(&key, &format!("{roles}/view")));
    }

    #[test]
    fn questions_are_not_writes() {
        let (_folder, run, _told) = run(false);
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        run.admit(&Method::POST, path, "").unwrap();
    }
}
