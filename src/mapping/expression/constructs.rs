//! What the parser makes of calls, parentheses, constructors, steps and predicates.

use super::super::decimal::Decimal;
use super::super::rounding::Rounding;
use super::error::{ARGUMENTS, ExpressionError, FUNCTION, Span};
use super::functions::Function;
use super::parser::{Here, Parser};
use super::refused;
use super::scope::Base;
use super::syntax::{Node, NodeKind, Path, Predicate, Start, Step, StepKind};

impl Parser<'_> {
    pub(super) fn call(&mut self, name: &str, at: Span) -> Result<Node, ExpressionError> {
        if let Some(refused) = refused::function(name) {
            return Err(refused.at(at));
        }
        let table = name == "table";
        let function = Function::of(name);
        if function.is_none() && !table {
            let error = ExpressionError::new(FUNCTION, at, format!("there is no function `${name}`"));
            return Err(match Function::nearest(name) {
                Some(known) => error.with_help(format!("did you mean `${known}`?")),
                None => error,
            });
        }
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.is(")") {
            loop {
                if self.is("?") {
                    return Err(refused::PARTIAL.at(self.token.at));
                }
                arguments.push(self.expression(0)?);
                if !self.is(",") {
                    break;
                }
                self.advance()?;
            }
        }
        let at = at.to(self.token.at);
        self.expect(")")?;
        match function {
            Some(function) => {
                let (least, most, takes_context) = function.arguments();
                if takes_context && arguments.len() + 1 == least {
                    // What a call leaves out is the element, as in JSONata.
                    let start = self.start(Base::Element);
                    let here = self.path(start, Vec::new(), at)?;
                    arguments.insert(0, here);
                }
                if arguments.len() < least || arguments.len() > most {
                    return Err(wrong_count(at, name, least, most));
                }
                self.node(NodeKind::Call(function, arguments), at)
            }
            None => self.table(arguments, at),
        }
    }

    /// `$table("name", key)`.
    fn table(&mut self, mut arguments: Vec<Node>, at: Span) -> Result<Node, ExpressionError> {
        let (Some(key), Some(name), None) = (arguments.pop(), arguments.pop(), arguments.pop()) else {
            return Err(wrong_count(at, "table", 2, 2));
        };
        let NodeKind::Text(name) = name.kind else {
            return Err(ExpressionError::new(ARGUMENTS, name.at, "the name of a table is written as a text")
                .with_help("as in `$table(\"country\", country_code)`"));
        };
        let index = self.tables.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.tables.push(name);
            self.tables.len() - 1
        });
        self.node(NodeKind::Table(index, Box::new(key)), at)
    }

    pub(super) fn parenthesis(&mut self, at: Span) -> Result<Node, ExpressionError> {
        if self.is(")") {
            return Err(refused::EMPTY_BLOCK.at(at.to(self.token.at)));
        }
        let inner = self.expression(0)?;
        if self.is(";") {
            return Err(refused::BLOCK.at(self.token.at));
        }
        let at = at.to(self.token.at);
        self.expect(")")?;
        let literal = !matches!(inner.kind, NodeKind::Path(_) | NodeKind::Binary(..) | NodeKind::Call(..));
        if literal || self.is("[") || self.is(".") {
            // What is in parentheses is one value: what follows applies to all of it, and a text is not a name.
            return self.path(Start::Node(inner), Vec::new(), at);
        }
        Ok(inner)
    }

    pub(super) fn list(&mut self, at: Span) -> Result<Node, ExpressionError> {
        let mut members = Vec::new();
        if !self.is("]") {
            loop {
                members.push(self.expression(0)?);
                if !self.is(",") {
                    break;
                }
                self.advance()?;
            }
        }
        let at = at.to(self.token.at);
        self.expect("]")?;
        self.node(NodeKind::List(members), at)
    }

    pub(super) fn object(&mut self, at: Span) -> Result<Node, ExpressionError> {
        let mut members: Vec<(Box<str>, Node)> = Vec::new();
        if !self.is("}") {
            loop {
                let key = self.expression(0)?;
                let NodeKind::Text(name) = key.kind else {
                    return Err(refused::COMPUTED_KEY.at(key.at));
                };
                if members.iter().any(|(known, _)| *known == name) {
                    return Err(ExpressionError::syntax(
                        key.at,
                        "a name is given to two members of one object",
                    ));
                }
                self.expect(":")?;
                members.push((name, self.expression(0)?));
                if !self.is(",") {
                    break;
                }
                self.advance()?;
            }
        }
        let at = at.to(self.token.at);
        self.expect("}")?;
        self.node(NodeKind::Object(members), at)
    }

    /// What follows a `.`.
    pub(super) fn step(&mut self, left: Node) -> Result<Node, ExpressionError> {
        let outside = std::mem::replace(&mut self.here, Here::Inside);
        let right = self.expression(75)?;
        self.here = outside;
        let at = left.at.to(right.at);
        let mut path = match left.kind {
            // A text at the front of a path is a name, as in JSONata.
            NodeKind::Text(name) => {
                let start = self.start(Base::Element);
                Path {
                    start,
                    bare: true,
                    predicates: Vec::new(),
                    steps: vec![Step::new(StepKind::Name(name))],
                }
            }
            _ => into_path(left),
        };
        match right.kind {
            NodeKind::Path(right)
                if matches!(right.start, Start::Here)
                    && right.predicates.is_empty()
                    && !right.steps.is_empty() =>
            {
                path.steps.extend(right.steps);
            }
            NodeKind::Path(right) if right.steps.is_empty() => {
                let mut step = match right.start {
                    Start::Node(node) => Step::new(StepKind::Node(node)),
                    start => Step::new(StepKind::Node(Node::new(
                        NodeKind::Path(Box::new(Path {
                            start,
                            bare: false,
                            predicates: Vec::new(),
                            steps: Vec::new(),
                        })),
                        at,
                    ))),
                };
                step.predicates = right.predicates;
                path.steps.push(step);
            }
            NodeKind::Text(name) => path.steps.push(Step::new(StepKind::Name(name))),
            NodeKind::Number(_) | NodeKind::Bool(_) | NodeKind::Null => {
                return Err(ExpressionError::syntax(right.at, "a literal cannot be a step of a path")
                    .with_help("a name that looks like one is written in backticks"));
            }
            kind => path.steps.push(Step::new(StepKind::Node(Node::new(kind, right.at)))),
        }
        self.finish_path(path, at)
    }

    /// What follows a `[`.
    pub(super) fn predicate(&mut self, left: Node, at: Span) -> Result<Node, ExpressionError> {
        if self.is("]") {
            return Err(refused::KEEP_LIST.at(at.to(self.token.at)));
        }
        let outside = std::mem::replace(&mut self.here, Here::Inside);
        let inner = self.expression(0)?;
        self.here = outside;
        let at = left.at.to(self.token.at);
        self.expect("]")?;
        let predicate = match &inner.kind {
            // A place beyond every list is beyond every list, however far.
            NodeKind::Number(place) => match place.rounded(0, Rounding::Floor).map(Decimal::whole) {
                Ok(Some(place)) => Predicate::At(i64::try_from(place).unwrap_or(i64::MAX)),
                _ => Predicate::At(i64::MAX),
            },
            _ => Predicate::Where(inner),
        };
        let mut path = into_path(left);
        match path.steps.last_mut() {
            Some(step) => step.predicates.push(predicate),
            None => path.predicates.push(predicate),
        }
        self.finish_path(path, at)
    }
}

/// The path that a node is, or the path that begins with its value.
fn into_path(node: Node) -> Path {
    match node.kind {
        NodeKind::Path(path) => *path,
        _ => Path { start: Start::Node(node), bare: false, predicates: Vec::new(), steps: Vec::new() },
    }
}

fn wrong_count(at: Span, name: &str, least: usize, most: usize) -> ExpressionError {
    let count = match (least, most) {
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} to {most} arguments"),
    };
    ExpressionError::new(ARGUMENTS, at, format!("`${name}` takes {count}"))
}
