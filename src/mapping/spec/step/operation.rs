//! The operations, each with its arguments.

use serde_json::Value;

use crate::mapping::rounding::Rounding;
use crate::mapping::spec::condition::Condition;
use crate::mapping::spec::described::{Key, operations};
use crate::mapping::spec::field::Case;
use crate::mapping::spec::literal::DecimalText;
use crate::mapping::spec::step::choice::{BoolWay, HashText, Order, Side, TooLong, XrefSide};
use crate::mapping::spec::step::model::Step;
use crate::mapping::spec::table::TableMiss;

operations! {
    /// The operations. Each is total and bounded: it gives a value or it fails, and what it makes is checked against the limits
    /// before it is made. Missing values and nulls pass through all of them but `default`.
    pub enum Op {
        /// Puts a text before the text.
        Prefix = "prefix" {
            /// What is put there.
            text: String,
        }
        /// Puts a text behind the text.
        Suffix = "suffix" {
            /// What is put there.
            text: String,
        }
        /// Takes a text away from the beginning.
        StripPrefix = "strip_prefix" {
            /// What is taken away.
            text: String,
            [
                /// Whether its absence is an error.
                required: bool,
            ]
        }
        /// Takes a text away from the end.
        StripSuffix = "strip_suffix" {
            /// What is taken away.
            text: String,
            [
                /// Whether its absence is an error.
                required: bool,
            ]
        }
        /// Takes white space away from both ends.
        Trim = "trim" {}
        /// Writes all letters small.
        Lower = "lower" {}
        /// Writes all letters large.
        Upper = "upper" {}
        /// Writes the first letter of each word large, the others small.
        Title = "title" {}
        /// Fills a text up to a width.
        Pad = "pad" {
            /// The width in characters.
            width: u32,
            [
                /// The character: a space unless said otherwise.
                with: Option<String>,
                /// Where it is filled up: at the start unless said otherwise.
                side: Option<Side>,
            ]
        }
        /// Holds a text to a length.
        Truncate = "truncate" {
            /// The length in characters.
            max: u32,
            /// What becomes of a longer text.
            mode: TooLong,
        }
        /// Replaces every occurrence of a text.
        Replace = "replace" {
            /// What is looked for, literally.
            find: String,
            /// What takes its place.
            with: String,
        }
        /// Takes a part of the text.
        Substring = "substring" {
            /// The first character, counted from 0.
            start: u32,
            [
                /// How many characters: the rest unless said otherwise.
                length: Option<u32>,
            ]
        }
        /// Makes every run of white space one space and trims the ends.
        NormaliseSpace = "normalise_space" {}
        /// Keeps the digits 0 to 9 only.
        DigitsOnly = "digits_only" {}
        /// Splits a text into a list.
        Split = "split" {
            /// Where it is split.
            on: String,
            [
                /// Into how many parts at most; the last has the rest.
                max: Option<u32>,
            ]
        }
        /// Joins a list of texts and numbers into one text.
        Join = "join" {
            /// What is put between them.
            sep: String,
            [
                /// Whether empty ones are left out.
                skip_empty: bool,
            ]
        }
        /// Takes the first element of a list; of an empty list nothing.
        First = "first" {}
        /// Takes the last element of a list; of an empty list nothing.
        Last = "last" {}
        /// Takes one element of a list; outside of it nothing.
        Nth = "nth" {
            /// Counted from 0; negative numbers count from the end.
            index: i64,
        }
        /// Leaves out the elements of a list that are there already.
        Unique = "unique" {}
        /// Sorts a list of texts, or of numbers.
        Sort = "sort" {
            [
                /// `ascending` unless said otherwise.
                order: Option<Order>,
            ]
        }
        /// Reads a text as an exact number.
        Decimal = "decimal" {
            [
                /// What separates the decimals: a full stop unless said otherwise.
                separator: Option<String>,
                /// What separates groups of digits: nothing unless said otherwise.
                group: Option<String>,
            ]
        }
        /// Reads a text as a whole number, and checks that a number is whole.
        Int = "int" {}
        /// Rounds a number.
        Round = "round" {
            /// How many decimals are left.
            scale: u32,
            [
                /// How; otherwise the document's `rounding`.
                mode: Option<Rounding>,
            ]
        }
        /// Multiplies a number by a power of ten.
        Scale10 = "scale10" {
            /// The power.
            n: i32,
        }
        /// Multiplies a number.
        Mul = "mul" {
            /// By what.
            by: DecimalText,
        }
        /// Adds to a number.
        Add = "add" {
            /// How much.
            by: DecimalText,
        }
        /// Divides a number.
        Div = "div" {
            /// By what.
            by: DecimalText,
            [
                /// How many decimals the result has; without it, the division must come out even.
                scale: Option<u32>,
                /// How it is rounded; otherwise the document's `rounding`.
                mode: Option<Rounding>,
            ]
        }
        /// Changes the sign of a number.
        Neg = "neg" {}
        /// Takes the sign of a number away.
        Abs = "abs" {}
        /// Holds a number between two others.
        Clamp = "clamp" {
            [
                /// The least.
                min: Option<DecimalText>,
                /// The greatest.
                max: Option<DecimalText>,
            ]
        }
        /// Turns an amount of money into its smallest unit, as 12.34 EUR into 1234.
        MinorUnits = "minor_units" {
            [
                /// The path to the currency's code; paths begin where the rule's do.
                currency: Option<String>,
                /// The currency's code itself.
                code: Option<String>,
            ]
        }
        /// Turns an amount in the smallest unit into one of money, as 1234 into 12.34 EUR.
        MajorUnits = "major_units" {
            [
                /// The path to the currency's code; paths begin where the rule's do.
                currency: Option<String>,
                /// The currency's code itself.
                code: Option<String>,
            ]
        }
        /// Converts between units of measure by an exact factor.
        Unit = "unit" {
            /// The unit of the value.
            from: String,
            /// The unit of the result.
            to: String,
            [
                /// How many decimals the result has; without it, the result must be exact.
                scale: Option<u32>,
                /// How it is rounded; otherwise the document's `rounding`.
                mode: Option<Rounding>,
            ]
        }
        /// Converts money at a rate that the host gives.
        Currency = "currency" {
            /// The declared name of the rate: one unit of the source currency in the target currency.
            rate: String,
            /// How many decimals the result has.
            scale: u32,
            [
                /// How it is rounded; otherwise the document's `rounding`.
                mode: Option<Rounding>,
            ]
        }
        /// Rewrites a date or a time.
        Date = "date" {
            /// How it is written: `rfc3339`, `iso_date`, `epoch_s`, `epoch_ms`, or a pattern such as `%Y-%m-%d %H:%M`.
            input as "in": String,
            /// How it shall be written, in the same words.
            output as "out": String,
            [
                /// `keep`, `utc`, or an offset such as `+02:00`: `keep` unless said otherwise.
                zone: Option<String>,
                /// The zone of times that name none: `utc` or an offset; without it they are an error where a zone is needed.
                assume: Option<String>,
            ]
        }
        /// The seconds since 1970 of an RFC 3339 time.
        EpochS = "epoch_s" {}
        /// The milliseconds since 1970 of an RFC 3339 time.
        EpochMs = "epoch_ms" {}
        /// The date of an RFC 3339 time, as it is written there.
        DateOnly = "date_only" {}
        /// Moves a date, or an RFC 3339 time, by days.
        AddDays = "add_days" {
            /// How many; negative ones go back.
            days: i32,
        }
        /// Turns true and false into two other values, or these into true and false.
        BoolMap = "bool_map" {
            [
                /// What true is on the other side.
                #[serde(deserialize_with = "crate::mapping::spec::described::given")]
                yes as "true": Option<Value>,
                /// What false is on the other side.
                #[serde(deserialize_with = "crate::mapping::spec::described::given")]
                no as "false": Option<Value>,
                /// Which way: `to_value` unless said otherwise.
                way: Option<BoolWay>,
            ]
        }
        /// Looks a value up in a table.
        Table = "table" {
            /// The table.
            name: String,
            /// The column that is searched.
            key: String,
            /// The column that is the result.
            value: String,
            [
                /// Of a key that is in no row; otherwise the table says it.
                miss: Option<TableMiss>,
                /// The value for keys that are in no row, with `"miss":"default"`; otherwise the table's.
                #[serde(deserialize_with = "crate::mapping::spec::described::given")]
                default: Option<Value>,
            ]
        }
        /// Takes the place of a value that is missing or null; later steps see it.
        Default = "default" {
            /// What takes its place.
            value: Value,
        }
        /// Chooses by the value itself, which is `@` in the conditions.
        Cases = "cases" {
            /// The cases, in order; without `else`, a value that fits none goes on as it is.
            cases: Vec<Case>,
        }
        /// Does steps to every element of a list.
        Each = "each" {
            /// The steps.
            steps: Vec<Step>,
        }
        /// Keeps the elements of a list for which a condition holds; `@` is the element.
        Filter = "filter" {
            /// The condition.
            when: Box<Condition>,
        }
        /// Takes the elements of the lists in a list, one level deep.
        Flatten = "flatten" {}
        /// Makes of a list of objects a list of `{"key":…,"items":[…]}`, in the order in which the keys come.
        GroupBy = "group_by" {
            /// The path in an element by which it is grouped.
            key: String,
        }
        /// Adds the numbers of a list.
        Sum = "sum" {
            [
                /// The path in an element; the element itself unless said otherwise.
                path: Option<String>,
            ]
        }
        /// Counts the elements of a list.
        Count = "count" {}
        /// The least number of a list; of an empty list nothing.
        Min = "min" {
            [
                /// The path in an element; the element itself unless said otherwise.
                path: Option<String>,
            ]
        }
        /// The greatest number of a list; of an empty list nothing.
        Max = "max" {
            [
                /// The path in an element; the element itself unless said otherwise.
                path: Option<String>,
            ]
        }
        /// Takes what is at a path in an object, or in each object of a list.
        Pick = "pick" {
            /// The path.
            path: String,
        }
        /// Looks up which id a record has on the other side.
        Xref = "xref" {
            /// The external system.
            system: String,
            /// The kind of record.
            entity: String,
            [
                /// Which id is wanted: `internal` unless said otherwise.
                to: Option<XrefSide>,
                /// Of an id that is not known: `error` unless said otherwise.
                miss: Option<TableMiss>,
            ]
        }
        /// Replaces a text by its HMAC-SHA-256 under a key of the host.
        Hash = "hash" {
            /// The name of the key.
            key: String,
            [
                /// What it is written in: `hex` unless said otherwise.
                text: Option<HashText>,
            ]
        }
        /// Covers all but the last characters of a text.
        Mask = "mask" {
            /// How many stay.
            keep: u32,
            [
                /// What covers each of the others: `*` unless said otherwise.
                with: Option<String>,
            ]
        }
        /// Writes a number or a boolean as text.
        String = "string" {}
        /// Reads a text as a whole number, and checks that a number is whole.
        Integer = "integer" {}
        /// Reads the texts `true` and `false`.
        Boolean = "boolean" {}
        /// Writes a value as JSON text.
        JsonText = "json_text" {}
        /// Reads a text as JSON.
        ParseJson = "parse_json" {
            [
                /// How many bytes the text may have: 64 KiB unless said otherwise.
                max: Option<u32>,
            ]
        }
    }
}

/// What the catalogue says of an operation.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// Its name in the document.
    pub name: &'static str,
    /// What it does; the first line is a sentence of its own.
    pub meaning: &'static str,
    /// Its arguments.
    pub arguments: &'static [Key],
}
