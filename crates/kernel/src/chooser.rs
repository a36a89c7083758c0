//! Choice points: every place where a run may differ from the canonical one.

use std::collections::BTreeMap;

use crate::seed::{Rng, Seed};

/// A choice that was not the default: part of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How many choices were made before this one.
    pub index: u64,
    /// What was chosen about, as `watch/Job/3`.
    pub label: String,
    /// The option that was taken.
    pub taken: u32,
}

#[derive(Debug)]
enum Mode {
    Canonical,
    Last,
    Random(Seed, BTreeMap<String, Rng>),
    Replay(BTreeMap<u64, u32>),
}

/// Makes the choices of a run and remembers those that were not the default.
#[derive(Debug)]
pub struct Chooser {
    mode: Mode,
    made: u64,
    log: Vec<Choice>,
}

impl Chooser {
    /// Always takes the default.
    pub fn canonical() -> Self {
        Self::with(Mode::Canonical)
    }

    /// Always takes the last option.
    pub fn last() -> Self {
        Self::with(Mode::Last)
    }

    /// Draws each label from its own stream of `seed`.
    pub fn random(seed: Seed) -> Self {
        Self::with(Mode::Random(seed, BTreeMap::new()))
    }

    /// Takes what `schedule` says, and the default elsewhere.
    pub fn replay(schedule: &[Choice]) -> Self {
        Self::with(Mode::Replay(
            schedule
                .iter()
                .map(|choice| (choice.index, choice.taken))
                .collect(),
        ))
    }

    fn with(mode: Mode) -> Self {
        Self {
            mode,
            made: 0,
            log: Vec::new(),
        }
    }

    /// Takes one of `options` (numbered from 0); `default` is what the canonical run takes.
    ///
    /// An option of a replayed schedule that does not exist here becomes the last one.
    ///
    /// # Panics
    /// When there is no option, or the default is none of them: a bug of the caller.
    pub fn choose(&mut self, label: &str, options: u32, default: u32) -> u32 {
        assert!(
            default < options,
            "choice `{label}` has {options} options, default {default}"
        );
        let index = self.made;
        self.made += 1;
        let taken = match &mut self.mode {
            Mode::Canonical => default,
            Mode::Last => options - 1,
            Mode::Random(seed, streams) => {
                let seed = *seed;
                let rng = streams
                    .entry(label.to_owned())
                    .or_insert_with(|| seed.child(label).rng());
                u32::try_from(rng.below(u64::from(options))).unwrap_or(default)
            }
            Mode::Replay(schedule) => schedule
                .get(&index)
                .map_or(default, |taken| (*taken).min(options - 1)),
        };
        if taken != default {
            self.log.push(Choice {
                index,
                label: label.to_owned(),
                taken,
            });
        }
        taken
    }

    /// The choices so far that were not the default, in order.
    pub fn schedule(&self) -> &[Choice] {
        &self.log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_run_records_nothing() {
        let mut chooser = Chooser::canonical();
        assert_eq!(chooser.choose("a", 3, 1), 1);
        assert!(chooser.schedule().is_empty());
    }

    #[test]
    fn replaying_a_schedule_takes_the_same_options() {
        let run = |mut chooser: Chooser| {
            let taken: Vec<u32> = (0..40)
                .map(|n| chooser.choose(if n % 3 == 0 { "a" } else { "b" }, 4, 0))
                .collect();
            (taken, chooser.schedule().to_vec())
        };
        let (taken, schedule) = run(Chooser::random(Seed(5)));
        assert_eq!(run(Chooser::replay(&schedule)), (taken, schedule));
    }

    #[test]
    fn last_takes_the_last_option() {
        assert_eq!(Chooser::last().choose("a", 3, 0), 2);
    }
}
