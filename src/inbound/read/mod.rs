//! Reads single texts out of a request without building anything of it: the bytes stay as they came.
//!
//! | file | reads |
//! |---|---|
//! | `json` | a pointer's value, or an array's elements, as slices of the body |
//! | `form` | a field of a form or a query |
//! | `time` | digits and RFC 3339 |
//! | `places` | whatever a [`Field`](crate::inbound::Field) names |

pub(in crate::inbound) mod form;
pub(in crate::inbound) mod json;
pub(in crate::inbound) mod places;
pub(in crate::inbound) mod time;
