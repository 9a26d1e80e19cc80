//! A URL that has been judged, ready for any number of requests.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use url::{Host, Position, Url};

use super::name;
use super::policy::EgressPolicy;
use super::refusal::UrlRefusal;

/// A URL that a tenant wrote and that a policy has judged; made by [`EgressPolicy::parse`], and by stores from what they have
/// kept.
///
/// Its text is normal: reading it again gives the same URL, or the refusal of a policy that has changed since. What a
/// request needs is computed once. Cloning costs nothing worth mentioning.
///
/// ```
/// use crossdock::primitives::egress::EgressPolicy;
///
/// let url = EgressPolicy::default().parse("HTTPS://Erp.Example.COM.:443/a/../b c".replace(' ', "%20").as_str())?;
///
/// assert_eq!(url.as_str(), "https://erp.example.com/b%20c");
/// assert_eq!((url.host(), url.port(), url.is_https()), ("erp.example.com", 443, true));
/// assert_eq!(url.host_header(), "erp.example.com");
/// assert_eq!(url.request_target(), "/b%20c");
/// # Ok::<(), crossdock::primitives::egress::UrlRefusal>(())
/// ```
#[derive(Clone)]
pub struct TenantUrl(Arc<Parts>);

struct Parts {
    text: String,
    host: String,
    origin: String,
    address: Option<IpAddr>,
    port: u16,
    https: bool,
    host_header: HeaderValue,
    request_target: Uri,
}

impl TenantUrl {
    /// The URL that a store has kept: read, and judged by its form alone.
    ///
    /// A store gives back what it was given, also if the operator's policy has become stricter since. The policy judges
    /// the URL again whenever it is called, and when its webhook is changed. Never read with this what somebody has
    /// typed.
    ///
    /// ```
    /// use crossdock::primitives::egress::{EgressPolicy, TenantUrl};
    ///
    /// let url = TenantUrl::from_kept("http://erp.corp.internal:8080/hooks")?;
    ///
    /// assert_eq!(url.host(), "erp.corp.internal");
    /// assert!(EgressPolicy::default().check_url(&url).is_err());
    /// assert!(TenantUrl::from_kept("erp.corp.internal").is_err());
    /// # Ok::<(), crossdock::primitives::egress::UrlRefusal>(())
    /// ```
    ///
    /// # Errors
    /// The first rule about the form of URLs that it breaks.
    pub fn from_kept(text: &str) -> Result<Self, UrlRefusal> {
        Self::read(text, None)
    }

    pub(super) fn parse(text: &str, policy: &EgressPolicy) -> Result<Self, UrlRefusal> {
        Self::read(text, Some(policy))
    }

    /// Without a policy, only the form counts.
    fn read(text: &str, policy: Option<&EgressPolicy>) -> Result<Self, UrlRefusal> {
        if text.len() > MAX_BYTES {
            return Err(UrlRefusal::TooLong);
        }
        // The URL parser would silently drop tabs and line ends and turn backslashes round.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(UrlRefusal::BadCharacter);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlRefusal::Scheme)?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlRefusal::Scheme);
        }
        policy.map_or(Ok(()), |policy| policy.check_scheme(https))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlRefusal::UserInfo);
        }
        if rest.contains('#') {
            return Err(UrlRefusal::Fragment);
        }
        // The URL parser skips any number of slashes before the host.
        if authority.is_empty() {
            return Err(UrlRefusal::InvalidHost);
        }
        let url = Url::parse(text).map_err(|_| UrlRefusal::InvalidHost)?;
        let port = url.port_or_known_default().ok_or(UrlRefusal::InvalidHost)?;
        let (url, address) = judge_host(url, written_host(authority), port, policy)?;
        match policy {
            Some(policy) => policy.check_port(port)?,
            None if port == 0 => return Err(UrlRefusal::Port),
            None => {}
        }
        if url.as_str().len() > MAX_BYTES {
            return Err(UrlRefusal::TooLong);
        }
        Self::assemble(url, address, port, https)
    }

    fn assemble(url: Url, address: Option<IpAddr>, port: u16, https: bool) -> Result<Self, UrlRefusal> {
        let host = url.host_str().ok_or(UrlRefusal::InvalidHost)?.to_owned();
        let host_header = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])
            .map_err(|_| UrlRefusal::InvalidHost)?;
        let request_target = url[Position::BeforePath..Position::AfterQuery]
            .parse::<PathAndQuery>()
            .map_err(|_| UrlRefusal::BadCharacter)?
            .into();
        let origin = format!("{}://{host}:{port}", url.scheme());
        let text = url.into();
        Ok(Self(Arc::new(Parts { text, host, origin, address, port, https, host_header, request_target })))
    }

    /// The normal text, which is what a store keeps.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The name without a final dot, or the address; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// The port, also where it is the scheme's own.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Whether it is `https`; otherwise it is `http`.
    pub fn is_https(&self) -> bool {
        self.0.https
    }

    /// Scheme, host and port: what requests over one connection have in common.
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// The value of the `host` header.
    pub fn host_header(&self) -> &HeaderValue {
        &self.0.host_header
    }

    /// Path and query: what the request line holds.
    pub fn request_target(&self) -> &Uri {
        &self.0.request_target
    }
}

