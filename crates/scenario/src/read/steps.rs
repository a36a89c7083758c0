//! Section 7 of the format: steps and bound actions.

use wavetank_model::{Propagation, Reference};

use super::app::retry;
use super::{Reader, strings};
use crate::format::ACTIONS;
use crate::types::{BoundAction, Commit, Step, StepAction, SyncRequest, SyncStrategy};
use crate::yaml::Node;

impl Reader<'_, '_> {
    pub(super) fn steps(&mut self, node: Option<&Node>) -> Vec<Step> {
        let Some(node) = node else {
            return vec![plain_sync()];
        };
        let mut out = Vec::new();
        for item in node.items() {
            let on = self.bound(item.get("on"));
            let faults = self.faults(item.get("faults"));
            let expect = item
                .get("expect")
                .map(|expect| self.expectations(Some(expect)));
            let Some(action) = self.action(item) else {
                continue;
            };
            out.push(Step {
                name: item.get("name").and_then(Node::string),
                action,
                on,
                faults,
                expect,
            });
        }
        out
    }

    pub(super) fn bound(&mut self, node: Option<&Node>) -> Vec<BoundAction> {
        let mut out = Vec::new();
        for item in node.into_iter().flat_map(Node::items) {
            let name = item
                .get("name")
                .and_then(Node::string)
                .unwrap_or_else(|| format!("on-{}", self.bound.len() + 1));
            if self.bound.contains(&name) {
                let span = item.get("name").map_or(item.span, |name| name.span);
                self.context
                    .error(span, format!("two bound actions are called `{name}`"), "");
            }
            self.bound.push(name.clone());
            let list = item.get("do");
            if list.is_some_and(|list| list.items().is_empty() && !list.is_map()) {
                self.context
                    .error(item.span, "this bound action does nothing", "`do` is empty");
            }
            let actions = list.into_iter().flat_map(Node::items);
            let actions = actions
                .filter_map(|action| {
                    if let Some(until) = action.at(&["deleteApp", "until"]) {
                        let label = "only a step waits";
                        self.context
                            .error(until.span, "a bound action does not wait", label);
                    }
                    self.action(action)
                })
                .collect();
            let Some(event) = item.get("event").and_then(Node::event) else {
                continue;
            };
            out.push(BoundAction {
                name,
                event,
                nth: item.get("nth").and_then(Node::small).unwrap_or(1),
                delay: item
                    .get("delay")
                    .and_then(Node::duration)
                    .unwrap_or_default(),
                optional: item
                    .get("optional")
                    .and_then(Node::boolean)
                    .unwrap_or(false),
                actions,
            });
        }
        out
    }

    /// The action of a step; `None` when there is none, which was told.
    fn action(&mut self, step: &Node) -> Option<StepAction> {
        let key = ACTIONS
            .iter()
            .copied()
            .find(|key| step.get(key).is_some())?;
        let node = step.get(key)?;
        if key != "delete" {
            for beside in ["propagation", "force"] {
                if let Some(found) = step.get(beside) {
                    self.context.error(
                        found.span,
                        format!("`{beside}` goes with `delete`"),
                        format!("this step is `{key}`"),
                    );
                }
            }
        }
        Some(match key {
            "sync" => StepAction::Sync(self.sync(node)),
            "plan" => StepAction::Plan,
            "app" => self.app_patch(node),
            "commit" => StepAction::Commit(self.commit(node)),
            "apply" => StepAction::Apply(self.source_list(Some(node))),
            "patch" => {
                let (target, merge) = self.patch(node)?;
                StepAction::Patch { target, merge }
            }
            "delete" => StepAction::Delete {
                target: node.reference()?,
                propagation: step
                    .get("propagation")
                    .and_then(Node::string)
                    .as_deref()
                    .and_then(propagation),
                force: step.get("force").and_then(Node::boolean).unwrap_or(false),
            },
            "terminate" => StepAction::Terminate,
            "confirmPrune" => StepAction::ConfirmPrune,
            "confirmDelete" => StepAction::ConfirmDelete,
            "refresh" => {
                if let Some(hard) = node.get("hard").filter(|hard| hard.boolean() == Some(true)) {
                    let label = "a run caches no manifests: `refresh: {}` sees every commit";
                    self.context
                        .error(hard.span, "there is nothing to pass over", label);
                }
                StepAction::Refresh
            }
            "deleteApp" => StepAction::DeleteApp {
                cascade: match node.get("cascade") {
                    None => Some(Propagation::Foreground),
                    Some(cascade) => cascade.string().as_deref().and_then(propagation),
                },
                until: node.get("until").and_then(Node::event),
            },
            "restart" => StepAction::RestartEngine,
            "advance" => StepAction::Advance(node.duration()?),
            "wait" => StepAction::Wait {
                event: node.get("for")?.event()?,
                within: node
                    .get("within")
                    .and_then(Node::duration)
                    .unwrap_or(self.limits.time),
            },
            _ => StepAction::Settle,
        })
    }

