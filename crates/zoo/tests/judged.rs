//! Laws of the generators whose items are judged by a term of their own: answers are right by another reading of the prompt and full marks
//! by that term, splits are disjoint, shares are what was asked for, and the same parameters give the same items.

mod common;
#[path = "common/judge.rs"]
mod judge;

use std::collections::HashSet;

use cohort_env::{Item, Limits, Task, TaskError};
use cohort_zoo::task::{Asked, Catalogue, Circuits, Fault, Mistake, Queries, Records, Relevance, Screening, Thought};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use common::Bytes;
use judge::{all, are_disjoint, column, is_share, score, sizes, texts, verdict};

/// The text of a tag.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    Some(text.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn screenings_hold_their_laws(
        bar in 0i64..9, right in 0.0..1.0f64, read in 0.0..1.0f64, truncated in 0.0..1.0f64, seed in any::<u64>(),
    ) {
        let config = Screening { train: 400, dev: 20, test: 40, seed, bar, softness: 0.0, right, read, truncated, ..Screening::default() };
        let task = config.build(&Bytes, Limits::NONE).unwrap();
        prop_assert_eq!(sizes(&task), [400, 20, 40]);
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let (mut hits, mut answered, mut years) = (0, 0, 0);
        for item in all(&task) {
            let words: Vec<&str> = item.prompt.split([' ', '|']).collect();
            let [wanted, asked, needed, held, had, level] = words[..] else { panic!("{}", item.prompt) };
            let number = |word: &str| word.parse::<i64>().unwrap();
            let held = held.to_lowercase();
            let matched: Vec<String> = wanted.chars().filter(|c| held.contains(*c)).map(String::from).collect();
            let points = 2 * matched.len() as i64 + (number(had) - number(asked)).clamp(-2, 2)
                + if number(level) >= number(needed) { 1 } else { -1 };
            prop_assert_eq!(column(item, "answer"), if points >= bar { "yes" } else { "no" }, "{}", item.prompt);
            prop_assert_eq!(texts(&item.columns["skills"]), matched);
            prop_assert_eq!(&item.columns["years"], &json!(number(had)));
            prop_assert_eq!(&item.columns["level"], &json!(number(level)));
            prop_assert_eq!(held.len(), 4);
            let solution = column(item, "solution");
            years += usize::from(tag(solution, "y") == Some(had));
            if let Some(said) = tag(solution, "answer") {
                answered += 1;
                hits += usize::from(said == column(item, "answer"));
            }
        }
        prop_assert!(is_share(answered, 460, 1.0 - truncated), "{answered} of 460 at {truncated}");
        prop_assert!(is_share(hits, answered, right), "{hits} of {answered} at {right}");
        prop_assert!(is_share(years, 460, read), "{years} of 460 at {read}");
    }

    #[test]
    fn catalogues_hold_their_laws(
        genres in 1usize..6, steady in 0.0..1.0f64, right in 0.0..1.0f64, unknown in 0.0..1.0f64, seed in any::<u64>(),
    ) {
        let config = Catalogue { train: 200, dev: 20, test: 40, seed, genres, steady, right, unknown, ..Catalogue::default() };
        let task = config.build(&Bytes, Limits::NONE).unwrap();
        prop_assert_eq!(sizes(&task), [200, 20, 40]);
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let (mut hits, mut strange, mut own) = (0, 0, 0);
        for item in all(&task) {
            let (answer, seen, names) =
                (texts(&item.columns["answer"]), texts(&item.columns["seen"]), texts(&item.columns["catalogue"]));
            prop_assert_eq!(item.prompt.trim_end_matches('>').split(' ').collect::<Vec<_>>(), &seen[..]);
            let liked: HashSet<&str> = answer.iter().chain(&seen).copied().collect();
            prop_assert_eq!(liked.len(), 8);
            prop_assert!(liked.iter().all(|name| names.contains(name)));
            prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), 60);
            let place = |name: &str| names.iter().position(|n| *n == name).unwrap();
            own += liked.iter().filter(|name| json!(place(name) % genres) == item.columns["genre"]).count();
            let best = answer.join("\n");
            prop_assert_eq!(score(&json!({"rank_gains": {"places": 5}}), item, &best), 1.0);
            prop_assert_eq!(score(&json!({"catalogue": {}}), item, &best), 1.0);
            let lines: Vec<&str> = column(item, "solution").lines().collect();
            prop_assert_eq!(lines.len(), 5);
            hits += lines.iter().filter(|line| answer.contains(line)).count();
            strange += lines.iter().filter(|line| !names.contains(line)).count();
        }
        // What is not for sure of the genre, or right on purpose, may be so by chance.
        prop_assert!(own as f64 >= 2080.0 * steady - 5.5 * (2080.0 * steady * (1.0 - steady)).sqrt() - 1.0, "{own} at {steady}");
        prop_assert!(hits as f64 >= 1300.0 * right - 5.5 * (1300.0 * right * (1.0 - right)).sqrt() - 1.0, "{hits} at {right}");
        prop_assert!(is_share(strange, 1300, (1.0 - right) * unknown), "{strange} at {right} and {unknown}");
    }

    #[test]
    fn records_hold_their_laws(
        most in 2usize..5, nested in 0.0..1.0f64, right in 0.0..1.0f64, seed in any::<u64>(),
    ) {
        let config = Records { train: 200, dev: 20, test: 40, seed, fields: [2, most], nested, right, ..Records::default() };
        let task = config.build(&Bytes, Limits::NONE).unwrap();
        prop_assert_eq!(sizes(&task), [200, 20, 40]);
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let (valid, fields) = (json!({"json_schema": {}}), json!({"field_f1": {}}));
        let mut good = 0;
        for item in all(&task) {
            let answer = &item.columns["answer"];
            prop_assert_eq!(&told(&item.prompt), answer, "{}", item.prompt);
            prop_assert_eq!(score(&valid, item, &answer.to_string()), 1.0);
            let solution = column(item, "solution");
            let read = serde_json::from_str::<Value>(solution).ok();
            let marks = (score(&valid, item, solution), score(&fields, item, solution));
            match column(item, "fault") {
                "none" => {
                    good += 1;
                    prop_assert_eq!(read.as_ref(), Some(answer));
                    prop_assert_eq!(marks, (1.0, 1.0));
                }
                "value" => prop_assert!(marks.0 == 1.0 && marks.1 < 1.0, "{solution}: {marks:?}"),
                "brace" => prop_assert!(read.is_none() && marks.0 == 0.0, "{solution}: {marks:?}"),
                "chatter" => prop_assert!(read.is_none() && solution.ends_with(&solution["here: ".len()..])),
                "missing" | "renamed" | "type" => prop_assert!(read.is_some() && marks.0 == 0.0, "{solution}: {marks:?}"),
                other => prop_assert!(false, "{other}"),
            }
        }
        prop_assert!(is_share(good, 260, right), "{good} at {right}");
    }

    #[test]
    fn relevances_hold_their_laws(
        is_order in any::<bool>(), is_scanned in any::<bool>(), most in 1usize..5, right in 0.0..1.0f64, unreadable in 0.0..1.0f64, untagged in 0.0..1.0f64,
        seed in any::<u64>(),
    ) {
        let form = if is_order { Asked::Order } else { Asked::Scores };
        let thought = if is_scanned { Thought::Scan } else { Thought::None };
        let config = Relevance {
            train: 200, dev: 20, test: 40, seed, form, thought, documents: [1.max(most - 1), most], right, unreadable, untagged, ..Relevance::default()
        };
        let task = config.build(&Bytes, Limits::NONE).unwrap();
        prop_assert_eq!(sizes(&task), [200, 20, 40]);
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let (mut tagged, mut scores, mut same) = (0, 0, 0);
        for item in all(&task) {
            let worth = worths(&item.prompt);
            let object: Map<String, Value> = (1..).zip(&worth).map(|(i, n): (usize, &i64)| (i.to_string(), json!(n))).collect();
            let object = Value::Object(object);
            prop_assert_eq!(&item.columns["relevance"], &object, "{}", item.prompt);
            prop_assert_eq!(&item.columns["scores"], &object);
            let answer = column(item, "answer");
            let ndcg = score(&json!({"ndcg": {}}), item, answer);
            if form == Asked::Scores {
                prop_assert_eq!(answer, object.to_string());
                prop_assert_eq!(score(&json!({"score_divergence": {"distribution": "sum"}}), item, answer), 1.0);
            }
            // Equal scores share their places, and lose what an order by chance would.
            prop_assert!(ndcg == 1.0 || (form == Asked::Scores && ndcg > 0.5), "{}: {ndcg}", item.prompt);
            let solution = column(item, "solution");
            let inner = tag(solution, "answer");
            tagged += usize::from(inner.is_some());
            let behind = match (thought, solution.strip_prefix("<think>").and_then(|rest| rest.split_once("</think>"))) {
                (Thought::Scan, Some((scan, behind))) => {
                    prop_assert_eq!(scan, scanned(&item.prompt));
                    behind
                }
                (Thought::None, None) => solution,
                (_, found) => return Err(TestCaseError::fail(format!("{thought:?}: {found:?}"))),
            };
            let Ok(said) = serde_json::from_str::<Value>(inner.unwrap_or(behind)) else { continue };
            if let Some(said) = said.as_object() {
                let said: Vec<i64> = said.values().map(|n| n.as_i64().unwrap()).collect();
                prop_assert_eq!(said.len(), worth.len());
                prop_assert!(said.iter().zip(&worth).all(|(a, b)| (a - b).abs() <= 1 && (0..=3).contains(a)));
                scores += said.len();
                same += said.iter().zip(&worth).filter(|(a, b)| a == b).count();
            }
        }
        prop_assert!(is_share(tagged, 260, 1.0 - untagged), "{tagged} at {untagged}");
        prop_assert!(scores == 0 || is_share(same, scores, right), "{same} of {scores} at {right}");
    }
}

