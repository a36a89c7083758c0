//! Sources that Helm and Kustomize render. Without the programs on PATH these tests say so and do nothing.

use std::fs;
use std::path::{Path, PathBuf};

use wavetank_scenario::{LoadOptions, Scenario, load, manifests};

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

/// Whether one of `programs` is there; says loudly when none is.
#[expect(clippy::print_stderr, reason = "what is not tested is to be seen")]
fn can_run(programs: &[&str]) -> bool {
    let found = folders().iter().any(|folder| {
        programs
            .iter()
            .any(|program| folder.join(program).is_file())
    });
    if !found {
        eprintln!("SKIPPED: none of {programs:?} is on PATH, nothing is rendered here");
    }
    found
}

fn options() -> LoadOptions {
    LoadOptions {
        programs: folders(),
        ..LoadOptions::default()
    }
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it can be made");
        fs::write(path, text.trim_start()).expect("it can be written");
    }
}

fn scenario(folder: &Path, app: &str) -> PathBuf {
    let path = folder.join("scenario.yaml");
    let text = format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: rendered}}\nspec:\n  app: {app}\n"
    );
    fs::write(&path, text).expect("it can be written");
    path
}

fn objects(scenario: &Scenario) -> String {
    let shown = scenario.app.manifests.iter().map(|object| {
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let hook = object["metadata"]["annotations"]["helm.sh/hook"]
            .as_str()
            .unwrap_or_default();
        let data = &object["data"];
        format!("{kind}/{name} {hook} {data}")
    });
    shown.collect::<Vec<_>>().join("\n")
}

const CHART: &[(&str, &str)] = &[
    (
        "chart/Chart.yaml",
        "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
    ),
    ("chart/values.yaml", "colour: blue\n"),
    ("chart/ci.yaml", "size: large\n"),
    ("beside.yaml", "shape: round\n"),
    (
        "chart/crds/widget.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\n",
    ),
    (
        "chart/templates/settings.yaml",
        r"
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
data:
  colour: {{ .Values.colour }}
  size: {{ .Values.size }}
  shape: {{ .Values.shape }}
  tag: {{ kindOf .Values.image.tag }}
  replicas: {{ kindOf .Values.replicas }}
  namespace: {{ .Release.Namespace }}
  version: {{ .Capabilities.KubeVersion.Version }}
",
    ),
    (
        "chart/templates/migrate.yaml",
        r#"
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {"helm.sh/hook": "pre-install,pre-upgrade"}
"#,
    ),
];

/// As Argo CD has them: hooks as they are, CRDs included, the release named after the application.
#[test]
fn a_chart_is_rendered_as_argo_cd_does_it() {
    if !can_run(&["helm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CHART);
    let app = r#"{name: shop, namespace: prod, manifests: [{helm: {chart: chart/, values: [ci.yaml, beside.yaml], set: {colour: "a,b", image.tag: "2", replicas: 2}}}]}"#;
    let path = scenario(folder.path(), app);
    let loaded =
        load(&path, &options()).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    insta::assert_snapshot!(objects(&loaded.scenarios[0]), @r#"
    CustomResourceDefinition/widgets.example.com  null
    ConfigMap/shop-settings  {"colour":"a,b","namespace":"prod","replicas":"int64","shape":"round","size":"large","tag":"string","version":"v1.36.0"}
    Job/migrate pre-install,pre-upgrade null
    "#);
    let place = loaded.scenarios[0].app.places[1].line_and_column();
    assert!(place.0 > 1, "positions are those of the output");
}

/// What Helm says is shown at the source.
#[test]
fn a_chart_that_is_broken_says_what_helm_says() {
    if !can_run(&["helm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CHART);
    write(
        folder.path(),
        &[(
            "chart/templates/broken.yaml",
            "{{ .Values.nothing.at.all }}",
        )],
    );
    let path = scenario(folder.path(), "{manifests: [{helm: {chart: chart}}]}");
    let text = load(&path, &options()).unwrap_err().render(false);
    assert!(
        text.contains("cannot be rendered") && text.contains("nil pointer"),
        "{text}"
    );
}

const KUSTOMIZATION: &[(&str, &str)] = &[
    ("base/kustomization.yaml", "resources: [settings.yaml]\n"),
    (
        "base/settings.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n",
    ),
    (
        "overlay/kustomization.yaml",
        "resources: [../base]\nnamePrefix: test-\n",
    ),
];

#[test]
fn a_kustomization_is_rendered() {
    if !can_run(&["kustomize", "kubectl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), KUSTOMIZATION);
    let path = scenario(folder.path(), "{manifests: [{kustomize: overlay}]}");
    let loaded =
        load(&path, &options()).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    insta::assert_snapshot!(objects(&loaded.scenarios[0]), @r#"ConfigMap/test-settings  {"colour":"blue"}"#);
    // Without a scenario the folder tells what it is.
    let read = manifests(&folder.path().join("overlay"), "default", &options());
    assert_eq!(read.unwrap().objects.len(), 1);
}

/// A base on the network is none of this machine's.
#[test]
fn a_kustomization_with_a_base_elsewhere_is_refused() {
    if !can_run(&["kustomize", "kubectl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[(
            "k/kustomization.yaml",
            "resources: [\"https://example.invalid/base.yaml\"]\n",
        )],
    );
    let path = scenario(folder.path(), "{manifests: [{kustomize: k}]}");
    let text = load(&path, &options()).unwrap_err().render(false);
    assert!(text.contains("`kustomize build"), "{text}");
}

#[test]
fn without_the_program_the_source_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CHART);
    write(folder.path(), KUSTOMIZATION);
    let path = scenario(
        folder.path(),
        "{manifests: [{kustomize: overlay}, {helm: {chart: chart}}, {helm: {chart: no}}]}",
    );
    let text = load(&path, &LoadOptions::default())
        .unwrap_err()
        .render(false);
    let text = text.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(text);
    let refused = LoadOptions {
        forbid_render: true,
        ..options()
    };
    let text = load(&path, &refused).unwrap_err().render(false);
    assert!(text.contains("needs --allow-render"), "{text}");
}
