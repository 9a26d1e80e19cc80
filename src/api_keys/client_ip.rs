//! Whose address it is, behind proxies.
//!
//! Whoever sends a request can write what they like into its headers; only what a trusted proxy has appended is worth anything.
//! So the list is read from its right end, where the nearest proxy wrote, and for as long as the addresses are the host's own
//! proxies'. The first other one is the client's. What stands left of it is hearsay and is never looked at.

use std::net::IpAddr;
use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::api_keys::networks;

/// The host's own proxies, and the header in which they say for whom they ask. By default there are none: the address is the one
/// of the connection, whatever the headers say.
///
/// ```
/// use std::net::IpAddr;
/// use crossdock::api_keys::TrustedProxies;
/// use http::HeaderMap;
///
/// let proxies = TrustedProxies::x_forwarded_for(["10.0.0.0/8"])?;
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.7".parse()?);
///
/// let client = proxies.client(IpAddr::from([10, 0, 0, 8]), &headers)?;
///
/// assert_eq!(client, IpAddr::from([203, 0, 113, 9]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ProxyHeader,
}

/// One header, not both: a proxy that writes one passes on what a client has written into the other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum ProxyHeader {
    #[default]
    XForwardedFor,
    Forwarded,
}

/// The text is not a network of proxies.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("network {place} of the trusted proxies is none: {rule} ({fix})")]
pub struct InvalidProxy {
    place: usize,
    rule: &'static str,
    fix: String,
}

/// A trusted proxy has said something that is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the address that a trusted proxy has forwarded cannot be read")]
pub struct UnreadableAddress;

impl TrustedProxies {
    /// No proxy is trusted.
    pub fn none() -> Self {
        Self::default()
    }

    /// Proxies in these networks, which append to `x-forwarded-for`.
    ///
    /// # Errors
    /// The first text that is not a network.
    pub fn x_forwarded_for<N: AsRef<str>>(
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, InvalidProxy> {
        Self::new(ProxyHeader::XForwardedFor, networks)
    }

    /// Proxies in these networks, which append to `forwarded` (RFC 7239).
    ///
    /// # Errors
    /// The first text that is not a network.
    pub fn forwarded<N: AsRef<str>>(networks: impl IntoIterator<Item = N>) -> Result<Self, InvalidProxy> {
        Self::new(ProxyHeader::Forwarded, networks)
    }

    fn new<N: AsRef<str>>(
        header: ProxyHeader,
        texts: impl IntoIterator<Item = N>,
    ) -> Result<Self, InvalidProxy> {
        let parse = |(index, text): (usize, N)| {
            networks::parse(text.as_ref()).map_err(|(rule, fix)| InvalidProxy { place: index + 1, rule, fix })
        };
        let networks = texts.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { networks, header })
    }