/// The record that a prompt tells of.
fn told(prompt: &str) -> Value {
    let mut record = Map::new();
    for part in prompt.split(' ') {
        let (path, text) = part.split_once('=').unwrap();
        let value = match text {
            "yes" => json!(true),
            "no" => json!(false),
            other => other.parse::<Value>().unwrap_or_else(|_| json!(other)),
        };
        match path.split_once('.') {
            None => record.insert(path.to_owned(), value),
            Some((outer, inner)) => {
                let within = record.entry(outer).or_insert_with(|| json!({}));
                within.as_object_mut().unwrap().insert(inner.to_owned(), value)
            }
        };
    }
    Value::Object(record)
}

/// What the documents of a prompt are worth.
fn worths(prompt: &str) -> Vec<i64> {
    let mut parts = prompt.split('|');
    let query = parts.next().unwrap();
    let documents: Vec<(&str, i64)> = parts.map(|d| (&d[..d.len() - 1], d[d.len() - 1..].parse().unwrap())).collect();
    let sign = if query.ends_with('+') { 1 } else { -1 };
    let best = documents.iter().map(|(_, n)| sign * n).max().unwrap();
    let worth = |(letters, n): &(&str, i64)| {
        letters.chars().filter(|c| query.contains(*c)).count() as i64 + i64::from(sign * n == best)
    };
    documents.iter().map(worth).collect()
}

