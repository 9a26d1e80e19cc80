//! Enums without fields as words: one table says both ways.

/// A value that has a word, which logs, listings and stores use alike.
pub(crate) trait Word: Sized {
    /// The word.
    fn word(&self) -> &'static str;

    /// What the word stands for.
    fn from_word(word: &str) -> Option<Self>;
}

/// Gives an enum its words: `as_str`, and the way back for stores.
macro_rules! words {
    ($name:ty { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word that logs and listings use.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl $crate::primitives::stored::word::Word for $name {
            fn word(&self) -> &'static str {
                self.as_str()
            }

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use words;
