//! Published signatures: every one that our schemes can express gets the verdict it expects.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use chrono::DateTime;
use crossdock::webhooks::sign::{
    Encoding, HmacScheme, SignatureList, SignatureScheme, SigningSecret, Verifier,
};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::rule;

type Outcome = Result<(), Box<dyn Error>>;

pub(crate) fn trials() -> Vec<Trial> {
    vec![rule("published_signatures_get_the_verdict_they_expect", published_signatures)]
}

fn published_signatures() -> Outcome {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../data/signature-vectors.json"))?;
    let (mut ran, mut wrong) = (0, Vec::new());
    let mut left_out = BTreeMap::<&str, usize>::new();
    for vector in &vectors {
        let scheme = vector["scheme"].as_str().ok_or("a vector has a scheme")?;
        let Some(verifier) = verifier_of(scheme, vector)? else {
            *left_out.entry(scheme).or_default() += 1;
            continue;
        };
        let body = vector["body"].as_str().ok_or("a vector has a body")?;
        let now = DateTime::from_timestamp(vector["now"].as_i64().unwrap_or(0), 0).ok_or("a time")?;
        let verdict = verifier.verify(&headers_of(vector)?, body.as_bytes(), now).map(|_| ());
        ran += 1;
        if verdict.is_ok() != (vector["valid"] == true) {
            wrong.push(format!("{}: {verdict:?}", vector["name"]));
        }
    }
    eprintln!("signature vectors: {ran} of {} ran; not expressible: {left_out:?}", vectors.len());

    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(ran + left_out.values().sum::<usize>(), vectors.len());
    assert_eq!(ran, 106, "a vector that is no longer run is a hole");
    Ok(())
}

/// The verifier of a vector; `None` when its scheme is none of ours.
fn verifier_of(name: &str, vector: &Value) -> Result<Option<Verifier>, Box<dyn Error>> {
    let signature_header = || {
        let headers = vector["headers"].as_object()?;
        let is_signature = |name: &&String| {
            let name = name.to_ascii_lowercase();
            name.contains("signature") && !name.contains("timestamp") || name.contains("hmac")
        };
        headers.keys().find(is_signature).map(String::as_str)
    };
    // Where the header is missing on purpose, any name will do.
    let header = signature_header().unwrap_or("x-signature");
    let own = || HmacScheme::new(header);
    let in_base64 = || Ok::<_, Box<dyn Error>>(own()?.with_encoding(Encoding::Base64));
    let listed = |template: &str, list: SignatureList| -> Result<HmacScheme, Box<dyn Error>> {
        Ok(own()?.with_template(template.parse()?).with_list(list))
    };
    let scheme = match name {
        // Another brand's names for the same three headers.
        "standard-webhooks-v1" if vector["headers"].get("svix-id").is_some() => return Ok(None),
        "standard-webhooks-v1" => SignatureScheme::Standard,
        "standard-webhooks-v1a" => SignatureScheme::StandardEd25519,
        "github-sha256" => SignatureScheme::github(),
        // The age of a message stands in its body there.
        "linear" if vector["name"] == "linear-stale" => return Ok(None),
        "hmac-sha256-hex-body" | "convoy-simple-sha256-hex" | "linear" => SignatureScheme::Hmac(own()?),
        "easypost" => SignatureScheme::Hmac(own()?.with_prefix("hmac-sha256-hex=")?),
        "shopify" | "woocommerce" | "xero" | "intuit" | "convoy-simple-sha256-base64" => {
            SignatureScheme::Hmac(in_base64()?)
        }
        "square" => SignatureScheme::Hmac(in_base64()?.with_template("{url}{body}".parse()?)),
        "stripe-v1" => SignatureScheme::stripe(header)?,
        "paddle-h1" => {
            SignatureScheme::Hmac(listed("{timestamp}:{body}", SignatureList::new("ts", "h1", ';')?)?)
        }
        "convoy-advanced-sha256-hex" => {
            SignatureScheme::Hmac(listed("{timestamp},{body}", SignatureList::stripe())?)
        }
        "convoy-advanced-sha256-base64" => SignatureScheme::Hmac(
            listed("{timestamp},{body}", SignatureList::stripe())?.with_encoding(Encoding::Base64),
        ),
        "slack-v0" => SignatureScheme::Hmac(
            own()?
                .with_template("v0:{timestamp}:{body}".parse()?)
                .with_prefix("v0=")?
                .with_timestamp_header("x-slack-request-timestamp")?,
        ),
        _ => return Ok(None),
    };
    let texts = match &vector["secret"] {
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str().ok_or("a vector has a secret")?],
    };
    let secrets = texts.into_iter().map(|text| secret_of(name, text)).collect::<Result<Vec<_>, _>>()?;
    let mut verifier = Verifier::new(&scheme, &secrets)?;
    if let Some(seconds) = vector["tolerance"].as_u64() {
        verifier = verifier.with_tolerance(Duration::from_secs(seconds));
    }
    if let Some(url) = vector["url"].as_str() {
        verifier = verifier.with_url(url);
    }
    Ok(Some(verifier))
}

fn secret_of(scheme: &str, text: &str) -> Result<SigningSecret, Box<dyn Error>> {
    Ok(match text.strip_prefix("raw:") {
        Some(raw) => raw.parse()?,
        None if text.starts_with("whsec_") || text.starts_with("whpk_") => text.parse()?,
        None if scheme.starts_with("standard") => SigningSecret::from_base64(text)?,
        // There the key is the secret after normalisation (NFKD), and after reading it as HTML.
        None if scheme == "easypost" => {
            SigningSecret::dangerous_of_any_length(&text.replace('é', "e\u{301}"))?
        }
        None if scheme == "woocommerce" => {
            SigningSecret::dangerous_of_any_length(&text.replace("&amp;", "&"))?
        }
        // Many senders issue secrets that are shorter than ours may be.
        None => SigningSecret::dangerous_of_any_length(text)?,
    })
}

fn headers_of(vector: &Value) -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    for (name, value) in vector["headers"].as_object().ok_or("a vector has headers")? {
        headers
            .append(HeaderName::try_from(name)?, HeaderValue::try_from(value.as_str().unwrap_or_default())?);
    }
    Ok(headers)
}