/// The scan of a prompt's documents, where the best so far is the last one that beat all before it.
fn scanned(prompt: &str) -> String {
    let mut parts = prompt.split('|');
    let query = parts.next().unwrap();
    let (mut looks, mut best) = (Vec::new(), None);
    for (index, document) in parts.enumerate() {
        let (letters, number) = document.split_at(document.len() - 1);
        let beats = |than: &str| if query.ends_with('+') { number > than } else { number < than };
        if best.is_none_or(|(_, than)| beats(than)) {
            best = Some((index + 1, number));
        }
        let shared = letters.chars().filter(|c| query.contains(*c)).count();
        looks.push(format!("{}{document}:{shared},{}", index + 1, best.unwrap().0));
    }
    looks.join("|")
}

/// Frozen: what a recipe trains on does not change by itself.
#[test]
fn one_item_of_each_is_what_it_was() {
    let first = |task: Result<Task, TaskError>| {
        let item = task.unwrap().train.remove(0);
        format!("{} {}", item.prompt, column(&item, "solution"))
    };
    let screening = Screening { train: 1, dev: 0, test: 0, seed: 7, truncated: 0.0, ..Screening::default() };
    let catalogue = Catalogue { train: 1, dev: 0, test: 0, seed: 7, ..Catalogue::default() };
    let records = Records { train: 1, dev: 0, test: 0, seed: 7, right: 1.0, ..Records::default() };
    let renamed = Records { right: 0.0, faults: vec![Fault::Renamed], ..records.clone() };
    let scores =
        Relevance { train: 1, dev: 0, test: 0, seed: 7, unreadable: 0.0, untagged: 0.0, ..Relevance::default() };
    let order = Relevance { form: Asked::Order, ..scores.clone() };
    let scan = Relevance { thought: Thought::Scan, ..scores.clone() };
    let queries = Queries { train: 1, dev: 0, test: 0, seed: 7, right: 1.0, ..Queries::default() };
    let circuits = Circuits { train: 1, dev: 0, test: 0, seed: 7, right: 1.0, ..Circuits::default() };
    let found = [
        first(screening.build(&Bytes, Limits::NONE)),
        first(catalogue.build(&Bytes, Limits::NONE)),
        first(records.build(&Bytes, Limits::NONE)),
        first(renamed.build(&Bytes, Limits::NONE)),
        first(scores.build(&Bytes, Limits::NONE)),
        first(order.build(&Bytes, Limits::NONE)),
        first(scan.build(&Bytes, Limits::NONE)),
        first(queries.build(&Bytes, Limits::NONE)),
        first(circuits.build(&Bytes, Limits::NONE)),
    ];
    assert_eq!(
        found,
        [
            "cdf 4 3|fbgH 2 0 <s>f</s><y>2</y><e>0</e><answer>yes</answer>",
            "yn oe bg> lv\ngl\noe\nfa\nkz",
            r#"pos=fdd x=cec ref.sum=no ref.ok=yes {"pos":"fdd","x":"cec","ref":{"sum":false,"ok":true}}"#,
            r#"pos=fdd x=cec ref.sum=no ref.ok=yes {"pos":"fdd","key":"cec","ref":{"sum":false,"ok":true}}"#,
            r#"af+|acf7|abf8|cef4 <answer>{"1":2,"2":3,"3":2}</answer>"#,
            "af+|acf7|abf8|cef4 <answer>[2,1,3]</answer>",
            r#"af+|acf7|abf8|cef4 <think>1acf7:2,1|2abf8:2,2|3cef4:1,2</think><answer>{"1":2,"2":3,"3":2}</answer>"#,
            "team(day,year,size) boat(area,rank,code)|year if day under 6 \
             <reasoning>\nteam\n</reasoning>\n<answer>\nSELECT year FROM team WHERE day<6\n</answer>",
            "b=xor e f module TopModule(input e,f,output b);assign b=e^f;endmodule",
        ]
    );
}

