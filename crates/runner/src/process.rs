//! An engine from outside: a program that speaks the engine protocol, and works on the API by itself.
//!
//! The program, its pipes and its sockets live on a second thread ([`child`]). Everything it does arrives here as one
//! event after the other; while this side waits for the next one, the clock of a simulated run stands still, since a
//! blocking task inhibits its advance. Time moves only where the program asks for a wait, and by the poll rule
//! ([`polls`]).

mod child;
mod message;
mod polls;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use wavetank_cluster::ApiService;
use wavetank_kernel::BoxFuture;
use wavetank_model::Status;
use wavetank_sync::target::TargetMemo;
use wavetank_sync::{
    Asks, EngineError, EngineLink, StepEngine, StepInput, StepOutput, external, message as texts,
    step,
};

use child::{Call, Event};
use message::Said;
use polls::Polls;

/// The version of the engine protocol.
pub const PROTOCOL: &str = "wavetank-engine/v1";

/// A program that speaks the engine protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineProgram {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may say nothing, in real time, before it is given up.
    pub patience: Duration,
}

/// An API that is offered to a program.
pub struct Opened {
    /// Text of the kubeconfig to reach it with.
    pub kubeconfig: String,
    /// Serves until it is dropped; when it ends it tells why.
    pub serve: BoxFuture<'static, String>,
}

/// Opens a way in for a program: called once, inside a runtime with I/O.
pub type Doorway =
    Box<dyn FnOnce(ApiService) -> BoxFuture<'static, Result<Opened, String>> + Send + 'static>;

/// A running program as an engine.
pub struct ProcessEngine {
    name: String,
    patience: Duration,
    events: Arc<Mutex<Receiver<Event>>>,
    orders: mpsc::UnboundedSender<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    link: Option<EngineLink>,
    memo: TargetMemo,
}

impl ProcessEngine {
    /// Starts a program and waits until it has said hello. Blocks this thread, at most for the program's patience.
    ///
    /// # Errors
    /// [`EngineError`] when it does not start, speaks another protocol, or says nothing.
    pub fn start(program: &EngineProgram, doorway: Doorway) -> Result<Self, EngineError> {
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
            .spawn(move || outside.run(doorway))
            .map_err(|error| EngineError::Lost(format!("it cannot have a thread: {error}")))?;
        let mut engine = Self {
            name: String::new(),
            patience: program.patience,
            events: Arc::new(Mutex::new(events)),
            orders,
            stop: Some(stop),
            thread: Some(thread),
            link: None,
            memo: TargetMemo::default(),
        };
        engine.name = engine.hello()?;
        Ok(engine)
    }

    /// Reads the program's first message; gives its name.
    fn hello(&self) -> Result<String, EngineError> {
        let event = receive(&self.events, self.patience)?;
        let Event::Line(line) = event else {
            return Err(unexpected(&event, "before it said hello"));
        };
        match message::read(&line)? {
            Said::Hello {
                protocol,
                engine,
                version,
            } if protocol == PROTOCOL => Ok(format!("{engine}-{version}")),
            Said::Hello { protocol, .. } => Err(EngineError::Protocol(format!(
                "it speaks `{protocol}`, not {PROTOCOL}"
            ))),
            _ => Err(EngineError::Protocol(format!(
                "its first message is not hello: {}",
                message::shown(&line)
            ))),
        }
    }

    /// The next event. The clock stands still meanwhile.
    async fn next(&self) -> Result<Event, EngineError> {
        let (events, patience) = (Arc::clone(&self.events), self.patience);
        tokio::task::spawn_blocking(move || receive(&events, patience))
            .await
            .map_err(|error| EngineError::Lost(error.to_string()))?
    }

    /// Whatever came since the last pass: a program may not act between passes.
    fn nothing_between(&self) -> Result<(), EngineError> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match events.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err(EngineError::Lost("it is gone".to_owned())),
            Ok(event) => Err(unexpected(&event, "between two passes")),
        }
    }

    fn send(&self, line: String) -> Result<(), EngineError> {
        self.orders
            .unbounded_send(line)
            .map_err(|_| EngineError::Lost("it is gone".to_owned()))
    }

    /// One pass: the order, then everything the program does, until it is done.
    async fn converse(
        &mut self,
        kind: &str,
        input: StepInput,
        asks: &mut dyn Asks,
    ) -> Result<StepOutput, EngineError> {
        let link = self
            .link
            .clone()
            .ok_or_else(|| EngineError::Lost("it has no way to the API".to_owned()))?;
        self.nothing_between()?;
        let prepared = external::prepare(&input, &mut self.memo, &link.assessor);
        self.send(message::order(kind, &input, &prepared))?;
        let mut polls = Polls::default();
        loop {
            match self.next().await? {
                Event::Call(call) => serve(&link, &mut polls, *call).await,
                Event::Line(said) => match message::read(&said)? {
                    Said::Done(output) => {
                        let mut output = output;
                        texts::augment(&mut output.results, &input.kinds);
                        return Ok(output);
                    }
                    Said::Note { number, note } => {
                        polls.reported();
                        if let Some(note) = note {
                            asks.note(message::in_scope(note, &input.kinds));
                        }
                        self.send(message::ok(number, ""))?;
                    }
                    Said::Wait {
                        number,
                        phase,
                        wave,
                        is_final,
                    } => {
                        polls.reported();
                        let waited = asks.wave_delay(phase, wave, is_final).await;
                        self.send(message::ok(number, waited.err().as_deref().unwrap_or("")))?;
                    }
                    Said::Sleep { number, duration } => {
                        polls.reported();
                        link.clock.sleep(duration).await;
                        self.send(message::ok(number, ""))?;
                    }
                    Said::Hello { .. } => {
                        return Err(EngineError::Protocol("it said hello twice".to_owned()));
                    }
                },
                event @ Event::Ended(_) => return Err(unexpected(&event, "during a pass")),
            }
        }
    }
}

