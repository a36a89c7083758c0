//! What a Pod's own containers do, and when.

use wavetank_kernel::SimTime;
use wavetank_model::script::{Attempt, Behaviour, HangState, TimelineEntry};

use super::container::{Container, Exit};
use super::machine::Draw;
use crate::command::Run;
use crate::latency;

/// The script of one Pod.
#[derive(Clone, Debug)]
pub(crate) enum Conduct {
    /// What the commands say.
    Commands,
    /// One entry per run.
    Attempts {
        entries: Vec<Attempt>,
        /// Which entry the first run plays.
        first: usize,
    },
    /// Nothing, at that state.
    Hang(HangState),
    /// One entry after the other.
    Timeline {
        entries: Vec<TimelineEntry>,
        next: usize,
        /// When the next entry is due, once the first container has run.
        at: Option<SimTime>,
        ready: bool,
    },
}

impl Conduct {
    /// The conduct that a rule asks for; without one, that of the commands.
    pub(crate) fn of(behaviour: Option<(Behaviour, usize)>) -> Self {
        match behaviour {
            None => Self::Commands,
            Some((Behaviour::Attempts(entries), first)) => Self::Attempts { entries, first },
            Some((Behaviour::Hang(state), _)) => Self::Hang(state),
            Some((Behaviour::Timeline(mut entries), _)) => {
                // Status and patch entries are played on the matched object (see `timeline`).
                entries.retain(|entry| {
                    matches!(entry, TimelineEntry::Ready(_) | TimelineEntry::Crash { .. })
                });
                if entries.is_empty() {
                    Self::Commands
                } else {
                    Self::Timeline {
                        entries,
                        next: 0,
                        at: None,
                        ready: false,
                    }
                }
            }
        }
    }

    pub(crate) fn hangs(&self, state: HangState) -> bool {
        matches!(self, Self::Hang(hangs) if *hangs == state)
    }

    pub(crate) const fn is_timeline(&self) -> bool {
        matches!(self, Self::Timeline { .. })
    }

    /// Plans what a container does that started just now. The first container is the one that scripted crashes hit;
    /// `always` says that it is meant to run for ever.
    pub(crate) fn begin(
        &mut self,
        container: &mut Container,
        is_first: bool,
        always: bool,
        now: SimTime,
        draw: Draw<'_>,
    ) {
        match self {
            Self::Commands => {
                match container.command {
                    Some(Run::Ends { after, exit_code }) => {
                        container.exit_after(after, Exit::planned(exit_code, None, None), now);
                    }
                    None if !always => container.exit_after(
                        latency::UNKNOWN_COMMAND,
                        Exit::planned(0, None, None),
                        now,
                    ),
                    Some(Run::Forever) | None => {}
                }
                container.become_ready(now);
            }
            Self::Attempts { entries, first } => {
                let entry = *first + container.restarts as usize;
                match entries.get(entry).or(entries.last()) {
                    Some(Attempt::Succeed(delay)) => {
                        container.exit_after(draw(*delay), Exit::planned(0, None, None), now);
                    }
                    Some(Attempt::Fail {
                        after,
                        exit_code,
                        message,
                    }) => {
                        container.exit_after(
                            draw(*after),
                            Exit::planned(*exit_code, None, message.clone()),
                            now,
                        );
                    }
                    None => {}
                }
                container.become_ready(now);
            }
            // A server that hangs is never ready.
            Self::Hang(_) if always => {}
            Self::Hang(_) => container.become_ready(now),
            Self::Timeline {
                entries,
                next,
                at,
                ready,
            } => {
                container.ready = *ready;
                if !is_first {
                    return;
                }
                match (entries.get(*next), entries.last()) {
                    (Some(entry), _) => {
                        at.get_or_insert_with(|| now + draw(entry.after()));
                    }
                    // A script that ends in a crash crashes again and again.
                    (
                        None,
                        Some(TimelineEntry::Crash {
                            after,
                            reason,
                            exit_code,
                            message,
                        }),
                    ) => {
                        let exit = Exit::planned(*exit_code, Some(reason.clone()), message.clone());
                        container.exit_after(draw(*after), exit, now);
                    }
                    _ => {}
                }
            }
        }
    }

    /// When the next entry of a timeline is due.
    pub(crate) fn due(&self) -> Option<SimTime> {
        match self {
            Self::Timeline { at, .. } => *at,
            _ => None,
        }
    }

    /// Goes on in a timeline: the entry to be played now.
    pub(crate) fn next_entry(&mut self, now: SimTime, draw: Draw<'_>) -> Option<TimelineEntry> {
        let Self::Timeline {
            entries,
            next,
            at,
            ready,
        } = self
        else {
            return None;
        };
        let entry = entries.get(*next).cloned();
        *next += 1;
        *at = entries.get(*next).map(|entry| now + draw(entry.after()));
        *ready = matches!(entry, Some(TimelineEntry::Ready(_)));
        entry
    }

    /// Whether the script says something new about the run after `restarts` restarts.
    pub(crate) fn has_further_entry(&self, restarts: u32) -> bool {
        match self {
            Self::Commands | Self::Hang(_) => false,
            Self::Attempts { entries, first } => *first + (restarts as usize) < entries.len(),
            Self::Timeline { entries, next, .. } => *next < entries.len(),
        }
    }
}