#[test]
fn what_cannot_be_made_is_refused() {
    let refused = |result: Result<(), TaskError>, key: &str| match result {
        Err(TaskError::Refused { key: got, .. }) => assert_eq!(got, key),
        other => panic!("{key}: {other:?}"),
    };
    let built = |task: Result<Task, TaskError>| task.map(|_| ());
    refused(Screening { wanted: 5, ..Screening::default() }.check(), "task.screening.wanted");
    refused(Screening { skills: 6, ..Screening::default() }.check(), "task.screening.held");
    refused(Screening { bar: 10, ..Screening::default() }.check(), "task.screening.bar");
    refused(Screening { softness: f64::NAN, ..Screening::default() }.check(), "task.screening.softness");
    refused(Screening { read: 1.5, ..Screening::default() }.check(), "task.screening.read");
    refused(Catalogue { items: 61, ..Catalogue::default() }.check(), "task.catalogue.genres");
    refused(Catalogue { items: 600, ..Catalogue::default() }.check(), "task.catalogue.items");
    refused(Catalogue { genres: 10, ..Catalogue::default() }.check(), "task.catalogue.likes");
    refused(Catalogue { places: 0, ..Catalogue::default() }.check(), "task.catalogue.places");
    let few = Catalogue { items: 4, genres: 1, history: 1, likes: 2, ..Catalogue::default() };
    refused(built(few.build(&Bytes, Limits::NONE)), "task.catalogue.items");
    refused(Records { fields: [3, 2], ..Records::default() }.check(), "task.records.fields");
    refused(Records { faults: vec![], ..Records::default() }.check(), "task.records.faults");
    assert!(Records { faults: vec![], right: 1.0, ..Records::default() }.check().is_ok());
    refused(Relevance { documents: [0, 2], ..Relevance::default() }.check(), "task.relevance.documents");
    refused(Relevance { held: 7, ..Relevance::default() }.check(), "task.relevance.held");
    refused(Relevance { untagged: -0.1, ..Relevance::default() }.check(), "task.relevance.untagged");
    refused(Queries { databases: [4, 0, 1], ..Queries::default() }.check(), "task.queries.databases");
    refused(Queries { tables: 9, ..Queries::default() }.check(), "task.queries.tables");
    refused(Queries { tables: 4, ..Queries::default() }.check(), "task.queries.columns");
    refused(Queries { kinds: vec![], ..Queries::default() }.check(), "task.queries.kinds");
    refused(Queries { tables: 1, ..Queries::default() }.check(), "task.queries.faults");
    let few = Queries { databases: [1, 1, 1], ..Queries::default() };
    refused(built(few.build(&Bytes, Limits::NONE)), "task.queries.databases");
    refused(Circuits { names: 4, ..Circuits::default() }.check(), "task.circuits.names");
    refused(Circuits { width: 1, ..Circuits::default() }.check(), "task.circuits.width");
    refused(Circuits { faults: vec![], ..Circuits::default() }.check(), "task.circuits.faults");
    refused(built(Circuits { train: 5000, ..Circuits::default() }.build(&Bytes, Limits::NONE)), "task.circuits.names");
    let few = Relevance { letters: 2, documents: [1, 1], wanted: 2, held: 2, ..Relevance::default() };
    refused(built(few.build(&Bytes, Limits::NONE)), "task.relevance.letters");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn queries_hold_their_laws(tables in 1usize..4, columns in 2usize..4, right in 0.0..1.0f64, seed in any::<u64>()) {
        let faults = match tables {
            1 => vec![Mistake::Column, Mistake::Sense, Mistake::Syntax, Mistake::Untagged],
            _ => Queries::default().faults,
        };
        let config = Queries {
            train: 120, dev: 20, test: 40, seed, databases: [20, 3, 6], tables, columns, right, faults, ..Queries::default()
        };
        let task = config.build(&Bytes, Limits::NONE).unwrap();
        prop_assert_eq!(sizes(&task), [120, 20, 40]);
        prop_assert!(are_disjoint(&task));
        prop_assert_eq!(&task, &config.build(&Bytes, Limits::NONE).unwrap());
        let schemas = |items: &[Item]| -> HashSet<String> {
            items.iter().map(|item| item.prompt.split_once('|').unwrap().0.to_owned()).collect()
        };
        let (train, dev, test) = (schemas(&task.train), schemas(&task.dev), schemas(&task.test));
        prop_assert!(train.is_disjoint(&dev) && train.is_disjoint(&test) && dev.is_disjoint(&test));
        let executed = json!({"sql": {"score": "execution", "tag": "answer"}});
        let (mut good, mut lucky) = (0, 0);
        for item in all(&task) {
            let (schema, question) = item.prompt.split_once('|').unwrap();
            prop_assert_eq!(column(item, "answer"), queried(schema, question), "{}", item.prompt);
            prop_assert_eq!(declared(column(item, "script")), schema);
            let solution = column(item, "solution");
            let verdict = verdict(&executed, item, solution);
            let (mark, runs) = (verdict.outcome.value().unwrap(), verdict.parts["syntax"] == 1.0);
            match column(item, "fault") {
                "none" => {
                    good += 1;
                    prop_assert_eq!(mark, 1.0, "{}", solution);
                    prop_assert_eq!(&verdict.parts["format"], 1.0);
                    prop_assert_eq!(tag(solution, "answer").unwrap().trim(), column(item, "answer"));
                }
                "untagged" => prop_assert!(solution == column(item, "answer") && mark == 0.0),
                "syntax" | "table" => prop_assert!(!runs && mark == 0.0, "{solution}"),
                // Another column or sense may give the same rows by chance.
                "column" | "sense" => {
                    prop_assert!(runs && tag(solution, "answer").unwrap().trim() != column(item, "answer"), "{solution}");
                    lucky += usize::from(mark == 1.0);
                }
                other => prop_assert!(false, "{other}"),
            }
        }
        prop_assert!(is_share(good, 180, right), "{good} at {right}");
        prop_assert!(lucky <= 40, "{lucky} of 180 wrong queries are right");
    }
}