    /// The client's address, in its IPv4 form if it has one. `peer` is who the connection comes from.
    ///
    /// If everybody in the list is a trusted proxy, it is the one furthest away; without a list, the peer.
    ///
    /// # Errors
    /// A trusted proxy has forwarded something that is no address: nobody knows whose call it is.
    #[inline]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, UnreadableAddress> {
        let mut client = peer.to_canonical();
        if self.networks.is_empty() || !self.is_trusted(client) {
            return Ok(client);
        }
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ProxyHeader::XForwardedFor => (X_FORWARDED_FOR, |entry| address_of(entry)),
            ProxyHeader::Forwarded => (FORWARDED, forwarded_for),
        };
        for line in headers.get_all(name).iter().rev() {
            let line = line.to_str().map_err(|_| UnreadableAddress)?;
            for entry in line.rsplit(',') {
                client = read(entry.trim_matches([' ', '\t'])).ok_or(UnreadableAddress)?.to_canonical();
                if !self.is_trusted(client) {
                    return Ok(client);
                }
            }
        }
        Ok(client)
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address_of(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port_fits = port.is_empty() || is_port(port.strip_prefix(':')?);
        return address.parse().ok().map(IpAddr::V6).filter(|_| port_fits);
    }
    match text.split_once(':') {
        Some((address, port)) if !port.contains(':') => {
            std::net::Ipv4Addr::from_str(address).ok().map(IpAddr::V4).filter(|_| is_port(port))
        }
        _ => text.parse().ok(),
    }
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The address in one element of `forwarded`, such as `for="[2001:db8::1]:80";proto=https`. Hidden names (`_proxy`, `unknown`) and
/// everything else that is no address are none.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(value);
        }
    }
    let value = found?;
    match value.strip_prefix('"') {
        Some(rest) => address_of(rest.strip_suffix('"')?),
        // Without quotes there are no colons and no brackets, but proxies are known to forget them.
        None => address_of(value),
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED: HeaderName = http::header::FORWARDED;

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PROXIES: [&str; 2] = ["10.0.0.0/8", "2001:db8:10::/48"];

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(name.clone(), HeaderValue::from_bytes(line.as_bytes()).expect("a value"));
        }
        map
    }

    fn seen(proxies: &TrustedProxies, peer: &str, headers: &HeaderMap) -> String {
        let peer = peer.parse().expect("an address");
        proxies.client(peer, headers).map_or_else(|_| "refused".to_owned(), |client| client.to_string())
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right_over_trusted_addresses() {
        let proxies = TrustedProxies::x_forwarded_for(PROXIES).expect("networks");
        for (peer, lines, client) in [
            // Nobody trusted: the headers say nothing.
            ("203.0.113.9", &["10.0.0.1"][..], "203.0.113.9"),
            ("203.0.113.9", &["garbage"], "203.0.113.9"),
            ("::ffff:203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
            // One proxy.
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("2001:db8:10::1", &["2001:db8::9"], "2001:db8::9"),
            // Never the leftmost: it is what the client has written.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["10.0.0.5, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["garbage, 203.0.113.9"], "203.0.113.9"),
            // Several proxies.
            ("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1,203.0.113.9,10.0.0.2,10.0.0.3"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
            // Several lines are one list.
            ("10.0.0.1", &["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            // Only proxies: the furthest of them; nothing at all: the peer.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // Ports.
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::9]:4711"], "2001:db8::9"),
            ("10.0.0.1", &["[2001:db8::9]"], "2001:db8::9"),
            // What cannot be read is refused.
            ("10.0.0.1", &["garbage"], "refused"),
            ("10.0.0.1", &["203.0.113.9, garbage"], "refused"),
            ("10.0.0.1", &["203.0.113.9, garbage, 10.0.0.2"], "refused"),
            ("10.0.0.1", &["203.0.113.9,"], "refused"),
            ("10.0.0.1", &[""], "refused"),
            ("10.0.0.1", &["unknown"], "refused"),
            ("10.0.0.1", &["203.0.113.09"], "refused"),
            ("10.0.0.1", &["203.0.113"], "refused"),
            ("10.0.0.1", &["0xcb.0.113.9"], "refused"),
            ("10.0.0.1", &["203.0.113.9:"], "refused"),
            ("10.0.0.1", &["203.0.113.9:http"], "refused"),
            ("10.0.0.1", &["[203.0.113.9]"], "refused"),
            ("10.0.0.1", &["[2001:db8::9"], "refused"),
            ("10.0.0.1", &["[2001:db8::9]4711"], "refused"),
            ("10.0.0.1", &["fe80::1%eth0"], "refused"),
            ("10.0.0.1", &["\"203.0.113.9\""], "refused"),
            ("10.0.0.1", &["203.0.113.9 10.0.0.2"], "refused"),
            ("10.0.0.1", &["é"], "refused"),
        ] {
            assert_eq!(seen(&proxies, peer, &headers(X_FORWARDED_FOR, lines)), client, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_in_the_same_way() {
        let proxies = TrustedProxies::forwarded(PROXIES).expect("networks");
        for (lines, client) in [
            (&["for=203.0.113.9"][..], "203.0.113.9"),
            (&["For=203.0.113.9;proto=https;by=10.0.0.1"], "203.0.113.9"),
            (&["proto=https; for=203.0.113.9"], "203.0.113.9"),
            (&["for=\"203.0.113.9:4711\""], "203.0.113.9"),
            (&["for=\"[2001:db8::9]\""], "2001:db8::9"),
            (&["for=\"[2001:db8::9]:4711\";proto=http"], "2001:db8::9"),
            (&["for=1.1.1.1, for=203.0.113.9, for=10.0.0.2"], "203.0.113.9"),
            (&["for=1.1.1.1", "for=203.0.113.9", "for=\"[2001:db8:10::2]\""], "203.0.113.9"),
            // A quote that the client has left open does not reach what a proxy has appended.
            (&["for=\"evil, for=203.0.113.9"], "203.0.113.9"),
            (&["for=10.0.0.3"], "10.0.0.3"),
            (&[], "10.0.0.1"),
            (&["for=unknown"], "refused"),
            (&["for=_hidden"], "refused"),
            (&["for=_hidden, for=10.0.0.2"], "refused"),
            (&["by=10.0.0.1"], "refused"),
            (&["for=203.0.113.9;for=1.1.1.1"], "refused"),
            (&["for=\"203.0.113.9"], "refused"),
            (&["for=203.0.113.9\""], "refused"),
            (&["for="], "refused"),
            (&["for"], "refused"),
            (&[""], "refused"),
            (&["203.0.113.9"], "refused"),
            (&["for=203.0.113.9;"], "refused"),
        ] {
            assert_eq!(seen(&proxies, "10.0.0.1", &headers(FORWARDED, lines)), client, "{lines:?}");
        }
    }

    #[test]
    fn the_header_that_was_not_chosen_says_nothing() {
        let both = {
            let mut map = headers(X_FORWARDED_FOR, &["1.1.1.1"]);
            map.extend(headers(FORWARDED, &["for=2.2.2.2"]));
            map
        };

        let x = TrustedProxies::x_forwarded_for(PROXIES).expect("networks");
        let forwarded = TrustedProxies::forwarded(PROXIES).expect("networks");

        assert_eq!(seen(&x, "10.0.0.1", &both), "1.1.1.1");
        assert_eq!(seen(&forwarded, "10.0.0.1", &both), "2.2.2.2");
        assert_eq!(seen(&TrustedProxies::none(), "10.0.0.1", &both), "10.0.0.1");
    }

    #[test]
    fn proxies_are_named_by_whole_networks() {
        let error = TrustedProxies::x_forwarded_for(["10.0.0.0/8", "10.0.0.1/8"]).expect_err("refused");

        assert!(error.to_string().starts_with("network 2 of the trusted proxies is none"), "{error}");
    }

    proptest! {
        #[test]
        fn no_header_panics_and_the_left_end_never_counts(left in "[ -~]{0,60}") {
            let x = TrustedProxies::x_forwarded_for(PROXIES).expect("networks");
            let forwarded = TrustedProxies::forwarded(PROXIES).expect("networks");

            let alone = headers(X_FORWARDED_FOR, &[&left]);
            let _ = seen(&x, "10.0.0.1", &alone);
            let appended = headers(X_FORWARDED_FOR, &[&format!("{left}, 203.0.113.9, 10.0.0.2")]);
            prop_assert_eq!(seen(&x, "10.0.0.1", &appended), "203.0.113.9");
            let appended = headers(FORWARDED, &[&format!("{left}, for=203.0.113.9, for=10.0.0.2")]);
            prop_assert_eq!(seen(&forwarded, "10.0.0.1", &appended), "203.0.113.9");
        }
    }
}
