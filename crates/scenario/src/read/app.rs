//! Sections 2 and 3 of the format: the application, and the cluster before.

use wavetank_model::ArgoVersion;

use super::{Reader, strings, text_map};
use crate::annotations::UNKNOWN_OPTION;
use crate::format;
use crate::problem::nearest;
use crate::render::Destination;
use crate::shape::{Ty, check};
use crate::sources::Declared;
use crate::sources::customizations::{ignored_differences, ignored_updates};
use crate::types::{
    App, AppSettings, Automated, Backoff, Cluster, Customizations, Passes, Retry, StorageBinding,
    SyncPolicy,
};
use crate::unsupported;
use crate::yaml::{Node, NodeValue};

/// Sync options that Argo CD knows on an operation (SYNC-006).
const OPTIONS: &[&str] = &[
    "CreateNamespace=true",
    "CreateNamespace=false",
    "Validate=false",
    "Validate=true",
    "PruneLast=true",
    "PruneLast=false",
    "Replace=true",
    "Replace=false",
    "ServerSideApply=true",
    "ServerSideApply=false",
    "ClientSideApplyMigration=false",
    "ClientSideApplyMigration=true",
    "ApplyOutOfSyncOnly=true",
    "ApplyOutOfSyncOnly=false",
    "SkipDryRunOnMissingResource=true",
    "SkipDryRunOnMissingResource=false",
    "FailOnSharedResource=true",
    "FailOnSharedResource=false",
    "RespectIgnoreDifferences=true",
    "RespectIgnoreDifferences=false",
    "PrunePropagationPolicy=background",
    "PrunePropagationPolicy=foreground",
    "PrunePropagationPolicy=orphan",
    "Prune=false",
    "Prune=true",
    "Prune=confirm",
    "Delete=false",
    "Delete=true",
    "Delete=confirm",
    "Force=true",
    "Force=false",
];

impl Reader<'_, '_> {
    pub(super) fn app(
        &mut self,
        node: Option<&Node>,
        scenario: &str,
        version: &str,
        documents: &[Declared],
    ) -> App {
        let from = node
            .and_then(|node| node.get("from"))
            .and_then(|from| self.application(from));
        let written = |key: &str| node.and_then(|node| node.get(key));
        let of_from = |path: &[&str]| from.as_ref().and_then(|from| from.at(path));
        let name = written("name")
            .and_then(Node::string)
            .unwrap_or_else(|| scenario.to_owned());
        let namespace = written("namespace")
            .or(of_from(&["spec", "destination", "namespace"]))
            .and_then(Node::string)
            .unwrap_or_else(|| "default".to_owned());
        self.sources.destination = Destination {
            app: name.clone(),
            namespace: namespace.clone(),
            version: version.to_owned(),
        };
        let mut desired = documents.to_vec();
        desired.extend(self.declared_list(written("manifests")));
        let places = desired
            .iter()
            .map(|declared| self.context.location(declared.span))
            .collect();
        let manifests = desired
            .into_iter()
            .map(|declared| declared.object)
            .collect();
        let policy = written("syncPolicy").or(of_from(&["spec", "syncPolicy"]));
        let differences = written("ignoreDifferences").or(of_from(&["spec", "ignoreDifferences"]));
        let ignore_differences = differences
            .map_or(&[][..], Node::items)
            .iter()
            .map(|item| self.json(item))
            .collect();
        let finalizers = written("finalizers").or(of_from(&["metadata", "finalizers"]));
        let patchable = [
            ("syncPolicy", policy),
            ("ignoreDifferences", differences),
            ("finalizers", finalizers),
            ("project", written("project")),
            ("settings", written("settings")),
        ];
        self.idle_project(written("project"));
        let patchable = patchable
            .into_iter()
            .filter_map(|(key, node)| Some((key.to_owned(), self.json(node?))))
            .collect();
        App {
            name,
            namespace,
            revision: written("revision").and_then(Node::string),
            manifests,
            places,
            sync_policy: self.sync_policy(policy),
            ignore_differences,
            finalizers: strings(finalizers),
            annotations: text_map(of_from(&["metadata", "annotations"])),
            project: written("project").map(|project| self.json(project)),
            settings: self.settings(written("settings")),
            written: wavetank_json::Value::Object(patchable),
        }
    }

