//! Laws of `pairs`: grades and answers by another reading of the prompt, lists as the search gives them, shares as asked for.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use cohort_env::{Codec, Item, Limits, Task, TaskError};
use cohort_zoo::task::Pairs;

use common::Bytes;

fn build(config: &Pairs) -> Task {
    config.build(&Bytes, Limits { prompt: 64, total: 64 }).unwrap()
}

fn said(item: &Item) -> String {
    Bytes.decode(item.solution.as_deref().unwrap())
}

fn lists(items: &[Item]) -> BTreeMap<&str, Vec<&Item>> {
    let mut lists: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    items.iter().for_each(|item| lists.entry(item.columns["query"].as_str().unwrap()).or_default().push(item));
    lists
}

fn small() -> Pairs {
    Pairs { train: 60, dev: 10, test: 20, documents: 48, candidates: 12, ..Pairs::default() }
}

#[test]
fn grades_count_concepts_in_either_form() {
    let config = small();
    for item in build(&config).train.iter() {
        let (query, rest) = item.prompt.split_once('|').unwrap();
        let document = rest.strip_suffix('?').unwrap();
        let concepts = |words: &str| words.to_lowercase().chars().collect::<BTreeSet<char>>();
        let grade = concepts(query).intersection(&concepts(document)).count();
        assert_eq!((query.len(), document.len()), (3, 4), "{}", item.prompt);
        assert_eq!(item.columns["query"], query);
        assert_eq!(item.columns["grade"], grade, "{}", item.prompt);
        assert_eq!(item.columns["answer"], if grade >= config.relevant { "1" } else { "0" }, "{}", item.prompt);
    }
}

#[test]
fn a_list_is_what_the_search_found() {
    let config = small();
    let task = build(&config);
    let mut queries = BTreeSet::new();
    for items in [&task.train, &task.dev, &task.test] {
        let lists = lists(items);
        for (query, list) in lists {
            assert!(queries.insert(query.to_owned()), "{query} is in two splits");
            assert_eq!(list.len(), config.candidates);
            let prompts: BTreeSet<&str> = list.iter().map(|item| item.prompt.as_str()).collect();
            assert_eq!(prompts.len(), list.len(), "a document comes once");
            // A search by words: a document without a word of the query has no score, and one with more words in common has a higher one
            // than one that has some of these alone.
            let shared = |item: &Item| -> BTreeSet<char> {
                let document = item.prompt.split_once('|').unwrap().1;
                query.chars().filter(|word| document.contains(*word)).collect()
            };
            let found = |item: &Item| item.columns["found"].as_f64().unwrap();
            for a in &list {
                assert_eq!(shared(a).is_empty(), found(a) == 0.0, "{}", a.prompt);
                for b in &list {
                    let (of_a, of_b) = (shared(a), shared(b));
                    if of_a.is_superset(&of_b) && of_a != of_b {
                        assert!(found(a) > found(b), "{} {}", a.prompt, b.prompt);
                    }
                }
            }
        }
    }
    assert_eq!(queries.len(), 90);
    // What the search cannot know: documents that it puts apart though they are as good, and the other way round.
    let one = lists(&task.test);
    let disagree = one.values().any(|list| {
        let (grade, found) =
            (|i: &Item| i.columns["grade"].as_u64().unwrap(), |i: &Item| i.columns["found"].as_f64().unwrap());
        list.iter().any(|a| list.iter().any(|b| grade(a) > grade(b) && found(a) < found(b)))
    });
    assert!(disagree);
}

#[test]
fn solutions_are_wrong_and_off_as_often_as_asked() {
    let config = Pairs { train: 300, off: 0.3, right: 0.75, ..small() };
    let task = build(&config);
    let n = task.train.len() as f64;
    let is_answer = |item: &&Item| matches!(said(item).as_str(), "0" | "1");
    let answers: Vec<&Item> = task.train.iter().filter(is_answer).collect();
    let right = answers.iter().filter(|item| said(item) == item.columns["answer"]).count() as f64;
    let near =
        |share: f64, p: f64, n: f64| assert!((share - p).abs() < 5.0 * (p * (1.0 - p) / n).sqrt(), "{share} {p}");
    near(answers.len() as f64 / n, 0.7, n);
    near(right / answers.len() as f64, 0.75, answers.len() as f64);
    let all = Pairs { off: 1.0, ..small() };
    assert!(build(&all).train.iter().all(|item| said(item).chars().all(char::is_alphabetic)));
}

#[test]
fn the_same_parameters_give_the_same_items() {
    let config = small();
    assert_eq!(build(&config), build(&config));
    assert_ne!(build(&Pairs { seed: 1, ..config.clone() }).test, build(&config).test);
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |config: Pairs, key: &str| match config.build(&Bytes, Limits { prompt: 64, total: 64 }) {
        Err(TaskError::Refused { key: of, .. }) => assert_eq!(of, key),
        other => panic!("{key}: {other:?}"),
    };
    refused(Pairs { concepts: 1, ..small() }, "task.pairs.concepts");
    refused(Pairs { wanted: 11, ..small() }, "task.pairs.wanted");
    refused(Pairs { relevant: 4, ..small() }, "task.pairs.relevant");
    refused(Pairs { candidates: 49, ..small() }, "task.pairs.candidates");
    refused(Pairs { right: 1.5, ..small() }, "task.pairs.right");
    refused(Pairs { train: 0, ..small() }, "task.pairs.train");
    // 10 over 3 concepts in two forms each are 960 queries.
    refused(Pairs { train: 2000, ..small() }, "task.pairs.concepts");
    refused(Pairs { concepts: 4, documents: 40, candidates: 4, ..small() }, "task.pairs.documents");
}
