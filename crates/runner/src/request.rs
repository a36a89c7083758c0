//! What somebody asks for when they ask for a sync.

use jiff::SignedDuration;
use wavetank_model::{ObjectKey, Reference};
use wavetank_scenario as scenario;
use wavetank_scenario::{App, SyncRequest};
use wavetank_sync::operation::{Backoff, OperationState, RetryStrategy};
use wavetank_sync::options::SyncStrategy;
use wavetank_sync::{ResourceFilter, SyncOptions};

use crate::controller::OperationRecord;
use crate::shared::Shared;

impl Shared {
    /// Requests a sync; gives the number of the operation.
    ///
    /// # Errors
    /// Why it cannot be started, for the reader of the scenario.
    pub(crate) fn request_sync(&self, request: &SyncRequest) -> Result<u32, String> {
        let options = self.options(request)?;
        let now = self.cluster.epoch().wall(self.clock.now());
        let policy = &self.scenario.app.sync_policy;
        let retry = request
            .retry
            .as_ref()
            .or(policy.retry.as_ref())
            .map_or_else(RetryStrategy::never, retry_strategy);
        let mut state = self.state();
        if state.is_busy() {
            return Err("another operation is already in progress".to_owned());
        }
        let commit = match &request.revision {
            None => state.desired.head().clone(),
            Some(name) => state
                .desired
                .find(name)
                .cloned()
                .ok_or_else(|| format!("there is no commit with the revision `{name}`"))?,
        };
        state.operations += 1;
        let number = state.operations;
        let operation = OperationState::start(retry, false, now);
        state.requested = Some(OperationRecord::new(
            number,
            operation,
            commit,
            options,
            request.revision.is_some(),
        ));
        drop(state);
        self.control.notify_one();
        Ok(number)
    }

    fn options(&self, request: &SyncRequest) -> Result<SyncOptions, String> {
        let mut options = sync_options(&self.scenario.app, request);
        for reference in &request.resources {
            options.resources.extend(self.selected(reference)?);
        }
        Ok(options)
    }

    /// The objects a reference of a selective sync names: desired ones, and live ones that left the desired state.
    /// Clients resolve wildcards before they ask (SYNC-022).
    fn selected(&self, reference: &Reference) -> Result<Vec<ResourceFilter>, String> {
        let home = self.home();
        let desired: Vec<ObjectKey> = self.state().desired.head().keys.iter().cloned().collect();
        let live = self
            .view
            .snapshot()
            .into_iter()
            .filter_map(|object| ObjectKey::of(&object));
        let mut keys: Vec<ObjectKey> = desired
            .into_iter()
            .chain(live)
            .filter(|key| reference.matches(key, home))
            .collect();
        keys.sort();
        keys.dedup();
        if keys.is_empty() {
            return Err(format!("there is no {reference} to sync"));
        }
        Ok(keys.into_iter().map(ResourceFilter::from).collect())
    }
}

/// The engine's options for a sync of `app` that somebody asks for, but for the objects it selects.
pub fn sync_options(app: &App, request: &SyncRequest) -> SyncOptions {
    let items = request
        .sync_options
        .as_ref()
        .unwrap_or(&app.sync_policy.sync_options);
    let mut options = SyncOptions::from_items(items);
    options.prune = request.prune;
    options.dry_run = request.dry_run;
    options.force = request.force;
    options.strategy = match request.strategy {
        scenario::SyncStrategy::Hook => SyncStrategy::Hook,
        scenario::SyncStrategy::Apply => SyncStrategy::Apply,
    };
    options
}

fn retry_strategy(retry: &scenario::Retry) -> RetryStrategy {
    let text = |duration| {
        SignedDuration::try_from(duration).map_or_else(
            |_| "0".to_owned(),
            |duration| format!("{}ms", duration.as_millis()),
        )
    };
    let backoff = &retry.backoff;
    RetryStrategy {
        limit: retry.limit,
        refresh: retry.refresh,
        backoff: Some(Backoff {
            duration: Some(text(backoff.duration)),
            factor: Some(backoff.factor),
            max_duration: Some(text(backoff.max_duration)),
        }),
    }
}
