//! Every code has manifests that it is told of, and a remedy after which it is not.

use std::collections::BTreeSet;
use std::path::Path;

use wavetank_lint::{Binding, Finding, Input, code, lint, lint_scenario};
use wavetank_scenario::{LoadOptions, manifests_of_text};

/// `Kind/name key=value …`, one object a line: hook, policy, wave, helm, helm-policy are annotations, `needs=KIND/NAME`
/// what its Pods refer to; `spec.x=…` and `metadata.x=…` are fields.
fn manifests(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(manifest)
        .collect()
}

fn manifest(line: &str) -> String {
    let mut words = line.split_whitespace();
    let (kind, name) = words
        .next()
        .and_then(|word| word.split_once('/'))
        .expect("a line begins with an object");
    let version = match kind {
        "Job" => "batch/v1",
        "Deployment" => "apps/v1",
        "RoleBinding" => "rbac.authorization.k8s.io/v1",
        "StorageClass" => "storage.k8s.io/v1",
        "Widget" => "example.com/v1",
        "Certificate" => "cert-manager.io/v1",
        "Application" => "argoproj.io/v1alpha1",
        _ => "v1",
    };
    let field = if name.ends_with('-') {
        "generateName"
    } else {
        "name"
    };
    let mut metadata = vec![format!("  {field}: {name}")];
    let (mut annotations, mut spec, mut pod, mut rest) = (vec![], vec![], vec![], vec![]);
    for word in words {
        let (key, value) = word.split_once('=').expect("a word is key and value");
        match key {
            "hook" => annotations.push(format!("    argocd.argoproj.io/hook: {value}")),
            "policy" => annotations.push(format!(
                "    argocd.argoproj.io/hook-delete-policy: {value}"
            )),
            "wave" => annotations.push(format!("    argocd.argoproj.io/sync-wave: \"{value}\"")),
            "helm" => annotations.push(format!("    helm.sh/hook: {value}")),
            "helm-policy" => annotations.push(format!("    helm.sh/hook-delete-policy: {value}")),
            "allow" => annotations.push(format!("    wavetank/allow: {value}")),
            "needs" => pod.push(reference(value)),
            _ if key.starts_with("spec.") => spec.push(format!("  {}: {value}", &key[5..])),
            _ if key.starts_with("metadata.") => metadata.push(format!("  {}: {value}", &key[9..])),
            _ => rest.push(format!("{key}: {value}")),
        }
    }
    if !annotations.is_empty() {
        metadata.push("  annotations:".to_owned());
        metadata.extend(annotations);
    }
    if matches!(kind, "Job" | "Deployment") {
        spec.push("  template:\n    spec:\n      containers: [{name: c, image: x}]".to_owned());
        spec.extend(pod);
    }
    if !spec.is_empty() {
        rest.push("spec:".to_owned());
        rest.extend(spec);
    }
    let (metadata, rest) = (metadata.join("\n"), rest.join("\n"));
    format!("---\napiVersion: {version}\nkind: {kind}\nmetadata:\n{metadata}\n{rest}\n")
}

/// A line of a Pod's spec that refers to `KIND/NAME`.
fn reference(object: &str) -> String {
    let (kind, name) = object.split_once('/').expect("an object is kind and name");
    match kind {
        "ServiceAccount" => format!("      serviceAccountName: {name}"),
        "ConfigMap" => format!("      volumes: [{{name: v, configMap: {{name: {name}}}}}]"),
        "Optional" => {
            format!("      volumes: [{{name: v, configMap: {{name: {name}, optional: true}}}}]")
        }
        "Secret" => format!(
            "      volumes: [{{name: v, projected: {{sources: [{{secret: {{name: {name}}}}}]}}}}]"
        ),
        _ => format!("      volumes: [{{name: v, persistentVolumeClaim: {{claimName: {name}}}}}]"),
    }
}

fn found(text: &str, change: impl FnOnce(&mut Input)) -> Vec<Finding> {
    let text = manifests(text);
    let read = manifests_of_text(
        Path::new("m.yaml"),
        text.as_bytes(),
        &LoadOptions::default(),
    );
    let read = read.unwrap_or_else(|problems| panic!("{}\n{text}", problems.render(false)));
    let mut input = Input::of_manifests(read.objects, "default");
    change(&mut input);
    let coded = read.warnings.iter().filter_map(Finding::of_problem);
    coded.chain(lint(&input)).collect()
}

