//! What a run waits for, and what it waited for, as text.

use wavetank_expect::{Blocker, Waiting, WaveWait};

use crate::outcome::Explanation;
use crate::style::{Layout, labelled};

/// The lines under a run: empty when there is nothing to explain.
pub(crate) fn write(explanation: &Explanation, layout: &Layout, out: &mut String) {
    for (number, wait) in explanation.waits.iter().enumerate() {
        let label = if number == 0 { "waited" } else { "" };
        field(label, &waited(wait), layout, out);
    }
    if let Some(waiting) = &explanation.waiting {
        write_waiting(waiting, layout, out);
    }
}

/// `PreSync/0 for 21.0s, from 0.0s to 21.0s: until Job/migrate was done at 20.0s, noticed at 21.0s (batch)`.
fn waited(wait: &WaveWait) -> String {
    let time = wavetank_kernel::SimTime::ZERO + wait.to.since(wait.from);
    let mut text = format!(
        "{} for {time}, from {} to {}",
        wait.wave, wait.from, wait.to
    );
    match &wait.last {
        Some((object, at)) => {
            text = format!("{text}: until {object} was done at {at}");
            if let Some((at, cause)) = &wait.noticed {
                text = format!("{text}, noticed at {at} ({cause})");
            }
        }
        None => text = format!("{text}: nothing but the wave delay"),
    }
    text
}

fn write_waiting(waiting: &Waiting, layout: &Layout, out: &mut String) {
    let text = format!("{}, since {}", waiting.what, waiting.since);
    field("waits", &text, layout, out);
    for (number, blocker) in waiting.blockers.iter().enumerate() {
        let label = if number == 0 { "for" } else { "" };
        field(label, &blocked(blocker), layout, out);
    }
    for (number, wave) in waiting.held_back.iter().enumerate() {
        field(if number == 0 { "then" } else { "" }, wave, layout, out);
    }
}

/// The object and its state; a line for each who holds it, and one for what would help.
fn blocked(blocker: &Blocker) -> String {
    let since = blocker
        .since
        .map(|since| format!(", since {since}"))
        .unwrap_or_default();
    let mut lines = vec![format!("{}: {}{since}", blocker.subject, blocker.state)];
    lines.extend(blocker.held_by.iter().map(|holder| format!("- {holder}")));
    lines.push(format!("to unblock: {}", blocker.unblock));
    lines.join("\n")
}

fn field(name: &str, text: &str, layout: &Layout, out: &mut String) {
    let label = format!("  {name:<10}");
    labelled(&label, anstyle::Style::new(), text, layout, out);
}
