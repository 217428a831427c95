//! Laws of what groups come about from: chains with parts shown, with plans, with repeats, in rounds; pairs to judge.

mod common;

use std::collections::{BTreeMap, HashSet};

use cohort_env::{Item, Limits, Task};
use cohort_zoo::task::{Chains, Form, Judging, Level, Operator, Rounds, Shown, Style, What};
use proptest::prelude::*;

use common::Bytes;

fn column<'a>(item: &'a Item, name: &str) -> &'a str {
    item.columns[name].as_str().unwrap_or_else(|| panic!("{name}: {:?}", item.columns))
}

fn number(item: &Item, name: &str) -> u64 {
    item.columns[name].as_u64().unwrap_or_else(|| panic!("{name}: {:?}", item.columns))
}

fn chains(config: Chains) -> Task {
    config.build(&Bytes, Limits::NONE).unwrap()
}

/// Three-digit operands: there are always enough.
fn level(operators: Vec<Operator>) -> Level {
    Level { operands: [1, 7], digits: 2, operators, ..Level::default() }
}

fn operators() -> impl Strategy<Value = Vec<Operator>> {
    prop::sample::subsequence(vec![Operator::Add, Operator::Subtract, Operator::Multiply], 1..=3)
}

/// The numbers and signs of an expression; a sign that begins it belongs to its number.
fn parsed(text: &str) -> (Vec<i128>, Vec<char>) {
    let (mut numbers, mut signs, mut digits) = (Vec::new(), Vec::new(), String::new());
    for c in text.chars() {
        if c.is_ascii_digit() || digits.is_empty() {
            digits.push(c);
        } else {
            numbers.push(digits.parse().unwrap());
            signs.push(c);
            digits.clear();
        }
    }
    numbers.push(digits.parse().unwrap());
    (numbers, signs)
}

/// Works an expression out as a plan says, each sign the leftmost of its kind: the steps, and what comes out.
fn worked(text: &str, plan: &str) -> (Vec<String>, i128) {
    let (mut numbers, mut signs) = parsed(text);
    let mut steps = Vec::new();
    for sign in plan.chars() {
        let at = signs.iter().position(|&s| s == sign).expect("a sign that is left");
        signs.remove(at);
        let (a, b) = (numbers[at], numbers.remove(at + 1));
        numbers[at] = match sign {
            '+' => a + b,
            '-' => a - b,
            _ => a * b,
        };
        steps.push(format!("{a}{sign}{b}={}", numbers[at]));
    }
    assert!(signs.is_empty(), "{plan} leaves signs of {text}");
    (steps, numbers[0])
}

/// The right plan of an expression.
fn plan(text: &str) -> String {
    let (_, signs) = parsed(text);
    signs.iter().filter(|&&s| s == '*').chain(signs.iter().filter(|&&s| s != '*')).collect()
}

/// Whether a count is one of `n` draws with probability `p`, but for once in some millions.
fn is_share(count: usize, n: usize, p: f64) -> bool {
    let (n, count) = (n as f64, count as f64);
    (count - n * p).abs() <= 5.5 * (n * p * (1.0 - p)).sqrt() + 1.0
}

