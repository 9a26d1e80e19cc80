//! The stored form of a webhook, at work.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, Utc};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::*;
use crate::events::envelope::{
    CloudEventsFormat, FlatFormat, PayloadFormat, StandardFormat, TimeFormat, Zone,
};
use crate::primitives::egress::EgressPolicy;
use crate::primitives::stored::proof::{
    any_damage, any_label, any_length, any_time, broken_field, comes_back, holds_out,
};
use crate::webhooks::retry::RetryPolicy;
use crate::webhooks::sign::{Encoding, HmacScheme, KeyUse, SignatureList, SignatureScheme};
use crate::webhooks::stored::auth::tests::{any_auth, any_name, any_seal};
use crate::webhooks::stored::retry::tests::any_retry;

type Told = std::result::Result<(), Box<dyn std::error::Error>>;

fn any_format() -> impl Strategy<Value = PayloadFormat> {
    let zone = prop_oneof![
        Just(Zone::Utc),
        Just(Zone::Unwritten),
        (-86_399..=86_399_i32)
            .prop_map(|seconds| Zone::Offset(FixedOffset::east_opt(seconds).expect("an offset"))),
    ];
    let time =
        (option::of(select(vec!["%Y-%m-%d \"%H\"", "%s", "%d.%m.%Y"])), zone).prop_map(|(pattern, zone)| {
            pattern.map_or_else(
                || TimeFormat::iso(zone),
                |pattern| TimeFormat::strftime(pattern, zone).expect("a pattern"),
            )
        });
    let name = "[a-z !#%&']{1,20}";
    prop_oneof![
        name.prop_map(|name| StandardFormat::new()
            .with_type_field(&format!("x{name}"))
            .expect("a name")
            .into()),
        ("/[a-z]{0,9}", "[a-z.]{0,9}", any::<bool>()).prop_map(|(source, prefix, binary)| {
            let format = if binary {
                CloudEventsFormat::binary(&source)
            } else {
                CloudEventsFormat::structured(&source)
            };
            format.and_then(|format| format.with_type_prefix(&prefix)).expect("a format").into()
        }),
        (name, time).prop_map(|(name, time)| {
            let fields = ["i", "t", "e"].map(|first| format!("{first}{name}"));
            let format = FlatFormat::new().with_fields(&fields[0], &fields[1], &fields[2]);
            format.expect("three names").with_time(time).into()
        }),
        any::<String>().prop_map(|name| PayloadFormat::from(&*name)),
    ]
}

fn any_scheme() -> impl Strategy<Value = SignatureScheme> {
    let list = prop_oneof![
        Just(SignatureList::stripe()),
        Just(SignatureList::new("ts", "h1", ';').expect("a list"))
    ];
    let template = select(vec!["{body}", "{timestamp}.{body}", "POST\n{url}\n{id}\"{body}"]);
    let encoding = select(vec![Encoding::Hex, Encoding::Base64]);
    let key_use = select(vec![KeyUse::Verbatim, KeyUse::Decoded]);
    prop_oneof![
        Just(SignatureScheme::Standard),
        Just(SignatureScheme::StandardEd25519),
        Just(SignatureScheme::github()),
        (
            "x-[a-z]{1,9}",
            template,
            encoding,
            key_use,
            "[!-~]{0,9}",
            option::of(list),
            option::of("x-[a-z]{1,9}")
        )
            .prop_map(|(header, template, encoding, key_use, prefix, list, timestamp)| {
                let mut scheme = HmacScheme::new(&header)
                    .and_then(|scheme| scheme.with_prefix(&prefix))
                    .expect("a scheme")
                    .with_template(template.parse().expect("a template"))
                    .with_encoding(encoding)
                    .with_key_use(key_use);
                if let Some(list) = list {
                    scheme = scheme.with_list(list);
                }
                if let Some(header) = timestamp {
                    scheme = scheme.with_timestamp_header(&header).expect("a header");
                }
                SignatureScheme::Hmac(scheme)
            }),
    ]
}

