//! Malformed, cut, oversized and senseless requests: none makes the server panic, and each is answered as a client can
//! understand.
//!
//! The requests are those of the differential cases, changed at random; beside them, for each type of patch, only patches
//! of that type, on objects that are there. `WAVETANK_ABUSE_REQUESTS` says how many each test sends (5000, patches 1000);
//! `WAVETANK_ABUSE_SEED` where the dice begin (1). A failure names the seed and the request.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use http::Request;
use wavetank_apiserver::{ResponseBody, Server, ServerConfig};
use wavetank_json::{Value, json};
use wavetank_kernel::{Chooser, Rng, Seed, SimTime};
use wavetank_model::Actor;
use wavetank_tests::cases::{self, Outgoing};

/// After so many requests the server is a fresh one.
const SERVER_LIFE: u64 = 2_000;

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

fn corpus() -> Vec<Outgoing> {
    cases::all()
        .iter()
        .flat_map(|case| &case.steps)
        .filter_map(cases::Step::written)
        .collect()
}

/// Sends requests, by default `count` of them; `next` makes each. A test's dice are named after it.
fn abuse(
    name: &str,
    count: u64,
    fresh: impl Fn() -> Server,
    mut next: impl FnMut(&mut Dice) -> Outgoing,
) {
    let (count, seed) = (
        number("WAVETANK_ABUSE_REQUESTS", count),
        number("WAVETANK_ABUSE_SEED", 1),
    );
    let mut dice = Dice(Seed(seed).child(name).rng());
    let mut server = fresh();
    let mut now = SimTime::from_millis(1_000);
    for index in 0..count {
        if index % SERVER_LIFE == 0 {
            server = fresh();
            now = SimTime::from_millis(1_000);
        }
        let sent = next(&mut dice);
        let Some(request) = build(&sent) else {
            continue;
        };
        let answered = catch_unwind(AssertUnwindSafe(|| ask(&mut server, &request, now)));
        let shown = || format!("seed {seed}, request {index}: {sent:?}");
        match answered {
            Ok(Ok(())) => {}
            Ok(Err(why)) => panic!("{why}; {}", shown()),
            Err(panic) => panic!("a panic ({:?}); {}", panic.type_id(), shown()),
        }
        if index % 7 == 0 {
            now += std::time::Duration::from_millis(dice.below(2_000));
            server.run_due(now, &mut Chooser::canonical());
        }
    }
}

#[test]
fn no_request_makes_the_server_panic() {
    let corpus = corpus();
    abuse("abuse", 5_000, fresh, |dice| dice.request(&corpus));
}

