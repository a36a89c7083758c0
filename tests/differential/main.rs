//! The differential cases, sent over HTTPS to `wavetank serve` and to a real API server.
//!
//! The real one is made of the programs in `KUBEBUILDER_ASSETS` (etcd, kube-apiserver, kube-controller-manager). Without
//! them its half is reported as ignored, and a message says so. Cases that say how a real server `differs` must differ
//! there; a case that does not any more is a failure too, unless it says that it differs `sometimes`.

use std::io::Write as _;
use std::path::Path;
use std::process::{ExitCode, id};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use wavetank_tests::cases::{self, Case};
use wavetank_tests::wire::{self, ControlPlane, Https, Naming, Serve};

/// What a fake server does by itself, a real one leaves to these.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller";

/// How many cases run at a time.
const THREADS: usize = 8;

/// Cases that wait longer are not sent to a real server.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Cases mostly wait for a server's reactions, each for a server of its own.
    arguments.test_threads.get_or_insert(THREADS);
    let assets = wire::assets();
    if assets.is_none() {
        let text = "SKIPPED: no real API server. Name the folder of etcd, kube-apiserver and kube-controller-manager in KUBEBUILDER_ASSETS to send the cases to one\n";
        std::io::stderr().write_all(text.as_bytes()).ok();
    }
    let real = Arc::new(Mutex::new(None));
    let mut trials = Vec::new();
    for (index, case) in cases::all().into_iter().enumerate() {
        // Nothing can be told from outside to forget its past.
        if case.steps.iter().any(|step| step.compact) {
            continue;
        }
        let (served, name) = (case.clone(), case.name());
        trials.push(Trial::test(format!("serve::{name}"), move || {
            serve(&served).map_err(Failed::from)
        }));
        if case.waits() > LONGEST_WAIT {
            continue;
        }
        let (real, found) = (Arc::clone(&real), assets.clone());
        trials.push(
            Trial::test(format!("real::{name}"), move || match found {
                Some(assets) => ask_real(&real, &assets, &case, index).map_err(Failed::from),
                None => Err("no real API server".into()),
            })
            .with_ignored_flag(assets.is_none()),
        );
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(real);
    conclusion.exit_code()
}

fn runtime() -> Result<Runtime, String> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
}

fn serve(case: &Case) -> Result<(), String> {
    // Long waits are to take some seconds.
    let seconds = u32::try_from(case.waits().as_secs()).unwrap_or(u32::MAX);
    let factor = if seconds > 3 {
        (seconds / 10).max(20)
    } else {
        1
    };
    let scale = factor.to_string();
    let binary = Path::new(env!("CARGO_BIN_EXE_wavetank"));
    let server = Serve::start(binary, &["--no-controllers", "--time-scale", &scale])?;
    let runtime = runtime()?;
    let client = runtime.block_on(wire::client(&server.kubeconfig()))?;
    let settle = Duration::from_millis(50);
    let mut target = Https::new(&runtime, client, Naming::Plain, factor, settle, 20)?;
    cases::replay(case, &mut target)
}

/// A real server, for all cases one after the other.
struct Real {
    client: Client,
    runtime: Runtime,
    _plane: ControlPlane,
}

impl Real {
    fn start(assets: &Path) -> Result<Self, String> {
        let mut plane = ControlPlane::start(assets)?;
        plane.start_controllers(CONTROLLERS)?;
        let runtime = runtime()?;
        let client = runtime.block_on(wire::client(plane.kubeconfig()))?;
        runtime.block_on(keep_parameters(&client))?;
        Ok(Self {
            client,
            runtime,
            _plane: plane,
        })
    }
}

/// Makes a policy about nothing that takes `ConfigMaps` as parameters. A real server stops to watch them with the last such
/// policy, and cannot begin again: later policies never find parameters.
async fn keep_parameters(client: &Client) -> Result<(), String> {
    let rule = json!({"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nones"]});
    let policy = json!({
        "metadata": {"name": "keeps-parameters"},
        "spec": {
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "true"}],
        },
    });
    let binding = json!({
        "metadata": {"name": "keeps-parameters"},
        "spec": {
            "policyName": "keeps-parameters",
            "paramRef": {"name": "none", "namespace": "default", "parameterNotFoundAction": "Allow"},
            "validationActions": ["Deny"],
        },
    });
    for (resource, object) in [
        ("validatingadmissionpolicies", policy),
        ("validatingadmissionpolicybindings", binding),
    ] {
        let request =
            http::Request::post(format!("/apis/admissionregistration.k8s.io/v1/{resource}"))
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(object.to_string().into_bytes())
                .map_err(|error| error.to_string())?;
        let answer = client.request::<Value>(request).await;
        answer.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn ask_real(
    real: &Mutex<Option<Result<Real, String>>>,
    assets: &Path,
    case: &Case,
    index: usize,
) -> Result<(), String> {
    let mut real = real.lock().unwrap_or_else(PoisonError::into_inner);
    let real = real
        .get_or_insert_with(|| Real::start(assets))
        .as_ref()
        .map_err(String::clone)?;
    let naming = Naming::As(format!("tq{}x{index}", id()));
    let settle = Duration::from_millis(400);
    // What controllers do takes their time on a machine with other work; what is known to differ need not be waited for.
    let attempts = if case.differs.is_some() { 1 } else { 100 };
    let client = real.client.clone();
    let mut target = Https::new(&real.runtime, client, naming, 1, settle, attempts)?;
    let result = cases::replay(case, &mut target);
    target.clean_up()?;
    match (&case.differs, result) {
        (None, result) => result,
        (Some(_), Err(_)) => Ok(()),
        (Some(_), Ok(())) if case.sometimes => Ok(()),
        (Some(why), Ok(())) => Err(format!("this no longer differs: {why}")),
    }
}
