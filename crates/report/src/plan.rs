//! What a sync would do: phases, waves, order, and the reason for each position.

use serde::Serialize;
use wavetank_model::{ObjectKey, Phase, WaveNumber};

use crate::style::{Layout, Line, columns};

/// The task list of one sync, as the engine would build it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Name of the scenario, with `@case` where it has cases.
    pub scenario: String,
    /// The file, as it was named.
    pub path: String,
    /// Destination namespace: objects elsewhere are shown with theirs.
    pub namespace: String,
    /// The tasks in the order in which they are carried out.
    pub tasks: Vec<PlannedTask>,
    /// What the engine drops silently, and the like.
    pub warnings: Vec<String>,
}

/// One task of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedTask {
    /// Phase.
    pub phase: Phase,
    /// Effective wave.
    pub wave: WaveNumber,
    /// The object.
    pub key: ObjectKey,
    /// What is done: `apply`, `prune`, `delete and create` …
    pub action: String,
    /// Whether the object is a hook.
    pub hook: bool,
    /// Why it stands here.
    pub reason: String,
}

/// Renders `plan`.
pub fn render(plan: &Plan, layout: &Layout) -> String {
    let palette = layout.palette;
    let mut out = String::new();
    Line::new()
        .styled(palette.head, format!("plan of {}", plan.scenario))
        .text(format!(" ({})", plan.path))
        .write(layout, &mut out);
    if plan.tasks.is_empty() {
        Line::new().text("  nothing to do").write(layout, &mut out);
    }
    let name = |task: &PlannedTask| {
        format!(
            "{}{}",
            task.key.short(&plan.namespace),
            if task.hook { " (hook)" } else { "" }
        )
    };
    let name_width = plan
        .tasks
        .iter()
        .map(|task| columns(&name(task)))
        .max()
        .unwrap_or(0);
    let action_width = plan
        .tasks
        .iter()
        .map(|task| columns(&task.action))
        .max()
        .unwrap_or(0);
    let mut last: Option<(Phase, WaveNumber)> = None;
    for (number, task) in (1..).zip(&plan.tasks) {
        if last.map(|(phase, _)| phase) != Some(task.phase) {
            out.push('\n');
            let condition = if task.phase == Phase::SyncFail {
                " (only after a failure)"
            } else {
                ""
            };
            Line::new()
                .styled(palette.head, task.phase.as_str())
                .text(condition)
                .write(layout, &mut out);
        }
        if last != Some((task.phase, task.wave)) {
            Line::new()
                .styled(palette.head, format!("  wave {}", task.wave))
                .write(layout, &mut out);
        }
        last = Some((task.phase, task.wave));
        let style = if task.hook {
            palette.hook
        } else {
            anstyle::Style::new()
        };
        Line::new()
            .styled(palette.dim, format!("  {number:>4}  "))
            .styled(style, format!("{:<name_width$}", name(task)))
            .text(format!("  {:<action_width$}  ", task.action))
            .hang_here()
            .styled(palette.dim, &*task.reason)
            .write(layout, &mut out);
    }
    if !plan.warnings.is_empty() {
        out.push('\n');
    }
    for warning in &plan.warnings {
        Line::new()
            .styled(palette.warn, "warning")
            .text(": ")
            .hang_here()
            .text(&**warning)
            .write(layout, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(
        phase: Phase,
        wave: i64,
        key: (&str, &str, &str),
        hook: bool,
        reason: &str,
    ) -> PlannedTask {
        let key = ObjectKey::new(key.0, key.1, "shop", key.2);
        PlannedTask {
            phase,
            wave: WaveNumber::Number(wave),
            key,
            action: "apply".to_owned(),
            hook,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn phases_waves_order_and_reasons_are_shown() {
        let plan = Plan {
            scenario: "shop".to_owned(),
            path: "scenarios/waves/shop.yaml".to_owned(),
            namespace: "shop".to_owned(),
            tasks: vec![
                task(
                    Phase::PreSync,
                    0,
                    ("batch", "Job", "db-migrate"),
                    true,
                    "hook type PreSync",
                ),
                task(
                    Phase::Sync,
                    -1,
                    ("", "ConfigMap", "settings"),
                    false,
                    "sync-wave -1",
                ),
                task(
                    Phase::Sync,
                    0,
                    ("", "Service", "web"),
                    false,
                    "no sync-wave; kind order 17",
                ),
                task(
                    Phase::Sync,
                    0,
                    ("apps", "Deployment", "web"),
                    false,
                    "no sync-wave; kind order 25",
                ),
            ],
            warnings: vec![
                "Job/smoke: hook type `postsync` is not known, the object is dropped (SYNC-016)"
                    .to_owned(),
            ],
        };
        insta::assert_snapshot!(render(&plan, &Layout::plain()), @r"
        plan of shop (scenarios/waves/shop.yaml)

        PreSync
          wave 0
             1  Job/db-migrate (hook)  apply  hook type PreSync

        Sync
          wave -1
             2  ConfigMap/settings     apply  sync-wave -1
          wave 0
             3  Service/web            apply  no sync-wave; kind order 17
             4  Deployment/web         apply  no sync-wave; kind order 25

        warning: Job/smoke: hook type `postsync` is not known, the object is dropped (SYNC-016)
        ");
        insta::assert_snapshot!(render(&Plan::default(), &Layout::plain()), @r"
        plan of  ()
          nothing to do
        ");
    }
}
