//! What the gate costs, and the tower layer in front of a service: a call with a key that is known, all checks on, against the least that any such check must do in the same
//! run, a bare HMAC and a look-up in a hash map.
//!
//! `cargo bench --bench api_keys` prints a table, with `-- --json` a JSON object; `-- --quick` is for a look whether it works. Each
//! figure stands beside its limit; nothing here passes or fails, because times differ from machine to machine.
#![expect(clippy::print_stdout, reason = "a benchmark prints its findings")]

use std::alloc::System;
use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossdock::Hub;
use crossdock::api_keys::{
    ApiCall, ApiKeySettings, CallRate, Gate, NewApiKey, Peppers, PublicId, Scopes, TokenForm,
};
use crossdock::tenancy::Actor;
use crossdock::web::Authentication;
use crossdock::web::tower::PeerAddress;
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use subtle::ConstantTimeEq;
use tower::{Layer, Service, service_fn};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KEYS: usize = 100_000;
const KEYS_PER_TENANT: usize = 100;
const PEPPER: &str = "oRkq0NkwYM3MX5Grz7aIyd3Rg6ABDClVWhZWpU9jqoE=";
const RESOURCE: [&str; 2] = ["orders", "ord_1"];
/// In the last of eight networks.
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));
const NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "2001:db8::/32",
    "192.0.2.0/24",
    "203.0.113.0/24",
];

struct Scale {
    /// Calls of which each is timed by itself.
    timed: usize,
    /// Slices of time, in turns, for what is compared.
    rounds: usize,
    slice: Duration,
    /// How long threads press on one key.
    press: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let wants = |option: &str| std::env::args().any(|argument| argument == option);
    let scale = match wants("--quick") {
        true => Scale {
            timed: 50_000,
            rounds: 41,
            slice: Duration::from_micros(500),
            press: Duration::from_millis(200),
        },
        false => Scale {
            timed: 1_000_000,
            rounds: 401,
            slice: Duration::from_millis(1),
            press: Duration::from_secs(2),
        },
    };
    let ground = Ground::lay()?;
    let mut report = Report::default();

    let mut nanoseconds = ground.each(scale.timed);
    nanoseconds.sort_unstable();
    let at = |share: f64| nanoseconds[((nanoseconds.len() - 1) as f64 * share) as usize] as f64;
    report.line("p50", at(0.5), "ns", None);
    report.line("p99", at(0.99), "ns", Some(Limit::AtMost(5_000.0)));

    let (ours, bare) = ground.compare(&scale);
    report.line("calls per second, one thread", 1e9 / ours, "", Some(Limit::AtLeast(300_000.0)));
    report.line("one call", ours, "ns", None);
    report.line("bare HMAC and look-up", bare, "ns", None);
    report.line("ratio to bare", ours / bare, "", Some(Limit::AtMost(4.0)));
    report.line("allocations per call", ground.allocations(), "", Some(Limit::AtMost(0.0)));

    let (behind, bare) = ground.layered(&scale)?;
    report.line("a request to a service behind the tower layer", behind, "ns", None);
    report.line("the same request without it", bare, "ns", None);
    report.line("the tower layer adds", behind - bare, "ns", Some(Limit::AtMost(3_000.0)));

    for (name, text) in ground.garbage()? {
        let refused = ground.refuse(&text, &scale)?;
        report.line(&format!("refusing {name}"), refused, "ns", Some(Limit::AtMost(300.0)));
    }

    let one = ground.press(1, &scale)?;
    let many = ground.press(64, &scale)?;
    report.line("calls per second on one key, 1 thread", one, "", None);
    report.line("calls per second on one key, 64 threads", many, "", Some(Limit::AtLeast(one)));
    report.print(wants("--json"));
    Ok(())
}

/// A gate that knows all keys, and calls with each of them in no order that a processor could foresee.
struct Ground {
    hub: Hub,
    gate: Gate,
    calls: Vec<HeaderMap>,
    /// What a bare check needs: by public id, what is kept of the secret.
    kept: HashMap<PublicId, [u8; 32]>,
    key: Hmac<Sha256>,
    tokens: Vec<String>,
}

