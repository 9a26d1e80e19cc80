//! stub
/// stub
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PayloadFormat;
