//! Faults: bent requests, bent watch deliveries and a bent view (scenario format, section 6).
//!
//! [`Faults`] keeps what is armed and counts. The seam asks it about every request and leads the bodies of watches
//! through [`delivery`]; the controller tells it of every pass. The target knows nothing of it, so faults work on every
//! target. A fault is asked after those written before it: the first that answers or loses a request ends the round,
//! delays add up, and one that lets a request through counts it.

pub(crate) mod delivery;
pub(crate) mod request;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use wavetank_kernel::Clock;
use wavetank_model::{GroupKind, ObjectKey};
use wavetank_scenario::{Fault, FaultEffect, Scenario};
use wavetank_trace::Event;

use self::delivery::Delivery;
use self::request::Bent;
use self::window::Window;
use crate::recorder::Recorder;
use crate::view::{Bend, View};

/// A fault that never fired: the scenario fails with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfiredFault {
    /// Position in `steps`, from 0; `None` for a fault of the whole run.
    pub step: Option<usize>,
    /// Its name; given or `fault-N`.
    pub name: String,
    /// What it waited for, as `create Job/smoke`.
    pub on: String,
    /// How many it let through.
    pub passed: u32,
}

/// The faults of a run.
pub(crate) struct Faults {
    home: String,
    clock: Arc<dyn Clock>,
    recorder: Arc<Recorder>,
    view: Arc<View>,
    changed: Arc<Notify>,
    bends_deliveries: bool,
    /// Requests and deliveries that are held up.
    held_up: AtomicU32,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    armed: Vec<Armed>,
    /// Kinds of which the view missed something that only a new list brings.
    lost: BTreeSet<GroupKind>,
    /// Whether the last pass saw a bent view that will not stay bent.
    bent_for_now: bool,
}

/// A fault that was armed, and how far it is.
struct Armed {
    name: String,
    step: Option<usize>,
    fault: Fault,
    active: bool,
    /// How many it let through before it hits.
    passed: u32,
    hits: u32,
    /// Deliveries that it still drops.
    to_drop: u32,
    window: Window,
}

impl Armed {
    /// Counts one that matches; whether it is hit.
    fn hits(&mut self) -> bool {
        if self.passed < self.fault.after {
            self.passed += 1;
            return false;
        }
        if self.fault.times.is_some_and(|times| self.hits >= times) {
            return false;
        }
        self.hits += 1;
        true
    }
}

