//! How many Pods each `ReplicaSet` of a Deployment is to have.

use wavetank_json::Value;
use wavetank_model::{Status, object};

use super::revision::{DESIRED, MAX};
use super::{Rollout, SOURCE, age, counter, wanted};
use crate::context::{Context, MANAGER};
use crate::events::Kind;
use crate::read::text;

fn annotated(set: &Value, annotation: &str) -> Option<i64> {
    object::annotation(set, annotation)?.parse().ok()
}

impl Rollout {
    /// Writes a set's replicas with its scaling annotations; false when there was nothing to write.
    pub(super) fn scale(
        &mut self,
        index: usize,
        replicas: i64,
        context: &mut Context<'_>,
    ) -> Result<bool, Status> {
        let set = &self.sets[index];
        if wanted(set) == replicas {
            return Ok(false);
        }
        self.write_scale(index, replicas, context)?;
        Ok(true)
    }

    fn write_scale(
        &mut self,
        index: usize,
        replicas: i64,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let (desired, max) = (self.replicas(), self.replicas() + self.max_surge());
        let mut set = Value::clone(&self.sets[index]);
        let before = wanted(&set);
        set["spec"]["replicas"] = replicas.into();
        set["metadata"]["annotations"][DESIRED] = desired.to_string().into();
        set["metadata"]["annotations"][MAX] = max.to_string().into();
        self.sets[index] = context.api.update(MANAGER, set, "")?;
        if before != replicas {
            let way = if before < replicas { "up" } else { "down" };
            let name = object::name(&self.sets[index]);
            context.event(
                SOURCE,
                &self.deployment,
                Kind::Normal,
                "ScalingReplicaSet",
                format_args!("Scaled {way} replica set {name} from {before} to {replicas}"),
            );
        }
        Ok(())
    }

    fn total_wanted(&self) -> i64 {
        self.sets.iter().map(|set| wanted(set)).sum()
    }

    /// How many Pods the new set may have, which has `current` now.
    pub(super) fn new_replicas(&self, current: i64) -> i64 {
        let replicas = self.replicas();
        if text(&self.deployment, &["spec", "strategy", "type"]) == "Recreate" {
            return replicas;
        }
        let room = replicas + self.max_surge() - self.total_wanted();
        if room <= 0 {
            current
        } else {
            current + room.min(replicas - current)
        }
    }

    /// Scales the new set towards the Deployment's replicas; true when it was changed.
    pub(super) fn scale_new(&mut self, context: &mut Context<'_>) -> Result<bool, Status> {
        let Some(new) = self.new else {
            return Ok(false);
        };
        let (current, replicas) = (wanted(&self.sets[new]), self.replicas());
        if current == replicas {
            return Ok(false);
        }
        let target = if current > replicas {
            replicas
        } else {
            self.new_replicas(current)
        };
        self.scale(new, target, context)
    }

    /// Scales old sets down as far as availability allows; true when one was changed.
    pub(super) fn scale_old(&mut self, context: &mut Context<'_>) -> Result<bool, Status> {
        let old = self.old_active();
        if old.is_empty() {
            return Ok(false);
        }
        let least = self.replicas() - self.max_unavailable();
        let new_unavailable = self
            .new_set()
            .map_or(0, |set| wanted(set) - counter(set, "availableReplicas"));
        let most = self.total_wanted() - least - new_unavailable;
        if most <= 0 {
            return Ok(false);
        }
        // Pods that are not available go first: taking them costs nothing.
        let mut removed = 0;
        for index in &old {
            let (wants, available) = (
                wanted(&self.sets[*index]),
                counter(&self.sets[*index], "availableReplicas"),
            );
            let broken = (wants - available).min(most - removed);
            if broken > 0 {
                self.scale(*index, wants - broken, context)?;
                removed += broken;
            }
        }
        let available: i64 = self
            .sets
            .iter()
            .map(|set| counter(set, "availableReplicas"))
            .sum();
        let mut spare = available - least;
        for index in old {
            let wants = wanted(&self.sets[index]);
            let step = wants.min(spare);
            if step > 0 {
                self.scale(index, wants - step, context)?;
                spare -= step;
                removed += step;
            }
        }
        Ok(removed > 0)
    }

    /// Whether the Deployment's replicas changed since its sets were last scaled.
    pub(super) fn is_rescaled(&self) -> bool {
        let replicas = self.replicas();
        self.sets
            .iter()
            .filter(|set| wanted(set) > 0)
            .any(|set| annotated(set, DESIRED).is_some_and(|desired| desired != replicas))
    }

    /// Brings a changed number of replicas to the sets; during a rollout each gets its share.
    pub(super) fn rescale(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        let active: Vec<usize> = (0..self.sets.len())
            .filter(|index| wanted(&self.sets[*index]) > 0)
            .collect();
        let replicas = self.replicas();
        let only = match active.as_slice() {
            [] => self
                .new
                .or_else(|| (0..self.sets.len()).max_by_key(|index| age(&self.sets[*index]))),
            [only] => Some(*only),
            _ => None,
        };
        if let Some(only) = only {
            self.scale(only, replicas, context)?;
            return Ok(());
        }
        let saturated = self.new_set().is_some_and(|set| {
            wanted(set) == replicas
                && annotated(set, DESIRED) == Some(replicas)
                && counter(set, "availableReplicas") == replicas
        });
        if saturated {
            for index in self.old_active() {
                self.scale(index, 0, context)?;
            }
        } else if text(&self.deployment, &["spec", "strategy", "type"]) != "Recreate" {
            self.share_out(active, context)?;
        }
        Ok(())
    }

    /// Gives each active set its share of the change, the largest first (newest first when scaling up).
    fn share_out(
        &mut self,
        mut active: Vec<usize>,
        context: &mut Context<'_>,
    ) -> Result<(), Status> {
        let replicas = self.replicas();
        let allowed = if replicas > 0 {
            replicas + self.max_surge()
        } else {
            0
        };
        let total: i64 = active.iter().map(|index| wanted(&self.sets[*index])).sum();
        let change = allowed - total;
        active.sort_by_key(|index| age(&self.sets[*index]));
        if change > 0 {
            active.reverse();
        }
        active.sort_by_key(|index| std::cmp::Reverse(wanted(&self.sets[*index])));
        let mut left = change;
        let mut targets: Vec<(usize, i64)> = Vec::new();
        for index in &active {
            let set = &self.sets[*index];
            let current = wanted(set);
            let base = annotated(set, MAX)
                .filter(|max| *max > 0)
                .unwrap_or(replicas.max(1));
            // Rounded half up, as far as there is something left to share.
            let fair = (2 * current * allowed + base).div_euclid(2 * base) - current;
            let part = if change > 0 {
                fair.clamp(0, left)
            } else {
                fair.clamp(left, 0)
            };
            left -= part;
            targets.push((*index, current + part));
        }
        if let Some((_, first)) = targets.first_mut() {
            *first = (*first + left).max(0);
        }
        for (index, target) in targets {
            let stale = annotated(&self.sets[index], DESIRED) != Some(replicas);
            if wanted(&self.sets[index]) != target || stale {
                self.write_scale(index, target, context)?;
            }
        }
        Ok(())
    }
}