impl Drop for ProcessEngine {
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

impl StepEngine for ProcessEngine {
    fn connect(&mut self, link: EngineLink) {
        self.link = Some(link);
    }

    fn pass<'a>(
        &'a mut self,
        input: StepInput,
        asks: &'a mut dyn Asks,
    ) -> BoxFuture<'a, Result<StepOutput, EngineError>> {
        Box::pin(async move {
            if let Some(output) = step::preflight(&input, &mut self.memo) {
                return Ok(output);
            }
            self.converse("pass", input, asks).await
        })
    }

    fn terminate<'a>(
        &'a mut self,
        input: StepInput,
        asks: &'a mut dyn Asks,
    ) -> BoxFuture<'a, Result<StepOutput, EngineError>> {
        Box::pin(self.converse("terminate", input, asks))
    }

    fn name(&self) -> &str {
        &self.name
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

fn unexpected(event: &Event, when: &str) -> EngineError {
    match event {
        Event::Line(line) => {
            EngineError::Protocol(format!("it spoke {when}: {}", message::shown(line)))
        }
        Event::Call(call) => EngineError::Protocol(format!(
            "it called the API {when}: {} {}",
            call.parts.method, call.parts.uri
        )),
        Event::Ended(reason) => EngineError::Lost(format!("{reason}, {when}")),
    }
}

/// Answers one request of the program, through the seam.
async fn serve(link: &EngineLink, polls: &mut Polls, call: Call) {
    if polls.takes_time(&call.parts) {
        let now = link.clock.now();
        let due = (link.next_work)().unwrap_or(now + polls::LONGEST);
        let until = due
            .min(now + polls::LONGEST)
            .max(now + Duration::from_millis(1));
        link.clock.sleep_until(until).await;
    }
    let response = match answer(link, call.parts, call.body).await {
        Ok(response) => response,
        Err(error) => failure(500, "InternalError", &error),
    };
    // What is due at this instant happens before the program goes on.
    tokio::task::yield_now().await;
    // A program that hung up needs no answer.
    call.reply.send(response).ok();
}

async fn answer(
    link: &EngineLink,
    parts: http::request::Parts,
    body: Bytes,
) -> Result<Response<Bytes>, String> {
    let query = parts.uri.query().unwrap_or_default();
    if query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1"))
    {
        let text = "engines get the view's objects with each pass: watches are not offered";
        return Ok(failure(405, "MethodNotAllowed", text));
    }
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let mut request = Request::builder().method(parts.method.clone()).uri(path);
    for (name, value) in &parts.headers {
        if name != http::header::AUTHORIZATION && name != http::header::HOST {
            request = request.header(name, value);
        }
    }
    let request = request
        .body(Body::from(body))
        .map_err(|error| error.to_string())?;
    let response = link
        .client
        .send(request)
        .await
        .map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    Ok(Response::from_parts(parts, body))
}

fn failure(code: u16, reason: &str, text: &str) -> Response<Bytes> {
    let body = Status::new(code, reason, text).to_json().to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Result<String, EngineError> {
        let program = EngineProgram {
            path: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            patience: Duration::from_millis(300),
        };
        let doorway: Doorway = Box::new(|_| {
            Box::pin(std::future::ready(Ok(Opened {
                kubeconfig: String::new(),
                serve: Box::pin(std::future::pending()),
            })))
        });
        let engine = ProcessEngine::start(&program, doorway)?;
        Ok(engine.name().to_owned())
    }

    #[test]
    fn a_silent_program_is_given_up() {
        let lost = start("read -r start; read -r order").expect_err("it says nothing");
        assert!(lost.to_string().contains("did and said nothing"), "{lost}");
    }

    /// Dropping the engine kills it: the test would not end otherwise.
    #[test]
    fn a_program_is_named_by_its_hello() {
        let hello =
            r#"{"type":"hello","protocol":"wavetank-engine/v1","engine":"test","version":"7"}"#;
        let script = format!("echo '{hello}'; while true; do read -r line; done");
        assert_eq!(start(&script), Ok("test-7".to_owned()));
    }

    #[test]
    fn a_program_that_is_not_there_is_lost() {
        let program = EngineProgram {
            path: "/no/such/engine".into(),
            arguments: Vec::new(),
            patience: Duration::from_secs(5),
        };
        let doorway: Doorway =
            Box::new(|_| Box::pin(std::future::ready(Err("no port".to_owned()))));
        let lost = ProcessEngine::start(&program, doorway).err();
        assert_eq!(
            lost,
            Some(EngineError::Lost(
                "no port, before it said hello".to_owned()
            ))
        );
    }
}
