//! What belongs to JSONata and not to the expressions of a mapping: each by its name, with what to write instead.

use super::error::{ExpressionError, REFUSED, Span};

/// A construct that is understood and not taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    /// Completes "… not part of mapping expressions".
    what: &'static str,
    instead: &'static str,
}

impl Refused {
    pub(super) fn at(self, at: Span) -> ExpressionError {
        ExpressionError::new(REFUSED, at, format!("{} not part of mapping expressions", self.what))
            .with_help(self.instead)
    }
}

pub(super) const LAMBDA: Refused = Refused {
    what: "functions of one's own are",
    instead: "write the calculation out, or use a rule with `cases` or a table",
};
pub(super) const VARIABLE: Refused = Refused {
    what: "variables are",
    instead: "`$` is the element and `$$` the record; what is used twice can be a rule of its own",
};
pub(super) const ASSIGNMENT: Refused = Refused {
    what: "assignment with `:=` is",
    instead: "write the value where it is used, or give it a rule of its own",
};
pub(super) const BLOCK: Refused = Refused {
    what: "a block of several statements is",
    instead: "one expression gives one value; a second value needs a second rule",
};
pub(super) const EMPTY_BLOCK: Refused =
    Refused { what: "an empty block is", instead: "leave the rule out, or write `null`" };
pub(super) const REGEX: Refused = Refused {
    what: "regular expressions are",
    instead: "`$contains`, `$split` and `$replace` take literal texts",
};
pub(super) const CHAIN: Refused = Refused {
    what: "chaining with `~>` is",
    instead: "write the call around its argument: `$round($sum(x), 2)`",
};
pub(super) const ORDERING: Refused =
    Refused { what: "ordering with `^( )` is", instead: "`$sort(…)` sorts numbers or texts by value" };
pub(super) const PARENT: Refused = Refused {
    what: "the parent operator `%` is",
    instead: "`^.` reads from the element around this one, `$$.` from the record",
};
pub(super) const BINDING: Refused = Refused {
    what: "binding with `@` or `#` is",
    instead: "a rule with `each` and `index` numbers the elements; `^.` and `$$.` read from outside",
};
pub(super) const TRANSFORM: Refused =
    Refused { what: "transforms with `| |` are", instead: "each changed field is a rule of its own" };
pub(super) const WILDCARD: Refused =
    Refused { what: "wildcards are", instead: "name the fields, so that one can see what a rule reads" };
pub(super) const GROUPING: Refused =
    Refused { what: "grouping with `{ }` is", instead: "the step `group_by` groups a list by a key" };
pub(super) const RANGE: Refused = Refused {
    what: "ranges with `..` are",
    instead: "write the numbers out, or use `index` in a rule with `each`",
};
pub(super) const KEEP_LIST: Refused = Refused {
    what: "`[]` is",
    instead: "it is not needed: what comes out of a list stays a list, of one element too",
};
pub(super) const PARTIAL: Refused =
    Refused { what: "partial application with `?` is", instead: "give all arguments" };
pub(super) const COMPUTED_CALL: Refused = Refused {
    what: "calling anything but a function by its name is",
    instead: "functions begin with `$`, as in `$sum(…)`",
};
pub(super) const COMPUTED_KEY: Refused = Refused {
    what: "computed names of members are",
    instead: "an object has a fixed shape here: write each name as a text",
};

/// The refusal of a JSONata function that is known and not taken.
pub(super) fn function(name: &str) -> Option<Refused> {
    let (what, instead) = match name {
        "map" => ("`$map` is", "a path maps over a list: `lines.price`, `lines.(price * quantity)`"),
        "filter" => ("`$filter` is", "a predicate filters: `lines[price > 10]`"),
        "reduce" => ("`$reduce` is", "`$sum`, `$max`, `$min`, `$join` and `$merge` fold a list"),
        "sift" => ("`$sift` is", "name the members that are wanted in an object: `{\"a\": a}`"),
        "each" => ("`$each` is", "name the members that are wanted"),
        "single" => (
            "`$single` is",
            "the path of a rule with a filter, `lines[sku='A'].price`, wants exactly one match",
        ),
        "zip" => ("`$zip` is", "a rule with `each` builds a list of objects"),
        "spread" => ("`$spread` is", "`$keys` lists the names of members"),
        "shuffle" => ("`$shuffle` is", "a mapping gives the same output for the same input"),
        "random" => ("`$random` is", "a mapping gives the same output for the same input"),
        "now" | "millis" => ("a clock is", "the host's time arrives as `{\"ctx\": …}` in a rule"),
        "toMillis" | "fromMillis" => (
            "time functions are",
            "the steps `date`, `epoch_s`, `epoch_ms` and `add_days` read and write times",
        ),
        "eval" => ("`$eval` is", "a mapping is reviewed as it is written; nothing in a record is run"),
        "match" => ("`$match` is", "the step `regex_extract` takes a regular expression"),
        "formatNumber" => ("`$formatNumber` is", "the steps `round` and `string` write numbers"),
        "formatBase" | "formatInteger" | "parseInteger" => {
            ("formatting integers is", "a table translates codes; `$pad` and `$string` write numbers")
        }
        "sqrt" | "power" => ("roots and powers are", "multiply, or use the step `scale10` for powers of ten"),
        "type" => ("`$type` is", "the type of a target is checked by `type` in its rule"),
        "error" | "assert" => {
            ("raising errors is", "`required`, `type` and `on_error` of a rule say what is an error")
        }
        "clone" => ("`$clone` is", "values are never changed in place here"),
        "base64encode" | "base64decode" => ("base64 is", "let the host do this before or after the mapping"),
        "encodeUrl" | "encodeUrlComponent" | "decodeUrl" | "decodeUrlComponent" => {
            ("URL encoding is", "let the host do this before or after the mapping")
        }
        _ => return None,
    };
    Some(Refused { what, instead })
}
