//! The RSA key in an X.509 certificate.

use chrono::{DateTime, NaiveDateTime, Utc};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// A provider's certificate: its RSA key, and when it ends.
///
/// No chain is checked: it is trusted because of the pinned host, asked by TLS, that it comes from.
///
/// ```
/// use crossdock::inbound::Certificate;
///
/// assert!(Certificate::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Certificate {
    key: Vec<u8>,
    not_after: DateTime<Utc>,
}

/// The text is no certificate with an RSA key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the text is no PEM certificate with an RSA key")]
pub struct InvalidCertificate;

/// The digest under a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Digest {
    /// For messages of SNS's first version of signatures alone.
    Sha1,
    Sha256,
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// [`InvalidCertificate`] when there is none, or its key is not RSA.
    pub fn from_pem(pem: &[u8]) -> Result<Self, InvalidCertificate> {
        let der = CertificateDer::from_pem_slice(pem).map_err(|_| InvalidCertificate)?;
        let certificate = webpki::EndEntityCert::try_from(&der).map_err(|_| InvalidCertificate)?;
        let key = rsa_key(&certificate.subject_public_key_info()).ok_or(InvalidCertificate)?;
        let not_after = not_after(&der).ok_or(InvalidCertificate)?;
        Ok(Self { key, not_after })
    }

    /// Whether it has ended by this time: what is signed with its key then is signed by whoever has found the key.
    pub fn has_ended_at(&self, now: DateTime<Utc>) -> bool {
        now > self.not_after
    }

    /// Whether its key has signed the message.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8], digest: Digest) -> bool {
        let parameters: &RsaParameters = match digest {
            Digest::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Digest::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(parameters, &self.key).verify(message, signature).is_ok()
    }
}

/// The RSA key of a SubjectPublicKeyInfo: what is in the bit string behind the algorithm's name.
fn rsa_key(info: &[u8]) -> Option<Vec<u8>> {
    let (SEQUENCE, info, _) = value(info)? else { return None };
    let (SEQUENCE, algorithm, rest) = value(info)? else { return None };
    let (OBJECT_ID, name, _) = value(algorithm)? else { return None };
    let (BIT_STRING, bits, _) = value(rest)? else { return None };
    let (0, key) = bits.split_first()? else { return None };
    (name == RSA_ENCRYPTION).then(|| key.to_vec())
}

/// The end of the validity in a certificate: behind version, serial number, algorithm and issuer.
fn not_after(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let (SEQUENCE, certificate, _) = value(certificate)? else { return None };
    let (SEQUENCE, mut rest, _) = value(certificate)? else { return None };
    for _ in 0..4 {
        (_, _, rest) = value(rest)?;
    }
    let (SEQUENCE, times, _) = value(rest)? else { return None };
    let (_, _, rest) = value(times)?;
    let (tag, not_after, _) = value(rest)?;
    time(tag, not_after)
}

fn time(tag: u8, text: &[u8]) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(text).ok()?;
    let full = match tag {
        // RFC 5280, section 4.1.2.5.1: two digits of the year, from 1950 on.
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    // The parser alone would take fewer digits.
    let time = NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%SZ").ok()?;
    (full.len() == "YYYYMMDDHHMMSSZ".len()).then(|| time.and_utc())
}

/// One DER value: its tag, its content, and what is behind it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// 1.2.840.113549.1.1.1
const RSA_ENCRYPTION: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_der_value_ends_where_it_says() {
        assert_eq!(value(&[0x30, 2, 1, 2, 3]), Some((0x30, &[1, 2][..], &[3][..])));
        assert_eq!(value(&[0x30, 0x81, 1, 7]), Some((0x30, &[7][..], &[][..])));
        for der in [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x80], &[0x30, 0x84, 0, 0, 0, 0], &[0x30, 0x82, 1]]
        {
            assert_eq!(value(der), None, "{der:?}");
        }
    }

    #[test]
    fn a_year_has_two_digits_or_four() {
        let read = |tag, text: &str| time(tag, text.as_bytes()).map(|time| time.timestamp());

        assert_eq!(read(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, "491231235959Z"), read(GENERALIZED_TIME, "20491231235959Z"));
        for text in ["", "7", "700101000000", "70010100000Z", "x00101000000Z"] {
            assert_eq!(read(UTC_TIME, text), None, "{text}");
        }
    }
}
