//! What a controller works with while it looks at an object.

use wavetank_kernel::{Chooser, Load, SimTime};
use wavetank_model::Api;

use crate::claim::Claims;
use crate::config::Config;
use crate::events::Events;
use crate::role::Role;
use crate::script::{Chance, Scripts};

/// The manager of the controllers' writes.
pub const MANAGER: &str = "kube-controller-manager";

/// When a controller wants to look again at an object that does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    At(SimTime, Load),
}

impl Again {
    /// Work at `at`.
    pub(crate) const fn work(at: SimTime) -> Self {
        Self::At(at, Load::Work)
    }

    /// The earlier of two wishes; work stays work.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, again) | (again, Self::Never) => again,
            (Self::At(at, load), Self::At(other_at, other_load)) => {
                Self::At(at.min(other_at), load.min(other_load))
            }
        }
    }
}

/// One run of one controller.
pub(crate) struct Context<'a> {
    pub(crate) api: &'a mut dyn Api,
    pub(crate) config: &'a Config,
    pub(crate) role: &'a Role,
    pub(crate) now: SimTime,
    pub(crate) scripts: &'a mut Scripts,
    pub(crate) chance: &'a mut Chance,
    pub(crate) chooser: &'a mut Chooser,
    pub(crate) events: &'a mut Events,
    pub(crate) claims: &'a Claims,
}
