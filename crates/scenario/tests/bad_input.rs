//! What people get wrong, and what they are told.

use std::fmt::Write as _;
use std::path::Path;

use wavetank_scenario::{InputLimits, LoadOptions, Loaded, Problems, load, load_bytes};

/// A scenario whose `spec` is `spec`, indented by two, and its documents.
fn file(spec: &str, documents: &str) -> String {
    let spec = spec
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata:\n  name: shop\nspec:\n{spec}{documents}"
    )
}

fn read(text: impl AsRef<[u8]>) -> Result<Loaded, Problems> {
    load_bytes(
        Path::new("scenarios/shop.yaml"),
        text.as_ref(),
        &LoadOptions::default(),
    )
}

/// Everything that is said about a file, its source lines included.
fn said(text: impl AsRef<[u8]>) -> String {
    match read(text) {
        Ok(loaded) => {
            let warnings: Vec<String> = loaded
                .warnings
                .iter()
                .map(|warning| warning.render(false))
                .collect();
            format!("loaded\n{}", warnings.join("\n\n"))
        }
        Err(problems) => problems.render(false),
    }
}

/// The first line of each problem.
fn titles(text: impl AsRef<[u8]>) -> Vec<String> {
    let said = said(text);
    said.lines()
        .filter(|line| line.starts_with("error") || line.starts_with("warning"))
        .map(str::to_owned)
        .collect()
}

const WEB: &str =
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: checkout}\nspec: {}\n";

#[test]
fn three_problems_are_told_at_once() {
    let spec = "
workloads:
  - match: Deployment/checkout
    redy: {after: 30s}
    ready: {after: 30}
expect:
  order:
    - Deployment/chekout healthy
    - operation applied
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn a_file_without_a_scenario() {
    insta::assert_snapshot!(said(""));
    insta::assert_snapshot!(said("# nothing\n---\n"));
    insta::assert_snapshot!(said(
        "apiVersion: wavetank/v2\nkind: Scenario\nmetadata: {name: x}\n"
    ));
    insta::assert_snapshot!(said("apiVersion: wavetnk/v1\nkind: Scenario\n"));
}

#[test]
fn two_scenarios_in_a_file() {
    let one = "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {name: x}\n";
    insta::assert_snapshot!(said(format!("{one}---\n{one}")));
}

#[test]
fn broken_yaml_is_told_per_document() {
    let documents = "---\nkind: {{ .Values.kind }}\n---\na: 1\n\tb: 2\n---\na: [1\n";
    insta::assert_snapshot!(said(file("seed: 1\n", documents)));
}

#[test]
fn cycles_and_bombs() {
    insta::assert_snapshot!(said(file("seed: 1\n", "---\na: &a\n  b: *a\n")));
    let mut bomb = "---\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert_eq!(
        titles(file("seed: 1\n", &bomb)),
        ["error: this document has more than 2000000 nodes, aliases expanded, which is the limit"]
    );
}

#[test]
fn deep_nesting_is_refused_in_every_style() {
    let expected = ["error: this document is nested deeper than the limit of 100 levels"];
    let flow = format!("---\na: {}{}\n", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(titles(file("seed: 1\n", &flow)), expected);
    let mut block = "---\n".to_owned();
    for level in 0..300 {
        writeln!(block, "{}a:", " ".repeat(level)).unwrap();
    }
    assert_eq!(titles(file("seed: 1\n", &block)), expected);
}

#[test]
fn bytes_that_are_no_text() {
    let mut bytes = file("seed: 1\n", "").into_bytes();
    bytes.extend(b"# caf\xe9\n");
    insta::assert_snapshot!(said(bytes));
    assert!(said(b"\x00\x01\x02").starts_with("error"));
    assert!(said([0xff, 0xfe, b'a', 0]).starts_with("error"));
}

#[test]
fn byte_order_marks_and_carriage_returns_are_fine() {
    let text = file("seed: 1\n", WEB);
    assert_eq!(said(format!("\u{feff}{text}")), "loaded\n");
    assert_eq!(said(text.replace('\n', "\r\n")), "loaded\n");
    let broken = file("sed: 1\n", WEB).replace('\n', "\r\n");
    insta::assert_snapshot!(said(broken));
}

#[test]
fn duplicate_keys_are_errors_in_the_scenario_and_warnings_in_manifests() {
    let documents =
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, name: b}\ndata: {on: push}\n";
    insta::assert_snapshot!(said(file("seed: 1\n", documents)));
    insta::assert_snapshot!(said(file("seed: 1\nseed: 2\n", "")));
}

