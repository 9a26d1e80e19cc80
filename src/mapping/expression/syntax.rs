//! The tree that an expression is.

use super::super::decimal::Decimal;
use super::error::Span;
use super::functions::Function;
use super::scope::Read;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) at: Span,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Null,
    Bool(bool),
    Text(Box<str>),
    Number(Decimal),
    Path(Box<Path>),
    Negate(Box<Node>),
    Binary(Operator, Box<[Node; 2]>),
    /// `c ? a : b`; without `: b` it is missing when `c` is not true.
    Choice(Box<[Node; 2]>, Option<Box<Node>>),
    /// `a ?: b`: `a` if it is true, in JSONata's sense.
    Elvis(Box<[Node; 2]>),
    /// `a ?? b`: `a` if it is there.
    Coalesce(Box<[Node; 2]>),
    List(Vec<Node>),
    Object(Vec<(Box<str>, Node)>),
    Call(Function, Vec<Node>),
    /// Looks the key up in the table of this number.
    Table(usize, Box<Node>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concatenate,
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    And,
    Or,
}

/// Where a path begins, and the steps from there.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) start: Start,
    /// Whether it begins with a name, not with `$`: on a list, the predicates of that name then apply to what all elements have
    /// together, as in JSONata.
    pub(super) bare: bool,
    /// Predicates of the start.
    pub(super) predicates: Vec<Predicate>,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Start {
    /// The read of this number, which may cover some of the steps.
    Read(usize),
    /// What a predicate or a step is evaluated on.
    Here,
    Node(Node),
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: StepKind,
    pub(super) predicates: Vec<Predicate>,
}

#[derive(Debug)]
pub(super) enum StepKind {
    Name(Box<str>),
    /// Evaluated on each element.
    Node(Node),
}

#[derive(Debug)]
pub(super) enum Predicate {
    /// The element at this place; below zero it counts from the end.
    At(i64),
    /// The elements for which this is true, or whose place it is.
    Where(Node),
}

/// What the parser made of a text.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: Node,
    pub(super) reads: Vec<Read>,
    pub(super) tables: Vec<Box<str>>,
}

impl Node {
    pub(super) fn new(kind: NodeKind, at: Span) -> Self {
        Self { kind, at }
    }
}

impl Step {
    pub(super) fn new(kind: StepKind) -> Self {
        Self { kind, predicates: Vec::new() }
    }
}

impl Operator {
    /// As it is written.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Concatenate => "&",
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::In => "in",
            Self::And => "and",
            Self::Or => "or",
        }
    }

    /// The operator with this sign, and how strongly it binds.
    pub(super) fn of(sign: &str) -> Option<(Self, u8)> {
        Some(match sign {
            "+" => (Self::Add, 50),
            "-" => (Self::Subtract, 50),
            "*" => (Self::Multiply, 60),
            "/" => (Self::Divide, 60),
            "%" => (Self::Remainder, 60),
            "&" => (Self::Concatenate, 50),
            "=" => (Self::Equal, 40),
            "!=" => (Self::Unequal, 40),
            "<" => (Self::Less, 40),
            "<=" => (Self::AtMost, 40),
            ">" => (Self::Greater, 40),
            ">=" => (Self::AtLeast, 40),
            "in" => (Self::In, 40),
            "and" => (Self::And, 30),
            "or" => (Self::Or, 25),
            _ => return None,
        })
    }
}
