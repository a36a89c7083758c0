//! A trace as people read it: what the engine did, phase by phase and wave by wave, beside what happened meanwhile.
//!
//! Each line begins with the virtual time and one bar for each of operation, phase and wave that is under way. Objects
//! of one instant that follow each other in the trace share a line; the order of lines is the order of the trace.

mod teller;

use anstyle::Style;
use wavetank_kernel::SimTime;
use wavetank_model::ObjectKey;
use wavetank_trace::Trace;

use crate::style::{Layout, Line, Palette, columns};
use teller::Teller;

/// How much of a trace is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The objects the engine or a user touched, without mere updates.
    Story,
    /// Every entry: other objects, updates, passes and requests as well.
    Everything,
}

/// Renders `trace`.
pub fn render(trace: &Trace, detail: Detail, layout: &Layout) -> String {
    let rows = Teller::new(trace, detail).tell(trace);
    let mut out = String::new();
    let palette = layout.palette;
    let header = &trace.header;
    Line::new()
        .styled(palette.head, format!("timeline of {}", header.scenario))
        .text(format!(
            " (seed {}, target {}, engine {})",
            header.seed, header.target, header.engine
        ))
        .write(layout, &mut out);
    Line::new()
        .styled(
            palette.dim,
            "> done by the engine   · seen in the cluster   ! trouble",
        )
        .write(layout, &mut out);
    let width = rows
        .iter()
        .map(|row| columns(&row.time.to_string()))
        .max()
        .unwrap_or(0)
        .max(8);
    for row in &rows {
        row.write(width, layout, &mut out);
    }
    out
}

/// Whose doing a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    None,
    Cluster,
    Engine,
    Trouble,
}

impl Mark {
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Cluster => "· ",
            Self::Engine => "> ",
            Self::Trouble => "! ",
        }
    }
}

/// What a line is about, for its style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Heading,
    Object,
    Aside,
}

#[derive(Debug)]
struct Row {
    time: SimTime,
    bars: usize,
    mark: Mark,
    weight: Weight,
    subject: String,
    hook: bool,
    verbs: Vec<String>,
    message: String,
    key: Option<ObjectKey>,
}

impl Row {
    fn write(&self, width: usize, layout: &Layout, out: &mut String) {
        let palette = layout.palette;
        let bars = "│ ".repeat(self.bars);
        let style = self.style(&palette);
        let mut line = Line::new()
            .styled(
                palette.dim,
                format!("{:>width$}  {bars}", self.time.to_string()),
            )
            .styled(style, self.mark.as_str())
            .hang_here()
            .styled(
                if self.weight == Weight::Heading {
                    style
                } else {
                    Style::new()
                },
                &*self.subject,
            );
        if self.hook {
            line = line.styled(palette.hook, " (hook)");
        }
        if !self.verbs.is_empty() {
            line = line.styled(style, format!(" {}", self.verbs.join(", ")));
        }
        if !self.message.is_empty() {
            line = line.text(format!(": {}", one_line(&self.message)));
        }
        line.write(layout, out);
    }

    fn style(&self, palette: &Palette) -> Style {
        match (self.mark, self.weight) {
            (Mark::Trouble, _) => palette.bad,
            (_, Weight::Heading) => palette.head,
            (Mark::Engine, _) => palette.good,
            (_, Weight::Object) => Style::new(),
            (_, Weight::Aside) => palette.dim,
        }
    }
}

/// Newlines would break the bars.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{SHOP, trace, without_escapes};

    #[test]
    fn story_shows_phases_waves_hooks_and_trouble() {
        insta::assert_snapshot!(render(&trace(SHOP), Detail::Story, &Layout::plain()));
    }

    #[test]
    fn everything_shows_other_objects_too() {
        insta::assert_snapshot!(render(&trace(SHOP), Detail::Everything, &Layout::plain()));
    }

    #[test]
    fn narrow_terminals_wrap_under_the_text() {
        insta::assert_snapshot!(render(
            &trace(SHOP),
            Detail::Story,
            &Layout {
                palette: Palette::plain(),
                width: Some(60)
            }
        ));
    }

    #[test]
    fn colour_changes_nothing_else() {
        let coloured = Layout {
            palette: Palette::coloured(),
            width: None,
        };
        let text = render(&trace(SHOP), Detail::Story, &coloured);
        assert_eq!(
            without_escapes(&text),
            render(&trace(SHOP), Detail::Story, &Layout::plain())
        );
    }

    #[test]
    fn a_retried_operation_opens_its_bars_again() {
        let text = "
            0 step sync
            0 operation started
            0 Sync started
            0 Sync/0 started
            5 ConfigMap/a rejected: admission webhook \"x\" denied the request
            5 Sync/0 failed
            5 Sync failed
            5 operation retrying: one or more objects failed to apply. Retrying attempt #1 at 2026-01-01T00:00:05Z.
            5005 operation started
            5005 Sync started
            5005 Sync/0 started
            5010 ConfigMap/a applied
            5010 Sync/0 completed
            5010 Sync completed
            5010 operation succeeded: successfully synced (all tasks run)
            9000 ConfigMap/a updated by user
            9000 app outofsync
            9001 fault/cut fired
            9002 engine restarted
            9003 note waiting for nothing";
        insta::assert_snapshot!(render(&trace(text), Detail::Story, &Layout::plain()));
    }
}
