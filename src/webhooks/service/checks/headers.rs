//! Headers that every request carries, and who else writes headers.

use http::{HeaderName, HeaderValue, header};

use crate::error::Problem;
use crate::primitives::header::TenantHeader;
use crate::webhooks::service::credentials::in_plain_sight;
use crate::webhooks::sign::SignatureScheme;

pub(super) fn check(
    headers: &[(String, String)],
    schemes: &[SignatureScheme],
    problems: &mut Vec<Problem>,
) -> Vec<(HeaderName, HeaderValue)> {
    if headers.len() > MAX_HEADERS {
        let rule = format!("a webhook sends at most {MAX_HEADERS} headers, this one {}", headers.len());
        problems.push(Problem::new("headers", rule, "send fewer; what varies belongs into the payload"));
        return Vec::new();
    }
    let signatures = occupied_by_schemes(schemes);
    let mut taken: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(headers.len());
    for (index, (name, value)) in headers.iter().enumerate() {
        let field = format!("headers[{index}]");
        let header = match TenantHeader::parse(name, value) {
            Ok(header) => header,
            Err(refusal) => {
                problems.push(refusal.problem(field));
                continue;
            }
        };
        let (name, value) = header.into_parts();
        if name == header::AUTHORIZATION || name == header::COOKIE {
            let rule =
                format!("the header `{name}` holds a credential, and these headers can be read by many");
            problems.push(Problem::new(field, rule, "set it as the webhook's `auth`"));
        } else if signatures.contains(&name) {
            problems.push(clash(&field, &name, "a signature"));
        } else if taken.iter().any(|(earlier, _)| *earlier == name) {
            let rule = format!("the header `{name}` is sent once");
            problems.push(Problem::new(field, rule, "remove the second one"));
        } else {
            taken.push((name, in_plain_sight(&value)));
        }
    }
    taken
}

/// The headers that signatures are written into.
pub(crate) fn occupied_by_schemes(schemes: &[SignatureScheme]) -> Vec<HeaderName> {
    schemes.iter().flat_map(SignatureScheme::header_names).collect()
}

/// Two parts of one request would write the same header.
pub(crate) fn clash(field: &str, name: &HeaderName, other: &str) -> Problem {
    Problem::new(
        field,
        format!("the header `{name}` is already written by {other}"),
        "give each a header of its own",
    )
}

const MAX_HEADERS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(headers: &[(&str, &str)]) -> Vec<String> {
        let own = SignatureScheme::hmac_hex("x-acme-signature").expect("a scheme");
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let mut problems = Vec::new();
        check(&headers, &[SignatureScheme::Standard, own], &mut problems);
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn each_header_is_refused_by_its_place() {
        assert!(fields(&[("x-team", "logistics"), ("X-Region", "süd")]).is_empty());
        assert_eq!(
            fields(&[
                ("x-team", "logistics"),
                ("host", "internal"),
                ("x team", "a"),
                ("x-a", "a\r\nx-b: b"),
                ("X-Team", "sales"),
                ("Authorization", "Bearer abc"),
                ("cookie", "a=b"),
                ("X-Acme-Signature", "abc"),
                ("webhook-signature", "v1,"),
                ("content-length", "0"),
            ]),
            (1..10).map(|index| format!("headers[{index}]")).collect::<Vec<_>>()
        );
        assert_eq!(fields(&[("x-team", "a"); 51]), ["headers"]);
    }

    #[test]
    fn a_plain_header_is_not_hidden_in_the_log() {
        let headers = [("x-team".to_owned(), "logistics".to_owned())];

        let taken = check(&headers, &[], &mut Vec::new());

        assert!(!taken[0].1.is_sensitive());
    }
}
