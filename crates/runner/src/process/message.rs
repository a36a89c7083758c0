//! The messages of the engine protocol.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use wavetank_json::{Value, json};
use wavetank_model::{ObjectKey, OperationPhase, Phase, ResultCode, WaveNumber};
use wavetank_sync::external::{External, ExternalLive};
use wavetank_sync::{EngineError, Kinds, Note, ResourceResult, StepInput, StepOutput, SyncOptions};

/// What a program said.
pub(super) enum Said {
    /// Its first message.
    Hello {
        protocol: String,
        engine: String,
        version: String,
        capabilities: Vec<String>,
    },
    /// A report, to be answered; dry runs and calls that mean nothing for the trace carry no note.
    Note { number: u64, note: Option<Note> },
    /// It waits for the wave delay.
    Wait {
        number: u64,
        phase: Phase,
        wave: i64,
        is_final: bool,
    },
    /// It lets time go by.
    Sleep { number: u64, duration: Duration },
    /// The pass is over that was ordered with this number.
    Done { number: u64, output: StepOutput },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
enum Raw {
    Hello {
        protocol: String,
        engine: String,
        version: String,
        #[serde(default)]
        capabilities: Vec<String>,
    },
    Wave {
        n: u64,
        phase: Phase,
        wave: Option<i64>,
    },
    Task(Task),
    Wait {
        n: u64,
        phase: Phase,
        wave: i64,
        #[serde(default, rename = "final")]
        is_final: bool,
    },
    Sleep {
        n: u64,
        #[serde(default)]
        ms: u64,
    },
    Done {
        n: u64,
        phase: OperationPhase,
        #[serde(default)]
        message: String,
        #[serde(default)]
        results: Vec<RawResult>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    n: u64,
    action: String,
    object: Key,
    phase: Phase,
    wave: Option<i64>,
    #[serde(default)]
    hook: bool,
    #[serde(default)]
    dry_run: bool,
    ok: bool,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Key {
    #[serde(default)]
    group: String,
    kind: String,
    #[serde(default)]
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawResult {
    #[serde(flatten)]
    key: Key,
    #[serde(default)]
    version: String,
    #[serde(default)]
    images: Vec<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    hook_type: String,
    #[serde(default)]
    hook_phase: String,
    sync_phase: Phase,
    order: u32,
}

/// Reads a message of the program.
pub(super) fn read(line: &str) -> Result<Said, EngineError> {
    let raw: Raw = serde_json::from_str(line).map_err(|error| {
        EngineError::Protocol(format!(
            "it said what is no message ({error}): {}",
            shown(line)
        ))
    })?;
    Ok(match raw {
        Raw::Hello {
            protocol,
            engine,
            version,
            capabilities,
        } => Said::Hello {
            protocol,
            engine,
            version,
            capabilities,
        },
        Raw::Wave { n, phase, wave } => Said::Note {
            number: n,
            note: Some(Note::WaveStarted {
                phase,
                wave: number(wave),
            }),
        },
        Raw::Task(task) => Said::Note {
            number: task.n,
            note: task.note(),
        },
        Raw::Wait {
            n,
            phase,
            wave,
            is_final,
        } => Said::Wait {
            number: n,
            phase,
            wave,
            is_final,
        },
        Raw::Sleep { n, ms } => Said::Sleep {
            number: n,
            duration: Duration::from_millis(ms),
        },
        Raw::Done {
            n,
            phase,
            message,
            results,
        } => Said::Done {
            number: n,
            output: StepOutput {
                phase,
                message,
                results: results
                    .into_iter()
                    .map(RawResult::read)
                    .collect::<Result<_, _>>()?,
            },
        },
    })
}

fn number(wave: Option<i64>) -> WaveNumber {
    wave.map_or(WaveNumber::All, WaveNumber::Number)
}

impl Key {
    fn key(self) -> ObjectKey {
        ObjectKey::new(self.group, self.kind, self.namespace, self.name)
    }
}

impl Task {
    fn note(self) -> Option<Note> {
        if self.dry_run {
            return None;
        }
        let (phase, wave) = (self.phase, number(self.wave));
        let (key, message) = (self.object.key(), self.message);
        match (self.action.as_str(), self.ok) {
            ("delete", true) => Some(Note::Pruned { key, phase, wave }),
            ("delete", false) => None,
            (_, true) => Some(Note::Applied {
                key,
                phase,
                wave,
                message,
                hook: self.hook,
            }),
            (_, false) => Some(Note::Rejected {
                key,
                phase,
                wave,
                message,
            }),
        }
    }
}

/// Takes the namespace from the key of an object that has none (SYNC-188).
pub(super) fn in_scope(mut note: Note, kinds: &Kinds) -> Note {
    if let Note::Applied { key, .. } | Note::Rejected { key, .. } | Note::Pruned { key, .. } =
        &mut note
        && kinds.namespaced(&key.group_kind()) == Some(false)
    {
        key.namespace.clear();
    }
    note
}

/// The word of a field of a result, which may be empty.
fn word<T>(
    field: &str,
    text: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<Option<T>, EngineError> {
    if text.is_empty() {
        return Ok(None);
    }
    match parse(text) {
        Some(word) => Ok(Some(word)),
        None => Err(EngineError::Protocol(format!(
            "`{text}` is no {field} of a result"
        ))),
    }
}

impl RawResult {
    fn read(self) -> Result<ResourceResult, EngineError> {
        let status = word("status", &self.status, ResultCode::parse)?;
        let hook_phase = word("hookPhase", &self.hook_phase, OperationPhase::parse)?;
        let hook_type = word("hookType", &self.hook_type, Phase::parse)?;
        Ok(ResourceResult {
            key: Arc::new(self.key.key()),
            version: self.version,
            images: self.images,
            status,
            message: self.message,
            hook_type,
            hook_phase,
            sync_phase: self.sync_phase,
            order: self.order,
        })
    }
}

/// What a program is told first, and again when a new run begins.
pub(super) fn start(kubeconfig: &str) -> String {
    json!({"type": "start", "protocol": super::PROTOCOL, "kubeconfig": kubeconfig}).to_string()
}

/// The answer to a report; `failure` is empty when all is well.
pub(super) fn ok(number: u64, failure: &str) -> String {
    json!({"type": "ok", "n": number, "message": failure}).to_string()
}

/// The order for a pass, with the number that its `done` repeats.
pub(super) fn order(kind: &str, number: u64, input: &StepInput, prepared: &External) -> String {
    let results: Vec<Value> = input.results.iter().map(result).collect();
    let live: Vec<Value> = prepared.live.iter().map(live).collect();
    let kinds: Vec<Value> = prepared
        .kinds
        .iter()
        .map(|(kind, namespaced)| {
            json!({"group": kind.group, "kind": kind.kind, "namespaced": namespaced})
        })
        .collect();
    let denied: Vec<Value> = prepared
        .denied
        .iter()
        .map(|(denied, text)| {
            let mut entry = key(denied);
            entry["message"] = text.as_str().into();
            entry
        })
        .collect();
    json!({
        "type": kind,
        "n": number,
        "app": {"name": input.app.name, "namespace": input.app.namespace},
        "revision": input.revision,
        "startedAt": input.started_at,
        "phase": input.phase.as_str(),
        "message": input.message,
        "results": results,
        "options": options(&input.options, input.prune_confirmed),
        "targets": prepared.targets,
        "live": live,
        "kinds": kinds,
        "denied": denied,
    })
    .to_string()
}

fn key(key: &ObjectKey) -> Value {
    json!({"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name})
}

fn result(result: &ResourceResult) -> Value {
    let mut entry = key(&result.key);
    entry["version"] = result.version.as_str().into();
    entry["images"] = json!(result.images);
    entry["status"] = result.status.map_or("", ResultCode::as_str).into();
    entry["message"] = result.message.as_str().into();
    entry["hookType"] = result.hook_type.map_or("", |phase| phase.as_str()).into();
    entry["hookPhase"] = result.hook_phase.map_or("", OperationPhase::as_str).into();
    entry["syncPhase"] = result.sync_phase.as_str().into();
    entry["order"] = result.order.into();
    entry
}

fn live(live: &ExternalLive) -> Value {
    let health = match &live.health {
        Ok(None) => None,
        Ok(Some(health)) => {
            let status = health.status.map_or("", |status| status.as_str());
            let mut told = json!({"status": status, "message": health.message});
            if !health.deletion_message.is_empty() {
                told["deletionMessage"] = health.deletion_message.as_str().into();
            }
            Some(told)
        }
        Err(error) => Some(json!({"status": "Unknown", "message": error, "error": error})),
    };
    let health = health.map(|mut health| {
        health["override"] = live.overridden.into();
        health
    });
    json!({"object": live.object, "foreign": live.foreign, "modified": live.modified, "health": health})
}

fn options(options: &SyncOptions, prune_confirmed: bool) -> Value {
    let managed = options
        .managed_namespace
        .as_ref()
        .map(|managed| json!({"labels": managed.labels, "annotations": managed.annotations}));
    let resources: Vec<Value> = options
        .resources
        .iter()
        .map(|only| {
            json!({"group": only.group, "kind": only.kind, "namespace": only.namespace, "name": only.name})
        })
        .collect();
    json!({
        "dryRun": options.dry_run,
        "prune": options.prune,
        "pruneConfirmed": prune_confirmed,
        "pruneLast": options.prune_last,
        "prunePropagationPolicy": options.propagation.as_str(),
        "defaultPrune": options.default_prune,
        "force": options.force,
        "skipHooks": options.skip_hooks(),
        "validate": options.validate,
        "replace": options.replace,
        "serverSideApply": options.server_side_apply,
        "manager": options.manager,
        "migrate": options.migrate,
        "migrationManager": options.migration_manager,
        "skipDryRunOnMissingResource": options.skip_dry_run_on_missing_resource,
        "applyOutOfSyncOnly": options.apply_out_of_sync_only,
        "createNamespace": options.create_namespace,
        "managedNamespace": managed,
        "resources": resources,
    })
}

/// The beginning of a line, for messages.
pub(super) fn shown(line: &str) -> String {
    const LONGEST: usize = 200;
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_become_notes() {
        let line = r#"{"type":"task","n":3,"action":"apply","phase":"Sync","wave":2,"ok":true,"message":"namespace/a created",
            "object":{"group":"","kind":"Namespace","namespace":"shop","name":"a"}}"#;
        let Ok(Said::Note {
            number: 3,
            note: Some(note),
        }) = read(line)
        else {
            panic!("a note");
        };
        let expected = Note::Applied {
            key: ObjectKey::new("", "Namespace", "", "a"),
            phase: Phase::Sync,
            wave: WaveNumber::Number(2),
            message: "namespace/a created".to_owned(),
            hook: false,
        };
        assert_eq!(in_scope(note, &Kinds::builtin()), expected);
    }

    #[test]
    fn garbage_breaks_the_protocol() {
        for line in ["", "hello", "{}", r#"{"type":"done","phase":"Happy"}"#] {
            assert!(
                matches!(read(line), Err(EngineError::Protocol(_))),
                "{line}"
            );
        }
    }
}
