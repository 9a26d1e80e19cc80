//! What all rules of a mapping read, as one tree per record and per `each`: read once, in whatever order it comes.

use std::cmp::Ordering;

use serde_json::Value;

use crate::mapping::path::Segment;
use crate::mapping::spec::field::Pick;

pub(crate) const NONE: u32 = u32::MAX;

/// The finished tree.
#[derive(Debug)]
pub(crate) struct Trie {
    pub(crate) nodes: Vec<Node>,
    /// The record is frame 0; every list that `each` goes through has one of its own.
    pub(crate) frames: Vec<Frame>,
    /// Whether the members of the record that nobody reads are wanted.
    pub(crate) wants_unread: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) root: u32,
    pub(crate) slots: u32,
}

/// One place in the source.
#[derive(Debug)]
pub(crate) struct Node {
    /// The place that this one lies in; of the root of a frame itself.
    pub(crate) above: u32,
    pub(crate) names: Names,
    pub(crate) items: Option<Box<Items>>,
    /// Where the value itself goes.
    pub(crate) slot: u32,
    /// Where the rows go if `each` goes through it, and their frame.
    pub(crate) rows: u32,
    pub(crate) frame: u32,
    /// The slots of this node and all below it.
    pub(crate) first: u32,
    pub(crate) end: u32,
}

impl Node {
    pub(crate) fn is_leaf(&self) -> bool {
        self.names.edges.is_empty() && self.items.is_none()
    }
}

/// Elements of a list that are asked for one by one.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) indexes: Vec<(i64, u32)>,
    pub(crate) filters: Vec<Filter>,
}

#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) names: Vec<String>,
    pub(crate) value: Value,
    pub(crate) pick: Option<Pick>,
    pub(crate) node: u32,
}

/// The names below a node, sorted by length, and those of one length by their bytes.
#[derive(Debug, Default)]
pub(crate) struct Names {
    edges: Box<[(Box<str>, u32)]>,
    /// For many names: where the names of each length begin; the last is the end.
    lengths: Box<[u16]>,
}

