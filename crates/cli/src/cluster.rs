//! `wavetank cluster`: what real clusters there are, what is left over, and what is missing.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use wavetank_cluster_real::{Assets, Inotify, K3sOptions, KindOptions, remove};

use crate::UNAVAILABLE;
use crate::args::ClusterCommand;
use crate::output::Streams;
use crate::target::journal;

/// Carries out `wavetank cluster …`; gives the exit code.
pub(crate) fn cluster(command: &ClusterCommand, streams: &mut Streams) -> anyhow::Result<u8> {
    match command {
        ClusterCommand::List => list(streams),
        ClusterCommand::Sweep { kept } => sweep(*kept, streams),
        ClusterCommand::Doctor => doctor(streams),
    }
}

fn list(streams: &mut Streams) -> anyhow::Result<u8> {
    let mut text = String::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "what was kept long ago has been forgotten"
    )]
    let now = Timestamp::now();
    for entry in journal()?.list()? {
        let record = entry.record;
        let expired = record.expires().is_some_and(|time| time < now);
        let state = match (entry.in_use, record.kept) {
            (true, _) => format!("in use by process {}", record.owner),
            (false, true) if expired => {
                "kept, unused for a day: wavetank cluster sweep --kept".to_owned()
            }
            (false, true) => "kept".to_owned(),
            (false, false) => "left over: wavetank cluster sweep".to_owned(),
        };
        writeln!(
            text,
            "{}  {}  since {}  {state}",
            record.name, record.target, record.created
        )?;
    }
    if text.is_empty() {
        text.push_str("no clusters\n");
    }
    streams.result(&text)?;
    Ok(0)
}

fn sweep(kept: bool, streams: &mut Streams) -> anyhow::Result<u8> {
    let mut code = 0;
    let leases = journal()?.left_over(kept)?;
    if leases.is_empty() {
        streams.result("nothing is left over\n")?;
    }
    for lease in leases {
        let name = lease.record().name.clone();
        match remove(lease) {
            Ok(()) => streams.result(&format!("removed {name}\n"))?,
            Err(error) => {
                code = UNAVAILABLE;
                streams.message(&format!("error: {error}\n"));
            }
        }
    }
    Ok(code)
}

fn doctor(streams: &mut Streams) -> anyhow::Result<u8> {
    let mut text = String::new();
    let control_plane = match env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
        None => "KUBEBUILDER_ASSETS is not set".to_owned(),
        Some(folder) => match Assets::find(&folder) {
            Ok(_) => format!("ready ({})", folder.display()),
            Err(error) => error.to_string(),
        },
    };
    writeln!(text, "control-plane  {control_plane}")?;
    let kind = KindOptions::default().check();
    writeln!(
        text,
        "kind           {}",
        kind.map_or_else(
            |error| error.to_string(),
            |version| format!("ready ({version})")
        )
    )?;
    let k3s = K3sOptions::default().check();
    writeln!(
        text,
        "k3s            {}",
        k3s.map_or_else(
            |error| error.to_string(),
            |version| format!("ready (container engine {version})")
        )
    )?;
    let (mut used, mut left, mut kept) = (0, 0, 0);
    for entry in journal()?.list()? {
        match (entry.in_use, entry.record.kept) {
            (true, _) => used += 1,
            (false, true) => kept += 1,
            (false, false) => left += 1,
        }
    }
    writeln!(
        text,
        "clusters       {used} in use, {kept} kept, {left} left over"
    )?;
    if let Some(instances) = Inotify::of_machine() {
        writeln!(text, "inotify        {instances}")?;
    }
    streams.result(&text)?;
    Ok(0)
}
