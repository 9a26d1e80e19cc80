//! Writes the signature headers of a request.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderValue};

use crate::webhooks::sign::hmac_scheme::{Encoding, Form, HmacScheme, KeyUse};
use crate::webhooks::sign::keys::{SIGNATURE_BYTES, SigningKey, signing_key};
use crate::webhooks::sign::mac::MacKey;
use crate::webhooks::sign::message::{Message, Seconds};
use crate::webhooks::sign::refusal::SchemeRefusal;
use crate::webhooks::sign::scheme::{SignatureScheme, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use crate::webhooks::sign::secret::SigningSecret;
use crate::webhooks::sign::template::Content;

/// Signs requests: made once of a webhook's schemes and secrets, then used for every message.
///
/// The keys are prepared when it is made; a message costs no more than its own hashing and the header values.
/// Cloning is cheap.
///
/// ```
/// use chrono::DateTime;
/// use crossdock::webhooks::sign::{Message, SignatureScheme, Signer, SigningSecret};
/// use http::HeaderMap;
///
/// let secret: SigningSecret = "It's a Secret to Everybody".parse()?;
/// let signer = Signer::new(&[SignatureScheme::github()], &[secret])?;
/// let mut headers = HeaderMap::new();
///
/// let id = "evt_1".parse()?;
/// let body = b"Hello, World!";
/// let message = Message { id: &id, timestamp: DateTime::UNIX_EPOCH, url: "https://erp.example.com/", body };
/// signer.sign(&message, &mut headers);
///
/// // The example of https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
/// assert_eq!(
///     headers["x-hub-signature-256"],
///     "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Signer(Arc<Keys>);

struct Keys {
    schemes: Box<[SignatureScheme]>,
    standard: Box<[MacKey]>,
    asymmetric: Box<[Arc<dyn SigningKey>]>,
    own: Box<[OwnHeader]>,
}

struct OwnHeader {
    scheme: HmacScheme,
    keys: Box<[MacKey]>,
}

impl Signer {
    /// At most this many secrets are live at a time: as many signatures as a [`Verifier`](super::Verifier) looks at.
    pub const MAX_SECRETS: usize = 16;

    /// Signs nothing: requests carry their `webhook-id` and `webhook-timestamp`, no more.
    pub fn unsigned() -> Self {
        Self(Arc::new(Keys {
            schemes: Box::default(),
            standard: Box::default(),
            asymmetric: Box::default(),
            own: Box::default(),
        }))
    }

    /// Prepares the keys; the newest secret comes first.
    ///
    /// Standard Webhooks and `t=…,v1=…` headers list a signature per secret; a header with a single value is signed
    /// with the newest.
    ///
    /// # Errors
    /// [`SchemeRefusal`] when the schemes do not go together or there is no secret of the kind that one of them needs.
    pub fn new(schemes: &[SignatureScheme], secrets: &[SigningSecret]) -> Result<Self, SchemeRefusal> {
        SignatureScheme::check_all(schemes)?;
        if secrets.len() > Self::MAX_SECRETS {
            return Err(SchemeRefusal::TooManySecrets { secrets: secrets.len(), most: Self::MAX_SECRETS });
        }
        let mut keys = Keys {
            schemes: schemes.into(),
            standard: Box::default(),
            asymmetric: Box::default(),
            own: Box::default(),
        };
        let mut own = Vec::new();
        for scheme in schemes {
            match scheme {
                SignatureScheme::Standard => keys.standard = mac_keys(secrets, KeyUse::Decoded)?,
                SignatureScheme::StandardEd25519 => keys.asymmetric = signing_keys(secrets)?,
                SignatureScheme::Hmac(scheme) => {
                    let keys = mac_keys(secrets, scheme.key_use())?;
                    own.push(OwnHeader { scheme: scheme.clone(), keys });
                }
            }
        }
        keys.own = own.into();
        Ok(Self(Arc::new(keys)))
    }

    /// Writes `webhook-id`, `webhook-timestamp` and the header of every scheme; what stood there is replaced.
    pub fn sign(&self, message: &Message<'_>, headers: &mut HeaderMap) {
        let seconds = Seconds::at(message.timestamp.timestamp());
        let content = Content {
            id: message.id.value().as_bytes(),
            timestamp: seconds.digits(),
            url: message.url.as_bytes(),
            body: message.body,
        };
        if !self.0.standard.is_empty() || !self.0.asymmetric.is_empty() {
            headers.insert(
                WEBHOOK_SIGNATURE,
                self.0.standard_signatures(&[content.id, seconds.between_full_stops(), content.body]),
            );
        }
        headers.insert(WEBHOOK_ID, message.id.value().clone());
        for own in &self.0.own {
            headers.insert(own.scheme.header().clone(), own.signature(&content));
            if let Some(header) = own.scheme.timestamp_header() {
                headers.insert(header.clone(), seconds.value().clone());
            }
        }
        headers.insert(WEBHOOK_TIMESTAMP, seconds.value().clone());
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("schemes", &self.0.schemes).finish_non_exhaustive()
    }
}

impl Keys {
    fn standard_signatures(&self, pieces: &[&[u8]; 3]) -> HeaderValue {
        const V1: usize = "v1,".len() + Encoding::Base64.code_length();
        const V1A: usize = "v1a,".len() + SIGNATURE_BYTES.div_ceil(3) * 4;

        if let ([key], []) = (&*self.standard, &*self.asymmetric) {
            // What nearly every request is: on the stack, and copied once.
            let mut text = *b"v1,____________________________________________";
            key.code_of(pieces).fill(Encoding::Base64, &mut text[3..]);
            return value(&text);
        }
        let mut text = Vec::with_capacity(self.standard.len() * (V1 + 1) + self.asymmetric.len() * (V1A + 1));
        for key in &self.standard {
            text.extend_from_slice(if text.is_empty() { b"v1," } else { b" v1," });
            key.code_of(pieces).write_to(Encoding::Base64, &mut text);
        }
        for key in &self.asymmetric {
            text.extend_from_slice(if text.is_empty() { b"v1a," } else { b" v1a," });
            text.extend_from_slice(STANDARD.encode(key.sign(pieces)).as_bytes());
        }
        value(&text)
    }
}

impl OwnHeader {
    fn signature(&self, content: &Content<'_>) -> HeaderValue {
        let scheme = &self.scheme;
        let code = |key: &MacKey| key.code(|sink| scheme.template().feed(content, sink));
        let mut text = Vec::with_capacity(256);
        match scheme.form() {
            Form::Value(prefix) => {
                text.extend_from_slice(prefix.as_bytes());
                // The newest secret alone: the header has room for one signature.
                for key in self.keys.iter().take(1) {
                    code(key).write_to(scheme.encoding(), &mut text);
                }
            }
            Form::List(list) => {
                text.extend_from_slice(list.timestamp().as_bytes());
                text.push(b'=');
                text.extend_from_slice(content.timestamp);
                for key in &self.keys {
                    text.push(list.separator_byte());
                    text.extend_from_slice(list.signature().as_bytes());
                    text.push(b'=');
                    code(key).write_to(scheme.encoding(), &mut text);
                }
            }
        }
        value(&text)
    }
}

/// The HMAC keys among these secrets.
pub(super) fn mac_keys(secrets: &[SigningSecret], key_use: KeyUse) -> Result<Box<[MacKey]>, SchemeRefusal> {
    let keys: Box<[_]> =
        secrets.iter().filter_map(|secret| secret.mac_key(key_use)).map(|key| MacKey::new(&key)).collect();
    if keys.is_empty() { Err(SchemeRefusal::NoSecret { needs: "a text or `whsec_…`" }) } else { Ok(keys) }
}

fn signing_keys(secrets: &[SigningSecret]) -> Result<Box<[Arc<dyn SigningKey>]>, SchemeRefusal> {
    let keys: Box<[_]> =
        secrets.iter().filter(|secret| secret.key().is_some()).map(signing_key).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(SchemeRefusal::NoSecret { needs: "an ed25519 private key, `whsk_…`" });
    }
    Ok(keys)
}

fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).expect("digits, hex, base64 and checked prefixes are visible ASCII")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn signed(
        schemes: &[SignatureScheme],
        secrets: &[SigningSecret],
    ) -> Result<String, Box<dyn std::error::Error>> {
        let timestamp = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_614_265_330);
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek".parse()?;
        let message = Message { id: &id, timestamp, url: "https://a.example/", body };
        let mut headers = HeaderMap::new();
        Signer::new(schemes, secrets)?.sign(&message, &mut headers);
        let mut lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        lines.sort();
        Ok(lines.join("\n"))
    }

    #[test]
    fn the_standard_headers_are_those_of_the_specification() -> Outcome {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;

        insta::assert_snapshot!(signed(&[SignatureScheme::Standard], &[secret])?, @r"
        webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek
        webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
        webhook-timestamp: 1614265330
        ");
        Ok(())
    }

    #[test]
    fn a_list_names_every_live_secret_and_a_single_value_the_newest() -> Outcome {
        let new: SigningSecret = "the new secret, of 31 characters".parse()?;
        let old: SigningSecret = "the old secret, of 31 characters".parse()?;
        let schemes = [
            SignatureScheme::Standard,
            SignatureScheme::stripe("x-listed")?,
            SignatureScheme::hmac_hex("x-betterdata-signature")?,
        ];

        let during_overlap = signed(&schemes, &[new.clone(), old.clone()])?;
        let only_new = signed(&schemes, &[new])?;
        let only_old = signed(&schemes, &[old])?;

        let line =
            |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        let value = |text: &str, name: &str, behind: &str| {
            line(text, name).and_then(|line| Some(line.split_once(behind)?.1.to_owned())).unwrap_or_default()
        };
        assert_eq!(
            line(&during_overlap, "x-betterdata-signature"),
            line(&only_new, "x-betterdata-signature")
        );
        assert_eq!(
            value(&during_overlap, "x-listed", ",v1="),
            format!("{},v1={}", value(&only_new, "x-listed", ",v1="), value(&only_old, "x-listed", ",v1="))
        );
        assert_eq!(
            value(&during_overlap, "webhook-signature", ": "),
            format!(
                "{} {}",
                value(&only_new, "webhook-signature", ": "),
                value(&only_old, "webhook-signature", ": ")
            )
        );
        Ok(())
    }

    #[test]
    fn what_stood_in_a_signature_header_is_replaced() -> Outcome {
        let signer = Signer::new(&[SignatureScheme::github()], &[SigningSecret::generate([1; 32])])?;
        let mut headers = HeaderMap::new();
        for forged in ["one", "two"] {
            headers.append("x-hub-signature-256", HeaderValue::from_static(forged));
        }

        let id = "evt_1".parse()?;
        signer.sign(&Message { id: &id, timestamp: DateTime::UNIX_EPOCH, url: "", body: b"" }, &mut headers);

        let values: Vec<_> = headers.get_all("x-hub-signature-256").iter().collect();
        assert_eq!(values.len(), 1);
        assert!(values[0].as_bytes().starts_with(b"sha256="));
        Ok(())
    }

    #[test]
    fn a_scheme_without_its_secret_and_a_crowd_of_secrets_are_refused() -> Outcome {
        let public: SigningSecret = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".parse()?;
        let hmac = SigningSecret::generate([1; 32]);
        let refusal = |scheme: &SignatureScheme, secrets: &[SigningSecret]| {
            Signer::new(std::slice::from_ref(scheme), secrets)
                .map(|_| ())
                .map_err(|refusal| refusal.problem().field)
        };

        for scheme in [SignatureScheme::Standard, SignatureScheme::github()] {
            assert_eq!(refusal(&scheme, &[]), Err("secret".to_owned()));
            assert_eq!(refusal(&scheme, std::slice::from_ref(&public)), Err("secret".to_owned()));
        }
        assert_eq!(
            refusal(&SignatureScheme::StandardEd25519, std::slice::from_ref(&hmac)),
            Err("secret".to_owned())
        );
        assert_eq!(refusal(&SignatureScheme::Standard, &vec![hmac; 17]), Err("secret".to_owned()));
        Ok(())
    }

    #[test]
    fn nothing_of_a_secret_is_shown() -> Outcome {
        let secret: SigningSecret = "correct horse battery staple".parse()?;
        let schemes = [SignatureScheme::Standard, SignatureScheme::github()];

        let shown = format!("{:?} {secret:?}", Signer::new(&schemes, std::slice::from_ref(&secret))?);

        assert!(shown.contains("x-hub-signature-256"), "{shown}");
        assert!(!shown.contains("horse"), "{shown}");
        Ok(())
    }
}
