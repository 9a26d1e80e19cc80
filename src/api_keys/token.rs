//! The token: how it is minted, taken apart, recognised and shown.
//!
//! `<app>_<env>_<id>_<secret><crc>`, one word for a double click:
//!
//! | part | is |
//! |---|---|
//! | app | the host's prefix, such as `cd` |
//! | env | `live` or `test` |
//! | id | 16 base62 characters, public: what a key is looked up by |
//! | secret | 43 base62 characters: 256 bits |
//! | crc | 6 base62 characters: CRC-32 over all that stands before |

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::primitives::secret::Secret;
use crate::primitives::stored::word::words;

/// How the tokens of one host look: all of them begin with its prefix.
///
/// ```
/// use crossdock::api_keys::{Environment, PublicId, TokenForm};
///
/// let form = TokenForm::new("acme")?;
/// let token = form.mint(Environment::Live, PublicId::mint([7; 16]), &[7; 32]);
///
/// assert!(token.reveal().starts_with("acme_live_"));
/// assert_eq!(form.parse(token.reveal().as_bytes())?.id(), PublicId::mint([7; 16]));
/// assert_eq!(form.pattern(), r"\bacme_(live|test)_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}\b");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenForm {
    prefix: Arc<str>,
}

/// The text is not a prefix of tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a prefix of tokens is 2 to 16 lower-case letters and digits and begins with a letter")]
pub struct InvalidPrefix;

/// The public part of a token: 16 base62 characters, by which its key is looked up.
///
/// ```
/// use crossdock::api_keys::PublicId;
///
/// let id: PublicId = "rE7s0Kx2Qp9ZbA1c".parse()?;
///
/// assert_eq!(id.to_string(), "rE7s0Kx2Qp9ZbA1c");
/// # Ok::<(), crossdock::api_keys::InvalidPublicId>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicId([u8; Self::LENGTH]);

/// The text is not the public part of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the public part of a token is 16 characters of 0-9, A-Z and a-z")]
pub struct InvalidPublicId;

/// Which of a host's worlds a key opens: the real one, or the one to try things in. The token says so, for people to see.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Environment {
    /// The real one.
    #[default]
    Live,
    /// The one to try things in.
    Test,
}

/// A token that was taken apart. Its checksum is right; whether the secret is, only the store knows.
#[derive(Clone, Copy)]
pub struct Token<'t> {
    environment: Environment,
    id: PublicId,
    secret: &'t [u8],
}

/// Why a text is no token of this host. It says so without looking anything up.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// Another length, another prefix, or a character that has no business there.
    #[error("the text has not the form of a token")]
    Shape,
    /// It looks like a token, but a character is wrong.
    #[error("the token's checksum is wrong: a character is missing or was mistyped")]
    Checksum,
}

/// A new token, to be shown once: nothing that is stored can bring it back.
///
/// ```
/// use crossdock::api_keys::{Environment, PublicId, TokenForm};
///
/// let token = TokenForm::new("cd")?.mint(Environment::Test, PublicId::mint([1; 16]), &[2; 32]);
///
/// assert_eq!(token.reveal().len(), 74);
/// assert_eq!(format!("{token:?}"), "TokenOnce(redacted)");
/// # Ok::<(), crossdock::api_keys::InvalidPrefix>(())
/// ```
#[derive(Clone)]
pub struct TokenOnce(Secret);

impl TokenForm {
    /// The form with this prefix.
    ///
    /// # Errors
    /// The prefix is not 2 to 16 lower-case letters and digits, a letter first.
    pub fn new(prefix: &str) -> Result<Self, InvalidPrefix> {
        let fits = (2..=16).contains(&prefix.len())
            && prefix.starts_with(|first: char| first.is_ascii_lowercase())
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits { Ok(Self { prefix: prefix.into() }) } else { Err(InvalidPrefix) }
    }

