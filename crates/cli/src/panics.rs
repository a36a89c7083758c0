//! Panics become verdicts: a bug in wavetank is reported like any other result, with exit code 101.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    /// The last panic of this thread.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics from printing by themselves; [`catch`] gives their text instead.
pub(crate) fn install_hook() {
    panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map(|place| format!(" at {place}"))
            .unwrap_or_default();
        let payload = info.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("panic without a text");
        let mut message = format!("{text}{place}");
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            message = format!("{message}\n{trace}");
        }
        LAST.with_borrow_mut(|last| *last = Some(message));
    }));
}

/// Runs `work`.
///
/// # Errors
/// The text of a panic, with the place in the source, and the backtrace where `RUST_BACKTRACE` asks for it.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        LAST.with_borrow_mut(Option::take)
            .unwrap_or_else(|| "a panic in another thread".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_message_with_its_place() {
        install_hook();
        let message = catch(|| assert!(std::hint::black_box(false), "queue is empty")).unwrap_err();
        assert!(message.starts_with("queue is empty at "), "{message}");
        assert!(message.contains("panics.rs"), "{message}");
    }
}
