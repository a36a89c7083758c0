//! Versions of Argo CD, as far as their rules differ.

/// A version of Argo CD whose rules are followed (SYNC-227); older ones are the lesser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArgoVersion {
    /// 3.4.
    V3_4,
    /// 3.5.
    V3_5,
    /// 3.6.
    #[default]
    V3_6,
}

impl ArgoVersion {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::V3_4, Self::V3_5, Self::V3_6];

    /// Major and minor number, as in `3.6`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3_4 => "3.4",
            Self::V3_5 => "3.5",
            Self::V3_6 => "3.6",
        }
    }

    /// Reads `3.6`, `v3.6` and `v3.6.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_start_matches('v').splitn(3, '.');
        let (major, minor) = (parts.next()?, parts.next()?);
        let text = format!("{major}.{minor}");
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_of_their_version() {
        for text in ["3.5", "v3.5", "v3.5.2", "3.5.0-rc1"] {
            assert_eq!(ArgoVersion::parse(text), Some(ArgoVersion::V3_5), "{text}");
        }
        assert_eq!(ArgoVersion::parse("3.3"), None);
        assert_eq!(ArgoVersion::parse("3"), None);
        assert!(ArgoVersion::V3_4 < ArgoVersion::default());
    }
}
