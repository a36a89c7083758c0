//! Cases sent over HTTPS, by the client that the project itself uses.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::runtime::Runtime;
use wavetank_json::Value;

use crate::cases::{Outgoing, Reply, Target};

/// A client for the server that a kubeconfig names.
///
/// # Errors
/// When the file cannot be read or used.
pub async fn client(kubeconfig: &Path) -> Result<Client, String> {
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| error.to_string())?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| error.to_string())?;
    // Every answer counts, also one that asks to come again.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| error.to_string())
}

/// What the namespace `t` of the cases is called on a server that has seen other cases before.
#[derive(Clone, Debug)]
pub enum Naming {
    /// As in the cases.
    Plain,
    /// By another name, which stands nowhere else.
    As(String),
}

/// What a watch has sent.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    ended: bool,
}

/// A server that is reached over HTTPS.
pub struct Https<'a> {
    runtime: &'a Runtime,
    client: Client,
    naming: Naming,
    /// World time passes this many times faster than the wall clock.
    scale: u32,
    /// How long after the last request all its watch events are there.
    settle: Duration,
    attempts: u32,
    watches: BTreeMap<String, Arc<Mutex<Stream>>>,
    /// What a case made outside of its namespace, in order.
    made: Vec<String>,
}

impl<'a> Https<'a> {
    /// A target with a namespace `t`, which is created; the runtime must have a thread of its own. Reads and
    /// dry runs that do not show what is expected are tried `attempts` times.
    ///
    /// # Errors
    /// When the namespace cannot be made.
    pub fn new(
        runtime: &'a Runtime,
        client: Client,
        naming: Naming,
        scale: u32,
        settle: Duration,
        attempts: u32,
    ) -> Result<Self, String> {
        let mut target = Self {
            runtime,
            client,
            naming,
            scale,
            settle,
            attempts,
            watches: BTreeMap::new(),
            made: Vec::new(),
        };
        let plain = |method: &str, uri: &str, body: &str| Outgoing {
            method: method.to_owned(),
            uri: uri.to_owned(),
            headers: Vec::new(),
            body: body.to_owned(),
            watch: None,
        };
        target.send(&plain(
            "POST",
            "/api/v1/namespaces",
            r#"{"metadata":{"name":"t"}}"#,
        ))?;
        let account = plain("GET", "/api/v1/namespaces/t/serviceaccounts/default", "");
        for _ in 0..400 {
            if target.send(&account)?.code == 200 {
                return Ok(target);
            }
            pause(Duration::from_millis(50));
        }
        Err("the namespace t got no ServiceAccount".to_owned())
    }