fn any_url() -> impl Strategy<Value = TenantUrl> {
    let policy = EgressPolicy::default()
        .dangerous_allow_http()
        .dangerous_allow_all_ports()
        .allow_hosts(["erp", "localhost"])
        .allow_networks(["0.0.0.0/0", "::/0"].map(|all| all.parse().expect("a network")));
    let host =
        select(vec!["erp", "localhost", "erp.example.com.", "127.0.0.1", "0x7f.1", "[::1]", "8.8.8.8"]);
    ("https?", host, 1..=u16::MAX, "(/[^\\s\\p{C}#\\\\]{0,30})?").prop_map(
        move |(scheme, host, port, path)| {
            policy.parse(&format!("{scheme}://{host}:{port}{path}")).expect("a URL")
        },
    )
}

fn any_header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let value = prop_oneof![
        "[ -~]{0,20}".prop_map(String::into_bytes),
        vec(select((0x80_u8..=0xff).collect::<Vec<_>>()), 0..9),
    ];
    (any_name(), value, any::<bool>()).prop_map(|(name, value, sensitive)| {
        let mut value = HeaderValue::from_bytes(&value).expect("a header's value");
        value.set_sensitive(sensitive);
        (name, value)
    })
}

fn any_state() -> impl Strategy<Value = WebhookState> {
    use DisableReason::{Asked, ByPerson, Gone, TooManyFailures};
    prop_oneof![
        Just(WebhookState::Active),
        Just(WebhookState::Paused),
        (select(vec![ByPerson, Gone, Asked, TooManyFailures]), any_time())
            .prop_map(|(reason, at)| WebhookState::Disabled { reason, at }),
    ]
}

fn any_ordering() -> impl Strategy<Value = Ordering> {
    let ordered = |by, on_exhausted| Ordering::Ordered { by, on_exhausted };
    select(vec![
        Ordering::Unordered,
        ordered(Ordered::All, LaneStop::Stop),
        ordered(Ordered::ByKey, LaneStop::Skip),
    ])
}

fn any_rate() -> impl Strategy<Value = RateLimit> {
    (0.0011..=100_000.0_f64, 1..=100_000_u32).prop_map(|(rate, burst)| {
        RateLimit::per_second(rate).and_then(|limit| limit.with_burst(burst)).expect("a rate")
    })
}

fn any_webhook() -> impl Strategy<Value = Webhook> {
    let network = prop_oneof![
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(address, bits)| IpNet::new(address.into(), bits)),
        (any::<[u16; 8]>(), 0..=128_u8).prop_map(|(address, bits)| IpNet::new(address.into(), bits)),
    ]
    .prop_map(|network| network.expect("a network"));
    let secret = (any_seal(), any_time(), option::of(any_time()))
        .prop_map(|(sealed, created_at, expires_at)| StoredSecret { sealed, created_at, expires_at });
    let who = (any::<(u128, u64)>(), "[^\\pC]{1,32}", any::<String>(), any_url(), option::of(any_label()));
    let pattern = select(vec!["*", "order.*", "Order.placed_1"]);
    let what = (
        vec(pattern, 0..4),
        vec(any_label(), 0..3),
        vec(any_label(), 0..3),
        (any_format(), option::of(any_label())),
    );
    let how = (vec(any_scheme(), 0..3), vec(secret, 0..3), option::of(any_auth()), vec(any_header(), 0..3));
    let when =
        (option::of(any_retry()), option::of(any_length()), option::of(any_rate()), option::of(any::<u32>()));
    let rest = (
        any_ordering(),
        vec(network, 0..3),
        btree_map(any::<String>(), any::<String>(), 0..3),
        any_state(),
        any_time(),
        any_time(),
    );
    (who, what, how, when, rest).prop_map(|(who, what, how, when, rest)| {
        let ((id, version), tenant, name, url, owner) = who;
        let (events, channels, entitlements, (format, mapping)) = what;
        let (schemes, secrets, auth, headers) = how;
        let (retry, timeout, rate_limit, max_in_flight) = when;
        let (ordering, destinations, metadata, state, created_at, updated_at) = rest;
        Webhook {
            id: WebhookId::from_uuid(Uuid::from_u128(id)),
            tenant: tenant.parse().expect("a tenant"),
            version: Version::new(version),
            name,
            url,
            owner,
            events: events.iter().map(|pattern| pattern.parse().expect("a pattern")).collect(),
            channels,
            entitlements: entitlements.into_iter().map(Entitlement::from).collect(),
            format,
            mapping,
            schemes,
            secrets,
            auth,
            headers,
            retry,
            timeout,
            rate_limit,
            max_in_flight,
            ordering,
            destinations: destinations.into(),
            metadata,
            state,
            created_at,
            updated_at,
        }
    })
}

