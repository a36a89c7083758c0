//! The world: API server, controllers and sleepers in one ordered queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::channel::oneshot;
use http::{Request, Response};
use wavetank_apiserver::{ResponseBody, Server, ServerApi};
use wavetank_cluster::Observer;
use wavetank_json::Value;
use wavetank_kernel::{Chooser, Class, Load, Queue, SimTime, Ticket};
use wavetank_model::{Actor, Api, Change, ObjectKey};
use wavetank_workload::Controllers;

/// The simulated cluster at one point of time.
pub struct World {
    server: Server,
    /// `None` in a world that has an API server and nothing else.
    controllers: Option<Controllers>,
    timers: Queue<oneshot::Sender<()>>,
    chooser: Arc<Mutex<Chooser>>,
    observers: Vec<Arc<dyn Observer>>,
    had_work: bool,
}

impl World {
    /// A world of `server` and `controllers`, if any, whose choices `chooser` makes.
    pub fn new(server: Server, controllers: Option<Controllers>, chooser: Chooser) -> Self {
        Self {
            server,
            controllers,
            timers: Queue::new(),
            chooser: Arc::new(Mutex::new(chooser)),
            observers: Vec::new(),
            had_work: false,
        }
    }

    /// Tells `observer` of everything from now on.
    pub fn observe(&mut self, observer: Arc<dyn Observer>) {
        self.observers.push(observer);
    }

    /// No controller touches this object from now on.
    pub fn freeze(&mut self, key: &ObjectKey) {
        if let Some(controllers) = &mut self.controllers {
            controllers.freeze(key);
        }
    }

    /// Deletions that wait for the event of workload rule `rule` go on.
    pub fn release(&mut self, rule: usize, now: SimTime) {
        if let Some(controllers) = &mut self.controllers {
            controllers.occurred(rule, now);
        }
    }

    /// Answers a request.
    pub fn handle(
        &mut self,
        request: &Request<Bytes>,
        actor: &Actor,
        now: SimTime,
    ) -> Response<ResponseBody> {
        let response = self.server.handle(request, actor, now);
        self.settle_changes();
        response
    }

    /// Creates the objects the cluster has from the start, as the actor `setup`.
    ///
    /// # Errors
    /// The server's Status for the first object it does not take.
    pub fn bootstrap(
        &mut self,
        objects: Vec<Value>,
        now: SimTime,
    ) -> Result<(), wavetank_model::Status> {
        for object in objects {
            ServerApi::new(&mut self.server, now).create(Actor::SETUP, object)?;
            self.settle_changes();
        }
        Ok(())
    }

    /// When the next entry of any part is due.
    pub fn next_due(&self) -> Option<SimTime> {
        self.next().map(|(at, _)| at)
    }

    /// When the next pending work of server and controllers is due.
    pub fn next_work(&self) -> Option<SimTime> {
        let controllers = self.controllers.as_ref();
        let work = controllers.and_then(Controllers::next_work);
        [self.server.next_work(), work].into_iter().flatten().min()
    }

    /// What pending work is about.
    pub fn waiting(&self) -> Vec<String> {
        let controllers = self.controllers.as_ref();
        controllers.map(Controllers::waiting).unwrap_or_default()
    }

    /// Does everything that is due at `now` or before, in order.
    pub fn run_due(&mut self, now: SimTime) {
        while let Some((at, part)) = self.next() {
            if at > now {
                break;
            }
            match part {
                Part::Server => {
                    self.server.run_next(at, &mut choices(&self.chooser));
                }
                Part::Controllers => {
                    let mut api = ServerApi::new(&mut self.server, at);
                    if let Some(controllers) = &mut self.controllers {
                        controllers.run_next(at, &mut api, &mut choices(&self.chooser));
                    }
                }
                Part::Timers => {
                    if let Some((_, sleeper)) = self.timers.pop_due(at) {
                        // A sleeper that is gone needs no waking.
                        sleeper.send(()).ok();
                    }
                }
            }
            self.settle_changes();
        }
        self.report_idle();
    }

    /// Adds a sleeper that is woken at `at`.
    pub fn add_timer(&mut self, at: SimTime, sleeper: oneshot::Sender<()>) -> Ticket {
        self.timers.push(at, Class::TIMER, Load::Upkeep, sleeper)
    }

    /// Takes a sleeper out.
    pub fn cancel_timer(&mut self, ticket: Ticket) {
        drop(self.timers.cancel(ticket));
    }

    /// Who makes the choices.
    pub fn chooser(&self) -> Arc<Mutex<Chooser>> {
        Arc::clone(&self.chooser)
    }

    fn next(&self) -> Option<(SimTime, Part)> {
        let entry = |due: Option<(SimTime, Class)>, part| due.map(|(at, class)| (at, class, part));
        [
            entry(self.server.next_due(), Part::Server),
            entry(
                self.controllers.as_ref().and_then(Controllers::next_due),
                Part::Controllers,
            ),
            entry(self.timers.next_due(), Part::Timers),
        ]
        .into_iter()
        .flatten()
        .min()
        .map(|(at, _, part)| (at, part))
    }

    fn settle_changes(&mut self) {
        for change in self.server.drain_changes() {
            self.tell(&change);
        }
    }

    fn tell(&mut self, change: &Change) {
        self.had_work = true;
        for observer in &self.observers {
            observer.committed(change);
        }
        if let Some(controllers) = &mut self.controllers {
            controllers.observe(change);
        }
    }

    fn report_idle(&mut self) {
        if self.had_work && self.next_work().is_none() {
            self.had_work = false;
            for observer in &self.observers {
                observer.idle();
            }
        }
    }
}

fn choices(chooser: &Mutex<Chooser>) -> MutexGuard<'_, Chooser> {
    chooser.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Server,
    Controllers,
    Timers,
}
