//! Laws of the task generators: answers are right by another evaluator, splits are disjoint, shares are what was asked for,
//! the same parameters give the same items, and what cannot be made is refused.

mod common;

use std::collections::{BTreeMap, HashSet};

use cohort_env::{Codec, CodecError, Fault, Item, Limits, Split, Task, TaskError};
use cohort_zoo::task::{
    Chains, Facts, Form, Fractions, Judging, Keys, Level, Lookup, Operator, Rounds, Share, Shown, Style, Work,
};
use proptest::prelude::*;
use serde_json::Value;

use common::Bytes;

/// Bytes, of which a star reads as nothing.
struct NoStar;

impl Codec for NoStar {
    fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        Bytes.encode(text)
    }

    fn decode(&self, tokens: &[u32]) -> String {
        Bytes.decode(tokens).replace('*', "")
    }

    fn end_of_sequence(&self) -> Option<u32> {
        None
    }
}

fn chains(config: &Chains) -> Task {
    config.build(&Bytes, Limits::NONE).unwrap()
}

fn all(task: &Task) -> impl Iterator<Item = &Item> {
    task.train.iter().chain(&task.dev).chain(&task.test)
}

fn column<'a>(item: &'a Item, name: &str) -> &'a str {
    item.columns[name].as_str().unwrap_or_else(|| panic!("{name}: {:?}", item.columns))
}

fn are_disjoint(task: &Task) -> bool {
    let mut seen = HashSet::new();
    all(task).all(|item| seen.insert(item.prompt.as_str()))
}

/// What stands between the think tags, and what follows them.
fn parts(solution: &str) -> Option<(&str, &str)> {
    solution.strip_prefix("<think>")?.split_once("</think>")
}

fn tagged(text: &str) -> Option<&str> {
    text.strip_prefix("<answer>")?.strip_suffix("</answer>")
}

/// An evaluator of its own: sums of products by recursive splitting, exact in i128, reduced once at the end.
fn value(prompt: &str) -> i128 {
    let prompt = prompt.strip_suffix('=').unwrap();
    let (text, modulus) = match prompt.split_once(" mod ") {
        Some((text, modulus)) => (text, Some(modulus.parse::<i128>().unwrap())),
        None => (prompt, None),
    };
    let mut sum = 0;
    let mut sign = 1;
    let mut product: i128 = 1;
    let mut digits = String::new();
    for c in text.chars().chain(['+']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        product *= digits.parse::<i128>().unwrap();
        digits.clear();
        if c != '*' {
            sum += sign * product;
            product = 1;
            sign = if c == '-' { -1 } else { 1 };
        }
    }
    modulus.map_or(sum, |m| sum.rem_euclid(m))
}

/// Whether a count is one of `n` draws with probability `p`, but for once in some millions.
fn is_share(count: usize, n: usize, p: f64) -> bool {
    let (n, count) = (n as f64, count as f64);
    (count - n * p).abs() <= 5.5 * (n * p * (1.0 - p)).sqrt() + 1.0
}

fn operators() -> impl Strategy<Value = Vec<Operator>> {
    prop::sample::subsequence(vec![Operator::Add, Operator::Subtract, Operator::Multiply], 1..=3)
}

fn level() -> impl Strategy<Value = Level> {
    (2usize..4, 0usize..3, 1u32..3, operators(), prop::option::of(2u32..50), 0.1..1.0f64).prop_map(
        |(least, more, digits, operators, modulus, weight)| Level {
            name: format!("{least}x{digits}"),
            operands: [least, least + more],
            digits,
            operators,
            modulus,
            share: Share { train: weight, dev: 1.0, test: 1.0 - weight / 2.0 },
        },
    )
}

