//! What a load gathers: sources, problems, and the names that the scenario uses.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use wavetank_model::{Reference, Subject};

use crate::problem::{Location, Problem, Severity, Source};
use crate::yaml::{Node, NodeValue, Span};

/// A place where the scenario names something that must be able to come into being.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    /// Where the name stands.
    pub span: Span,
    /// What it names: an object, a fault or a bound action.
    pub subject: Subject,
}

/// What a load gathers.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Every text that was read; spans hold the index.
    pub sources: Vec<Arc<Source>>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    /// What is named so far.
    pub uses: Vec<Use>,
    /// Whether an event of the application is named.
    pub names_app: bool,
    seen: BTreeSet<(Span, String)>,
}

impl Context {
    /// Takes a text in and returns its number.
    pub(crate) fn add_source(&mut self, path: &Path, text: Arc<str>) -> u32 {
        self.sources.push(Arc::new(Source {
            path: path.to_owned(),
            text,
        }));
        u32::try_from(self.sources.len() - 1).unwrap_or(u32::MAX)
    }

    /// `span` as a location.
    pub(crate) fn location(&self, span: Span) -> Location {
        Location {
            source: Arc::clone(&self.sources[span.source as usize]),
            span: span.range(),
        }
    }

    /// The text at `span`.
    pub(crate) fn text(&self, span: Span) -> &str {
        self.sources[span.source as usize]
            .text
            .get(span.range())
            .unwrap_or_default()
    }

    /// The line on which `span` begins, from 1.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.location(span).line_and_column().0
    }

    /// Notes an error.
    pub(crate) fn error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.put(Severity::Error, None, span, message.into(), label.into());
    }

    /// Notes an error, with what a program said below.
    pub(crate) fn error_with_note(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        note: impl Into<String>,
    ) {
        let before = self.problems.len();
        self.error(span, message, label);
        if let Some(problem) = self.problems.get_mut(before) {
            problem.note = note.into();
        }
    }

    /// Notes a warning.
    pub(crate) fn warning(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.put(Severity::Warning, None, span, message.into(), label.into());
    }

    /// Notes a warning that `wavetank explain` knows by `code`.
    pub(crate) fn coded_warning(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        let (message, label) = (message.into(), label.into());
        self.put(Severity::Warning, Some(code), span, message, label);
    }

    /// Cases read the same text several times: a problem is told once.
    fn put(
        &mut self,
        severity: Severity,
        code: Option<&'static str>,
        span: Span,
        message: String,
        label: String,
    ) {
        if self.seen.insert((span, message.clone())) {
            let location = self.location(span);
            self.problems.push(Problem {
                severity,
                code,
                message,
                location,
                label,
                note: String::new(),
            });
        }
    }

    /// Whether an error was noted.
    pub(crate) fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// The part `part` of the scalar `node`, when it stands in the source as it is; else the whole scalar.
    pub(crate) fn part_of(&self, node: &Node, part: &str) -> Span {
        if let NodeValue::Scalar(_) = node.value
            && let Some(at) = self.text(node.span).find(part)
            && !part.is_empty()
        {
            let start = node.span.start + u32::try_from(at).unwrap_or(0);
            return Span {
                start,
                end: start + u32::try_from(part.len()).unwrap_or(0),
                ..node.span
            };
        }
        node.span
    }

    /// Notes that `node` names `subject`, by the words `part` of it.
    pub(crate) fn use_subject(&mut self, node: &Node, part: &str, subject: Subject) {
        if matches!(
            subject,
            Subject::Object(_) | Subject::Fault(_) | Subject::Do(_)
        ) {
            let span = self.part_of(node, part);
            self.uses.push(Use { span, subject });
        }
    }

    /// Notes that `node` names objects.
    pub(crate) fn use_reference(&mut self, node: &Node, part: &str, reference: Reference) {
        self.use_subject(node, part, Subject::Object(reference));
    }
}
