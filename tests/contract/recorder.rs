//! What a target tells its observers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wavetank_cluster::{Cluster, Observer};
use wavetank_kernel::Clock;
use wavetank_model::{Change, ChangeKind};

/// Keeps everything that was told.
pub(crate) struct Tape {
    kept: Arc<Kept>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Kept {
    changes: Mutex<Vec<Change>>,
    idle: AtomicU32,
}

impl Observer for Kept {
    fn committed(&self, change: &Change) {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(change.clone());
    }

    fn idle(&self) {
        self.idle.fetch_add(1, Ordering::SeqCst);
    }
}

impl Tape {
    /// What `cluster` tells from now on.
    pub(crate) fn of(cluster: &dyn Cluster) -> Self {
        let kept = Arc::new(Kept::default());
        cluster.observe(Arc::clone(&kept) as Arc<dyn Observer>);
        Self {
            kept,
            clock: cluster.clock(),
        }
    }

    /// The changes of an object so far.
    pub(crate) fn of_object(&self, kind: &str, name: &str) -> Vec<Change> {
        let changes = self
            .kept
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        changes
            .iter()
            .filter(|change| change.key.kind == kind && change.key.name == name)
            .cloned()
            .collect()
    }

    /// The kinds of the changes of an object so far, repetitions left out.
    pub(crate) fn life(&self, kind: &str, name: &str) -> Vec<ChangeKind> {
        let mut life: Vec<ChangeKind> = self
            .of_object(kind, name)
            .iter()
            .map(|change| change.kind)
            .collect();
        life.dedup();
        life
    }

    /// All revisions in the order in which they were told.
    pub(crate) fn revisions(&self) -> Vec<u64> {
        let changes = self
            .kept
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        changes.iter().map(|change| change.revision).collect()
    }

    /// How often the target fell idle.
    pub(crate) fn idle(&self) -> u32 {
        self.kept.idle.load(Ordering::SeqCst)
    }

    /// Waits until `test` holds, at most a minute of the target's time.
    pub(crate) async fn until(
        &self,
        what: &str,
        test: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        let end = self.clock.now() + Duration::from_secs(60);
        while !test(self) {
            if self.clock.now() > end {
                return Err(format!("within a minute: {what}"));
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
