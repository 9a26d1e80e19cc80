//! The operator's rules, and the questions they answer.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::address::{self, AddressRefusal};
use super::name;
use super::refusal::{LookupRefusal, UrlRefusal};
use super::url::TenantUrl;

/// Says what may be called.
///
/// The default is the strict one: `https` only, port 443 and the ports from 1024 except those of well-known services,
/// public addresses only, no names of local networks. Each method that loosens it is for the operator, whose networks
/// these are; nothing that a tenant writes ever reaches them.
///
/// ```
/// use crossdock::primitives::egress::EgressPolicy;
///
/// let policy = EgressPolicy::default().allow_networks(["10.20.0.0/16".parse()?]);
///
/// assert!(policy.parse("https://10.20.1.1/hook").is_ok());
/// assert_eq!(policy.parse("https://10.21.0.1/hook").unwrap_err().reason(), "private");
/// # Ok::<(), ipnet::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EgressPolicy {
    plain_http: bool,
    all_ports: bool,
    names_only: bool,
    refuse_embedded_v4: bool,
    networks: Vec<IpNet>,
    hosts: Vec<String>,
    listeners: Vec<SocketAddr>,
}

impl EgressPolicy {
    /// Permits these networks although they are not public: for self-hosters who deliver into their own network.
    ///
    /// The exception is exact. An IPv6 address that carries an IPv4 address counts as the latter. Names of local
    /// networks stay refused, wherever they lead; see [`EgressPolicy::allow_hosts`].
    #[must_use]
    pub fn allow_networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.networks.extend(networks);
        self
    }

    /// Permits these names although they are names of a local network, such as `erp` or `*.corp.internal`.
    ///
    /// What they stand for is judged as ever, so the networks behind them have to be permitted too. `*.` stands for
    /// any name below, not for the name itself.
    ///
    /// ```
    /// use crossdock::primitives::egress::EgressPolicy;
    ///
    /// let policy = EgressPolicy::default().allow_hosts(["*.corp.internal"]);
    ///
    /// assert!(policy.parse("https://erp.corp.internal/").is_ok());
    /// assert!(policy.parse("https://erp.internal/").is_err());
    /// ```
    #[must_use]
    pub fn allow_hosts<T: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.hosts.extend(hosts.into_iter().map(|host| {
            let host = host.as_ref();
            host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
        }));
        self
    }

    /// Permits `http://`, and port 80: for tests, and for networks where nobody listens in.
    #[must_use]
    pub fn dangerous_allow_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Permits every port but 0: whoever writes URLs can then send requests to databases and mail servers.
    #[must_use]
    pub fn dangerous_allow_all_ports(mut self) -> Self {
        self.all_ports = true;
        self
    }

    /// Refuses every URL whose host is an address, public or not.
    #[must_use]
    pub fn deny_ip_literals(mut self) -> Self {
        self.names_only = true;
        self
    }

    /// Refuses every IPv6 address that carries an IPv4 address (`::ffff:0:0/96`, `64:ff9b::/96`), whatever it carries.
    ///
    /// Not the default, because a host that has IPv6 only reaches IPv4 receivers in this way.
    #[must_use]
    pub fn deny_embedded_v4(mut self) -> Self {
        self.refuse_embedded_v4 = true;
        self
    }

    /// Refuses the host's own listeners, so that nobody makes it deliver to itself in a circle.
    ///
    /// A listener at an unspecified address (`0.0.0.0:8080`) stands for that port on every loopback address; the
    /// machine's other addresses have to be listed. No network that is permitted overrides this.
    #[must_use]
    pub fn deny_own_listeners(mut self, listeners: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.listeners.extend(listeners);
        self
    }

    /// The networks that are permitted by exception: worth a line in the host's log at start-up.
    pub fn allowed_networks(&self) -> &[IpNet] {
        &self.networks
    }

    /// The names that are permitted by exception.
    pub fn allowed_hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Reads a URL that somebody else wrote.
    ///
    /// # Errors
    /// The first rule that it breaks. A URL that was stored under another policy is read again with this one.
    pub fn parse(&self, text: &str) -> Result<TenantUrl, UrlRefusal> {
        TenantUrl::parse(text, self)
    }

    /// Judges a URL that was read under another policy.
    ///
    /// # Errors
    /// The first rule of this policy that it breaks.
    pub fn check_url(&self, url: &TenantUrl) -> Result<(), UrlRefusal> {
        self.check_scheme(url.is_https())?;
        match url.address() {
            Some(address) => self.check_literal(address, url.port())?,
            None => self.check_name(url.host())?,
        }
        self.check_port(url.port())
    }

    /// Judges one address.
    ///
    /// # Errors
    /// The block it lies in, unless the operator permits it.
    pub fn check_address(&self, address: IpAddr) -> Result<(), AddressRefusal> {
        if self.refuse_embedded_v4 && address::embedded_v4(address).is_some() {
            return Err(AddressRefusal::EmbeddedV4);
        }
        if holds(&self.networks, address::effective(address)) { Ok(()) } else { address::judge(address) }
    }

    /// Judges everything that a name stands for, before any of it is dialled at this port.
    ///
    /// `destinations`, unless it is empty, narrows further: it is the webhook's own list.
    ///
    /// # Errors
    /// One forbidden address spoils the whole answer: filtering it out would leave the choice of the moment to
    /// whoever runs the name server.
    pub fn check_answers(
        &self,
        answers: &[IpAddr],
        port: u16,
        destinations: &[IpNet],
    ) -> Result<(), LookupRefusal> {
        if answers.is_empty() {
            return Err(LookupRefusal::NoAddress);
        }
        if answers.len() > MAX_ANSWERS {
            return Err(LookupRefusal::TooManyAddresses);
        }
        let mut refusals = answers.iter().filter_map(|&address| self.check_endpoint(address, port).err());
        if let Some(first) = refusals.next() {
            let all = refusals.count() + 1 == answers.len();
            return Err(if all { LookupRefusal::Forbidden(first) } else { LookupRefusal::Mixed(first) });
        }
        if answers.iter().all(|&address| is_destination(address, destinations)) {
            Ok(())
        } else {
            Err(LookupRefusal::OutsideDestinations)
        }
    }

    /// How the resolver is asked for this URL's name.
    ///
    /// With a final dot, so that no search list of the machine makes another name of it; except for names that the
    /// operator listed one by one, which may well live in a search list or in a hosts file.
    pub fn lookup_name(&self, url: &TenantUrl) -> String {
        let name = url.host();
        if self.hosts.iter().any(|host| host == name) { name.to_owned() } else { format!("{name}.") }
    }

    pub(super) fn check_scheme(&self, https: bool) -> Result<(), UrlRefusal> {
        if https || self.plain_http { Ok(()) } else { Err(UrlRefusal::Scheme) }
    }

    pub(super) fn check_name(&self, host: &str) -> Result<(), UrlRefusal> {
        name::judge(host, &self.hosts)
    }

    pub(super) fn check_literal(&self, address: IpAddr, port: u16) -> Result<(), UrlRefusal> {
        self.check_endpoint(address, port)?;
        if self.names_only { Err(UrlRefusal::IpLiteral) } else { Ok(()) }
    }

    pub(super) fn check_port(&self, port: u16) -> Result<(), UrlRefusal> {
        let web = port == 443 || (port == 80 && self.plain_http);
        let other = port >= 1024 && !SERVICE_PORTS.contains(&port);
        if web || other || (self.all_ports && port != 0) { Ok(()) } else { Err(UrlRefusal::Port) }
    }

    fn check_endpoint(&self, address: IpAddr, port: u16) -> Result<(), AddressRefusal> {
        let effective = address::effective(address);
        let own = self.listeners.iter().any(|listener| {
            let at = address::effective(listener.ip());
            let local = at.is_unspecified() && (effective.is_loopback() || effective.is_unspecified());
            listener.port() == port && (at == effective || local)
        });
        if own { Err(AddressRefusal::OwnListener) } else { self.check_address(address) }
    }
}

