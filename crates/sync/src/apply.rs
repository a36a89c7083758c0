//! Carries the asks of a pass out through a `kube::Client` (SYNC-088..100).
//!
//! Requests are raw: objects stay [`wavetank_json::Value`]s, errors are the server's Status. Concurrent calls are made one
//! after the other in an order drawn from the [`Chooser`]. Waiting goes through [`Clock`].

mod client_side;
mod connection;
mod discovery;
mod output;
mod rbac;
mod server_side;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wavetank_json::Value;
use wavetank_kernel::{BoxFuture, Chooser, Clock};
use wavetank_model::{GroupVersionKind, Phase, object};

use crate::engine::{
    ApplyAsk, Asks, CallError, DeleteAsk, DiscoverError, FinalizerAsk, Note, ResourceRef, Strategy,
};
use crate::kinds::ApiResource;
use crate::server_side_diff::Question;
use connection::Connection;
use discovery::Discovery;

#[cfg(test)]
pub(crate) use client_side::annotated;
pub(crate) use client_side::{last_applied_of, typed};
pub use connection::USER_AGENT;
pub use output::clean_error;

/// How often an update that met a conflict is tried again (SYNC-068, SYNC-091, SYNC-096).
const RETRIES: u32 = 5;
/// Pause between two tries of a conflicting update (SYNC-068).
const CONFLICT_PAUSE: Duration = Duration::from_millis(10);

/// What went wrong where an object could not be read.
pub(crate) const GET_FAILED: &str = "failed to get resource: ";

/// What Argo CD says it was doing when a prediction fails.
const DRY_RUN: &str = "running server side apply in dryrun mode";

/// Gives the notes of a pass to whoever records them.
pub type NoteSink = Box<dyn FnMut(Note) + Send>;

/// The effects of the engine on a cluster.
pub struct KubeAsks {
    connection: Connection,
    clock: Arc<dyn Clock>,
    chooser: Arc<Mutex<Chooser>>,
    notes: NoteSink,
    wave_delay: Duration,
    discovery: Discovery,
    /// What kubectl keeps of its own discovery.
    mapped: BTreeMap<GroupVersionKind, ApiResource>,
}

impl std::fmt::Debug for KubeAsks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeAsks")
            .field("wave_delay", &self.wave_delay)
            .finish_non_exhaustive()
    }
}

impl KubeAsks {
    /// Effects through `client`; waits on `clock`, draws orders from `chooser`, sleeps `wave_delay` after each wave
    /// that is not the last, and gives every note to `notes` the moment it happens.
    pub fn new(
        client: kube::Client,
        clock: Arc<dyn Clock>,
        chooser: Arc<Mutex<Chooser>>,
        wave_delay: Duration,
        notes: NoteSink,
    ) -> Self {
        let connection = Connection::new(client);
        Self {
            connection,
            clock,
            chooser,
            notes,
            wave_delay,
            discovery: Discovery::default(),
            mapped: BTreeMap::new(),
        }
    }

    /// The order in which `count` concurrent calls are made; by default as they are numbered.
    fn order(&self, label: &str, count: usize) -> Vec<usize> {
        let mut rest: Vec<usize> = (0..count).collect();
        if count < 2 {
            return rest;
        }
        let mut chooser = self.chooser.lock().unwrap_or_else(PoisonError::into_inner);
        for place in 0..count - 1 {
            let options = u32::try_from(count - place).unwrap_or(u32::MAX);
            let taken = chooser.choose(label, options, 0);
            let taken = place + usize::try_from(taken).unwrap_or(0);
            rest[place..=taken].rotate_right(1);
        }
        rest
    }

    /// Resolves path and scope where the ask does not know them.
    async fn resolve(&mut self, resource: &ResourceRef) -> Result<ApiResource, DiscoverError> {
        match &resource.resource {
            Some(known) => Ok(known.clone()),
            None => {
                self.discovery
                    .resolve(&self.connection, self.clock.as_ref(), &resource.gvk)
                    .await
            }
        }
    }

