//! Nodes, kubelets and scripts on a real API server: the simulated cluster's own machines, in real time.
//!
//! They run on a thread of their own, which is told of every change, does what is due through plain requests, and sleeps
//! until the next thing is due.

mod api;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use wavetank_kernel::{Chooser, Clock, SimTime};
use wavetank_model::timestamp::Epoch;
use wavetank_model::{Change, ObjectKey};
use wavetank_workload::Controllers;

use crate::clock::RealClock;
use crate::hub::Hub;

use api::RealApi;

/// What the stand-in is told.
enum Notice {
    Change(Box<Change>),
    Freeze(ObjectKey),
    /// The event that deletions of this rule wait for has happened.
    Release(usize),
    Stop,
}

/// The way changes reach the stand-in.
#[derive(Clone)]
pub(crate) struct Feed {
    sender: Sender<Notice>,
    told: Arc<AtomicU64>,
}

impl Feed {
    /// Tells of a change.
    pub(crate) fn change(&self, change: Change) {
        self.tell(Notice::Change(Box::new(change)));
    }

    fn tell(&self, notice: Notice) {
        self.told.fetch_add(1, Ordering::SeqCst);
        // The stand-in ends with the run.
        self.sender.send(notice).ok();
    }
}

/// What the stand-in is about to do.
#[derive(Default)]
struct Plans {
    next_work: Option<SimTime>,
    waiting: Vec<String>,
}

/// The stand-in of one run.
pub(crate) struct StandIn {
    feed: Feed,
    heard: Arc<AtomicU64>,
    plans: Arc<Mutex<Plans>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts it.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start(
        controllers: Controllers,
        hub: &Arc<Hub>,
        client: kube::Client,
        clock: RealClock,
        epoch: Epoch,
        runtime: Handle,
    ) -> std::io::Result<Self> {
        let (sender, notices) = channel();
        let feed = Feed {
            sender,
            told: Arc::new(AtomicU64::new(0)),
        };
        let (heard, plans) = (Arc::new(AtomicU64::new(0)), Arc::default());
        hub.feed(feed.clone());
        let work = Work {
            controllers,
            chooser: Chooser::canonical(),
            api: RealApi::new(Arc::clone(hub), client, epoch, runtime),
            clock,
            heard: Arc::clone(&heard),
            plans: Arc::clone(&plans),
        };
        let thread = std::thread::Builder::new()
            .name("kubelet".to_owned())
            .stack_size(16 << 20)
            .spawn(move || work.run(&notices))?;
        Ok(Self {
            feed,
            heard,
            plans,
            thread: Some(thread),
        })
    }

    /// Leaves `key` alone, now and later.
    pub(crate) fn freeze(&self, key: &ObjectKey) {
        self.feed.tell(Notice::Freeze(key.clone()));
    }

    /// Lets deletions go on that wait for the event of rule `rule`.
    pub(crate) fn release(&self, rule: usize) {
        self.feed.tell(Notice::Release(rule));
    }

    /// When the next thing is due that is work; now while changes are still to be looked at.
    pub(crate) fn next_work(&self, now: SimTime) -> Option<SimTime> {
        if self.heard.load(Ordering::SeqCst) < self.feed.told.load(Ordering::SeqCst) {
            return Some(now);
        }
        self.plans().next_work
    }

    /// Whether its thread has ended before the run did: a bug, and the end of the run.
    pub(crate) fn is_dead(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// What is planned that is work.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.plans().waiting.clone()
    }

    fn plans(&self) -> std::sync::MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it, and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        self.feed.tell(Notice::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by its thread; the run is over anyway.
            thread.join().ok();
        }
    }
}

/// What the thread works with.
struct Work {
    controllers: Controllers,
    chooser: Chooser,
    api: RealApi,
    clock: RealClock,
    heard: Arc<AtomicU64>,
    plans: Arc<Mutex<Plans>>,
}

impl Work {
    fn run(mut self, notices: &Receiver<Notice>) {
        loop {
            let first = match self.next(notices) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => None,
                Ok(notice) => Some(notice),
            };
            let mut heard = 0;
            for notice in first.into_iter().chain(notices.try_iter()) {
                heard += 1;
                match notice {
                    Notice::Stop => return,
                    Notice::Freeze(key) => self.controllers.freeze(&key),
                    Notice::Release(rule) => {
                        self.controllers.occurred(rule, self.clock.now());
                    }
                    Notice::Change(change) => self.controllers.observe(&change),
                }
            }
            let now = self.clock.now();
            self.api.set_now(now);
            while self.controllers.next_due().is_some_and(|(at, _)| at <= now) {
                self.controllers
                    .run_next(now, &mut self.api, &mut self.chooser);
            }
            self.publish();
            self.heard.fetch_add(heard, Ordering::SeqCst);
        }
    }

    /// Waits for the next notice, or until something is due.
    fn next(&self, notices: &Receiver<Notice>) -> Result<Notice, RecvTimeoutError> {
        match self.controllers.next_due() {
            None => notices.recv().map_err(RecvTimeoutError::from),
            Some((at, _)) => notices.recv_timeout(at.since(self.clock.now())),
        }
    }

    fn publish(&self) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.next_work = self.controllers.next_work();
        plans.waiting = self.controllers.waiting();
    }
}
