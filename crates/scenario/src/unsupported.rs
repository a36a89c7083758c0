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

/// Why this version of Kubernetes is refused.
pub(crate) fn cluster_version(version: &str) -> Option<String> {
    (!CLUSTER_VERSIONS.contains(&version)).then(|| {
        format!(
            "the simulated cluster can be {}",
            CLUSTER_VERSIONS.join(", ")
        )
    })
}