impl PartialEq for TenantUrl {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for TenantUrl {}

impl Hash for TenantUrl {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl fmt::Display for TenantUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for TenantUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.text, f)
    }
}

/// Judges the host as the parser understood it, then whether that is what was written.
fn judge_host(
    mut url: Url,
    written: &str,
    port: u16,
    policy: Option<&EgressPolicy>,
) -> Result<(Url, Option<IpAddr>), UrlRefusal> {
    let address = match url.host().ok_or(UrlRefusal::InvalidHost)? {
        Host::Ipv4(v4) => IpAddr::V4(v4),
        Host::Ipv6(v6) => IpAddr::V6(v6),
        Host::Domain(domain) => {
            let name = domain.strip_suffix('.').unwrap_or(domain).to_owned();
            match policy {
                Some(policy) => policy.check_name(&name)?,
                None => name::check_form(&name)?,
            }
            // Whoever reads the text must see the name that is looked up: no soft hyphens, no percent signs.
            let written = written.strip_suffix('.').unwrap_or(written);
            if !written.eq_ignore_ascii_case(&name) {
                return Err(UrlRefusal::BadCharacter);
            }
            url.set_host(Some(&name)).map_err(|_| UrlRefusal::InvalidHost)?;
            return Ok((url, None));
        }
    };
    policy.map_or(Ok(()), |policy| policy.check_literal(address, port))?;
    if written.is_ascii() && !written.contains('%') {
        Ok((url, Some(address)))
    } else {
        Err(UrlRefusal::BadCharacter)
    }
}

/// The host between scheme and port, before anything decoded it.
fn written_host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

