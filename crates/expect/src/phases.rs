//! `phases`: exactly which phases ran.

use wavetank_model::Phase;
use wavetank_trace::{Entry, Event};

use crate::judgement::{Answer, Failure};
use crate::part::Part;

/// A phase ran when it started, ended or carried out a task within the part.
pub(crate) fn failures(wanted: Option<&[Phase]>, part: &Part<'_>) -> Vec<Failure> {
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let syncs = part.operation().is_some();
    let entries = if syncs {
        part.last_attempt()
    } else {
        part.entries
    };
    let ran = ran(entries, syncs);
    if ran == wanted {
        return Vec::new();
    }
    let excerpt = part.excerpt(
        entries.first().map_or(0, |entry| entry.seq),
        u64::MAX,
        |event| matches!(event, Event::Phase { .. }) || matches!(event, Event::Operation(_)),
    );
    let answer = if wanted.starts_with(&ran) {
        Answer::NotYet
    } else {
        Answer::Never
    };
    let observed = if ran.is_empty() {
        "none".to_owned()
    } else {
        list(&ran)
    };
    let expected = if wanted.is_empty() {
        "none".to_owned()
    } else {
        list(wanted)
    };
    vec![Failure {
        item: String::new(),
        answer,
        expected,
        observed,
        excerpt,
    }]
}

/// The phases of a sync, or of a deletion, that ran, in the order in which they are first heard of.
fn ran(entries: &[Entry], syncs: bool) -> Vec<Phase> {
    let mut ran = Vec::new();
    for entry in entries {
        let phase = match &entry.event {
            Event::Phase { phase, .. } | Event::Wave { phase, .. } => *phase,
            Event::Task(task) => task.phase,
            _ => continue,
        };
        if matches!(phase, Phase::PreDelete | Phase::PostDelete) != syncs && !ran.contains(&phase) {
            ran.push(phase);
        }
    }
    ran
}

fn list(phases: &[Phase]) -> String {
    phases
        .iter()
        .map(|phase| phase.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use wavetank_scenario::Expectations;

    use super::*;
    use crate::testing::{judged, trace};

    fn phases(phases: &[Phase]) -> Expectations {
        Expectations {
            phases: Some(phases.to_vec()),
            ..Expectations::default()
        }
    }

    #[test]
    fn those_of_the_last_attempt_count() {
        let run = trace(
            "0 operation started
             1 PreSync started
             2 SyncFail started
             3 operation started
             4 PreSync started
             5 PreSync completed
             6 Sync started
             7 operation succeeded
             8 PreDelete started",
        );
        assert_eq!(
            judged(&phases(&[Phase::PreSync, Phase::Sync]), &run),
            "expect.phases: holds"
        );
        insta::assert_snapshot!(judged(&phases(&[Phase::PreSync, Phase::Sync, Phase::PostSync]), &run), @r"
        expect.phases
          expected  PreSync, Sync, PostSync
          observed  PreSync, Sync
               3.0s  operation started
               4.0s  PreSync started
               5.0s  PreSync completed
               6.0s  Sync started
               7.0s  operation succeeded
               8.0s  PreDelete started
        ");
    }

    #[test]
    fn without_an_operation_those_of_the_deletion_count() {
        let run = trace("1 PreDelete started\n2 PostDelete started");
        assert_eq!(
            judged(&phases(&[Phase::PreDelete, Phase::PostDelete]), &run),
            "expect.phases: holds"
        );
    }
}
