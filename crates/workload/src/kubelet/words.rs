//! What a kubelet says about the containers of a Pod when it reports its status: Events.

use wavetank_json::Value;
use wavetank_model::object::{self, At};

use crate::context::Context;
use crate::events::{Kind, Source};
use crate::read::{int, list, text};

/// Says what is new in the status `new` of a Pod.
pub(super) fn note(old: &Value, new: &Value, context: &mut Context<'_>) {
    if !context.config.noise {
        return;
    }
    for (field, part) in [
        ("initContainerStatuses", "initContainers"),
        ("containerStatuses", "containers"),
    ] {
        for status in list(new, &["status", field]) {
            let name = text(status, &["name"]);
            let before = list(old, &["status", field])
                .iter()
                .find(|before| text(before, &["name"]) == name);
            let mut voice = Voice {
                pod: new,
                field: format!("spec.{part}{{{name}}}"),
                context,
            };
            voice.note_state(before, status);
        }
    }
}

struct Voice<'a, 'b> {
    pod: &'a Value,
    field: String,
    context: &'a mut Context<'b>,
}

impl Voice<'_, '_> {
    fn say(&mut self, kind: Kind, reason: &str, message: &str) {
        let message = format_args!("{message}");
        self.context.event_in(
            Source::Kubelet,
            self.pod,
            &self.field,
            kind,
            reason,
            message,
        );
    }

    fn note_state(&mut self, before: Option<&Value>, status: &Value) {
        let (name, image) = (text(status, &["name"]), text(status, &["image"]));
        let state = |status: &Value, kind: &str| status.at(&["state", kind]).is_some();
        let restarts = |status: &Value| int(status, &["restartCount"]).unwrap_or(0);
        let ran = before
            .is_some_and(|before| state(before, "running") && restarts(before) == restarts(status));
        // One that ended between two reports was started as well.
        let started = (state(status, "running") || state(status, "terminated")) && !ran;
        if started && before.is_none_or(|before| !state(before, "terminated")) {
            let present = format!(
                "Container image \"{image}\" already present on machine and can be accessed by the pod"
            );
            self.say(Kind::Normal, "Pulled", &present);
            self.say(Kind::Normal, "Created", "Container created");
            self.say(Kind::Normal, "Started", "Container started");
        }
        if ran && object::is_terminating(self.pod) && state(status, "terminated") {
            self.say(
                Kind::Normal,
                "Killing",
                &format!("Stopping container {name}"),
            );
        }
        let waiting = |status: &Value| text(status, &["state", "waiting", "reason"]).to_owned();
        let reason = waiting(status);
        if before.map(waiting).unwrap_or_default() == reason {
            return;
        }
        let message = text(status, &["state", "waiting", "message"]);
        match reason.as_str() {
            "ErrImagePull" => {
                self.say(
                    Kind::Normal,
                    "Pulling",
                    &format!("Pulling image \"{image}\""),
                );
                let failed = format!("Failed to pull image \"{image}\": {message}");
                self.say(Kind::Warning, "Failed", &failed);
                self.say(Kind::Warning, "Failed", "Error: ErrImagePull");
            }
            "ImagePullBackOff" => {
                let message = format!("Back-off pulling image \"{image}\"");
                self.say(Kind::Normal, "BackOff", &message);
                self.say(Kind::Warning, "Failed", "Error: ImagePullBackOff");
            }
            "CreateContainerConfigError" => {
                self.say(Kind::Warning, "Failed", &format!("Error: {message}"));
            }
            "CrashLoopBackOff" => {
                let (pod, uid) = (self.pod, object::uid(self.pod));
                let message = format!(
                    "Back-off restarting failed container {name} in pod {}_{}({uid})",
                    object::name(pod),
                    object::namespace(pod)
                );
                self.say(Kind::Warning, "BackOff", &message);
            }
            _ => {}
        }
    }
}