/// The steps and the answer of `<think>..</think><answer>..</answer>`.
fn solution(text: &str) -> (Vec<&str>, &str) {
    let (thought, answer) = text.strip_prefix("<think>").unwrap().split_once("</think>").unwrap();
    let answer = answer.strip_prefix("<answer>").unwrap().strip_suffix("</answer>").unwrap();
    (if thought.is_empty() { Vec::new() } else { thought.split(',').collect() }, answer)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_shown_part_is_right_and_a_solution_is_wrong_only_behind_it(
        operators in operators(), share in 0.0..1.0f64, is_answer in any::<bool>(), seed in any::<u64>(),
    ) {
        let what = if is_answer { What::Answer } else { What::Steps };
        let config = Chains {
            train: 300, dev: 20, test: 20, seed,
            levels: vec![level(operators)],
            styles: vec![Style { right: 0.5, slip: 0.9, ..Style::default() }],
            shown: Some(Shown { share, mark: "?".into(), what }),
            ..Chains::default()
        };
        let task = chains(config.clone());
        prop_assert_eq!(&task, &chains(config));
        let (mut some, mut all) = (0, 0);
        let mut plain = HashSet::new();
        for item in &task.train {
            let (text, behind) = item.prompt.split_once('=').unwrap();
            prop_assert!(plain.insert(text));
            let (right, value) = worked(text, &plan(text));
            prop_assert_eq!(column(item, "answer"), value.to_string());
            let (steps, said) = solution(column(item, "solution"));
            let hints: Vec<Vec<&str>> =
                ["hint_1", "hint_2", "hint_3"].map(|hint| column(item, hint)).iter().map(|h| h.split(',').filter(|s| !s.is_empty()).collect()).collect();
            for (level, hint) in hints.iter().enumerate() {
                // The least number of steps that is no less than so many quarters, but for the last step.
                let least = (0..).find(|n| 4 * n >= (level + 1) * right.len()).unwrap();
                prop_assert_eq!(hint.len(), least.min(right.len().saturating_sub(1)));
                prop_assert!(hint.iter().zip(&right).all(|(a, b)| a == b), "{hint:?}");
            }
            all += usize::from(right.len() > 1);
            match column(item, "shown") {
                "none" => prop_assert_eq!(behind, ""),
                "answer" => {
                    prop_assert_eq!(behind, format!("?{value}"));
                    prop_assert_eq!(steps, right);
                    prop_assert_eq!(said, value.to_string());
                    some += 1;
                }
                _ => {
                    let shown: Vec<&str> = behind.strip_prefix('?').unwrap().split(',').collect();
                    prop_assert!(hints.contains(&shown), "{behind}");
                    prop_assert!(steps.iter().zip(&shown).all(|(a, b)| a == b) && steps.len() == right.len(), "{behind}: {steps:?}");
                    some += 1;
                }
            }
        }
        prop_assert!(is_share(some, all, share), "{some} of {all} at {share}");
        prop_assert!(task.dev.iter().chain(&task.test).all(|item| column(item, "shown") == "none" && item.prompt.ends_with('=')));
    }

    #[test]
    fn a_plan_is_followed_and_a_wrong_one_leads_elsewhere(operators in operators(), misplanned in 0.0..1.0f64, seed in any::<u64>()) {
        let style = Style { form: Form::Planned, misplanned, ..Style::default() };
        let task = chains(Chains { train: 300, dev: 0, test: 0, seed, levels: vec![level(operators.clone())], styles: vec![style], ..Chains::default() });
        let mut wrong = 0;
        for item in &task.train {
            let text = item.prompt.strip_suffix('=').unwrap();
            let (says, rest) = column(item, "solution").split_once(';').unwrap();
            let (steps, said) = solution(rest);
            let (followed, value) = worked(text, says);
            prop_assert_eq!(steps, followed);
            prop_assert_eq!(said, value.to_string());
            let is_right = says == plan(text);
            prop_assert_eq!(is_right, said == column(item, "answer"), "{} {}", text, says);
            wrong += usize::from(!is_right);
        }
        prop_assert!(wrong == 0 || operators.len() > 1);
        // Of one operand or of one kind of signs no order is wrong.
        prop_assert!(wrong as f64 <= 300.0 * misplanned + 5.5 * (300.0 * misplanned).sqrt() + 1.0, "{wrong} at {misplanned}");
    }

    #[test]
    fn the_last_step_is_written_again(least in 0usize..3, more in 0usize..3, seed in any::<u64>()) {
        let style = Style { repeats: [least, least + more], ..Style::default() };
        let task = chains(Chains { train: 200, dev: 0, test: 0, seed, levels: vec![level(vec![Operator::Add])], styles: vec![style], ..Chains::default() });
        let mut counts = BTreeMap::new();
        for item in &task.train {
            let (right, value) = worked(item.prompt.strip_suffix('=').unwrap(), &plan(item.prompt.strip_suffix('=').unwrap()));
            let (steps, said) = solution(column(item, "solution"));
            prop_assert_eq!(said, value.to_string());
            let Some(last) = right.last() else { continue };
            prop_assert_eq!(&steps[..right.len()], &right[..]);
            prop_assert!(steps[right.len()..].iter().all(|step| step == last));
            *counts.entry(steps.len() - right.len()).or_insert(0) += 1;
        }
        prop_assert!(counts.keys().copied().eq(least..=least + more), "{counts:?}");
    }

    #[test]
    fn rounds_lead_to_the_answer(operators in operators(), count in 1usize..4, share in 0.0..1.0f64, seed in any::<u64>()) {
        let rounds = Rounds { share, count, mark: ":".into() };
        let task = chains(Chains {
            train: 300, dev: 20, test: 0, seed, levels: vec![level(operators)], rounds: Some(rounds), ..Chains::default()
        });
        let mut some = 0;
        for item in &task.train {
            let (text, behind) = item.prompt.split_once('=').unwrap();
            let (right, _) = worked(text, &plan(text));
            let round = number(item, "round") as usize;
            if round == 0 {
                prop_assert_eq!(behind, "");
                prop_assert_eq!(solution(column(item, "solution")).0, right);
                continue;
            }
            some += 1;
            let of = |i: usize| -> String {
                let ends = [i - 1, i].map(|i| (i * right.len()).div_ceil(count));
                right[ends[0]..ends[1]].join(",")
            };
            let before = behind.strip_prefix(':').unwrap();
            prop_assert_eq!(before.is_empty(), round == 1);
            // The round before ends with what this one begins with.
            let rest = match before.strip_suffix(";:") {
                None => text,
                Some(before) => {
                    let (steps, rest) = before.split_once(':').unwrap();
                    prop_assert_eq!(steps, of(round - 1));
                    rest
                }
            };
            prop_assert_eq!(&worked(rest, &plan(rest)).0, &right[((round - 1) * right.len()).div_ceil(count)..]);
            let solution = column(item, "solution");
            if round == count {
                prop_assert_eq!(solution, format!("{}<answer>{}</answer>", of(round), column(item, "answer")));
                continue;
            }
            let (own, rest) = solution.strip_suffix(';').unwrap().split_once(':').unwrap();
            prop_assert_eq!(own, of(round));
            prop_assert_eq!(worked(rest, &plan(rest)).1.to_string(), column(item, "answer"));
        }
        prop_assert!(is_share(some, 300, share), "{some} at {share}");
        prop_assert!(task.dev.iter().all(|item| number(item, "round") == 0 && item.prompt.ends_with('=')));
    }

    #[test]
    fn judgings_hold_their_laws(
        criteria in 2usize..7, more in 0usize..3, conflict in 0.0..1.0f64, two_turns in 0.0..1.0f64,
        focused in 0.0..1.0f64, right in 0.0..1.0f64, seed in any::<u64>(),
    ) {
        let config = Judging {
            train: 400, dev: 40, test: 41, seed, criteria, kinds: criteria + more, conflict, two_turns, focused, right,
            ..Judging::default()
        };
        let task = config.build(&Bytes, Limits::NONE).unwrap();
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let mut seen = HashSet::new();
        let (mut deciding, mut counts) = (BTreeMap::new(), [0usize; 5]);
        for item in task.train.iter().chain(&task.dev).chain(&task.test) {
            let (prompt, behind) = item.prompt.split_once('=').unwrap();
            prop_assert!(seen.insert(prompt.to_owned()));
            let (kind, pair) = prompt.split_once(':').unwrap();
            let marks: Vec<BTreeMap<char, u32>> = pair.split('/').map(|response| {
                let response: Vec<char> = response.chars().collect();
                response.chunks(2).map(|mark| (mark[0], mark[1].to_digit(10).unwrap())).collect()
            }).collect();
            prop_assert!(marks.len() == 2 && marks[0].keys().eq(marks[1].keys()) && marks[0].len() == criteria);
            let criterion = column(item, "criterion").chars().next().unwrap();
            prop_assert_eq!(kind, column(item, "kind"));
            // A kind has one criterion, whatever the item.
            prop_assert_eq!(*deciding.entry(kind.to_owned()).or_insert(criterion), criterion);
            let better = |c: char| if marks[0][&c] > marks[1][&c] { "1" } else { "2" };
            prop_assert!(marks[0].keys().all(|c| marks[0][c] != marks[1][c]));
            prop_assert_eq!(better(criterion), column(item, "answer"));
            let is_conflict = item.columns["conflict"].as_bool().unwrap();
            for &c in marks[0].keys().filter(|&&c| c != criterion) {
                prop_assert_eq!(better(c) != better(criterion), is_conflict);
            }
            let verdict = |text: &str| text.strip_prefix("<answer>").and_then(|t| t.strip_suffix("</answer>")).unwrap().to_owned();
            let solution = column(item, "solution");
            if number(item, "turns") == 1 {
                prop_assert_eq!(behind, "");
                counts[0] += 1;
                counts[1] += usize::from(verdict(solution) == better(criterion));
                continue;
            }
            prop_assert_eq!(behind, "!");
            let (focus, rest) = solution.split_once(';').unwrap();
            let focus = focus.chars().next().unwrap();
            let seen = format!("{}/{}", marks[0][&focus], marks[1][&focus]);
            let said = verdict(rest.strip_prefix(&seen).unwrap());
            counts[2] += 1;
            counts[3] += usize::from(focus == criterion);
            counts[4] += usize::from(said == better(focus));
        }
        let [one, one_right, two, two_focused, two_right] = counts;
        prop_assert!(is_share(one_right, one, right), "{one_right} of {one} at {right}");
        prop_assert!(is_share(two_focused, two, focused), "{two_focused} of {two} at {focused}");
        prop_assert!(is_share(two_right, two, right), "{two_right} of {two} at {right}");
        let in_two = task.train.iter().filter(|item| number(item, "turns") == 2).count();
        prop_assert!(is_share(in_two, 400, two_turns) && in_two == two, "{in_two} at {two_turns}");
        for (split, n) in [(&task.train, 400.0), (&task.dev, 40.0), (&task.test, 41.0)] {
            let conflicts = split.iter().filter(|item| item.columns["conflict"].as_bool() == Some(true)).count() as f64;
            let first = split.iter().filter(|item| column(item, "answer") == "1").count() as f64;
            prop_assert!((conflicts - conflict * n).abs() <= 2.0 && (first - n / 2.0).abs() <= 2.0, "{conflicts}, {first} of {n}");
        }
        let criteria_that_decide: HashSet<char> = deciding.values().copied().collect();
        prop_assert_eq!(criteria_that_decide.len(), criteria);
    }
}

