//! Where this server is known to differ from a real one, each difference with the test that shows it.
//!
//! Cases under `cases/` that a real server answers otherwise say so themselves, in `differs`.

use std::fmt::Write as _;

/// One known difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it shows.
    pub topic: &'static str,
    /// What a real server does.
    pub real: &'static str,
    /// What this server does.
    pub here: &'static str,
    /// The test that shows what this server does: a file of this crate, and the case or the test function in it.
    pub shown_by: Evidence,
}

/// Where a test stands: file, relative to this crate, and the name of the case or function.
pub type Evidence = (&'static str, &'static str);

/// All known differences.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        topic: "lists at resourceVersion 0",
        real: "may be of any age and may ignore the limit",
        here: "are of the newest state and honour the limit",
        shown_by: ("cases/differences.yaml", "list-0"),
    },
    Difference {
        topic: "resourceVersion in the future",
        real: "waits three seconds before it answers 504",
        here: "answers 504 at once",
        shown_by: ("cases/list.yaml", "T-063"),
    },
    Difference {
        topic: "creates in a missing namespace",
        real: "waits 50 ms and looks again before it answers 404",
        here: "answers 404 at once",
        shown_by: ("cases/create.yaml", "T-004"),
    },
    Difference {
        topic: "unknown fields of protobuf",
        real: "are passed over",
        here: "are refused",
        shown_by: ("cases/differences.yaml", "protobuf"),
    },
    Difference {
        topic: "answers as YAML",
        real: "are written in block style",
        here: "are JSON",
        shown_by: ("cases/differences.yaml", "yaml"),
    },
    Difference {
        topic: "OpenAPI",
        real: "describes every type and operation, in version 2 as protobuf too",
        here: "names fields and types of each kind and its PATCH operation, without descriptions; version 2 as protobuf is empty",
        shown_by: ("cases/discovery.yaml", "openapi-v2"),
    },
    Difference {
        topic: "access",
        real: "authenticates and authorises everybody, and guards impersonation and escalation",
        here: "tells a `ServiceAccount` by its token, and lets everybody do everything; with `rbac`, accounts with tokens and whom a request impersonates may do what roles and bindings allow, paths that name no resource are open, the roles of a new cluster are few and short, and escalation is not looked for",
        shown_by: (
            "src/access.rs",
            "who_brings_a_token_of_an_account_is_that_account",
        ),
    },
    Difference {
        topic: "logs of Pods",
        real: "hold what the containers wrote",
        here: "hold what the `echo`s of the command would print, and the message a container ended with; following ends at the end",
        shown_by: ("src/log.rs", "a_log_holds_what_the_echoes_print"),
    },
    Difference {
        topic: "exec, attach, portforward, proxy",
        real: "are served by kubelets",
        here: "answer 501 and say that Pods are simulated",
        shown_by: ("cases/differences.yaml", "kubelet"),
    },
    Difference {
        topic: "ephemeral containers and resizes of Pods",
        real: "are subresources of their own",
        here: "are refused with 405",
        shown_by: ("cases/differences.yaml", "pod-subresources"),
    },
    Difference {
        topic: "Pod Security",
        real: "refuses Pods, and warns of templates, that a label of the namespace does not allow",
        here: "labels of namespaces are without effect: what they would say can be written as a validating admission policy",
        shown_by: ("cases/differences.yaml", "pod-security"),
    },
    Difference {
        topic: "CEL rules of definitions",
        real: "are type-checked with the definition, and their costs are limited; lists that are sets or have keys are equal in any order",
        here: "may cost anything; what is certain of their types is checked, and the first mistake is told; lists are equal in any order to what they were before only; `getPort` leaves out the usual port; functions that the evaluator does not have (`unquote`) are refused; a rule that does not compile is refused, or passed over when `pass_over_rules` is set",
        shown_by: ("cases/differences.yaml", "rule-costs"),
    },
    Difference {
        topic: "conversion webhooks",
        real: "are called",
        here: "are refused with the definition",
        shown_by: ("cases/differences.yaml", "conversion"),
    },
    Difference {
        topic: "admission webhooks",
        real: "are called",
        here: "are stored and without effect: nobody in a scenario answers them, and the simulation makes no connections",
        shown_by: ("cases/differences.yaml", "webhooks"),
    },
    Difference {
        topic: "mutating admission policies",
        real: "change objects",
        here: "are not served: few charts bring any, and what they change is better written into the manifests of a scenario",
        shown_by: ("cases/differences.yaml", "mutating-policies"),
    },
    Difference {
        topic: "validating admission policies",
        real: "take effect about a second after they are written and are asked in any order; expressions are type-checked and cost a limited amount; a controller writes what it found into their status; warnings come with refusals too",
        here: "take effect at once and are asked by their names; of an expression its names and what is certain of its types are checked; their status stays empty; a refused request has no warnings; `authorizer`, and functions that the evaluator does not have, are refused",
        shown_by: ("cases/differences.yaml", "policy-words"),
    },
    Difference {
        topic: "a custom resource before its definition is established",
        real: "answers 404, or for a moment 429 `storage is (re)initializing`",
        here: "answers 404",
        shown_by: ("cases/differences.yaml", "early"),
    },
    Difference {
        topic: "objects stored before a definition changed",
        real: "get new defaults when they are read",
        here: "get them when they are written next, or read in another version",
        shown_by: ("cases/differences.yaml", "old-defaults"),
    },
    Difference {
        topic: "status and scale of a custom resource",
        real: "are switched per version",
        here: "follow the storage version, but for discovery",
        shown_by: ("cases/differences.yaml", "status-per-version"),
    },
    Difference {
        topic: "the end of a namespace",
        real: "begins 5 s after the delete and looks again now and then at what is left",
        here: "begins after `Latencies::namespace` and goes on when something in it has gone",
        shown_by: ("cases/differences.yaml", "namespace-end"),
    },
    Difference {
        topic: "the end of a definition",
        real: "is looked at every 5 s",
        here: "goes on as soon as the last object has gone",
        shown_by: ("cases/differences.yaml", "definition-end"),
    },
    Difference {
        topic: "bookmarks",
        real: "come about each minute, and another one soon after the first events",
        here: "come exactly each minute",
        shown_by: ("cases/watch.yaml", "bookmarks"),
    },
    Difference {
        topic: "slow readers of a watch",
        real: "are dropped when a buffer of some hundred events is full for a moment",
        here: "are dropped when 10 000 events wait",
        shown_by: ("src/differences.rs", "a_slow_reader_is_dropped_in_the_end"),
    },
    Difference {
        topic: "managedFields of autoscaling/v1",
        real: "name the fields of the version that was written",
        here: "name those of `autoscaling/v2`",
        shown_by: ("cases/differences.yaml", "autoscaler-owners"),
    },
    Difference {
        topic: "odd pointers of JSON patches",
        real: "are taken: the first part of one without a slash counts as the empty one, and a patch of the whole loses the name",
        here: "are refused, or do what they say",
        shown_by: ("cases/json-patch.yaml", "bad-pointer"),
    },
    Difference {
        topic: "new nodes",
        real: "are tainted as not ready",
        here: "are tainted by the simulated controllers only",
        shown_by: ("cases/defaults.yaml", "nodes"),
    },
    Difference {
        topic: "values in messages",
        real: "are shown as Go prints them, with differences in Go's names of fields",
        here: "are shown as JSON",
        shown_by: ("cases/strategic.yaml", "type"),
    },
    Difference {
        topic: "bodies that are no JSON",
        real: "are refused in the words of Go's decoder",
        here: "are refused in other words",
        shown_by: ("cases/differences.yaml", "no-json"),
    },
    Difference {
        topic: "PUT of the status of a Service that is not there",
        real: "creates the Service",
        here: "answers 404, as for every other kind",
        shown_by: ("cases/differences.yaml", "service-status"),
    },
    Difference {
        topic: "`/readyz?verbose`",
        real: "lists some forty checks",
        here: "lists three",
        shown_by: ("cases/differences.yaml", "health-checks"),
    },
    Difference {
        topic: "refused definitions",
        real: "are told of wrong names and wrong schemas together",
        here: "are told of wrong schemas when the names are right",
        shown_by: ("cases/refused.yaml", "customresourcedefinitions-schema"),
    },
    Difference {
        topic: "an apiVersion with two slashes",
        real: "is called no version",
        here: "is called an unknown version",
        shown_by: ("cases/requests.yaml", "no-group"),
    },
    Difference {
        topic: "order of the fields of an object",
        real: "is that of the Go types",
        here: "is alphabetic behind `kind` and `apiVersion`",
        shown_by: ("src/differences.rs", "fields_are_in_alphabetic_order"),
    },
];

