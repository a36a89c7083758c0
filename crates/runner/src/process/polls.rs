//! The poll rule: how time moves for a program that waits by asking again and again.
//!
//! The third identical GET of an object within a pass advances the world to its next due event, at most by
//! [`LONGEST`]; it counts only GETs since the program last wrote or deleted that object, and since it last reported
//! anything: what asks again without having done anything waits. Namespaces do not count: programs look them up once
//! for each object they write. Who has just deleted an object waits for its end, and looks each second as kubectl does:
//! there the second GET takes time already, and just [`LONGEST`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;

/// The longest step of time for one poll.
pub(super) const LONGEST: Duration = Duration::from_secs(1);
/// So many identical requests are taken for polling.
const POLLING: u32 = 3;

/// The GETs of a pass.
#[derive(Debug, Default)]
pub(super) struct Polls {
    counts: BTreeMap<String, u32>,
    /// Paths of the objects that the program deleted since it last reported anything.
    deleted: BTreeSet<String>,
}

/// How long the world goes on before a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Not at all.
    Nothing,
    /// To the next due event, or [`LONGEST`].
    UntilDue,
    /// For [`LONGEST`].
    Second,
}

impl Polls {
    /// The program reported something.
    pub(super) fn reported(&mut self) {
        self.counts.clear();
        self.deleted.clear();
    }

    /// Counts a request.
    pub(super) fn takes_time(&mut self, request: &http::request::Parts) -> Takes {
        let path = request.uri.path();
        if request.method == Method::GET {
            if !names_an_object(path) {
                return Takes::Nothing;
            }
            let uri = request
                .uri
                .path_and_query()
                .map_or(path, http::uri::PathAndQuery::as_str);
            let count = self.counts.entry(uri.to_owned()).or_default();
            *count += 1;
            return match *count {
                2.. if self.deleted.contains(path) => Takes::Second,
                POLLING.. => Takes::UntilDue,
                _ => Takes::Nothing,
            };
        }
        if request.method == Method::DELETE {
            self.deleted.insert(path.to_owned());
        } else {
            self.deleted.remove(path);
        }
        // A POST names its object in the body: all of the collection start anew.
        self.counts.retain(|uri, _| {
            uri.strip_prefix(path)
                .is_none_or(|rest| !(rest.is_empty() || rest.starts_with(['/', '?'])))
        });
        Takes::Nothing
    }
}

/// Whether a path names one object that is no namespace.
fn names_an_object(path: &str) -> bool {
    let mut parts = path.trim_matches('/').split('/');
    let depth = match parts.next() {
        Some("api") => 1,
        Some("apis") => 2,
        _ => return false,
    };
    let rest: Vec<&str> = parts.skip(depth).collect();
    match rest.as_slice() {
        ["namespaces", _] => false,
        ["namespaces", _, rest @ ..] | rest => rest.len() >= 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str) -> http::request::Parts {
        let request = http::Request::builder().method(method).uri(uri).body(());
        request.expect("a request").into_parts().0
    }

    #[test]
    fn the_third_identical_get_takes_time() {
        let mut polls = Polls::default();
        let mut get = |uri: &str| polls.takes_time(&parts("GET", uri));
        let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.example.org";
        assert_eq!(get(crd), Takes::Nothing);
        assert_eq!(get(crd), Takes::Nothing);
        assert_eq!(get(crd), Takes::UntilDue);
        assert_eq!(get(crd), Takes::UntilDue);
        for _ in 0..4 {
            assert_eq!(get("/apis/apps/v1"), Takes::Nothing);
            assert_eq!(get("/api/v1/namespaces/shop"), Takes::Nothing);
            assert_eq!(get("/api/v1/namespaces/shop/pods"), Takes::Nothing);
        }
    }

    #[test]
    fn a_report_starts_the_count_anew() {
        let mut polls = Polls::default();
        for _ in 0..3 {
            let path = "/apis/batch/v1/namespaces/shop/jobs/twice";
            assert_eq!(polls.takes_time(&parts("GET", path)), Takes::Nothing);
            polls.reported();
        }
    }

    #[test]
    fn a_write_starts_the_count_anew() {
        let mut polls = Polls::default();
        let object = "/api/v1/namespaces/shop/pods/a";
        for writing in [
            ("PATCH", object),
            ("POST", "/api/v1/namespaces/shop/pods?dryRun=All"),
        ] {
            for _ in 0..2 {
                assert_eq!(polls.takes_time(&parts("GET", object)), Takes::Nothing);
            }
            polls.takes_time(&parts(writing.0, writing.1));
        }
        assert_eq!(polls.takes_time(&parts("GET", object)), Takes::Nothing);
    }

    #[test]
    fn who_deleted_an_object_looks_each_second() {
        let mut polls = Polls::default();
        let object = "/api/v1/namespaces/shop/pods/a";
        polls.takes_time(&parts("DELETE", object));
        assert_eq!(polls.takes_time(&parts("GET", object)), Takes::Nothing);
        assert_eq!(polls.takes_time(&parts("GET", object)), Takes::Second);
        assert_eq!(polls.takes_time(&parts("GET", object)), Takes::Second);
    }
}
