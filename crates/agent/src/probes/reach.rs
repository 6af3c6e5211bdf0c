//! Where probes of a policy may go: to the machine itself, and where the agent's own configuration allows it besides.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

#[derive(Debug, Clone)]
pub(super) struct Reach {
    /// Names and addresses, as the configuration has them.
    more: BTreeSet<String>,
}

impl Reach {
    pub fn new(more: impl IntoIterator<Item = String>) -> Self {
        Self { more: more.into_iter().collect() }
    }

    /// The addresses of a host, if probes may go there. They are looked up once: who connects uses these.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let host = host.trim_matches(['[', ']']);
        let found =
            tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
        let addresses: Vec<SocketAddr> = found.collect();
        let stranger = addresses.iter().find(|address| !is_own(address.ip()));
        match stranger {
            Some(stranger) if !self.more.contains(host) => Err(format!(
                "{host} is at {}, which is not this machine: its agent's probe_targets does not allow that",
                stranger.ip()
            )),
            _ => Ok(addresses),
        }
    }
}

/// An address is the machine's own if something can listen there.
fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let somewhere = !address.is_unspecified() && !address.is_multicast();
    somewhere && (address.is_loopback() || UdpSocket::bind((address, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_machine_is_at_home_where_it_can_listen() {
        let nowhere = Reach::new([]);
        for own in ["127.0.0.1", "127.1.2.3", "localhost"] {
            assert!(nowhere.addresses(own, 80).await.is_ok(), "{own}");
        }
        for other in ["192.0.2.7", "169.254.169.254", "0.0.0.0", "224.0.0.1"] {
            assert!(nowhere.addresses(other, 80).await.is_err(), "{other}");
        }
        let more = Reach::new(["192.0.2.7".to_owned()]);
        assert!(more.addresses("192.0.2.7", 80).await.is_ok());
        assert!(more.addresses("192.0.2.8", 80).await.is_err());
    }
}
