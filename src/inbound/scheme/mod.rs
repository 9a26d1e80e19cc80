//! How one provider signs, as data: what a tenant can add at run time.
//!
//! | file | holds |
//! |---|---|
//! | [`field`] | where in a request something stands: `header:x-id`, `json:/data/id`, … |
//! | [`model`] | the [`Scheme`] and its parts |
//! | `check` | which schemes can be used, and what is wrong with the others |

mod check;
pub mod field;
pub mod model;

pub use field::{Field, InvalidField, Part, Pointer};
pub use model::{
    Algorithm, Batch, Check, Condition, Envelope, FixedAnswer, Handshake, KeyEncoding, KeyRule, KeyTransform,
    Moment, Reception, Scheme, SignatureFormat, SignatureRule, SignatureText, Test, TimestampRule,
    TokenCheck, Trust, Unit,
};