#[test]
fn annotations_that_argo_cd_passes_over_are_warnings() {
    let documents = r#"---
apiVersion: batch/v1
kind: Job
metadata:
  name: job
  annotations:
    argocd.argoproj.io/hook: presync
    argocd.argoproj.io/hook-delete-policy: HookSucceeded, BeforeHookCreated
    argocd.argoproj.io/sync-wave: "one"
    argocd.argoproj.io/sync-options: Prune=False
"#;
    insta::assert_snapshot!(said(file("seed: 1\n", documents)));
}

#[test]
fn a_pattern_that_a_comment_cuts_off_is_a_warning() {
    let spec = "expect:\n  operation: {phase: Running}\n  results:\n    Deployment/checkout:\n      message: /attempt #1/\n";
    insta::assert_snapshot!(said(file(spec, WEB)));
}

/// SYNC-140: Argo CD logs it, and goes by UTC.
#[test]
fn a_time_zone_that_nobody_knows_is_a_warning() {
    let spec = "
app:
  project:
    syncWindows:
      - {kind: allow, schedule: 0 8 * * *, duration: 1h, timeZone: Europe/Pariss}
      - {kind: allow, schedule: 0 8 * * *, duration: 1h, timeZone: Local}
      - {kind: allow, schedule: 0 8 * * *, duration: 1h, timeZone: Asia/Tokyo}
expect:
  operation: {phase: Succeeded}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

/// SYNC-010.
#[test]
fn a_destination_without_a_cluster_is_a_warning() {
    let spec = "
app:
  project:
    destinations: [{namespace: shop}, {name: in-cluster, namespace: shop}, {server: '', namespace: '*'}]
expect:
  operation: {phase: Succeeded}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn references_must_be_able_to_come_into_being() {
    let spec = "
expect:
  absent: [Job/x, Pod/checkout-*, Pod/other-*, Secret/any, Deployment/shop/checkout]
  count: {ReplicaSet/checkout-* created: 1, Service.serving.knative.dev/x created: 1}
  present:
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: nope}}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn a_kind_of_two_groups_needs_its_group() {
    let documents = "---\napiVersion: a.io/v1\nkind: Cert\nmetadata: {name: x}\n---\napiVersion: b.io/v1\nkind: Cert\nmetadata: {name: x}\n";
    assert_eq!(
        said(file("expect: {absent: [Cert.a.io/x]}\n", documents)),
        "loaded\n"
    );
    insta::assert_snapshot!(said(file("expect: {absent: [Cert/x]}\n", documents)));
}

#[test]
fn words_of_the_format_are_checked() {
    let spec = "
limits: {time: 5 minutes}
on:
  - {event: Job/x aplied, do: [{sync: {}}]}
  - {event: PostSyn started, do: [{delete: Deployment/checkout, patch: {target: Deployment/checkout, merge: {}}}]}
steps:
  - advance: soon
  - expect: {operation: {phase: Suceeded, message: /(/}}
  - {settle: {}, sync: {}}
  - {settle: {}, force: true}
expect:
  waves:
    - Sync/one: [Deployment/checkout]
    - {Sync/1: [Deployment/checkout], Sync/2: []}
  requests: {writ Deployment/checkout: 1}
  results: {During Deployment/checkout: none, \"*\": {status: Synced}}
  within: {do/unknown fired: {min: 2s, max: 1s}}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn what_is_not_carried_out_yet_is_refused_with_the_reason() {
    let spec = "
app:
  settings: {version: \"2.14\"}
cluster: {version: \"1.20\"}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn what_would_do_nothing_is_refused_with_the_reason() {
    let spec = "
workloads:
  - {match: Deployment/*, ready: {after: 30s}}
  - {match: Deployment/checkout, generation: 2, ready: {after: 1m}}
  - {match: ConfigMap/a, ready: {after: 30s}}
  - {match: ConfigMap/b, timeline: [{merge: {data: {}}, after: 1s}, {crash: {after: 1s}}]}
  - {match: Widget.example.com/a, hang: {}}
  - {match: Secret/a, reaction: {after: 5s}}
  - {match: Secret/b, generation: 2, deletion: {after: 5s}}
  - {match: Service/a, deletion: {never: true, jitter: 1s}}
  - {match: Job/old, attempts: [{succeed: {}}]}
cluster:
  objects:
    - {apiVersion: batch/v1, kind: Job, metadata: {name: old}, status: {succeeded: 1}}
faults:
  - {on: watch Deployment, by: user, disconnect: true}
  - {on: get Deployment/checkout, dryRun: true, lose: response}
  - {on: view Deployment/checkout, times: 2, hide: {passes: always}}
steps:
  - refresh: {hard: true}
    on: [{event: app synced, do: [{deleteApp: {until: app deleting}}]}]
expect:
  operation: {}
  order: [[]]
  before: {Deployment/checkout applied: []}
exceptions:
  - {target: knid, skip: it is slow}
  - {case: other, skip: it is slow}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn what_changes_nothing_is_told() {
    let spec = "
app:
  from:
    apiVersion: argoproj.io/v1alpha1
    kind: Application
    metadata: {name: shop}
    spec:
      project: team
      revisionHistoryLimit: 3
      source: {path: x}
      destination: {namespace: shop}
  project:
    sourceRepos: [\"*\"]
    sourceNamespaces: [a]
    roles: [{name: x}]
    destinationServiceAccounts: [{server: \"*\", namespace: \"*\", defaultServiceAccount: robot}]
cluster: {objects: [{apiVersion: v1, kind: Namespace, metadata: {name: shop}}]}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn expressions_are_compiled_when_they_are_read() {
    let spec = "
expect:
  cel:
    - operation.retries == 0
    - \"1 + + * 2\"
    - objects('Deployment').all(d, d.status.
steps:
  - sync: {}
    expect:
      cel: [\"operation.phase = 'Succeeded'\"]
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}

#[test]
fn cases_are_put_in_before_reading() {
    let text = "
cases:
  - {name: a, with: {job: x, unused: 1, limit: 2}}
  - {name: a, with: {job: y}}
app:
  syncPolicy: {retry: {limit: \"${limit}\"}}
expect:
  count: {\"Job/${job} created\": 1, \"Deployment/checkout created\": \"${missing}\"}
";
    insta::assert_snapshot!(said(file(text.trim_start(), WEB)));
}

#[test]
fn paths_stay_within_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let suite = folder.path().join("suite");
    std::fs::create_dir_all(suite.join("manifests/.hidden")).unwrap();
    std::fs::write(folder.path().join("outside.yaml"), WEB).unwrap();
    std::fs::write(suite.join("manifests/b.yml"), WEB).unwrap();
    std::fs::write(suite.join("manifests/.hidden/c.yaml"), "broken: [").unwrap();
    std::fs::write(suite.join("manifests/a.json"), r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}]}"#).unwrap();
    std::os::unix::fs::symlink(folder.path().join("outside.yaml"), suite.join("link.yaml"))
        .unwrap();
    let scenario = suite.join("shop.yaml");
    let run = |source: &str, options: &LoadOptions| {
        std::fs::write(
            &scenario,
            file(&format!("app: {{manifests: [{source}]}}\n"), ""),
        )
        .unwrap();
        match load(&scenario, options) {
            Ok(loaded) => {
                let names = loaded.scenarios[0]
                    .app
                    .manifests
                    .iter()
                    .map(|object| object["metadata"]["name"].to_string());
                names.collect::<Vec<_>>().join(" ")
            }
            Err(problems) => problems.problems[0].message.clone(),
        }
    };
    let default = LoadOptions::default();
    assert_eq!(run("manifests/", &default), r#""p" "checkout""#);
    assert_eq!(
        run("./manifests/../manifests/b.yml", &default),
        r#""checkout""#
    );
    assert_eq!(
        run("../outside.yaml", &default),
        "`../outside.yaml` leaves the root of the suite"
    );
    assert_eq!(
        run("/etc/hostname", &default),
        "`/etc/hostname` leaves the root of the suite"
    );
    assert_eq!(
        run("link.yaml", &default),
        "`link.yaml` leaves the root of the suite by a symbolic link"
    );
    assert_eq!(
        run("missing.yaml", &default),
        "`missing.yaml` cannot be read: there is no such file or folder"
    );
    let wider = LoadOptions {
        root: Some(folder.path().to_owned()),
        ..LoadOptions::default()
    };
    assert_eq!(run("../outside.yaml", &wider), r#""checkout""#);
    let outside = LoadOptions {
        allow_outside: true,
        ..LoadOptions::default()
    };
    assert_eq!(run("../outside.yaml", &outside), r#""checkout""#);
}

#[test]
fn json_is_read_whatever_its_blanks_and_lines() {
    let long = "x".repeat(5000);
    let pod = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p","annotations":{{"a":"{long}","b\/c":"\u00e9"}}}},"spec":{{"n":[1,2.0,1e3,true,null]}}}}"#
    );
    let tabs = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\",\n\t\"metadata\": {\n\t\t\"name\": \"t\"\n\t}\n}\n";
    let loaded = read(file("seed: 1\n", &format!("---\n{pod}\n---\n{tabs}"))).unwrap();
    let manifests = &loaded.scenarios[0].app.manifests;
    assert_eq!(manifests[0]["metadata"]["annotations"]["b/c"], "é");
    assert_eq!(
        manifests[0]["spec"]["n"].to_string(),
        "[1,2,1000,true,null]"
    );
    assert_eq!(manifests[1]["metadata"]["name"], "t");
}

#[test]
fn a_hundred_thousand_documents_load() {
    let document = |index: usize| {
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{index}}}\n")
    };
    let documents = (0..100_000).map(document).collect::<Vec<_>>().concat();
    let loaded = read(file("seed: 1\n", &documents)).unwrap();
    assert_eq!(loaded.scenarios[0].app.manifests.len(), 100_000);
}

#[test]
fn limits_are_named() {
    let limits = InputLimits {
        bytes: 2000,
        documents: 3,
        ..InputLimits::default()
    };
    let options = LoadOptions {
        limits,
        ..LoadOptions::default()
    };
    let message = |text: &str| {
        load_bytes(Path::new("x.yaml"), text.as_bytes(), &options)
            .unwrap_err()
            .problems[0]
            .message
            .clone()
    };
    assert_eq!(
        message(&" ".repeat(2001)),
        "this file has 2001 bytes, and 2000 are the limit"
    );
    assert_eq!(
        message(&file("seed: 1\n", &WEB.repeat(4))),
        "this file has 5 documents, and 3 are the limit"
    );
}

#[test]
fn a_manifest_of_ten_megabytes_loads() {
    let line = format!("    {}\n", "x".repeat(99));
    let documents = format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big}}\ndata:\n  text: |\n{}",
        line.repeat(100_000)
    );
    let loaded = read(file("seed: 1\n", &documents)).unwrap();
    assert_eq!(
        loaded.scenarios[0].app.manifests[0]["data"]["text"]
            .as_str()
            .unwrap()
            .len(),
        10_000_000
    );
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 200, failure_persistence: None, ..Default::default() })]

    /// Whatever is cut out of, or put into, a scenario: it loads or is told, and never panics.
    #[test]
    fn mutilated_files_never_panic(at in 0usize..1200, length in 0usize..40, put in "[-:{}\\[\\]&*!|>'\"%@`#,? \\t\\na-z0-9é]{0,12}") {
        let whole = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/examples/postsync-job-after-sync.yaml")).unwrap();
        let at = at * whole.len() / 1200;
        let end = (at + length).min(whole.len());
        let bytes: Vec<u8> = whole[..at].iter().chain(put.as_bytes()).chain(&whole[end..]).copied().collect();
        proptest::prop_assert!(!said(bytes).is_empty());
    }
}

#[test]
fn patches_of_the_application_are_checked() {
    let spec = "
steps:
  - app: {syncPolicy: {automated: {selfHeals: true}}}
  - app: {settings: {version: \"3.5\"}, namespace: other}
";
    insta::assert_snapshot!(said(file(spec.trim_start(), WEB)));
}
