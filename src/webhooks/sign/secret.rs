//! What both sides know: the text that is shown once, kept sealed, and turned into keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::primitives::secret::Secret;
use crate::webhooks::sign::hmac_scheme::KeyUse;
use crate::webhooks::sign::refusal::SecretRefusal;

/// A secret that requests are signed with, or the public half of one.
///
/// | text | what it is |
/// |---|---|
/// | `whsec_<base64>` | 24 to 512 random bytes, as [Standard Webhooks] writes them; padding may be left out |
/// | `whsk_<base64>` | an ed25519 private key: the 32-byte seed, alone or followed by the 32-byte public key |
/// | `whpk_<base64>` | an ed25519 public key; it verifies, and cannot sign |
/// | anything else | a text of 24 to 512 bytes, whose bytes are the key in every scheme |
///
/// It is redacted in `Debug` and has no serialised form but [`SigningSecret::to_bytes`], which is meant for sealing.
///
/// ```
/// use crossdock::webhooks::SigningSecret;
///
/// let made = SigningSecret::generate([7; 32]);
/// assert!(made.reveal().starts_with("whsec_"));
/// assert_eq!(format!("{made:?}"), "SigningSecret(Standard, redacted)");
///
/// let given: SigningSecret = "a text that only the two of us know".parse()?;
/// assert_eq!(given.reveal(), "a text that only the two of us know");
///
/// let refusal = "too short".parse::<SigningSecret>().unwrap_err();
/// assert_eq!(refusal.problem().field, "secret");
/// # Ok::<(), crossdock::webhooks::sign::SecretRefusal>(())
/// ```
///
/// [Standard Webhooks]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
#[derive(Clone, Eq, PartialEq)]
pub struct SigningSecret {
    kind: Kind,
    text: Secret,
}

/// How the text is to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Standard,
    PrivateKey,
    PublicKey,
    Verbatim,
}

impl SigningSecret {
    /// A given secret has at least this many bytes.
    pub const MIN_BYTES: usize = 24;
    /// A given secret has at most this many bytes.
    pub const MAX_BYTES: usize = 512;

    /// A `whsec_…` secret made of these random bytes.
    pub fn generate(random: [u8; 32]) -> Self {
        let random = Zeroizing::new(random);
        Self::of(Kind::Standard, &*random)
    }

    /// A secret that is base64 without a prefix, as some senders print it; it becomes its `whsec_…` form.
    ///
    /// # Errors
    /// [`SecretRefusal`] when the text is not base64 or has too few or too many bytes.
    pub fn from_base64(text: &str) -> Result<Self, SecretRefusal> {
        let bytes = decode(text)?;
        check_length(bytes.len())?;
        Ok(Self::of(Kind::Standard, &bytes))
    }

    /// A text of any length, taken as it is: for a receiver whose sender has issued a secret that is too short.
    ///
    /// A short secret can be guessed from a single signed message, and then anybody can sign.
    ///
    /// # Errors
    /// [`SecretRefusal::TooShort`] when the text is empty: with an empty key everybody can sign.
    pub fn dangerous_of_any_length(text: &str) -> Result<Self, SecretRefusal> {
        if text.is_empty() {
            return Err(SecretRefusal::TooShort { bytes: 0, least: 1 });
        }
        Ok(Self { kind: Kind::Verbatim, text: Secret::from(text) })
    }

    /// The text to show once, to whoever sets up the receiver.
    pub fn reveal(&self) -> String {
        // Every way to make a secret starts from text, so this is all of it.
        self.text.expose_text().unwrap_or_default().to_owned()
    }

    /// The same secret as Standard Webhooks libraries want it: `whsec_<base64>`, also where a plain text was given.
    /// Keys (`whsk_…`, `whpk_…`) stay as they are.
    pub fn reveal_for_libraries(&self) -> String {
        match self.kind {
            Kind::Verbatim => Self::of(Kind::Standard, self.text.expose()).reveal(),
            Kind::Standard | Kind::PrivateKey | Kind::PublicKey => self.reveal(),
        }
    }

    /// The form to seal and keep: one byte that names version and kind, then the text.
    pub fn to_bytes(&self) -> Secret {
        let text = self.text.expose();
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.push(self.kind.tag());
        bytes.extend_from_slice(text);
        Secret::new(bytes)
    }

