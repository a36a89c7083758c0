//! Every key of the format arrives where it belongs.

use std::path::Path;
use std::time::Duration;

use wavetank_model::script::{Attempt, Behaviour, Deletion, HangState, TimelineEntry};
use wavetank_model::{Phase, Propagation, WaveNumber};
use wavetank_scenario::{
    LoadOptions, MessagePattern, ResultExpectation, Scenario, StepAction, StorageBinding,
    SyncStrategy, WaveItem, load_bytes,
};

fn read(text: &str) -> Vec<Scenario> {
    match load_bytes(
        Path::new("shop.yaml"),
        text.as_bytes(),
        &LoadOptions::default(),
    ) {
        Ok(loaded) => loaded.scenarios,
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

fn one(spec: &str) -> Scenario {
    let spec = spec.trim_start_matches('\n');
    let documents = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    let head = "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {name: shop, labels: {topic: x}}\nspec:\n";
    read(&format!("{head}{spec}{documents}")).remove(0)
}

#[test]
fn a_bare_scenario_has_the_defaults_of_the_format() {
    let scenario = one("  {}\n");
    assert_eq!(
        (
            scenario.name.as_str(),
            scenario.app.name.as_str(),
            scenario.app.namespace.as_str()
        ),
        ("shop", "shop", "default")
    );
    assert!(
        matches!(scenario.steps.as_slice(), [step] if matches!(step.action, StepAction::Sync(_)))
    );
    assert!(scenario.settle && scenario.expect.is_empty());
    assert_eq!(
        (scenario.limits.time, scenario.seed),
        (Duration::from_secs(3600), 0)
    );
    assert_eq!(scenario.app.manifests.len(), 2);
    assert_eq!(scenario.labels["topic"], "x");
}

#[test]
fn the_application_and_the_cluster() {
    let scenario = one("
  app:
    name: other
    namespace: shop
    revision: abc
    manifests:
      - {apiVersion: v1, kind: ConfigMap, metadata: {name: inline}, data: {mode: \"0644\"}}
    syncPolicy:
      syncOptions: [CreateNamespace=true]
      retry: {limit: 2, refresh: true, backoff: {duration: 10, factor: 3, maxDuration: 1m}}
    finalizers: [resources-finalizer.argocd.argoproj.io]
    settings:
      syncWaveDelay: 1s
      resyncPeriod: 60s
      resourceTrackingMethod: label
      passes: {batch: 1s, backstop: 10s}
      selfHealBackoff: {duration: 1s, factor: 2, cap: 1m}
      version: \"3.5\"
  cluster:
    version: \"1.36\"
    objects: [{apiVersion: v1, kind: Namespace, metadata: {name: shop}}]
    nodes: 3
    storage: {bindingMode: WaitForFirstConsumer}
    loadBalancers: false
    noise: true
");
    let app = scenario.app;
    assert_eq!(
        (
            app.name.as_str(),
            app.namespace.as_str(),
            app.revision.as_deref()
        ),
        ("other", "shop", Some("abc"))
    );
    assert_eq!(app.manifests.len(), 3);
    let retry = app.sync_policy.retry.unwrap();
    assert_eq!(
        (retry.limit, retry.refresh, retry.backoff.factor),
        (2, true, 3)
    );
    assert_eq!(
        (retry.backoff.duration, retry.backoff.max_duration),
        (Duration::from_secs(10), Duration::from_secs(60))
    );
    assert_eq!(app.settings.sync_wave_delay, Duration::from_secs(1));
    assert_eq!(app.settings.backstop(), Duration::from_secs(10));
    assert_eq!(
        (
            app.settings.resource_tracking_method.as_str(),
            app.settings.version.as_str()
        ),
        ("label", "3.5")
    );
    let cluster = scenario.cluster;
    assert_eq!(
        (cluster.nodes, cluster.storage),
        (3, StorageBinding::WaitForFirstConsumer)
    );
    assert!(!cluster.load_balancers && cluster.noise && cluster.objects.len() == 1);
}

#[test]
fn an_application_supplies_what_is_not_written() {
    let scenario = one("
  app:
    namespace: written
    from:
      apiVersion: argoproj.io/v1alpha1
      kind: Application
      metadata: {name: ignored, finalizers: [f], annotations: {a: b}}
      spec:
        destination: {namespace: supplied}
        syncPolicy: {syncOptions: [PruneLast=true]}
");
    assert_eq!(scenario.app.namespace, "written");
    assert_eq!(scenario.app.sync_policy.sync_options, ["PruneLast=true"]);
    assert_eq!(
        (
            scenario.app.finalizers,
            scenario.app.annotations["a"].as_str()
        ),
        (vec!["f".to_owned()], "b")
    );
}

#[test]
fn workload_rules() {
    let rules = one("
  workloads:
    - match: Job/a
      generation: 2
      attempts:
        - {fail: {after: 10s, exitCode: 3, message: boom, jitter: 1s}}
        - {succeed: {}}
    - {match: Job/a, hang: {state: ImagePullBackOff}, reaction: {after: 5s}}
    - {match: Deployment/web, generation: 3, ready: {after: 30s}, deletion: {never: true}}
    - match: Deployment/web
      generation: 2
      timeline:
        - {crash: {after: 1m, reason: OOMKilled}}
        - {status: {phase: Ready}, observedGeneration: current, after: 10s}
        - {merge: {metadata: {labels: {a: b}}}, after: 1s}
      deletion: {until: Job/a succeeded}
")
    .workloads;
    let Some(Behaviour::Attempts(attempts)) = &rules[0].behaviour else {
        panic!("{rules:?}")
    };
    assert!(
        matches!(&attempts[0], Attempt::Fail { exit_code: 3, after, .. } if after.jitter == Duration::from_secs(1))
    );
    assert!(
        matches!(attempts[1], Attempt::Succeed(after) if after.after == Duration::from_secs(1))
    );
    assert_eq!(
        rules[1].behaviour,
        Some(Behaviour::Hang(HangState::ImagePullBackOff))
    );
    assert_eq!(rules[1].reaction.unwrap().after, Duration::from_secs(5));
    assert_eq!(rules[2].deletion, Some(Deletion::Never));
    let Some(Behaviour::Timeline(timeline)) = &rules[3].behaviour else {
        panic!("{rules:?}")
    };
    assert!(
        matches!(&timeline[0], TimelineEntry::Crash { reason, exit_code: 1, .. } if reason == "OOMKilled")
    );
    assert!(matches!(
        &timeline[1],
        TimelineEntry::Status {
            observe_generation: true,
            ..
        }
    ));
    assert!(matches!(&timeline[2], TimelineEntry::Patch { .. }));
    assert!(
        matches!(&rules[3].deletion, Some(Deletion::Until(event)) if event.to_string() == "Job/a succeeded")
    );
}

#[test]
fn steps_and_bound_actions() {
    let scenario = one("
  on:
    - {event: Job/a created, nth: 2, delay: 1s, optional: true, do: [{delete: Job/a, propagation: orphan, force: true}]}
  steps:
    - name: first
      sync:
        prune: true
        dryRun: true
        revision: abc
        resources: [Deployment/web]
        syncOptions: [Prune=false]
        strategy: apply
        force: true
        retry: {limit: -1}
        until: Job/a created
      expect: {phases: [Sync]}
    - commit:
        manifests: [{apiVersion: v1, kind: Pod, metadata: {name: p}}]
        apply: [{apiVersion: v1, kind: Pod, metadata: {name: q}}]
        patch: [{target: Deployment/web, merge: {spec: {replicas: 3}}}]
        remove: [Job/a]
        revision: def
    - apply: [{apiVersion: v1, kind: Pod, metadata: {name: r}}]
    - patch: {target: Deployment/web, merge: {spec: null}}
    - advance: 1m
    - wait: {for: Pod/r deleted, within: 5s}
    - settle: {}
");
    let bound = &scenario.on[0];
    assert_eq!(
        (bound.name.as_str(), bound.nth, bound.delay, bound.optional),
        ("on-1", 2, Duration::from_secs(1), true)
    );
    assert!(matches!(
        bound.actions[0],
        StepAction::Delete {
            propagation: Some(Propagation::Orphan),
            force: true,
            ..
        }
    ));
    let words: Vec<&str> = scenario
        .steps
        .iter()
        .map(|step| step.action.keyword())
        .collect();
    assert_eq!(
        words,
        [
            "sync", "commit", "apply", "patch", "advance", "wait", "settle"
        ]
    );
    let StepAction::Sync(sync) = &scenario.steps[0].action else {
        panic!()
    };
    assert!(sync.prune && sync.dry_run && sync.force && sync.strategy == SyncStrategy::Apply);
    assert_eq!(
        (sync.resources.len(), sync.retry.as_ref().unwrap().limit),
        (1, -1)
    );
    assert_eq!(
        scenario.steps[0].expect.as_ref().unwrap().phases,
        Some(vec![Phase::Sync])
    );
    let StepAction::Commit(commit) = &scenario.steps[1].action else {
        panic!()
    };
    assert_eq!(
        (
            commit.manifests.as_ref().unwrap().len(),
            commit.apply.len(),
            commit.patch.len(),
            commit.remove.len()
        ),
        (1, 1, 1, 1)
    );
    assert!(
        matches!(&scenario.steps[3].action, StepAction::Patch { merge, .. } if merge["spec"].is_null())
    );
}

#[test]
fn expectations() {
    let expect = one("
  expect:
    operation: {phase: Failed, message: /no.*tasks/, messages: [plain], retries: 2, revision: abc}
    waves:
      - \"*\"
      - Sync/-1: [Deployment/web, \"*\"]
      - SyncFail/*: []
    order: [Job/a applied, [Job/a created, Job/a failed]]
    before: {Deployment/web applied: [Job/a succeeded]}
    never: [SyncFail started, {event: Job/a applied, until: Deployment/web healthy}]
    count: {Job/a created: 1, Job/a updated: {min: 2}}
    within: {operation failed: 2m, Job/a applied: {since: Sync started, min: 2s}}
    results:
      PreSync Job/a: {hookPhase: Failed, status: Synced, message: /x/}
      Deployment/web: none
      \"*\": none
    requests: {dry-run patch Deployment/web: 1, write Job: 0}
    present: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}]
    absent: [Job/a, Pod/a-*]
")
    .expect;
    let operation = expect.operation.unwrap();
    assert!(
        matches!(&operation.message, Some(MessagePattern::Regex(regex)) if regex.is_match("no more tasks"))
    );
    assert!(matches!(&operation.messages[..], [MessagePattern::Literal(text)] if text == "plain"));
    assert_eq!(operation.retries, Some(2));
    let waves = expect.waves.unwrap();
    assert!(matches!(&waves[0], WaveItem::Any));
    assert!(
        matches!(&waves[1], WaveItem::Wave { phase: Phase::Sync, wave: WaveNumber::Number(-1), objects, others: true } if objects.len() == 1)
    );
    assert!(matches!(
        &waves[2],
        WaveItem::Wave {
            phase: Phase::SyncFail,
            wave: WaveNumber::All,
            ..
        }
    ));
    assert_eq!(
        expect
            .order
            .iter()
            .map(|item| item.events.len())
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        (expect.before.len(), expect.never.len(), expect.count.len()),
        (1, 2, 2)
    );
    assert_eq!(
        (
            expect.count[0].1.min,
            expect.count[0].1.max,
            expect.count[1].1.max
        ),
        (1, Some(1), None)
    );
    assert_eq!(
        (expect.within[0].1.max, expect.within[1].1.min),
        (Some(Duration::from_secs(120)), Duration::from_secs(2))
    );
    let results = expect.results.unwrap();
    assert!(results.no_others && matches!(results.items[1].2, ResultExpectation::None));
    assert_eq!(results.items[0].0, Some(Phase::PreSync));
    assert!(expect.requests[0].0.dry_run && expect.requests[0].0.verb == "patch");
    let every_job = expect.requests[1].0.target.as_ref().unwrap();
    assert!(every_job.matches(
        &wavetank_model::ObjectKey::new("batch", "Job", "any", "x"),
        "default"
    ));
    assert_eq!((expect.present.len(), expect.absent.len()), (1, 2));
}

#[test]
fn cases_make_scenarios_of_their_own() {
    let text = r#"
apiVersion: wavetank/v1
kind: Scenario
metadata: {name: shop}
spec:
  cases:
    - {name: one, with: {replicas: 1, outcome: {succeed: {after: 2s}}, note: null, key: web}}
    - {name: two, with: {replicas: 2, outcome: {fail: {}}, note: "${literal}", key: api}}
  description: ${note}
  seed: ${replicas}
  workloads:
    - match: "Job/${key}-job"
      attempts:
        - ${outcome}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "${key}-job"}
spec: {parallelism: "${replicas}", command: "echo ${HOME} $${replicas}"}
"#;
    let scenarios = read(text);
    let names: Vec<&str> = scenarios
        .iter()
        .map(|scenario| scenario.name.as_str())
        .collect();
    assert_eq!(names, ["shop@one", "shop@two"]);
    assert_eq!(scenarios[1].app.name, "shop");
    assert_eq!(
        (scenarios[0].description.as_deref(), scenarios[0].seed),
        (None, 1)
    );
    assert_eq!(scenarios[1].description.as_deref(), Some("${literal}"));
    let job = &scenarios[1].app.manifests[0];
    assert_eq!(
        (
            job["metadata"]["name"].as_str(),
            job["spec"]["parallelism"].as_i64()
        ),
        (Some("api-job"), Some(2))
    );
    assert_eq!(
        job["spec"]["command"].as_str(),
        Some("echo ${HOME} ${replicas}")
    );
}

/// SYNC-129, SYNC-227: what nobody says depends on the version, which engines from outside change after the reading.
#[test]
fn the_engine_looks_again_as_its_version_does() {
    use wavetank_model::ArgoVersion;

    let mut settings = wavetank_scenario::AppSettings::default();
    let seconds = Duration::from_secs;
    assert_eq!(
        (settings.batch(), settings.backstop()),
        (seconds(5), seconds(30))
    );
    for version in [ArgoVersion::V3_4, ArgoVersion::V3_5] {
        settings.version = version;
        let hundred = Duration::from_millis(100);
        assert_eq!(
            (settings.batch(), settings.backstop()),
            (hundred, seconds(120))
        );
    }
    settings.resync_period = Duration::ZERO;
    assert!(settings.backstop() > seconds(1_000_000_000), "never");
    settings.passes.batch = Some(seconds(1));
    settings.passes.backstop = Some(seconds(2));
    assert_eq!(
        (settings.batch(), settings.backstop()),
        (seconds(1), seconds(2))
    );
}

#[test]
fn the_application_is_patched_as_it_was_written() {
    let scenario = one("  app:
    syncPolicy: {automated: {prune: true}, syncOptions: [PruneLast=true]}
    settings: {syncTimeout: 5m}
");
    let merge = wavetank_json::json!({"syncPolicy": {"automated": {"prune": null, "selfHeal": true}}, "finalizers": ["x"]});
    let app = scenario.app.patched(&merge).unwrap();
    let automated = app.sync_policy.automated.unwrap();
    assert_eq!(
        (automated.prune, automated.self_heal, app.finalizers.clone()),
        (false, true, vec!["x".to_owned()])
    );
    assert_eq!(app.sync_policy.sync_options, ["PruneLast=true"]);
    assert_eq!(app.settings.sync_timeout.as_secs(), 300);
    let off = wavetank_json::json!({"syncPolicy": {"automated": null}});
    assert_eq!(app.patched(&off).unwrap().sync_policy.automated, None);
    let wrong = wavetank_json::json!({"syncPolicy": {"automatic": {}}});
    let said = app.patched(&wrong).unwrap_err();
    assert!(
        said.starts_with("there is no key `automatic` in syncPolicy"),
        "{said}"
    );
}

/// What is read of an `argocd-cm`, and what is said of the rest.
#[test]
fn ignored_updates_are_read_from_a_config_map() {
    let folder = tempfile::tempdir().unwrap();
    let data = "
  resource.ignoreResourceUpdatesEnabled: \"false\"
  resource.customizations.ignoreResourceUpdates.all: |
    jqPathExpressions: [.status]
  resource.customizations.ignoreResourceUpdates.apps_Deployment: |
    jsonPointers:
      - /spec/replicas
    managedFieldsManagers: [hpa]
  resource.customizations.ignoreResourceUpdates.ConfigMap: \"\"
  resource.customizations.ignoreDifferences.Service: |
    jsonPointers: [/spec]
    managedFieldsManagers: [lb]
  resource.customizations.ignoreDifferences.apps_Deployment: |
    managedFieldsManagers: [hpa]
  resource.customizations.knownTypeFields.apps_Deployment: \"[]\"
  resource.compareoptions: |
    ignoreAggregatedRoles: true
    ignoreDifferencesOnResourceUpdates: false
    ignoreResourceStatusField: crd
";
    let config =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: argocd-cm}}\ndata:{data}");
    std::fs::write(folder.path().join("argocd-cm.yaml"), config).unwrap();
    let inline = "{group: apps, kind: ReplicaSet, ignoreResourceUpdates: {jsonPointers: [/spec]}}";
    let text = format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: shop}}\nspec:\n  app:\n    settings:\n      resourceCustomizations: [argocd-cm.yaml, {inline}]\n"
    );
    let file = folder.path().join("shop.yaml");
    let read = |text: &str| load_bytes(&file, text.as_bytes(), &LoadOptions::default());
    let loaded = read(&text).unwrap();
    let settings = &loaded.scenarios[0].app.settings;
    assert!(!settings.customizations.ignores_resource_updates);
    let rules: Vec<String> = settings
        .customizations
        .ignored_updates
        .iter()
        .map(|(kind, rule)| {
            format!(
                "{kind} {:?} {:?}",
                rule.json_pointers, rule.jq_path_expressions
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            "*/* [] [\".status\"]",
            "ConfigMap [] []",
            "apps/Deployment [\"/spec/replicas\"] []",
            "apps/ReplicaSet [\"/spec\"] []",
        ]
    );
    assert!(
        settings.customizations.ignores_aggregated_roles
            && !settings.customizations.ignores_differences_on_updates
    );
    let differences: Vec<String> = settings
        .customizations
        .ignored_differences
        .iter()
        .map(|(kind, rule)| {
            let managers = &rule.managed_fields_managers;
            format!("{kind} {:?} {managers:?}", rule.json_pointers)
        })
        .collect();
    assert_eq!(
        differences,
        ["Service [\"/spec\"] []", "apps/Deployment [] [\"hpa\"]"]
    );
    let warnings: Vec<&str> = loaded
        .warnings
        .iter()
        .map(|told| told.message.as_str())
        .collect();
    assert_eq!(
        warnings,
        [
            "`resource.customizations.knownTypeFields.apps_Deployment` changes nothing here",
            "`ignoreResourceStatusField` changes nothing here",
            "`managedFieldsManagers` changes nothing here",
            "`managedFieldsManagers` changes nothing here",
        ]
    );
    let on = text.replace(
        "resourceCustomizations",
        "ignoreResourceUpdatesEnabled: true\n      resourceCustomizations",
    );
    assert!(
        read(&on).unwrap().scenarios[0]
            .app
            .settings
            .customizations
            .ignores_resource_updates
    );
}

/// Each with its place.
#[test]
fn ignored_updates_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = "
  resource.ignoreResourceUpdatesEnabled: perhaps
  resource.customizations.ignoreResourceUpdates.apps_Deployment: |
    jsonPointer: [/spec/replicas]
  resource.customizations.ignoreResourceUpdates.a_b_c: |
    jsonPointers: [/spec]
";
    let config =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: argocd-cm}}\ndata:{data}");
    std::fs::write(folder.path().join("argocd-cm.yaml"), config).unwrap();
    let text = "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {name: shop}\nspec:\n  app: {settings: {resourceCustomizations: [argocd-cm.yaml, {kind: ConfigMap}]}}\n";
    let file = folder.path().join("shop.yaml");
    let problems = load_bytes(&file, text.as_bytes(), &LoadOptions::default()).unwrap_err();
    let said = problems.render(false);
    for wanted in [
        "`resource.ignoreResourceUpdatesEnabled` is neither true nor false",
        "argocd-cm.yaml:5:42",
        "there is no key `jsonPointer`",
        "argocd-cm.yaml (resource.customizations.ignoreResourceUpdates.apps_Deployment):1:1",
        "`a_b_c` names no kind",
        "this customization says nothing",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}
