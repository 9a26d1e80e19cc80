//! The words between which arguments of operations choose.

use crate::mapping::spec::described::words;

words! {
    /// One end of a text.
    pub enum Side {
        /// The beginning.
        Start = "start",
        /// The end.
        End = "end",
    }
}

words! {
    /// What becomes of a text that is too long.
    pub enum TooLong {
        /// The step fails.
        Error = "error",
        /// The rest is cut off.
        Cut = "cut",
    }
}

words! {
    /// Which way a sort goes.
    pub enum Order {
        /// The least first.
        Ascending = "ascending",
        /// The greatest first.
        Descending = "descending",
    }
}

words! {
    /// Which way an identity is looked up.
    #[derive(Ord, PartialOrd)]
    pub enum XrefSide {
        /// The host's own id for an external one.
        Internal = "internal",
        /// The external id for one of the host's own.
        External = "external",
    }
}

words! {
    /// What a hash is written in.
    pub enum HashText {
        /// Hexadecimal digits.
        Hex = "hex",
        /// Base64 with padding.
        Base64 = "base64",
    }
}

words! {
    /// What `bool_map` makes of what.
    pub enum BoolWay {
        /// Of true and false the two values.
        ToValue = "to_value",
        /// Of the two values true and false.
        ToBoolean = "to_boolean",
    }
}
