//! The scenario file: its types, where everything stands in the file, what is wrong with it.
//!
//! [`types`] is the checked form that runner and expectations work on. No async, no cluster.

pub mod types;
pub mod expectations;

pub use expectations::{
    AppExpectation, CountRange, Expectations, MessagePattern, NeverItem, OperationExpectation, OrderItem, RequestCount,
    ResultExpectation, WaveItem, WithinItem,
};
pub use types::{
    App, AppSettings, Backoff, BoundAction, Cluster, Commit, Exception, Fault, Limits, Passes, Retry, Scenario, Step,
    StepAction, StorageBinding, SyncPolicy, SyncRequest, SyncStrategy,
};
