//! Which of many event patterns an entry fits, without asking each of them.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use wavetank_model::{EventPattern, ObjectKey, Reference, Subject, Verb};
use wavetank_trace::Event;

/// Number of a pattern in its [`Matcher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PatternId(pub(crate) usize);

/// A set of patterns, looked up by verb, kind and name.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    home: String,
    patterns: Vec<EventPattern>,
    ids: BTreeMap<EventPattern, PatternId>,
    by_verb: Vec<VerbIndex>,
}

#[derive(Clone, Debug, Default)]
struct VerbIndex {
    kinds: IndexMap<String, KindIndex>,
    others: Vec<PatternId>,
}

#[derive(Clone, Debug, Default)]
struct KindIndex {
    by_name: IndexMap<String, Vec<PatternId>>,
    wildcards: Vec<PatternId>,
}

impl Matcher {
    /// No pattern yet; `home` is the namespace of the app.
    pub(crate) fn new(home: &str) -> Self {
        let by_verb = vec![VerbIndex::default(); Verb::ALL.len()];
        Self {
            home: home.to_owned(),
            patterns: Vec::new(),
            ids: BTreeMap::new(),
            by_verb,
        }
    }

    /// The number of `pattern`, which is added if it is new.
    pub(crate) fn intern(&mut self, pattern: &EventPattern) -> PatternId {
        if let Some(id) = self.ids.get(pattern) {
            return *id;
        }
        let id = PatternId(self.patterns.len());
        self.patterns.push(pattern.clone());
        self.ids.insert(pattern.clone(), id);
        let index = &mut self.by_verb[pattern.verb as usize];
        match &pattern.subject {
            Subject::Object(reference) => {
                let kind = index.kinds.entry(reference.kind.clone()).or_default();
                if reference.name.is_wildcard() {
                    kind.wildcards.push(id);
                } else {
                    kind.by_name
                        .entry(reference.name.0.clone())
                        .or_default()
                        .push(id);
                }
            }
            _ => index.others.push(id),
        }
        id
    }

    /// The pattern with this number.
    pub(crate) fn pattern(&self, id: PatternId) -> &EventPattern {
        &self.patterns[id.0]
    }

    /// How many patterns there are.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Puts the patterns that `event` fits into `hits`, which is emptied first.
    pub(crate) fn hits(&self, event: &Event, hits: &mut Vec<PatternId>) {
        hits.clear();
        let Some(verb) = event.verb() else { return };
        let index = &self.by_verb[verb as usize];
        let Some(key) = event.object() else {
            hits.extend(
                index
                    .others
                    .iter()
                    .filter(|id| event.matches(self.pattern(**id), &self.home)),
            );
            return;
        };
        let Some(kind) = index.kinds.get(&key.kind) else {
            return;
        };
        let named = kind.by_name.get(&key.name).into_iter().flatten();
        hits.extend(
            named
                .chain(&kind.wildcards)
                .filter(|id| self.fits(**id, key)),
        );
    }

    fn fits(&self, id: PatternId, key: &ObjectKey) -> bool {
        match &self.pattern(id).subject {
            Subject::Object(reference) => reference.matches(key, &self.home),
            _ => false,
        }
    }
}

type KindPositions = (IndexMap<String, Vec<usize>>, Vec<usize>);

/// Keys that a list of references names, looked up by kind and name.
#[derive(Debug, Default)]
pub(crate) struct References {
    /// By kind: positions by name, and those with a `*`.
    kinds: IndexMap<String, KindPositions>,
}

impl References {
    /// An index over `references`; positions in the list are what it answers.
    pub(crate) fn new<'a>(references: impl IntoIterator<Item = &'a Reference>) -> Self {
        let mut index = Self::default();
        for (position, reference) in references.into_iter().enumerate() {
            let (names, wildcards) = index.kinds.entry(reference.kind.clone()).or_default();
            if reference.name.is_wildcard() {
                wildcards.push(position);
            } else {
                names
                    .entry(reference.name.0.clone())
                    .or_default()
                    .push(position);
            }
        }
        index
    }

    /// Whether there is no reference.
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Positions of the references that may name `key`: kind and, where there is no `*`, name fit.
    pub(crate) fn candidates(&self, key: &ObjectKey) -> impl Iterator<Item = usize> {
        let kind = self.kinds.get(&key.kind);
        let named = kind
            .and_then(|(names, _)| names.get(&key.name))
            .into_iter()
            .flatten();
        let wildcards = kind.map(|(_, wildcards)| wildcards).into_iter().flatten();
        named.chain(wildcards).copied()
    }
}