fn full() -> Webhook {
    let now: DateTime<Utc> = DateTime::from_timestamp_nanos(1_767_225_600_000_001_000);
    let url = TenantUrl::from_kept("https://erp.example.com/hooks?a=1").expect("a URL");
    let pattern = |text: &str| text.parse().expect("a pattern");
    let tenant = "org_42".parse().expect("a tenant");
    let mut webhook = Webhook::new(
        WebhookId::mint(now, [7; 10]),
        tenant,
        url,
        vec![pattern("order.*"), pattern("stock.counted")],
        now,
    );
    let mut secret = StoredSecret::new(Sealed::new(vec![1, 2, 3]), now);
    secret.expires_at = Some(now + Duration::from_secs(60));
    let scheme =
        HmacScheme::new("x-acme-signature").and_then(|scheme| scheme.with_prefix("v0=")).expect("a scheme");
    let mut hidden = HeaderValue::from_static("\u{7d}");
    hidden.set_sensitive(true);
    webhook.version = Version::new(4);
    webhook.name = "ERP".to_owned();
    webhook.owner = Some("merchant_9".into());
    webhook.channels = vec!["eu".into()];
    webhook.entitlements = ["edi"].map(Entitlement::from).into();
    webhook.format = StandardFormat::new().with_type_field("kind").expect("a name").into();
    webhook.schemes = vec![
        SignatureScheme::Standard,
        SignatureScheme::StandardEd25519,
        SignatureScheme::stripe("x-signature").expect("a header"),
        SignatureScheme::Hmac(
            scheme
                .with_template("v0:{timestamp}:{body}".parse().expect("a template"))
                .with_timestamp_header("x-acme-time")
                .expect("a header"),
        ),
    ];
    webhook.secrets = vec![StoredSecret::new(Sealed::new(vec![0xff; 4]), now), secret];
    webhook.auth =
        Some(StoredAuth::Basic { username: "ada".to_owned(), password: Some(Sealed::new(vec![9; 3])) });
    webhook.headers = vec![
        (HeaderName::from_static("x-team"), HeaderValue::from_static("logistics")),
        (HeaderName::from_static("x-hidden"), hidden),
    ];
    webhook.retry =
        Some(RetryPolicy::exponential(Duration::from_secs(1), Duration::from_secs(60), 7).expect("a policy"));
    webhook.timeout = Some(Duration::from_secs(9));
    webhook.rate_limit =
        Some(RateLimit::per_second(0.5).and_then(|limit| limit.with_burst(2)).expect("a rate"));
    webhook.max_in_flight = Some(3);
    webhook.ordering = Ordering::Ordered { by: Ordered::ByKey, on_exhausted: LaneStop::Skip };
    webhook.destinations =
        ["198.51.100.0/24", "2001:db8::/32"].map(|network| network.parse().expect("a network")).into();
    webhook.metadata = [("shop".to_owned(), "7".to_owned())].into();
    webhook.state = WebhookState::Disabled { reason: DisableReason::Gone, at: now };
    webhook.updated_at = now + Duration::from_nanos(1);
    webhook
}

proptest! {
    #[test]
    fn every_webhook_comes_back(webhook in any_webhook()) {
        comes_back(&webhook)?;
        let back = Webhook::from_stored(&webhook.to_stored()?)?;
        let hidden = |webhook: &Webhook| webhook.headers.iter().map(|(_, value)| value.is_sensitive()).collect::<Vec<_>>();
        prop_assert_eq!(hidden(&back), hidden(&webhook));
    }

    #[test]
    fn any_text_is_a_webhook_or_an_error(webhook in any_webhook(), damage in any_damage()) {
        holds_out::<Webhook>(&damage.to(&webhook.to_stored()?))?;
    }

    #[test]
    fn a_damaged_full_webhook_is_a_webhook_or_an_error(damage in any_damage()) {
        holds_out::<Webhook>(&damage.to(FIRST_FULL))?;
    }
}

