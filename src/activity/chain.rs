//! How a tenant's administrative entries hang together: each holds the hash of the one before it, so that none can be altered,
//! inserted, moved or cut without the others showing it.
//!
//! # Encoding 1
//! All numbers are big-endian. A text is its length in bytes as 8 bytes, then its UTF-8. The hash is SHA-256.
//!
//! - The entry's digest is the hash of `crossdock.activity.entry.1`, a zero byte, then as texts: id, tenant; the time as 8 bytes of
//!   seconds since 1970 and 4 bytes of nanoseconds; as texts: actor, role, kind, subject; the number of details as 8 bytes, and for
//!   each, in the order of their names' bytes, name and value as texts.
//! - The link's hash is the hash of `crossdock.activity.link.1`, a zero byte, the sequence number as 8 bytes, the hash of the link
//!   before as 32 bytes, and the entry's digest as 32 bytes.
//!
//! The first link has the number 1, and 32 zero bytes before it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::activity::model::Activity;
use crate::primitives::id::ActivityId;

/// A hash in a chain: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChainHash([u8; 32]);

/// How a link's hash was made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ChainEncoding {
    /// As [the module](self) says.
    V1,
    /// In a way that this version of the crate does not know.
    Unknown(u16),
}

/// The place of an entry in its tenant's chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// How its hash was made.
    pub encoding: ChainEncoding,
    /// Its number: the first entry has 1, and none is left out.
    pub sequence: u64,
    /// The hash of the link before it.
    pub previous: ChainHash,
    /// Its own hash.
    pub hash: ChainHash,
}

/// An entry as a store keeps it in its chain.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChainEntry {
    /// Names the entry.
    pub id: ActivityId,
    /// Its place.
    pub link: Link,
    /// What it says; `None` if what is kept cannot be read back, or contradicts itself.
    pub entry: Option<Activity>,
}

/// Where a page of a chain ends: the next one begins behind it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct ChainPlace {
    /// The last entry's number.
    pub sequence: u64,
    /// The last entry: numbers can only be there twice where somebody has put them there.
    pub id: ActivityId,
}

/// One link, by number and hash: all entries up to it are as they were when it was taken, if the chain still holds it.
///
/// Written as text it is what a host keeps apart from the store, because whoever can write everything in the store can also write
/// a new chain.
///
/// ```
/// use crossdock::activity::ChainAnchor;
///
/// let text = "v1.0.0000000000000000000000000000000000000000000000000000000000000000";
///
/// assert_eq!(text.parse::<ChainAnchor>()?, ChainAnchor::BEGINNING);
/// assert_eq!(ChainAnchor::BEGINNING.to_string(), text);
/// # Ok::<(), crossdock::activity::InvalidAnchor>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ChainAnchor {
    sequence: u64,
    hash: ChainHash,
}

/// The text is not an anchor that this crate has given out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an anchor is `v1`, a number and 64 hexadecimal digits, with points between them")]
pub struct InvalidAnchor;

/// Where a chain begins and ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChainEnds {
    /// The last link that retention has dropped; [`ChainAnchor::BEGINNING`] if it has dropped none.
    pub base: ChainAnchor,
    /// The last link that was made; [`ChainAnchor::BEGINNING`] if none was.
    pub head: ChainAnchor,
}

impl ChainHash {
    /// What stands before the first link.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of these 32 bytes, as a store has kept them.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash of these bytes, as a store has kept them. What does not have 32 bytes is no hash that was ever made, and reads as
    /// [`ZERO`](Self::ZERO): a damaged row is found by the verification instead of ending it.
    pub fn from_stored(bytes: &[u8]) -> Self {
        bytes.try_into().map_or(Self::ZERO, Self)
    }

    /// What a store keeps.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl ChainEncoding {
    /// How links are made now.
    pub const PRESENT: Self = Self::V1;

    /// What a store keeps.
    pub const fn number(self) -> u16 {
        match self {
            Self::V1 => 1,
            Self::Unknown(number) => number,
        }
    }

