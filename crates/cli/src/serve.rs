//! `wavetank serve`: the simulated cluster over HTTPS, in real or scaled time, for outside programs.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wavetank::Options;
use wavetank_cluster::Cluster;
use wavetank_cluster_sim::endpoint::{self, Door, Doors, Identity, Kubeconfig, Listener};
use wavetank_cluster_sim::{SimCluster, drive};
use wavetank_model::Actor;
use wavetank_model::timestamp::Epoch;
use wavetank_runner::Recording;
use wavetank_scenario::Scenario;

use crate::args::ServeArguments;
use crate::load::{self, Refused};
use crate::output::Streams;

/// Serves until it is told to stop; gives the exit code.
pub(crate) fn serve(arguments: &ServeArguments, streams: &mut Streams) -> anyhow::Result<u8> {
    let scenario = Arc::new(scenario(arguments)?);
    let address: IpAddr = arguments
        .address
        .parse()
        .context("--address is no IP address")?;
    if !address.is_loopback() && !arguments.allow_other_addresses {
        let text = format!(
            "error: {address} is not a loopback address: everybody who reaches it and has the token may write\n  = say \
             --allow-other-addresses if that is what you want\n"
        );
        return Err(Refused(text).into());
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the operating system gives no runtime")?;
    runtime.block_on(serve_in(
        arguments,
        &scenario,
        SocketAddr::new(address, arguments.port),
        streams,
    ))
}

async fn serve_in(
    arguments: &ServeArguments,
    scenario: &Arc<Scenario>,
    address: SocketAddr,
    streams: &mut Streams,
) -> anyhow::Result<u8> {
    #[expect(
        clippy::disallowed_methods,
        reason = "outside programs compare the cluster's times with their own clock"
    )]
    let epoch = Epoch::new(jiff::Timestamp::now());
    let options = Options {
        seed: arguments.seed,
        ..Options::default()
    };
    let mut config =
        wavetank::cluster_config(scenario, &options, epoch, arguments.time_scale.get());
    config.controllers = !arguments.no_controllers;
    config.server.rbac = arguments.rbac;
    config.server.token_key = endpoint::token()?;
    let tokens = [
        (endpoint::token()?, Actor::new(Actor::USER)),
        (endpoint::token()?, Actor::new(Actor::ENGINE)),
    ];
    config.server.tokens = tokens.to_vec();
    let cluster = Arc::new(SimCluster::new(config)?);
    let pace = tokio::spawn(drive(Arc::clone(&cluster)));
    let seed = arguments.seed.unwrap_or(scenario.seed);
    let target = Arc::clone(&cluster) as Arc<dyn Cluster>;
    let assessor = wavetank::assessor(scenario, cluster.as_ref()).map_err(anyhow::Error::msg)?;
    let mut recording = Recording::new(
        target,
        Arc::clone(scenario),
        Arc::new(assessor),
        seed,
        arguments.show_secrets,
    );
    if arguments.trace.is_none() {
        recording = recording.without_trace();
    }
    recording.set_up().await.map_err(anyhow::Error::msg)?;

    let tcp = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let address = tcp.local_addr().context("cannot learn the port")?;
    let identity = Identity::generate(address.ip())?;
    let server = format!(
        "{}://{address}",
        if arguments.plain_http {
            "http"
        } else {
            "https"
        }
    );
    let path = arguments
        .kubeconfig
        .clone()
        .unwrap_or_else(|| default_path(address.port()));
    let authority = (!arguments.plain_http).then_some(identity.authority.as_str());
    let written = Kubeconfig {
        server: &server,
        authority,
        user: &tokens[0].0,
        engine: &tokens[1].0,
    }
    .write(&path)?;
    let actors = tokens.map(|(token, actor)| Door {
        token,
        service: recording.service(&actor),
    });
    let doors = Doors {
        actors: actors.into(),
        others: Some(recording.service(&Actor::new(Actor::ANONYMOUS))),
    };
    let acceptor = if arguments.plain_http {
        None
    } else {
        Some(identity.acceptor(&[endpoint::HTTP_2, endpoint::HTTP_1])?)
    };
    // Who reads that the server is ready may end it at once.
    let mut stop = Stop::listen()?;
    announce(arguments, &server, &path, streams)?;

    let listener = Listener {
        tcp,
        acceptor,
        doors: Arc::new(doors),
    };
    let problem = tokio::select! {
        biased;
        () = stop.asked() => None,
        ended = listener.serve() => Some(ended.into()),
    };
    pace.abort();
    drop(written);
    save_trace(arguments.trace.as_deref(), &recording, streams)?;
    match problem {
        Some(error) => Err(error),
        None => Ok(0),
    }
}

/// The scenario to serve: the one that is named, or an empty one, as noisy as a real cluster; with the objects of
/// `--objects` on top.
fn scenario(arguments: &ServeArguments) -> anyhow::Result<Scenario> {
    // Noise is what controllers make.
    let noise = !arguments.no_controllers;
    let mut objects = String::new();
    if let Some(folder) = &arguments.objects {
        let folder = fs::canonicalize(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        let quoted = serde_json::to_string(&folder.display().to_string())?;
        objects = format!(", objects: [{quoted}]");
    }
    let text = format!(
        "apiVersion: wavetank/v1\nkind: Scenario\nmetadata: {{name: served}}\n\
         spec: {{cluster: {{noise: {noise}{objects}}}}}\n"
    );
    match &arguments.scenario {
        Some(path) => load::one(path, arguments.case.as_deref(), arguments.reading),
        None => load::text(
            &text,
            arguments.objects.as_deref().unwrap_or(Path::new(".")),
        ),
    }
}

fn default_path(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("wavetank-{port}.kubeconfig"))
}

/// Says that the cluster is ready, and how to reach it.
fn announce(
    arguments: &ServeArguments,
    server: &str,
    path: &Path,
    streams: &mut Streams,
) -> anyhow::Result<()> {
    if arguments.print_env {
        streams.result(&format!("export KUBECONFIG={}\n", path.display()))?;
    }
    streams.result(&format!("ready {server} kubeconfig {}\n", path.display()))?;
    Ok(())
}

/// The signals that ask the process to end.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from now on.
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?,
        })
    }

    /// Ends when the process is asked to.
    async fn asked(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn save_trace(
    path: Option<&Path>,
    recording: &Recording,
    streams: &mut Streams,
) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    let context = || format!("cannot write the trace {}", path.display());
    let trace = recording.take();
    let mut out = std::io::BufWriter::new(fs::File::create(path).with_context(context)?);
    wavetank_trace::write(&trace, &mut out).with_context(context)?;
    std::io::Write::flush(&mut out).with_context(context)?;
    streams.message(&format!(
        "{} entries written to {}\n",
        trace.entries.len(),
        path.display()
    ));
    Ok(())
}
