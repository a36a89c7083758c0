//! A program that runs: what it says and asks comes in one order.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use wavetank_sync::EngineError;

use super::child::{self, Event};
use super::message::{self, Said};
use super::{Doorway, EngineProgram, PROTOCOL};

/// The capability of programs that take up another run when one is over.
const RUNS: &str = "runs";

/// When a program may neither speak nor act.
pub(super) const BETWEEN: &str = "between two passes";

/// A program that has said hello. Dropping it ends it.
pub(super) struct Running {
    /// Name and version, as it says.
    pub(super) name: String,
    /// Path of the kubeconfig that is its own.
    pub(super) kubeconfig: String,
    capabilities: Vec<String>,
    /// How many passes it was ordered to make.
    ordered: u64,
    patience: Duration,
    events: Arc<Mutex<Receiver<Event>>>,
    orders: mpsc::UnboundedSender<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a program and waits until it has said hello. Blocks this thread, at most for the program's patience.
    pub(super) fn start(program: &EngineProgram, doorway: Doorway) -> Result<Self, EngineError> {
        let (sender, events) = std::sync::mpsc::channel();
        let (orders, queue) = mpsc::unbounded();
        let (stop, stopped) = oneshot::channel();
        let outside = child::Outside {
            program: program.clone(),
            events: sender,
            orders: queue,
            stopped,
        };
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || outside.run(&doorway))
            .map_err(|error| EngineError::Lost(format!("it cannot have a thread: {error}")))?;
        let mut running = Self {
            name: String::new(),
            kubeconfig: String::new(),
            capabilities: Vec::new(),
            ordered: 0,
            patience: program.patience,
            events: Arc::new(Mutex::new(events)),
            orders,
            stop: Some(stop),
            thread: Some(thread),
        };
        running.hello()?;
        Ok(running)
    }

    /// Reads the program's first message.
    fn hello(&mut self) -> Result<(), EngineError> {
        loop {
            let event = receive(&self.events, self.patience)?;
            let line = match event {
                Event::Opened(kubeconfig) => {
                    self.kubeconfig = kubeconfig;
                    continue;
                }
                Event::Line(line) => line,
                event => return Err(unexpected(&event, "before it said hello")),
            };
            return match message::read(&line)? {
                Said::Hello {
                    protocol,
                    engine,
                    version,
                    capabilities,
                } if protocol == PROTOCOL => {
                    self.name = format!("{engine}-{version}");
                    self.capabilities = capabilities;
                    Ok(())
                }
                Said::Hello { protocol, .. } => Err(EngineError::Protocol(format!(
                    "it speaks `{protocol}`, not {PROTOCOL}"
                ))),
                _ => Err(EngineError::Protocol(format!(
                    "its first message is not hello: {}",
                    message::shown(&line)
                ))),
            };
        }
    }

    /// Whether it takes up another run when one is over.
    pub(super) fn serves_runs(&self) -> bool {
        self.capabilities.iter().any(|name| name == RUNS)
    }

    /// The number of the next order, from 1.
    pub(super) fn number(&mut self) -> u64 {
        self.ordered += 1;
        self.ordered
    }

    /// The next event. The clock stands still meanwhile.
    pub(super) async fn next(&self) -> Result<Event, EngineError> {
        let (events, patience) = (Arc::clone(&self.events), self.patience);
        tokio::task::spawn_blocking(move || receive(&events, patience))
            .await
            .map_err(|error| EngineError::Lost(error.to_string()))?
    }

    /// Whatever came since the last pass: a program may not act between passes.
    pub(super) fn nothing_between(&self) -> Result<(), EngineError> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match events.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err(EngineError::Lost("it is gone".to_owned())),
            Ok(event) => Err(unexpected(&event, BETWEEN)),
        }
    }

    /// Says a line to the program.
    pub(super) fn send(&self, line: String) -> Result<(), EngineError> {
        self.orders
            .unbounded_send(line)
            .map_err(|_| EngineError::Lost("it is gone".to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            // A panic there was told as the end of the program.
            thread.join().ok();
        }
    }
}

fn receive(events: &Mutex<Receiver<Event>>, patience: Duration) -> Result<Event, EngineError> {
    let events = events.lock().unwrap_or_else(PoisonError::into_inner);
    events.recv_timeout(patience).map_err(|error| match error {
        RecvTimeoutError::Timeout => EngineError::Lost(format!(
            "it did and said nothing for {} s",
            patience.as_secs()
        )),
        RecvTimeoutError::Disconnected => EngineError::Lost("it is gone".to_owned()),
    })
}

/// What a program did or said when it may not.
pub(super) fn unexpected(event: &Event, when: &str) -> EngineError {
    match event {
        Event::Line(line) => {
            EngineError::Protocol(format!("it spoke {when}: {}", message::shown(line)))
        }
        Event::Call(call) => EngineError::Protocol(format!(
            "it called the API {when}: {} {}",
            call.parts.method, call.parts.uri
        )),
        Event::Opened(_) => EngineError::Lost(format!("its API was opened {when}")),
        Event::Ended(reason) => EngineError::Lost(format!("{reason}, {when}")),
    }
}
