//! What the format has and this version does not carry out: versions of Argo CD and of Kubernetes.

use wavetank_model::ArgoVersion;

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

/// What of this version of Argo CD is played by the rules of the newest one (SYNC-227); `None` for the newest.
///
/// The other rows of SYNC-227 are carried out: SYNC-044, 093, 119 and 140 since 3.5, SYNC-114 and 115 since 3.6;
/// and what SYNC-227 does not list of 3.6: SYNC-052 with 068, 092, 095 and 105.
pub(crate) fn differing(version: ArgoVersion) -> Option<&'static str> {
    match version {
        ArgoVersion::V3_4 => Some(
            "when steps come (SYNC-129), RespectIgnoreDifferences with lists and `status` (SYNC-103), discovery errors \
             (SYNC-031), hooks that are deleted twice (SYNC-146), which of an autoscaler's conditions counts (SYNC-119)",
        ),
        ArgoVersion::V3_5 => {
            Some("when steps come (SYNC-129), RespectIgnoreDifferences with lists (SYNC-103)")
        }
        ArgoVersion::V3_6 => None,
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
