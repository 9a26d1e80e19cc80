//! Tokens become a tree, by JSONata's precedences. The text, the depth and the count of nodes are bounded, so the tree is too.

use super::super::decimal::Decimal;
use super::super::limits::Limits;
use super::error::{ExpressionError, LIMIT, Span};
use super::lexer::{Lexer, Token, TokenKind};
use super::refused;
use super::scope::{Base, Read};
use super::syntax::{Node, NodeKind, Operator, Parsed, Path, Start, Step, StepKind};

pub(super) fn parse(text: &str, limits: &Limits) -> Result<Parsed, ExpressionError> {
    let longest = limits.expression_bytes;
    if text.len() > longest {
        let message = format!("an expression of more than {longest} bytes");
        return Err(limit(Span::new(longest, longest), message));
    }
    let mut lexer = Lexer::new(text);
    let first = lexer.next()?;
    let mut parser = Parser {
        lexer,
        token: first,
        depth: 0,
        nodes: 0,
        deepest: limits.expression_depth.min(DEEPEST),
        most_nodes: limits.expression_nodes.min(MOST_NODES),
        here: Here::Element,
        reads: Vec::new(),
        tables: Vec::new(),
    };
    let root = parser.expression(0)?;
    if parser.token.kind != TokenKind::End {
        return Err(parser.unexpected());
    }
    Ok(Parsed { root, reads: parser.reads, tables: parser.tables })
}

pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    pub(super) token: Token<'t>,
    depth: usize,
    nodes: usize,
    deepest: usize,
    most_nodes: usize,
    pub(super) here: Here,
    reads: Vec<Read>,
    pub(super) tables: Vec<Box<str>>,
}

/// What a bare name is looked up in.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Here {
    /// The element of the rule: its paths are known beforehand.
    Element,
    /// Something inside it: a predicate or a step.
    Inside,
}