    /// What every token begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The regular expression to register with secret scanners. A match is a token if its checksum is right.
    pub fn pattern(&self) -> String {
        format!(r"\b{}_(live|test)_[0-9A-Za-z]{{16}}_[0-9A-Za-z]{{49}}\b", self.prefix)
    }

    /// Makes a token of 256 random bits.
    pub fn mint(&self, environment: Environment, id: PublicId, random: &[u8; 32]) -> TokenOnce {
        let mut text = Vec::with_capacity(self.prefix.len() + BEHIND_PREFIX);
        text.extend_from_slice(self.prefix.as_bytes());
        text.push(b'_');
        text.extend_from_slice(environment.as_str().as_bytes());
        text.push(b'_');
        text.extend_from_slice(&id.0);
        text.push(b'_');
        text.extend_from_slice(&base62_of(random));
        let checksum = checksum(&text);
        text.extend_from_slice(&checksum);
        TokenOnce(Secret::new(text))
    }

    /// Takes a token apart, without a look-up and without allocating.
    ///
    /// # Errors
    /// The text has not the form of a token of this host, or its checksum is wrong.
    #[inline]
    pub fn parse<'t>(&self, text: &'t [u8]) -> Result<Token<'t>, TokenRefusal> {
        let start = self.prefix.len();
        // The length alone refuses most of what is none.
        if text.len() != start + BEHIND_PREFIX || !text.starts_with(self.prefix.as_bytes()) {
            return Err(TokenRefusal::Shape);
        }
        let (before, rest) = text.split_at(text.len() - CHECKSUM);
        let tail = &before[start..];
        let environment = match &tail[..ID_AT] {
            b"_live_" => Environment::Live,
            b"_test_" => Environment::Test,
            _ => return Err(TokenRefusal::Shape),
        };
        let (id, secret) = (&tail[ID_AT..SEPARATOR_AT], &tail[SEPARATOR_AT + 1..]);
        let is_well_formed =
            tail[SEPARATOR_AT] == b'_' && is_base62(id) && is_base62(secret) && is_base62(rest);
        let (true, Ok(id)) = (is_well_formed, id.try_into()) else { return Err(TokenRefusal::Shape) };
        if checksum(before) != rest {
            return Err(TokenRefusal::Checksum);
        }
        Ok(Token { environment, id: PublicId(id), secret })
    }
}

impl PublicId {
    /// How many characters it has.
    pub const LENGTH: usize = 16;

    /// A new public id of these random bytes.
    pub fn mint(random: [u8; 16]) -> Self {
        // 62^16 is just below 2^96; of 128 random bits the remainder is even enough for something that is public.
        let mut rest = u128::from_be_bytes(random);
        let mut text = [0; Self::LENGTH];
        for slot in text.iter_mut().rev() {
            *slot = BASE62[(rest % 62) as usize];
            rest /= 62;
        }
        Self(text)
    }

    /// A number that spreads ids evenly.
    #[inline]
    pub(crate) fn spread(&self) -> usize {
        // The last digits of a random number, each of 62 values.
        usize::from(self.0[15]) + 62 * usize::from(self.0[14])
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for PublicId {
    type Err = InvalidPublicId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes().try_into() {
            Ok(bytes) if is_base62(text.as_bytes()) => Ok(Self(bytes)),
            _ => Err(InvalidPublicId),
        }
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicId({self})")
    }
}

words!(Environment {
    Live => "live",
    Test => "test",
});

impl<'t> Token<'t> {
    /// Which world it opens.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// What its key is looked up by.
    pub fn id(&self) -> PublicId {
        self.id
    }