#[test]
fn who_is_interrupted_answers_what_is_there() {
    let styles = vec![Style { interrupted: 0.5, repeats: [0, 2], ..Style::default() }];
    let levels = vec![Level { operands: [2, 7], ..level(vec![Operator::Add, Operator::Subtract]) }];
    let task = chains(Chains { train: 2000, dev: 0, test: 0, levels, styles, ..Chains::default() });
    let (mut all, mut cut) = (0, 0);
    for item in &task.train {
        let text = item.prompt.strip_suffix('=').unwrap();
        let (right, value) = worked(text, &plan(text));
        let (thought, said) = column(item, "solution").strip_prefix("<think>").unwrap().split_once("</think>").unwrap();
        let said = said.strip_prefix("<answer>").unwrap().strip_suffix("</answer>").unwrap();
        let whole = [right.clone(), vec![right.last().unwrap().clone(); 2]].concat().join(",");
        assert!(whole.starts_with(thought), "{thought}");
        all += 1;
        if said == value.to_string() {
            continue;
        }
        cut += 1;
        // The number behind an equals sign that the thought ends on, or the result of the last step before.
        let steps: Vec<&str> = thought.split(',').collect();
        let results = steps.iter().rev().filter_map(|step| step.split_once('='));
        let latest = results.map(|(_, result)| result).find(|result| !result.is_empty() && *result != "-");
        assert_eq!(said, latest.unwrap_or(text.split(['+', '-']).next().unwrap()), "{thought}");
    }
    // A cut behind the answer changes nothing.
    assert!(cut > all / 5 && cut < all / 2, "{cut} of {all}");
}

