//! Precision and recall by class over the corpora: what `redact_quality` prints.

#[allow(clippy::expect_used, reason = "a test fails by panicking")]
#[path = "../corpus/corpus.rs"]
mod corpus;

use weir_plugin_redact_pii::Class;

#[test]
fn every_class_is_found_and_little_else() {
    let mut wrong = Vec::new();
    let scores =
        corpus::scores(|line, found| wrong.push(format!("{:?}\n  {:?}\n  {found:?}", line.text, line.spans)));
    for set in ["dev", "held"] {
        for class in Class::ALL {
            let score = scores.get(&(set.to_owned(), class)).copied().unwrap_or_default();
            assert!(score.right + score.missed >= 80, "{set} {class:?}: too few values to tell: {score:?}");
            let is_good = score.precision() >= 0.98 && score.recall() >= 0.98;
            assert!(is_good, "{set} {class:?}: {score:?}\n{}", wrong.join("\n"));
        }
    }
}

#[test]
fn half_of_the_lines_hold_nothing() {
    let lines = corpus::lines();
    let none = lines.iter().filter(|line| line.kind == "none").count();
    assert!(none * 5 > lines.len() * 2, "{none} of {}", lines.len());
    for line in &lines {
        assert_eq!(line.kind == "none", line.spans.is_empty(), "{line:?}");
    }
}
