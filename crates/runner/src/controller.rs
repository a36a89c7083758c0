//! The application controller of a run: takes up operations, schedules passes, stores what they leave.
//!
//! A pass starts when an operation arrives or a retry is due, at once after a pass that changed the stored state,
//! `passes.batch` after the first change of a managed object that the view has seen, and `passes.backstop` after the
//! last pass (SYNC-129). The same for every engine.

use std::sync::Arc;

use futures::channel::oneshot;
use serde_json::Value;
use wavetank_kernel::{Clock, SimTime};
use wavetank_model::{GroupKind, ObjectKey, Verb, argo, object};
use wavetank_scenario::{Retry, Scenario, SyncRequest, SyncStrategy};
use wavetank_sync::kinds::KnownKind;
use wavetank_sync::operation::{Decision, Operation};
use wavetank_sync::{ApiResource, AppIdentity, Kinds, ResourceFilter, StepEngine, StepInput, SyncOptions, TrackingMethod};
use wavetank_trace::{DesiredObject, Event, OperationEvent};

use crate::asks::RunAsks;
use crate::desired::{Desired, Revision, desired_key, pattern_key};
use crate::seam::Seam;
use crate::shared::{AppState, Shared};
use crate::stored;