/// Whether the webhook's own list, unless it is empty, names this address or the one it carries.
pub fn is_destination(address: IpAddr, destinations: &[IpNet]) -> bool {
    destinations.is_empty()
        || holds(destinations, address)
        || holds(destinations, address::effective(address))
}

fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

const MAX_ANSWERS: usize = 64;

/// NFS, Docker, etcd, MySQL, RDP, PostgreSQL, AMQP, VNC, CouchDB, X11, Redis, Kubernetes, IRC, Cassandra, Kafka,
/// Elasticsearch, kubelet, memcached, RabbitMQ, MongoDB: services that take orders from whoever can reach them.
const SERVICE_PORTS: [u16; 28] = [
    2049, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5672, 5900, 5984, 6000, 6379, 6443, 6665, 6666, 6667,
    6668, 6669, 9042, 9092, 9200, 9300, 10250, 10255, 11211, 15672, 27017,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_exception_of_the_operator_reaches_no_further_than_it_says() {
        let policy = EgressPolicy::default().allow_networks(["10.20.0.0/16".parse().unwrap()]);

        assert_eq!(policy.check_address("10.20.255.255".parse().unwrap()), Ok(()));
        assert_eq!(policy.check_address("::ffff:10.20.0.1".parse().unwrap()), Ok(()));
        assert_eq!(policy.check_address("10.21.0.0".parse().unwrap()), Err(AddressRefusal::Private));
        assert_eq!(policy.parse("https://localhost/"), Err(UrlRefusal::DeniedName));
    }

    #[test]
    fn permitting_all_of_ipv6_does_not_permit_the_ipv4_addresses_written_in_it() {
        let policy = EgressPolicy::default().allow_networks(["::/0".parse().unwrap()]);

        assert_eq!(policy.check_address("fd00::1".parse().unwrap()), Ok(()));
        assert_eq!(policy.check_address("::ffff:127.0.0.1".parse().unwrap()), Err(AddressRefusal::Loopback));
    }

    #[test]
    fn one_forbidden_answer_spoils_all() {
        let policy = EgressPolicy::default();
        let check = |list: &[&str]| policy.check_answers(&addresses(list), 443, &[]);

        assert_eq!(check(&["8.8.8.8", "2606:4700::1"]), Ok(()));
        assert_eq!(check(&["8.8.8.8", "::1"]), Err(LookupRefusal::Mixed(AddressRefusal::V6Reserved)));
        assert_eq!(check(&["10.0.0.1", "10.0.0.2"]), Err(LookupRefusal::Forbidden(AddressRefusal::Private)));
        assert_eq!(check(&[]), Err(LookupRefusal::NoAddress));
        assert_eq!(check(&["8.8.8.8"; 64]), Ok(()));
        assert_eq!(check(&["8.8.8.8"; 65]), Err(LookupRefusal::TooManyAddresses));
    }

    #[test]
    fn a_webhooks_own_list_only_narrows() {
        let policy = EgressPolicy::default();
        let destinations = ["8.8.8.0/24".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let check = |list: &[&str]| policy.check_answers(&addresses(list), 443, &destinations);

        assert_eq!(check(&["8.8.8.8"]), Ok(()));
        assert_eq!(check(&["64:ff9b::8.8.8.8"]), Ok(()));
        assert_eq!(check(&["8.8.8.8", "8.8.4.4"]), Err(LookupRefusal::OutsideDestinations));
        assert_eq!(check(&["10.0.0.1"]), Err(LookupRefusal::Forbidden(AddressRefusal::Private)));
    }

    #[test]
    fn a_host_never_calls_its_own_listeners() {
        let policy = EgressPolicy::default()
            .allow_networks(["127.0.0.0/8".parse().unwrap()])
            .deny_own_listeners(["0.0.0.0:8080".parse().unwrap(), "8.8.8.8:8443".parse().unwrap()]);
        let own = Err(UrlRefusal::Address(AddressRefusal::OwnListener));

        assert_eq!(policy.parse("https://127.0.0.1:8080/"), own);
        assert_eq!(policy.parse("https://8.8.8.8:8443/"), own);
        assert_eq!(policy.parse("https://[::ffff:8.8.8.8]:8443/"), own);
        assert!(policy.parse("https://127.0.0.1:8081/").is_ok());
        assert!(policy.parse("https://8.8.8.8/").is_ok());
    }

    #[test]
    fn ports_of_well_known_services_are_refused_unless_the_operator_wants_them() {
        let strict = EgressPolicy::default();
        let http = EgressPolicy::default().dangerous_allow_http();
        let open = EgressPolicy::default().dangerous_allow_all_ports();

        for port in SERVICE_PORTS.into_iter().chain([1, 22, 25, 80, 444, 1023]) {
            assert_eq!(strict.check_port(port), Err(UrlRefusal::Port), "{port}");
            assert_eq!(open.check_port(port), Ok(()), "{port}");
        }
        for port in [443, 1024, 8080, 65535] {
            assert_eq!(strict.check_port(port), Ok(()), "{port}");
        }
        assert_eq!(http.check_port(80), Ok(()));
        assert_eq!(open.check_port(0), Err(UrlRefusal::Port));
    }

    #[test]
    fn a_url_of_a_laxer_policy_is_judged_again() {
        let lax = EgressPolicy::default().dangerous_allow_http().allow_hosts(["erp"]);
        let strict = EgressPolicy::default();

        assert_eq!(strict.check_url(&lax.parse("http://erp.example.com/").unwrap()), Err(UrlRefusal::Scheme));
        assert_eq!(strict.check_url(&lax.parse("https://erp/").unwrap()), Err(UrlRefusal::DeniedName));
        assert_eq!(
            strict.check_url(&lax.parse("https://erp.example.com:80/").unwrap()),
            Err(UrlRefusal::Port)
        );
        assert_eq!(strict.check_url(&lax.parse("https://erp.example.com/").unwrap()), Ok(()));
    }

    #[test]
    fn no_search_list_completes_a_name_unless_the_operator_listed_it() {
        let policy = EgressPolicy::default().allow_hosts(["ERP.", "*.corp.internal"]);
        let asked = |url: &str| policy.lookup_name(&policy.parse(url).unwrap());

        assert_eq!(asked("https://erp.example.com/"), "erp.example.com.");
        assert_eq!(asked("https://a.corp.internal/"), "a.corp.internal.");
        assert_eq!(asked("https://erp/"), "erp");
    }
}
