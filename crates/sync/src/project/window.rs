//! Sync windows: cron schedules in a time zone (SYNC-140).

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use wavetank_health::glob::matches as glob;
use wavetank_model::cron::Fields;
use wavetank_model::{duration, time_zone};

use super::{IN_CLUSTER, IN_CLUSTER_NAME};

/// What a window does while it is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// Syncs run only now.
    #[default]
    Allow,
    /// No sync runs now.
    Deny,
}

/// One window of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncWindow {
    /// What it does.
    pub kind: WindowKind,
    /// When it opens: a cron line of five fields, in its time zone.
    pub schedule: String,
    /// How long it stays open.
    pub duration: String,
    /// Names of the apps it is for, perhaps with `*`.
    pub applications: Vec<String>,
    /// Namespaces it is for.
    pub namespaces: Vec<String>,
    /// Clusters it is for, by name or address, perhaps with `*`.
    pub clusters: Vec<String>,
    /// Whether manual syncs pass all the same.
    pub manual_sync: bool,
    /// Whether a sync that was allowed at its start may go on.
    pub sync_overrun: bool,
    /// Whether applications, namespaces and clusters must all fit, and not just one.
    #[serde(rename = "andOperator")]
    pub use_and_operator: bool,
    /// Time zone, such as `Europe/Paris`; UTC where it is empty or nobody knows it.
    pub time_zone: String,
}

/// Whether a sync may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowVerdict {
    /// It may.
    Allowed,
    /// It may not: the operation's message, its phase is kept.
    Blocked(String),
}

const BLOCKED: &str = "Sync operation blocked by sync window";

impl SyncWindow {
    fn is_for(&self, app: &str, namespace: &str) -> bool {
        let any = |list: &[String], text: &str| list.iter().any(|pattern| glob(pattern, text));
        let cluster = any(&self.clusters, IN_CLUSTER_NAME) || any(&self.clusters, IN_CLUSTER);
        let fits = [
            (!self.applications.is_empty(), any(&self.applications, app)),
            (
                !self.namespaces.is_empty(),
                any(&self.namespaces, namespace),
            ),
            (!self.clusters.is_empty(), cluster),
        ];
        let mut given = fits
            .iter()
            .filter(|(given, _)| *given)
            .map(|(_, fits)| *fits)
            .peekable();
        if self.use_and_operator {
            given.peek().is_some() && given.all(|fits| fits)
        } else {
            given.any(|fits| fits)
        }
    }

    /// Whether it is open at `at`, by the clock that its time zone has `now`. One whose time never comes is open, as in Argo CD.
    ///
    /// There a window opens just after the time that its schedule names; a time of ours is the moment after it.
    fn is_active(&self, at: Timestamp, now: Timestamp) -> Result<bool, String> {
        let schedule = Fields::parse(&self.schedule)
            .map_err(|error| format!("cannot parse schedule '{}': {error}", self.schedule))?;
        let duration = duration::parse(&self.duration)
            .map_err(|error| format!("cannot parse duration '{}': {error}", self.duration))?;
        let local = at.checked_add(self.offset(now)).unwrap_or(at);
        let since = local.checked_sub(duration).unwrap_or(local);
        Ok(schedule.after(since).is_none_or(|opened| opened <= local))
    }

    fn offset(&self, now: Timestamp) -> SignedDuration {
        let zone = time_zone::named(&self.time_zone);
        let seconds = zone.map_or(0, |zone| zone.to_offset(now).seconds());
        SignedDuration::from_secs(seconds.into())
    }
}

/// Decides for an app at `now` (SYNC-140); an operation in progress since `started` that was allowed then may overrun.
pub fn can_sync(
    windows: &[SyncWindow],
    app: &str,
    namespace: &str,
    manual: bool,
    now: Timestamp,
    started: Option<Timestamp>,
) -> WindowVerdict {
    let relevant: Vec<&SyncWindow> = windows
        .iter()
        .filter(|window| window.is_for(app, namespace))
        .collect();
    match allowed(&relevant, manual, now, now, started) {
        Ok(true) => WindowVerdict::Allowed,
        Ok(false) => WindowVerdict::Blocked(BLOCKED.to_owned()),
        Err(error) => WindowVerdict::Blocked(format!("{BLOCKED}: invalid sync windows: {error}")),
    }
}

