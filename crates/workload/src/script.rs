//! Which rule acts on an object (scenario format, section 5).

use std::collections::BTreeMap;
use std::time::Duration;

use wavetank_json::Value;
use wavetank_kernel::{Chooser, Rng, Seed};
use wavetank_model::script::{Behaviour, Delay, Rule};
use wavetank_model::{Api, ObjectKey, object};

/// How far up a Pod's owners are followed: Pod, `ReplicaSet`, Deployment and room for custom kinds.
const OWNERS: usize = 5;

/// The rules of a run.
#[derive(Debug)]
pub(crate) struct Scripts {
    rules: Vec<Rule>,
    home: String,
    /// How many Pods of an object played an entry of a rule's `attempts`.
    played: BTreeMap<(usize, ObjectKey), usize>,
}

impl Scripts {
    pub(crate) fn new(rules: Vec<Rule>, home: String) -> Self {
        Self {
            rules,
            home,
            played: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that matches the object by itself.
    pub(crate) fn of(&self, key: &ObjectKey, generation: i64) -> Option<(usize, &Rule)> {
        self.rules
            .iter()
            .enumerate()
            .find(|(_, rule)| self.fits(rule, key, generation))
    }

    /// The rule of that number.
    pub(crate) fn rule(&self, number: usize) -> Option<(usize, &Rule)> {
        Some((number, self.rules.get(number)?))
    }

    /// Whether a rule plays a timeline on the object itself, so that nobody else writes its status.
    pub(crate) fn plays(&self, key: &ObjectKey, object: &Value) -> bool {
        !self.rules.is_empty()
            && self
                .of(key, object::generation(object))
                .is_some_and(|(_, rule)| crate::timeline::plays(rule))
    }

    /// What a Pod is to do: the first rule that matches it or an owner, and the number of this Pod among those of the
    /// matched object, in the order they are asked for.
    pub(crate) fn for_pod(
        &mut self,
        api: &dyn Api,
        key: &ObjectKey,
        pod: &Value,
    ) -> Option<(Behaviour, usize)> {
        if self.rules.is_empty() {
            return None;
        }
        let chain = owners(api, key, pod);
        let (number, rule, matched) =
            self.rules.iter().enumerate().find_map(|(number, rule)| {
                let (matched, _) = chain
                    .iter()
                    .find(|(key, generation)| self.fits(rule, key, *generation))?;
                Some((number, rule, matched))
            })?;
        let behaviour = rule.behaviour.clone()?;
        let played = self.played.entry((number, matched.clone())).or_default();
        *played += 1;
        Some((behaviour, *played - 1))
    }

    fn fits(&self, rule: &Rule, key: &ObjectKey, generation: i64) -> bool {
        rule.generation.is_none_or(|from| generation >= from)
            && rule.matches.matches(key, &self.home)
    }
}

/// The Pod and its controllers with their generations, from the bottom up.
fn owners(api: &dyn Api, key: &ObjectKey, pod: &Value) -> Vec<(ObjectKey, i64)> {
    let mut chain = vec![(key.clone(), object::generation(pod))];
    let mut next = owner_key(key, pod);
    while let Some(key) = next.take().filter(|_| chain.len() < OWNERS) {
        let owner = api.get(&key);
        next = owner.as_deref().and_then(|owner| owner_key(&key, owner));
        chain.push((key, owner.as_deref().map_or(0, object::generation)));
    }
    chain
}

/// The key of the object's managing controller, which is in the same namespace.
pub(crate) fn owner_key(key: &ObjectKey, object: &Value) -> Option<ObjectKey> {
    let owner = object::controller(object)?;
    let (group, _) = wavetank_model::key::split_api_version(owner.api_version);
    Some(ObjectKey::new(
        group,
        owner.kind,
        key.namespace.clone(),
        owner.name,
    ))
}

/// Draws what a scenario leaves to chance.
#[derive(Debug)]
pub(crate) struct Chance {
    rng: Rng,
}

impl Chance {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            rng: seed.child("jitter").rng(),
        }
    }

    /// The time a delay takes. The default is drawn from the seed; a schedule can ask for the shortest or the longest.
    pub(crate) fn draw(&mut self, delay: Delay, chooser: &mut Chooser) -> Duration {
        if delay.jitter.is_zero() {
            return delay.after;
        }
        let drawn = self.seeded(delay);
        match chooser.choose("workload/jitter", 3, 0) {
            0 => drawn,
            1 => delay.after,
            _ => delay.after + delay.jitter,
        }
    }

    /// The time a delay takes, from the seed alone.
    pub(crate) fn seeded(&mut self, delay: Delay) -> Duration {
        let millis = u64::try_from(delay.jitter.as_millis()).unwrap_or(u64::MAX - 1);
        if millis == 0 {
            delay.after
        } else {
            delay.after + Duration::from_millis(self.rng.below(millis + 1))
        }
    }
}
