//! Ctrl-C while real clusters are in use: the first ends the runs and cleans up, the second leaves everything.

use std::io;
use std::process;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::output;

/// How long cleaning up may take before it is said how to do it later.
const CLEAN_UP: u64 = 60;
/// What shells expect of a program that a signal ended.
const INTERRUPTED: i32 = 130;

/// Listens from now on; the receiver becomes true with the first SIGINT or SIGTERM.
///
/// # Errors
/// When the operating system lets nobody listen.
pub(crate) fn listen() -> io::Result<watch::Receiver<bool>> {
    let (tell, told) = watch::channel(false);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let (mut interrupt, mut terminate) = signals;
                let mut next = async || {
                    tokio::select! {
                        biased;
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                };
                next().await;
                // The runs may be over already.
                tell.send(true).ok();
                tokio::select! {
                    biased;
                    () = next() => {}
                    () = count_down() => {}
                }
                output::notice(
                    "everything is left as it is; `wavetank cluster sweep` removes it\n",
                );
                leave();
            });
        })?;
    Ok(told)
}

/// Shows how long cleaning up may still take. The process ends before that when all is done.
async fn count_down() {
    output::notice("interrupted: cleaning up; Ctrl-C again leaves everything as it is\n");
    for left in (1..=CLEAN_UP).rev() {
        if left == CLEAN_UP || left % 5 == 0 {
            output::notice(&format!("cleaning up, at most {left} s more\n"));
        }
        sleep(Duration::from_secs(1)).await;
    }
}

#[expect(
    clippy::exit,
    reason = "the user wants out now, whatever the other threads do"
)]
fn leave() -> ! {
    process::exit(INTERRUPTED)
}
