//! Where this server is known to differ from a real one.

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
];