/// Objects that patches are tried on.
fn targets() -> Vec<(&'static str, Value)> {
    let pod =
        json!({"containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 80}]}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    let definition = json!({"group": "example.com", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]});
    vec![
        (
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            json!({"metadata": {"name": "foos.example.com"}, "spec": definition}),
        ),
        (
            "/api/v1/namespaces/t/configmaps",
            json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "data": {"a": "1"}}),
        ),
        (
            "/api/v1/namespaces/t/pods",
            json!({"metadata": {"name": "x"}, "spec": pod}),
        ),
        (
            "/apis/apps/v1/namespaces/t/deployments",
            json!({"metadata": {"name": "x"}, "spec": spec}),
        ),
        (
            "/api/v1/namespaces/t/services",
            json!({"metadata": {"name": "x"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}),
        ),
        (
            "/apis/example.com/v1/namespaces/t/foos",
            json!({"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "x"}, "spec": {"list": [{"name": "a"}]}}),
        ),
    ]
}

/// A server with the objects.
fn furnished() -> Server {
    let mut server = fresh();
    for (index, (path, object)) in targets().into_iter().enumerate() {
        let request = Request::post(path)
            .body(Bytes::from(object.to_string()))
            .expect("a request");
        let now = SimTime::from_millis(100 * index as u64);
        let answer = server.handle(&request, &Actor::new("setup"), now);
        assert_eq!(answer.status(), 201, "{path}");
        let later = now + std::time::Duration::from_millis(99);
        server.run_due(later, &mut Chooser::canonical());
    }
    server
}

fn abuse_with_patches(media: &str) {
    let targets = targets();
    let uris: Vec<String> = targets
        .iter()
        .map(|(path, object)| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            format!("{path}/{name}")
        })
        .collect();
    let is_patch = |request: &Outgoing| {
        let wanted = ("content-type".to_owned(), media.to_owned());
        request.method == "PATCH" && request.headers.contains(&wanted)
    };
    let mut bodies: Vec<String> = corpus()
        .into_iter()
        .filter(is_patch)
        .map(|request| request.body)
        .collect();
    assert!(!bodies.is_empty(), "cases have patches of {media}");
    bodies.extend(targets.iter().map(|(_, object)| object.to_string()));
    abuse(media, 1_000, furnished, |dice| {
        let mut uri = uris[dice.index(uris.len())].clone();
        uri.push_str(dice.pick(&["", "", "", "", "/status", "/scale"]));
        if media.contains("apply") {
            uri.push_str(dice.pick(&["?fieldManager=m", "?fieldManager=n&force=true"]));
        }
        let body = &bodies[dice.index(bodies.len())];
        let body = match dice.below(8) {
            0 => dice.text(body),
            1 => body.clone(),
            _ => dice.json(body),
        };
        Outgoing {
            method: "PATCH".to_owned(),
            uri,
            headers: vec![("content-type".to_owned(), media.to_owned())],
            body,
            watch: None,
        }
    });
}

#[test]
fn no_json_patch_makes_the_server_panic() {
    abuse_with_patches("application/json-patch+json");
}

#[test]
fn no_merge_patch_makes_the_server_panic() {
    abuse_with_patches("application/merge-patch+json");
}

#[test]
fn no_strategic_patch_makes_the_server_panic() {
    abuse_with_patches("application/strategic-merge-patch+json");
}

#[test]
fn no_apply_makes_the_server_panic() {
    abuse_with_patches("application/apply-patch+yaml");
}

fn fresh() -> Server {
    let mut server = Server::new(ServerConfig::default(), Seed(1));
    let request = Request::post("/api/v1/namespaces")
        .body(Bytes::from(json!({"metadata": {"name": "t"}}).to_string()))
        .expect("a request");
    server.handle(&request, &Actor::new("setup"), SimTime::ZERO);
    server
}

fn build(sent: &Outgoing) -> Option<Request<Bytes>> {
    let mut builder = Request::builder()
        .method(sent.method.as_str())
        .uri(sent.uri.as_str());
    for (name, value) in &sent.headers {
        builder = builder.header(name, value);
    }
    builder.body(Bytes::from(sent.body.clone())).ok()
}

/// Sends a request; what is wrong with the answer, if anything.
fn ask(server: &mut Server, request: &Request<Bytes>, now: SimTime) -> Result<(), String> {
    let response = server.handle(request, &Actor::new("user"), now);
    let code = response.status().as_u16();
    let json = response
        .headers()
        .get("content-type")
        .is_some_and(|value| value == "application/json");
    let ResponseBody::Full(body) = response.into_body() else {
        return Ok(());
    };
    // A redirection has no body.
    if !json || (body.is_empty() && code < 400) {
        return Ok(());
    }
    let body: Value =
        serde_json::from_slice(&body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    if code >= 400 && (body["kind"] != "Status" || body["code"] != code) {
        return Err(format!("a {code} whose body is {body}"));
    }
    if code >= 500 && !matches!(code, 500 | 501 | 504) {
        return Err(format!("answered {code}: {body}"));
    }
    Ok(())
}

struct Dice(Rng);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound.max(1))
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    fn request(&mut self, corpus: &[Outgoing]) -> Outgoing {
        let mut request = corpus[self.index(corpus.len())].clone();
        for _ in 0..=self.below(3) {
            match self.below(10) {
                0 => self.method(&mut request),
                1 => request.uri = self.uri(&request.uri),
                2 => self.header(&mut request),
                3 => request.body = self.text(&request.body),
                4 => {
                    let other = &corpus[self.index(corpus.len())];
                    request.body.clone_from(&other.body);
                }
                5..8 => request.body = self.json(&request.body),
                8 if self.below(200) == 0 => request.body = "x".repeat(3_200_000),
                _ => {}
            }
        }
        request
    }

    fn method(&mut self, request: &mut Outgoing) {
        const METHODS: [&str; 8] = [
            "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW",
        ];
        self.pick(&METHODS).clone_into(&mut request.method);
    }

    fn uri(&mut self, uri: &str) -> String {
        const PIECES: [&str; 16] = [
            "/",
            "//",
            "%",
            "%zz",
            "%00",
            "%2F",
            "..",
            "?",
            "&",
            "=",
            "watch=1",
            "limit=-9223372036854775808",
            "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ",
            "/status",
            "resourceVersion=18446744073709551615",
            "#",
        ];
        let at = self.index(uri.len() + 1);
        match (uri.is_char_boundary(at), self.below(3)) {
            (false, _) => uri.to_owned(),
            (true, 0) => format!("{}{}", &uri[..at], self.pick(&PIECES)),
            (true, _) => format!("{}{}{}", &uri[..at], self.pick(&PIECES), &uri[at..]),
        }
    }

    fn header(&mut self, request: &mut Outgoing) {
        const TYPES: [&str; 10] = [
            "application/json",
            "application/yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
            "application/vnd.kubernetes.protobuf",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            ";;,=",
        ];
        let name = self.pick(&["content-type", "accept"]);
        request.headers.retain(|(other, _)| other != name);
        let value = self.pick(&TYPES).to_owned();
        request.headers.push((name.to_owned(), value));
    }

    /// A text cut, doubled or changed somewhere.
    fn text(&mut self, text: &str) -> String {
        const PIECES: [&str; 14] = [
            "{",
            "}",
            "[",
            "\"",
            "\\u0000",
            "\\ud800",
            "null",
            "1e999",
            "- a: &x [*x]\n",
            ": ",
            "k8s\0",
            "\u{7f}",
            "💣",
            "9223372036854775808",
        ];
        let cut = self.index(text.len() + 1);
        let at = (0..=cut)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        match self.below(3) {
            0 => text[..at].to_owned(),
            1 => format!("{}{}{}", &text[..at], self.pick(&PIECES), &text[at..]),
            _ => format!("{}{}", &text[at..], &text[..at]),
        }
    }

    /// A body with some of its values replaced, renamed, removed or nested.
    fn json(&mut self, body: &str) -> String {
        let Ok(mut value) = serde_json::from_str::<Value>(body) else {
            return self.text(body);
        };
        for _ in 0..=self.below(3) {
            self.change(&mut value);
        }
        value.to_string()
    }

    fn change(&mut self, value: &mut Value) {
        let deeper = self.below(8) > 0;
        match value {
            Value::Object(fields) if deeper && !fields.is_empty() => {
                let at = self.index(fields.len());
                let Some(name) = fields.keys().nth(at).cloned() else {
                    return;
                };
                match self.below(12) {
                    0 => {
                        fields.remove(&name);
                    }
                    1 => {
                        let field = fields.remove(&name).unwrap_or_default();
                        let other = self.pick(&[
                            "",
                            "name",
                            "$patch",
                            "$retainKeys",
                            "a/b",
                            "~1",
                            "metadata",
                            "spec",
                        ]);
                        fields.insert(other.to_owned(), field);
                    }
                    _ => {
                        if let Some(field) = fields.get_mut(&name) {
                            self.change(field);
                        }
                    }
                }
            }
            Value::Array(items) if deeper && !items.is_empty() => {
                let at = self.index(items.len());
                if self.below(8) == 0 {
                    let copy = items[at].clone();
                    items.push(copy);
                } else {
                    self.change(&mut items[at]);
                }
            }
            other => *other = self.odd(),
        }
    }

    fn odd(&mut self) -> Value {
        match self.below(14) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(i64::MAX),
            4 => json!(u64::MAX),
            5 => json!(1.5e300),
            6 => json!(""),
            7 => json!("a".repeat(300)),
            8 => json!("\u{0}\u{ffff}"),
            9 => json!([]),
            10 => json!({}),
            11 => json!([null, {"name": "x"}, [[]]]),
            12 => (0..self.below(150)).fold(json!("deep"), |inner, _| json!({"a": [inner]})),
            _ => json!("100%"),
        }
    }
}
