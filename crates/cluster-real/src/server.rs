//! How an API server is reached, and as whom.

use std::path::Path;

use http::{HeaderName, HeaderValue};
use kube::config::{KubeConfigOptions, Kubeconfig};
use wavetank_cluster::ClusterError;
use wavetank_model::Actor;

/// An API server and the means to talk to it.
#[derive(Clone, Debug)]
pub struct Server {
    target: String,
    config: kube::Config,
    impersonates: bool,
}

impl Server {
    /// The server of a cluster of ours, which has its kubeconfig in `folder`.
    ///
    /// # Errors
    /// [`ClusterError`] when the file cannot be read or used.
    pub(crate) async fn of_folder(target: &str, folder: &Path) -> Result<Self, ClusterError> {
        let path = folder.join("kubeconfig");
        let text = std::fs::read_to_string(&path).map_err(|error| ClusterError::Unavailable {
            target: target.to_owned(),
            reason: format!("cannot read {}: {error}", path.display()),
        })?;
        Self::of_kubeconfig(target, &text, None, true).await
    }

    /// The server of a kubeconfig's `context`; without one, of its current context, which must be of our own making.
    ///
    /// `impersonates`: requests name the user that the simulated cluster would see; needs the rights to.
    ///
    /// # Errors
    /// [`ClusterError`] when the text cannot be used.
    pub async fn of_kubeconfig(
        target: &str,
        text: &str,
        context: Option<&str>,
        impersonates: bool,
    ) -> Result<Self, ClusterError> {
        let failed = |reason: String| ClusterError::Unavailable {
            target: target.to_owned(),
            reason,
        };
        let kubeconfig = Kubeconfig::from_yaml(text)
            .map_err(|error| failed(format!("its kubeconfig cannot be read: {error}")))?;
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| failed(format!("its kubeconfig cannot be used: {error}")))?;
        // Faults and answers reach the engine as they are.
        config.default_retry = false;
        Ok(Self {
            target: target.to_owned(),
            config,
            impersonates,
        })
    }

    /// The target, as `control-plane`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The address.
    pub fn address(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// A client of our own: for watches, the stand-in, and cleaning up.
    ///
    /// # Errors
    /// [`ClusterError`] when certificates or keys cannot be used.
    pub fn client(&self) -> Result<kube::Client, ClusterError> {
        self.connect(self.config.clone())
    }

    /// A client as `actor`.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn client_of(&self, actor: &Actor) -> Result<kube::Client, ClusterError> {
        let mut config = self.config.clone();
        if self.impersonates && actor.as_str() == Actor::ENGINE {
            let header = |name: &'static str, value: &str| {
                let value = HeaderValue::from_str(value).ok()?;
                Some((HeaderName::from_static(name), value))
            };
            config
                .headers
                .extend(header("impersonate-user", &actor.user_name()));
            config
                .headers
                .extend(header("impersonate-group", "system:masters"));
        }
        self.connect(config)
    }

    fn connect(&self, config: kube::Config) -> Result<kube::Client, ClusterError> {
        kube::Client::try_from(config).map_err(|error| ClusterError::Unavailable {
            target: self.target.clone(),
            reason: format!("no connection can be made: {error}"),
        })
    }
}
