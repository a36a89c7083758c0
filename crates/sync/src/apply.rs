//! Carries asks out (being written).