impl Faults {
    /// No fault is armed yet.
    pub(crate) fn new(
        scenario: &Scenario,
        clock: Arc<dyn Clock>,
        recorder: Arc<Recorder>,
        view: Arc<View>,
        changed: Arc<Notify>,
    ) -> Self {
        let of_steps = scenario.steps.iter().flat_map(|step| &step.faults);
        let bends_deliveries = scenario
            .faults
            .iter()
            .chain(of_steps)
            .any(|fault| fault.verb == "watch");
        Self {
            home: scenario.app.namespace.clone(),
            clock,
            recorder,
            view,
            changed,
            bends_deliveries,
            held_up: AtomicU32::new(0),
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms faults, those of step `step` or of the whole run; gives their numbers.
    pub(crate) fn arm(&self, faults: &[Fault], step: Option<usize>) -> Range<usize> {
        let mut inner = self.lock();
        let first = inner.armed.len();
        for fault in faults {
            let number = inner.armed.len() + 1;
            let name = fault
                .name
                .clone()
                .unwrap_or_else(|| format!("fault-{number}"));
            let seen = match (&fault.target, fault.verb.as_str()) {
                (Some(target), "view") => self.view.matching(target, &self.home),
                _ => BTreeMap::new(),
            };
            inner.armed.push(Armed {
                name,
                step,
                fault: fault.clone(),
                active: true,
                passed: 0,
                hits: 0,
                to_drop: 0,
                window: Window::new(seen),
            });
        }
        first..inner.armed.len()
    }

    /// Ends faults. What they hold up already comes when it was to come; the view tells the truth again.
    pub(crate) fn disarm(&self, numbers: Range<usize>) {
        if numbers.is_empty() {
            return;
        }
        let mut inner = self.lock();
        for armed in inner.armed.get_mut(numbers).into_iter().flatten() {
            armed.active = false;
            armed.window.close();
        }
        self.view.bend(inner.bends(&self.home));
    }

    /// The faults that never fired and are not optional.
    pub(crate) fn unfired(&self) -> Vec<UnfiredFault> {
        let inner = self.lock();
        let unfired = inner
            .armed
            .iter()
            .filter(|armed| armed.hits == 0 && !armed.fault.optional);
        unfired
            .map(|armed| UnfiredFault {
                step: armed.step,
                name: armed.name.clone(),
                on: describe(&armed.fault),
                passed: armed.passed,
            })
            .collect()
    }

    /// Whether something is held up that will come; or the view misses something that an operation or deletion, if
    /// `working`, waits for; or it is bent for passes that an operation, if `syncing`, will make.
    pub(crate) fn is_pending(&self, syncing: bool, working: bool) -> bool {
        if self.held_up.load(Ordering::Relaxed) > 0 {
            return true;
        }
        let inner = self.lock();
        (syncing && inner.bent_for_now) || (working && !inner.lost.is_empty())
    }

    /// Until it is dropped something is held up.
    fn hold_up(self: &Arc<Self>) -> HeldUp {
        self.held_up.fetch_add(1, Ordering::Relaxed);
        HeldUp(Arc::clone(self))
    }

    fn fired(&self, fired: Vec<String>, key: Option<&ObjectKey>) {
        for name in fired {
            let key = key.cloned();
            self.recorder.push(Event::Fault { name, key });
        }
    }

    /// Whether a fault of the run concerns the deliveries of watches: only then they are looked at.
    pub(crate) fn bends_deliveries(&self) -> bool {
        self.bends_deliveries
    }

    /// What becomes of the delivery of a change of `key`.
    fn delivery(&self, key: &ObjectKey) -> Delivery {
        let mut delivery = Delivery::Comes;
        let mut fired = Vec::new();
        let mut guard = self.lock();
        let Inner { armed, lost, .. } = &mut *guard;
        for armed in armed.iter_mut().filter(|armed| {
            let fault = &armed.fault;
            let meant = |target: &wavetank_model::Reference| target.matches(key, &self.home);
            armed.active && fault.verb == "watch" && fault.target.as_ref().is_some_and(meant)
        }) {
            if armed.to_drop > 0 {
                armed.to_drop -= 1;
                delivery = Delivery::Dropped;
                lost.insert(key.group_kind());
                break;
            }
            if !armed.hits() {
                continue;
            }
            fired.push(armed.name.clone());
            delivery = match armed.fault.effect {
                FaultEffect::Delay(time) => Delivery::Delayed(time),
                FaultEffect::DropEvents(count) => {
                    armed.to_drop = count.saturating_sub(1);
                    lost.insert(key.group_kind());
                    Delivery::Dropped
                }
                FaultEffect::Disconnect => Delivery::Disconnected,
                FaultEffect::Expire => Delivery::Expired,
                _ => continue,
            };
            break;
        }
        drop(guard);
        self.fired(fired, Some(key));
        delivery
    }

    /// The view has a fresh list of this kind.
    pub(crate) fn listed(&self, kind: &GroupKind) {
        if self.bends_deliveries && self.lock().lost.remove(kind) {
            self.changed.notify_waiters();
        }
    }

    /// A pass begins: the view is bent for it.
    pub(crate) fn begin_pass(&self) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let mut fired = Vec::new();
        inner.bent_for_now = false;
        for armed in inner
            .armed
            .iter_mut()
            .filter(|armed| armed.active && armed.fault.verb == "view")
        {
            let Some(target) = &armed.fault.target else {
                continue;
            };
            let truth = self.view.matching(target, &self.home);
            if let Some(key) = armed.begin_pass(truth) {
                fired.push((armed.name.clone(), key));
            }
            inner.bent_for_now |= armed.window.is_open_for_now();
        }
        self.view.bend(inner.bends(&self.home));
        drop(guard);
        for (name, key) in fired {
            self.fired(vec![name], Some(&key));
        }
    }

    /// What becomes of a request.
    pub(crate) fn request(&self, record: &wavetank_model::RequestRecord) -> Bent {
        let mut bent = Bent::default();
        let mut fired = Vec::new();
        let mut inner = self.lock();
        for armed in &mut inner.armed {
            let meant = armed.active && request::matches(&armed.fault, record, &self.home);
            if meant && armed.hits() {
                fired.push(armed.name.clone());
                if bent.take(&armed.fault.effect) {
                    break;
                }
            }
        }
        drop(inner);
        self.fired(fired, record.key.as_ref());
        bent
    }
}

impl Inner {
    /// What the view shows in place of the truth.
    fn bends(&self, home: &str) -> Vec<Bend> {
        let active = self.armed.iter().filter(|armed| armed.active);
        let bends = active.filter_map(|armed| {
            let target = armed.fault.target.clone()?;
            let shown = armed.window.shown(&armed.fault.effect)?;
            let home = home.to_owned();
            Some(Bend {
                target,
                home,
                shown,
            })
        });
        bends.collect()
    }
}

/// Something is held up.
struct HeldUp(Arc<Faults>);

impl Drop for HeldUp {
    fn drop(&mut self) {
        self.0.held_up.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

/// `create Job/smoke`, as it was written.
fn describe(fault: &Fault) -> String {
    match &fault.target {
        Some(target) => format!("{} {}", fault.verb, target.to_string().replace("/*/*", "")),
        None => fault.verb.clone(),
    }
}
