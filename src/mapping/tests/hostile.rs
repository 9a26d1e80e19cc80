//! What somebody writes who wants the engine to fail, to hang or to grow.

use serde_json::json;

use crate::mapping::tests::{document, outcome};

#[test]
fn quotients_without_an_end_are_not_sorted() {
    let sorted = |text: &str| outcome(&document(json!([{"to": "a", "expr": text}])), &json!({"n": [3, 1, 2]}));

    let refused = sorted("$sort([1/3, 0.5, 2/7, 12345678901234567890123456789012345.1])").unwrap_err();
    assert!(refused.contains("INEXACT"), "{refused}");
    assert_eq!(sorted("$sort(n)"), Ok(json!({"a": [1, 2, 3]})));
}
