//! The scenario file: its types, where everything stands in the file, what is wrong with it.
//!
//! [`load`] reads a file into [`Scenario`]s, the checked form that runner and expectations work on ([`types`],
//! [`expectations`]). Bad input is no exception: everything that is wrong is returned as [`Problem`]s with positions.
//! The format is one table, which loader and JSON Schema share, so that they cannot differ. What the format has and
//! this version does not carry out, other versions of Argo CD and of Kubernetes, is refused by one list, `unsupported`.
//!
//! [`manifests()`] reads objects without a scenario. `kustomize` and `helm` sources run those programs; nothing else here does
//! more than read files. No async, no cluster.

mod annotations;
mod cases;
mod commit;
mod context;
pub mod expectations;
mod format;
mod load;
mod manifests;
mod names;
mod problem;
mod read;
mod render;
mod schema;
mod shape;
mod sources;
pub mod types;
mod unsupported;
mod yaml;

pub use commit::{CommitError, desired_key, pattern_key};
pub use expectations::{
    AppExpectation, CountRange, Expectations, MessagePattern, NeverItem, OperationExpectation,
    OrderItem, RequestCount, ResultExpectation, ResultFields, ResultsExpectation, WaveItem,
    WithinItem,
};
pub use load::{
    InputLimits, LoadOptions, Loaded, discover, holds_scenario, load, load_bytes, name_conflicts,
};
pub use manifests::{Manifests, Placed, manifests, manifests_of_text};
pub use problem::{Location, Problem, Problems, Severity, Source};
pub use schema::schema;
pub use shape::duration;
pub use types::{
    App, AppSettings, Automated, Backoff, BoundAction, Cluster, Commit, Customizations, Exception,
    Fault, FaultEffect, IgnoredFields, Limits, Passes, Retry, Scenario, Step, StepAction,
    StorageBinding, SyncPolicy, SyncRequest, SyncStrategy,
};