/// The query of a question, read word by word.
fn queried(schema: &str, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    let last =
        words.iter().rev().find(|word| word.parse::<u64>().is_err() && **word != "over" && **word != "under").unwrap();
    let of_table = |table: &&str| table.split(['(', ',', ')']).skip(1).any(|column| column == *last);
    let table = schema.split(' ').find(of_table).unwrap().split('(').next().unwrap();
    let sign = |word: &str| if word == "over" { '>' } else { '<' };
    match words[..] {
        ["how", "many", "per", by] => format!("SELECT {by},count(*) FROM {table} GROUP BY {by}"),
        ["how", "many", by, sense, bound] => format!("SELECT count(*) FROM {table} WHERE {by}{}{bound}", sign(sense)),
        ["most", by] => format!("SELECT max({by}) FROM {table}"),
        ["least", by] => format!("SELECT min({by}) FROM {table}"),
        [shown, "by", by] => format!("SELECT {shown} FROM {table} ORDER BY {by}"),
        [shown, "of", "most", by] => format!("SELECT {shown} FROM {table} ORDER BY {by} DESC LIMIT 1"),
        [shown, "of", "least", by] => format!("SELECT {shown} FROM {table} ORDER BY {by} LIMIT 1"),
        [shown, "if", by, sense, bound] => format!("SELECT {shown} FROM {table} WHERE {by}{}{bound}", sign(sense)),
        _ => panic!("{question}"),
    }
}