    /// The Application of `from`; what it supplies is held against the shapes of `app`.
    fn application(&mut self, node: &Node) -> Option<Node> {
        let application = match &node.value {
            NodeValue::Scalar(scalar) => {
                self.sources
                    .document(&scalar.text, node.span, self.context)?
            }
            _ => node.clone(),
        };
        if application.get("kind").and_then(Node::scalar_text) != Some("Application") {
            self.context.error(
                node.span,
                "this is no Application",
                "expected `kind: Application` of argoproj.io/v1alpha1",
            );
            return None;
        }
        self.idle_application(application.get("spec"));
        if let Some(policy) = application.at(&["spec", "syncPolicy"]) {
            check(policy, &Ty::Map(&format::SYNC_POLICY), self.context);
        }
        Some(application)
    }

    pub(super) fn sync_policy(&mut self, node: Option<&Node>) -> SyncPolicy {
        let Some(node) = node else {
            return SyncPolicy::default();
        };
        let automated = node
            .get("automated")
            .filter(|automated| automated.is_map())
            .map(|automated| {
                let flag = |key: &str, default| {
                    automated
                        .get(key)
                        .and_then(Node::boolean)
                        .unwrap_or(default)
                };
                Automated {
                    enabled: flag("enabled", true),
                    prune: flag("prune", false),
                    self_heal: flag("selfHeal", false),
                    allow_empty: flag("allowEmpty", false),
                }
            });
        SyncPolicy {
            automated,
            sync_options: self.sync_options(node.get("syncOptions")),
            retry: node.get("retry").map(retry),
            managed_namespace_metadata: node
                .get("managedNamespaceMetadata")
                .map(|metadata| self.json(metadata)),
        }
    }

    pub(super) fn sync_options(&mut self, node: Option<&Node>) -> Vec<String> {
        for item in node.into_iter().flat_map(Node::items) {
            let Some(option) = item.string() else {
                continue;
            };
            self.creates_namespace |= option == "CreateNamespace=true";
            if !OPTIONS.contains(&option.as_str()) {
                let label = match nearest(&option, OPTIONS.iter().copied()) {
                    Some(known) => {
                        format!("did you mean `{known}`? Argo CD passes over it (SYNC-006)")
                    }
                    None => "Argo CD passes over it (SYNC-006)".to_owned(),
                };
                self.context.coded_warning(
                    UNKNOWN_OPTION,
                    item.span,
                    format!("`{option}` is no sync option"),
                    label,
                );
            }
        }
        strings(node)
    }

    pub(super) fn settings(&mut self, node: Option<&Node>) -> AppSettings {
        let default = AppSettings::default();
        let Some(node) = node else { return default };
        let duration = |node: &Node, key: &str, default| {
            node.get(key).and_then(Node::duration).unwrap_or(default)
        };
        let heal = default.self_heal_backoff;
        let self_heal_backoff = node.get("selfHealBackoff").map_or(heal, |node| Backoff {
            duration: duration(node, "duration", heal.duration),
            factor: node
                .get("factor")
                .and_then(Node::integer)
                .unwrap_or(heal.factor),
            max_duration: duration(node, "cap", heal.max_duration),
        });
        let passes = node.get("passes").map_or(default.passes, |node| Passes {
            batch: node.get("batch").and_then(Node::duration),
            backstop: node.get("backstop").and_then(Node::duration),
            rules: None,
        });
        if let Some(version) = node.get("version")
            && let Some(text) = version.string()
            && let Some(reason) = unsupported::engine_version(&text)
        {
            let message = format!("Argo CD {text} cannot be played by the built-in engine");
            self.context.error(version.span, message, reason);
        }
        let mut settings = AppSettings {
            sync_wave_delay: duration(node, "syncWaveDelay", default.sync_wave_delay),
            sync_timeout: duration(node, "syncTimeout", default.sync_timeout),
            self_heal_backoff,
            resync_period: duration(node, "resyncPeriod", default.resync_period),
            resource_tracking_method: node
                .get("resourceTrackingMethod")
                .and_then(Node::string)
                .unwrap_or_else(|| default.resource_tracking_method.clone()),
            passes,
            version: node
                .get("version")
                .and_then(|version| ArgoVersion::parse(&version.string()?))
                .unwrap_or(default.version),
            ..default
        };
        self.customizations(
            node.get("resourceCustomizations"),
            &mut settings.customizations,
        );
        // What the scenario says itself wins over the file of a ConfigMap.
        let written = node.get("ignoreResourceUpdatesEnabled");
        if let Some(enabled) = written.and_then(Node::boolean) {
            settings.customizations.ignores_resource_updates = enabled;
        }
        settings
    }

