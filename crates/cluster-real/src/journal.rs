//! What was started and made, on disk, so that it can be removed by whoever comes later.