#[test]
fn a_webhook_is_written_like_this() -> Told {
    insta::assert_snapshot!(full().to_stored()?, @r#"{"v":1,"id":"wh_01kdvdna00ew3re1r70w3ge1r7","tenant":"org_42","version":4,"name":"ERP","url":"https://erp.example.com/hooks?a=1","owner":"merchant_9","events":["order.*","stock.counted"],"channels":["eu"],"entitlements":["edi"],"format":{"standard":{"type_field":"kind"}},"schemes":["standard","standard_ed25519",{"hmac":{"header":"x-signature","template":"{timestamp}.{body}","encoding":"hex","key_use":"verbatim","list":{"timestamp":"t","signature":"v1","separator":","}}},{"hmac":{"header":"x-acme-signature","template":"v0:{timestamp}:{body}","encoding":"hex","key_use":"verbatim","prefix":"v0=","timestamp_header":"x-acme-time"}}],"secrets":[{"sealed":"/////w==","created_at":"2026-01-01T00:00:00.000001Z"},{"sealed":"AQID","created_at":"2026-01-01T00:00:00.000001Z","expires_at":"2026-01-01T00:01:00.000001Z"}],"auth":{"basic":{"username":"ada","password":"CQkJ"}},"headers":[{"name":"x-team","value":"logistics"},{"name":"x-hidden","value":"}","sensitive":true}],"retry":{"exponential":{"first":1000000000,"cap":60000000000,"retries":7}},"timeout":9000000000,"rate_limit":{"per_second":0.5,"burst":2},"max_in_flight":3,"ordering":{"by":"by_key","on_exhausted":"skip"},"destinations":["198.51.100.0/24","2001:db8::/32"],"metadata":{"shop":"7"},"state":{"disabled":{"reason":"gone","at":"2026-01-01T00:00:00.000001Z"}},"created_at":"2026-01-01T00:00:00.000001Z","updated_at":"2026-01-01T00:00:00.000001001Z"}"#);
    Ok(())
}

#[test]
fn a_mapping_is_kept_as_it_was_typed() -> Told {
    let document = "{ \"const\": 12345678901234567890.10 }";
    let mut webhook = Webhook::from_stored(FIRST_PLAIN)?;
    assert_eq!(webhook.mapping, None);

    webhook.mapping = Some(document.into());
    let text = webhook.to_stored()?;

    let kept = r#""mapping":"{ \"const\": 12345678901234567890.10 }""#;
    assert!(text.contains(kept), "{text}");
    assert_eq!(Webhook::from_stored(&text)?.mapping.as_deref(), Some(document));
    Ok(())
}

#[test]
fn each_format_is_written_like_this() -> Told {
    let mut webhook = full();
    let mut formats = Vec::new();
    let berlin = Zone::Offset(FixedOffset::east_opt(3600).ok_or("an offset")?);
    for format in [
        PayloadFormat::default(),
        CloudEventsFormat::structured("/shop")?.into(),
        CloudEventsFormat::binary("/shop")?.with_type_prefix("com.example.")?.into(),
        FlatFormat::new().into(),
        FlatFormat::new()
            .with_fields("id", "at", "kind")?
            .with_time(TimeFormat::strftime("%d.%m.%Y", berlin)?)
            .into(),
        FlatFormat::new().with_time(TimeFormat::iso(Zone::Unwritten)).into(),
        PayloadFormat::from("edifact"),
    ] {
        webhook.format = format;
        let text = webhook.to_stored()?;
        let (_, rest) = text.split_once("\"format\":").ok_or("a format")?;
        formats.push(rest.split_once(",\"schemes\"").ok_or("an end")?.0.to_owned());
    }

    insta::assert_snapshot!(formats.join("\n"), @r#"
    {"standard":{"type_field":"type"}}
    {"cloud_events":{"mode":"structured","source":"/shop"}}
    {"cloud_events":{"mode":"binary","source":"/shop","type_prefix":"com.example."}}
    {"flat":{"event_id":"eventId","timestamp":"timestamp","event_type":"eventType"}}
    {"flat":{"event_id":"id","timestamp":"at","event_type":"kind","time_pattern":"%d.%m.%Y","time_zone":{"offset":3600}}}
    {"flat":{"event_id":"eventId","timestamp":"timestamp","event_type":"eventType","time_zone":"unwritten"}}
    {"named":"edifact"}
    "#);
    Ok(())
}

#[test]
fn what_the_first_version_wrote_is_read() -> Told {
    assert_eq!(Webhook::from_stored(FIRST_FULL)?, full());
    let plain = Webhook::from_stored(FIRST_PLAIN)?;
    let mut expected = Webhook::new(
        plain.id,
        plain.tenant.clone(),
        plain.url.clone(),
        plain.events.clone(),
        plain.created_at,
    );
    expected.schemes = vec![SignatureScheme::Standard];
    assert_eq!(plain, expected);
    Ok(())
}

#[test]
fn an_error_names_the_field() {
    for (whole, part, field) in [
        ("https://erp", "gopher://erp", "url"),
        ("\"kind\"", "\"data\"", "format"),
        ("{timestamp}.{body}", "{timestamp}", "schemes[2].hmac.template"),
        ("\"v0=\"", "\"v 0=\"", "schemes"),
        ("\"AQID\"", "\"?\"", "secrets[1].sealed"),
        ("\"logistics\"", "\"\\u0000\"", "headers[0]"),
        ("\"per_second\":0.5", "\"per_second\":0.0", "rate_limit"),
        ("\"retries\":7", "\"retries\":101", "retry"),
        ("198.51.100.0/24", "198.51.100.0/33", "destinations[0]"),
        ("\"reason\":\"gone\"", "\"reason\":\"went\"", "state.disabled.reason"),
        ("\"by\":\"by_key\",", "", "ordering.by"),
    ] {
        assert!(FIRST_FULL.contains(whole), "{whole}");
        assert_eq!(broken_field::<Webhook>(&FIRST_FULL.replacen(whole, part, 1)), field, "{part}");
    }
}

#[test]
fn a_url_that_would_be_refused_today_is_still_read() -> Told {
    let text = FIRST_FULL.replace("https://erp.example.com/hooks?a=1", "http://127.0.0.1:22/");

    let webhook = Webhook::from_stored(&text)?;

    assert_eq!(webhook.url.as_str(), "http://127.0.0.1:22/");
    assert!(EgressPolicy::default().check_url(&webhook.url).is_err());
    Ok(())
}

const FIRST_FULL: &str = r#"{"v":1,"id":"wh_01kdvdna00ew3re1r70w3ge1r7","tenant":"org_42","version":4,"name":"ERP","url":"https://erp.example.com/hooks?a=1","owner":"merchant_9","events":["order.*","stock.counted"],"channels":["eu"],"entitlements":["edi"],"format":{"standard":{"type_field":"kind"}},"schemes":["standard","standard_ed25519",{"hmac":{"header":"x-signature","template":"{timestamp}.{body}","encoding":"hex","key_use":"verbatim","list":{"timestamp":"t","signature":"v1","separator":","}}},{"hmac":{"header":"x-acme-signature","template":"v0:{timestamp}:{body}","encoding":"hex","key_use":"verbatim","prefix":"v0=","timestamp_header":"x-acme-time"}}],"secrets":[{"sealed":"/////w==","created_at":"2026-01-01T00:00:00.000001Z"},{"sealed":"AQID","created_at":"2026-01-01T00:00:00.000001Z","expires_at":"2026-01-01T00:01:00.000001Z"}],"auth":{"basic":{"username":"ada","password":"CQkJ"}},"headers":[{"name":"x-team","value":"logistics"},{"name":"x-hidden","value":"}","sensitive":true}],"retry":{"exponential":{"first":1000000000,"cap":60000000000,"retries":7}},"timeout":9000000000,"rate_limit":{"per_second":0.5,"burst":2},"max_in_flight":3,"ordering":{"by":"by_key","on_exhausted":"skip"},"destinations":["198.51.100.0/24","2001:db8::/32"],"metadata":{"shop":"7"},"state":{"disabled":{"reason":"gone","at":"2026-01-01T00:00:00.000001Z"}},"created_at":"2026-01-01T00:00:00.000001Z","updated_at":"2026-01-01T00:00:00.000001001Z"}"#;
const FIRST_PLAIN: &str = r#"{"v":1,"id":"wh_01kdvg3n3v0w3g71r70w3ge1r7","tenant":"org_42","version":1,"url":"https://erp.example.com/","events":["*"],"format":{"standard":{"type_field":"type"}},"schemes":["standard"],"state":"active","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}"#;
