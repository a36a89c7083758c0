//! `waves`: exactly what the engine applied or pruned, a set per wave.

use std::collections::BTreeSet;

use wavetank_model::{ObjectKey, Phase, Reference, Verb, WaveNumber};
use wavetank_scenario::WaveItem;
use wavetank_trace::{Entry, Event, PlanTask};

use crate::judgement::{Answer, Failure};
use crate::matcher::References;
use crate::part::Part;

/// How many objects a text names before it counts the others.
const NAMED: usize = 8;

/// What was carried out in one wave without another wave between.
struct Run<'a> {
    phase: Phase,
    wave: WaveNumber,
    objects: BTreeSet<&'a ObjectKey>,
}

/// One wave of the expectation.
struct Wanted<'a> {
    /// Position in the list, from 1.
    position: usize,
    phase: Phase,
    wave: WaveNumber,
    objects: &'a [Reference],
    others: bool,
}

pub(crate) fn failures(items: Option<&[WaveItem]>, part: &Part<'_>) -> Vec<Failure> {
    let Some(items) = items else {
        return Vec::new();
    };
    let open = items.iter().any(|item| matches!(item, WaveItem::Any));
    let wanted: Vec<Wanted<'_>> = items.iter().enumerate().filter_map(wanted).collect();
    let plan = part
        .entries
        .iter()
        .rev()
        .find_map(|entry| match &entry.event {
            Event::Plan { tasks } => Some(tasks),
            _ => None,
        });
    let done = if part.operation().is_some() {
        carried_out(part.last_attempt())
    } else {
        Vec::new()
    };
    // A plan that was bound to an event of an operation does not hide what the operation did.
    let runs = match plan {
        Some(tasks) if done.is_empty() => planned(tasks),
        _ => done,
    };
    if open {
        subsequence(&wanted, &runs, part)
    } else {
        exact(&wanted, &runs, part)
    }
}

fn wanted((index, item): (usize, &WaveItem)) -> Option<Wanted<'_>> {
    match item {
        WaveItem::Any => None,
        WaveItem::Wave {
            phase,
            wave,
            objects,
            others,
        } => Some(Wanted {
            position: index + 1,
            phase: *phase,
            wave: *wave,
            objects,
            others: *others,
        }),
    }
}

/// What was applied and pruned, in order.
fn carried_out(entries: &[Entry]) -> Vec<Run<'_>> {
    let tasks = entries.iter().filter_map(|entry| match &entry.event {
        Event::Task(task) => Some(task),
        _ => None,
    });
    let wrote = tasks.filter(|task| {
        matches!(task.verb, Verb::Applied | Verb::Pruned)
            && !matches!(task.phase, Phase::PreDelete | Phase::PostDelete)
    });
    runs(wrote.map(|task| (task.phase, task.wave, &task.key)))
}

/// What a plan lists: its part has the list and no operation's acts.
fn planned(tasks: &[PlanTask]) -> Vec<Run<'_>> {
    runs(tasks.iter().map(|task| (task.phase, task.wave, &task.key)))
}

/// Tasks in their order; those of one phase and wave that follow each other are one run.
fn runs<'a>(tasks: impl Iterator<Item = (Phase, WaveNumber, &'a ObjectKey)>) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    for (phase, wave, key) in tasks {
        match runs.last_mut() {
            Some(run) if run.phase == phase && run.wave == wave => {
                run.objects.insert(key);
            }
            _ => runs.push(Run {
                phase,
                wave,
                objects: BTreeSet::from([key]),
            }),
        }
    }
    runs
}

/// The listed waves in this order, and nothing else.
fn exact(wanted: &[Wanted<'_>], runs: &[Run<'_>], part: &Part<'_>) -> Vec<Failure> {
    for (wanted, run) in wanted.iter().zip(runs) {
        if (wanted.phase, wanted.wave) != (run.phase, run.wave) {
            return vec![failure(Some(wanted), Some(run), String::new(), part)];
        }
        let difference = difference(wanted, run, wanted.others, part);
        if !difference.is_empty() {
            return vec![failure(Some(wanted), Some(run), difference, part)];
        }
    }
    let next = wanted.len().min(runs.len());
    match (wanted.get(next), runs.get(next)) {
        (None, None) => Vec::new(),
        (wanted, run) => vec![failure(wanted, run, String::new(), part)],
    }
}

