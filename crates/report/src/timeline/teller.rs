//! Picks the entries that are told and keeps track of what is under way.

use std::collections::BTreeSet;

use wavetank_kernel::SimTime;
use wavetank_model::{Actor, ChangeKind, ObjectKey, RequestRecord, Verb};
use wavetank_trace::{ApiEvent, Entry, Event, OperationEvent, PlanTask, Trace};

use super::{Detail, Mark, Row, Weight};

/// Goes through a trace once, after its objects of interest are known.
pub(super) struct Teller<'a> {
    home: &'a str,
    detail: Detail,
    told: BTreeSet<&'a ObjectKey>,
    hooks: BTreeSet<&'a ObjectKey>,
    rows: Vec<Row>,
    operation: bool,
    phase: bool,
    wave: bool,
}

impl<'a> Teller<'a> {
    pub(super) fn new(trace: &'a Trace, detail: Detail) -> Self {
        let mut told = BTreeSet::new();
        let mut hooks = BTreeSet::new();
        for entry in &trace.entries {
            match &entry.event {
                Event::Task(task) => {
                    told.insert(&task.key);
                    if task.hook {
                        hooks.insert(&task.key);
                    }
                }
                Event::Api(api) if api.actor.as_str() == Actor::USER => {
                    told.insert(&api.key);
                }
                _ => {}
            }
        }
        let home = trace.header.namespace.as_str();
        Self {
            home,
            detail,
            told,
            hooks,
            rows: Vec::new(),
            operation: false,
            phase: false,
            wave: false,
        }
    }

    /// The rows of the trace.
    pub(super) fn tell(mut self, trace: &Trace) -> Vec<Row> {
        for entry in &trace.entries {
            self.entry(entry);
        }
        self.rows
    }

    fn entry(&mut self, entry: &Entry) {
        let time = entry.time;
        match &entry.event {
            Event::Api(api) => self.api(time, api),
            Event::Health(health) => {
                let trouble = health.verb == Verb::Degraded;
                let message = if trouble || self.detail == Detail::Everything {
                    health.message.as_str()
                } else {
                    ""
                };
                self.object(
                    time,
                    &health.key,
                    mark(trouble, Mark::Cluster),
                    health.verb,
                    message,
                );
            }
            Event::End { key, succeeded } => {
                let verb = if *succeeded {
                    Verb::Succeeded
                } else {
                    Verb::Failed
                };
                self.object(time, key, mark(!succeeded, Mark::Cluster), verb, "");
            }
            Event::Task(task) => {
                let trouble = task.verb == Verb::Rejected;
                let message = if trouble || self.detail == Detail::Everything {
                    task.message.as_str()
                } else {
                    ""
                };
                self.object(
                    time,
                    &task.key,
                    mark(trouble, Mark::Engine),
                    task.verb,
                    message,
                );
            }
            Event::Operation(operation) => self.operation(time, operation),
            Event::Phase { phase, verb } => {
                self.wave = false;
                self.phase = false;
                self.heading(time, phase.to_string(), *verb, "");
                self.phase = *verb == Verb::Started;
            }
            Event::Wave { phase, wave, verb } => {
                self.wave = false;
                self.heading(time, format!("{phase}/{wave}"), *verb, "");
                self.wave = *verb == Verb::Started;
            }
            Event::App { verb, message } => {
                let trouble = *verb == Verb::Degraded;
                self.plain(
                    time,
                    mark(trouble, Mark::Engine),
                    "app".to_owned(),
                    Some(*verb),
                    message,
                );
            }
            Event::EngineRestarted => self.plain(
                time,
                Mark::Trouble,
                "engine".to_owned(),
                Some(Verb::Restarted),
                "",
            ),
            Event::Fault { name, key } => {
                let on = key
                    .as_ref()
                    .map(|key| key.short(self.home))
                    .unwrap_or_default();
                self.plain(
                    time,
                    Mark::Trouble,
                    format!("fault/{name}"),
                    Some(Verb::Fired),
                    &on,
                );
            }
            Event::Do { name } => self.plain(
                time,
                Mark::Cluster,
                format!("do/{name}"),
                Some(Verb::Fired),
                "",
            ),
            Event::StepStarted { index, name } => self.step(time, *index, name),
            Event::Note { text } => self.plain(time, Mark::None, "note".to_owned(), None, text),
            Event::Request(request) => self.request(time, request),
            Event::Pass { number, cause } if self.detail == Detail::Everything => {
                self.plain(time, Mark::Engine, format!("pass {number}"), None, cause);
            }
            Event::Plan { tasks } => self.plan(time, tasks),
            Event::Pass { .. } | Event::StepEnded { .. } | Event::AppState(_) => {}
        }
    }

    fn plan(&mut self, time: SimTime, tasks: &[PlanTask]) {
        let tasks = tasks
            .iter()
            .map(|task| format!("{}/{} {}", task.phase, task.wave, task.key.short(self.home)));
        let text = tasks.collect::<Vec<_>>().join(", ");
        self.plain(time, Mark::Engine, "plan".to_owned(), None, &text);
    }