    /// Where kubectl takes a kind to be: what it has found once it does not look for again, though it may be gone, until
    /// it misses a kind and forgets them all.
    async fn mapping(&mut self, resource: &ResourceRef) -> Option<ApiResource> {
        if let Some(known) = self.mapped.get(&resource.gvk) {
            return Some(known.clone());
        }
        let found = self.resolve(resource).await.ok();
        match &found {
            Some(known) => {
                self.mapped.insert(resource.gvk.clone(), known.clone());
            }
            None => self.mapped.clear(),
        }
        found
    }

    /// The object's place in the API.
    async fn place(&mut self, resource: &ResourceRef) -> Result<connection::Place, CallError> {
        match self.resolve(resource).await {
            Ok(known) => Ok(connection::Place::new(resource, &known)),
            Err(error) => Err(CallError::Resource(error)),
        }
    }

    /// What a server-side apply would make of an object, by a dry run (SYNC-149).
    ///
    /// # Errors
    /// The text of Argo CD's condition `ComparisonError`.
    pub async fn predict(&mut self, question: &Question, manager: &str) -> Result<Value, String> {
        let resource = &question.resource;
        let Some(known) = self.mapping(resource).await else {
            return Err(question.failed(DRY_RUN, &output::no_kind(resource)));
        };
        let place = connection::Place::for_kubectl(resource, &known);
        let server = server_side::ServerSide {
            connection: &self.connection,
            place: &place,
            target: &question.target,
            manager,
            predicts: true,
        };
        let predicted = server.predict().await;
        predicted.map_err(|error| question.failed(DRY_RUN, &clean_error(&error.to_string())))
    }

    /// Writes one object; gives the output or the error text.
    async fn write(&mut self, ask: &ApplyAsk) -> Result<String, String> {
        // kubectl looks at its options before it looks for the kind.
        if ask.force && ask.strategy == Strategy::ServerSideApply {
            let text = "error validating options: --force cannot be used with --server-side";
            return Err(text.to_owned());
        }
        let Some(resource) = self.mapping(&ask.resource).await else {
            return Err(output::no_match(ask));
        };
        let place = connection::Place::for_kubectl(&ask.resource, &resource);
        let writer = write::Writer {
            connection: &self.connection,
            clock: self.clock.as_ref(),
            ask,
            place: &place,
        };
        match ask.strategy {
            Strategy::Apply => writer.client_side_apply().await,
            Strategy::ServerSideApply => writer.server_side_apply().await,
            Strategy::Create => writer.create().await,
            Strategy::Replace => writer.replace().await,
            Strategy::Update => writer.update().await,
        }
    }

    /// Waits for a new CRD to be Established.
    async fn wait_for_definition(&mut self, ask: &ApplyAsk) {
        if let Ok(resource) = self.resolve(&ask.resource).await {
            let place = connection::Place::new(&ask.resource, &resource);
            write::wait_until_established(&self.connection, self.clock.as_ref(), &place).await;
        }
    }

    async fn delete_one(&mut self, ask: &DeleteAsk) -> Result<(), CallError> {
        let place = self.place(&ask.resource).await?;
        self.connection.delete(&place, ask.propagation).await
    }

    /// PUT of the stripped object; a conflict is resolved with a fresh one (SYNC-068).
    async fn remove_finalizer(&mut self, ask: &FinalizerAsk) -> Result<(), CallError> {
        let place = match self.place(&ask.resource).await {
            Ok(place) => place,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(twice("failed to update resource: ", &error)),
        };
        let mut stripped = ask.stripped.clone();
        for attempt in 0..=RETRIES {
            let outcome = self.connection.put(&place, &stripped, &[]).await;
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) if error.is_conflict() && attempt < RETRIES => {
                    if attempt > 0 {
                        self.clock.sleep(CONFLICT_PAUSE).await;
                    }
                }
                Err(error) => return Err(twice("failed to update resource: ", &error)),
            }
            match self.connection.get(&place).await {
                Ok(fresh) if !has_hook_finalizer(&fresh) => return Ok(()),
                Ok(fresh) => stripped = Arc::new(crate::step::without_finalizer(&fresh)),
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(twice(GET_FAILED, &error)),
            }
        }
        Ok(())
    }
}

