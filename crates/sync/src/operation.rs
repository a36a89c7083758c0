//! Operations (being written).
