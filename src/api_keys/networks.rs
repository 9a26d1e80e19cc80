//! From which networks a key may be used.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::error::Problem;
use crate::primitives::network::read_network;

/// Whether one of the networks holds the address; none at all means that it does not matter.
#[inline]
pub(crate) fn admit(networks: &[IpNet], address: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(&address))
}

/// One network as somebody has typed it: CIDR notation, or a single address.
///
/// # Errors
/// The rule that was broken, and what makes it right.
pub(crate) fn parse(text: &str) -> Result<IpNet, (&'static str, String)> {
    let text = text.trim();
    let network = match read_network(text) {
        Some(network) => network,
        None => {
            let fix = "write it as `198.51.100.0/24`, `2001:db8::/32` or `198.51.100.7`".to_owned();
            return Err(("a restriction is a network in CIDR notation or an address", fix));
        }
    };
    // Callers are compared in their IPv4 form.
    if let IpNet::V6(six) = network
        && let Some(four) = six.addr().to_ipv4_mapped()
    {
        let length = six.prefix_len().saturating_sub(96);
        let fix = Ipv4Net::new(four, length)
            .map_or_else(|_| four.to_string(), |network| network.trunc().to_string());
        return Err(("an IPv4 address is written as one", format!("write `{fix}`")));
    }
    if network.addr() != network.network() {
        let fix = match network.prefix_len() {
            // Everything must be meant, and then written as everything.
            0 => format!(
                "write `{}` for this one address, or `{}` if you mean all of them",
                network.addr(),
                network.trunc()
            ),
            _ => format!("write `{}`, or `{}` for this one address", network.trunc(), network.addr()),
        };
        return Err(("a network's address has no bits set behind its prefix", fix));
    }
    Ok(network)
}

/// The networks that somebody has typed, each once.
pub(crate) fn check(wanted: &[String], problems: &mut Vec<Problem>) -> Vec<IpNet> {
    if wanted.len() > MOST {
        let rule = format!("a key names at most {MOST} networks, this one {}", wanted.len());
        problems.push(Problem::new("networks", rule, "name larger networks"));
        return Vec::new();
    }
    let mut taken = Vec::with_capacity(wanted.len());
    for (index, text) in wanted.iter().enumerate() {
        match parse(text) {
            Ok(network) if taken.contains(&network) => {}
            Ok(network) => taken.push(network),
            Err((rule, fix)) => problems.push(Problem::new(format!("networks[{index}]"), rule, fix)),
        }
    }
    taken
}

const MOST: usize = 100;

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
        for (text, fix) in [
            ("10.0.0.5/8", "write `10.0.0.0/8`, or `10.0.0.5` for this one address"),
            ("2001:db8::1/32", "write `2001:db8::/32`, or `2001:db8::1` for this one address"),
            (
                "198.51.100.7/0",
                "write `198.51.100.7` for this one address, or `0.0.0.0/0` if you mean all of them",
            ),
        ] {
            let problems = checked(&[text]).expect_err("refused");
            assert_eq!((&*problems[0].field, &*problems[0].fix), ("networks[0]", fix));
        }
    }

    #[test]
    fn everything_must_be_written_as_everything() {
        assert_eq!(checked(&["0.0.0.0/0", "::/0"]).map(|taken| taken.len()), Ok(2));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "example.com",
            "198.51.100.0/33",
            "198.51.100",
            "198.51.100.0/-1",
            "010.0.0.0/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::ffff:198.51.100.0/120",
            "::ffff:198.51.100.7",
            "fe80::1%eth0",
            "1.2.3.4/8/8",
        ] {
            assert!(checked(&[text]).is_err(), "{text}");
        }
        assert!(checked(&["198.51.100.7"; 101]).is_err());
    }

    #[test]
    fn a_list_admits_what_it_holds_and_no_list_admits_everybody() {
        let list: Vec<IpNet> = ["198.51.100.0/24", "2001:db8::/32"]
            .iter()
            .map(|text| text.parse().expect("a network"))
            .collect();
        let from = |text: &str| text.parse::<IpAddr>().expect("an address");

        assert!(admit(&list, from("198.51.100.255")) && admit(&list, from("2001:db8:1::1")));
        assert!(!admit(&list, from("198.51.101.0")) && !admit(&list, from("2001:db9::1")));
        assert!(admit(&[], from("203.0.113.9")));
        let all = ["0.0.0.0/0".parse().expect("a network")];
        assert!(admit(&all, from("203.0.113.9")) && !admit(&all, from("2001:db8::1")));
    }
}