const MAX_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(text: &str) -> &'static str {
        EgressPolicy::default().parse(text).map_or_else(UrlRefusal::reason, |_| "allow")
    }

    #[test]
    fn what_the_parser_would_repair_is_refused() {
        let table = [
            ("https:8.8.8.8/", "scheme"),
            ("https:/8.8.8.8/", "scheme"),
            ("https:///8.8.8.8/", "invalid-host"),
            ("https://\\8.8.8.8/", "bad-char"),
            (" https://8.8.8.8/", "bad-char"),
            ("https://8.8.8.8/\u{2028}", "bad-char"),
            ("https://@8.8.8.8/", "userinfo"),
            ("https://:@8.8.8.8/", "userinfo"),
            ("https://8.8.8.8/#", "fragment"),
            ("https://8.8.8.8/%23@127.0.0.1", "allow"),
            ("https://ex%61mple.com/", "bad-char"),
            ("https://ｅxample.com/", "bad-char"),
            ("https://bücher.example/", "bad-char"),
            ("https://xn--bcher-kva.example/", "allow"),
            ("https://localhost./", "denied-name"),
            ("https://ⓛocalhost/", "denied-name"),
            ("https://example.com./", "allow"),
            ("https://example.com../", "invalid-name"),
            ("https://exa_mple.com:443/", "allow"),
            ("https://exa+mple.com/", "invalid-name"),
            ("https://1.2.3.4.5/", "invalid-host"),
            ("https://example.0x1/", "invalid-host"),
            ("https://8.8.8.8:/", "allow"),
            ("https://8.8.8.8:+443/", "invalid-host"),
            ("https://[::ffff:8.8.8.8%25lo]/", "invalid-host"),
            ("", "scheme"),
            ("://", "scheme"),
            ("https://", "invalid-host"),
            ("https://?", "invalid-host"),
        ];

        for (text, expected) in table {
            assert_eq!(reason(text), expected, "{text}");
        }
    }

    #[test]
    fn a_url_that_grows_beyond_the_limit_when_encoded_is_refused() {
        let fits = format!("https://example.com/{}", "ü".repeat(300));
        let grows = format!("https://example.com/{}", "ü".repeat(900));

        assert_eq!(reason(&fits), "allow");
        assert_eq!(reason(&grows), "too-long");
    }

    #[test]
    fn what_a_request_needs_is_ready() {
        let url = EgressPolicy::default().parse("https://[2606:4700::1]:8443?q=\"x\"").unwrap();

        assert_eq!(url.host(), "[2606:4700::1]");
        assert_eq!(url.address(), Some("2606:4700::1".parse().unwrap()));
        assert_eq!(url.host_header(), "[2606:4700::1]:8443");
        assert_eq!(url.request_target(), "/?q=%22x%22");
        assert_eq!(url.origin(), "https://[2606:4700::1]:8443");
    }

    #[test]
    fn what_a_store_has_kept_is_judged_by_its_form_alone() {
        for text in [
            "http://localhost/",
            "https://127.0.0.1:22/",
            "https://[::1]:6379/?a=b",
            "https://erp/",
            "http://erp.corp.internal:80/",
        ] {
            let lax = EgressPolicy::default()
                .dangerous_allow_http()
                .dangerous_allow_all_ports()
                .allow_hosts(["erp", "localhost", "*.corp.internal"])
                .allow_networks(["127.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()]);

            assert_eq!(TenantUrl::from_kept(text), lax.parse(text), "{text}");
            assert!(EgressPolicy::default().parse(text).is_err(), "{text}");
        }
        for (text, refusal) in [
            ("", UrlRefusal::Scheme),
            ("ftp://erp.example.com/", UrlRefusal::Scheme),
            ("https://a@erp.example.com/", UrlRefusal::UserInfo),
            ("https://erp.example.com/#a", UrlRefusal::Fragment),
            ("https://erp.example.com:0/", UrlRefusal::Port),
            ("https://erp example.com/", UrlRefusal::BadCharacter),
            ("https://-erp.example.com/", UrlRefusal::InvalidName),
        ] {
            assert_eq!(TenantUrl::from_kept(text), Err(refusal), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_text_is_read_back_as_itself(
            front in "(https|http|HTTPS)://",
            host in "[a-z0-9.\\-_%\\[\\]:]{1,30}",
            tail in "\\PC{0,60}",
        ) {
            let policy = EgressPolicy::default().dangerous_allow_http();
            if let Ok(url) = policy.parse(&format!("{front}{host}/{tail}")) {
                prop_assert_eq!(policy.parse(url.as_str()), Ok(url.clone()));
                prop_assert_eq!(TenantUrl::from_kept(url.as_str()), Ok(url.clone()));
                prop_assert_eq!(policy.check_url(&url), Ok(()));
                prop_assert!(url.as_str().is_ascii());
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = EgressPolicy::default().parse(&text);
            let _ = TenantUrl::from_kept(&text);
            let _ = EgressPolicy::default().parse(&format!("https://{text}"));
        }
    }
}
