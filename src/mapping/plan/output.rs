//! Target paths as a tree that is written from top to bottom, with keys that need no escaping any more.

use serde_json::{Map, Value};

use crate::mapping::evaluate::sink::write_text;
use crate::mapping::path::TargetPath;

/// The members of an object.
#[derive(Debug)]
pub(crate) struct Members {
    /// In the order of the document.
    pub(crate) list: Box<[(OutKey, Member)]>,
    /// The object with all its names and no values. A copy of it costs less than to insert name after name.
    pub(crate) empty: Map<String, Value>,
}

#[derive(Debug)]
pub(crate) enum Member {
    Rule(u32),
    Object(Members),
}

/// A name, and how it is written in JSON with its colon.
#[derive(Debug)]
pub(crate) struct OutKey {
    pub(crate) name: Box<str>,
    pub(crate) json: Box<[u8]>,
    /// Where it stands among the names of the object in memory; that depends on the features of serde_json.
    pub(crate) place: usize,
}

/// The tree while rules are added.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    members: Vec<(String, Node)>,
}

#[derive(Debug)]
enum Node {
    Rule { rule: u32, pointer: String },
    Object(Growing),
}

/// Two rules that cannot both write.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Clash {
    /// Where the earlier rule stands.
    pub(crate) with: String,
    pub(crate) how: &'static str,
}

impl Growing {
    pub(crate) fn add(&mut self, path: &TargetPath, rule: u32, pointer: &str) -> Result<(), Clash> {
        self.place(&path.names, rule, pointer)
    }

    fn place(&mut self, names: &[String], rule: u32, pointer: &str) -> Result<(), Clash> {
        let Some((name, rest)) = names.split_first() else { return Ok(()) };
        let at = self.members.iter().position(|(member, _)| member == name);
        match at.map(|at| &mut self.members[at].1) {
            None => {
                let node = if rest.is_empty() {
                    Node::Rule { rule, pointer: pointer.to_owned() }
                } else {
                    let mut inner = Self::default();
                    inner.place(rest, rule, pointer)?;
                    Node::Object(inner)
                };
                self.members.push((name.clone(), node));
                Ok(())
            }
            Some(Node::Object(inner)) if !rest.is_empty() => inner.place(rest, rule, pointer),
            Some(Node::Object(inner)) => Err(Clash { with: inner.first(), how: "writes inside this" }),
            Some(Node::Rule { pointer, .. }) if rest.is_empty() => {
                Err(Clash { with: pointer.clone(), how: "writes this too" })
            }
            Some(Node::Rule { pointer, .. }) => {
                Err(Clash { with: pointer.clone(), how: "writes what this would be inside of" })
            }
        }
    }

    fn first(&self) -> String {
        match self.members.first() {
            Some((_, Node::Rule { pointer, .. })) => pointer.clone(),
            Some((_, Node::Object(inner))) => inner.first(),
            None => String::new(),
        }
    }

    pub(crate) fn finish(self) -> Members {
        let numbered = self.members.iter().enumerate().map(|(at, (name, _))| (name.clone(), at.into()));
        let mut empty: Map<String, Value> = numbered.collect();
        let mut places = vec![0; empty.len()];
        for (place, at) in empty.values_mut().enumerate() {
            if let Some(at) = at.take().as_u64() {
                places[at as usize] = place;
            }
        }
        let members = self.members.into_iter().zip(places).map(|((name, node), place)| {
            let member = match node {
                Node::Rule { rule, .. } => Member::Rule(rule),
                Node::Object(inner) => Member::Object(inner.finish()),
            };
            (OutKey::new(name, place), member)
        });
        Members { list: members.collect(), empty }
    }
}

impl OutKey {
    fn new(name: String, place: usize) -> Self {
        let mut json = Vec::with_capacity(name.len() + 3);
        write_text(&name, &mut json);
        json.push(b':');
        Self { name: name.into(), json: json.into(), place }
    }
}
