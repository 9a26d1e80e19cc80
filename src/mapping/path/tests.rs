//! Paths, read and written.

use super::*;

#[test]
fn paths_are_written_as_they_are_read() {
    for text in [
        "id",
        "customer.first_name",
        "$.currency",
        "$",
        "^.id",
        "^.^.id",
        "^",
        "@",
        "lines[0].sku",
        "lines[-1]",
        "['customer.name'].x",
        "note_attributes[name='vat_id'].value",
        "a[b.c=12.5]",
        "a[ok=true]['it\\'s']",
        "created-at",
        "straße.größe",
    ] {
        let path: SourcePath = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));

        assert_eq!(path.to_string(), text);
    }
}

#[test]
fn the_standard_form_of_a_filter_is_the_same_path() {
    let short: SourcePath = "a[name='x'].b".parse().unwrap();
    let standard: SourcePath = "a[?@.name == 'x'].b".parse().unwrap();

    assert_eq!(short, standard);
}

#[test]
fn what_is_wrong_with_a_path_has_a_place() {
    for (text, at) in [
        ("", 0..0),
        ("a..b", 2..3),
        ("a.", 2..2),
        ("a.0", 2..3),
        ("a[", 1..2),
        ("a[0", 1..3),
        ("a[*]", 2..3),
        ("a['x", 2..4),
        ("a[01]", 2..4),
        ("a[b]", 3..4),
        ("a b", 1..2),
        ("a[b=x]", 4..5),
        ("a[--1]", 2..5),
        ("^^", 1..2),
    ] {
        let error = text.parse::<SourcePath>().expect_err(text);

        assert_eq!(error.at, at, "{text}: {error}");
    }
}

#[test]
fn a_target_path_has_names_only() {
    assert_eq!("a.b['c.d']".parse::<TargetPath>().unwrap().names, ["a", "b", "c.d"]);
    assert!("a[0]".parse::<TargetPath>().is_err());
    assert!("$.a".parse::<TargetPath>().is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_path_or_an_error_with_a_place(text in ".{0,40}") {
        match text.parse::<SourcePath>() {
            Ok(path) => proptest::prop_assert_eq!(path.to_string().parse::<SourcePath>().unwrap(), path),
            Err(error) => proptest::prop_assert!(text.get(error.at.clone()).is_some(), "{:?}", error),
        }
    }

    #[test]
    fn texts_made_of_what_paths_are_made_of_too(text in "[a\\.\\[\\]'\"=?@$^*0-9\\\\u -]{0,24}") {
        if let Ok(path) = text.parse::<SourcePath>() {
            proptest::prop_assert_eq!(path.to_string().parse::<SourcePath>().unwrap(), path);
        }
    }
}
