//! stub
/// stub
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureScheme;