    /// The step `app`: what it cannot change is refused, and the application is followed.
    fn app_patch(&mut self, node: &Node) -> StepAction {
        for fixed in ["name", "namespace"] {
            if let Some(found) = node.get(fixed) {
                self.context.error(
                    found.span,
                    format!("the {fixed} of the application cannot change"),
                    "",
                );
            }
        }
        let fixed = ["manifests", "from", "revision"].map(|key| vec![key]);
        let settings = [
            "syncWaveDelay",
            "resourceTrackingMethod",
            "version",
            "resourceCustomizations",
            "ignoreResourceUpdatesEnabled",
        ];
        let settings = settings.map(|key| vec!["settings", key]);
        for path in fixed.iter().chain(&settings) {
            if let Some(found) = node.at(path) {
                self.context.error(
                    found.span,
                    format!("`{}` cannot change during a run", path.join(".")),
                    "the step `commit` changes the desired state",
                );
            }
        }
        let _options = self.sync_options(node.at(&["syncPolicy", "syncOptions"]));
        let merge = self.json(node);
        match self.app.patched(&merge) {
            Ok(app) => self.app = app,
            Err(wrong) => self.context.error(
                node.span,
                "the application would be wrong after this patch",
                wrong,
            ),
        }
        StepAction::App(merge)
    }

    fn sync(&mut self, node: &Node) -> SyncRequest {
        let flag = |key: &str| node.get(key).and_then(Node::boolean).unwrap_or(false);
        let apply_only = node.get("strategy").and_then(Node::string).as_deref() == Some("apply");
        SyncRequest {
            prune: flag("prune"),
            dry_run: flag("dryRun"),
            revision: node.get("revision").and_then(Node::string),
            resources: references(node.get("resources")),
            sync_options: node
                .get("syncOptions")
                .map(|options| self.sync_options(Some(options))),
            strategy: if apply_only {
                SyncStrategy::Apply
            } else {
                SyncStrategy::Hook
            },
            force: flag("force"),
            retry: node.get("retry").map(retry),
            until: node.get("until").and_then(Node::event),
        }
    }

    fn commit(&mut self, node: &Node) -> Commit {
        let patches = node.get("patch").map_or(&[][..], Node::items);
        let manifests = node
            .get("manifests")
            .map(|manifests| self.placed_list(Some(manifests)));
        Commit {
            manifests,
            apply: self.placed_list(node.get("apply")),
            patch: patches
                .iter()
                .filter_map(|patch| self.patch(patch))
                .collect(),
            remove: references(node.get("remove")),
            revision: node.get("revision").and_then(Node::string),
        }
    }

    fn patch(&mut self, node: &Node) -> Option<(Reference, wavetank_json::Value)> {
        let target = node.get("target")?.reference()?;
        Some((target, self.json(node.get("merge")?)))
    }
}

fn plain_sync() -> Step {
    Step {
        name: None,
        action: StepAction::Sync(SyncRequest::default()),
        on: Vec::new(),
        faults: Vec::new(),
        expect: None,
    }
}

fn references(node: Option<&Node>) -> Vec<Reference> {
    strings(node)
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

fn propagation(text: &str) -> Option<Propagation> {
    match text {
        "foreground" => Some(Propagation::Foreground),
        "background" => Some(Propagation::Background),
        "orphan" => Some(Propagation::Orphan),
        _ => None,
    }
}
