//! How one provider signs, as data: what a tenant can add at run time.
//!
//! | file | holds |
//! |---|---|
//! | [`field`] | where in a request something stands: `header:x-id`, `json:/data/id`, … |
//! | [`model`] | the [`Scheme`], and how it checks |
//! | [`reception`] | what is done before and after: methods, answers, handshakes, where things stand in a body |
//! | `check` | which schemes can be used, and what is wrong with the others |

mod check;
pub mod field;
pub mod model;
pub mod reception;

pub use field::{Field, InvalidField, Part, Pointer};
pub use model::{
    Algorithm, Check, KeyEncoding, KeyRule, KeyTransform, Scheme, SignatureFormat, SignatureRule,
    SignatureText, TimestampRule, Unit,
};
pub use reception::{
    Batch, Condition, Envelope, FixedAnswer, Handshake, Moment, Reception, Test, TokenCheck, Trust,
};
