//! Phases and waves as events, derived from what the engine notes.
//!
//! A wave starts with the first wet call of its run and completes when the next one is selected or the attempt
//! succeeds; it fails when the attempt fails and it was the last started. When SyncFail hooks start, the attempt has
//! failed in substance: the wave and phase that ran before them fail then, and SyncFail itself completes when all its
//! hooks did well.

use wavetank_model::{Phase, Verb, WaveNumber};
use wavetank_trace::Event;

/// The wave that runs.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    current: Option<(Phase, WaveNumber)>,
}

impl Progress {
    /// A wave's first wet call is about to be made.
    pub(crate) fn wave_started(&mut self, phase: Phase, wave: WaveNumber) -> Vec<Event> {
        if self.current == Some((phase, wave)) {
            return Vec::new();
        }
        let mut out = Vec::new();
        let verb = if phase == Phase::SyncFail {
            Verb::Failed
        } else {
            Verb::Completed
        };
        let same_phase = self.current.is_some_and(|(before, _)| before == phase);
        self.end(verb, !same_phase, &mut out);
        if !same_phase {
            out.push(Event::Phase {
                phase,
                verb: Verb::Started,
            });
        }
        out.push(Event::Wave {
            phase,
            wave,
            verb: Verb::Started,
        });
        self.current = Some((phase, wave));
        out
    }

    /// The attempt ended. `hooks_failed`: whether a SyncFail hook did not do well.
    pub(crate) fn attempt_ended(&mut self, succeeded: bool, hooks_failed: bool) -> Vec<Event> {
        let in_sync_fail = self
            .current
            .is_some_and(|(phase, _)| phase == Phase::SyncFail);
        let well = succeeded || (in_sync_fail && !hooks_failed);
        let mut out = Vec::new();
        self.end(
            if well { Verb::Completed } else { Verb::Failed },
            true,
            &mut out,
        );
        out
    }

    fn end(&mut self, verb: Verb, with_phase: bool, out: &mut Vec<Event>) {
        let Some((phase, wave)) = self.current.take() else {
            return;
        };
        out.push(Event::Wave { phase, wave, verb });
        if with_phase {
            out.push(Event::Phase { phase, verb });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(events: Vec<Event>) -> String {
        events
            .iter()
            .filter_map(|event| event.describe(""))
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn a_wave_completes_when_the_next_is_selected() {
        let mut progress = Progress::default();
        let wave = WaveNumber::Number;
        assert_eq!(
            text(progress.wave_started(Phase::PreSync, wave(0))),
            "PreSync started, PreSync/0 started"
        );
        assert_eq!(text(progress.wave_started(Phase::PreSync, wave(0))), "");
        assert_eq!(
            text(progress.wave_started(Phase::PreSync, wave(1))),
            "PreSync/0 completed, PreSync/1 started"
        );
        assert_eq!(
            text(progress.wave_started(Phase::Sync, wave(0))),
            "PreSync/1 completed, PreSync completed, Sync started, Sync/0 started"
        );
        assert_eq!(
            text(progress.attempt_ended(true, false)),
            "Sync/0 completed, Sync completed"
        );
    }

    #[test]
    fn sync_fail_hooks_fail_what_ran_before() {
        let mut progress = Progress::default();
        progress.wave_started(Phase::Sync, WaveNumber::Number(0));
        assert_eq!(
            text(progress.wave_started(Phase::SyncFail, WaveNumber::All)),
            "Sync/0 failed, Sync failed, SyncFail started, SyncFail/* started"
        );
        assert_eq!(
            text(progress.attempt_ended(false, false)),
            "SyncFail/* completed, SyncFail completed"
        );
    }
}
