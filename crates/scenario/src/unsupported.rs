//! What the format has and this version does not carry out: versions of Argo CD and of Kubernetes.

/// First and last version of Argo CD whose rules the built-in engine follows: major, minor.
const ENGINE_VERSIONS: ((u32, u32), (u32, u32)) = ((3, 4), (3, 6));

/// Versions of Kubernetes that the simulated cluster can be.
const CLUSTER_VERSIONS: &[&str] = &["1.36"];

/// Why this version of Argo CD is refused; `version` reads `3.6` or `v3.6.1`.
pub(crate) fn engine_version(version: &str) -> Option<String> {
    let mut parts = version
        .trim_start_matches('v')
        .split('.')
        .map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        return Some("a version reads `3.6`".to_owned());
    };
    let ((first_major, first_minor), (last_major, last_minor)) = ENGINE_VERSIONS;
    if (major, minor) < (first_major, first_minor) {
        Some(format!(
            "versions older than {first_major}.{first_minor} run on the reference engine, not on the built-in one"
        ))
    } else if (major, minor) > (last_major, last_minor) {
        Some(format!(
            "the newest version whose rules are known is {last_major}.{last_minor}"
        ))
    } else {
        None
    }
}

/// What differs between this version of Argo CD and the newest one, whose rules the built-in engine follows (SYNC-227);
/// `None` for the newest.
pub(crate) fn differing(version: &str) -> Option<&'static str> {
    const SINCE_3_6: &str = "since 3.6: when steps come (SYNC-129), `ignore-restart-policy` (SYNC-115), messages of suspended Jobs (SYNC-114), \
         RespectIgnoreDifferences with lists (SYNC-103)";
    const SINCE_3_5: &str = "since 3.5: the text of `tasks are not valid` (SYNC-044), discovery errors (SYNC-031), server-side apply of roles \
         (SYNC-093), HorizontalPodAutoscalers (SYNC-119), `syncOverrun` (SYNC-140), hooks that are deleted twice (SYNC-146), \
         RespectIgnoreDifferences and `status` (SYNC-103); and what differs since 3.6: when steps come (SYNC-129), \
         `ignore-restart-policy` (SYNC-115), messages of suspended Jobs (SYNC-114)";
    let minor = version.trim_start_matches('v').split('.').nth(1)?;
    match minor.parse::<u32>().ok()? {
        ..=4 => Some(SINCE_3_5),
        5 => Some(SINCE_3_6),
        _ => None,
    }
}

/// Why this version of Kubernetes is refused.
pub(crate) fn cluster_version(version: &str) -> Option<String> {
    (!CLUSTER_VERSIONS.contains(&version)).then(|| {
        format!(
            "the simulated cluster can be {}",
            CLUSTER_VERSIONS.join(", ")
        )
    })
}
