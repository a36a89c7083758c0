//! Images that real nodes cannot get: no fault of the scenario, but of the place where it runs.

use std::collections::BTreeMap;

use wavetank_expect::Answer;
use wavetank_model::pod::{MissingImage, missing_image};
use wavetank_model::{ChangeKind, ObjectKey};
use wavetank_report::{RunOutcome, Verdict};
use wavetank_scenario::Scenario;
use wavetank_trace::{Event, Trace, World};

/// How many images are told of.
const SHOWN: usize = 3;

/// A Pod of the run that waited for an image to the end: its own, or that of the run.
struct Waiter {
    image: MissingImage,
    /// Whether it still waits when the run ends.
    waits: bool,
}

/// Tells of images that the nodes of `outcome`'s target could not get; `remedy` says how they get there.
///
/// A run that is fine stays what it is, with a warning. One that could not settle, or in which something did not happen
/// that could have happened still, had no place to run in: its verdict becomes [`Verdict::Unavailable`]. One in which
/// something happened that must not has failed all the same.
pub fn blame_images(outcome: &mut RunOutcome, scenario: &Scenario, remedy: &str) {
    let Some(trace) = &outcome.trace else { return };
    let home = &trace.header.namespace;
    let waiters = waiters(trace);
    if waiters.is_empty() {
        return;
    }
    let told = told(&waiters, home);
    let waits = waiters.values().any(|waiter| waiter.waits);
    let consequence = match &outcome.verdict {
        Verdict::NotSettled { reason, .. } if waits && !is_decided(scenario, trace) => {
            format!("the run did not settle: {reason}")
        }
        Verdict::Failed { failures } if waits && !is_decided(scenario, trace) => {
            let mut names: Vec<&str> = failures.iter().map(|failure| &*failure.name).collect();
            names.dedup();
            format!("what is expected could not happen: {}", names.join(", "))
        }
        Verdict::Unavailable { .. }
        | Verdict::Skipped { .. }
        | Verdict::Invalid { .. }
        | Verdict::Bug { .. } => return,
        _ => {
            let first = told.into_iter().next().unwrap_or_default();
            outcome.warnings.push(format!("{first}; {remedy}"));
            return;
        }
    };
    if outcome.explanation.waiting.is_none() {
        outcome.explain(false);
    }
    let mut reason = told.join("\n");
    for part in [&consequence, remedy] {
        reason.push('\n');
        reason.push_str(part);
    }
    outcome.verdict = Verdict::Unavailable { reason };
}

/// Whether something happened that must not, whatever comes later.
fn is_decided(scenario: &Scenario, trace: &Trace) -> bool {
    let judgements = wavetank_expect::judge(scenario, &trace.entries);
    judgements
        .iter()
        .any(|judgement| judgement.answer == Answer::Never)
}

/// The Pods that the run made and that never got an image.
fn waiters(trace: &Trace) -> BTreeMap<&ObjectKey, Waiter> {
    let (mut world, mut made) = (World::new(), BTreeMap::new());
    for entry in &trace.entries {
        world.push(entry);
        let Event::Api(api) = &entry.event else {
            continue;
        };
        if api.key.kind != "Pod" || !api.key.group.is_empty() {
            continue;
        }
        if api.verb == ChangeKind::Created {
            made.insert(&api.key, None);
        }
        let Some(known) = made.get_mut(&api.key) else {
            continue;
        };
        match world.object(&api.key).and_then(|pod| missing_image(pod)) {
            Some(image) => *known = Some(Waiter { image, waits: true }),
            // What it waited for when it went it never got.
            None if api.verb == ChangeKind::Deleted => {
                if let Some(waiter) = known {
                    waiter.waits = false;
                }
            }
            None => *known = None,
        }
    }
    made.into_iter()
        .filter_map(|(key, waiter)| Some((key, waiter?)))
        .collect()
}

/// A line for each image, with the first Pod that waits for it.
fn told(waiters: &BTreeMap<&ObjectKey, Waiter>, home: &str) -> Vec<String> {
    let mut images: Vec<(&ObjectKey, &MissingImage, usize)> = Vec::new();
    for (key, waiter) in waiters {
        let image = &waiter.image;
        match images
            .iter_mut()
            .find(|(_, known, _)| known.image == image.image)
        {
            Some((_, _, others)) => *others += 1,
            None => images.push((key, image, 0)),
        }
    }
    let mut lines: Vec<String> = images
        .iter()
        .take(SHOWN)
        .map(|(key, image, others)| line(&key.short(home), image, *others))
        .collect();
    if images.len() > SHOWN {
        lines.push(format!("and {} more images", images.len() - SHOWN));
    }
    lines
}

