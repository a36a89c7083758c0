//! `/metrics` in the text format of Prometheus: requests, objects, open watches and the revision (API-046).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::registry::TableId;
use crate::server::Server;

/// Answered requests by table, verb and code.
#[derive(Debug, Default)]
pub(crate) struct Requests(BTreeMap<(TableId, &'static str, u16), u64>);

impl Requests {
    pub(crate) fn count(&mut self, table: TableId, verb: &'static str, code: u16) {
        *self.0.entry((table, verb, code)).or_default() += 1;
    }
}

impl Server {
    /// The text of `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        let mut out = String::new();
        let head = |out: &mut String, name: &str, kind: &str, help: &str| {
            // Writing to a String cannot fail.
            write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n").ok();
        };
        head(
            &mut out,
            "apiserver_request_total",
            "counter",
            "Answered requests for resources.",
        );
        for ((table, verb, code), count) in &self.counted.0 {
            let Some(resource) = self.registry.table(*table) else {
                continue;
            };
            let (group, plural) = (&resource.group, &resource.plural);
            let verb = verb.to_ascii_uppercase();
            writeln!(out, "apiserver_request_total{{code=\"{code}\",group=\"{group}\",resource=\"{plural}\",verb=\"{verb}\"}} {count}").ok();
        }
        head(
            &mut out,
            "apiserver_resource_objects",
            "gauge",
            "Stored objects by resource.",
        );
        for resource in self.registry.iter() {
            let count = self.store.len(resource.table);
            if count > 0 {
                let (group, plural) = (&resource.group, &resource.plural);
                writeln!(
                    out,
                    "apiserver_resource_objects{{group=\"{group}\",resource=\"{plural}\"}} {count}"
                )
                .ok();
            }
        }
        head(
            &mut out,
            "apiserver_longrunning_requests",
            "gauge",
            "Open watches.",
        );
        writeln!(
            out,
            "apiserver_longrunning_requests{{verb=\"WATCH\"}} {}",
            self.watches.len()
        )
        .ok();
        head(
            &mut out,
            "wavetank_revision",
            "gauge",
            "The revision of the last commit.",
        );
        writeln!(out, "wavetank_revision {}", self.revision()).ok();
        out
    }
}