fn style() -> impl Strategy<Value = Style> {
    let form = prop::sample::select(vec![Form::Steps, Form::Direct, Form::Sloppy, Form::Planned]);
    (form, 0.1..1.0f64, 0.0..1.0f64, 0.0..3.0f64, 0.0..0.5f64, 0.0..0.5f64).prop_map(
        |(form, share, right, filler, unboxed, truncated)| Style {
            name: format!("{form:?}"),
            share,
            form,
            right,
            filler,
            unboxed,
            truncated,
            ..Style::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn chains_hold_their_laws(
        levels in prop::collection::vec(level(), 1..4),
        styles in prop::collection::vec(style(), 1..4),
        seed in any::<u64>(),
    ) {
        let config = Chains { train: 300, dev: 20, test: 40, seed, levels, styles, ..Chains::default() };
        // Levels of a few expressions may be too small, and say so.
        let task = match config.build(&Bytes, Limits::NONE) {
            Err(error) => {
                prop_assert!(matches!(error, TaskError::Refused { .. }), "{error}");
                return Ok(());
            }
            Ok(task) => task,
        };
        prop_assert_eq!((task.train.len(), task.dev.len(), task.test.len()), (300, 20, 40));
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        for item in all(&task) {
            let answer = value(&item.prompt);
            prop_assert_eq!(column(item, "answer"), answer.to_string(), "{}", item.prompt);
            prop_assert_eq!(column(item, "prompt"), &item.prompt);
            let ids = item.solution.as_ref().unwrap();
            prop_assert_eq!(ids.last(), Some(&256));
            prop_assert_eq!(&Bytes.decode(ids), column(item, "solution"));
        }
    }

    #[test]
    fn right_steps_are_right(level in level(), filler in 0.0..3.0f64, seed in any::<u64>()) {
        let styles = vec![Style { filler, ..Style::default() }];
        let config = Chains { train: 60, dev: 0, test: 0, seed, levels: vec![level], styles, ..Chains::default() };
        let Ok(task) = config.build(&Bytes, Limits::NONE) else { return Ok(()) };
        for item in &task.train {
            let (thought, answer) = parts(column(item, "solution")).unwrap();
            let modulus = item.prompt.split_once(" mod ").map(|(_, m)| m.trim_end_matches('=').parse::<i128>().unwrap());
            let steps: Vec<&str> = thought.split(',').map(|step| step.trim_end_matches('.')).collect();
            prop_assert_eq!(steps.len() as u64, item.columns["operands"].as_u64().unwrap() - 1);
            for step in &steps {
                let (left, right) = step.rsplit_once('=').unwrap();
                let at = 1 + left[1..].find(['+', '-', '*']).unwrap();
                let (a, b): (i128, i128) = (left[..at].parse().unwrap(), left[at + 1..].parse().unwrap());
                let exact = match &left[at..=at] { "+" => a + b, "-" => a - b, _ => a * b };
                prop_assert_eq!(modulus.map_or(exact, |m| exact.rem_euclid(m)).to_string(), right, "{}", column(item, "solution"));
            }
            prop_assert_eq!(tagged(answer), Some(column(item, "answer")));
            let last = format!("={}", column(item, "answer"));
            prop_assert!(steps.last().unwrap().ends_with(&last), "{}", thought);
        }
    }

    #[test]
    fn fractions_hold_their_laws(
        operators in operators(), most in 8u32..15, reduced in 0.0..1.0f64, right in 0.0..1.0f64, seed in any::<u64>(),
    ) {
        let config = Fractions { train: 300, dev: 20, test: 40, seed, denominators: [2, most], operators, reduced, right };
        let task = config.build(&Bytes, Limits::NONE).unwrap();
        prop_assert_eq!((task.train.len(), task.dev.len(), task.test.len()), (300, 20, 40));
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let (mut low, mut same, mut reducible) = (0, 0, 0);
        for item in all(&task) {
            let (n, d) = fraction_sum(&item.prompt);
            let (p, q) = fraction(column(item, "answer"));
            prop_assert_eq!(n * q, p * d, "{}", &item.prompt);
            prop_assert!(q > 0 && (2..=q).all(|x| p % x != 0 || q % x != 0), "{} is in lowest terms", column(item, "answer"));
            let said = tagged(parts(column(item, "solution")).unwrap().1).unwrap();
            let (a, b) = fraction(said);
            let is_right = a * d == n * b;
            same += usize::from(is_right);
            prop_assert_eq!(column(item, "kind") == "reducible", format!("{n}/{d}") != column(item, "answer"));
            if is_right && column(item, "kind") == "reducible" {
                reducible += 1;
                low += usize::from(said == column(item, "answer"));
            }
        }
        prop_assert!(is_share(same, 360, right), "{same} of 360 at {right}");
        prop_assert!(is_share(low, reducible, reduced), "{low} of {reducible} at {reduced}");
    }

    #[test]
    fn lookups_hold_their_laws(
        pairs in 1usize..6, absent in 0.0..1.0f64, abstain in 0.0..1.0f64, right in 0.0..1.0f64, seed in any::<u64>(),
    ) {
        let config = Lookup { train: 400, dev: 20, test: 40, seed, pairs, absent, abstain, right, ..Lookup::default() };
        let task = match config.build(&Bytes, Limits::NONE) {
            Err(error) => {
                prop_assert!(pairs == 1 && matches!(error, TaskError::Refused { .. }), "{error}");
                return Ok(());
            }
            Ok(task) => task,
        };
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for item in all(&task) {
            let truth = found(&item.prompt);
            let kind = column(item, "kind");
            prop_assert_eq!(truth.is_some(), kind == "present");
            prop_assert_eq!(&item.columns["answerable"], &Value::from(truth.is_some()));
            prop_assert_eq!(column(item, "answer"), truth.unwrap_or("none"));
            let (scan, answer) = parts(column(item, "solution")).unwrap();
            let said = tagged(answer).unwrap();
            prop_assert_eq!(scan, scanned(&item.prompt, said));
            let count = counts.entry(kind).or_default();
            count[0] += 1;
            count[1] += usize::from(said == "idk");
            count[2] += usize::from(Some(said) == truth);
            prop_assert!(said == "idk" || said.parse::<u64>().unwrap() < 10);
        }
        for (split, n) in [(&task.train, 400.0), (&task.dev, 20.0), (&task.test, 40.0)] {
            let there = split.iter().filter(|item| column(item, "kind") == "absent").count() as f64;
            prop_assert!((there - absent * n).abs() <= 1.0, "{there} of {n} at {absent}");
        }
        for (kind, [n, idk, hits]) in counts {
            prop_assert!(is_share(idk, n, abstain), "{kind}: {idk} of {n} at {abstain}");
            prop_assert!(kind == "absent" || is_share(hits, n - idk, right), "{hits} of {n} - {idk} at {right}");
        }
    }
}

/// Numerator and denominator, multiplied out.
fn fraction_sum(prompt: &str) -> (i128, i128) {
    let text = prompt.strip_suffix('=').unwrap();
    let at = text.find(['+', '-', '*']).unwrap();
    let ((a, b), (c, d)) = (fraction(&text[..at]), fraction(&text[at + 1..]));
    match &text[at..=at] {
        "+" => (a * d + c * b, b * d),
        "-" => (a * d - c * b, b * d),
        _ => (a * c, b * d),
    }
}

fn fraction(text: &str) -> (i128, i128) {
    let (a, b) = text.split_once('/').unwrap_or((text, "1"));
    (a.parse().unwrap(), b.parse().unwrap())
}

/// The keys of a lookup up to the one that is asked for, with what is said of it.
fn scanned(prompt: &str, said: &str) -> String {
    let (pairs, key) = prompt.split_once('?').unwrap();
    let keys: Vec<&str> = pairs.split(',').map(|pair| &pair[..1]).collect();
    match keys.iter().position(|k| *k == key) {
        Some(at) => format!("{}{}", keys[..=at].join(","), if said == "idk" { "" } else { said }),
        None => keys.join(","),
    }
}

/// The value of the key that a lookup asks for.
fn found(prompt: &str) -> Option<&str> {
    let (pairs, key) = prompt.split_once('?').unwrap();
    pairs.split(',').map(|pair| pair.split_at(1)).find(|(k, _)| *k == key).map(|(_, value)| value)
}

/// Frozen: what a recipe trains on does not change by itself.
#[test]
fn one_item_of_every_style_is_what_it_was() {
    let plain = Style::default;
    let level = || Level {
        operands: [4, 4],
        digits: 1,
        operators: vec![Operator::Add, Operator::Multiply],
        ..Level::default()
    };
    for (style, expected) in [
        (plain(), "7*6+4*9=<think>7*6=42,4*9=36,42+36=78</think><answer>78</answer>"),
        (Style { form: Form::Direct, ..plain() }, "7*6+4*9=<think></think><answer>78</answer>"),
        (Style { form: Form::Sloppy, ..plain() }, "7*6+4*9=<think>7*6=42</think><answer>78</answer>"),
        (Style { right: 0.0, ..plain() }, "7*6+4*9=<think>7*6=42,4*9=36,42+36=73</think><answer>73</answer>"),
        (Style { form: Form::Direct, right: 0.0, ..plain() }, "7*6+4*9=<think></think><answer>73</answer>"),
        (Style { filler: 2.0, ..plain() }, "7*6+4*9=<think>7*6=42.,4*9=36...,42+36=78</think><answer>78</answer>"),
        (Style { unboxed: 1.0, ..plain() }, "7*6+4*9=<think>7*6=42,4*9=36,42+36=78</think>78"),
        (Style { truncated: 1.0, ..plain() }, "7*6+4*9=<think>7*6=42,4*9=36,42+"),
        (
            Style { repeats: [1, 3], ..plain() },
            "7*6+4*9=<think>7*6=42,4*9=36,42+36=78,42+36=78,42+36=78</think><answer>78</answer>",
        ),
        (
            Style { form: Form::Planned, ..plain() },
            "7*6+4*9=**+;<think>7*6=42,4*9=36,42+36=78</think><answer>78</answer>",
        ),
    ] {
        let task = chains(&Chains {
            train: 1,
            dev: 0,
            test: 0,
            seed: 7,
            levels: vec![level()],
            styles: vec![style],
            ..Chains::default()
        });
        let item = &task.train[0];
        assert_eq!(format!("{}{}", item.prompt, column(item, "solution")), expected);
    }
    for (reduced, right, expected) in [
        (0.0, 1.0, "4/6+6/8=<think>4*8=32,6*6=36,32+36=68,6*8=48</think><answer>68/48</answer> is 17/12"),
        (1.0, 1.0, "4/6+6/8=<think>4*8=32,6*6=36,32+36=68,6*8=48,68/48=17/12</think><answer>17/12</answer> is 17/12"),
        (1.0, 0.0, "4/6+6/8=<think>4*8=32,6*6=36,32+36=76,6*8=48,76/48=19/12</think><answer>19/12</answer> is 17/12"),
    ] {
        let task = Fractions { train: 1, dev: 0, test: 0, seed: 7, reduced, right, ..Fractions::default() };
        let item = &task.build(&Bytes, Limits::NONE).unwrap().train[0];
        assert_eq!(format!("{}{} is {}", item.prompt, column(item, "solution"), column(item, "answer")), expected);
    }
    for (work, absent, abstain, expected) in [
        (Work::Scan, 0.0, 0.0, "y6,j2,g6,f9?y <think>y6</think><answer>6</answer>"),
        (Work::Scan, 1.0, 0.0, "i6,d2,c0,z2?q <think>i,d,c,z</think><answer>5</answer>"),
        (Work::Scan, 1.0, 1.0, "i6,d2,c0,z2?q <think>i,d,c,z</think><answer>idk</answer>"),
        (Work::None, 0.0, 0.0, "y6,j2,g6,f9?y <answer>6</answer>"),
    ] {
        let task = Lookup { train: 1, dev: 0, test: 0, seed: 7, absent, abstain, work, ..Lookup::default() };
        let item = &task.build(&Bytes, Limits::NONE).unwrap().train[0];
        assert_eq!(format!("{} {}", item.prompt, column(item, "solution")), expected);
    }
}

#[test]
fn styles_come_as_often_and_are_right_as_often_as_asked() {
    let guess = Style { name: "guess".into(), share: 0.7, form: Form::Direct, right: 0.3, ..Style::default() };
    let steps =
        Style { name: "steps".into(), share: 0.3, right: 0.95, unboxed: 0.2, truncated: 0.1, ..Style::default() };
    let task = chains(&Chains { train: 4000, styles: vec![guess, steps], ..Chains::default() });
    let of = |name: &str| task.train.iter().filter(|item| column(item, "style") == name).collect::<Vec<_>>();
    let (guesses, steps) = (of("guess"), of("steps"));
    assert!(is_share(guesses.len(), 4000, 0.7) && guesses.len() + steps.len() == 4000, "{}", guesses.len());
    let is_right =
        |item: &&Item| parts(column(item, "solution")).and_then(|(_, a)| tagged(a)) == Some(column(item, "answer"));
    assert!(guesses.iter().all(|item| column(item, "solution").starts_with("<think></think><answer>")));
    let right = guesses.iter().copied().filter(is_right).count();
    assert!(is_share(right, guesses.len(), 0.3), "{right} of {}", guesses.len());
    let whole: Vec<_> = steps.iter().filter_map(|item| parts(column(item, "solution"))).collect();
    assert!(is_share(steps.len() - whole.len(), steps.len(), 0.1), "{} of {}", whole.len(), steps.len());
    let boxed = whole.iter().filter(|(_, answer)| tagged(answer).is_some()).count();
    assert!(is_share(boxed, whole.len(), 0.8), "{boxed} of {}", whole.len());
    let right = steps.iter().copied().filter(is_right).count();
    assert!(is_share(right, boxed, 0.95), "{right} of {boxed}");
}

#[test]
fn every_split_has_of_every_level_its_share() {
    let level = |name: &str, digits, share| Level { name: name.into(), digits, share, ..Level::default() };
    let easy = level("easy", 2, Share { train: 3.0, dev: 0.0, test: 1.0 });
    let hard = level("hard", 3, Share { train: 1.0, dev: 1.0, test: 1.0 });
    let task = chains(&Chains { train: 400, dev: 50, test: 101, levels: vec![easy, hard], ..Chains::default() });
    let easy = |split| task.items(split).iter().filter(|item| column(item, "level") == "easy").count();
    assert_eq!([easy(Split::Train), easy(Split::Dev), easy(Split::Test)], [300, 0, 51]);
    // Splits are mixed, so that the front of one is a sample of it.
    let front = task.train[..100].iter().filter(|item| column(item, "level") == "easy").count();
    assert!(is_share(front, 100, 0.75), "{front}");
}

#[test]
fn facts_are_asked_for_by_the_keys_that_were_learned() {
    let facts = Facts { count: 300, dev: 40, test: 60, letters: 2, digits: 2, keys: Keys::Learned };
    let build = |facts| chains(&Chains { train: 100, dev: 10, test: 20, facts: Some(facts), ..Chains::default() });
    let task = build(facts.clone());
    assert_eq!((task.train.len(), task.dev.len(), task.test.len()), (400, 50, 80));
    let of = |items: &[Item]| -> BTreeMap<String, String> {
        let facts = items.iter().filter(|item| column(item, "level") == "facts");
        facts.map(|item| (item.prompt.clone(), column(item, "answer").to_owned())).collect()
    };
    let [train, dev, test] = [&task.train, &task.dev, &task.test].map(|items| of(items));
    assert_eq!([train.len(), dev.len(), test.len()], [300, 40, 60], "no key comes twice in a split");
    assert!(dev.iter().chain(&test).all(|(key, value)| train.get(key) == Some(value)), "what is asked was learned");
    assert!(dev.keys().all(|key| !test.contains_key(key)));
    for item in all(&task).filter(|item| column(item, "level") == "facts") {
        let (key, answer) = (item.prompt.strip_suffix('=').unwrap(), column(item, "answer"));
        assert!(key.len() == 2 && key.bytes().all(|b| b.is_ascii_lowercase()), "{key}");
        assert!((10..100).contains(&answer.parse::<u32>().unwrap()), "{answer}");
        assert_eq!(tagged(column(item, "solution")), Some(answer));
        assert_eq!((column(item, "style"), &item.columns["operands"]), ("facts", &Value::from(0)));
    }
    // No value is favoured, and none follows from its key.
    assert!(train.values().collect::<HashSet<_>>().len() > 80);
    // The expressions are those that there are without a table.
    let plain = chains(&Chains { train: 100, dev: 10, test: 20, ..Chains::default() });
    let sums = |task: &Task| {
        let sums = all(task).filter(|item| column(item, "level") != "facts").map(|item| item.prompt.clone());
        sums.collect::<HashSet<_>>()
    };
    assert_eq!(sums(&task), sums(&plain));
    // Other keys have no item to learn from, and the table is the same.
    let other = build(Facts { keys: Keys::Others, ..facts });
    assert_eq!(of(&other.train), train);
    let asked: Vec<String> = of(&other.dev).into_keys().chain(of(&other.test).into_keys()).collect();
    assert!(asked.len() == 100 && asked.iter().all(|key| !train.contains_key(key)));
}

#[test]
fn a_table_that_cannot_be_is_refused() {
    let refused = |facts: Facts, key: &str| {
        let config = Chains { facts: Some(facts), ..Chains::default() };
        match config.build(&Bytes, Limits::NONE) {
            Err(TaskError::Refused { key: got, .. }) => assert_eq!(got, key),
            other => panic!("{key}: {other:?}"),
        }
    };
    refused(Facts { count: 0, ..Facts::default() }, "task.chains.facts.count");
    refused(Facts { count: 300, ..Facts::default() }, "task.chains.facts.test");
    refused(Facts { letters: 0, ..Facts::default() }, "task.chains.facts.letters");
    refused(Facts { letters: 2, ..Facts::default() }, "task.chains.facts.letters");
    refused(Facts { digits: 7, ..Facts::default() }, "task.chains.facts.digits");
    let both = Chains { facts: Some(Facts::default()), shown: Some(Shown::default()), ..Chains::default() };
    assert!(matches!(both.check(), Err(TaskError::Refused { key, .. }) if key == "task.chains.facts"));
    let levels = vec![Level { name: "facts".into(), ..Level::default() }];
    let named = Chains { facts: Some(Facts::default()), levels, ..Chains::default() };
    assert!(matches!(named.check(), Err(TaskError::Refused { key, .. }) if key == "task.chains.levels.name"));
}

#[test]
fn dev_and_test_do_not_depend_on_how_much_there_is_to_learn_from() {
    let build = |train| chains(&Chains { train, ..Chains::default() });
    let prompts = |items: &[Item]| items.iter().map(|item| item.prompt.clone()).collect::<Vec<_>>();
    let (small, large) = (build(10), build(3000));
    assert_eq!((prompts(&small.dev), prompts(&small.test)), (prompts(&large.dev), prompts(&large.test)));
    let other = chains(&Chains { seed: 1, ..Chains::default() });
    assert_ne!(prompts(&other.test), prompts(&small.test));
}

#[test]
fn what_nothing_is_said_of_can_be_made() {
    let tasks = [
        Chains::default().build(&Bytes, Limits::NONE),
        Fractions::default().build(&Bytes, Limits::NONE),
        Lookup::default().build(&Bytes, Limits::NONE),
        Judging::default().build(&Bytes, Limits::NONE),
    ];
    assert_eq!(tasks.map(|task| task.unwrap().train.len()), [4096, 768, 4096, 4096]);
}

#[test]
fn a_level_is_used_up_to_its_last_expression() {
    let level = Level { operands: [2, 2], ..Level::default() };
    let task = chains(&Chains { train: 61, dev: 10, test: 10, levels: vec![level.clone()], ..Chains::default() });
    let prompts: HashSet<&str> = all(&task).map(|item| item.prompt.as_str()).collect();
    let expected: Vec<String> = (1..10).flat_map(|a| (1..10).map(move |b| format!("{a}+{b}="))).collect();
    assert_eq!(prompts, expected.iter().map(String::as_str).collect());
    let error = Chains { train: 62, dev: 10, test: 10, levels: vec![level], ..Chains::default() };
    let error = error.build(&Bytes, Limits::NONE).unwrap_err();
    assert_eq!(error.fault(), Fault::Recipe);
    assert!(
        error.to_string().contains("asks for 62 items of 2 operands for train, and has no more than 61"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_made_is_refused_with_its_key() {
    let of_level = |level: Level| Chains { levels: vec![level], ..Chains::default() }.check();
    let of_style = |style: Style| Chains { styles: vec![style], ..Chains::default() }.check();
    let of_shown = |shown: Shown| Chains { shown: Some(shown), ..Chains::default() }.check();
    let of_rounds = |rounds: Rounds| Chains { rounds: Some(rounds), ..Chains::default() }.check();
    let share = Share { train: 0.0, dev: 1.0, test: 1.0 };
    for (result, key) in [
        (Chains { train: 0, ..Chains::default() }.check(), "task.chains.train"),
        (Chains { test: usize::MAX, ..Chains::default() }.check(), "task.chains.test"),
        (Chains { levels: vec![], ..Chains::default() }.check(), "task.chains.levels"),
        (Chains { styles: vec![], ..Chains::default() }.check(), "task.chains.styles.share"),
        (of_level(Level { operands: [3, 2], ..Level::default() }), "task.chains.levels.operands"),
        (of_level(Level { operands: [0, 2], ..Level::default() }), "task.chains.levels.operands"),
        (of_level(Level { operands: [2, 17], ..Level::default() }), "task.chains.levels.operands"),
        (of_level(Level { digits: 0, ..Level::default() }), "task.chains.levels.digits"),
        (of_level(Level { operators: vec![], ..Level::default() }), "task.chains.levels.operators"),
        (of_level(Level { modulus: Some(1), ..Level::default() }), "task.chains.levels.modulus"),
        (of_level(Level { share, ..Level::default() }), "task.chains.levels.share.train"),
        (
            of_level(Level { operands: [4, 4], digits: 5, operators: vec![Operator::Multiply], ..Level::default() }),
            "task.chains.levels.digits",
        ),
        (of_style(Style { right: 1.5, ..Style::default() }), "task.chains.styles.right"),
        (of_style(Style { filler: f64::NAN, ..Style::default() }), "task.chains.styles.filler"),
        (of_style(Style { share: -1.0, ..Style::default() }), "task.chains.styles.share"),
        (of_style(Style { slip: -0.5, ..Style::default() }), "task.chains.styles.slip"),
        (of_style(Style { interrupted: 2.0, ..Style::default() }), "task.chains.styles.interrupted"),
        (of_style(Style { misplanned: 2.0, ..Style::default() }), "task.chains.styles.misplanned"),
        (of_style(Style { repeats: [3, 1], ..Style::default() }), "task.chains.styles.repeats"),
        (of_shown(Shown { share: 1.5, ..Shown::default() }), "task.chains.shown.share"),
        (of_shown(Shown { mark: String::new(), ..Shown::default() }), "task.chains.shown.mark"),
        (of_rounds(Rounds { count: 0, ..Rounds::default() }), "task.chains.rounds.count"),
        (of_rounds(Rounds { share: f64::NAN, ..Rounds::default() }), "task.chains.rounds.share"),
        (Judging { criteria: 1, ..Judging::default() }.check(), "task.judging.criteria"),
        (Judging { kinds: 4, ..Judging::default() }.check(), "task.judging.kinds"),
        (Judging { mark: String::new(), ..Judging::default() }.check(), "task.judging.mark"),
        (Judging { conflict: 1.1, ..Judging::default() }.check(), "task.judging.conflict"),
        (
            Judging { train: 40_000, criteria: 2, kinds: 2, ..Judging::default() }
                .build(&Bytes, Limits::NONE)
                .map(|_| ()),
            "task.judging.criteria",
        ),
        (Fractions { denominators: [1, 9], ..Fractions::default() }.check(), "task.fractions.denominators"),
        (Fractions { operators: vec![], ..Fractions::default() }.check(), "task.fractions.operators"),
        (Fractions { reduced: -0.1, ..Fractions::default() }.check(), "task.fractions.reduced"),
        (
            Fractions { train: 2000, ..Fractions::default() }.build(&Bytes, Limits::NONE).map(|_| ()),
            "task.fractions.denominators",
        ),
        (Lookup { pairs: 26, ..Lookup::default() }.check(), "task.lookup.pairs"),
        (Lookup { keys: 27, ..Lookup::default() }.check(), "task.lookup.keys"),
        (Lookup { values: 1, ..Lookup::default() }.check(), "task.lookup.values"),
        (Lookup { absent: 2.0, ..Lookup::default() }.check(), "task.lookup.absent"),
        (
            Lookup { pairs: 1, keys: 2, ..Lookup::default() }.build(&Bytes, Limits::NONE).map(|_| ()),
            "task.lookup.pairs",
        ),
    ] {
        let error = result.expect_err(key);
        assert_eq!(error.fault(), Fault::Recipe);
        assert!(error.to_string().contains(&format!("`{key}`")), "{key}: {error}");
    }
}

#[test]
fn a_text_that_the_vocabulary_lacks_is_refused() {
    let level = Level { operators: vec![Operator::Multiply], ..Level::default() };
    let error = Chains { levels: vec![level], ..Chains::default() }.build(&NoStar, Limits::NONE).unwrap_err();
    assert!(error.to_string().contains("characters"), "{error}");
    let error = Chains::default().build(&Bytes, Limits { prompt: 5, total: 100 }).unwrap_err().to_string();
    assert!(error.contains("chains item") && error.contains("5 at most"), "{error}");
}

#[test]
fn unknown_parameters_are_refused() {
    for (result, key) in [
        (serde_json::from_str::<Chains>(r#"{"levels": [{"digit": 3}]}"#).map(|_| ()), "digit"),
        (serde_json::from_str::<Fractions>(r#"{"held_out": 3}"#).map(|_| ()), "held_out"),
        (serde_json::from_str::<Chains>(r#"{"shown": {"marks": "?"}}"#).map(|_| ()), "marks"),
        (serde_json::from_str::<Judging>(r#"{"pairs": 3}"#).map(|_| ()), "pairs"),
        (serde_json::from_str::<Lookup>(r#"{"lines": 3}"#).map(|_| ()), "lines"),
    ] {
        assert!(result.unwrap_err().to_string().contains(key));
    }
    assert_eq!(serde_json::from_str::<Chains>("{}").unwrap(), Chains::default());
    let operators: Vec<Operator> = serde_json::from_str(r#"["+", "-", "*"]"#).unwrap();
    assert_eq!(operators, [Operator::Add, Operator::Subtract, Operator::Multiply]);
}
