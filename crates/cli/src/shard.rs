//! One part of a suite: `--shard 2/5`, or what the CI system says.

use std::env;
use std::str::FromStr;

use crate::load::Refused;

/// Which part of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 0.
    index: usize,
    count: usize,
}

/// What `--shard` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardChoice {
    /// This one.
    Given(Shard),
    /// The one the environment names.
    Auto,
}

/// Variables of CI systems: index, count, and the first index.
const SYSTEMS: [(&str, &str, usize); 5] = [
    // GitLab
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    // CircleCI
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    // Buildkite
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    // Azure Pipelines
    ("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", 1),
    // Indexed Jobs of Kubernetes, which do not tell how many they are
    ("JOB_COMPLETION_INDEX", "WAVETANK_SHARDS", 0),
];

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let wrong = || format!("a shard reads `2/5` or `auto`, this is `{text}`");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let index: usize = index.parse().map_err(|_| wrong())?;
        let count = count.parse().map_err(|_| wrong())?;
        let index = index.checked_sub(1).ok_or_else(wrong)?;
        Shard::new(index, count).map(Self::Given).ok_or_else(wrong)
    }
}

impl ShardChoice {
    /// The shard it means.
    ///
    /// # Errors
    /// [`Refused`] when the environment says nothing.
    pub(crate) fn find(self) -> anyhow::Result<Shard> {
        match self {
            Self::Given(shard) => Ok(shard),
            Self::Auto => {
                let number = |name: &str| env::var(name).ok()?.parse::<usize>().ok();
                SYSTEMS
                    .iter()
                    .find_map(|(index, count, first)| {
                        Shard::new(number(index)?.checked_sub(*first)?, number(count)?)
                    })
                    .ok_or_else(|| {
                        let names: Vec<String> = SYSTEMS
                            .iter()
                            .map(|(index, count, _)| format!("{index} and {count}"))
                            .collect();
                        let text = format!(
                            "error: --shard auto finds no shard in the environment\n  = it looks for {}\n",
                            names.join(", ")
                        );
                        Refused(text).into()
                    })
            }
        }
    }
}

impl Shard {
    fn new(index: usize, count: usize) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// The items of this shard, evenly spread: neighbours tend to take equally long.
    pub(crate) fn pick<T>(self, items: Vec<T>) -> Vec<T> {
        items
            .into_iter()
            .enumerate()
            .filter(|(number, _)| number % self.count == self.index)
            .map(|(_, item)| item)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_every_item_once() {
        let mut all = Vec::new();
        for text in ["1/3", "2/3", "3/3"] {
            let ShardChoice::Given(shard) = text.parse().unwrap() else {
                panic!("{text} is given");
            };
            all.extend(shard.pick((0..10).collect()));
        }
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_shard_is_one_of_its_count() {
        for text in ["0/3", "4/3", "3", "a/b", "1/0"] {
            assert!(text.parse::<ShardChoice>().is_err(), "{text}");
        }
    }
}