impl Ground {
    fn lay() -> Result<Self, Box<dyn Error>> {
        let scopes = Scopes::declare(["orders:read", "orders:write", "stock:read", "stock:write"])?;
        let hub = Hub::builder()
            .peppers(Peppers::new("2026", PEPPER)?)
            .api_keys(ApiKeySettings::new().scopes(scopes))
            .build()?;
        let form = TokenForm::new("cd")?;
        let key = Hmac::<Sha256>::new_from_slice(PEPPER.as_bytes())?;
        let (mut tokens, mut kept) = (Vec::with_capacity(KEYS), HashMap::with_capacity(KEYS));
        for tenant in 0..KEYS / KEYS_PER_TENANT {
            let keys = hub.admin(Actor::org_admin(format!("org_{tenant}").parse()?, "ada")).api_keys();
            for _ in 0..KEYS_PER_TENANT {
                let new = NewApiKey::new("bench")
                    .scopes(["stock:write", "stock:read", "orders:write", "orders:read"])
                    .networks(NETWORKS)
                    .rate(CallRate::per_second(1_000_000_000)?);
                let created = at_once(keys.create(new))?;
                let token = created.token.reveal().to_owned();
                let mut mac = key.clone();
                mac.update(secret_of(token.as_bytes()));
                kept.insert(form.parse(token.as_bytes())?.id(), mac.finalize().into_bytes().into());
                tokens.push(token);
            }
        }
        shuffle(&mut tokens);
        let calls: Vec<_> = tokens.iter().map(|token| bearer(token)).collect::<Result<_, _>>()?;
        let ground = Self { gate: hub.gate().clone(), hub, calls, kept, key, tokens };
        for headers in &ground.calls {
            let call = call(headers);
            at_once(ground.gate.authenticate(&call))?;
        }
        Ok(ground)
    }

    /// One call, all checks on.
    fn ask(&self, headers: &HeaderMap) -> bool {
        let call = call(headers);
        match self.gate.check(&call) {
            Some(verdict) => verdict.is_ok(),
            // Once in a while the gate has to hear what has changed.
            None => self.gate.authenticate(&call).now_or_never().is_some_and(|verdict| verdict.is_ok()),
        }
    }

    /// The least that must be done: find what is kept, and compare.
    fn ask_bare(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(http::header::AUTHORIZATION) else { return false };
        let Some(token) = value.as_bytes().strip_prefix(b"Bearer ") else { return false };
        let Some(id) = std::str::from_utf8(&token[8..24]).ok().and_then(|text| text.parse::<PublicId>().ok())
        else {
            return false;
        };
        let Some(kept) = self.kept.get(&id) else { return false };
        let mut mac = self.key.clone();
        mac.update(secret_of(token));
        mac.finalize().into_bytes().ct_eq(&kept[..]).into()
    }

    /// How long each of so many calls takes, the clock included.
    fn each(&self, count: usize) -> Vec<u64> {
        let mut nanoseconds = Vec::with_capacity(count);
        for headers in self.calls.iter().cycle().take(count) {
            let start = Instant::now();
            let admitted = self.ask(black_box(headers));
            nanoseconds.push(start.elapsed().as_nanos() as u64);
            assert!(admitted);
        }
        nanoseconds
    }

    /// Nanoseconds of a call and of a bare check, taken in turns so that a slow moment of the machine meets both.
    fn compare(&self, scale: &Scale) -> (f64, f64) {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        let (mut one, mut other) = (self.calls.iter().cycle(), self.calls.iter().cycle());
        for _ in 0..scale.rounds {
            ours.push(slice(scale.slice, || one.next().is_some_and(|headers| self.ask(black_box(headers)))));
            bare.push(slice(scale.slice, || {
                other.next().is_some_and(|headers| self.ask_bare(black_box(headers)))
            }));
        }
        (median(&mut ours), median(&mut bare))
    }

    /// Nanoseconds of a request to a service behind the tower layer, and of the same request to the service alone; making the
    /// request is part of both.
    fn layered(&self, scale: &Scale) -> Result<(f64, f64), Box<dyn Error>> {
        let keys =
            Authentication::new(&self.hub).require_scope("orders/{id}:read")?.route(|_| Some("/orders/{id}"));
        let answer = |_: Request<Bytes>| ready(Ok::<_, Infallible>(Response::new(Bytes::new())));
        let (mut behind, mut alone) = (keys.layer(service_fn(answer)), service_fn(answer));
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        let (mut one, mut other) = (self.calls.iter().cycle(), self.calls.iter().cycle());
        for _ in 0..scale.rounds {
            ours.push(slice(scale.slice, || {
                one.next().is_some_and(|headers| is_let_in(&mut behind, headers))
            }));
            bare.push(slice(scale.slice, || {
                other.next().is_some_and(|headers| is_let_in(&mut alone, headers))
            }));
        }
        Ok((median(&mut ours), median(&mut bare)))
    }

