//! Which scopes the host's API knows: what it does not declare, no key gets.

use crate::api_keys::scope::{InvalidScope, Scope};
use crate::error::Problem;

/// The scopes of the host's API.
///
/// A scope that is asked for must be declared, or be below one that is: with `orders:read` declared, `orders/ord_1:read` can be
/// given, `orders:write` cannot.
///
/// ```
/// use crossdock::api_keys::Scopes;
///
/// let scopes = Scopes::declare(["orders:read", "orders:write", "stock:read"])?;
///
/// assert_eq!(scopes.iter().count(), 3);
/// # Ok::<(), crossdock::api_keys::InvalidScope>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// These scopes.
    ///
    /// # Errors
    /// The first text that is not a scope.
    pub fn declare<'s>(scopes: impl IntoIterator<Item = &'s str>) -> Result<Self, InvalidScope> {
        let mut declared = scopes.into_iter().map(str::parse).collect::<Result<Vec<Scope>, _>>()?;
        declared.sort();
        declared.dedup();
        Ok(Self(declared))
    }

    /// The scopes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// The scopes that somebody asks for, as far as they can be given.
    pub(crate) fn check(&self, wanted: &[String], problems: &mut Vec<Problem>) -> Vec<Scope> {
        if wanted.len() > MOST {
            let rule = format!("a key has at most {MOST} scopes, this one {}", wanted.len());
            problems.push(Problem::new("scopes", rule, "give scopes over larger resources"));
            return Vec::new();
        }
        let mut taken = Vec::with_capacity(wanted.len());
        for (index, text) in wanted.iter().enumerate() {
            match self.find(text) {
                Ok(scope) => taken.push(scope),
                Err((rule, fix)) => problems.push(Problem::new(format!("scopes[{index}]"), rule, fix)),
            }
        }
        taken
    }

    fn find(&self, text: &str) -> Result<Scope, (String, String)> {
        let scope: Scope = text
            .parse()
            .map_err(|invalid: InvalidScope| (invalid.to_string(), "write it as `orders:read`".to_owned()))?;
        if self.0.iter().any(|declared| declared.covers(&scope)) {
            return Ok(scope);
        }
        let known: Vec<_> = self.0.iter().take(SHOWN).map(|scope| format!("`{scope}`")).collect();
        let fix = match known.is_empty() {
            true => "this API has no scopes: give permissions instead".to_owned(),
            false => format!("take one of {}, or one below it", known.join(", ")),
        };
        Err(("this API has no such scope".to_owned(), fix))
    }
}

const MOST: usize = 100;
const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(wanted: &[&str]) -> (Vec<String>, Vec<String>) {
        let declared =
            Scopes::declare(["orders:read", "orders/*/lines:write", "stock:read"]).expect("scopes");
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        let mut problems = Vec::new();
        let taken = declared.check(&wanted, &mut problems).iter().map(ToString::to_string).collect();
        (taken, problems.into_iter().map(|problem| problem.field).collect())
    }

    #[test]
    fn what_is_declared_or_below_it_can_be_given() {
        let wanted =
            ["orders:read", "orders/ord_1:read", "orders/*:read", "orders/7/lines:write", "stock:read"];

        assert_eq!(checked(&wanted), (wanted.map(String::from).to_vec(), vec![]));
    }

    #[test]
    fn what_is_not_declared_is_refused_where_it_stands() {
        let wanted = ["orders:write", "stock:read", "*:read", "invoices:read", "stock", "orders/ord_1:write"];

        assert_eq!(
            checked(&wanted).1,
            ["scopes[0]", "scopes[2]", "scopes[3]", "scopes[4]", "scopes[5]"].map(String::from)
        );
        assert_eq!(checked(&["stock:read"; 101]).1, ["scopes"]);
    }

    #[test]
    fn a_host_without_scopes_gives_none() {
        let mut problems = Vec::new();

        Scopes::default().check(&["orders:read".to_owned()], &mut problems);

        assert_eq!(problems[0].fix, "this API has no scopes: give permissions instead");
    }
}