impl<'t> Parser<'t> {
    pub(super) fn expression(&mut self, least: u8) -> Result<Node, ExpressionError> {
        self.depth += 1;
        if self.depth > self.deepest {
            let message = format!("an expression nested more than {} deep", self.deepest);
            return Err(limit(self.token.at, message));
        }
        let mut left = self.operand()?;
        loop {
            let power = self.power();
            if power <= least {
                break;
            }
            left = self.infix(left, power)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// How strongly the next token binds what is left of it; zero if it ends the expression.
    fn power(&self) -> u8 {
        match &self.token.kind {
            TokenKind::Name(word @ ("and" | "or" | "in")) => Operator::of(word).map_or(0, |(_, power)| power),
            TokenKind::Sign(sign) => match *sign {
                "(" | "[" | "@" | "#" => 80,
                "." => 75,
                "{" => 70,
                "^" | "~>" | "?:" | "??" => 40,
                "?" | "|" | ".." => 20,
                ":=" => 10,
                // A second statement: refused by name where the first ends.
                _ => Operator::of(sign).map_or(0, |(_, power)| power),
            },
            _ => 0,
        }
    }

    fn operand(&mut self) -> Result<Node, ExpressionError> {
        let Token { kind, at } = self.advance()?;
        match kind {
            TokenKind::Number(text) => {
                let number =
                    text.parse::<Decimal>().map_err(|error| ExpressionError::arithmetic(at, error))?;
                self.node(NodeKind::Number(number), at)
            }
            TokenKind::Text(text) => self.node(NodeKind::Text(text.into()), at),
            TokenKind::Name("true") => self.node(NodeKind::Bool(true), at),
            TokenKind::Name("false") => self.node(NodeKind::Bool(false), at),
            TokenKind::Name("null") => self.node(NodeKind::Null, at),
            TokenKind::Name("function" | "λ") if self.is("(") => Err(refused::LAMBDA.at(at)),
            TokenKind::Name(name) | TokenKind::QuotedName(name) => {
                let start = self.start(Base::Element);
                self.path(start, vec![Step::new(StepKind::Name(name.into()))], at)
            }
            TokenKind::Variable(name) => self.variable(name, at),
            TokenKind::Sign("-") => {
                let operand = self.expression(70)?;
                let at = at.to(operand.at);
                match operand.kind {
                    NodeKind::Number(number) => self.node(NodeKind::Number(number.negated()), at),
                    _ => self.node(NodeKind::Negate(Box::new(operand)), at),
                }
            }
            TokenKind::Sign("(") => self.parenthesis(at),
            TokenKind::Sign("[") => self.list(at),
            TokenKind::Sign("{") => self.object(at),
            TokenKind::Sign("^") => self.parent(at),
            TokenKind::Sign("*" | "**") => Err(refused::WILDCARD.at(at)),
            TokenKind::Sign("%") => Err(refused::PARENT.at(at)),
            TokenKind::Sign("/") => Err(refused::REGEX.at(at)),
            TokenKind::Sign("|") => Err(refused::TRANSFORM.at(at)),
            TokenKind::Sign(sign) => {
                Err(ExpressionError::syntax(at, format!("`{sign}` where a value should be")))
            }
            TokenKind::End => Err(ExpressionError::syntax(at, "the expression ends where a value should be")),
        }
    }

    fn infix(&mut self, left: Node, power: u8) -> Result<Node, ExpressionError> {
        let Token { kind, at } = self.advance()?;
        let sign = match kind {
            TokenKind::Sign(sign) => sign,
            TokenKind::Name(word) => word,
            // Nothing else has a power.
            _ => return Err(ExpressionError::syntax(at, "an operator should be here")),
        };
        if let Some((operator, _)) = Operator::of(sign) {
            let right = self.expression(power)?;
            let at = left.at.to(right.at);
            return self.node(NodeKind::Binary(operator, Box::new([left, right])), at);
        }
        match sign {
            "." => self.step(left),
            "[" => self.predicate(left, at),
            "?" => {
                let then = self.expression(0)?;
                let mut at = left.at.to(then.at);
                let mut otherwise = None;
                if self.is(":") {
                    self.advance()?;
                    let node = self.expression(0)?;
                    at = at.to(node.at);
                    otherwise = Some(Box::new(node));
                }
                self.node(NodeKind::Choice(Box::new([left, then]), otherwise), at)
            }
            "?:" | "??" => {
                let right = self.expression(0)?;
                let at = left.at.to(right.at);
                let both = Box::new([left, right]);
                self.node(if sign == "??" { NodeKind::Coalesce(both) } else { NodeKind::Elvis(both) }, at)
            }
            "(" => Err(refused::COMPUTED_CALL.at(at)),
            "{" => Err(refused::GROUPING.at(at)),
            "^" => Err(refused::ORDERING.at(at)),
            "~>" => Err(refused::CHAIN.at(at)),
            ":=" => Err(refused::ASSIGNMENT.at(at)),
            "@" | "#" => Err(refused::BINDING.at(at)),
            "|" => Err(refused::TRANSFORM.at(at)),
            ".." => Err(refused::RANGE.at(at)),
            _ => Err(ExpressionError::syntax(at, format!("`{sign}` should not be here"))),
        }
    }

    /// `$`, `$$`, or a call.
    fn variable(&mut self, name: &str, at: Span) -> Result<Node, ExpressionError> {
        if self.is("(") {
            return self.call(name, at);
        }
        match name {
            "" => {
                let start = self.start(Base::Element);
                self.path(start, Vec::new(), at)
            }
            "$" => {
                let start = self.read(Base::Root);
                self.path(start, Vec::new(), at)
            }
            _ if self.is(":=") => Err(refused::ASSIGNMENT.at(self.token.at)),
            _ => Err(refused::VARIABLE.at(at)),
        }
    }

    /// `^`, `^.^` and so on: the elements around this one.
    fn parent(&mut self, mut at: Span) -> Result<Node, ExpressionError> {
        let mut levels = 1;
        while self.is(".") && self.lexer_continues_with_parent() {
            self.advance()?;
            at = at.to(self.token.at);
            self.advance()?;
            levels = u8::saturating_add(levels, 1);
        }
        let start = self.read(Base::Parent(levels));
        self.path(start, Vec::new(), at)
    }

    /// Where a path from the element begins, here.
    pub(super) fn start(&mut self, base: Base) -> Start {
        match self.here {
            Here::Element => self.read(base),
            Here::Inside => Start::Here,
        }
    }

    /// A read without names yet; [`Parser::finish_path`] gives them.
    fn read(&mut self, base: Base) -> Start {
        self.reads.push(Read { base, names: Vec::new() });
        Start::Read(self.reads.len() - 1)
    }

    pub(super) fn path(&mut self, start: Start, steps: Vec<Step>, at: Span) -> Result<Node, ExpressionError> {
        let bare = !steps.is_empty();
        self.finish_path(Path { start, bare, predicates: Vec::new(), steps }, at)
    }

    /// The node of a path, whose read covers the names at its front as far as no predicate comes between.
    pub(super) fn finish_path(&mut self, path: Path, at: Span) -> Result<Node, ExpressionError> {
        if let Start::Read(index) = path.start {
            let mut names = Vec::new();
            if path.predicates.is_empty() {
                for step in &path.steps {
                    let StepKind::Name(name) = &step.kind else { break };
                    names.push(name.clone());
                    if !step.predicates.is_empty() {
                        break;
                    }
                }
            }
            self.reads[index].names = names;
        }
        self.node(NodeKind::Path(Box::new(path)), at)
    }

    pub(super) fn node(&mut self, kind: NodeKind, at: Span) -> Result<Node, ExpressionError> {
        self.nodes += 1;
        if self.nodes > self.most_nodes {
            return Err(limit(at, format!("an expression of more than {} parts", self.most_nodes)));
        }
        Ok(Node::new(kind, at))
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        matches!(self.token.kind, TokenKind::Sign(next) if next == sign)
    }

    fn lexer_continues_with_parent(&self) -> bool {
        self.lexer.rest().starts_with('^')
    }

    pub(super) fn advance(&mut self) -> Result<Token<'t>, ExpressionError> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), ExpressionError> {
        if self.is(sign) {
            self.advance()?;
            return Ok(());
        }
        let found = self.token.kind == TokenKind::End;
        let message = if found {
            format!("the expression ends before its `{sign}`")
        } else {
            format!("`{sign}` should be here")
        };
        Err(ExpressionError::syntax(self.token.at, message))
    }

    fn unexpected(&self) -> ExpressionError {
        match &self.token.kind {
            TokenKind::Sign(";") => refused::BLOCK.at(self.token.at),
            TokenKind::Sign(sign) => {
                ExpressionError::syntax(self.token.at, format!("`{sign}` should not be here"))
            }
            _ => ExpressionError::syntax(self.token.at, "an operator should be here"),
        }
    }
}

fn limit(at: Span, message: String) -> ExpressionError {
    ExpressionError::new(LIMIT, at, message)
}

/// Whatever the limits say: expressions are read and evaluated by functions that call themselves.
const DEEPEST: usize = 64;
const MOST_NODES: usize = 1_024;

#[cfg(test)]
mod tests;