fn codes(text: &str, change: impl FnOnce(&mut Input)) -> String {
    let found = found(text, change);
    found
        .iter()
        .map(|finding| finding.code.id)
        .collect::<Vec<_>>()
        .join(" ")
}

const DEADLINE: &str = "spec.activeDeadlineSeconds=60";

/// Codes, then what they are told of, then what is fine; `D` stands for a deadline.
const TABLE: &[(&str, &str, &str)] = &[
    ("WT001", "Job/a hook=presync D", "Job/a hook=PreSync D"),
    ("WT001", "Job/a helm=post-rollback D", "Job/a helm=test D"),
    (
        "WT002",
        "Job/a hook=Sync policy=Succeeded D",
        "Job/a hook=Sync policy=BeforeHookCreation D",
    ),
    ("WT003", "ConfigMap/a wave=1.5", "ConfigMap/a wave=-1"),
    (
        "WT005",
        "Job/a hook=PreDelete wave=1 D",
        "Job/a hook=PreDelete,Sync wave=1 D",
    ),
    (
        "WT006",
        "Job/a hook=SyncFail wave=1 D",
        "Job/a hook=SyncFail,Sync wave=1 D",
    ),
    (
        "WT007",
        "Job/a hook=Sync policy=HookFailed,HookSucceeded helm=pre-install,pre-upgrade helm-policy=before-hook-creation D",
        "Job/a hook=Sync policy=HookFailed,HookSucceeded helm=pre-install,pre-upgrade helm-policy=hook-failed,hook-succeeded D",
    ),
    (
        "WT008",
        "Job/a helm=pre-install D\nJob/b helm=pre-upgrade D",
        "Job/a helm=pre-install,pre-upgrade D",
    ),
    (
        "WT009",
        "Job/a helm=post-install D",
        "ConfigMap/a helm=post-install",
    ),
    ("WT101", "Job/a hook=Sync", "Job/a hook=Sync D"),
    ("WT101", "Job/a hook=PostDelete", "Job/a hook=Skip"),
    (
        "WT102",
        "Job/a hook=Sync spec.ttlSecondsAfterFinished=0 D",
        "Job/a spec.ttlSecondsAfterFinished=0",
    ),
    (
        "WT103",
        "PersistentVolumeClaim/a hook=PreSync",
        "PersistentVolumeClaim/a wave=0",
    ),
    (
        "WT105",
        "Job/a hook=Sync policy=HookSucceeded D",
        "Job/a hook=Sync policy=HookSucceeded,HookFailed D",
    ),
    (
        "WT105",
        "Job/a hook=Sync policy=HookFailed D",
        "ConfigMap/a hook=Sync policy=BeforeHookCreation",
    ),
    (
        "WT106",
        "Job/a hook=Sync policy=HookSucceeded,BeforeHookCreation D",
        "Job/a hook=Sync D",
    ),
    (
        "WT107",
        "Job/a- hook=Sync D",
        "Job/a- hook=Sync policy=HookSucceeded,HookFailed D",
    ),
    (
        "WT108",
        "ConfigMap/a hook=Sync metadata.finalizers=[example.com/hold]",
        "ConfigMap/a metadata.finalizers=[example.com/hold]",
    ),
    (
        "WT109 WT106",
        "Deployment/a needs=ConfigMap/b\nConfigMap/b hook=PreSync policy=HookSucceeded,BeforeHookCreation",
        "Deployment/a needs=ConfigMap/b\nConfigMap/b hook=PreSync",
    ),
    (
        "WT110",
        "Job/a hook=SyncFail policy=HookSucceeded D",
        "Job/a hook=SyncFail policy=HookFailed,HookSucceeded D",
    ),
    ("WT112", "ConfigMap/a-", "ConfigMap/a"),
    (
        "WT114",
        "Job/a hook=PreSync,PostSync policy=HookSucceeded,HookFailed D",
        "Job/a hook=PreSync,PostSync D",
    ),
    (
        "WT201",
        "Job/a hook=PreSync needs=ConfigMap/b D\nConfigMap/b",
        "Job/a hook=PreSync needs=ConfigMap/b D\nConfigMap/b hook=PreSync",
    ),
    (
        "WT201",
        "Deployment/a needs=Secret/b\nSecret/b wave=1",
        "Deployment/a needs=Optional/b\nConfigMap/b wave=1",
    ),
    (
        "WT201",
        "Job/a hook=PreSync needs=ServiceAccount/b D\nServiceAccount/b",
        "Deployment/a needs=ServiceAccount/b spec.replicas=0\nServiceAccount/b wave=1",
    ),
    (
        "WT202",
        "Application/a wave=0\nApplication/b wave=1",
        "Application/a\nApplication/b",
    ),
    (
        "WT202",
        "Widget/a wave=0\nConfigMap/b wave=1",
        "Certificate/a wave=0\nConfigMap/b wave=1",
    ),
    (
        "WT203",
        "PersistentVolumeClaim/a wave=-1\nDeployment/b needs=PersistentVolumeClaim/a",
        "PersistentVolumeClaim/a\nDeployment/b needs=PersistentVolumeClaim/a",
    ),
    (
        "WT203",
        "StorageClass/s wave=-2 volumeBindingMode=WaitForFirstConsumer\nPersistentVolumeClaim/a wave=-1 spec.storageClassName=s\nConfigMap/b",
        "StorageClass/s wave=-2 volumeBindingMode=Immediate\nPersistentVolumeClaim/a wave=-1 spec.storageClassName=s\nConfigMap/b",
    ),
    (
        "WT204",
        "Job/a needs=ServiceAccount/s\nServiceAccount/s\nRoleBinding/b subjects=[ACCOUNT]",
        "Job/a wave=1 needs=ServiceAccount/s\nServiceAccount/s\nRoleBinding/b subjects=[ACCOUNT]",
    ),
    (
        "WT205",
        "Job/a hook=PreSync needs=ServiceAccount/s D\nServiceAccount/s hook=PreSync\nRoleBinding/b subjects=[ACCOUNT]",
        "Job/a hook=PreSync wave=1 needs=ServiceAccount/s D\nServiceAccount/s hook=PreSync\nRoleBinding/b hook=PreSync subjects=[ACCOUNT]",
    ),
    (
        "WT206",
        "ConfigMap/a\nConfigMap/a",
        "ConfigMap/a\nConfigMap/a metadata.namespace=x",
    ),
];

