//! The second thread: the program, its pipes, and its connections.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower::{BoxError, Service};
use wavetank_cluster::{ApiBody, ApiService, HangUp};
use wavetank_kernel::BoxFuture;

use super::{Doorway, EngineProgram};

/// The longest line a program may say, in bytes.
const LONGEST_LINE: usize = 256 << 20;
/// So much of what it says on standard error is told when it ends, in lines.
const LAST_WORDS: usize = 10;

/// What comes from the program, in the order it came.
pub(super) enum Event {
    /// Its way in is open; path of its kubeconfig. The first of all.
    Opened(String),
    /// A line of its standard output.
    Line(String),
    /// A request to the API.
    Call(Box<Call>),
    /// It is over; nothing follows.
    Ended(String),
}

/// A request that waits for its answer.
pub(super) struct Call {
    pub(super) parts: http::request::Parts,
    pub(super) body: Bytes,
    /// Takes the answer, or the end of the connection.
    pub(super) reply: oneshot::Sender<Result<Response<Bytes>, HangUp>>,
}

/// What the second thread is given.
pub(super) struct Outside {
    pub(super) program: EngineProgram,
    pub(super) events: Sender<Event>,
    pub(super) orders: mpsc::UnboundedReceiver<String>,
    pub(super) stopped: oneshot::Receiver<()>,
}

impl Outside {
    /// Runs the program to its end, or until it is stopped.
    pub(super) fn run(self, doorway: &Doorway) {
        let events = self.events.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let ended = match runtime {
            Ok(runtime) => runtime.block_on(self.serve(doorway)),
            Err(error) => Err(format!("the operating system gives no runtime: {error}")),
        };
        if let Err(reason) = ended {
            // Nobody listens when the run is over.
            events.send(Event::Ended(reason)).ok();
        }
    }

    /// `Ok` when it was stopped, else why it ended.
    async fn serve(self, doorway: &Doorway) -> Result<(), String> {
        let service = ApiService::new(Forward {
            events: self.events.clone(),
        });
        let opened = doorway(service).await?;
        // Kubeconfig, temporary files and caches of the program live and go with it.
        let home = tempfile::tempdir()
            .map_err(|error| format!("there is no place for temporary files: {error}"))?;
        let kubeconfig = home.path().join("kubeconfig");
        std::fs::write(&kubeconfig, &opened.kubeconfig)
            .map_err(|error| format!("its kubeconfig cannot be written: {error}"))?;
        let path = kubeconfig.display().to_string();
        // Nobody listens when the run is over.
        self.events.send(Event::Opened(path)).ok();
        let mut child = start(&self.program, home.path(), &kubeconfig)?;
        let Some(stdin) = child.stdin.take() else {
            return Err("it has no standard input".to_owned());
        };
        tokio::spawn(write_orders(stdin, self.orders));
        let Some(stderr) = child.stderr.take() else {
            return Err("it has no standard error".to_owned());
        };
        let last_words = tokio::spawn(listen(stderr));
        let Some(stdout) = child.stdout.take() else {
            return Err("it has no standard output".to_owned());
        };
        let spoken = speak(BufReader::new(stdout), &self.events);
        tokio::select! {
            biased;
            _ = self.stopped => {
                // It is dropped, which kills it.
                child.start_kill().ok();
                child.wait().await.ok();
                Ok(())
            }
            reason = opened.serve => Err(format!("its API is gone: {reason}")),
            spoken = spoken => Err(match spoken {
                Ok(()) => ended(&mut child, last_words).await,
                Err(reason) => reason,
            }),
        }
    }
}

fn start(
    program: &EngineProgram,
    home: &std::path::Path,
    kubeconfig: &std::path::Path,
) -> Result<Child, String> {
    Command::new(&program.path)
        .args(&program.arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("KUBECACHEDIR", home.join("cache"))
        .env("HOME", home)
        .env("TMPDIR", home)
        // One thread: what the program does at once it does in nearly the same order each time.
        .env("GOMAXPROCS", "1")
        // It decodes large documents again and again: less garbage collection pays.
        .env("GOGC", "400")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{} does not start: {error}", program.path.display()))
}

/// Hands orders to the program until there are no more, or it reads no more.
async fn write_orders(
    mut stdin: tokio::process::ChildStdin,
    mut orders: mpsc::UnboundedReceiver<String>,
) {
    while let Some(mut line) = orders.next().await {
        line.push('\n');
        if stdin.write_all(line.as_bytes()).await.is_err() {
            // It closed its input: that it ended is told when its output ends.
            return;
        }
    }
}

/// Passes on what the program says, line by line, until its output ends.
async fn speak(
    mut stdout: impl AsyncBufRead + Unpin,
    events: &Sender<Event>,
) -> Result<(), String> {
    let mut line = Vec::new();
    loop {
        let chunk = stdout
            .fill_buf()
            .await
            .map_err(|error| format!("its output cannot be read: {error}"))?;
        if chunk.is_empty() {
            return Ok(());
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        line.extend_from_slice(&chunk[..end.unwrap_or(taken)]);
        stdout.consume(taken);
        if line.len() > LONGEST_LINE {
            return Err("it said a line of more than 256 MiB".to_owned());
        }
        if end.is_some() {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if events.send(Event::Line(text)).is_err() {
                return Ok(());
            }
        }
    }
}

/// Reads the program's standard error to its end; gives the last lines.
async fn listen(stderr: ChildStderr) -> VecDeque<String> {
    let mut kept = VecDeque::with_capacity(LAST_WORDS);
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if kept.len() == LAST_WORDS {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    kept
}

/// How the program ended.
async fn ended(child: &mut Child, last_words: JoinHandle<VecDeque<String>>) -> String {
    // It closed its output: it has this long to end as well.
    let patience = Duration::from_secs(2);
    let how = match timeout(patience, child.wait()).await {
        Ok(Ok(status)) => format!("it ended with {status}"),
        Ok(Err(error)) => format!("it ended: {error}"),
        Err(_) => return "it closed its output".to_owned(),
    };
    // Whoever else holds its standard error is not waited for.
    let words = timeout(patience, last_words).await;
    match words {
        Ok(Ok(words)) if !words.is_empty() => {
            let words: Vec<String> = words.into();
            format!("{how}; it said: {}", words.join(" | "))
        }
        _ => how,
    }
}

/// Turns the requests of the program into events.
#[derive(Clone)]
struct Forward {
    events: Sender<Event>,
}

impl Service<Request<Body>> for Forward {
    type Response = Response<ApiBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<ApiBody>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let events = self.events.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let (reply, answer) = oneshot::channel();
            events
                .send(Event::Call(Box::new(Call { parts, body, reply })))
                .map_err(|_| "the run is over")?;
            let response = answer.await.map_err(|_| "the run is over")??;
            Ok(response.map(|bytes| {
                ApiBody::new(
                    Full::new(bytes).map_err(|never: std::convert::Infallible| match never {}),
                )
            }))
        })
    }
}
