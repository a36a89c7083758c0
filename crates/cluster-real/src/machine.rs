//! A cluster that runs, and the runs on it, one after the other.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use wavetank_cluster::ClusterError;
use wavetank_kernel::BoxFuture;

use crate::control_plane::{self, Assets, ControlPlane};
use crate::session::{Session, SessionConfig};

/// A cluster that runs, with the runtime it is talked to in.
pub struct Machine {
    // Dropped before the runtime that its connections live in.
    plane: ControlPlane,
    runtime: Runtime,
}

/// What a run on a machine gave.
#[derive(Debug)]
pub struct Ran<T> {
    /// Its result.
    pub result: T,
    /// Why the machine must not be used again, if so.
    pub spoilt: Option<String>,
}

impl Machine {
    /// Starts a control plane in `folder`, and waits until it is ready. Blocks.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not start.
    pub fn control_plane(assets: &Assets, folder: &std::path::Path) -> Result<Self, ClusterError> {
        let runtime = runtime(control_plane::TARGET)?;
        let plane = runtime.block_on(ControlPlane::start(assets, folder))?;
        Ok(Self { plane, runtime })
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Makes one run: begins a session, lets `work` use it, ends it. Blocks.
    ///
    /// # Errors
    /// [`ClusterError`] when the session cannot begin.
    pub fn run<T>(
        &mut self,
        config: SessionConfig,
        work: impl FnOnce(Arc<Session>) -> BoxFuture<'static, T>,
    ) -> Result<Ran<T>, ClusterError> {
        let config = SessionConfig {
            schedule: !self.plane.schedules(),
            ..config
        };
        let (server, plane) = (self.plane.server().clone(), &mut self.plane);
        self.runtime.block_on(async {
            let session = Session::begin(&server, config).await?;
            let result = work(Arc::clone(&session)).await;
            let ended = session.end().await.err();
            let spoilt = plane.ended().or(ended);
            Ok(Ran { result, spoilt })
        })
    }
}

fn runtime(target: &str) -> Result<Runtime, ClusterError> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name(target)
        .enable_all()
        .build()
        .map_err(|error| ClusterError::Unavailable {
            target: target.to_owned(),
            reason: format!("the operating system gives no runtime: {error}"),
        })
}