    /// Inline ones, folders, and the `ConfigMap` `argocd-cm`; later ones win.
    fn customizations(&mut self, node: Option<&Node>, out: &mut Customizations) {
        for item in node.into_iter().flat_map(Node::items) {
            if let Some(path) = item.scalar_text() {
                self.sources
                    .customizations(path, item.span, self.context, out);
                continue;
            }
            let text = |key: &str| item.get(key).and_then(Node::string);
            let Some(kind) = text("kind") else { continue };
            let key = text("group")
                .filter(|group| !group.is_empty())
                .map_or(kind.clone(), |group| format!("{group}/{kind}"));
            let (script, updates) = (text("health.lua"), item.get("ignoreResourceUpdates"));
            let differences = item.get("ignoreDifferences");
            if script.is_none() && updates.is_none() && differences.is_none() {
                self.context.error(
                    item.span,
                    "this customization says nothing",
                    "expected `health.lua`, `ignoreDifferences` or `ignoreResourceUpdates`",
                );
            }
            if let Some(script) = script {
                out.health_scripts.insert(key.clone(), script);
            }
            if let Some(updates) = updates {
                let fields = ignored_updates(updates, self.context);
                out.ignored_updates.insert(key.clone(), fields);
            }
            if let Some(differences) = differences {
                // Here the core group is said as none.
                let kind = if key.contains('/') {
                    &key
                } else {
                    &format!("/{key}")
                };
                let fields = ignored_differences(differences, kind, self.context);
                out.ignored_differences.insert(key, fields);
            }
        }
    }

    pub(super) fn cluster(&mut self, node: Option<&Node>) -> Cluster {
        let default = Cluster::default();
        let Some(node) = node else { return default };
        if let Some(version) = node.get("version")
            && let Some(text) = version.string()
            && let Some(reason) = unsupported::cluster_version(&text)
        {
            self.context.error(
                version.span,
                format!("there is no Kubernetes {text} here"),
                reason,
            );
        }
        let late = node
            .at(&["storage", "bindingMode"])
            .and_then(Node::string)
            .as_deref()
            == Some("WaitForFirstConsumer");
        Cluster {
            version: node
                .get("version")
                .and_then(Node::string)
                .unwrap_or(default.version),
            objects: self.source_list(node.get("objects")),
            nodes: node
                .get("nodes")
                .and_then(Node::small)
                .unwrap_or(default.nodes),
            storage: if late {
                StorageBinding::WaitForFirstConsumer
            } else {
                StorageBinding::Immediate
            },
            load_balancers: node
                .get("loadBalancers")
                .and_then(Node::boolean)
                .unwrap_or(default.load_balancers),
            noise: node
                .get("noise")
                .and_then(Node::boolean)
                .unwrap_or(default.noise),
        }
    }
}

pub(super) fn retry(node: &Node) -> Retry {
    let default = Backoff::default();
    let backoff = node.get("backoff").map_or(default, |node| {
        let duration = |key: &str, default| {
            node.get(key)
                .and_then(Node::argo_duration)
                .unwrap_or(default)
        };
        Backoff {
            duration: duration("duration", default.duration),
            factor: node
                .get("factor")
                .and_then(Node::integer)
                .unwrap_or(default.factor),
            max_duration: duration("maxDuration", default.max_duration),
        }
    });
    Retry {
        limit: node.get("limit").and_then(Node::integer).unwrap_or(0),
        refresh: node.get("refresh").and_then(Node::boolean).unwrap_or(false),
        backoff,
    }
}
