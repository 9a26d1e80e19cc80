//! Why a URL, or what a name stands for, is refused, and what to do about it.

use super::address::AddressRefusal;
use crate::error::Problem;

/// Why a URL is not taken.
///
/// ```
/// use crossdock::primitives::egress::{EgressPolicy, UrlRefusal};
///
/// let refusal = EgressPolicy::default().parse("http://erp.example.com/").unwrap_err();
///
/// assert_eq!(refusal, UrlRefusal::Scheme);
/// assert_eq!(refusal.reason(), "scheme");
/// assert_eq!(refusal.problem("url").fix, "start it with https://");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlRefusal {
    /// More than 2048 bytes, as written or once normalised.
    #[error("a URL has at most 2048 bytes")]
    TooLong,
    /// A control character, white space or a backslash; or a host that is not spelled as it is looked up.
    #[error("a URL has no spaces, control characters or backslashes, and its host is plain ASCII")]
    BadCharacter,
    /// Not `https://`, or `http://` where the policy permits it.
    #[error("the scheme of a URL is https")]
    Scheme,
    /// There is no host, or what stands there is neither a name nor an address with a port.
    #[error("a URL names a valid host, and a port up to 65535 if any")]
    InvalidHost,
    /// User name or password before the host.
    #[error("a URL holds no user name and no password")]
    UserInfo,
    /// Something after `#`.
    #[error("a URL has no fragment")]
    Fragment,
    /// A port at which other services than web servers listen.
    #[error("this port is not called")]
    Port,
    /// The name cannot exist.
    #[error("a host name has labels of 1 to 63 letters, digits and hyphens, 253 characters in all")]
    InvalidName,
    /// The name belongs to a local network.
    #[error("names of local networks are not called")]
    DeniedName,
    /// An address where the policy demands names.
    #[error("a URL names its host, not an address")]
    IpLiteral,
    /// The host is an address, and one that is not called.
    #[error("the host is {0}")]
    Address(AddressRefusal),
}

/// Why what a name stands for is not dialled.
///
/// ```
/// use crossdock::primitives::egress::{EgressPolicy, LookupRefusal};
///
/// let answers = ["93.184.216.34".parse()?, "10.0.0.1".parse()?];
///
/// let refusal = EgressPolicy::default().check_answers(&answers, 443, &[]).unwrap_err();
///
/// assert_eq!(refusal.reason(), "mixed");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupRefusal {
    /// The name stands for nothing.
    #[error("the name has no address")]
    NoAddress,
    /// More than 64 answers.
    #[error("the name has more than 64 addresses")]
    TooManyAddresses,
    /// Every address is forbidden; the first one's reason.
    #[error("the name stands for {0}")]
    Forbidden(AddressRefusal),
    /// Some addresses are forbidden, which spoils the others; the first one's reason.
    #[error("one address of the name is {0}")]
    Mixed(AddressRefusal),
    /// An address lies outside the webhook's own list of destinations.
    #[error("an address of the name is not in the list of destinations")]
    OutsideDestinations,
}

impl UrlRefusal {
    /// The stable word for logs, listings and tests.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::BadCharacter => "bad-char",
            Self::Scheme => "scheme",
            Self::InvalidHost => "invalid-host",
            Self::UserInfo => "userinfo",
            Self::Fragment => "fragment",
            Self::Port => "port",
            Self::InvalidName => "invalid-name",
            Self::DeniedName => "denied-name",
            Self::IpLiteral => "ip-literal",
            Self::Address(refusal) => refusal.reason(),
        }
    }

    /// The refusal as the tenant reads it, for the field that held the URL.
    pub fn problem(self, field: impl Into<String>) -> Problem {
        Problem::new(field, self.to_string(), self.fix())
    }

    const fn fix(self) -> &'static str {
        match self {
            Self::TooLong => "shorten it, for example by moving data from the query to the receiver",
            Self::BadCharacter => {
                "percent-encode what is special in path and query, and write an international name in its xn-- form"
            }
            Self::Scheme => "start it with https://",
            Self::InvalidHost => "write it as https://host/path or https://host:port/path",
            Self::UserInfo => {
                "remove everything up to the @ and set the login as the webhook's authentication"
            }
            Self::Fragment => "remove the # and what follows",
            Self::Port => {
                "use 443, or a port from 1024 at which no database or system service usually listens"
            }
            Self::InvalidName => "check the spelling of the host name",
            Self::DeniedName | Self::Address(_) => {
                "use a host that can be reached from the internet, or ask the operator for an exception"
            }
            Self::IpLiteral => "use the host's name",
        }
    }
}

impl LookupRefusal {
    /// The stable word for logs, listings and tests.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoAddress => "no-address",
            Self::TooManyAddresses => "too-many-addresses",
            Self::Forbidden(refusal) => refusal.reason(),
            Self::Mixed(_) => "mixed",
            Self::OutsideDestinations => "destinations",
        }
    }

    /// The refusal for whoever set the field; it names no address.
    pub fn problem(self, field: impl Into<String>) -> Problem {
        let (rule, fix) = match self {
            Self::NoAddress => ("the host name has an address", "check the name, and its records"),
            Self::TooManyAddresses => {
                ("a host name has at most 64 addresses", "use a name with fewer records")
            }
            Self::Forbidden(_) | Self::Mixed(_) => (
                "every address of the host name is public",
                "use a host that can be reached from the internet, or ask the operator for an exception",
            ),
            Self::OutsideDestinations => (
                "every address of the host name is in the webhook's list of destinations",
                "add the missing networks to the list",
            ),
        };
        Problem::new(field, rule, fix)
    }
}

impl From<AddressRefusal> for UrlRefusal {
    fn from(refusal: AddressRefusal) -> Self {
        Self::Address(refusal)
    }
}
