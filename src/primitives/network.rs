//! Networks, as people type them.

use std::net::IpAddr;

use ipnet::IpNet;

/// A network in CIDR notation, or a single address. Strictly: whether `010` is eight or ten is nobody's to guess. Host bits may be
/// set; whoever asks says what that means.
pub(crate) fn read_network(text: &str) -> Option<IpNet> {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let address: IpAddr = address.parse().ok()?;
    let is_plain =
        length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    IpNet::new(address, length.parse().ok().filter(|_| is_plain)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_as_it_is_written_or_not_at_all() {
        for (text, read) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.5/8", Some("10.0.0.5/8")),
            ("10.0.0.5", Some("10.0.0.5/32")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("2001:db8::1", Some("2001:db8::1/128")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("010.0.0.0/8", None),
            ("10.0.0.0/08", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0/8", None),
            ("/8", None),
            ("", None),
            ("10.0.0.0/8/8", None),
            (" 10.0.0.0/8", None),
        ] {
            assert_eq!(read_network(text).map(|network| network.to_string()).as_deref(), read, "{text}");
        }
    }
}
