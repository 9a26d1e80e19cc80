//! Which addresses are never called, whoever asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not called.
///
/// The special-purpose registries of IANA are the source:
/// <https://www.iana.org/assignments/iana-ipv4-special-registry> and
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>. Some blocks that IANA calls globally reachable are
/// refused all the same, because no receiver of webhooks lives there.
///
/// ```
/// use crossdock::primitives::egress::{AddressRefusal, EgressPolicy};
///
/// let metadata = "169.254.169.254".parse()?;
///
/// assert_eq!(EgressPolicy::default().check_address(metadata), Err(AddressRefusal::LinkLocal));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressRefusal {
    /// `0.0.0.0/8`: on many systems it is the local host.
    #[error("an address of this very network")]
    ThisNetwork,
    /// The private networks of RFC 1918.
    #[error("an address of a private network")]
    Private,
    /// `100.64.0.0/10`, shared behind carriers, in clouds and in overlay networks.
    #[error("an address of the shared address space")]
    CarrierNat,
    /// `127.0.0.0/8`.
    #[error("a loopback address")]
    Loopback,
    /// `169.254.0.0/16`, where clouds keep their metadata services.
    #[error("a link-local address")]
    LinkLocal,
    /// `192.0.0.0/24`.
    #[error("an address reserved for protocol assignments")]
    IetfProtocol,
    /// The documentation networks of IPv4.
    #[error("an address reserved for documentation")]
    Documentation,
    /// `192.88.99.0/24`, the retired relays from IPv6 to IPv4.
    #[error("the address of a retired relay")]
    RetiredRelay,
    /// `198.18.0.0/15`.
    #[error("an address reserved for benchmarks")]
    Benchmarking,
    /// `224.0.0.0/4`.
    #[error("a multicast address")]
    Multicast,
    /// `240.0.0.0/4`.
    #[error("a reserved address")]
    Reserved,
    /// `255.255.255.255`.
    #[error("the broadcast address")]
    Broadcast,
    /// A public address that a cloud answers itself, from inside.
    #[error("an address that a cloud platform keeps for itself")]
    CloudPlatform,
    /// An IPv6 address outside `2000::/3`.
    #[error("an IPv6 address that is not publicly routed")]
    V6Reserved,
    /// An IPv6 address inside `2000::/3` that tunnels, documents or benchmarks.
    #[error("an IPv6 address for a special purpose")]
    V6Special,
    /// An IPv6 address that carries an IPv4 address, under a policy that refuses all of these.
    #[error("an IPv6 address that carries an IPv4 address")]
    EmbeddedV4,
    /// One of the host's own listeners, which the operator named.
    #[error("an address that this system itself listens at")]
    OwnListener,
}

impl AddressRefusal {
    /// The stable word for logs, listings and tests.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ThisNetwork => "this-network",
            Self::Private => "private",
            Self::CarrierNat => "cgnat",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::IetfProtocol => "ietf-protocol",
            Self::Documentation => "documentation",
            Self::RetiredRelay => "retired-relay",
            Self::Benchmarking => "benchmarking",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Broadcast => "broadcast",
            Self::CloudPlatform => "cloud-platform",
            Self::V6Reserved => "v6-reserved",
            Self::V6Special => "v6-special",
            Self::EmbeddedV4 => "embedded-v4",
            Self::OwnListener => "self",
        }
    }
}

/// The IPv4 address that the network will reach if this address is dialled: for `::ffff:0:0/96` the kernel unwraps
/// it, for `64:ff9b::/96` (RFC 6052) a translator on the way does.
pub(super) fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            let [.., a, b, c, d] = v6.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// The address that counts: the embedded one if there is one.
pub(super) fn effective(address: IpAddr) -> IpAddr {
    embedded_v4(address).map_or(address, IpAddr::V4)
}

/// Judges an address by the registries alone; the policy's exceptions come before.
pub(super) fn judge(address: IpAddr) -> Result<(), AddressRefusal> {
    let refusal = match effective(address) {
        IpAddr::V4(v4) => REFUSED_V4.iter().find(|net| net.holds(v4)).map(|net| net.refusal),
        IpAddr::V6(v6) if !within(v6, [0x2000, 0], 3) => Some(AddressRefusal::V6Reserved),
        IpAddr::V6(v6) => REFUSED_V6
            .iter()
            .any(|&(prefix, bits)| within(v6, prefix, bits))
            .then_some(AddressRefusal::V6Special),
    };
    refusal.map_or(Ok(()), Err)
}

struct RefusedV4 {
    base: Ipv4Addr,
    bits: u32,
    refusal: AddressRefusal,
}

