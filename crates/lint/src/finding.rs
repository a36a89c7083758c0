//! One thing that will probably go wrong.

use std::path::PathBuf;

use serde::Serialize;
use wavetank_scenario::{Location, Problem, Severity};

use crate::code::{self, Code, Level};
use crate::item::Item;

/// One thing that will probably go wrong.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What kind of thing.
    pub code: &'static Code,
    /// What and where: message, position, label, note.
    pub problem: Problem,
    /// The object, as `Job/migrate`; empty where it is about a whole file.
    pub object: String,
    /// The step `commit` of a scenario, from 0, after which it is so; `None`: from the start.
    pub step: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: &'static str,
    findings: Vec<Row<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    code: &'static str,
    name: &'static str,
    level: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    object: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    path: String,
    line: usize,
    column: usize,
}

impl Finding {
    /// A finding about `item`, shown at `location` with `label`.
    pub(crate) fn new(
        code: &'static Code,
        item: &Item<'_>,
        location: Location,
        message: String,
        label: impl Into<String>,
    ) -> Self {
        Self {
            code,
            problem: Problem {
                severity: Severity::Warning,
                code: Some(code.id),
                message,
                location,
                label: label.into(),
                note: String::new(),
            },
            object: item.name.clone(),
            step: None,
        }
    }

    /// The same, as something that is so after a step.
    pub(crate) fn after(mut self, step: Option<usize>) -> Self {
        self.step = step;
        if let Some(step) = step {
            let when = format!("so it is after the commit of `steps.{step}`");
            let note = &mut self.problem.note;
            *note = match note.as_str() {
                "" => when,
                note => format!("{note}; {when}"),
            };
        }
        self
    }

    /// The same with a note below.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.problem.note = note.into();
        self
    }

    /// A warning of the reader that has a code; `None` for others.
    pub fn of_problem(problem: &Problem) -> Option<Self> {
        Some(Self {
            code: code::find(problem.code?)?,
            problem: problem.clone(),
            object: String::new(),
            step: None,
        })
    }

    /// Whether somebody has to do something.
    pub fn is_warning(&self) -> bool {
        self.code.level == Level::Warning
    }

    /// As text in the manner of rustc, without a newline at the end.
    pub fn render(&self, styled: bool) -> String {
        self.problem
            .render_as(self.code.level == Level::Note, styled)
    }

    /// In one line: `WT101 file:12: message`.
    pub fn line(&self) -> String {
        let (line, _) = self.problem.location.line_and_column();
        let path = self.problem.location.source.path.display();
        format!("{} {path}:{line}: {}", self.code.id, self.problem.message)
    }

    pub(crate) fn identity(&self) -> (&'static str, PathBuf, usize, String) {
        let location = &self.problem.location;
        (
            self.code.id,
            location.source.path.clone(),
            location.span.start,
            self.problem.message.clone(),
        )
    }

    pub(crate) fn place(&self) -> (PathBuf, usize, &'static str) {
        let location = &self.problem.location;
        (
            location.source.path.clone(),
            location.span.start,
            self.code.id,
        )
    }

    fn row(&self) -> Row<'_> {
        let (line, column) = self.problem.location.line_and_column();
        Row {
            code: self.code.id,
            name: self.code.name,
            level: self.code.level.as_str(),
            message: &self.problem.message,
            label: &self.problem.label,
            note: &self.problem.note,
            object: &self.object,
            step: self.step,
            path: self.problem.location.source.path.display().to_string(),
            line,
            column,
        }
    }
}

/// Findings as one JSON document, indented, with a newline at the end; its key `version` names the form.
///
/// # Errors
/// Those of the JSON writer: none for findings.
pub fn json(findings: &[Finding]) -> Result<String, serde_json::Error> {
    let document = Document {
        version: "v0",
        findings: findings.iter().map(Finding::row).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