/// `Pod/migrate-x (container main) does not get the image team/migrate:1: ErrImageNeverPull: …`.
fn line(pod: &str, image: &MissingImage, others: usize) -> String {
    let MissingImage {
        container,
        image: name,
        reason,
        message,
        policy,
    } = image;
    let more = match others {
        0 => "does not get".to_owned(),
        1 => "and another Pod do not get".to_owned(),
        others => format!("and {others} more Pods do not get"),
    };
    let mut text = format!("{pod} (container {container}) {more} the image {name}: {reason}");
    if !message.is_empty() {
        text = format!("{text}: {message}");
    }
    match policy.as_str() {
        "Never" => text.push_str("; its imagePullPolicy is Never, so it is not pulled"),
        "Always" => text.push_str(
            "; its imagePullPolicy is Always (the default for `latest` and without a tag), so what is loaded into the nodes is not used",
        ),
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use wavetank_scenario::{LoadOptions, load_bytes};

    use super::*;
    use crate::{Options, check};

    const HOOK: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {argocd.argoproj.io/hook: PreSync}}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: 'team/migrate:1'}]}
";
    const ROLLOUT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'team/web:1'}]}
";

    /// A run of an object whose image is not there: simulated nodes say it as real ones do.
    fn run(spec: &str, object: &str) -> (Arc<Scenario>, RunOutcome) {
        let name = if object == ROLLOUT {
            "Deployment/web"
        } else {
            "Job/migrate"
        };
        let text = format!(
            "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: x}}\nspec:\n  \
             workloads: [{{match: {name}, hang: {{state: ImagePullBackOff}}}}]\n{spec}\n---\n{object}"
        );
        let loaded = load_bytes(
            Path::new("x.yaml"),
            text.as_bytes(),
            &LoadOptions::default(),
        );
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}\n{text}", problems.render(false)));
        let scenario = Arc::new(loaded.scenarios.into_iter().next().unwrap());
        let outcome = check(&scenario, Options::default());
        (scenario, outcome)
    }

    fn blamed_of(spec: &str, object: &str) -> RunOutcome {
        let (scenario, mut outcome) = run(spec, object);
        blame_images(&mut outcome, &scenario, "load it");
        outcome
    }

    fn blamed(spec: &str) -> RunOutcome {
        blamed_of(spec, HOOK)
    }

    #[test]
    fn a_run_that_cannot_settle_for_want_of_an_image_had_no_place_to_run_in() {
        let outcome = blamed("  expect: {operation: {phase: Succeeded}}");
        let Verdict::Unavailable { reason } = &outcome.verdict else {
            panic!("{:?}", outcome.verdict);
        };
        insta::assert_snapshot!(reason, @r#"
        Pod/migrate-897vf (container main) does not get the image team/migrate:1: ImagePullBackOff: Back-off pulling image "team/migrate:1"
        the run did not settle: stuck at 30.012s: the operation is Running, nothing more happens; it says: waiting for completion of hook batch/Job/migrate
        load it
        "#);
        assert_eq!(outcome.verdict.exit_code(), 4);
        assert!(outcome.explanation.waiting.is_some());
    }

    #[test]
    fn what_could_still_have_happened_is_no_failure() {
        let spec = "  expect: {order: [Deployment/web applied, Deployment/web healthy]}";
        let (_, before) = run(spec, ROLLOUT);
        assert_eq!(before.verdict.exit_code(), 1, "{:?}", before.verdict);
        let outcome = blamed_of(spec, ROLLOUT);
        let Verdict::Unavailable { reason } = &outcome.verdict else {
            panic!("{:?}", outcome.verdict);
        };
        assert!(
            reason.contains("could not happen: expect.order"),
            "{reason}"
        );
    }

    #[test]
    fn what_must_not_happen_is_a_failure_all_the_same() {
        let outcome = blamed(
            "  steps: [{sync: {until: Job/migrate created}}]\n  \
             expect: {operation: {phase: Running}, never: [Job/migrate created]}",
        );
        assert_eq!(outcome.verdict.exit_code(), 1, "{:?}", outcome.verdict);
        assert_eq!(outcome.warnings.len(), 1);
    }

    #[test]
    fn who_expects_it_passes_and_is_told() {
        let outcome = blamed(
            "  steps: [{sync: {until: Job/migrate created}}]\n  expect: {operation: {phase: Running}}",
        );
        assert_eq!(outcome.verdict, Verdict::Passed);
        assert!(
            outcome.warnings[0].contains("team/migrate:1"),
            "{:?}",
            outcome.warnings
        );
    }

    #[test]
    fn a_pod_that_went_without_its_image_is_told_of() {
        let outcome = blamed_of(
            "  expect: {operation: {phase: Failed}}",
            &HOOK.replace(
                "spec:\n  template",
                "spec:\n  activeDeadlineSeconds: 60\n  template",
            ),
        );
        assert_eq!(outcome.verdict, Verdict::Passed);
        assert_eq!(outcome.warnings.len(), 1, "{:?}", outcome.warnings);
    }

    #[test]
    fn without_such_a_pod_nothing_changes() {
        let (scenario, mut outcome) = run("  expect: {operation: {phase: Succeeded}}", HOOK);
        let trace = outcome.trace.as_mut().unwrap();
        trace
            .entries
            .retain(|entry| !matches!(&entry.event, Event::Api(api) if api.key.kind == "Pod"));
        let before = outcome.clone();
        blame_images(&mut outcome, &scenario, "load it");
        assert_eq!(outcome.verdict, before.verdict);
    }
}
