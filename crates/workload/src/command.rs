//! Reading what a container does from its command, where the command is plain (scenario format, section 5).
//!
//! Read are `sleep N`, `true`, `false`, `exit N`, `echo`, and `sh -c`/`bash -c` of those joined by `;`, `&&`, `||` and
//! line ends, with `set -e` and `exec`. Pipes, redirections, substitutions, variables (but in `echo`) make a command
//! not plain.

use std::time::Duration;

use wavetank_json::Value;

use crate::read::list;

/// What a plain command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// It ends.
    Ends {
        /// After that long.
        after: Duration,
        /// With that exit code.
        exit_code: i32,
    },
    /// It never ends (`sleep infinity`).
    Forever,
}

/// What the container's `command` and `args` do; `None` when they are absent or not plain.
pub fn read(container: &Value) -> Option<Run> {
    let words: Vec<&str> = list(container, &["command"])
        .iter()
        .chain(list(container, &["args"]))
        .filter_map(Value::as_str)
        .collect();
    let (program, arguments) = words.split_first()?;
    match base_name(program) {
        "sh" | "bash" | "ash" | "dash" => shell(arguments),
        _ => {
            let words: Vec<Word> = words
                .iter()
                .map(|word| Word {
                    text: (*word).to_owned(),
                    variable: false,
                })
                .collect();
            simple(&words).map(Outcome::into_run)
        }
    }
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// How one command ended.
enum Outcome {
    Status(Duration, i32),
    Exit(Duration, i32),
    Forever,
}

impl Outcome {
    fn into_run(self) -> Run {
        match self {
            Self::Status(after, exit_code) | Self::Exit(after, exit_code) => {
                Run::Ends { after, exit_code }
            }
            Self::Forever => Run::Forever,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Word {
    text: String,
    /// Whether the shell would put something in.
    variable: bool,
}

/// What stands between a command and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// `;`, a line end, or the end.
    Then,
    And,
    Or,
}

fn shell(arguments: &[&str]) -> Option<Run> {
    let (flags, rest) = arguments.split_first()?;
    let letters = flags.strip_prefix('-')?;
    if !letters.ends_with('c') || !letters.bytes().all(|flag| b"ceux".contains(&flag)) {
        return None;
    }
    let mut stops_on_failure = letters.contains('e');
    let (mut elapsed, mut status, mut skip) = (Duration::ZERO, 0, false);
    for (words, join) in commands(rest.first()?)? {
        if !skip {
            if words[0].text == "set" {
                stops_on_failure |= words[1..]
                    .iter()
                    .any(|word| word.text.starts_with('-') && word.text.contains('e'));
                status = 0;
            } else {
                match simple(&words)? {
                    Outcome::Forever => return Some(Run::Forever),
                    Outcome::Exit(after, exit_code) => {
                        return Some(Run::Ends {
                            after: elapsed + after,
                            exit_code,
                        });
                    }
                    Outcome::Status(after, code) => {
                        elapsed += after;
                        status = code;
                    }
                }
            }
            // `set -e` looks at the last command of an and-or list only.
            if stops_on_failure && status != 0 && join == Join::Then {
                break;
            }
        }
        skip = match join {
            Join::And => status != 0,
            Join::Or => status == 0,
            Join::Then => false,
        };
    }
    Some(Run::Ends {
        after: elapsed,
        exit_code: status,
    })
}

/// The commands of a script; `None` when it holds more than words, quotes, `;`, `&&`, `||` and comments.
fn commands(script: &str) -> Option<Vec<(Vec<Word>, Join)>> {
    let mut out = Vec::new();
    let (mut words, mut word): (Vec<Word>, Option<Word>) = (Vec::new(), None);
    let mut chars = script.chars().peekable();
    while let Some(char) = chars.next() {
        let join = match char {
            ';' | '\n' => Some(Join::Then),
            '&' if chars.next_if_eq(&'&').is_some() => Some(Join::And),
            '|' if chars.next_if_eq(&'|').is_some() => Some(Join::Or),
            '&' | '|' | '<' | '>' | '(' | ')' | '`' | '{' | '}' | '*' | '?' | '[' | '~' => {
                return None;
            }
            '#' if word.is_none() => {
                while chars.next_if(|next| *next != '\n').is_some() {}
                continue;
            }
            ' ' | '\t' | '\r' => {
                words.extend(word.take());
                continue;
            }
            quote @ ('"' | '\'') => {
                quoted(quote, &mut chars, word.get_or_insert_default())?;
                continue;
            }
            '\\' => {
                match chars.next()? {
                    '\n' => {}
                    next => word.get_or_insert_default().text.push(next),
                }
                continue;
            }
            '$' if chars.peek() == Some(&'(') => return None,
            other => {
                let word = word.get_or_insert_default();
                word.variable |= other == '$';
                word.text.push(other);
                continue;
            }
        };
        words.extend(word.take());
        match (words.is_empty(), join) {
            (false, Some(join)) => out.push((std::mem::take(&mut words), join)),
            // An empty line after `&&` goes on with the next one.
            (true, Some(Join::Then)) => {}
            _ => return None,
        }
    }
    words.extend(word.take());
    if !words.is_empty() {
        out.push((words, Join::Then));
    }
    (!out.is_empty()).then_some(out)
}

/// Reads on to the closing quote.
fn quoted(quote: char, chars: &mut impl Iterator<Item = char>, word: &mut Word) -> Option<()> {
    loop {
        match chars.next()? {
            end if end == quote => return Some(()),
            '`' if quote == '"' => return None,
            '\\' if quote == '"' => word.text.push(chars.next()?),
            char => {
                word.variable |= quote == '"' && char == '$';
                word.text.push(char);
            }
        }
    }
}

fn simple(words: &[Word]) -> Option<Outcome> {
    let (program, mut arguments) = words.split_first()?;
    let mut program = base_name(&program.text);
    let replaces_shell = program == "exec";
    if replaces_shell {
        let (next, rest) = arguments.split_first()?;
        program = base_name(&next.text);
        arguments = rest;
    }
    if program != "echo" && words.iter().any(|word| word.variable) {
        return None;
    }
    let outcome = match program {
        "true" | ":" | "echo" => Outcome::Status(Duration::ZERO, 0),
        "false" => Outcome::Status(Duration::ZERO, 1),
        "exit" => {
            let code = arguments
                .first()
                .map_or(Some(0), |code| code.text.parse::<i32>().ok())?;
            Outcome::Exit(Duration::ZERO, code.rem_euclid(256))
        }
        "sleep" => {
            let mut total = Duration::ZERO;
            for argument in arguments {
                match seconds(&argument.text)? {
                    Some(duration) => total += duration,
                    None => return Some(Outcome::Forever),
                }
            }
            if arguments.is_empty() {
                return None;
            }
            Outcome::Status(total, 0)
        }
        _ => return None,
    };
    Some(match outcome {
        Outcome::Status(after, code) if replaces_shell => Outcome::Exit(after, code),
        other => other,
    })
}

/// `20`, `0.5`, `2m`; the inner `None` is `infinity`.
#[expect(
    clippy::option_option,
    reason = "no duration, an endless one, and one are three things"
)]
fn seconds(text: &str) -> Option<Option<Duration>> {
    if text == "infinity" || text == "inf" {
        return Some(None);
    }
    let (number, factor) = match text.strip_suffix(|unit: char| "smhd".contains(unit)) {
        Some(number) => (
            number,
            match text.as_bytes().last() {
                Some(b'm') => 60.0,
                Some(b'h') => 3600.0,
                Some(b'd') => 86400.0,
                _ => 1.0,
            },
        ),
        None => (text, 1.0),
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * factor).ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use wavetank_json::json;

    const fn ends(millis: u64, exit_code: i32) -> Run {
        Run::Ends {
            after: Duration::from_millis(millis),
            exit_code,
        }
    }

    #[rstest]
    #[case("sleep 20; echo done", Some(ends(20_000, 0)))]
    #[case("sleep 1 && exit 3", Some(ends(1_000, 3)))]
    #[case("false || sleep 2", Some(ends(2_000, 0)))]
    #[case("false && sleep 2", Some(ends(0, 1)))]
    #[case("true || sleep 2", Some(ends(0, 0)))]
    #[case("false; true", Some(ends(0, 0)))]
    #[case("set -e; false; sleep 5", Some(ends(0, 1)))]
    #[case("set -e\nfalse || true\nsleep 5\n", Some(ends(5_000, 0)))]
    #[case("echo \"a; b $HOME\" 'c && d'; sleep 1m", Some(ends(60_000, 0)))]
    #[case("# wait\nexec sleep 3", Some(ends(3_000, 0)))]
    #[case("echo hi > /tmp/x", None)]
    #[case("sleep $N", None)]
    #[case("sleep 1 | cat", None)]
    #[case("curl http://x", None)]
    #[case("echo $(date)", None)]
    fn shell_scripts(#[case] script: &str, #[case] expected: Option<Run>) {
        assert_eq!(
            read(&json!({"command": ["/bin/sh", "-c"], "args": [script]})),
            expected,
            "{script}"
        );
    }

    #[rstest]
    #[case(json!({"command": ["sleep", "20"]}), Some(ends(20_000, 0)))]
    #[case(json!({"args": ["sleep", "0.5"]}), Some(ends(500, 0)))]
    #[case(json!({"command": ["/bin/false"]}), Some(ends(0, 1)))]
    #[case(json!({"command": ["sleep", "infinity"]}), Some(Run::Forever))]
    #[case(json!({"command": ["sh", "-ec", "false; sleep 1"]}), Some(ends(0, 1)))]
    #[case(json!({"command": ["nginx"]}), None)]
    #[case(json!({"image": "x"}), None)]
    fn commands_and_arguments(#[case] container: Value, #[case] expected: Option<Run>) {
        assert_eq!(read(&container), expected);
    }
}
