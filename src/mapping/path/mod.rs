//! Paths: where a value is taken from, and where it is written to.
//!
//! A source path is a singular query of RFC 9535 without the leading `$`, such as `shipping_address.lines[0]`, with three
//! things more. `$.` at the beginning is the root of the record, `^.` the parent element, `@` the element itself. And
//! `[name='x']`, which RFC 9535 writes `[?@.name=='x']`, is the one element whose `name` is `x`.
//!
//! A target path has names only; `['customer.name']` is one name with a dot in it.
//!
//! | module | decides |
//! |---|---|
//! | `model` | what a path is made of |
//! | `read` | which texts are paths, and what is wrong with the others |
//! | `write` | the text of a path |

mod model;
mod read;
mod write;

pub use model::{InvalidPath, Origin, Segment, SourcePath, TargetPath};

#[cfg(test)]
mod tests;