    /// What a store has kept.
    pub const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::V1,
            other => Self::Unknown(other),
        }
    }
}

impl Link {
    /// A link as a store has kept it.
    pub const fn new(encoding: ChainEncoding, sequence: u64, previous: ChainHash, hash: ChainHash) -> Self {
        Self { encoding, sequence, previous, hash }
    }

    /// The link that an entry with this digest gets behind the present head.
    #[must_use]
    pub fn behind(head: ChainAnchor, digest: ChainHash) -> Self {
        let (sequence, previous) = (head.sequence + 1, head.hash);
        let hash = link_hash(sequence, previous, digest);
        Self { encoding: ChainEncoding::PRESENT, sequence, previous, hash }
    }

    /// The link by number and hash.
    pub const fn anchor(&self) -> ChainAnchor {
        ChainAnchor { sequence: self.sequence, hash: self.hash }
    }
}

impl ChainEntry {
    /// An entry as a store has kept it.
    pub const fn new(id: ActivityId, link: Link, entry: Option<Activity>) -> Self {
        Self { id, link, entry }
    }

    /// Where it stands.
    pub const fn place(&self) -> ChainPlace {
        ChainPlace { sequence: self.link.sequence, id: self.id }
    }
}

impl ChainPlace {
    /// The place of this entry.
    pub const fn new(sequence: u64, id: ActivityId) -> Self {
        Self { sequence, id }
    }
}

impl ChainAnchor {
    /// Before the first link.
    pub const BEGINNING: Self = Self { sequence: 0, hash: ChainHash::ZERO };

    /// The link with this number and hash.
    pub const fn new(sequence: u64, hash: ChainHash) -> Self {
        Self { sequence, hash }
    }

    /// The link's number.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The link's hash.
    pub const fn hash(&self) -> ChainHash {
        self.hash
    }
}

impl fmt::Display for ChainAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{}", self.sequence, self.hash)
    }
}

impl FromStr for ChainAnchor {
    type Err = InvalidAnchor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("v1.").ok_or(InvalidAnchor)?;
        let (number, digits) = rest.split_once('.').ok_or(InvalidAnchor)?;
        let sequence: u64 = number.parse().map_err(|_| InvalidAnchor)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| InvalidAnchor)?;
        let anchor = Self { sequence, hash: ChainHash(bytes) };
        // One text for each anchor: no signs, no leading zeros, no capitals.
        if anchor.to_string() == text { Ok(anchor) } else { Err(InvalidAnchor) }
    }
}

impl ChainEnds {
    /// The ends as a store has kept them.
    pub const fn new(base: ChainAnchor, head: ChainAnchor) -> Self {
        Self { base, head }
    }
}

impl Default for ChainEnds {
    fn default() -> Self {
        Self::new(ChainAnchor::BEGINNING, ChainAnchor::BEGINNING)
    }
}

impl Activity {
    /// The hash of everything that the entry says, in the present [encoding](crate::activity::chain).
    pub fn digest(&self) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(b"crossdock.activity.entry.1\0");
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        text(&self.id.to_string());
        text(self.tenant.as_str());
        hash.update(self.at.timestamp().to_be_bytes());
        hash.update(self.at.timestamp_subsec_nanos().to_be_bytes());
        let mut text = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        text(&self.actor);
        text(self.role.as_str());
        text(self.kind.as_str());
        text(self.subject.as_str());
        hash.update((self.details.len() as u64).to_be_bytes());
        for text in self.details.iter().flat_map(|(name, value)| [name.as_ref(), value]) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        ChainHash(hash.finalize().into())
    }
}

/// The hash of a link in encoding 1.
pub(crate) fn link_hash(sequence: u64, previous: ChainHash, digest: ChainHash) -> ChainHash {
    let hash = Sha256::new()
        .chain_update(b"crossdock.activity.link.1\0")
        .chain_update(sequence.to_be_bytes())
        .chain_update(previous.0)
        .chain_update(digest.0);
    ChainHash(hash.finalize().into())
}
