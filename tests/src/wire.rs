//! Servers as processes, and clients that reach them over HTTPS.

mod control_plane;
mod https;
mod program;
mod serve;
mod transcript;

pub use control_plane::ControlPlane;
pub use https::{Https, Naming, client};
pub use program::{Program, assets, program};
pub use serve::Serve;
pub use transcript::{Replay, transcripts};