    /// Removes what the case made outside of its namespace. The namespace stays: nobody uses its name again.
    ///
    /// # Errors
    /// When something does not go away.
    pub fn clean_up(&mut self) -> Result<(), String> {
        let outgoing = |method: &str, uri: &str, body: &str| Outgoing {
            method: method.to_owned(),
            uri: uri.to_owned(),
            headers: vec![(
                "content-type".to_owned(),
                "application/merge-patch+json".to_owned(),
            )],
            body: body.to_owned(),
            watch: None,
        };
        let options = r#"{"gracePeriodSeconds":0,"propagationPolicy":"Background"}"#;
        let mut made = std::mem::take(&mut self.made);
        made.reverse();
        for uri in made {
            if uri == "/api/v1/namespaces/t" {
                continue;
            }
            let mut delete = outgoing("DELETE", &uri, options);
            delete.headers.clear();
            if uri.starts_with("/apis/example.com/") {
                self.send(&outgoing(
                    "PATCH",
                    &uri,
                    r#"{"metadata":{"finalizers":null}}"#,
                ))?;
            }
            if self.send(&delete)?.code == 404 {
                continue;
            }
            let mut tries = 0;
            while self.send(&outgoing("GET", &uri, ""))?.code != 404 {
                let freed = outgoing("PATCH", &uri, r#"{"metadata":{"finalizers":null}}"#);
                if tries == 20 && !uri.contains("/customresourcedefinitions/") {
                    self.send(&freed)?;
                }
                if tries == 200 {
                    return Err(format!("{uri} does not go away"));
                }
                // A controller that applies what it watches makes it anew when it was a moment too late.
                if tries % 20 == 19 {
                    self.send(&delete)?;
                }
                tries += 1;
                pause(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    fn translate(&self, request: &Outgoing) -> (String, String) {
        let Naming::As(name) = &self.naming else {
            return (request.uri.clone(), request.body.clone());
        };
        let (path, query) = request.uri.split_once('?').unwrap_or((&request.uri, ""));
        let mut parts: Vec<&str> = path.split('/').collect();
        for index in 1..parts.len() {
            if parts[index - 1] == "namespaces" && parts[index] == "t" {
                parts[index] = name;
            }
        }
        let about_namespaces = path.starts_with("/api/v1/namespaces")
            && (parts.len() <= 5 || matches!(parts[5], "status" | "finalize"));
        let mut uri = parts.join("/");
        if !query.is_empty() {
            let query = query
                .replace(
                    "metadata.namespace=t",
                    &format!("metadata.namespace={name}"),
                )
                .replace(
                    "metadata.namespace%3Dt",
                    &format!("metadata.namespace%3D{name}"),
                );
            uri = format!("{uri}?{query}");
        }
        let body = match serde_json::from_str::<Value>(&request.body) {
            Ok(mut value) if !request.body.contains("\\u0000") => {
                if about_namespaces && value.pointer("/metadata/name") == Some(&Value::from("t")) {
                    value["metadata"]["name"] = Value::from(name.as_str());
                }
                if rename(&mut value, name) || about_namespaces {
                    value.to_string()
                } else {
                    request.body.clone()
                }
            }
            _ => request
                .body
                .replace("namespace: t\n", &format!("namespace: {name}\n")),
        };
        (uri, body)
    }

    /// An answer in the words of the cases.
    fn back(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.naming {
            Naming::Plain => bytes,
            Naming::As(name) => match String::from_utf8(bytes) {
                Ok(text) => text.replace(name, "t").into_bytes(),
                Err(other) => other.into_bytes(),
            },
        }
    }

    fn remember(&mut self, request: &Outgoing, reply: &Reply) {
        let path = request.uri.split('?').next().unwrap_or_default();
        // Objects of a definition hold it up when they have finalizers; all else may stay with the namespace.
        let stays = path.contains("/namespaces/t/") && !path.starts_with("/apis/example.com/");
        if reply.code != 201 || stays || request.uri.contains("dryRun") {
            return;
        }
        let body = reply.body.as_deref().unwrap_or_default();
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = body.pointer("/metadata/name").and_then(Value::as_str);
        match (request.method.as_str(), name) {
            ("POST", Some(name)) => self.made.push(format!("{path}/{name}")),
            ("PATCH" | "PUT", Some(_)) => self.made.push(path.to_owned()),
            _ => {}
        }
    }
}

/// Gives the namespace `t` its other name wherever an object names it; whether it was named.
fn rename(value: &mut Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => {
            let mut found = false;
            for (key, field) in fields {
                if key == "namespace" && *field == "t" {
                    *field = Value::from(name);
                    found = true;
                } else {
                    found |= rename(field, name);
                }
            }
            found
        }
        Value::Array(items) => {
            let mut found = false;
            for item in items {
                found |= rename(item, name);
            }
            found
        }
        _ => false,
    }
}

fn pause(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server in another process lives in its own time"
    )]
    std::thread::sleep(time);
}

impl Target for Https<'_> {
    fn send(&mut self, request: &Outgoing) -> Result<Reply, String> {
        let (uri, body) = self.translate(request);
        let mut builder = http::Request::builder()
            .method(request.method.as_str())
            .uri(uri);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let sent = builder
            .body(Body::from(body.into_bytes()))
            .map_err(|error| error.to_string())?;
        let response = self
            .runtime
            .block_on(self.client.send(sent))
            .map_err(|error| error.to_string())?;
        let (parts, mut body) = response.into_parts();
        let mut reply = Reply {
            code: parts.status.as_u16(),
            headers: parts.headers,
            body: None,
        };
        if let Some(watch) = request.watch.as_ref().filter(|_| reply.code == 200) {
            let stream = Arc::new(Mutex::new(Stream::default()));
            self.watches.insert(watch.clone(), Arc::clone(&stream));
            self.runtime.spawn(async move {
                let lock = || stream.lock().unwrap_or_else(PoisonError::into_inner);
                while let Some(Ok(frame)) = body.frame().await {
                    if let Ok(data) = frame.into_data() {
                        lock().bytes.extend_from_slice(&data);
                    }
                }
                lock().ended = true;
            });
            return Ok(reply);
        }
        let bytes = self
            .runtime
            .block_on(body.collect())
            .map_err(|error| error.to_string())?
            .to_bytes();
        reply.body = Some(self.back(bytes.into()));
        self.remember(request, &reply);
        Ok(reply)
    }

    fn look(&mut self, watch: &str) -> Result<(Vec<Value>, bool), String> {
        pause(self.settle);
        let stream = self
            .watches
            .get(watch)
            .ok_or_else(|| format!("no watch is called {watch}"))?;
        let (bytes, ended) = {
            let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut stream.bytes), stream.ended)
        };
        let bytes = self.back(bytes);
        let lines = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
        let seen: Result<Vec<Value>, _> = lines.collect();
        seen.map(|seen| (seen, ended))
            .map_err(|error| format!("no JSON: {error}"))
    }

    fn advance(&mut self, by: Duration) {
        pause(by / self.scale + self.settle / 4);
    }

    fn has_own_time(&self) -> bool {
        true
    }

    fn attempts(&self) -> u32 {
        self.attempts
    }

    fn compact(&mut self) -> Result<(), String> {
        Err("the past of a server in another process cannot be forgotten at will".to_owned())
    }
}
