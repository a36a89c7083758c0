//! The vocabulary of wavetank: what every other crate speaks in.
//!
//! Pure functions and plain data on [`wavetank_json::Value`]; no clock, no chance, no I/O.
//!
//! - [`key`], [`kinds`]: what an object is called and which kinds are built in
//! - [`mod@reference`], [`event`]: the references and the one event grammar of the scenario format, section 4
//! - [`object`], [`pod`]: reading metadata out of an object, what Pods cannot start without
//! - [`argo`], [`operation`]: Argo CD's annotations (hook types, waves, delete policies, sync options), and its words for
//!   the state of operations; [`version`]: which of its versions is followed
//! - [`script`]: scripted behaviour of workloads, section 5 of the format
//! - [`selector`], [`quantity`], [`timestamp`], [`duration`], [`boolean`], [`cron`]: Kubernetes' small languages;
//!   [`time_zone`]
//! - [`status`], [`change`], [`api`]: how API calls are answered, what a commit is, what controllers call
//! - [`schema`], [`patch`]: the types of built-in kinds, and JSON, merge, strategic merge and apply patches
//! - [`defaults`], [`fields`]: what a server fills into objects of built-in kinds, and how such fields are read and filled

pub mod api;
pub mod argo;
pub mod boolean;
pub mod change;
pub mod cron;
pub mod defaults;
pub mod duration;
pub mod event;
pub mod fields;
pub mod json;
pub mod key;
pub mod kinds;
pub mod object;
pub mod operation;
pub mod patch;
pub mod pod;
pub mod quantity;
pub mod reference;
pub mod schema;
pub mod script;
pub mod selector;
pub mod status;
pub mod time_zone;
pub mod timestamp;
pub mod version;

pub use api::{Api, DeleteOptions, PatchType, Propagation};
pub use change::{Actor, Change, ChangeKind, RequestRecord, Wire};
pub use event::{EventPattern, Phase, Subject, Verb, WaveNumber};
pub use key::{GroupKind, GroupVersionKind, ObjectKey};
pub use operation::{OperationPhase, ResultCode};
pub use reference::{NamePattern, Reference};
pub use status::Status;
pub use version::ArgoVersion;