impl RefusedV4 {
    const fn new(base: [u8; 4], bits: u32, refusal: AddressRefusal) -> Self {
        let [a, b, c, d] = base;
        Self { base: Ipv4Addr::new(a, b, c, d), bits, refusal }
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        (self.base.to_bits() ^ address.to_bits()) >> (32 - self.bits) == 0
    }
}

/// Whether the first `bits` (at most 32) of the address are those of the prefix.
fn within(address: Ipv6Addr, prefix: [u16; 2], bits: u32) -> bool {
    let [first, second, ..] = address.segments();
    let head = |[high, low]: [u16; 2]| (u32::from(high) << 16) | u32::from(low);
    (head([first, second]) ^ head(prefix)) >> (32 - bits) == 0
}

/// The first match names the reason, so the narrow ones stand before the wide ones.
const REFUSED_V4: [RefusedV4; 17] = [
    RefusedV4::new([0, 0, 0, 0], 8, AddressRefusal::ThisNetwork),
    RefusedV4::new([10, 0, 0, 0], 8, AddressRefusal::Private),
    RefusedV4::new([100, 64, 0, 0], 10, AddressRefusal::CarrierNat),
    RefusedV4::new([127, 0, 0, 0], 8, AddressRefusal::Loopback),
    RefusedV4::new([169, 254, 0, 0], 16, AddressRefusal::LinkLocal),
    RefusedV4::new([172, 16, 0, 0], 12, AddressRefusal::Private),
    RefusedV4::new([192, 0, 0, 0], 24, AddressRefusal::IetfProtocol),
    RefusedV4::new([192, 0, 2, 0], 24, AddressRefusal::Documentation),
    RefusedV4::new([192, 88, 99, 0], 24, AddressRefusal::RetiredRelay),
    RefusedV4::new([192, 168, 0, 0], 16, AddressRefusal::Private),
    RefusedV4::new([198, 18, 0, 0], 15, AddressRefusal::Benchmarking),
    RefusedV4::new([198, 51, 100, 0], 24, AddressRefusal::Documentation),
    RefusedV4::new([203, 0, 113, 0], 24, AddressRefusal::Documentation),
    RefusedV4::new([224, 0, 0, 0], 4, AddressRefusal::Multicast),
    RefusedV4::new([255, 255, 255, 255], 32, AddressRefusal::Broadcast),
    RefusedV4::new([240, 0, 0, 0], 4, AddressRefusal::Reserved),
    // Azure's metadata, DHCP and health probes: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    RefusedV4::new([168, 63, 129, 16], 32, AddressRefusal::CloudPlatform),
];

/// Inside `2000::/3`: Teredo and the other protocol assignments, documentation twice, 6to4.
const REFUSED_V6: [([u16; 2], u32); 4] =
    [([0x2001, 0], 23), ([0x2001, 0x0db8], 32), ([0x2002, 0], 16), ([0x3fff, 0], 20)];

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(address: &str) -> &'static str {
        judge(address.parse().unwrap()).map_or_else(AddressRefusal::reason, |()| "public")
    }

    #[test]
    fn every_block_ends_where_the_registry_says() {
        let table = [
            ("100.63.255.255", "public"),
            ("126.255.255.255", "public"),
            ("128.0.0.0", "public"),
            ("168.63.129.15", "public"),
            ("168.63.129.16", "cloud-platform"),
            ("168.63.129.17", "public"),
            ("172.15.255.255", "public"),
            ("192.0.0.192", "ietf-protocol"),
            ("192.88.98.255", "public"),
            ("192.88.99.1", "retired-relay"),
            ("192.88.100.0", "public"),
            ("224.0.0.0", "multicast"),
            ("255.255.255.254", "reserved"),
            ("2000::1", "public"),
            ("3ffe:ffff::1", "public"),
            ("3fff:0fff:ffff::1", "v6-special"),
            ("4000::1", "v6-reserved"),
            ("2001:db7:ffff::1", "public"),
            ("2001:db8::1", "v6-special"),
            ("2001:0:ffff::1", "v6-special"),
            ("2003::1", "public"),
        ];

        for (address, expected) in table {
            assert_eq!(reason(address), expected, "{address}");
        }
    }

    #[test]
    fn an_address_inside_an_address_is_the_one_that_counts() {
        assert_eq!(reason("::ffff:168.63.129.16"), "cloud-platform");
        assert_eq!(reason("64:ff9b::10.0.0.1"), "private");
        assert_eq!(reason("64:ff9b::8.8.8.8"), "public");
        assert_eq!(reason("64:ff9b:0:0:1::8.8.8.8"), "v6-reserved");
    }
}
