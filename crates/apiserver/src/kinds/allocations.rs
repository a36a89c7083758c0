//! Cluster IPs and node ports: what Services take out of the cluster's ranges (API-286).

use std::net::Ipv4Addr;

use imbl::OrdSet;

/// The first address of the range 10.96.0.0/12.
const RANGE_START: u32 = 0x0a60_0000;
const RANGE_SIZE: u32 = 1 << 20;
/// Addresses below are left for those that are asked for by name.
const FIRST_FREE_IP: u32 = 256;
/// The range of node ports.
const PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;
/// Ports below are left for those that are asked for by number.
const FIRST_FREE_PORT: u16 = 30086;

/// Which addresses and ports are taken. Handed out in ascending order; cloning costs next to nothing.
#[derive(Clone, Debug)]
pub(crate) struct Allocations {
    ips: OrdSet<u32>,
    ports: OrdSet<u16>,
    next_ip: u32,
    next_port: u16,
    /// What a write takes that nothing comes of, if it is one.
    dry: Option<Dry>,
}

/// What a dry run has taken: it finds out what it may have, and otherwise gets what nobody else does.
#[derive(Clone, Copy, Debug, Default)]
struct Dry {
    last_port: Option<u16>,
}

impl Default for Allocations {
    fn default() -> Self {
        Self {
            ips: OrdSet::new(),
            ports: OrdSet::new(),
            next_ip: FIRST_FREE_IP,
            next_port: FIRST_FREE_PORT,
            dry: None,
        }
    }
}

impl Allocations {
    /// From now on for a dry run: the address of the range itself and ports behind the range are given, as a real server
    /// does.
    pub(crate) fn pretend(&mut self) {
        self.dry = Some(Dry::default());
    }

    /// A free address, now taken; `None` when there is none left.
    pub(crate) fn allocate_ip(&mut self) -> Option<Ipv4Addr> {
        if self.dry.is_some() {
            return Some(Ipv4Addr::from(RANGE_START));
        }
        for _ in 0..RANGE_SIZE {
            let offset = self.next_ip;
            self.next_ip = if offset + 2 >= RANGE_SIZE {
                1
            } else {
                offset + 1
            };
            if self.ips.insert(offset).is_none() {
                return Some(Ipv4Addr::from(RANGE_START + offset));
            }
        }
        None
    }

    /// Takes `ip`.
    ///
    /// # Errors
    /// Why not, as the server words it.
    pub(crate) fn take_ip(&mut self, ip: Ipv4Addr) -> Result<(), String> {
        let offset = u32::from(ip).wrapping_sub(RANGE_START);
        if offset == 0 || offset >= RANGE_SIZE - 1 {
            return Err(if self.dry.is_some() {
                format!(
                    "the provided IP ({ip}) is not in the valid range. The range of valid IPs is 10.96.0.0/12"
                )
            } else {
                "the provided network does not match the current range".to_owned()
            });
        }
        if self.ips.insert(offset).is_some() {
            return Err("provided IP is already allocated".to_owned());
        }
        Ok(())
    }

    /// Gives `ip` back.
    pub(crate) fn release_ip(&mut self, ip: Ipv4Addr) {
        self.ips.remove(&u32::from(ip).wrapping_sub(RANGE_START));
    }

    /// A free node port, now taken; `None` when there is none left.
    pub(crate) fn allocate_port(&mut self) -> Option<u16> {
        if let Some(dry) = &mut self.dry {
            let port = dry.last_port.unwrap_or(PORTS.end() + 1) + 1;
            dry.last_port = Some(port);
            return Some(port);
        }
        for _ in PORTS {
            let port = self.next_port;
            self.next_port = if port == *PORTS.end() {
                *PORTS.start()
            } else {
                port + 1
            };
            if self.ports.insert(port).is_none() {
                return Some(port);
            }
        }
        None
    }

    /// Takes the node port `port`.
    ///
    /// # Errors
    /// Why not, as the server words it.
    pub(crate) fn take_port(&mut self, port: i64) -> Result<(), String> {
        let Some(port) = u16::try_from(port).ok().filter(|port| PORTS.contains(port)) else {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                PORTS.start(),
                PORTS.end()
            ));
        };
        if self.ports.insert(port).is_some() {
            return Err("provided port is already allocated".to_owned());
        }
        if let Some(dry) = &mut self.dry {
            dry.last_port = dry.last_port.max(Some(port));
        }
        Ok(())
    }

    /// Gives a node port back.
    pub(crate) fn release_port(&mut self, port: i64) {
        if let Ok(port) = u16::try_from(port) {
            self.ports.remove(&port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_undoes_what_was_allocated_since() {
        let mut allocations = Allocations::default();
        let before = allocations.clone();
        let ip = allocations.allocate_ip().unwrap();
        assert_eq!(ip.to_string(), "10.96.1.0");
        assert_eq!(
            allocations.take_ip(ip),
            Err("provided IP is already allocated".to_owned())
        );
        allocations = before;
        assert_eq!(allocations.take_ip(ip), Ok(()));
    }

    #[test]
    fn ports_run_out() {
        let mut allocations = Allocations::default();
        let count = std::iter::from_fn(|| allocations.allocate_port()).count();
        assert_eq!(count, 2768);
        allocations.release_port(30001);
        assert_eq!(allocations.allocate_port(), Some(30001));
        assert!(allocations.take_port(80).is_err());
    }
}
