//! The poll rule: how time moves for a program that waits by asking again and again.
//!
//! The third identical GET of an object within a pass advances the world to its next due event, at most by
//! [`LONGEST`]; it counts only GETs since the program last wrote or deleted that object, and since it last reported
//! anything: what asks again without having done anything waits. Namespaces do not count: programs look them up once
//! for each object they write.

use std::collections::BTreeMap;
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
}

impl Polls {
    /// The program reported something.
    pub(super) fn reported(&mut self) {
        self.counts.clear();
    }

    /// Counts a request; whether time is to move before it is answered.
    pub(super) fn takes_time(&mut self, request: &http::request::Parts) -> bool {
        let path = request.uri.path();
        if request.method == Method::GET {
            if !names_an_object(path) {
                return false;
            }
            let uri = request
                .uri
                .path_and_query()
                .map_or(path, http::uri::PathAndQuery::as_str);
            let count = self.counts.entry(uri.to_owned()).or_default();
            *count += 1;
            return *count >= POLLING;
        }
        // A POST names its object in the body: all of the collection start anew.
        self.counts.retain(|uri, _| {
            uri.strip_prefix(path)
                .is_none_or(|rest| !(rest.is_empty() || rest.starts_with(['/', '?'])))
        });
        false
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
        assert!(!get(crd));
        assert!(!get(crd));
        assert!(get(crd));
        assert!(get(crd));
        for _ in 0..4 {
            assert!(!get("/apis/apps/v1"));
            assert!(!get("/api/v1/namespaces/shop"));
            assert!(!get("/api/v1/namespaces/shop/pods"));
        }
    }

    #[test]
    fn a_report_starts_the_count_anew() {
        let mut polls = Polls::default();
        for _ in 0..3 {
            assert!(!polls.takes_time(&parts("GET", "/apis/batch/v1/namespaces/shop/jobs/twice")));
            polls.reported();
        }
    }

    #[test]
    fn a_write_starts_the_count_anew() {
        let mut polls = Polls::default();
        let object = "/api/v1/namespaces/shop/pods/a";
        for writing in [
            ("DELETE", object),
            ("POST", "/api/v1/namespaces/shop/pods?dryRun=All"),
        ] {
            for _ in 0..2 {
                assert!(!polls.takes_time(&parts("GET", object)));
            }
            polls.takes_time(&parts(writing.0, writing.1));
        }
        assert!(!polls.takes_time(&parts("GET", object)));
    }
}
