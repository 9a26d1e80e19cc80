//! Rows of cells as CSV (RFC 4180), safe to open in a spreadsheet.
//!
//! A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a line's end as a formula. Such a cell is written with a `'` before
//! it, which spreadsheets take for "this is text", and reading takes exactly that `'` away again. So that reading is exact, a cell that
//! already begins with `'` and then such a sign gets one more.

use std::borrow::Cow;

/// Why a text is not CSV.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Malformed {
    #[error("a quoted cell does not end")]
    Unclosed,
    #[error(
        "a quote stands inside a cell that does not begin with one, or text stands behind a closing quote"
    )]
    StrayQuote,
    #[error("there are more than {ROWS} rows, or more than {COLUMNS} cells in one")]
    TooMany,
}

/// One row, and the line of the text on which it begins, from 1 on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) cells: Vec<String>,
}

/// Adds one row.
pub(crate) fn write_row<S: AsRef<str>>(cells: impl IntoIterator<Item = S>, out: &mut String) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let cell = disarmed(cell.as_ref());
        if cell.contains(['"', ',', '\n', '\r', ';', '\t']) || cell.trim() != cell {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(&cell);
        }
    }
    out.push_str("\r\n");
}

/// All rows; empty lines are passed over, and so is a byte order mark.
///
/// # Errors
/// The line and what is wrong with it.
pub(crate) fn read_rows(text: &str) -> Result<Vec<Row>, (usize, Malformed)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = Vec::new();
    let mut chars = text.chars().peekable();
    let mut line = 1;
    while chars.peek().is_some() {
        let begins = line;
        let mut cells = Vec::new();
        loop {
            let mut cell = String::new();
            if chars.next_if_eq(&'"').is_some() {
                loop {
                    match chars.next() {
                        None => return Err((begins, Malformed::Unclosed)),
                        Some('"') if chars.next_if_eq(&'"').is_none() => break,
                        Some(c) => {
                            line += usize::from(c == '\n');
                            cell.push(c);
                        }
                    }
                }
                if !matches!(chars.peek(), None | Some(',' | '\n' | '\r')) {
                    return Err((line, Malformed::StrayQuote));
                }
            } else {
                while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '\n' | '\r')) {
                    if c == '"' {
                        return Err((line, Malformed::StrayQuote));
                    }
                    cell.push(c);
                }
            }
            cells.push(armed(&cell).into_owned());
            if cells.len() > COLUMNS || rows.len() > ROWS {
                return Err((line, Malformed::TooMany));
            }
            if chars.next_if_eq(&',').is_none() {
                break;
            }
        }
        let returned = chars.next_if_eq(&'\r').is_some();
        let fed = chars.next_if_eq(&'\n').is_some();
        line += usize::from(returned || fed);
        if cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { line: begins, cells });
        }
    }
    Ok(rows)
}

fn disarmed(cell: &str) -> Cow<'_, str> {
    if cell.trim_start_matches('\'').starts_with(is_dangerous) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

fn armed(cell: &str) -> Cow<'_, str> {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(is_dangerous) => Cow::Owned(rest.to_owned()),
        _ => Cow::Borrowed(cell),
    }
}

/// The signs that OWASP lists, full-width ones included: some spreadsheets take those for the plain ones.
fn is_dangerous(c: char) -> bool {
    matches!(
        c,
        '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
    )
}

const ROWS: usize = 10_000;
const COLUMNS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        let mut out = String::new();

        write_row(["=1+1", "@SUM(A1)", "-2", "'=x", "\t=1", "plain", "a\"b"], &mut out);

        assert_eq!(out, "'=1+1,'@SUM(A1),'-2,''=x,\"'\t=1\",plain,\"a\"\"b\"\r\n");
    }

    #[test]
    fn lines_are_counted_through_quoted_cells() {
        let rows = read_rows("\u{feff}a,b\n\"x\ny\",z\r\n\r\nlast\n").unwrap();

        let lines: Vec<_> = rows.iter().map(|row| (row.line, row.cells.len())).collect();
        assert_eq!(lines, [(1, 2), (2, 2), (5, 1)]);
    }

    #[test]
    fn broken_quotes_are_refused_with_their_line() {
        assert_eq!(read_rows("a\n\"b"), Err((2, Malformed::Unclosed)));
        assert_eq!(read_rows("a\nb\"c"), Err((2, Malformed::StrayQuote)));
        assert_eq!(read_rows("\"a\"b"), Err((1, Malformed::StrayQuote)));
    }

    proptest! {
        #[test]
        fn cells_are_read_back_as_they_were_written(
            rows in proptest::collection::vec(proptest::collection::vec("['=+@a,;\"\\r\\n\t é-]{0,6}", 1..4), 0..5)
        ) {
            let mut text = String::new();
            for row in &rows {
                write_row(row, &mut text);
            }

            let read: Vec<_> = read_rows(&text).unwrap().into_iter().map(|row| row.cells).collect();

            let kept: Vec<_> = rows.into_iter().filter(|row| row.iter().any(|cell| !cell.is_empty())).collect();
            prop_assert_eq!(read, kept);
        }

        #[test]
        fn no_cell_begins_like_a_formula(cell in any::<String>()) {
            prop_assert!(!disarmed(&cell).starts_with(is_dangerous));
        }

        #[test]
        fn reading_never_panics(text in any::<String>()) {
            // What it says about arbitrary text is of no interest here.
            let _ = read_rows(&text);
        }
    }
}
