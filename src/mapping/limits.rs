//! What a document, an input and a run may cost.

/// The limits of mappings; every one can be set by the host.
///
/// ```
/// use crossdock::mapping::Limits;
///
/// let limits = Limits { rules: 100, ..Limits::default() };
///
/// assert_eq!(limits.steps, 16);
/// # let _ = limits;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of a document's text.
    pub document_bytes: usize,
    /// Rules in a document, those in `each` included.
    pub rules: usize,
    /// How deep `each` may be nested.
    pub nesting: usize,
    /// Steps of one rule, those inside steps included.
    pub steps: usize,
    /// Names and indexes of one path.
    pub path_depth: usize,
    /// Rows of the tables in a document, together.
    pub table_rows: usize,
    /// Conditions of one `when`, and cases of one rule, those inside included.
    pub conditions: usize,
    /// Bytes of one expression.
    pub expression_bytes: usize,
    /// How deep an expression may be nested; never deeper than 64.
    pub expression_depth: usize,
    /// Parts of one expression; never more than 1,024.
    pub expression_nodes: usize,
    /// Bytes of an input.
    pub input_bytes: usize,
    /// How deep lists and objects may be nested in what is read, copied and written.
    pub json_depth: usize,
    /// Elements of one list that `each` goes through.
    pub rows: usize,
    /// Elements that all `each` of a run go through, together.
    pub rows_in_all: usize,
    /// Bytes of one text that a step makes.
    pub text_bytes: usize,
    /// Bytes of an output.
    pub output_bytes: usize,
    /// The last fence: one per rule and step per row, and one more per 64 bytes of a value that a step or a condition
    /// goes through.
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 256 * 1024,
            rules: 2_000,
            nesting: 8,
            steps: 16,
            path_depth: 16,
            table_rows: 10_000,
            conditions: 64,
            expression_bytes: 1_024,
            expression_depth: 32,
            expression_nodes: 256,
            input_bytes: 8 * 1024 * 1024,
            json_depth: 64,
            rows: 10_000,
            rows_in_all: 100_000,
            text_bytes: 1024 * 1024,
            output_bytes: 16 * 1024 * 1024,
            fuel: 5_000_000,
        }
    }
}
