//! Everything that is wrong with a document, each with its place in the text.

use crossdock::mapping::Diagnostics;

pub(crate) fn show(file: &str, text: &str, found: &Diagnostics) {
    for problem in found.iter() {
        println!("{problem}");
        let Some(span) = &problem.span else { continue };
        let Some(before) = text.get(..span.start) else { continue };
        let line = before.matches('\n').count() + 1;
        let begins = before.rfind('\n').map_or(0, |at| at + 1);
        let ends = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
        // A caret per character, and only as far as the line goes.
        let column = text[begins..span.start].chars().count();
        let width =
            text.get(span.start..span.end.min(ends)).map_or(1, |marked| marked.chars().count().max(1));
        println!("  --> {file}:{line}:{}", column + 1);
        let (from, to) = window(&text[begins..ends], column, width);
        let shown: String = text[begins..ends].chars().skip(from).take(to - from).collect();
        println!("   | {shown}");
        println!("   | {}{}\n", " ".repeat(column - from), "^".repeat(width.min(to - column)));
    }
    let errors = found.iter().filter(|problem| problem.is_error()).count();
    println!("{errors} errors, {} warnings", found.len() - errors);
}

/// Which characters of a long line are shown.
fn window(line: &str, column: usize, width: usize) -> (usize, usize) {
    const MOST: usize = 110;
    let length = line.chars().count();
    if length <= MOST {
        return (0, length.max(column + 1));
    }
    let from = column.saturating_sub((MOST - width.min(MOST)) / 2);
    (from, (from + MOST).min(length).max(column + 1))
}