    fn api(&mut self, time: SimTime, api: &ApiEvent) {
        let verb = match api.verb {
            ChangeKind::Created => Verb::Created,
            ChangeKind::Updated => Verb::Updated,
            ChangeKind::Deleting => Verb::Deleting,
            ChangeKind::Deleted => Verb::Deleted,
        };
        let by_user = api.actor.as_str() == Actor::USER;
        let by_engine = api.actor.as_str() == Actor::ENGINE;
        // What the engine creates or changes is told by `applied`; what controllers write into an object, by its health.
        let is_echo = match verb {
            Verb::Created => by_engine,
            Verb::Updated => !by_user,
            _ => false,
        };
        if is_echo && self.detail == Detail::Story {
            return;
        }
        let message = if by_engine {
            String::new()
        } else {
            format!("by {}", api.actor)
        };
        let message = if by_user || self.detail == Detail::Everything {
            message
        } else {
            String::new()
        };
        let mark = if by_engine {
            Mark::Engine
        } else {
            Mark::Cluster
        };
        self.object(time, &api.key, mark, verb, &message);
    }

    fn object(&mut self, time: SimTime, key: &ObjectKey, mark: Mark, verb: Verb, message: &str) {
        if self.detail == Detail::Story && !self.told.contains(key) {
            return;
        }
        let bars = self.bars();
        if let Some(row) = self.rows.last_mut()
            && row.time == time
            && row.bars == bars
            && row.key.as_ref() == Some(key)
            && (row.message.is_empty() || message.is_empty())
        {
            row.mark = row.mark.max(mark);
            row.verbs.push(verb.to_string());
            row.message.push_str(message);
            return;
        }
        self.rows.push(Row {
            time,
            bars,
            mark,
            weight: if self.told.contains(key) {
                Weight::Object
            } else {
                Weight::Aside
            },
            subject: key.short(self.home),
            hook: self.hooks.contains(key),
            verbs: vec![verb.to_string()],
            message: message.to_owned(),
            key: Some(key.clone()),
        });
    }

    fn operation(&mut self, time: SimTime, operation: &OperationEvent) {
        let message = &operation.state.message;
        let Some(verb) = operation.verb else {
            if self.detail == Detail::Everything {
                self.plain(time, Mark::Engine, "operation".to_owned(), None, message);
            }
            return;
        };
        if verb == Verb::Terminating {
            self.plain(
                time,
                Mark::Engine,
                "operation".to_owned(),
                Some(verb),
                message,
            );
            return;
        }
        (self.operation, self.phase, self.wave) = (false, false, false);
        let about = match verb {
            Verb::Started => started(operation),
            _ => message.clone(),
        };
        self.heading(time, "operation".to_owned(), verb, &about);
        self.operation = verb == Verb::Started;
    }

    fn step(&mut self, time: SimTime, index: usize, name: &str) {
        // An operation may go on over steps (`until`): its bars stay.
        let bars = self.bars();
        let row = Row {
            bars,
            ..Row::heading(time, format!("step {}: {name}", index + 1))
        };
        self.rows.push(row);
    }

    fn request(&mut self, time: SimTime, request: &RequestRecord) {
        if self.detail < Detail::Everything {
            return;
        }
        let target = request
            .key
            .as_ref()
            .map(|key| format!(" {}", key.short(self.home)))
            .unwrap_or_default();
        let subresource = if request.subresource.is_empty() {
            String::new()
        } else {
            format!("/{}", request.subresource)
        };
        let dry = if request.dry_run { " (dry run)" } else { "" };
        let reason = if request.reason.is_empty() {
            String::new()
        } else {
            format!(" {}", request.reason)
        };
        let subject = format!("request {}{target}{subresource}{dry}", request.verb);
        let about = format!("{}{reason}, by {}", request.code, request.actor);
        let by_engine = request.actor.as_str() == Actor::ENGINE;
        self.plain(
            time,
            if by_engine {
                Mark::Engine
            } else {
                Mark::Cluster
            },
            subject,
            None,
            &about,
        );
    }

    fn heading(&mut self, time: SimTime, subject: String, verb: Verb, message: &str) {
        let trouble = matches!(verb, Verb::Failed | Verb::Error);
        self.rows.push(Row {
            bars: self.bars(),
            mark: mark(trouble, Mark::None),
            verbs: vec![verb.to_string()],
            message: message.to_owned(),
            ..Row::heading(time, subject)
        });
    }

    fn plain(
        &mut self,
        time: SimTime,
        mark: Mark,
        subject: String,
        verb: Option<Verb>,
        message: &str,
    ) {
        self.rows.push(Row {
            bars: self.bars(),
            mark,
            weight: Weight::Aside,
            verbs: verb.map(|verb| verb.to_string()).into_iter().collect(),
            message: message.to_owned(),
            ..Row::heading(time, subject)
        });
    }

    fn bars(&self) -> usize {
        usize::from(self.operation) + usize::from(self.phase) + usize::from(self.wave)
    }
}

impl Row {
    fn heading(time: SimTime, subject: String) -> Self {
        Self {
            time,
            bars: 0,
            mark: Mark::None,
            weight: Weight::Heading,
            subject,
            hook: false,
            verbs: Vec::new(),
            message: String::new(),
            key: None,
        }
    }
}

const fn mark(trouble: bool, otherwise: Mark) -> Mark {
    if trouble { Mark::Trouble } else { otherwise }
}

/// Revision and attempt of an operation that starts.
fn started(operation: &OperationEvent) -> String {
    let revision = &operation.state.revision;
    let short = revision.get(..7).unwrap_or(revision);
    let revision = (!short.is_empty()).then(|| format!("revision {short}"));
    let attempt = (operation.attempt > 1).then(|| format!("attempt {}", operation.attempt));
    revision
        .into_iter()
        .chain(attempt)
        .collect::<Vec<_>>()
        .join(", ")
}
