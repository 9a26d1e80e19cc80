//! What is printed.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::options::{Options, Output};

/// One measured thing: a table for people, a line for programs.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
    line: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(name: &str, title: impl Into<String>, options: &Options) -> Self {
        let mut line = Map::new();
        line.insert("table".to_owned(), name.into());
        line.insert("store".to_owned(), options.store.to_string().into());
        Self { title: title.into(), header: Vec::new(), rows: Vec::new(), notes: Vec::new(), line }
    }

    pub(crate) fn header<const N: usize>(&mut self, columns: [&'static str; N]) {
        self.header = columns.to_vec();
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub(crate) fn field(&mut self, name: &str, value: impl Into<Value>) {
        self.line.insert(name.to_owned(), value.into());
    }

    #[expect(clippy::print_stdout, reason = "this is what the benchmark is run for")]
    pub(crate) fn print(self, output: Output) {
        match output {
            Output::Json => println!("{}", Value::Object(self.line)),
            Output::Tables => println!("{}", self.text()),
        }
    }

    fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(String::len);
            cells.chain([self.header[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let line = |cells: Vec<&str>| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(index, (cell, width))| match index {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut lines = vec![String::new(), self.title.clone(), line(self.header.clone())];
        lines.push(widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>().join("  "));
        lines.extend(self.rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.join("\n")
    }
}

/// Thousands with commas.
pub(crate) fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

pub(crate) fn percent(ratio: f64) -> String {
    format!("{:.1} %", ratio * 100.0)
}

pub(crate) fn rounded(ratio: f64) -> f64 {
    (ratio * 1_000.0).round() / 1_000.0
}

/// The one in the middle; of two in the middle, the lower.
pub(crate) fn median<T: PartialOrd + Copy>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}
