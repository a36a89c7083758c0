//! A bent view: how long it hides or ages what.

use std::collections::BTreeMap;

use wavetank_model::{ObjectKey, object};
use wavetank_scenario::FaultEffect;

use super::Armed;
use crate::view::Seen;

/// Objects by key, as a view shows them.
pub(super) type Shown = BTreeMap<ObjectKey, Seen>;

/// The passes for which one fault bends the view.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// What the last pass with a true view saw.
    seen: Shown,
    open: Option<Open>,
}

/// For how many more passes, this one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Passes(u32),
    Always,
}

impl Window {
    pub(super) fn new(seen: Shown) -> Self {
        Self { seen, open: None }
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Whether it is open and will close by itself.
    pub(super) fn is_open_for_now(&self) -> bool {
        matches!(self.open, Some(Open::Passes(_)))
    }

    /// What the view shows; `None`: the truth.
    pub(super) fn shown(&self, effect: &FaultEffect) -> Option<Shown> {
        self.open?;
        match effect {
            FaultEffect::Stale(_) => Some(self.seen.clone()),
            FaultEffect::Hide(_) => Some(Shown::new()),
            _ => None,
        }
    }
}

impl Armed {
    /// A pass begins while the view truly has `truth`; gives what is bent when the fault fires with it.
    ///
    /// `hide` fires when there is something to hide, `stale` when something changed since the last pass.
    pub(super) fn begin_pass(&mut self, truth: Shown) -> Option<ObjectKey> {
        if let Some(Open::Passes(passes)) = &mut self.window.open {
            *passes -= 1;
            if *passes == 0 {
                self.window.open = None;
            }
        }
        if self.window.open.is_some() {
            return None;
        }
        let (concerned, open) = match self.fault.effect {
            FaultEffect::Stale(passes) => {
                (differing(&self.window.seen, &truth), Open::Passes(passes))
            }
            FaultEffect::Hide(passes) => (
                truth.keys().cloned().collect(),
                passes.map_or(Open::Always, Open::Passes),
            ),
            _ => return None,
        };
        let fired = !concerned.is_empty() && self.hits();
        if fired {
            self.window.open = Some(open);
            return one_for_all(concerned);
        }
        self.window.seen = truth;
        None
    }
}

/// The objects of which one of two states knows another version.
fn differing(before: &Shown, now: &Shown) -> Vec<ObjectKey> {
    let version = |shown: &Shown, key: &ObjectKey| {
        shown
            .get(key)
            .map(|object| object::resource_version(object).to_owned())
    };
    let mut keys: Vec<ObjectKey> = before.keys().chain(now.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| version(before, key) != version(now, key));
    keys
}

/// The key itself, or with an empty name one that stands for its kind.
fn one_for_all(mut keys: Vec<ObjectKey>) -> Option<ObjectKey> {
    let mut key = keys.pop()?;
    if !keys.is_empty() {
        (key.namespace, key.name) = (String::new(), String::new());
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use wavetank_json::json;
    use wavetank_scenario::Fault;

    use super::*;

    fn armed(effect: FaultEffect, after: u32) -> Armed {
        Armed {
            name: "x".to_owned(),
            step: None,
            fault: Fault {
                name: None,
                verb: "view".to_owned(),
                target: Some("ConfigMap/a".parse().unwrap()),
                by: "engine".to_owned(),
                dry_run: None,
                after,
                times: Some(1),
                optional: false,
                effect,
            },
            active: true,
            passed: 0,
            hits: 0,
            to_drop: 0,
            window: Window::new(Shown::new()),
        }
    }

    fn truth(version: u32) -> Shown {
        let key = ObjectKey::new("", "ConfigMap", "shop", "a");
        let object = json!({"metadata": {"resourceVersion": version.to_string()}});
        Shown::from([(key, object.into())])
    }

    /// What three or more passes see: the version, or 0 for nothing.
    fn seen(armed: &mut Armed, versions: &[u32]) -> Vec<u32> {
        let passes = versions.iter().map(|version| {
            let now = if *version == 0 {
                Shown::new()
            } else {
                truth(*version)
            };
            armed.begin_pass(now.clone());
            let shown = armed.window.shown(&armed.fault.effect).unwrap_or(now);
            shown.values().next().map_or(0, |object| {
                object::resource_version(object).parse().unwrap()
            })
        });
        passes.collect()
    }

    #[test]
    fn hiding_begins_with_the_first_pass_that_has_the_object() {
        let mut hide = armed(FaultEffect::Hide(Some(2)), 0);
        assert_eq!(seen(&mut hide, &[0, 1, 1, 1]), [0, 0, 0, 1]);
        let mut later = armed(FaultEffect::Hide(None), 1);
        assert_eq!(seen(&mut later, &[1, 1, 2, 3]), [1, 0, 0, 0]);
    }

    #[test]
    fn a_stale_view_shows_what_the_pass_before_the_change_saw() {
        let mut stale = armed(FaultEffect::Stale(2), 1);
        assert_eq!(seen(&mut stale, &[0, 1, 1, 2, 3, 3]), [0, 1, 1, 1, 1, 3]);
    }
}