#[test]
fn a_slip_in_every_step_by_itself_makes_long_expressions_hard() {
    let levels = vec![Level { operands: [5, 5], ..Level::default() }];
    let styles = vec![Style { slip: 0.3, ..Style::default() }];
    let task = chains(Chains { train: 4000, dev: 0, test: 0, levels, styles, ..Chains::default() });
    let is_clean = |item: &&Item| {
        let text = item.prompt.strip_suffix('=').unwrap();
        solution(column(item, "solution")).0 == worked(text, &plan(text)).0
    };
    let clean = task.train.iter().filter(is_clean).count();
    assert!(is_share(clean, 4000, 0.7f64.powi(4)), "{clean}");
}

/// Frozen: what a recipe trains on does not change by itself.
#[test]
fn one_item_of_every_sort_is_what_it_was() {
    let base = || Chains {
        train: 1,
        dev: 0,
        test: 0,
        seed: 3,
        levels: vec![Level { operands: [6, 6], ..Level::default() }],
        ..Chains::default()
    };
    let of = |config: Chains| {
        let task = chains(config);
        format!("{}_{}", task.train[0].prompt, column(&task.train[0], "solution"))
    };
    let steps = Shown { share: 1.0, ..Shown::default() };
    let answer = Shown { what: What::Answer, ..steps.clone() };
    let rounds = Rounds { share: 1.0, ..Rounds::default() };
    let judging = Judging { train: 1, dev: 0, test: 0, seed: 3, two_turns: 1.0, ..Judging::default() };
    let judged = judging.build(&Bytes, Limits::NONE).unwrap();
    let judged = format!("{}_{}", judged.train[0].prompt, column(&judged.train[0], "solution"));
    assert_eq!(
        [
            of(Chains { shown: Some(steps), ..base() }),
            of(Chains { shown: Some(answer), ..base() }),
            of(Chains { rounds: Some(rounds), ..base() }),
            judged
        ],
        [
            "1+9+8+6+3+4=?1+9=10,10+8=18,18+6=24_<think>1+9=10,10+8=18,18+6=24,24+3=27,27+4=31</think><answer>31</answer>",
            "1+9+8+6+3+4=?31_<think>1+9=10,10+8=18,18+6=24,24+3=27,27+4=31</think><answer>31</answer>",
            "1+9+8+6+3+4=:_1+9=10,10+8=18,18+6=24:24+3+4;",
            "v:a3b7c5d4e3/a2b6c1d3e0=!_a;3/2<answer>1</answer>",
        ]
    );
}
