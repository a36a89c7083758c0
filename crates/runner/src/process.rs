//! An engine from outside: a program that speaks the engine protocol, and works on the API by itself.
//!
//! The program, its pipes and its sockets live on a second thread ([`child`]). Everything it does arrives here as one
//! event after the other; while this side waits for the next one, the clock of a simulated run stands still, since a
//! blocking task inhibits its advance. Time moves only where the program asks for a wait, and by the poll rule
//! ([`polls`]).

mod child;
mod message;
mod polls;
mod running;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use tower::BoxError;
use wavetank_cluster::{ApiService, HangUp};
use wavetank_kernel::BoxFuture;
use wavetank_model::Status;
use wavetank_sync::target::TargetMemo;
use wavetank_sync::{
    Asks, EngineError, EngineLink, StepEngine, StepInput, StepOutput, external, message as texts,
};

use child::{Call, Event};
use message::Said;
use polls::{Polls, Takes};
use running::{BETWEEN, Running};

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

/// Opens a way in for a program: called once for each, inside a runtime with I/O.
pub type Doorway =
    Arc<dyn Fn(ApiService) -> BoxFuture<'static, Result<Opened, String>> + Send + Sync>;

/// Programs of one kind, kept between runs: what starts once may serve many runs, one after the other.
pub struct Programs {
    program: EngineProgram,
    doorway: Doorway,
    idle: Mutex<Vec<Running>>,
}

impl Programs {
    /// Nothing is started yet.
    pub fn new(program: EngineProgram, doorway: Doorway) -> Self {
        Self {
            program,
            doorway,
            idle: Mutex::default(),
        }
    }

    /// A program as the engine of one run: one that is idle, or else a new one. Blocks this thread until it has said
    /// hello, at most for the program's patience.
    ///
    /// # Errors
    /// [`EngineError`] when it does not start, speaks another protocol, or says nothing.
    pub fn engine(self: &Arc<Self>) -> Result<ProcessEngine, EngineError> {
        let running = self.take()?;
        Ok(ProcessEngine {
            name: running.name.clone(),
            programs: Arc::clone(self),
            running: Some(running),
            started: false,
            link: None,
            memo: TargetMemo::default(),
        })
    }

    fn take(&self) -> Result<Running, EngineError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(running) => Ok(running),
            None => Running::start(&self.program, Arc::clone(&self.doorway)),
        }
    }

    /// Keeps a program that is between two passes, if it can serve another run.
    fn keep(&self, running: Running) {
        if running.serves_runs() && running.nothing_between().is_ok() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(running);
        }
    }
}

/// A running program as the engine of one run.
pub struct ProcessEngine {
    name: String,
    programs: Arc<Programs>,
    /// `None` during a pass: one that is dropped in the middle, by a restart of the engine, ends its program.
    running: Option<Running>,
    /// Whether the program knows of this run.
    started: bool,
    link: Option<EngineLink>,
    memo: TargetMemo,
}

