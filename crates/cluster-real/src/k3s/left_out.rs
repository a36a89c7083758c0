//! In place of [`super::container`] where the feature `k3s` is off: everything says so.

use std::time::Duration;

use wavetank_cluster::ClusterError;

use super::{K3sOptions, unavailable};
use crate::journal::Record;

const REMEDY: &str = "this wavetank was built without k3s; `cargo install --path crates/cli --features k3s` builds it \
                      with it";

/// What a container that was started tells.
pub(super) struct Started {
    pub(super) kubeconfig: String,
    pub(super) address: String,
}

pub(super) fn engine_version() -> Result<String, ClusterError> {
    Err(unavailable(REMEDY))
}

pub(super) async fn start(
    _: &K3sOptions,
    _: &Record,
    _: Duration,
) -> Result<Started, ClusterError> {
    std::future::ready(Err(unavailable(REMEDY))).await
}

pub(super) async fn said(_: &str) -> Vec<u8> {
    std::future::ready(REMEDY.as_bytes().to_vec()).await
}

pub(super) fn delete(name: &str) -> Result<(), ClusterError> {
    Err(unavailable(format!(
        "the container {name} stays: {REMEDY}, or `docker rm -f -v {name}` removes the container"
    )))
}
