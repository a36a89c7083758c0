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
            Self::Auto => in_environment(|name| env::var(name).ok())
                .map_err(|text| Refused(format!("error: --shard auto finds {text}\n")).into()),
        }
    }
}

/// The shard that an environment names.
///
/// # Errors
/// What is missing in it.
fn in_environment(value: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let number = |name: &str| value(name)?.parse::<usize>().ok();
    let found = SYSTEMS.iter().find_map(|(index, count, first)| {
        Shard::new(number(index)?.checked_sub(*first)?, number(count)?)
    });
    found.ok_or_else(|| {
        let alone = SYSTEMS
            .iter()
            .find(|(index, count, _)| value(index).is_some() && value(count).is_none());
        if let Some((index, count, _)) = alone {
            return format!(
                "{index} in the environment, and not {count}\n  = it says how many shards there are"
            );
        }
        let names: Vec<String> = SYSTEMS
            .iter()
            .map(|(index, count, _)| format!("{index} and {count}"))
            .collect();
        let names = names.join(", ");
        format!("no shard in the environment\n  = it looks for {names}")
    })
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

    fn found(variables: &[(&str, &str)]) -> Result<Shard, String> {
        in_environment(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_ci_system_counts_in_its_own_way() {
        for (index, count, at) in [
            ("CI_NODE_INDEX", "CI_NODE_TOTAL", "2"),
            ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", "1"),
            (
                "BUILDKITE_PARALLEL_JOB",
                "BUILDKITE_PARALLEL_JOB_COUNT",
                "1",
            ),
            ("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", "2"),
            ("JOB_COMPLETION_INDEX", "WAVETANK_SHARDS", "1"),
        ] {
            let shard = found(&[(index, at), (count, "4")]);
            assert_eq!(shard, Ok(Shard { index: 1, count: 4 }), "{index}");
        }
    }

    #[test]
    fn an_environment_without_a_shard_says_what_is_missing() {
        let text = found(&[("JOB_COMPLETION_INDEX", "1")]).unwrap_err();
        assert!(text.contains("and not WAVETANK_SHARDS"), "{text}");
        let text = found(&[]).unwrap_err();
        assert!(text.starts_with("no shard"), "{text}");
        assert!(found(&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "2")]).is_err());
    }

    #[test]
    fn a_shard_is_one_of_its_count() {
        for text in ["0/3", "4/3", "3", "a/b", "1/0"] {
            assert!(text.parse::<ShardChoice>().is_err(), "{text}");
        }
    }
}
