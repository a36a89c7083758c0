//! Scripted timelines and deletions of objects that make no Pods (scenario format, section 5).

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::script::{Behaviour, Delay, Deletion, Rule, TimelineEntry};
use wavetank_model::{ObjectKey, PatchType, Status, object};

use crate::context::{Again, Context};

/// The manager of scripted writes.
pub(crate) const MANAGER: &str = "wavetank-workload";
/// The finalizer that holds scripted deletions up.
pub(crate) const FINALIZER: &str = "wavetank.dev/deletion";

/// Where an object stands in its timeline.
#[derive(Clone, Debug)]
struct Position {
    uid: String,
    generation: i64,
    rule: usize,
    next: usize,
    at: SimTime,
}

/// The timelines that are being played, and the deletions that are held up.
#[derive(Debug, Default)]
pub(crate) struct Timelines {
    positions: BTreeMap<Arc<ObjectKey>, Position>,
    /// When a held deletion is let go.
    holds: BTreeMap<Arc<ObjectKey>, SimTime>,
    /// Rules whose `until` event happened.
    released: Vec<usize>,
}

/// The entries of a rule's timeline that are played on the matched object itself.
fn entries(rule: &Rule) -> Vec<&TimelineEntry> {
    match &rule.behaviour {
        Some(Behaviour::Timeline(entries)) => entries
            .iter()
            .filter(|entry| {
                matches!(
                    entry,
                    TimelineEntry::Status { .. } | TimelineEntry::Patch { .. }
                )
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a rule plays a timeline on the matched object itself.
pub(crate) fn plays(rule: &Rule) -> bool {
    !entries(rule).is_empty()
}

/// Whether a rule says something about the matched object itself.
pub(crate) fn concerns(rule: &Rule) -> bool {
    rule.deletion.is_some() || !entries(rule).is_empty()
}

impl Timelines {
    /// The `until` event of a rule happened; gives whose deletions it holds.
    pub(crate) fn release(&mut self, rule: usize) -> Vec<Arc<ObjectKey>> {
        if !self.released.contains(&rule) {
            self.released.push(rule);
        }
        self.holds.keys().map(Arc::clone).collect()
    }

    /// An object is gone.
    pub(crate) fn forget(&mut self, key: &Arc<ObjectKey>) {
        self.positions.remove(key);
        self.holds.remove(key);
    }

    /// Plays what is due of an object's timeline. It begins anew each time the generation rises.
    pub(crate) fn play(
        &mut self,
        key: &Arc<ObjectKey>,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        let Some(object) = context
            .api
            .get(key)
            .filter(|object| !object::is_terminating(object))
        else {
            return Ok(Again::Never);
        };
        let (uid, generation) = (object::uid(&object), object::generation(&object));
        // A write of its own may raise the generation, and be seen later: it brings no other rule either.
        let same = |position: &&Position| position.uid == uid && position.generation >= generation;
        let known = self.positions.get(key).filter(same).cloned();
        let found = match &known {
            Some(position) => context.scripts.rule(position.rule),
            None => context.scripts.of(key, generation),
        };
        let Some((number, rule)) = found else {
            return Ok(Again::Never);
        };
        let entries = entries(rule);
        let mut position = if let Some(position) = known {
            position
        } else {
            let Some(first) = entries.first() else {
                return Ok(Again::Never);
            };
            let at = context.now + context.chance.draw(first.after(), context.chooser);
            Position {
                uid: uid.to_owned(),
                generation,
                rule: number,
                next: 0,
                at,
            }
        };
        let mut writes = Vec::new();
        while let Some(entry) = entries
            .get(position.next)
            .filter(|_| position.at <= context.now)
        {
            writes.push((*entry).clone());
            position.next += 1;
            if let Some(next) = entries.get(position.next) {
                position.at += context.chance.draw(next.after(), context.chooser);
            }
        }
        let again = if position.next < entries.len() {
            Again::work(position.at)
        } else {
            Again::Never
        };
        for entry in writes {
            // A write of its own does not start the timeline again.
            position.generation = position.generation.max(write(key, &entry, context)?);
        }
        self.positions.insert(Arc::clone(key), position);
        Ok(again)
    }

    /// Puts the finalizer of a `deletion` rule on a new object, and takes it off when the rule says so.
    pub(crate) fn hold(
        &mut self,
        key: &Arc<ObjectKey>,
        context: &mut Context<'_>,
    ) -> Result<Again, Status> {
        let Some(object) = context.api.get(key) else {
            return Ok(Again::Never);
        };
        let Some((number, rule)) = context.scripts.of(key, object::generation(&object)) else {
            return Ok(Again::Never);
        };
        let Some(deletion) = rule.deletion.clone() else {
            return Ok(Again::Never);
        };
        let held = object::finalizers(&object).any(|finalizer| finalizer == FINALIZER);
        if !object::is_terminating(&object) {
            if !held {
                set_finalizers(key, &object, true, context)?;
            }
            return Ok(Again::Never);
        }
        if !held {
            return Ok(Again::Never);
        }
        let at = match deletion {
            Deletion::Never => None,
            Deletion::Until(_) => {
                self.holds.insert(Arc::clone(key), SimTime::MAX);
                self.released.contains(&number).then_some(context.now)
            }
            Deletion::After(delay) => Some(self.held_until(key, delay, context)),
        };
        match at {
            None => Ok(Again::Never),
            Some(at) if at > context.now => Ok(Again::work(at)),
            Some(_) => {
                set_finalizers(key, &object, false, context)?;
                Ok(Again::Never)
            }
        }
    }

    fn held_until(
        &mut self,
        key: &Arc<ObjectKey>,
        delay: Delay,
        context: &mut Context<'_>,
    ) -> SimTime {
        if let Some(at) = self.holds.get(key) {
            return *at;
        }
        let at = context.now + context.chance.draw(delay, context.chooser);
        self.holds.insert(Arc::clone(key), at);
        at
    }
}

fn set_finalizers(
    key: &ObjectKey,
    object: &Value,
    held: bool,
    context: &mut Context<'_>,
) -> Result<(), Status> {
    let mut finalizers: Vec<&str> = object::finalizers(object)
        .filter(|finalizer| *finalizer != FINALIZER)
        .collect();
    if held {
        finalizers.push(FINALIZER);
    }
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": object::resource_version(object)}});
    context
        .api
        .patch(MANAGER, key, "", PatchType::Merge, patch)?;
    Ok(())
}

/// Carries one entry out; gives the object's generation afterwards.
fn write(key: &ObjectKey, entry: &TimelineEntry, context: &mut Context<'_>) -> Result<i64, Status> {
    let written =
        match entry {
            TimelineEntry::Patch { patch, .. } => {
                context
                    .api
                    .patch(MANAGER, key, "", PatchType::Merge, patch.clone())?
            }
            TimelineEntry::Status {
                patch,
                observe_generation,
                ..
            } => {
                let mut status = patch.clone();
                if *observe_generation && let Some(object) = context.api.get(key) {
                    status["observedGeneration"] = object::generation(&object).into();
                }
                let patch = json!({"status": status});
                match context
                    .api
                    .patch(MANAGER, key, "status", PatchType::Merge, patch.clone())
                {
                    // A kind without status subresource has its status in the object.
                    Err(refusal) if refusal.code == 404 || refusal.code == 405 => context
                        .api
                        .patch(MANAGER, key, "", PatchType::Merge, patch)?,
                    outcome => outcome?,
                }
            }
            TimelineEntry::Ready(_) | TimelineEntry::Crash { .. } => return Ok(0),
        };
    Ok(object::generation(&written))
}