fn words(text: &str) -> String {
    text.replace(" D", &format!(" {DEADLINE}"))
        .replace("ACCOUNT", r#"{"kind":"ServiceAccount","name":"s"}"#)
}

#[test]
fn every_code_is_told_of_and_can_be_helped() {
    let mut told = BTreeSet::new();
    for (expected, wrong, right) in TABLE {
        assert_eq!(codes(&words(wrong), |_| {}), *expected, "{wrong}");
        assert_eq!(codes(&words(right), |_| {}), "", "{right}");
        told.extend(expected.split(' ').map(str::to_owned));
    }
    // These need to know of the application; WT004 is the reader's and tested there.
    let elsewhere = ["WT004", "WT104", "WT111", "WT113"].map(str::to_owned);
    told.extend(elsewhere);
    let all: BTreeSet<String> = code::ALL.iter().map(|code| code.id.to_owned()).collect();
    assert_eq!(told, all);
}

/// SYNC-171, SYNC-152, SYNC-028.
#[test]
fn the_application_decides_too() {
    let job = words("Job/a- hook=Sync policy=HookSucceeded D");
    assert_eq!(codes(&job, |input| input.retries = Some(0)), "WT106");
    assert_eq!(codes(&job, |input| input.retries = Some(2)), "WT104 WT106");
    let job = "Job/a spec.ttlSecondsAfterFinished=0";
    assert_eq!(codes(job, |input| input.self_heal = true), "WT113");
    let namespace = "Namespace/shop hook=PreSync";
    let shop = |input: &mut Input| {
        input.namespace = "shop".to_owned();
        input.sync_options = vec!["CreateNamespace=true".to_owned()];
    };
    assert_eq!(codes(namespace, shop), "WT103 WT111");
    assert_eq!(
        codes("Job/a hook=Sync", |input| input.has_timeout = true),
        ""
    );
    let claim = "PersistentVolumeClaim/a wave=-1\nDeployment/b needs=PersistentVolumeClaim/a";
    assert_eq!(codes(claim, |input| input.binding = Binding::Immediate), "");
}

/// What is there before the first sync is no matter of order.
#[test]
fn what_is_there_is_not_awaited() {
    let text = words("Job/a hook=PreSync needs=ConfigMap/b D\nConfigMap/b");
    let there =
        wavetank_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}});
    assert_eq!(codes(&text, |input| input.there = vec![there.into()]), "");
}