    /// Of calls with keys that are known.
    fn allocations(&self) -> f64 {
        // Heard now, so that it need not be heard meanwhile.
        std::thread::sleep(Gate::STALE);
        assert!(self.ask(&self.calls[0]));
        let region = Region::new(ALLOCATOR);
        let mut admitted = 0;
        for headers in &self.calls {
            admitted += usize::from(self.ask(headers));
        }
        let stats = region.change();
        assert_eq!(admitted, self.calls.len());
        (stats.allocations + stats.reallocations) as f64 / self.calls.len() as f64
    }

    fn garbage(&self) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
        let token = &self.tokens[0];
        let mut mistyped = token.clone().into_bytes();
        mistyped[40] = if mistyped[40] == b'x' { b'y' } else { b'x' };
        Ok(vec![
            ("another length", "garbage".to_owned()),
            ("a long text", "x".repeat(4_000)),
            ("another prefix", token.replace("cd_", "ab_")),
            ("a wrong character", String::from_utf8(mistyped)?),
        ])
    }

    fn refuse(&self, token: &str, scale: &Scale) -> Result<f64, Box<dyn Error>> {
        let headers = bearer(token)?;
        let refuse = || matches!(self.gate.check(&call(black_box(&headers))), Some(Err(_)));
        let mut nanoseconds: Vec<_> = (0..scale.rounds).map(|_| slice(scale.slice / 4, refuse)).collect();
        Ok(median(&mut nanoseconds))
    }

    /// Calls per second of so many threads with one key.
    fn press(&self, threads: usize, scale: &Scale) -> Result<f64, Box<dyn Error>> {
        let stop = AtomicBool::new(false);
        let start = Instant::now();
        let work = || {
            let mut admitted = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..64 {
                    admitted += u64::from(self.ask(black_box(&self.calls[0])));
                }
            }
            admitted
        };
        let total: u64 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            std::thread::sleep(scale.press);
            stop.store(true, Ordering::Relaxed);
            workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum()
        });
        Ok(total as f64 / start.elapsed().as_secs_f64())
    }
}

/// Whether a request with these headers is answered at once, and well.
fn is_let_in<S>(service: &mut S, headers: &HeaderMap) -> bool
where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error = Infallible>,
{
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = Uri::from_static("/orders/ord_1");
    *request.headers_mut() = headers.clone();
    request.extensions_mut().insert(PeerAddress(PEER));
    let answered = service.call(black_box(request)).now_or_never();
    answered.is_some_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()))
}

fn call(headers: &HeaderMap) -> ApiCall<'_> {
    ApiCall::new(&Method::GET, headers, PEER).route("/orders/{id}").on(&RESOURCE)
}

fn bearer(token: &str) -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
    Ok(headers)
}

fn secret_of(token: &[u8]) -> &[u8] {
    &token[25..68]
}

/// The store in memory never waits.
fn at_once<T, E: Error + 'static>(step: impl Future<Output = Result<T, E>>) -> Result<T, Box<dyn Error>> {
    Ok(step.now_or_never().ok_or("a store in memory never waits")??)
}

/// By a fixed order that looks like none.
fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for index in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(index, (state >> 33) as usize % (index + 1));
    }
}

/// Nanoseconds of one step, of as many as fit into the span.
fn slice(span: Duration, mut step: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut steps = 0_u32;
    while start.elapsed() < span {
        for _ in 0..32 {
            assert!(step());
        }
        steps += 32;
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(steps)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[derive(Clone, Copy)]
enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Default)]
struct Report {
    rows: Vec<(String, String, String, String)>,
    fields: Map<String, Value>,
}

impl Report {
    fn line(&mut self, name: &str, value: f64, unit: &str, limit: Option<Limit>) {
        let (bound, verdict) = match limit {
            None => (String::new(), ""),
            Some(Limit::AtMost(most)) => (format!("at most {}", number(most)), kept(value <= most)),
            Some(Limit::AtLeast(least)) => (format!("at least {}", number(least)), kept(value >= least)),
        };
        self.rows.push((name.to_owned(), format!("{} {unit}", number(value)), bound, verdict.to_owned()));
        self.fields.insert(name.to_owned(), json!((value * 1_000.0).round() / 1_000.0));
    }

    fn print(self, as_json: bool) {
        if as_json {
            println!("{}", Value::Object(self.fields));
            return;
        }
        println!("\n{KEYS} keys, 8 networks, 4 scopes, a rate each\n");
        for (name, value, bound, verdict) in self.rows {
            println!("{name:<42}{value:>16}  {bound:<20}{verdict}");
        }
    }
}

fn kept(is_kept: bool) -> &'static str {
    if is_kept { "kept" } else { "MISSED" }
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