/// The listed waves in this order, with anything between them and beside their objects.
fn subsequence(wanted: &[Wanted<'_>], runs: &[Run<'_>], part: &Part<'_>) -> Vec<Failure> {
    let mut rest = runs;
    for wanted in wanted {
        let same = |run: &&Run<'_>| (wanted.phase, wanted.wave) == (run.phase, run.wave);
        let fits = |run: &Run<'_>| same(&run) && difference(wanted, run, true, part).is_empty();
        if let Some(at) = rest.iter().position(fits) {
            rest = &rest[at + 1..];
        } else {
            let run = rest.iter().find(same).or_else(|| runs.iter().find(same));
            let difference = run
                .map(|run| difference(wanted, run, true, part))
                .unwrap_or_default();
            return vec![failure(Some(wanted), run, difference, part)];
        }
    }
    Vec::new()
}

/// What the run lacks, and what it has too much unless `others` are allowed.
fn difference(wanted: &Wanted<'_>, run: &Run<'_>, others: bool, part: &Part<'_>) -> String {
    let index = References::new(wanted.objects);
    let mut seen = vec![false; wanted.objects.len()];
    let mut unexpected = Vec::new();
    for key in &run.objects {
        let mut listed = false;
        for position in index
            .candidates(key)
            .filter(|position| wanted.objects[*position].matches(key, part.home))
        {
            seen[position] = true;
            listed = true;
        }
        if !listed && !others {
            unexpected.push(part.name(key));
        }
    }
    let missing: Vec<String> = seen
        .iter()
        .zip(wanted.objects)
        .filter(|(seen, _)| !**seen)
        .map(|(_, reference)| reference.to_string())
        .collect();
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("without {}", names(&missing)));
    }
    if !unexpected.is_empty() {
        parts.push(format!("also {}", names(&unexpected)));
    }
    parts.join("; ")
}

fn failure(
    wanted: Option<&Wanted<'_>>,
    run: Option<&Run<'_>>,
    difference: String,
    part: &Part<'_>,
) -> Failure {
    let item = wanted.map_or_else(
        || "after the last item".to_owned(),
        |wanted| format!("item {}", wanted.position),
    );
    let expected = wanted.map_or_else(
        || "no further wave".to_owned(),
        |wanted| {
            let mut objects: Vec<String> = wanted.objects.iter().map(ToString::to_string).collect();
            objects.extend(wanted.others.then(|| "*".to_owned()));
            format!("{}/{}: {}", wanted.phase, wanted.wave, names(&objects))
        },
    );
    let observed = run.map_or_else(
        || "no further wave".to_owned(),
        |run| {
            let objects: Vec<String> = run.objects.iter().map(|key| part.name(key)).collect();
            format!("{}/{}: {}", run.phase, run.wave, names(&objects))
        },
    );
    let observed = if difference.is_empty() {
        observed
    } else {
        format!("{observed} ({difference})")
    };
    let from = part.last_attempt().first().map_or(0, |entry| entry.seq);
    let excerpt = part.excerpt(from, u64::MAX, |event| match (event, run, wanted) {
        (Event::Task(task), Some(run), _) => (task.phase, task.wave) == (run.phase, run.wave),
        (Event::Task(_) | Event::Wave { .. }, None, _) => true,
        (Event::Wave { phase, wave, .. }, Some(run), wanted) => {
            (*phase, *wave) == (run.phase, run.wave)
                || wanted.is_some_and(|wanted| (*phase, *wave) == (wanted.phase, wanted.wave))
        }
        _ => false,
    });
    let answer = if run.is_none() {
        Answer::NotYet
    } else {
        Answer::Never
    };
    Failure {
        item,
        answer,
        expected,
        observed,
        excerpt,
    }
}