#[test]
fn a_code_can_be_allowed() {
    assert_eq!(codes("Job/a hook=Sync allow=WT101", |_| {}), "");
    let allowed = |input: &mut Input| input.allowed = BTreeSet::from(["WT101".to_owned()]);
    assert_eq!(codes("Job/a hook=Sync", allowed), "");
}

/// Commands that are plain, as `sleep 5`, end by themselves.
#[test]
fn a_plain_command_needs_no_deadline() {
    let text =
        manifests("Job/a hook=Sync").replace("image: x", "image: x, command: [sleep, \"5\"]");
    let read = manifests_of_text(
        Path::new("m.yaml"),
        text.as_bytes(),
        &LoadOptions::default(),
    )
    .unwrap();
    assert!(lint(&Input::of_manifests(read.objects, "default")).is_empty());
}

#[test]
fn findings_show_the_place() {
    let text =
        words("Job/migrate hook=PreSync needs=ConfigMap/settings\nConfigMap/settings wave=1");
    let shown: Vec<String> = found(&text, |_| {})
        .iter()
        .map(|finding| finding.render(false))
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
    let lines: Vec<String> = found(&text, |_| {}).iter().map(Finding::line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    WT101 m.yaml:7: Job/migrate has no deadline
    WT201 m.yaml:12: Job/migrate needs ConfigMap/settings, which comes later
    ");
}

#[test]
fn findings_are_data_too() {
    insta::assert_snapshot!(wavetank_lint::json(&found("Job/a hook=Sync", |_| {})).unwrap());
}

/// A scenario of the app `shop` with these steps; its documents are `manifests`.
fn scenario(steps: &str, documents: &str) -> wavetank_scenario::Scenario {
    let text = format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: shop}}\nspec:\n  steps:\n{steps}\n{}",
        manifests(documents)
    );
    let path = Path::new("shop.yaml");
    let loaded = wavetank_scenario::load_bytes(path, text.as_bytes(), &LoadOptions::default());
    let mut loaded = loaded.unwrap_or_else(|problems| panic!("{}\n{text}", problems.render(false)));
    loaded.scenarios.remove(0)
}

/// What is told of a scenario: code, object, step.
fn told(scenario: &wavetank_scenario::Scenario) -> Vec<(&'static str, String, Option<usize>)> {
    lint_scenario(scenario)
        .into_iter()
        .filter(Finding::is_warning)
        .map(|finding| (finding.code.id, finding.object, finding.step))
        .collect()
}

#[test]
fn each_state_that_a_commit_makes_is_looked_at() {
    let hook = "{apiVersion: batch/v1, kind: Job, metadata: {name: late, annotations: {argocd.argoproj.io/hook: Sync}}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}";
    let steps = format!(
        "    - sync: {{}}\n    - commit: {{apply: [{hook}]}}\n    - commit: {{remove: [Job/early]}}"
    );
    let scenario = scenario(&steps, "Job/early hook=Sync\nConfigMap/settings");
    assert_eq!(
        told(&scenario),
        [
            ("WT101", "Job/early".to_owned(), None),
            ("WT101", "Job/late".to_owned(), Some(1)),
        ]
    );
}

#[test]
fn what_an_earlier_sync_applied_is_there_after_a_commit() {
    let hook = "{apiVersion: batch/v1, kind: Job, metadata: {name: check, annotations: {argocd.argoproj.io/hook: PreSync}}, spec: {activeDeadlineSeconds: 60, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x, envFrom: [{configMapRef: {name: settings}}]}]}}}}";
    let commit = format!("    - commit: {{apply: [{hook}]}}");
    let codes = |steps: &str| {
        let found = told(&scenario(steps, "ConfigMap/settings"));
        found.iter().map(|(code, ..)| *code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&commit), ["WT201"]);
    assert_eq!(
        codes(&format!("    - sync: {{}}\n{commit}")),
        Vec::<&str>::new()
    );
}