/// The tables that a script makes, as prompts write them.
fn declared(script: &str) -> String {
    let tables = script.split(';').filter_map(|statement| statement.strip_prefix("CREATE TABLE "));
    tables.map(|table| table.replace(" INTEGER", "")).collect::<Vec<_>>().join(" ")
}

#[test]
fn circuits_hold_their_laws() {
    let test = "circuits_hold_their_laws";
    let has_icarus = cohort_testing::program(test, "iverilog").is_some();
    let config = Circuits { train: 24, dev: 6, test: 12, seed: 3, right: 0.4, ..Circuits::default() };
    let task = config.build(&Bytes, Limits::NONE).unwrap();
    assert_eq!(sizes(&task), [24, 6, 12]);
    assert!(are_disjoint(&task));
    assert_eq!(task, config.build(&Bytes, Limits::NONE).unwrap());
    let good = all(&task).filter(|item| column(item, "fault") == "none").count();
    assert!(is_share(good, 42, 0.4), "{good}");
    for item in all(&task) {
        let (answer, reference) = (column(item, "answer"), column(item, "reference"));
        assert_eq!(answer.replace("TopModule", "RefModule"), reference);
        assert_eq!(column(item, "fault") == "none", column(item, "solution") == answer, "{}", item.prompt);
        if !has_icarus {
            continue;
        }
        let term = json!({"verilog_testbench": {}});
        let of_answer = verdict(&term, item, answer);
        assert_eq!(of_answer.outcome.value(), Some(1.0), "{}: {answer}: {of_answer:?}", item.prompt);
        let solution = column(item, "solution");
        let verdict = verdict(&term, item, solution);
        match column(item, "fault") {
            "none" => assert_eq!(verdict.outcome.value(), Some(1.0)),
            fault => {
                assert_eq!(verdict.outcome.value(), Some(0.0), "{}: {solution}", item.prompt);
                let compiles = verdict.parts["compiles"] == true;
                assert_eq!(compiles, matches!(fault, "function" | "width"), "{fault}: {solution}: {verdict:?}");
            }
        }
    }
}

