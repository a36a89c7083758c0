//! Where this server is known to differ from a real one.
//!
//! Cases under `cases/` that a real server answers otherwise say so themselves, in `differs`.

/// One known difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it shows.
    pub topic: &'static str,
    /// What a real server does.
    pub real: &'static str,
    /// What this server does.
    pub here: &'static str,
}

/// All known differences.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        topic: "lists at resourceVersion 0",
        real: "may be of any age and may ignore the limit",
        here: "are of the newest state and honour the limit",
    },
    Difference {
        topic: "resourceVersion in the future",
        real: "waits three seconds before it answers 504",
        here: "answers 504 at once",
    },
    Difference {
        topic: "creates in a missing namespace",
        real: "waits 50 ms and looks again before it answers 404",
        here: "answers 404 at once",
    },
    Difference {
        topic: "protobuf",
        real: "reads and writes it",
        here: "answers 415 to bodies and JSON to readers",
    },
    Difference {
        topic: "OpenAPI",
        real: "describes every type",
        here: "names the PATCH operation of each kind, without schemas",
    },
    Difference {
        topic: "access",
        real: "authenticates, authorises, impersonates",
        here: "lets everybody do everything; the actor is told by the caller",
    },
    Difference {
        topic: "exec, attach, portforward, log, proxy",
        real: "are served by kubelets",
        here: "answer 404 or 501",
    },
    Difference {
        topic: "CEL rules of definitions",
        real: "are evaluated",
        here: "are refused with the definition, or passed over when `pass_over_rules` is set",
    },
    Difference {
        topic: "conversion webhooks",
        real: "are called",
        here: "are refused with the definition",
    },
    Difference {
        topic: "admission webhooks and policies",
        real: "are called",
        here: "are stored and without effect",
    },
    Difference {
        topic: "a custom resource before its definition is established",
        real: "answers 404, or for a moment 429 `storage is (re)initializing`",
        here: "answers 404",
    },
    Difference {
        topic: "objects stored before a definition changed",
        real: "get new defaults when they are read",
        here: "get them when they are written next, or read in another version",
    },
    Difference {
        topic: "status and scale of a custom resource",
        real: "are switched per version",
        here: "follow the storage version, but for discovery",
    },
    Difference {
        topic: "the end of a namespace",
        real: "begins 5 s after the delete and is retried with back-off",
        here: "begins after `Latencies::namespace` and goes on when something in it has gone",
    },
    Difference {
        topic: "the end of a definition",
        real: "is looked at every 5 s",
        here: "goes on as soon as the last object has gone",
    },
    Difference {
        topic: "bookmarks",
        real: "come about each minute, and another one soon after the first events",
        here: "come exactly each minute",
    },
    Difference {
        topic: "slow readers of a watch",
        real: "are dropped",
        here: "are buffered for without bound",
    },
    Difference {
        topic: "autoscaling/v1",
        real: "keeps fields of v2 in annotations",
        here: "leaves them out",
    },
    Difference {
        topic: "events",
        real: "vanish after an hour",
        here: "stay",
    },
    Difference {
        topic: "order of the fields of an object",
        real: "is that of the Go types",
        here: "is alphabetic behind `kind` and `apiVersion`",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_stands_once() {
        for (index, one) in DIFFERENCES.iter().enumerate() {
            assert!(
                DIFFERENCES[..index]
                    .iter()
                    .all(|other| other.topic != one.topic),
                "{}",
                one.topic
            );
            assert_ne!(one.real, one.here);
        }
    }
}