impl ProcessEngine {
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
        let mut running = if let Some(running) = self.running.take() {
            running
        } else {
            self.started = false;
            self.programs.take()?
        };
        running.nothing_between()?;
        if !self.started {
            running.send(message::start(&running.kubeconfig))?;
            self.started = true;
        }
        let prepared = external::prepare(&input, &mut self.memo, &link.assessor);
        let ordered = running.number();
        running.send(message::order(kind, ordered, &input, &prepared))?;
        let mut polls = Polls::default();
        loop {
            match running.next().await? {
                Event::Call(call) => serve(&link, &mut polls, *call).await,
                Event::Line(said) => match message::read(&said)? {
                    // Of an earlier pass: it was said twice, and came when this pass had begun.
                    Said::Done { number, .. } if number != ordered => {
                        return Err(running::unexpected(&Event::Line(said), BETWEEN));
                    }
                    Said::Done { mut output, .. } => {
                        texts::augment(&mut output.results, &input.kinds);
                        self.running = Some(running);
                        return Ok(output);
                    }
                    Said::Note { number, note } => {
                        polls.reported();
                        if let Some(note) = note {
                            asks.note(message::in_scope(note, &input.kinds));
                        }
                        running.send(message::ok(number, ""))?;
                    }
                    Said::Wait {
                        number,
                        phase,
                        wave,
                        is_final,
                    } => {
                        polls.reported();
                        let waited = asks.wave_delay(phase, wave, is_final).await;
                        running.send(message::ok(number, waited.err().as_deref().unwrap_or("")))?;
                    }
                    Said::Sleep { number, duration } => {
                        polls.reported();
                        if !duration.is_zero() {
                            link.clock.sleep(duration).await;
                        }
                        running.send(message::ok(number, ""))?;
                    }
                    Said::Hello { .. } => {
                        return Err(EngineError::Protocol("it said hello twice".to_owned()));
                    }
                },
                event @ (Event::Ended(_) | Event::Opened(_)) => {
                    return Err(running::unexpected(&event, "during a pass"));
                }
            }
        }
    }
}

impl Drop for ProcessEngine {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.programs.keep(running);
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
        Box::pin(async move { self.converse("pass", input, asks).await })
    }

    fn terminate<'a>(
        &'a mut self,
        input: StepInput,
        asks: &'a mut dyn Asks,
    ) -> BoxFuture<'a, Result<StepOutput, EngineError>> {
        Box::pin(self.converse("terminate", input, asks))
    }

    fn reads_managed_fields(
        &self,
        _targets: &[Arc<wavetank_json::Value>],
        _options: &wavetank_sync::SyncOptions,
    ) -> bool {
        true
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Answers one request of the program, through the seam.
async fn serve(link: &EngineLink, polls: &mut Polls, call: Call) {
    match polls.takes_time(&call.parts) {
        Takes::Nothing => {}
        Takes::UntilDue => {
            let now = link.clock.now();
            let due = (link.next_work)().unwrap_or(now + polls::LONGEST);
            let until = due
                .min(now + polls::LONGEST)
                .max(now + Duration::from_millis(1));
            link.clock.sleep_until(until).await;
        }
        Takes::Second => link.clock.sleep(polls::LONGEST).await,
    }
    let answer = match answer(link, call.parts, call.body).await {
        Ok(response) => Ok(response),
        Err(error) if HangUp::is_cause(&*error) => Err(HangUp(error.to_string())),
        Err(error) => Ok(failure(500, "InternalError", &error.to_string())),
    };
    // What is due at this instant happens before the program goes on.
    tokio::task::yield_now().await;
    // A program that hung up needs no answer.
    call.reply.send(answer).ok();
}

async fn answer(
    link: &EngineLink,
    parts: http::request::Parts,
    body: Bytes,
) -> Result<Response<Bytes>, BoxError> {
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
    let request = request.body(Body::from(body))?;
    let response = link.client.send(request).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
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

    fn programs(script: &str, doorway: Doorway) -> Arc<Programs> {
        let program = EngineProgram {
            path: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            patience: Duration::from_millis(300),
        };
        Arc::new(Programs::new(program, doorway))
    }

    fn start(script: &str) -> Result<String, EngineError> {
        let doorway: Doorway = Arc::new(|_| {
            Box::pin(std::future::ready(Ok(Opened {
                kubeconfig: String::new(),
                serve: Box::pin(std::future::pending()),
            })))
        });
        let engine = programs(script, doorway).engine()?;
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
    fn a_program_without_an_api_is_lost() {
        let doorway: Doorway =
            Arc::new(|_| Box::pin(std::future::ready(Err("no port".to_owned()))));
        let lost = programs("true", doorway).engine().err();
        assert_eq!(
            lost,
            Some(EngineError::Lost(
                "no port, before it said hello".to_owned()
            ))
        );
    }
}
