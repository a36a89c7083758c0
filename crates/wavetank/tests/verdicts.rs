//! What faults and exceptions make of a verdict.

use std::path::Path;
use std::sync::Arc;

use wavetank::{Options, RunOutcome, Verdict, check};
use wavetank_cluster::Capability;
use wavetank_report::Failure;
use wavetank_scenario::{LoadOptions, Scenario, load_bytes};

/// Runs an app of one `ConfigMap` with this `spec`, indented by two.
fn run(spec: &str) -> RunOutcome {
    check(&scenario(spec), Options::default())
}

fn scenario(spec: &str) -> Arc<Scenario> {
    let text = format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: x}}\nspec:\n{spec}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\n"
    );
    let loaded = load_bytes(
        Path::new("x.yaml"),
        text.as_bytes(),
        &LoadOptions::default(),
    )
    .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    Arc::new(loaded.scenarios.into_iter().next().expect("one scenario"))
}

fn told(outcome: &RunOutcome) -> Vec<String> {
    let line = |failure: &Failure| {
        let item = failure.item.as_deref().unwrap_or_default();
        format!("{} {item}: {}", failure.name, failure.observed)
    };
    outcome.verdict.failures().iter().map(line).collect()
}

#[test]
fn a_fault_that_never_fired_fails_the_run() {
    let outcome = run("  faults:
    - {name: other, on: create Secret, lose: request}
    - {on: create ConfigMap/settings, after: 7, delay: 1s}
    - {name: maybe, on: delete Secret, optional: true, lose: request}
  steps:
    - sync: {}
      faults: [{name: of-step, on: view Secret, hide: {passes: 1}}]
    - sync: {}");
    assert!(matches!(outcome.verdict, Verdict::Failed { .. }));
    assert_eq!(
        told(&outcome),
        [
            "faults fault/other: there was no `create Secret` to bend",
            "faults fault/fault-2: only one `create ConfigMap/settings` came, and was let through",
            "steps.0.faults fault/of-step: there was no `view Secret` to bend",
        ]
    );
}

#[test]
fn a_fault_of_a_step_ends_with_it() {
    let outcome = run("  steps:
    - apply: [{apiVersion: v1, kind: ConfigMap, metadata: {name: other}}]
      faults: [{name: gone, on: create ConfigMap/settings, optional: true, reply: {code: 500}}]
    - sync: {}
  expect:
    operation: {phase: Succeeded}
    never: [fault/gone fired]");
    assert_eq!(told(&outcome), Vec::<String>::new());
    assert_eq!(outcome.verdict, Verdict::Passed);
}

#[test]
fn what_is_known_to_fail_and_holds_is_unexpectedly_fixed() {
    let outcome = run("  exceptions: [{fails: expect.operation, bug: a/b#1}]
  expect: {operation: {phase: Succeeded}}");
    assert!(matches!(outcome.verdict, Verdict::Fixed { .. }));
    assert_eq!(told(&outcome), ["expect.operation : it holds"]);
    assert_eq!(outcome.verdict.exit_code(), 1);
}

#[test]
fn a_run_that_fails_as_known_is_fine_and_one_that_fails_in_more_is_not() {
    let known = run(
        "  exceptions: [{target: fake, fails: expect.operation, bug: a/b#1}]
  expect: {operation: {phase: Failed}}",
    );
    assert!(known.verdict.is_fine());
    assert_eq!(known.verdict.as_str(), "knownFailure");
    let more = run("  exceptions: [{fails: expect.operation}]
  expect: {operation: {phase: Failed}, absent: [ConfigMap/settings]}");
    assert_eq!(
        told(&more),
        ["expect.absent item 1: ConfigMap/settings is there"]
    );
    let elsewhere = run("  exceptions: [{target: kind, fails: expect.operation}]
  expect: {operation: {phase: Failed}}");
    assert_eq!(elsewhere.verdict.as_str(), "failed");
}

#[test]
fn a_lost_answer_of_discovery_fails_the_sync_and_is_told() {
    let outcome = run("  faults: [{name: cable, on: discover, lose: response}]
  expect:
    operation: {phase: Failed}
    order: [fault/cable fired, operation failed]");
    assert_eq!(told(&outcome), Vec::<String>::new());
}

/// A plan that is bound to an event is in the trace, and does not hide what the operation did.
#[test]
fn a_plan_can_be_bound_to_an_event() {
    let outcome = run(
        "  on: [{name: look, event: operation started, do: [{plan: {}}]}]
  expect:
    operation: {phase: Succeeded}
    waves: [{Sync/0: [ConfigMap/settings]}]
    cel: [\"trace.filter(e, has(e.plan)).size() == 1\"]",
    );
    assert_eq!(told(&outcome), Vec::<String>::new());
}

/// Nothing of `cluster` is passed over on a target that cannot give it.
#[test]
fn what_the_cluster_cannot_give_is_skipped_with_the_reason() {
    let real = [Capability::RealContainers].into();
    let virtual_nodes = [Capability::ScriptedWorkloads, Capability::LoadBalancers].into();
    let service = "{apply: [{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer}}]}";
    for (cluster, reason) in [
        ("{nodes: 3}", "`cluster.nodes` asks for 3 nodes"),
        (
            "{storage: {bindingMode: WaitForFirstConsumer}}",
            "`cluster.storage` says",
        ),
        ("{}", "Service/web needs a load balancer"),
        ("{loadBalancers: false}", "Service/web gets no address"),
    ] {
        let scenario = scenario(&format!("  cluster: {cluster}\n  steps: [{service}]"));
        let told = wavetank::lacking(&scenario, &real).unwrap_or_default();
        assert!(told.contains(reason), "{cluster}: {told}");
        assert_eq!(wavetank::lacking(&scenario, &virtual_nodes), None);
    }
    let noisy = scenario("  cluster: {noise: true}");
    let told = wavetank::lacking(&noisy, &virtual_nodes).unwrap_or_default();
    assert!(told.starts_with("`cluster.noise` asks"), "{told}");
}

/// With `fail_fast` a run that is lost ends there, and what had no time to hold is no failure.
#[test]
fn a_lost_run_ends_early_where_that_is_asked() {
    let text = "apiVersion: wavetank/v1
kind: Scenario
metadata: {name: x}
spec:
  steps: [{sync: {}}, {advance: 10m}]
  expect:
    never: [ConfigMap/settings created]
    count: {ConfigMap/settings updated: {min: 3}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
";
    let path = Path::new("x.yaml");
    let loaded = load_bytes(path, text.as_bytes(), &LoadOptions::default());
    let scenario = Arc::new(loaded.expect("a scenario").scenarios.remove(0));
    let outcome = |fail_fast| {
        let options = Options {
            fail_fast,
            ..Options::default()
        };
        check(&scenario, options)
    };
    let names = |outcome: &RunOutcome| {
        let failures = outcome.verdict.failures();
        let names = failures.iter().map(|failure| failure.name.clone());
        names.collect::<Vec<_>>()
    };
    let (whole, early) = (outcome(false), outcome(true));
    assert_eq!(names(&whole), ["expect.never", "expect.count"]);
    assert_eq!(names(&early), ["expect.never"]);
    assert!(whole.virtual_time > early.virtual_time);
}

#[test]
fn a_wait_counts_from_the_end_of_the_step_before() {
    let waited = |first: &str, event: &str| {
        run(&format!(
            "  steps:\n    - {first}\n    - wait: {{for: {event}, within: 30s}}"
        ))
    };
    let until_started = "sync: {until: operation started}";
    let fine = waited(until_started, "ConfigMap/settings created");
    assert_eq!(fine.verdict, Verdict::Passed, "{fine:?}");
    // It came before: nothing more happens.
    let late = waited("sync: {}", "ConfigMap/settings created");
    assert_eq!(
        told(&late),
        ["steps.1 wait: `ConfigMap/settings created` did not happen, and nothing more happens"]
    );
}