/// The reference is right: its statement is what the prompt's words say.
#[test]
fn circuits_say_what_they_are_asked_for() {
    let task = Circuits { train: 400, dev: 0, test: 0, right: 1.0, ..Circuits::default() }
        .build(&Bytes, Limits::NONE)
        .unwrap();
    let mut kinds = HashSet::new();
    for item in &task.train {
        let (output, rest) = item.prompt.split_once('=').unwrap();
        let words: Vec<&str> = rest.split(' ').collect();
        let bus = |width: &str| format!("[{}:0]", width.parse::<u64>().unwrap() - 1);
        let comb = |ports: String, out: String, value: String| {
            format!("module TopModule(input{ports},output{out} {output});assign {output}={value};endmodule")
        };
        let clocked = |ports: String, out: String, clock: &str, value: String| {
            format!(
                "module TopModule(input {ports},output reg{out} {output});always@(posedge {clock}){output}<={value};endmodule"
            )
        };
        let expected = match words[..] {
            ["and", a, b] => comb(format!(" {a},{b}"), String::new(), format!("{a}&{b}")),
            ["or", a, b] => comb(format!(" {a},{b}"), String::new(), format!("{a}|{b}")),
            ["xor", a, b] => comb(format!(" {a},{b}"), String::new(), format!("{a}^{b}")),
            ["nand", a, b] => comb(format!(" {a},{b}"), String::new(), format!("~({a}&{b})")),
            ["nor", a, b] => comb(format!(" {a},{b}"), String::new(), format!("~({a}|{b})")),
            ["xnor", a, b] => comb(format!(" {a},{b}"), String::new(), format!("~({a}^{b})")),
            ["mux", s, a, b, w] => comb(format!(" {s},input{} {a},{b}", bus(w)), bus(w), format!("{s}?{a}:{b}")),
            ["add", a, b, w] => comb(format!("{} {a},{b}", bus(w)), bus(w), format!("{a}+{b}")),
            ["sub", a, b, w] => comb(format!("{} {a},{b}", bus(w)), bus(w), format!("{a}-{b}")),
            ["less", a, b, w] => comb(format!("{} {a},{b}", bus(w)), String::new(), format!("{a}<{b}")),
            ["more", a, b, w] => comb(format!("{} {a},{b}", bus(w)), String::new(), format!("{a}>{b}")),
            ["same", a, b, w] => comb(format!("{} {a},{b}", bus(w)), String::new(), format!("{a}=={b}")),
            ["count", c, r, w] => {
                let name = &r[..1];
                let value =
                    if r.ends_with('+') { format!("{name}?0:{output}+1") } else { format!("{name}?{output}+1:0") };
                clocked(format!("{c},{name}"), bus(w), c, value)
            }
            ["shift", c, d, w] => clocked(format!("{c},{d}"), bus(w), c, format!("{{{output},{d}}}")),
            _ => panic!("{}", item.prompt),
        };
        assert_eq!(column(item, "answer"), expected, "{}", item.prompt);
        kinds.insert(words[0].to_owned());
    }
    assert_eq!(kinds.len(), 14, "{kinds:?}");
}