    /// The secret's characters.
    pub(crate) fn secret(&self) -> &'t [u8] {
        self.secret
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("environment", &self.environment)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl TokenOnce {
    /// The token. Every call of this is a place to look at.
    pub fn reveal(&self) -> &str {
        self.0.expose_text().unwrap_or_default()
    }

    /// The secret's characters.
    pub(crate) fn secret(&self) -> &[u8] {
        let text = self.0.expose();
        &text[text.len() - CHECKSUM - SECRET..text.len() - CHECKSUM]
    }

    /// How the key is shown from now on, such as `cd_live_rE7s…2ms3`: four characters of the public id, and the last four,
    /// which belong to the checksum.
    pub fn display_form(&self) -> String {
        let text = self.reveal();
        let shown = text.len().saturating_sub(BEHIND_PREFIX) + ID_AT + 4;
        format!(
            "{}…{}",
            text.get(..shown).unwrap_or_default(),
            text.get(text.len().saturating_sub(4)..).unwrap_or_default()
        )
    }
}

impl fmt::Debug for TokenOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenOnce(redacted)")
    }
}

/// CRC-32 as base62, with leading zeros.
#[inline]
fn checksum(text: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(text);
    let mut digits = [0; CHECKSUM];
    for slot in digits.iter_mut().rev() {
        *slot = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// 256 bits as 43 digits: another number for every input, because 62^43 is more than 2^256.
fn base62_of(bytes: &[u8; 32]) -> [u8; SECRET] {
    let mut number: [u32; 8] = std::array::from_fn(|limb| {
        u32::from_be_bytes([bytes[4 * limb], bytes[4 * limb + 1], bytes[4 * limb + 2], bytes[4 * limb + 3]])
    });
    let mut digits = [0; SECRET];
    for slot in digits.iter_mut().rev() {
        let mut remainder = 0_u64;
        for limb in &mut number {
            let value = (remainder << 32) | u64::from(*limb);
            // The remainder is below 62, so the quotient fits into 32 bits.
            *limb = (value / 62) as u32;
            remainder = value % 62;
        }
        *slot = BASE62[remainder as usize];
    }
    digits
}

#[inline]
fn is_base62(text: &[u8]) -> bool {
    // Without a way out in the middle it is a few wide instructions.
    text.iter().fold(true, |so_far, byte| so_far & byte.is_ascii_alphanumeric())
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
/// Behind the prefix stand `_live_`, the id, `_`, the secret and the checksum.
const ID_AT: usize = 6;
const SEPARATOR_AT: usize = ID_AT + PublicId::LENGTH;
const BEHIND_PREFIX: usize = SEPARATOR_AT + 1 + SECRET + CHECKSUM;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn form() -> TokenForm {
        TokenForm::new("cd").expect("a prefix")
    }

    fn token() -> String {
        form().mint(Environment::Live, PublicId::mint([7; 16]), &[0xAB; 32]).reveal().to_owned()
    }

    #[test]
    fn a_token_looks_like_this() {
        insta::assert_snapshot!(token(), @"cd_live_Ov2l6AkSp3WsPxY7_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup2JztSa");
    }

    #[test]
    fn its_display_form_shows_the_beginning_and_the_end() {
        let token = form().mint(Environment::Live, PublicId::mint([7; 16]), &[0xAB; 32]);

        let (shown, text) = (token.display_form(), token.reveal());

        assert_eq!(shown, format!("{}…{}", &text[..12], &text[70..]));
        assert!(!text[23..66].contains(&shown[shown.len() - 4..]), "nothing of the secret is shown");
    }

    #[test]
    fn the_checksum_is_crc_32_over_all_that_stands_before() {
        // The check value of CRC-32/ISO-HDLC: https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-32-iso-hdlc
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
        assert_eq!(&checksum(b""), b"000000");
    }

    #[test]
    fn numbers_are_written_in_base_62() {
        let small = |number: u8| {
            let mut bytes = [0; 32];
            bytes[31] = number;
            base62_of(&bytes)
        };

        assert!(small(0).iter().all(|digit| *digit == b'0'));
        assert_eq!(&small(61)[41..], b"0z");
        assert_eq!(&small(62)[41..], b"10");
        assert_ne!(base62_of(&[0xFF; 32])[0], b'0', "all 43 digits are needed");
    }

    #[test]
    fn every_single_character_counts() {
        let token = token();
        let mut refused = 0;
        for at in 0..token.len() {
            for other in 0..=u8::MAX {
                let mut changed = token.clone().into_bytes();
                if changed[at] == other {
                    continue;
                }
                changed[at] = other;
                assert!(form().parse(&changed).is_err(), "{other} at {at}");
                refused += 1;
            }
        }
        assert_eq!(refused, 74 * 255);
    }

    #[test]
    fn neighbours_that_change_places_are_noticed() {
        let token = token().into_bytes();
        for at in 1..token.len() {
            let mut swapped = token.clone();
            swapped.swap(at - 1, at);
            assert_eq!(form().parse(&swapped).is_ok(), swapped == token, "{at}");
        }
    }

    #[test]
    fn no_other_length_is_a_token() {
        let token = token();
        for length in 0..token.len() {
            assert_eq!(
                form().parse(&token.as_bytes()[..length]).err(),
                Some(TokenRefusal::Shape),
                "{length}"
            );
            assert!(form().parse(&token.as_bytes()[token.len() - length..]).is_err(), "{length}");
        }
        for length in (token.len() + 1..300).chain([65_536]) {
            let longer = token.bytes().cycle().take(length).collect::<Vec<_>>();
            assert_eq!(form().parse(&longer).err(), Some(TokenRefusal::Shape), "{length}");
        }
    }

    #[test]
    fn tokens_of_others_are_none_of_ours() {
        let other = TokenForm::new("ce").expect("a prefix");

        assert_eq!(other.parse(token().as_bytes()).err(), Some(TokenRefusal::Shape));
    }

    #[test]
    fn a_prefix_is_short_and_plain() {
        for (prefix, fits) in [
            ("cd", true),
            ("acme2", true),
            ("a234567890123456", true),
            ("", false),
            ("c", false),
            ("a2345678901234567", false),
            ("2d", false),
            ("Cd", false),
            ("c_d", false),
            ("cé", false),
        ] {
            assert_eq!(TokenForm::new(prefix).is_ok(), fits, "{prefix}");
        }
    }

    #[test]
    fn a_public_id_is_sixteen_characters() {
        for text in ["", "rE7s0Kx2Qp9ZbA1", "rE7s0Kx2Qp9ZbA1cc", "rE7s0Kx2Qp9ZbA1_", "rE7s0Kx2Qp9Zbé1"] {
            assert!(text.parse::<PublicId>().is_err(), "{text}");
        }
        let many: BTreeSet<_> = (0..100_u8).map(|seed| PublicId::mint([seed; 16])).collect();
        assert_eq!(many.len(), 100);
    }

    proptest! {
        #[test]
        fn what_is_minted_is_parsed(random: [u8; 32], id: [u8; 16], test: bool) {
            let environment = if test { Environment::Test } else { Environment::Live };
            let id = PublicId::mint(id);
            let token = form().mint(environment, id, &random);

            let parsed = form().parse(token.reveal().as_bytes())?;

            prop_assert_eq!((parsed.environment(), parsed.id()), (environment, id));
            prop_assert_eq!(parsed.secret(), &base62_of(&random)[..]);
            prop_assert_eq!(token.secret(), parsed.secret());
            let shown = format!("{parsed:?}");
            prop_assert!(!shown.contains(std::str::from_utf8(parsed.secret())?), "{}", shown);
        }

        #[test]
        fn other_bits_are_another_secret(one: [u8; 32], other: [u8; 32]) {
            prop_assert_eq!(base62_of(&one) == base62_of(&other), one == other);
        }

        #[test]
        fn no_input_panics(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(form().parse(&input).is_err());
        }

        #[test]
        fn no_damage_panics(at in 0..74_usize, with in proptest::collection::vec(any::<u8>(), 0..6)) {
            let mut text = token().into_bytes();
            let end = (at + with.len()).min(text.len());
            text.splice(at..end, with);
            let parsed = form().parse(&text).is_ok();
            prop_assert_eq!(parsed, text == token().as_bytes());
        }
    }
}