/// The engine says what failed where it calls, and again where it gives up.
pub(crate) fn twice(what: &str, error: &CallError) -> CallError {
    CallError::Transport(format!("{what}{}", error.behind(what)))
}

fn has_hook_finalizer(object: &Value) -> bool {
    object::finalizers(object).any(|entry| entry == wavetank_model::argo::HOOK_FINALIZER)
}

/// Puts outcomes that came in a drawn order back into the order of the asks.
fn in_order<T>(order: &[usize], outcomes: Vec<T>) -> Vec<T> {
    let mut numbered: Vec<(usize, T)> = order.iter().copied().zip(outcomes).collect();
    numbered.sort_by_key(|(place, _)| *place);
    numbered.into_iter().map(|(_, outcome)| outcome).collect()
}

impl Asks for KubeAsks {
    fn discover<'a>(
        &'a mut self,
        gvk: &'a GroupVersionKind,
    ) -> BoxFuture<'a, Result<ApiResource, DiscoverError>> {
        Box::pin(async move {
            self.discovery
                .resolve(&self.connection, self.clock.as_ref(), gvk)
                .await
        })
    }

    fn get<'a>(
        &'a mut self,
        resource: &'a ResourceRef,
    ) -> BoxFuture<'a, Result<Option<Arc<Value>>, CallError>> {
        Box::pin(async move {
            // A resource whose name the server made up, which the engine does not learn.
            if resource.name.is_empty() {
                return Err(CallError::Transport("name is required".to_owned()));
            }
            let found = match self.place(resource).await {
                Ok(place) => self.connection.get(&place).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(object) => Ok(Some(Arc::new(object))),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn apply(&mut self, asks: Vec<ApplyAsk>) -> BoxFuture<'_, Vec<Result<String, String>>> {
        Box::pin(async move {
            let kind = asks
                .first()
                .map(|ask| ask.key.kind.as_str())
                .unwrap_or_default();
            let order = self.order(&format!("apply/{kind}"), asks.len());
            let mut outcomes = Vec::with_capacity(asks.len());
            for &place in &order {
                let ask = &asks[place];
                let outcome = self.write(ask).await;
                if let Some(note) = ask.note(&outcome) {
                    (self.notes)(note);
                }
                if outcome.is_ok()
                    && !ask.dry_run
                    && crate::plan::defined_kind(&ask.target).is_some()
                {
                    self.wait_for_definition(ask).await;
                }
                outcomes.push(outcome);
            }
            in_order(&order, outcomes)
        })
    }

    fn delete(&mut self, asks: Vec<DeleteAsk>) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        Box::pin(async move {
            let order = self.order("delete", asks.len());
            let mut outcomes = Vec::with_capacity(asks.len());
            for &place in &order {
                let ask = &asks[place];
                let outcome = self.delete_one(ask).await;
                if let Some(note) = ask.note(&outcome) {
                    (self.notes)(note);
                }
                outcomes.push(outcome);
            }
            in_order(&order, outcomes)
        })
    }

    fn remove_finalizers(
        &mut self,
        asks: Vec<FinalizerAsk>,
    ) -> BoxFuture<'_, Vec<Result<(), CallError>>> {
        Box::pin(async move {
            let order = self.order("finalizer", asks.len());
            let mut outcomes = Vec::with_capacity(asks.len());
            for &place in &order {
                outcomes.push(self.remove_finalizer(&asks[place]).await);
            }
            in_order(&order, outcomes)
        })
    }

    fn wave_delay(
        &mut self,
        _: Phase,
        _: i64,
        is_final: bool,
    ) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            if !is_final && !self.wave_delay.is_zero() {
                self.clock.sleep(self.wave_delay).await;
            }
            Ok(())
        })
    }

    fn note(&mut self, note: Note) {
        (self.notes)(note);
    }
}

#[cfg(test)]
mod tests;
