//! Target paths as a tree that is written from top to bottom, with keys that need no escaping any more.

use crate::mapping::path::TargetPath;

/// The members of an object, in the order of the document.
#[derive(Debug, Default)]
pub(crate) struct Members(pub(crate) Box<[(OutKey, Member)]>);

#[derive(Debug)]
pub(crate) enum Member {
    Rule(u32),
    Object(Members),
}

/// A name, and how it is written in JSON with its colon.
#[derive(Debug)]
pub(crate) struct OutKey {
    pub(crate) name: Box<str>,
    pub(crate) json: Box<str>,
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
        let members = self.members.into_iter().map(|(name, node)| {
            let member = match node {
                Node::Rule { rule, .. } => Member::Rule(rule),
                Node::Object(inner) => Member::Object(inner.finish()),
            };
            (OutKey::new(name), member)
        });
        Members(members.collect())
    }
}

impl OutKey {
    pub(crate) fn new(name: String) -> Self {
        let mut json = serde_json::Value::String(name.clone()).to_string();
        json.push(':');
        Self { name: name.into(), json: json.into() }
    }
}
