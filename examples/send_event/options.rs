//! What was asked for on the command line.

use std::fs;
use std::io::{self, Read};

use crossdock::events::{CloudEventsFormat, FlatFormat, PayloadFormat};
use crossdock::primitives::{EgressPolicy, Secret};
use crossdock::webhooks::SignatureScheme;

pub(crate) const HELP: &str = "\
Sends one signed event to one URL and prints the attempt as JSON.

usage: send_event --url URL --secret SECRET --type TYPE --data JSON [options]

  --url URL        where to; https, unless --allow is given
  --secret SECRET  whsec_<base64>, or any text of at least 24 bytes
  --type TYPE      the event's type, such as shipment.shipped
  --data JSON      the event's data; @FILE reads a file, - reads the standard input
  --scheme SCHEME  standard (default), github, stripe, or hmac:HEADER for the hex of the body's HMAC-SHA-256
  --format FORMAT  standard (default), cloudevents, cloudevents-binary, or flat
  --allow CIDR     permits a network that is not public, such as 127.0.0.0/8, and plain http; may be repeated
  --help           prints this

exit status: 0 the receiver took it; 1 it did not; 2 nothing was sent
";

/// The source of a CloudEvent that nobody in particular has sent.
const SOURCE: &str = "urn:crossdock:send-event";

pub(crate) enum Asked {
    Help,
    Send(Box<Options>),
}

pub(crate) struct Options {
    pub(crate) url: String,
    pub(crate) secret: Secret,
    pub(crate) event_type: String,
    pub(crate) data: Vec<u8>,
    pub(crate) scheme: SignatureScheme,
    pub(crate) format: PayloadFormat,
    pub(crate) egress: EgressPolicy,
}

pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut arguments = arguments;
    let (mut url, mut secret, mut event_type, mut data) = (None, None, None, None);
    let (mut scheme, mut format) = (None, None);
    let mut egress = EgressPolicy::default();

    while let Some(name) = arguments.next() {
        let slot = match name.as_str() {
            "--help" | "-h" => return Ok(Asked::Help),
            "--url" => &mut url,
            "--secret" => &mut secret,
            "--type" => &mut event_type,
            "--data" => &mut data,
            "--scheme" => &mut scheme,
            "--format" => &mut format,
            "--allow" => {
                egress = allow(egress, &value(&name, &mut arguments)?)?;
                continue;
            }
            _ => return Err(format!("there is no option {name}; --help lists them")),
        };
        if slot.replace(value(&name, &mut arguments)?).is_some() {
            return Err(format!("{name} is given twice"));
        }
    }

    Ok(Asked::Send(Box::new(Options {
        url: required("--url", url)?,
        secret: Secret::from(required("--secret", secret)?.as_str()),
        event_type: required("--type", event_type)?,
        data: content(&required("--data", data)?)?,
        scheme: scheme_named(scheme.as_deref().unwrap_or("standard"))?,
        format: format_named(format.as_deref().unwrap_or("standard"))?,
        egress,
    })))
}

fn value(name: &str, arguments: &mut impl Iterator<Item = String>) -> Result<String, String> {
    arguments.next().ok_or_else(|| format!("{name} is followed by a value"))
}

fn required(name: &str, value: Option<String>) -> Result<String, String> {
    value.ok_or_else(|| format!("{name} is missing; --help shows how it is used"))
}

fn content(data: &str) -> Result<Vec<u8>, String> {
    if data == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|error| format!("--data: the standard input: {error}"));
    }
    match data.strip_prefix('@') {
        Some(path) => fs::read(path).map_err(|error| format!("--data: {path}: {error}")),
        None => Ok(data.as_bytes().to_vec()),
    }
}

fn scheme_named(name: &str) -> Result<SignatureScheme, String> {
    let refused = |refusal: crossdock::webhooks::sign::SchemeRefusal| format!("--scheme: {refusal}");
    match name {
        "standard" => Ok(SignatureScheme::Standard),
        "github" => Ok(SignatureScheme::github()),
        "stripe" => SignatureScheme::stripe("stripe-signature").map_err(refused),
        _ => match name.strip_prefix("hmac:") {
            Some(header) => SignatureScheme::hmac_hex(header).map_err(refused),
            None => Err(format!("--scheme: {name} is none of standard, github, stripe, hmac:HEADER")),
        },
    }
}

fn format_named(name: &str) -> Result<PayloadFormat, String> {
    let refused = |invalid: crossdock::events::InvalidFormat| format!("--format: {invalid}");
    match name {
        "standard" => Ok(PayloadFormat::default()),
        "cloudevents" => CloudEventsFormat::structured(SOURCE).map(Into::into).map_err(refused),
        "cloudevents-binary" => CloudEventsFormat::binary(SOURCE).map(Into::into).map_err(refused),
        "flat" => Ok(FlatFormat::new().into()),
        _ => Err(format!("--format: {name} is none of standard, cloudevents, cloudevents-binary, flat")),
    }
}

/// Whoever permits a network of their own has receivers without TLS in it, as a rule.
fn allow(egress: EgressPolicy, network: &str) -> Result<EgressPolicy, String> {
    let parsed =
        network.parse().map_err(|_| format!("--allow: {network} is not a network such as 127.0.0.0/8"))?;
    Ok(egress.allow_networks([parsed]).dangerous_allow_http())
}