fn names(names: &[String]) -> String {
    if names.len() <= NAMED {
        return names.join(", ");
    }
    format!(
        "{} and {} more",
        names[..NAMED].join(", "),
        names.len() - NAMED
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wavetank_scenario::Expectations;

    use super::*;
    use crate::testing::{judged, trace};

    fn waves(items: &[(&str, &[&str])]) -> Expectations {
        let items = items.iter().map(|(place, objects)| {
            let Ok(wavetank_model::Subject::Wave(phase, wave)) = place.parse() else {
                return WaveItem::Any;
            };
            let others = objects.contains(&"*");
            let objects = objects
                .iter()
                .filter(|object| **object != "*")
                .map(|object| object.parse().unwrap());
            WaveItem::Wave {
                phase,
                wave,
                objects: objects.collect(),
                others,
            }
        });
        Expectations {
            waves: Some(items.collect()),
            ..Expectations::default()
        }
    }

    const RUN: &str = "
        0 operation started
        1 Job/old applied in PreSync/0 hook
        2 operation retrying: failed
        3 operation started
        4 Job/migrate applied in PreSync/0 hook
        5 ConfigMap/env applied in Sync/-1
        6 Service/web applied in Sync/0
        6 Deployment/web applied in Sync/0
        6 ConfigMap/bad rejected in Sync/0
        7 Pod/x pruned in Sync/1
        8 Job/smoke-1 applied in PostSync/0 hook
        9 operation succeeded: done";

    const LISTED: [(&str, &[&str]); 5] = [
        ("PreSync/0", &["Job/migrate"]),
        ("Sync/-1", &["ConfigMap/env"]),
        ("Sync/0", &["Deployment/web", "Service/web"]),
        ("Sync/1", &["Pod/x"]),
        ("PostSync/0", &["Job/smoke-*"]),
    ];

    #[test]
    fn the_last_attempt_is_listed_whole() {
        assert_eq!(judged(&waves(&LISTED), &trace(RUN)), "expect.waves: holds");
    }

    #[rstest]
    #[case::a_wave_is_left_out(&[("PreSync/0", &["Job/migrate"] as &[&str])], false)]
    #[case::an_object_is_left_out(&[("*", &[] as &[&str]), ("Sync/0", &["Service/web"])], true)]
    #[case::an_object_is_missing(&[("*", &[] as &[&str]), ("Sync/0", &["Service/other"])], false)]
    #[case::wrong_order(&[("*", &[] as &[&str]), ("Sync/1", &["Pod/x"]), ("Sync/0", &["Service/web"])], false)]
    #[case::nothing(&[], false)]
    #[case::anything(&[("*", &[] as &[&str])], true)]
    fn a_star_allows_more(#[case] items: &[(&str, &[&str])], #[case] holds: bool) {
        let text = judged(&waves(items), &trace(RUN));
        assert_eq!(text == "expect.waves: holds", holds, "{text}");
    }

    #[test]
    fn a_star_within_a_wave_allows_other_objects() {
        let mut items = LISTED;
        items[2] = ("Sync/0", &["Service/web", "*"]);
        assert_eq!(judged(&waves(&items), &trace(RUN)), "expect.waves: holds");
    }

    #[test]
    fn failures_name_the_difference() {
        let mut items = LISTED;
        items[2] = ("Sync/0", &["Deployment/web", "ConfigMap/bad"]);
        insta::assert_snapshot!(judged(&waves(&items), &trace(RUN)), @r"
        expect.waves, item 3
          expected  Sync/0: Deployment/web, ConfigMap/bad
          observed  Sync/0: Service/web, Deployment/web (without ConfigMap/bad; also Service/web)
               6.0s  Service/web applied (Sync/0)
               6.0s  Deployment/web applied (Sync/0)
               6.0s  ConfigMap/bad rejected (Sync/0)
        ");
        insta::assert_snapshot!(judged(&waves(&LISTED[..4]), &trace(RUN)), @r"
        expect.waves, after the last item
          expected  no further wave
          observed  PostSync/0: Job/smoke-1
               8.0s  Job/smoke-1 applied (PostSync/0)
        ");
        insta::assert_snapshot!(judged(&waves(&LISTED), &trace("0 operation started")), @r"
        expect.waves, item 1
          expected  PreSync/0: Job/migrate
          observed  no further wave
        ");
    }
}
