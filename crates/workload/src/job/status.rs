//! A Job's status while it is being worked out.

use std::collections::BTreeSet;

use wavetank_json::{Map, Value, json};

use super::indexes;
use super::judge::Tally;
use crate::read::{set_counter, status_of, text, with_status};

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    failed: bool,
    reason: String,
    message: String,
}

impl End {
    pub(super) fn failure(reason: &str, message: &str) -> Self {
        Self {
            failed: true,
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn success(reason: &str, message: &str) -> Self {
        Self {
            failed: false,
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) const fn is_failure(&self) -> bool {
        self.failed
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

/// The status to be written.
pub(super) struct JobStatus {
    fields: Map,
    now: String,
    changed: bool,
    succeeded: Vec<String>,
    failed: Vec<String>,
}

impl JobStatus {
    pub(super) fn of(job: &Value, now: String) -> Self {
        let fields = status_of(job);
        let uids = |field: &str| -> Vec<String> {
            let uncounted = fields
                .get("uncountedTerminatedPods")
                .and_then(|uncounted| uncounted.get(field));
            uncounted
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let (succeeded, failed) = (uids("succeeded"), uids("failed"));
        Self {
            fields,
            now,
            changed: false,
            succeeded,
            failed,
        }
    }

    pub(super) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// It is written.
    pub(super) const fn stored(&mut self) {
        self.changed = false;
    }

    pub(super) fn start_time(&self) -> Option<&str> {
        self.fields.get("startTime").and_then(Value::as_str)
    }

    /// The Job begins, if it did not before; written with the next change.
    pub(super) fn start(&mut self) {
        let now = &self.now;
        self.fields
            .entry("startTime")
            .or_insert_with(|| now.clone().into());
    }

    pub(super) fn set_tally(&mut self, tally: &Tally) {
        let number = |field: &str| self.fields.get(field).and_then(Value::as_i64);
        self.changed |= number("active").unwrap_or(0) != tally.active
            || number("ready") != Some(tally.ready)
            || number("terminating") != Some(tally.terminating);
        set_counter(&mut self.fields, "active", tally.active);
        self.fields.insert("ready".to_owned(), tally.ready.into());
        self.fields
            .insert("terminating".to_owned(), tally.terminating.into());
    }

    pub(super) fn uncounted(&self) -> usize {
        self.succeeded.len() + self.failed.len()
    }

    pub(super) fn note_succeeded(&mut self, uid: &str) {
        if !self.succeeded.iter().any(|known| known == uid) {
            self.succeeded.push(uid.to_owned());
            self.changed = true;
        }
    }

    pub(super) fn note_failed(&mut self, uid: &str) {
        if !self.failed.iter().any(|known| known == uid) {
            self.failed.push(uid.to_owned());
            self.changed = true;
        }
    }

    pub(super) fn complete_index(&mut self, index: u32) {
        let mut completed = indexes::parse(
            self.fields
                .get("completedIndexes")
                .and_then(Value::as_str)
                .unwrap_or_default(),
        );
        if completed.insert(index) {
            self.changed = true;
            self.fields.insert(
                "completedIndexes".to_owned(),
                indexes::format(&completed).into(),
            );
            self.fields
                .insert("succeeded".to_owned(), completed.len().into());
        }
    }

    /// Says which indexes failed for good; `None` where failures are not limited per index.
    pub(super) fn set_failed_indexes(&mut self, failed: Option<&BTreeSet<u32>>) {
        let Some(failed) = failed else { return };
        let text: Value = indexes::format(failed).into();
        if self.fields.get("failedIndexes") != Some(&text) {
            self.fields.insert("failedIndexes".to_owned(), text);
            self.changed = true;
        }
    }

    /// Forgets completed indexes that the Job no longer has.
    pub(super) fn keep_indexes_below(&mut self, end: u32) {
        let stored = self.fields.get("completedIndexes").and_then(Value::as_str);
        let mut completed = indexes::parse(stored.unwrap_or_default());
        let before = completed.len();
        completed.retain(|index| *index < end);
        if completed.len() != before {
            self.changed = true;
            let text = indexes::format(&completed);
            if text.is_empty() {
                self.fields.remove("completedIndexes");
            } else {
                self.fields
                    .insert("completedIndexes".to_owned(), text.into());
            }
            set_counter(
                &mut self.fields,
                "succeeded",
                i64::try_from(completed.len()).unwrap_or(i64::MAX),
            );
        }
    }

    /// Moves uncounted Pods that have no finalizer any more into the counters.
    pub(super) fn count_untracked(&mut self, is_tracked: impl Fn(&str) -> bool) {
        for (field, uids) in [
            ("succeeded", &mut self.succeeded),
            ("failed", &mut self.failed),
        ] {
            let before = uids.len();
            uids.retain(|uid| is_tracked(uid));
            let counted = i64::try_from(before - uids.len()).unwrap_or(0);
            if counted > 0 {
                self.changed = true;
                let total = self.fields.get(field).and_then(Value::as_i64).unwrap_or(0) + counted;
                self.fields.insert(field.to_owned(), total.into());
            }
        }
    }

    /// The end that an earlier write announced.
    pub(super) fn announced(&self) -> Option<End> {
        let true_condition = |kind: &str| {
            self.conditions().iter().find(|condition| {
                text(condition, &["type"]) == kind && text(condition, &["status"]) == "True"
            })
        };
        let end = |condition: &Value, failed: bool| End {
            failed,
            reason: text(condition, &["reason"]).to_owned(),
            message: text(condition, &["message"]).to_owned(),
        };
        let success = true_condition("SuccessCriteriaMet").map(|condition| end(condition, false));
        success.or_else(|| true_condition("FailureTarget").map(|condition| end(condition, true)))
    }

    /// Says how the Job is going to end: before finalizers are taken, so that it is not forgotten.
    pub(super) fn announce(&mut self, end: &End) {
        if self.announced().is_none() {
            let kind = if end.failed {
                "FailureTarget"
            } else {
                "SuccessCriteriaMet"
            };
            self.set_condition(kind, "True", &end.reason, &end.message);
        }
    }

    /// Ends the Job, when all Pods are counted and none is still terminating (API-330); says whether it did.
    pub(super) fn finish(&mut self, end: &End) -> bool {
        let terminating = self
            .fields
            .get("terminating")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        if self.uncounted() > 0 || terminating > 0 {
            return false;
        }
        let kind = if end.failed { "Failed" } else { "Complete" };
        self.set_condition(kind, "True", &end.reason, &end.message);
        if !end.failed {
            self.fields
                .insert("completionTime".to_owned(), self.now.clone().into());
        }
        true
    }

    /// Suspended or resumed (API-334); says which, where that is new.
    pub(super) fn note_suspension(&mut self, suspended: bool) -> Option<bool> {
        let known = self
            .conditions()
            .iter()
            .find(|condition| text(condition, &["type"]) == "Suspended");
        let value = known.map(|condition| text(condition, &["status"]) == "True");
        if suspended && value != Some(true) {
            self.set_condition("Suspended", "True", "JobSuspended", "Job suspended");
            self.fields.remove("startTime");
            Some(true)
        } else if !suspended && value == Some(true) {
            self.set_condition("Suspended", "False", "JobResumed", "Job resumed");
            self.fields
                .insert("startTime".to_owned(), self.now.clone().into());
            Some(false)
        } else {
            None
        }
    }

    fn conditions(&self) -> &[Value] {
        self.fields
            .get("conditions")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    fn set_condition(&mut self, kind: &str, value: &str, reason: &str, message: &str) {
        let mut all = self.conditions().to_vec();
        let condition = json!({
            "type": kind,
            "status": value,
            "lastProbeTime": self.now,
            "lastTransitionTime": self.now,
            "reason": reason,
            "message": message,
        });
        match all.iter_mut().find(|known| text(known, &["type"]) == kind) {
            Some(known) => *known = condition,
            None => all.push(condition),
        }
        self.fields
            .insert("conditions".to_owned(), Value::Array(all));
        self.changed = true;
    }

    /// The Job with this status.
    pub(super) fn applied_to(&self, job: &Value) -> Value {
        let mut fields = self.fields.clone();
        let mut uncounted = Map::new();
        for (field, uids) in [("succeeded", &self.succeeded), ("failed", &self.failed)] {
            if !uids.is_empty() {
                uncounted.insert(field.to_owned(), uids.iter().map(String::as_str).collect());
            }
        }
        fields.insert(
            "uncountedTerminatedPods".to_owned(),
            Value::Object(uncounted),
        );
        with_status(job, fields)
    }
}
