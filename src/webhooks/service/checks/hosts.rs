//! Hosts that a login may be sent to.

use crate::error::Problem;
use crate::primitives::egress::EgressPolicy;
use crate::webhooks::model::LoginHosts;
use crate::webhooks::service::wanted::WantedHosts;

/// The hosts as URLs have them.
pub(crate) fn check_hosts(
    wanted: WantedHosts,
    egress: &EgressPolicy,
    problems: &mut Vec<Problem>,
) -> LoginHosts {
    let WantedHosts::Only(hosts) = wanted else { return LoginHosts::All };
    if hosts.len() > MAX_HOSTS {
        let rule = format!("a login names at most {MAX_HOSTS} hosts, this one names {}", hosts.len());
        problems.push(Problem::new("auth_hosts", rule, "name fewer, or give webhooks logins of their own"));
        return LoginHosts::default();
    }
    let mut checked = Vec::with_capacity(hosts.len());
    for (index, host) in hosts.iter().enumerate() {
        let field = format!("auth_hosts[{index}]");
        match egress.parse(&format!("https://{host}/")) {
            // Anything more than a host stands in the URL behind it.
            Ok(url) if url.as_str() == format!("https://{}/", url.host()) => {
                checked.push(url.host().to_owned())
            }
            Ok(_) => problems.push(Problem::new(
                field,
                "a host is a name or an address alone",
                "leave out scheme, port and path, as in `erp.example.com`",
            )),
            Err(refusal) => problems.push(refusal.problem(field)),
        }
    }
    LoginHosts::only(checked)
}

const MAX_HOSTS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(hosts: &[&str]) -> (LoginHosts, Vec<String>) {
        let mut problems = Vec::new();
        let wanted = WantedHosts::Only(hosts.iter().map(|&host| host.to_owned()).collect());
        let checked = check_hosts(wanted, &EgressPolicy::default(), &mut problems);
        (checked, problems.into_iter().map(|problem| problem.field).collect())
    }

    #[test]
    fn hosts_are_taken_as_urls_have_them() {
        let (hosts, problems) =
            checked(&["ERP.example.com", "erp.example.com", "93.184.216.34", "[2606:4700::1]"]);

        assert_eq!(
            (hosts, problems),
            (LoginHosts::only(["93.184.216.34", "[2606:4700::1]", "erp.example.com"]), vec![])
        );
    }

    #[test]
    fn what_is_more_or_less_than_a_host_is_refused() {
        for host in [
            "",
            "localhost",
            "10.0.0.1",
            "erp.example.com:8443",
            "erp.example.com/hooks",
            "erp.example.com?a",
            "erp.example.com#a",
            "ada@erp.example.com",
            "https://erp.example.com",
            "*.example.com",
            "a b.example.com",
        ] {
            assert_eq!(checked(&["erp.example.com", host]).1, ["auth_hosts[1]"], "{host}");
        }
        assert_eq!(checked(&["erp.example.com"; 101]).1, ["auth_hosts"]);
    }
}