    /// What [`SigningSecret::to_bytes`] gave.
    ///
    /// # Errors
    /// [`SecretRefusal::UnknownForm`] when these bytes are anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretRefusal> {
        let (&tag, text) = bytes.split_first().ok_or(SecretRefusal::UnknownForm)?;
        let text = std::str::from_utf8(text).map_err(|_| SecretRefusal::UnknownForm)?;
        match Kind::from_tag(tag).ok_or(SecretRefusal::UnknownForm)? {
            Kind::Verbatim => Self::dangerous_of_any_length(text),
            kind => text.parse::<Self>().and_then(|secret| {
                if secret.kind == kind { Ok(secret) } else { Err(SecretRefusal::UnknownForm) }
            }),
        }
        .map_err(|_| SecretRefusal::UnknownForm)
    }

    /// The text of this kind that stands for these bytes.
    pub(super) fn of(kind: Kind, bytes: &[u8]) -> Self {
        let prefix = kind.prefix();
        // Sized beforehand: a string that grows leaves copies of the secret behind.
        let mut text = String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4);
        text.push_str(prefix);
        STANDARD.encode_string(bytes, &mut text);
        Self { kind, text: Secret::from(text) }
    }

    /// The HMAC key; `None` when this is a half of a key pair.
    pub(super) fn mac_key(&self, key_use: KeyUse) -> Option<Zeroizing<Vec<u8>>> {
        match (self.kind, key_use) {
            (Kind::Standard, KeyUse::Decoded) => self.decoded(),
            (Kind::Standard, KeyUse::Verbatim) | (Kind::Verbatim, _) => {
                Some(Zeroizing::new(self.text.expose().to_vec()))
            }
            (Kind::PrivateKey | Kind::PublicKey, _) => None,
        }
    }

    /// The key of an asymmetric scheme, and which half of a pair it is; `None` when this is an HMAC secret.
    pub(super) fn key(&self) -> Option<(Kind, Zeroizing<Vec<u8>>)> {
        match self.kind {
            Kind::PrivateKey | Kind::PublicKey => self.decoded().map(|key| (self.kind, key)),
            Kind::Standard | Kind::Verbatim => None,
        }
    }

    fn decoded(&self) -> Option<Zeroizing<Vec<u8>>> {
        decode(self.text.expose_text()?.strip_prefix(self.kind.prefix())?).ok()
    }
}

impl FromStr for SigningSecret {
    type Err = SecretRefusal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = Kind::of(text);
        match (kind, text.strip_prefix(kind.prefix()).unwrap_or(text)) {
            (Kind::Standard, base64) => check_length(decode(base64)?.len())?,
            (Kind::PrivateKey, base64) if matches!(decode(base64)?.len(), 32 | 64) => {}
            (Kind::PublicKey, base64) if decode(base64)?.len() == 32 => {}
            (Kind::PrivateKey | Kind::PublicKey, _) => return Err(SecretRefusal::KeyLength),
            (Kind::Verbatim, text) => {
                check_length(text.len())?;
                if text.trim() != text || text.chars().any(char::is_control) {
                    return Err(SecretRefusal::StrayCharacters);
                }
            }
        }
        Ok(Self { kind, text: Secret::from(text) })
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecret({:?}, redacted)", self.kind)
    }
}

impl Kind {
    const ALL: [Self; 4] = [Self::Standard, Self::PrivateKey, Self::PublicKey, Self::Verbatim];

    fn of(text: &str) -> Self {
        let fits = |kind: &Self| text.starts_with(kind.prefix());
        Self::ALL.into_iter().find(fits).unwrap_or(Self::Verbatim)
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Standard => "whsec_",
            Self::PrivateKey => "whsk_",
            Self::PublicKey => "whpk_",
            Self::Verbatim => "",
        }
    }

    // The numbers are kept by stores: a new kind or a new form takes the next one, none is used twice.
    const fn tag(self) -> u8 {
        match self {
            Self::Standard => 1,
            Self::Verbatim => 2,
            Self::PrivateKey => 3,
            Self::PublicKey => 4,
        }
    }

    fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

fn decode(base64: &str) -> Result<Zeroizing<Vec<u8>>, SecretRefusal> {
    LENIENT.decode(base64).map(Zeroizing::new).map_err(|_| SecretRefusal::NotBase64)
}

fn check_length(bytes: usize) -> Result<(), SecretRefusal> {
    if bytes < SigningSecret::MIN_BYTES {
        return Err(SecretRefusal::TooShort { bytes, least: SigningSecret::MIN_BYTES });
    }
    if bytes > SigningSecret::MAX_BYTES {
        return Err(SecretRefusal::TooLong { bytes });
    }
    Ok(())
}