fn allowed(
    windows: &[&SyncWindow],
    manual: bool,
    at: Timestamp,
    now: Timestamp,
    started: Option<Timestamp>,
) -> Result<bool, String> {
    let (mut active, mut idle) = (Vec::new(), Vec::new());
    for &window in windows {
        if window.is_active(at, now)? {
            active.push(window);
        } else {
            idle.push(window);
        }
    }
    let of = |list: &[&SyncWindow], kind| -> Vec<SyncWindow> {
        let of_kind = list.iter().filter(|window| window.kind == kind);
        of_kind.map(|window| SyncWindow::clone(window)).collect()
    };
    let denying = of(&active, WindowKind::Deny);
    let in_the_way = if !denying.is_empty() {
        denying
    } else if active.is_empty() {
        of(&idle, WindowKind::Allow)
    } else {
        return Ok(true);
    };
    if in_the_way.is_empty() || (manual && in_the_way.iter().all(|window| window.manual_sync)) {
        return Ok(true);
    }
    // An operation that was allowed at its start goes on where all windows that are in its way say so.
    match started {
        Some(started) if in_the_way.iter().all(|window| window.sync_overrun) => {
            allowed(windows, manual, started, now, None)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-01T{text}:00Z").parse().unwrap()
    }

    fn window(kind: WindowKind, schedule: &str, duration: &str) -> SyncWindow {
        SyncWindow {
            kind,
            schedule: schedule.to_owned(),
            duration: duration.to_owned(),
            applications: vec!["*".to_owned()],
            ..SyncWindow::default()
        }
    }

    fn verdict(windows: &[SyncWindow], manual: bool, now: &str) -> bool {
        can_sync(windows, "shop", "prod", manual, at(now), None) == WindowVerdict::Allowed
    }

    /// SYNC-140: 2026-01-01 is a Thursday.
    #[rstest]
    #[case("0 10 * * *", "10:00", true)]
    #[case::never("0 0 30 feb *", "10:00", true)]
    #[case("0 10 * * *", "10:59", true)]
    #[case("0 10 * * *", "11:00", false)]
    #[case("*/20 * * * thu", "03:25", true)]
    #[case("0 10 2 * *", "10:30", false)]
    #[case("0 10 2 * 4", "10:30", true)]
    #[case("0 10 * feb *", "10:30", false)]
    #[case("0 22-23 31 12 *", "00:00", false)]
    #[case("30 23 31 12 *", "00:15", true)]
    fn a_window_is_open_from_its_time_for_its_duration(
        #[case] schedule: &str,
        #[case] now: &str,
        #[case] open: bool,
    ) {
        assert_eq!(
            verdict(&[window(WindowKind::Allow, schedule, "1h")], false, now),
            open,
            "{schedule}"
        );
        assert_eq!(
            verdict(&[window(WindowKind::Deny, schedule, "1h")], false, now),
            !open,
            "{schedule}"
        );
    }

    /// SYNC-140: a schedule is by the clock of its zone; one that nobody knows is UTC.
    #[rstest]
    #[case("Europe/Paris", "09:30", true)]
    #[case("Europe/Paris", "10:30", false)]
    #[case("Asia/Kolkata", "04:45", true)]
    #[case("America/New_York", "15:01", true)]
    #[case("Nowhere/Land", "10:30", true)]
    fn a_schedule_has_a_time_zone(#[case] zone: &str, #[case] now: &str, #[case] open: bool) {
        let mut window = window(WindowKind::Allow, "0 10 * * *", "1h");
        window.time_zone = zone.to_owned();
        assert_eq!(verdict(&[window], false, now), open, "{zone}");
    }

    /// SYNC-140, U-339: denying beats allowing; closed allowing windows block; manual syncs may pass.
    #[rstest]
    #[case::none(&[], true, true)]
    #[case::open_allow(&[("allow", true, false)], true, true)]
    #[case::closed_allow(&[("allow", false, false)], false, false)]
    #[case::closed_allow_manual(&[("allow", false, true)], false, true)]
    #[case::closed_allows_of_two_minds(&[("allow", false, true), ("allow", false, false)], false, false)]
    #[case::open_and_closed_allow(&[("allow", true, false), ("allow", false, false)], true, true)]
    #[case::open_deny(&[("deny", true, false)], false, false)]
    #[case::open_deny_manual(&[("deny", true, true)], false, true)]
    #[case::open_denies_of_two_minds(&[("deny", true, true), ("deny", true, false)], false, false)]
    #[case::closed_deny(&[("deny", false, false)], true, true)]
    #[case::deny_beats_allow(&[("deny", true, false), ("allow", true, true)], false, false)]
    #[case::deny_manual_beats_allow(&[("deny", true, true), ("allow", true, true)], false, true)]
    #[case::closed_deny_open_allow(&[("deny", false, false), ("allow", true, false)], true, true)]
    #[case::closed_deny_closed_allow(&[("deny", false, false), ("allow", false, false)], false, false)]
    #[case::closed_deny_closed_allow_manual(&[("deny", false, false), ("allow", false, true)], false, true)]
    fn what_windows_allow(
        #[case] windows: &[(&str, bool, bool)],
        #[case] automatic: bool,
        #[case] manual: bool,
    ) {
        let windows: Vec<SyncWindow> = windows
            .iter()
            .map(|&(kind, open, manual_sync)| {
                let kind = if kind == "deny" {
                    WindowKind::Deny
                } else {
                    WindowKind::Allow
                };
                let schedule = if open { "0 10 * * *" } else { "0 20 * * *" };
                SyncWindow {
                    manual_sync,
                    ..window(kind, schedule, "1h")
                }
            })
            .collect();
        assert_eq!(verdict(&windows, false, "10:30"), automatic);
        assert_eq!(verdict(&windows, true, "10:30"), manual);
    }

    /// SYNC-140: manual syncs pass where all windows in the way say so.
    #[test]
    fn manual_syncs_may_pass() {
        let manual = |window: SyncWindow| SyncWindow {
            manual_sync: true,
            ..window
        };
        let deny = window(WindowKind::Deny, "* * * * *", "1h");
        assert!(!verdict(std::slice::from_ref(&deny), true, "10:00"));
        assert!(verdict(&[manual(deny.clone())], true, "10:00"));
        assert!(!verdict(
            &[manual(deny.clone()), deny.clone()],
            true,
            "10:00"
        ));
        assert!(!verdict(&[manual(deny)], false, "10:00"));
        let closed = window(WindowKind::Allow, "0 0 * * *", "1h");
        assert!(
            verdict(&[manual(closed.clone())], true, "10:00") && !verdict(&[closed], true, "10:00")
        );
    }

    /// SYNC-140: other apps' windows do not count; with `useAndOperator` everything must fit.
    #[test]
    fn windows_are_for_some_apps() {
        let mut deny = window(WindowKind::Deny, "* * * * *", "1h");
        deny.applications = vec!["other".to_owned()];
        assert!(verdict(&[deny.clone()], false, "10:00"));
        deny.namespaces = vec!["prod".to_owned()];
        assert!(!verdict(&[deny.clone()], false, "10:00"));
        deny.use_and_operator = true;
        assert!(verdict(&[deny], false, "10:00"));
    }

    /// SYNC-140: an operation that was allowed at its start goes on, where all windows say so.
    #[test]
    fn a_sync_may_overrun_its_window() {
        let mut open = window(WindowKind::Allow, "0 10 * * *", "1h");
        let going = |windows: &[SyncWindow]| {
            can_sync(
                windows,
                "shop",
                "prod",
                false,
                at("11:30"),
                Some(at("10:30")),
            ) == WindowVerdict::Allowed
        };
        assert!(!going(&[open.clone()]));
        open.sync_overrun = true;
        assert!(going(&[open.clone()]));
        // Only what is in the way is asked: a window that denies another time has no say.
        let other = window(WindowKind::Deny, "0 20 * * *", "1h");
        assert!(going(&[open.clone(), other]));
        let deny = window(WindowKind::Deny, "0 11 * * *", "1h");
        assert!(!going(&[open, deny]));
    }

    /// SYNC-140, U-339: a schedule that cannot be read blocks, and says why.
    #[test]
    fn an_unreadable_schedule_blocks() {
        let windows = [window(WindowKind::Allow, "61 * * * *", "1h")];
        let verdict = can_sync(&windows, "shop", "prod", true, at("10:00"), None);
        let text =
            "Sync operation blocked by sync window: invalid sync windows: cannot parse schedule '61 * * * *': \
             end of range (61) above maximum (59): 61".to_owned();
        assert_eq!(verdict, WindowVerdict::Blocked(text));
    }
}
