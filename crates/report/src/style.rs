//! Colour and width.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

/// How parts of a text look. The text itself never depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// What is well.
    pub good: Style,
    /// What is not.
    pub bad: Style,
    /// What needs a look.
    pub warn: Style,
    /// Headings.
    pub head: Style,
    /// What stands back: times, bars, events of the cluster.
    pub dim: Style,
    /// Hooks.
    pub hook: Style,
}

impl Palette {
    /// No escape codes at all.
    pub const fn plain() -> Self {
        let none = Style::new();
        Self {
            good: none,
            bad: none,
            warn: none,
            head: none,
            dim: none,
            hook: none,
        }
    }

    /// The sixteen colours every terminal has.
    pub const fn coloured() -> Self {
        Self {
            good: AnsiColor::Green.on_default(),
            bad: AnsiColor::Red.on_default().bold(),
            warn: AnsiColor::Yellow.on_default(),
            head: Style::new().bold(),
            dim: Style::new().dimmed(),
            hook: AnsiColor::Magenta.on_default(),
        }
    }
}

/// How a text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Colours.
    pub palette: Palette,
    /// Columns of the terminal; `None`: lines are as long as they need to be.
    pub width: Option<usize>,
}

impl Layout {
    /// No colours, no bound on the width: files, pipes, tests.
    pub const fn plain() -> Self {
        Self {
            palette: Palette::plain(),
            width: None,
        }
    }
}

/// Columns below which nothing is wrapped any more: the text would be one word a line.
const NARROWEST: usize = 20;

/// A line whose parts carry styles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    spans: Vec<(Style, String)>,
    /// Columns under which wrapped parts begin.
    hang: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds text without a style.
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.styled(Style::new(), text)
    }

    /// Adds text with a style.
    pub(crate) fn styled(mut self, style: Style, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.spans.push((style, text));
        }
        self
    }

    /// What comes next is wrapped under the column that is reached now.
    pub(crate) fn hang_here(mut self) -> Self {
        self.hang = self.spans.iter().map(|(_, text)| columns(text)).sum();
        self
    }

    /// Writes the line, wrapped where the layout asks for it, and a newline.
    pub(crate) fn write(&self, layout: &Layout, out: &mut String) {
        let bound = layout.width.filter(|width| *width >= self.hang + NARROWEST);
        let mut column = 0;
        for (style, text) in &self.spans {
            let mut open = false;
            for word in text.split_inclusive(' ') {
                if bound.is_some_and(|width| {
                    column > self.hang && column + columns(word.trim_end()) > width
                }) {
                    close(out, *style, &mut open);
                    out.truncate(out.trim_end_matches(' ').len());
                    out.push('\n');
                    out.extend(std::iter::repeat_n(' ', self.hang));
                    column = self.hang;
                }
                if !open {
                    let _ = write!(out, "{}", style.render());
                    open = true;
                }
                out.push_str(word);
                column += columns(word);
            }
            close(out, *style, &mut open);
        }
        out.push('\n');
    }
}

fn close(out: &mut String, style: Style, open: &mut bool) {
    if *open {
        let _ = write!(out, "{}", style.render_reset());
        *open = false;
    }
}

/// Columns a text takes, one per character: names are ASCII, and messages are rarely anything else.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Writes `text`, which may have several lines, behind `label`, each further line under the first.
pub(crate) fn labelled(label: &str, style: Style, text: &str, layout: &Layout, out: &mut String) {
    let mut label = label.to_owned();
    for part in text.lines() {
        Line::new()
            .text(label.clone())
            .hang_here()
            .styled(style, part)
            .write(layout, out);
        label = " ".repeat(columns(&label));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(layout: &Layout) -> String {
        let mut out = String::new();
        let line = Line::new()
            .text("  expected  ")
            .hang_here()
            .styled(layout.palette.bad, "Job/smoke applied")
            .text(" after Deployment/checkout healthy");
        line.write(layout, &mut out);
        out
    }

    #[test]
    fn long_lines_hang_under_their_text() {
        insta::assert_snapshot!(shown(&Layout { palette: Palette::plain(), width: Some(40) }), @r"
          expected  Job/smoke applied after
                    Deployment/checkout healthy
        ");
    }

    #[test]
    fn without_width_nothing_is_wrapped() {
        assert_eq!(shown(&Layout::plain()).lines().count(), 1);
    }

    #[test]
    fn colour_adds_escapes_and_nothing_else() {
        let coloured = shown(&Layout {
            palette: Palette::coloured(),
            width: None,
        });
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(
            crate::sample::without_escapes(&coloured),
            shown(&Layout::plain())
        );
    }
}