/// Secrets travel by copy and paste, and the padding gets lost.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_secret_is_shown_as_it_was_given() -> Result<(), SecretRefusal> {
        for text in
            [TEXT, "a text that only the two of us know", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]
        {
            assert_eq!(text.parse::<SigningSecret>()?.reveal(), text);
        }
        Ok(())
    }

    #[test]
    fn padding_may_be_missing() -> Result<(), SecretRefusal> {
        let padded = SigningSecret::generate([9; 32]);
        let bare: SigningSecret = padded.reveal().trim_end_matches('=').parse()?;

        assert_ne!(padded.reveal(), bare.reveal());
        assert_eq!(padded.mac_key(KeyUse::Decoded), bare.mac_key(KeyUse::Decoded));
        assert_eq!(bare.mac_key(KeyUse::Decoded).as_deref().map(Vec::as_slice), Some(&[9; 32][..]));
        Ok(())
    }

    #[test]
    fn a_plain_text_has_one_key_in_every_scheme() -> Result<(), SecretRefusal> {
        let given: SigningSecret = "a text that only the two of us know".parse()?;
        let for_libraries: SigningSecret = given.reveal_for_libraries().parse()?;

        assert_eq!(given.mac_key(KeyUse::Decoded), given.mac_key(KeyUse::Verbatim));
        assert_eq!(given.mac_key(KeyUse::Decoded), for_libraries.mac_key(KeyUse::Decoded));
        Ok(())
    }

    #[test]
    fn a_secret_that_cannot_protect_is_refused_with_its_rule() {
        let long = "x".repeat(513);
        let cases: [(&str, &str); 12] = [
            ("", "a secret has at least 24 bytes, this one has 0"),
            ("twenty-three bytes long", "a secret has at least 24 bytes, this one has 23"),
            ("whsec_", "a secret has at least 24 bytes, this one has 0"),
            ("whsec_c2hvcnQ=", "a secret has at least 24 bytes, this one has 5"),
            ("whsec_not base64 at all, whatever it is", "what follows the prefix is base64"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==", "what follows the prefix is base64"),
            ("whsk_AAAA", "a private key has 32 or 64 bytes, a public key 32"),
            ("whpk_AAAA", "a private key has 32 or 64 bytes, a public key 32"),
            (" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a secret neither begins nor ends with a space"),
            ("a text that only the two of us know\n", "a secret neither begins nor ends with a space"),
            ("a text that only\0the two of us know", "a secret neither begins nor ends with a space"),
            (&long, "a secret has at most 512 bytes, this one has 513"),
        ];

        for (text, rule) in cases {
            let problem = text.parse::<SigningSecret>().map_err(|refusal| refusal.problem());

            assert!(matches!(&problem, Err(problem) if problem.field == "secret"), "{text}");
            assert!(
                matches!(&problem, Err(problem) if problem.rule.starts_with(rule)),
                "{text}: {problem:?}"
            );
        }
    }

    #[test]
    fn a_kept_secret_comes_back_and_other_bytes_do_not() -> Result<(), SecretRefusal> {
        let secrets = [
            TEXT.parse()?,
            "a text that only the two of us know".parse()?,
            SigningSecret::dangerous_of_any_length("hush")?,
            SigningSecret::of(Kind::PrivateKey, &[1; 64]),
            SigningSecret::of(Kind::PublicKey, &[1; 32]),
        ];

        for secret in &secrets {
            assert_eq!(&SigningSecret::from_bytes(secret.to_bytes().expose())?, secret);
        }
        for bytes in
            [&b""[..], b"\x01", b"\x02", b"\x01whsec_AAAA", b"\x00text", b"\x09text", b"\x02\xff\xfe"]
        {
            assert_eq!(SigningSecret::from_bytes(bytes), Err(SecretRefusal::UnknownForm));
        }
        let mut relabelled = secrets[0].to_bytes().expose().to_vec();
        relabelled[0] = Kind::PublicKey.tag();
        assert_eq!(SigningSecret::from_bytes(&relabelled), Err(SecretRefusal::UnknownForm));
        Ok(())
    }

    #[test]
    fn base64_without_its_prefix_is_the_same_secret() -> Result<(), SecretRefusal> {
        assert_eq!(SigningSecret::from_base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?, TEXT.parse()?);
        Ok(())
    }
}
