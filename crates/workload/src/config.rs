//! What the simulated cluster is made of.

use wavetank_model::timestamp::Epoch;

/// When volumes of the class `standard` are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BindingMode {
    /// At once.
    #[default]
    Immediate,
    /// When a Pod that uses the claim is scheduled.
    WaitForFirstConsumer,
}

impl BindingMode {
    /// As `volumeBindingMode` spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "Immediate",
            Self::WaitForFirstConsumer => "WaitForFirstConsumer",
        }
    }
}

/// Settings of the simulated cluster (scenario format, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Wall time at the start of the run.
    pub epoch: Epoch,
    /// How many nodes there are.
    pub nodes: usize,
    /// When volumes of the class `standard` are made.
    pub binding_mode: BindingMode,
    /// Whether `LoadBalancer` Services and Ingresses get an address.
    pub load_balancers: bool,
    /// Whether objects are made that a real cluster makes unasked: Events, `kube-root-ca.crt`, node Leases.
    pub noise: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            epoch: Epoch::default(),
            nodes: 1,
            binding_mode: BindingMode::Immediate,
            load_balancers: true,
            noise: false,
        }
    }
}
