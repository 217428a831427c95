use proptest::prelude::*;
use serde_json::json;

use super::{compare::normal_form, *};
use crate::{Verifier, judge_one, testing};

#[path = "tests/corpora.rs"]
mod corpora;
#[path = "tests/pairs.rs"]
mod pairs;

#[test]
fn what_means_the_same_is_equal() {
    let wrong: Vec<_> = pairs::SAME.iter().filter(|(gold, answer)| !same_answer(gold, answer, 6)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_does_not_is_not() {
    let wrong: Vec<_> = pairs::DIFFERENT.iter().filter(|(gold, answer)| same_answer(gold, answer, 6)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_answer_is_where_a_text_marks_it() {
    for (text, answer) in [
        (r"first \boxed{1}, then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1}. Final Answer: The final answer is $10,455$. I hope it is correct.", "10,455"),
        (r"The final answer is 5. No: \boxed{6}", "6"),
        ("<think>\\boxed{3}</think> So <answer>4</answer>", "4"),
        ("It is 3 + 4.\n#### 7", "7"),
        ("She has 3.\nA: 65,960", "65,960"),
        ("There are 12 apples and AZYUK2A", "12"),
        ("about x2 or y3", "about x2 or y3"),
        (r"$\boxed{28}$ pct", r"28\%"),
        ("$1$ and $2$ and $3$", "1, 2, 3"),
        ("He pays $5 and gets $7 back", "7"),
        ("It costs -3,5", "-3.5"),
        ("", ""),
    ] {
        assert_eq!(extract(text), answer, "{text}");
    }
}

#[test]
fn decimals_agree_to_the_digits_that_are_asked_for() {
    for (gold, answer, digits, same) in [
        ("3.14159", r"\pi", 6, true),
        ("3.14159", r"\pi", 7, false),
        ("3.14159", "3.14", 3, true),
        ("3.14159", "3.14", 4, false),
        ("16386.20", "16386.21", 6, false),
        ("1234567", "1234568", 3, false),
        ("0.0000012", "0.0000013", 6, false),
        ("8.333333333333334", "25/3", 6, true),
    ] {
        assert_eq!(same_answer(gold, answer, digits), same, "{gold} {answer} {digits}");
    }
}

/// A number may be a multiple of a prime, but hardly of both.
#[test]
fn multiples_of_a_prime_are_not_nothing() {
    for number in ["2305843009213693951", "2305843009213693921", "2^{61}-1", "2^{61}-31"] {
        assert!(!same_answer("0", number, 6), "{number}");
        assert!(!same_answer(number, "0", 6), "{number}");
    }
}

#[test]
fn one_answer_has_one_normal_form() {
    for spellings in [
        &["0.50", r"\frac{2}{4}", "The answer is 1/2.", r"\boxed{\frac12}"][..],
        &["1,000", "1000", r"1{,}000", "1000.0"],
        &["{3,1,2}", r"\{1,2,3\}", "$1$, $2$ and $3$"],
        &["x+1", "1+x"],
        &["x<1", r"(-\infty,1)", "x = y, so $x < 1$"],
        &["Even", "even", r"\text{Even}"],
    ] {
        let forms: Vec<_> = spellings.iter().map(|text| normal_form(text)).collect();
        assert!(forms.windows(2).all(|pair| pair[0].is_some() && pair[0] == pair[1]), "{spellings:?} {forms:?}");
    }
    assert_eq!(normal_form(" "), None);
}

fn verifier(parameters: serde_json::Value) -> Box<dyn Verifier> {
    let config: MathAnswer = serde_json::from_value(parameters).unwrap();
    config.build(&Means::default()).unwrap()
}

#[test]
fn rows_without_an_answer_are_errors_and_wrong_answers_are_not() {
    let judged = |row: &str, completion: &str| {
        let item = testing::item("p", row);
        judge_one(&*verifier(json!({})), &testing::view(&item, completion)).outcome
    };
    assert_eq!(judged(r#"{"answer": 2.5}"#, "5/2"), Outcome::scored(1.0));
    assert_eq!(judged(r#"{"answer": "2.5"}"#, "no idea"), Outcome::scored(0.0));
    assert_eq!(judged(r#"{"answer": "2.5"}"#, ""), Outcome::scored(0.0));
    for row in ["{}", r#"{"answer": null}"#, r#"{"answer": " "}"#, r#"{"answer": []}"#] {
        assert!(judged(row, "2").is_failure(), "{row}");
    }
    let bad = MathAnswer { digits: 16, ..MathAnswer::default() };
    assert!(bad.build(&Means::default()).is_err());
}

/// Texts that ask for more work than they are worth.
#[test]
fn hostile_texts_end() {
    let many = |part: &str, count: usize| part.repeat(count);
    let set =
        |from: usize| format!("\\{{{}\\}}", (from..from + 400).map(|i| format!("x+{i}")).collect::<Vec<_>>().join(","));
    for text in [
        many("(", 100_000),
        many("\\frac{", 20_000),
        many("\\boxed{", 20_000),
        many("\\boxed{1} and ", 20_000),
        many("$", 100_001),
        many("$1.5$ ", 20_000),
        many("\\(", 50_000),
        many("A1B", 50_000),
        many("#### ", 20_000),
        many("the answer is ", 20_000),
        many("-", 900),
        many("+-", 450),
        format!("2{}", many("!", 900)),
        format!("9{}", many("^9", 400)),
        format!("1{}", many("/2", 400)),
        format!("5{}", many("%", 400)),
        format!("|{}", many("|x|", 300)),
        many("\\begin{pmatrix}", 300),
        many("x_", 400),
        many("9", 100_000),
        many("é", 50_000),
    ] {
        same_answer(&text, &text, 6);
        same_answer(&text, "7", 6);
        same_answer("x^2", &text, 6);
        normal_form(&text);
    }
    assert!(!same_answer(&set(0), &set(1), 6));
}

const SEEDS: &[&str] = &[
    r"\boxed{[-1, -\frac{1}{2}) \cup (-\tfrac12, 0) \cup (1, \infty)}",
    r"$\begin{pmatrix}1 & 2 \\ 3 & \sqrt[3]{4}\end{pmatrix}$ and $1,000.99$ percent",
    r"<answer>x_{1}=10^{\frac{-5+\sqrt{13}}{6}},\quad x_2 = \pm 2</answer>",
    "The final answer is $-793 < a \\le 10$ cm². I hope it is correct. #### 7/8",
    r"\{1,2,3\}; |x-2| \neq \log_2 {8!} \text{ and } 0.\overline{3} \approx 28\%",
];

/// 100,000 texts, unless `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(50_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Two mutated texts a case.
    #[test]
    fn any_text_is_read(
        at in 0..SEEDS.len(),
        other in 0..SEEDS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, any::<char>()), 0..8),
    ) {
        const MARKS: &[char] = &['{', '}', '(', ')', '\\', '$', '^', '_', '|', '9', '.', ',', '-', '/', '%', '!', ' ', '[', '&'];
        let mut texts = [at, other].map(|seed| SEEDS[seed].chars().collect::<Vec<char>>());
        for (index, kind, c) in &edits {
            for text in &mut texts {
                let place = index.index(text.len().max(1));
                match kind {
                    0 if place < text.len() => drop(text.remove(place)),
                    1 => text.insert(place, MARKS[*c as usize % MARKS.len()]),
                    2 => text.insert(place, *c),
                    _ => text.extend_from_within(place.min(text.len())..(place + 9).min(text.len())),
                }
            }
        }
        let [gold, answer] = texts.map(|text| text.into_iter().collect::<String>());
        same_answer(&gold, &answer, 6);
        normal_form(&answer);
    }
}
