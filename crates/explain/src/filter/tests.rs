//! Filters against literals, and against hostile text.

use super::*;
use crate::classes::tests::named;
use proptest::prelude::*;

pub(crate) fn record(image: u32, label: Option<u32>, prediction: u32) -> ImageRecord {
    ImageRecord {
        image: ImageId(image),
        path: format!("n{prediction:02}/photo_{image}.jpg"),
        label: label.map(ClassId),
        top_classes: vec![ClassId(prediction), ClassId(7)],
        top_probabilities: vec![0.75, 0.125],
        label_probability: if label == Some(prediction) { 0.75 } else { 0.0 },
        margin: -1.5,
        runner_up: ClassId(7),
        width: 640,
        height: 480,
    }
}

fn parse(text: &str) -> Result<Filter, FilterError> {
    let classes = named(&["church", "tench", "o'brien"]);
    Filter::parse(text, &|name| {
        crate::find_class(&classes, name).map_err(|error| error.to_string())
    })
}

#[test]
fn conditions_hold_as_in_sql() {
    let right = record(1, Some(0), 0);
    let wrong = record(2, Some(7), 1);
    let unlabelled = record(3, None, 1);
    // Whether it holds for: right, wrong, unlabelled.
    let cases = [
        ("label = 'church'", [true, false, false]),
        ("'church' = label", [true, false, false]),
        ("label = 0", [true, false, false]),
        ("label != 'church'", [false, true, false]),
        ("not label = 'church'", [false, true, false]),
        ("label is null", [false, false, true]),
        ("label is not null", [true, true, false]),
        ("correct", [true, false, false]),
        ("not correct", [false, true, false]),
        ("correct = false", [false, true, false]),
        ("not correct or label is null", [false, true, true]),
        ("top5", [true, true, false]),
        ("rank = 2", [false, true, false]),
        ("label = runner_up", [false, true, false]),
        (
            "label <> prediction and prediction = 'n01'",
            [false, true, false],
        ),
        ("prediction in ('tench', 5)", [false, true, true]),
        ("prediction not in ('tench', 5)", [true, false, false]),
        (
            "probability > 0.7 and probability >= .75",
            [true, true, true],
        ),
        ("probability between 0.7 and 0.75", [true, true, true]),
        (
            "probability not between 0.7 and 0.75",
            [false, false, false],
        ),
        ("label_probability < 0.5", [false, true, false]),
        ("margin < -1 and -2e0 < margin", [true, true, true]),
        ("path like 'n00/%'", [true, false, false]),
        ("path like '%photo__.jpg'", [true, true, true]),
        ("path not like '%2.jpg'", [true, false, true]),
        ("path = 'n00/photo_1.jpg'", [true, false, false]),
        (
            "WIDTH > Height AND (image = 1 OR image = 3)",
            [true, false, true],
        ),
        ("prediction = 'o''brien'", [false, false, false]),
    ];
    for (text, expected) in cases {
        let filter = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let found = [&right, &wrong, &unlabelled].map(|record| filter.admits(record));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    let cases = [
        ("", 0, "expected"),
        ("label =", 7, "expected"),
        ("labl = 1", 0, "\"labl\" is no column"),
        ("label = 'curch'", 8, "no class"),
        ("label = 'church", 8, "quotation mark"),
        ("width ; 3", 6, "no meaning"),
        ("width = 1e", 8, "malformed"),
        ("width = 1e999", 8, "malformed"),
        ("width = 'x'", 11, "cannot be compared"),
        ("path = 3", 8, "cannot be compared"),
        ("width like 'x'", 14, "like"),
        ("width", 5, "comparison"),
        ("(correct", 8, "\")\""),
        ("correct correct", 8, "\"and\""),
        ("label in (1, 2", 14, "\")\""),
        ("3 is null", 9, "column"),
    ];
    for (text, position, reason) in cases {
        let error = parse(text).expect_err(text);
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert_eq!(error.position, position, "{text}: {error}");
    }
    let deep = format!("{}correct{}", "(".repeat(2000), ")".repeat(2000));
    assert!(parse(&deep).unwrap_err().reason.contains("nested"));
    assert!(
        parse(&"not ".repeat(1000))
            .unwrap_err()
            .reason
            .contains("nested")
    );
    assert!(
        parse(&"x".repeat(5000))
            .unwrap_err()
            .reason
            .contains("longer")
    );
}

/// `like` by trying every split.
fn naive_like(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|skip| naive_like(&text[skip..], rest)),
        Some((wanted, rest)) => text.split_first().is_some_and(|(first, after)| {
            (*wanted == '_' || wanted == first) && naive_like(after, rest)
        }),
    }
}

proptest! {
    #[test]
    fn like_equals_trying_every_split(text in "[ab]{0,8}", pattern in "[ab%_]{0,6}") {
        let pattern: Vec<char> = pattern.chars().collect();
        let characters: Vec<char> = text.chars().collect();
        prop_assert_eq!(is_like(&text, &pattern), naive_like(&characters, &pattern));
    }

    #[test]
    fn any_text_is_answered(text in "(?s)[a-z0-9'()<>=!,.%_ +-]{0,60}") {
        if let Ok(filter) = parse(&text) {
            let _ = filter.admits(&record(1, Some(0), 0));
        }
    }

    #[test]
    fn words_in_any_order_are_answered(words in prop::collection::vec(
        prop::sample::select(vec!["label", "path", "not", "and", "or", "(", ")", "=", "<", "in",
            "between", "like", "is", "null", "'church'", "1", ",", "correct"]), 0..14)) {
        if let Ok(filter) = parse(&words.join(" ")) {
            let _ = filter.admits(&record(1, None, 0));
        }
    }
}
