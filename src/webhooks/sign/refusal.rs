//! Why a secret or a scheme is not taken, and what to do about it.

use crate::error::Problem;

/// Why a text is not a signing secret.
///
/// ```
/// use crossdock::webhooks::SigningSecret;
///
/// let refusal = "hush".parse::<SigningSecret>().unwrap_err();
///
/// assert_eq!(refusal.to_string(), "a secret has at least 24 bytes, this one has 4");
/// assert_eq!(refusal.problem().field, "secret");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretRefusal {
    /// Too few bytes: it could be guessed.
    #[error("a secret has at least {least} bytes, this one has {bytes}")]
    TooShort {
        /// How many there are.
        bytes: usize,
        /// How many there must be.
        least: usize,
    },
    /// Too many bytes.
    #[error("a secret has at most 512 bytes, this one has {bytes}")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// The prefix says base64, and it is not.
    #[error("what follows the prefix is base64 of the standard alphabet")]
    NotBase64,
    /// A space or line break around it, or a control character within.
    #[error("a secret neither begins nor ends with a space, and holds no control character")]
    StrayCharacters,
    /// `whsk_…` or `whpk_…` of a wrong length.
    #[error("a private key has 32 or 64 bytes, a public key 32")]
    KeyLength,
    /// What a store gave back was not made by [`to_bytes`](crate::webhooks::SigningSecret::to_bytes).
    #[error("the stored form of this secret is unknown")]
    UnknownForm,
}

/// Why signature schemes are not taken, alone or together, or do not go with the secrets.
///
/// ```
/// use crossdock::webhooks::SignatureScheme;
///
/// let refusal = SignatureScheme::hmac_hex("content-length").unwrap_err();
///
/// assert_eq!(refusal.problem().field, "schemes.header");
/// assert_eq!(refusal.to_string(), "the header `content-length` belongs to HTTP or to the engine");
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeRefusal {
    /// There is no scheme at all.
    #[error("every request is signed by at least one scheme")]
    NoScheme,
    /// More schemes than anybody needs.
    #[error("{schemes} schemes stand side by side, at most {most} may")]
    TooManySchemes {
        /// How many were given.
        schemes: usize,
        /// How many may be given.
        most: usize,
    },
    /// Not the name of a header.
    #[error("`{name}` is not the name of a header")]
    BadHeader {
        /// What was given.
        name: String,
    },
    /// A header that has a meaning already.
    #[error("the header `{name}` belongs to HTTP or to the engine")]
    ReservedHeader {
        /// What was given.
        name: String,
    },
    /// Two schemes write the same header, or one of them the same header twice.
    #[error("two signatures would stand in the header `{name}`")]
    SharedHeader {
        /// Which header.
        name: String,
    },
    /// A prefix that a header cannot carry.
    #[error("a prefix is at most 64 visible ASCII characters")]
    BadPrefix,
    /// Names in a list such as `t=…,v1=…` that cannot be told apart.
    #[error("a list has two different names of letters and digits, and `,` or `;` between its items")]
    BadList,
    /// The template signs no body.
    #[error("a template contains `{{body}}`")]
    NoBody,
    /// The template holds a placeholder twice.
    #[error("a template contains `{{{name}}}` only once")]
    RepeatedPlaceholder {
        /// Which one.
        name: String,
    },
    /// The template holds a placeholder that means nothing, or a stray brace.
    #[error("a template knows `{{body}}`, `{{timestamp}}`, `{{id}}` and `{{url}}`, not `{text}`")]
    UnknownPlaceholder {
        /// What was found.
        text: String,
    },
    /// The template leaves open where the id ends.
    #[error("in a template a character stands between `{{id}}` and its neighbours")]
    IdNotDelimited,
    /// The template's own text is too long or not printable.
    #[error("a template is at most 256 visible ASCII characters, spaces and line feeds")]
    BadTemplateText,
    /// A timestamp is sent, and anybody could change it.
    #[error("the timestamp is sent but not signed")]
    TimestampNotSigned,
    /// A scheme finds no secret of the kind it needs.
    #[error("no secret is of the kind that the scheme needs: {needs}")]
    NoSecret {
        /// What would do.
        needs: &'static str,
    },
    /// More live secrets than one header can list.
    #[error("at most {most} secrets are live at a time, here are {secrets}")]
    TooManySecrets {
        /// How many there are.
        secrets: usize,
        /// How many there may be.
        most: usize,
    },
    /// The two halves of a private key do not belong together, or the public key is no usable point.
    #[error("the key is not a usable ed25519 key")]
    BadKey,
    /// This build knows no asymmetric algorithm.
    #[error("ed25519 signatures are not part of this build")]
    Ed25519Missing,
}

impl SecretRefusal {
    /// The same as field, rule and fix.
    pub fn problem(&self) -> Problem {
        let fix = match self {
            Self::TooShort { .. } => "leave the secret out to have a strong one made",
            Self::TooLong { .. } => "use 32 random bytes",
            Self::NotBase64 => "copy the whole secret, with nothing before or behind it",
            Self::StrayCharacters => "remove the spaces and line breaks",
            Self::KeyLength => "copy the whole key, with nothing before or behind it",
            Self::UnknownForm => "rotate the secret",
        };
        Problem::new("secret", self.to_string(), fix)
    }
}

impl SchemeRefusal {
    /// The same as field, rule and fix.
    pub fn problem(&self) -> Problem {
        let (field, fix) = match self {
            Self::NoScheme => ("schemes", "use `standard`"),
            Self::TooManySchemes { .. } => ("schemes", "keep those that a receiver still checks"),
            Self::BadHeader { .. } => {
                ("schemes.header", "use letters, digits and hyphens, such as `x-acme-signature`")
            }
            Self::ReservedHeader { .. } => {
                ("schemes.header", "use a name of your own, such as `x-acme-signature`")
            }
            Self::SharedHeader { .. } => ("schemes.header", "give every scheme a header of its own"),
            Self::BadPrefix => ("schemes.prefix", "use a prefix such as `sha256=`"),
            Self::BadList => ("schemes.list", "use names such as `t` and `v1`"),
            Self::NoBody => ("schemes.template", "add `{body}`"),
            Self::RepeatedPlaceholder { .. } => ("schemes.template", "remove the second one"),
            Self::UnknownPlaceholder { .. } => {
                ("schemes.template", "use a template such as `{timestamp}.{body}`")
            }
            Self::IdNotDelimited => ("schemes.template", "use a template such as `{id}.{timestamp}.{body}`"),
            Self::BadTemplateText => ("schemes.template", "use a template such as `{timestamp}.{body}`"),
            Self::TimestampNotSigned => ("schemes.template", "add `{timestamp}`, as in `{timestamp}.{body}`"),
            Self::NoSecret { .. } => ("secret", "add such a secret, or remove the scheme"),
            Self::TooManySecrets { .. } => ("secret", "let the oldest one end before rotating again"),
            Self::BadKey => ("secret", "copy the whole key, with nothing before or behind it"),
            Self::Ed25519Missing => ("schemes", "switch on the feature `ed25519`, or use `standard`"),
        };
        Problem::new(field, self.to_string(), fix)
    }
}