impl Names {
    fn new(mut edges: Vec<(Box<str>, u32)>) -> Self {
        edges.sort_unstable_by(|(a, _), (b, _)| in_order(a, b));
        let longest = edges.last().map_or(0, |(name, _)| name.len());
        let lengths = if edges.len() > FEW && longest < 64 && edges.len() < usize::from(u16::MAX) {
            (0..=longest + 1)
                .map(|length| edges.partition_point(|(name, _)| name.len() < length) as u16)
                .collect()
        } else {
            Box::default()
        };
        Self { edges: edges.into(), lengths }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.edges.len()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> {
        self.edges.iter().map(|(_, node)| *node)
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let edges = if self.lengths.is_empty() {
            &self.edges[..]
        } else {
            let length = name.len();
            if length + 1 >= self.lengths.len() {
                return None;
            }
            &self.edges[usize::from(self.lengths[length])..usize::from(self.lengths[length + 1])]
        };
        if edges.len() > MANY {
            let at = edges.binary_search_by(|(edge, _)| in_order(edge, name)).ok()?;
            return edges.get(at).map(|(_, node)| *node);
        }
        edges.iter().find(|(edge, _)| edge.as_bytes() == name.as_bytes()).map(|(_, node)| *node)
    }
}

fn in_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

const FEW: usize = 4;
/// So few names of one length are compared one by one.
const MANY: usize = 16;

/// The tree while rules are added.
#[derive(Debug, Default)]
pub(crate) struct TrieBuilder {
    nodes: Vec<Growing>,
    frames: Vec<u32>,
}

#[derive(Debug, Default)]
struct Growing {
    edges: Vec<(Edge, u32)>,
    slot: bool,
    rows: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
enum Edge {
    Name(String),
    Index(i64),
    Filter(Vec<String>, Value, Option<Pick>),
}

/// What is asked of a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    Value(u32),
    Rows(u32),
}

impl TrieBuilder {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Growing::default()], frames: vec![0] }
    }

    pub(crate) fn value(&mut self, frame: u32, segments: &[Segment], pick: Option<Pick>) -> Wanted {
        let node = self.node(frame, segments, pick);
        self.nodes[node as usize].slot = true;
        Wanted::Value(node)
    }

    /// The frame of the elements of a list; rules that go through the same list share it.
    pub(crate) fn rows(&mut self, frame: u32, segments: &[Segment], pick: Option<Pick>) -> (Wanted, u32) {
        let node = self.node(frame, segments, pick);
        let rows = match self.nodes[node as usize].rows {
            Some(rows) => rows,
            None => {
                let root = self.grow();
                self.frames.push(root);
                let rows = (self.frames.len() - 1) as u32;
                self.nodes[node as usize].rows = Some(rows);
                rows
            }
        };
        (Wanted::Rows(node), rows)
    }

    fn grow(&mut self) -> u32 {
        self.nodes.push(Growing::default());
        (self.nodes.len() - 1) as u32
    }

    fn node(&mut self, frame: u32, segments: &[Segment], pick: Option<Pick>) -> u32 {
        let mut at = self.frames[frame as usize];
        for segment in segments {
            let same = |edge: &Edge| match (edge, segment) {
                (Edge::Name(a), Segment::Name(b)) => a == b,
                (Edge::Index(a), Segment::Index(b)) => a == b,
                (Edge::Filter(names, value, picked), Segment::Filter { names: n, value: v }) => {
                    names == n && value == v && *picked == pick
                }
                _ => false,
            };
            let found =
                self.nodes[at as usize].edges.iter().find(|(edge, _)| same(edge)).map(|(_, node)| *node);
            at = match found {
                Some(node) => node,
                None => {
                    let node = self.grow();
                    let edge = match segment {
                        Segment::Name(name) => Edge::Name(name.clone()),
                        Segment::Index(index) => Edge::Index(*index),
                        Segment::Filter { names, value } => Edge::Filter(names.clone(), value.clone(), pick),
                    };
                    self.nodes[at as usize].edges.push((edge, node));
                    node
                }
            };
        }
        at
    }

    pub(crate) fn finish(self, wants_unread: bool) -> Trie {
        let mut nodes: Vec<Node> = Vec::new();
        nodes.resize_with(self.nodes.len(), || Node {
            above: NONE,
            names: Names::default(),
            items: None,
            slot: NONE,
            rows: NONE,
            frame: NONE,
            first: 0,
            end: 0,
        });
        let mut frames = Vec::with_capacity(self.frames.len());
        for &root in &self.frames {
            let mut next = 0;
            self.number(root, root, &mut next, &mut nodes);
            frames.push(Frame { root, slots: next });
        }
        Trie { nodes, frames, wants_unread }
    }

    /// Numbers the slots so that those of a node and of all below it are neighbours. As deep as the longest path.
    fn number(&self, at: u32, above: u32, next: &mut u32, nodes: &mut [Node]) {
        let growing = &self.nodes[at as usize];
        let first = *next;
        let mut take = || {
            *next += 1;
            *next - 1
        };
        let slot = if growing.slot { take() } else { NONE };
        let rows = if growing.rows.is_some() { take() } else { NONE };
        let mut names = Vec::new();
        let mut items = Items::default();
        for (edge, node) in &growing.edges {
            self.number(*node, at, next, nodes);
            match edge {
                Edge::Name(name) => names.push((name.clone().into_boxed_str(), *node)),
                Edge::Index(index) => items.indexes.push((*index, *node)),
                Edge::Filter(names, value, pick) => items.filters.push(Filter {
                    names: names.clone(),
                    value: value.clone(),
                    pick: *pick,
                    node: *node,
                }),
            }
        }
        let has_items = !items.indexes.is_empty() || !items.filters.is_empty();
        nodes[at as usize] = Node {
            above,
            names: Names::new(names),
            items: has_items.then(|| Box::new(items)),
            slot,
            rows,
            frame: growing.rows.unwrap_or(NONE),
            first,
            end: *next,
        };
    }
}

impl Trie {
    pub(crate) fn slot(&self, wanted: Wanted) -> u32 {
        match wanted {
            Wanted::Value(node) => self.nodes[node as usize].slot,
            Wanted::Rows(node) => self.nodes[node as usize].rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_many_have_the_same_length() {
        for (count, long) in [(1, 1), (5, 3), (200, 3), (200, 70)] {
            let name = |at: usize| format!("{:0long$}", at * 7919 % 1000);
            let names = Names::new((0..count).map(|at| (name(at).into_boxed_str(), at as u32)).collect());

            for at in 0..count {
                assert_eq!(names.find(&name(at)), Some(at as u32));
            }
            assert_eq!((names.find("x"), names.find(&"x".repeat(long)), names.find("")), (None, None, None));
        }
    }
}