/// The list as a Markdown table, for the documentation.
pub fn markdown() -> String {
    let mut out =
        String::from("| what | a real server | wavetank | shown by |\n|---|---|---|---|\n");
    for one in DIFFERENCES {
        let (file, name) = one.shown_by;
        // Writing to a String cannot fail.
        writeln!(
            out,
            "| {} | {} | {} | `{file}`: `{name}` |",
            one.topic, one.real, one.here
        )
        .ok();
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use http::Request;
    use wavetank_json::json;
    use wavetank_kernel::{Chooser, Seed, SimTime};
    use wavetank_model::Actor;

    use super::*;
    use crate::{ResponseBody, Server, ServerConfig};

    const START: SimTime = SimTime::from_millis(1_000);

    fn ask(server: &mut Server, method: &str, path: &str, body: &str) -> ResponseBody {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        server
            .handle(&request, &Actor::new(Actor::USER), START)
            .into_body()
    }

    #[test]
    fn each_topic_stands_once() {
        for (index, one) in DIFFERENCES.iter().enumerate() {
            assert!(
                DIFFERENCES[..index]
                    .iter()
                    .all(|other| other.topic != one.topic),
                "{}",
                one.topic
            );
            assert_ne!(one.real, one.here);
        }
    }

    #[test]
    fn each_difference_names_a_test_that_exists() {
        for one in DIFFERENCES {
            let (file, name) = one.shown_by;
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let found = if file.starts_with("cases/") {
                text.lines().any(|line| line == format!("- case: {name}"))
            } else {
                text.contains(&format!("    #[test]\n    fn {name}("))
            };
            assert!(found, "{}: no test {name} in {file}", one.topic);
        }
    }

    #[test]
    fn a_slow_reader_is_dropped_in_the_end() {
        let config = ServerConfig {
            watch_backlog: 1_000,
            ..ServerConfig::default()
        };
        let mut server = Server::new(config, Seed(1));
        let path = "/api/v1/namespaces/default/configmaps";
        let watch = format!("{path}?watch=true&resourceVersion=0&timeoutSeconds=600");
        let ResponseBody::Watch(mut lines) = ask(&mut server, "GET", &watch, "") else {
            panic!("a watch is answered with a stream")
        };
        for index in 0..1_100 {
            let body = json!({"metadata": {"name": format!("c{index}")}}).to_string();
            ask(&mut server, "POST", path, &body);
        }
        let later = SimTime::from_millis(2_000);
        server.run_due(later, &mut Chooser::canonical());
        assert_eq!(server.watches.len(), 0);
        let mut seen = 0;
        while lines.try_recv().is_ok() {
            seen += 1;
        }
        assert_eq!(seen, 1_001, "what was sent before is still there");
    }

    #[test]
    fn fields_are_in_alphabetic_order() {
        let mut server = Server::new(ServerConfig::default(), Seed(1));
        let body = json!({"metadata": {"name": "c"}, "data": {"k": "v"}}).to_string();
        let path = "/api/v1/namespaces/default/configmaps";
        let ResponseBody::Full(body) = ask(&mut server, "POST", path, &body) else {
            panic!("a create is answered whole")
        };
        let text = std::str::from_utf8(&body).unwrap();
        let start =
            r#"{"kind":"ConfigMap","apiVersion":"v1","data":{"k":"v"},"metadata":{"creation"#;
        assert!(text.starts_with(start), "{text}");
    }
}
