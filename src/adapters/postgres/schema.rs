//! The schema that everything stands in, and the statements as they read there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Problem, Result};

/// A schema's name, and the statements that were written for it.
///
/// Drivers keep a statement's text for as long as a connection lives, and one of the versions of sqlx that are served takes no
/// other text than a `'static` one: so a process writes each statement once for each name, and keeps it.
#[derive(Clone, Copy)]
pub(super) struct Schema(&'static Interned);

struct Interned {
    name: &'static str,
    texts: Mutex<BTreeMap<&'static str, &'static str>>,
}

impl Schema {
    /// The one that the statements in this folder are written for.
    pub(super) fn usual() -> Self {
        Self(&ORDINARY)
    }

    /// The schema of this name.
    ///
    /// # Errors
    /// `Invalid` for a name that is none.
    pub(super) fn named(name: &str) -> Result<Self> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit());
        if name.is_empty() || name.len() > LONGEST || !is_name || name.starts_with("pg_") {
            let rule =
                format!("a schema's name is 1 to {LONGEST} lower-case letters, digits and underscores");
            let problem = Problem::new("schema", rule, "give a name such as `crossdock`");
            return Err(Error::invalid("choose the schema of a store", [problem]));
        }
        if name == USUAL {
            return Ok(Self::usual());
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = known.get(name) {
            return Ok(*schema);
        }
        let name: &'static str = Box::leak(name.into());
        let schema = Self(Box::leak(Box::new(Interned { name, texts: Mutex::default() })));
        known.insert(name, schema);
        Ok(schema)
    }

    pub(super) fn name(self) -> &'static str {
        self.0.name
    }

    /// A statement that was written for the usual name, as it reads for this one.
    pub(super) fn sql(self, usual: &'static str) -> &'static str {
        if self.0.name == USUAL {
            return usual;
        }
        let mut texts = self.0.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.entry(usual).or_insert_with(|| {
            let text = usual.replace(&format!("\"{USUAL}\""), &format!("\"{}\"", self.0.name));
            Box::leak(text.into_boxed_str())
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

static ORDINARY: Interned = Interned { name: USUAL, texts: Mutex::new(BTreeMap::new()) };
static KNOWN: Mutex<BTreeMap<&'static str, Schema>> = Mutex::new(BTreeMap::new());
/// What the statements in this folder say.
pub(super) const USUAL: &str = "crossdock";
/// A name may be longer in PostgreSQL, but locks and indexes are named after it.
const LONGEST: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_written_once_for_each_name() -> Result<()> {
        const TEXT: &str = r#"SELECT 1 FROM "crossdock".lane"#;
        let other = Schema::named("billing_hooks")?;

        let text = other.sql(TEXT);

        assert_eq!(text, r#"SELECT 1 FROM "billing_hooks".lane"#);
        assert_eq!(text.as_ptr(), Schema::named("billing_hooks")?.sql(TEXT).as_ptr());
        assert_eq!(Schema::named(USUAL)?.sql(TEXT).as_ptr(), TEXT.as_ptr());
        Ok(())
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        for name in ["", "a\"b", "A", "1a", "a b", "a.b", "pg_hooks", "ä", &"a".repeat(49)] {
            assert!(Schema::named(name).is_err(), "{name}");
        }
    }
}
