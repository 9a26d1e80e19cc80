//! An expression, with what it reads.

use crate::mapping::diagnostic::Diagnostic;
use crate::mapping::expression::{Base, Expression, Read};
use crate::mapping::path::{Origin, Segment, SourcePath};
use crate::mapping::plan::compile::Compiler;
use crate::mapping::plan::{ExprPlan, PathId};
use crate::mapping::spec::table::TableMiss;

impl Compiler<'_> {
    pub(super) fn expression(&mut self, text: &str, lang: Option<&str>, pointer: &str) -> Option<ExprPlan> {
        if let Some(lang) = lang.filter(|lang| *lang != BUILTIN) {
            let message = format!("`{lang}` is not a language of single rules");
            let place =
                pointer.strip_suffix("/expr").map_or(pointer.to_owned(), |rule| format!("{rule}/lang"));
            self.found.add(
                Diagnostic::error("E-EXPR-LANG", place, message).with_help(
                    "leave `lang` out; whole mappings in other languages have engines of their own",
                ),
            );
            return None;
        }
        if text.len() > self.limits.expression_bytes {
            let most = self.limits.expression_bytes;
            self.error("E-LIMIT", pointer, format!("the expression has more than {most} bytes"));
            return None;
        }
        let expression = match Expression::parse_within(text, self.limits) {
            Ok(expression) => expression,
            Err(error) => {
                let mut found =
                    Diagnostic::error(error.code(), pointer, error.message()).with_within(error.span());
                found.help = error.help().map(str::to_owned);
                self.found.add(found);
                return None;
            }
        };
        let reads: Vec<_> = expression.reads().iter().map(|read| self.reads(read, pointer)).collect();
        let tables: Vec<_> = expression
            .tables()
            .iter()
            .map(|name| {
                let columns = self.spec.tables.get(&**name).map(|table| table.columns.as_slice());
                let (key, value) = match columns {
                    Some([key, value, ..]) => (key.clone(), value.clone()),
                    _ => (String::new(), String::new()),
                };
                let step = self.table_step(name, &key, &value, pointer)?;
                let spec = &self.spec.tables[&**name];
                let miss = spec.miss.unwrap_or(TableMiss::Error);
                Some(crate::mapping::plan::TableStep { miss, default: spec.default.clone(), ..step })
            })
            .collect();
        Some(ExprPlan {
            reads: reads.into_iter().collect::<Option<_>>()?,
            tables: tables.into_iter().collect::<Option<_>>()?,
            expression,
        })
    }

    fn reads(&mut self, read: &Read, pointer: &str) -> Option<Box<[PathId]>> {
        let origin = match read.base {
            Base::Element => Origin::Element,
            Base::Root => Origin::Root,
            Base::Parent(levels) => Origin::Parent(levels.into()),
        };
        if read.names.len() > self.limits.path_depth {
            let most = self.limits.path_depth;
            self.error("E-LIMIT", pointer, format!("a path of the expression has more than {most} parts"));
            return None;
        }
        (0..=read.names.len())
            .map(|length| {
                let names = read.names[..length].iter().map(|name| Segment::Name(name.to_string()));
                self.value_of(SourcePath { origin, segments: names.collect() }, None, pointer)
            })
            .collect()
    }
}

const BUILTIN: &str = "builtin";
