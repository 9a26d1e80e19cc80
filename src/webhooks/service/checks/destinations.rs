//! The webhook's own allow-list of addresses.

use ipnet::{IpNet, Ipv4Net};

use crate::error::Problem;
use crate::primitives::network::read_network;

/// The networks, each once.
pub(super) fn check(networks: &[String], problems: &mut Vec<Problem>) -> Vec<IpNet> {
    if networks.len() > MAX_NETWORKS {
        let rule = format!("a webhook names at most {MAX_NETWORKS} networks, this one {}", networks.len());
        problems.push(Problem::new("destinations", rule, "name larger networks"));
        return Vec::new();
    }
    let mut taken = Vec::with_capacity(networks.len());
    for (index, text) in networks.iter().enumerate() {
        match parse(text) {
            Ok(network) if taken.contains(&network) => {}
            Ok(network) => taken.push(network),
            Err((rule, fix)) => problems.push(Problem::new(format!("destinations[{index}]"), rule, fix)),
        }
    }
    taken
}

fn parse(text: &str) -> Result<IpNet, (&'static str, String)> {
    let text = text.trim();
    let Some(network) = read_network(text) else {
        let fix = "write it as `198.51.100.0/24`, `2001:db8::/32` or `198.51.100.7`".to_owned();
        return Err(("a destination is a network in CIDR notation or an address", fix));
    };
    if network.addr() != network.network() {
        let rule = "a network's address has no bits set behind its prefix";
        return Err((
            rule,
            format!("write `{}`, or `{}` for this one address", network.trunc(), network.addr()),
        ));
    }
    // Resolved addresses are compared in their IPv4 form.
    if let IpNet::V6(six) = network
        && let Some(four) = six.addr().to_ipv4_mapped()
    {
        let length = six.prefix_len().saturating_sub(96);
        let fix = Ipv4Net::new(four, length).map_or_else(|_| four.to_string(), |network| network.to_string());
        return Err(("an IPv4 address is written as one", format!("write `{fix}`")));
    }
    Ok(network)
}

const MAX_NETWORKS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(networks: &[&str]) -> Result<Vec<String>, Vec<Problem>> {
        let mut problems = Vec::new();
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        let taken = check(&networks, &mut problems);
        if problems.is_empty() { Ok(taken.iter().map(ToString::to_string).collect()) } else { Err(problems) }
    }

    #[test]
    fn networks_and_single_addresses_are_taken_once() {
        assert_eq!(
            checked(&["198.51.100.0/24", " 203.0.113.7 ", "2001:db8::/32", "203.0.113.7/32"]),
            Ok(["198.51.100.0/24", "203.0.113.7/32", "2001:db8::/32"].map(String::from).to_vec())
        );
    }

    #[test]
    fn set_host_bits_are_refused_with_the_network_that_was_meant() {
        let problems = checked(&["198.51.100.7/24"]).expect_err("refused");

        assert_eq!(problems[0].field, "destinations[0]");
        assert_eq!(problems[0].fix, "write `198.51.100.0/24`, or `198.51.100.7` for this one address");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "example.com",
            "010.0.0.0/8",
            "198.51.100.0/33",
            "198.51.100",
            "198.51.100.0/-1",
            "::ffff:198.51.100.0/120",
        ] {
            assert!(checked(&[text]).is_err(), "{text}");
        }
        assert!(checked(&["198.51.100.7"; 101]).is_err());
    }
}
