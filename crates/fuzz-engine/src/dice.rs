//! Drawing.

use wavetank_kernel::{Rng, Seed};

/// Draws from one stream.
pub(crate) struct Dice(Rng);

impl Dice {
    pub(crate) fn new(seed: Seed) -> Self {
        Self(seed.rng())
    }

    /// True in `percent` of a hundred draws.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    /// One of some; the slice is not empty.
    pub(crate) fn pick<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        &options[self.index(options.len())]
    }

    /// A place in a list of `length`, which is not 0.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).unwrap_or(u64::MAX);
        usize::try_from(self.0.below(bound)).unwrap_or_default()
    }

    /// One of some, by weight; the slice is not empty and weighs something.
    pub(crate) fn weighted<'a, T>(&mut self, options: &'a [(u64, T)]) -> &'a T {
        let total = options.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.0.below(total);
        for (weight, option) in options {
            if drawn < *weight {
                return option;
            }
            drawn -= weight;
        }
        &options[0].1
    }

    /// Some of a list, in its order: each with `percent` of a hundred.
    pub(crate) fn some(&mut self, options: &[&str], percent: u64) -> Vec<String> {
        options
            .iter()
            .filter(|_| self.chance(percent))
            .map(|option| (*option).to_owned())
            .collect()
    }
}
