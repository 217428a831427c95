use std::{collections::BTreeMap, fs, path::PathBuf};

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    super::pure::ask::{close, error, score, verdict},
    fill::Schema,
    lex::{Kind, tokens},
    *,
};
use crate::{Means, judge_one, testing};

/// A small database, in a folder that goes with it.
fn shop() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a shop?#%.sqlite");
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, shop INTEGER);
             INSERT INTO item VALUES (1, 'tea', 0.1, 1), (2, 'nut', 0.2, 1), (3, 'fig', 3.0, 2), (4, 'fig', 3.0, 2);
             CREATE TABLE shop (id INTEGER PRIMARY KEY, city TEXT);
             INSERT INTO shop VALUES (1, 'Bern'), (2, 'Oslo'), (3, 'Rome');
             CREATE VIEW dear AS SELECT name FROM item WHERE price > 1;",
        )
        .unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn row(answer: &str, database: &str) -> Value {
    json!({"answer": answer, "database": database})
}

fn execution() -> Sql {
    Sql { score: Score::Execution, ..Sql::default() }
}

#[test]
fn what_gives_the_same_is_right() {
    let (_folder, path) = shop();
    for (gold, completion, right) in [
        ("SELECT name FROM item", "SELECT name FROM item", 1.0),
        ("SELECT name FROM item", "Sure:\n```sql\nSELECT name FROM item;\n```\nDone.", 1.0),
        ("SELECT name FROM item", "select name from item order by price desc -- any order", 1.0),
        ("SELECT name FROM item ORDER BY id", "SELECT name FROM item ORDER BY id DESC", 0.0),
        ("SELECT name FROM item", "SELECT DISTINCT name FROM item", 0.0),
        ("SELECT name, price FROM item", "SELECT price, name FROM item", 1.0),
        ("SELECT sum(price) FROM item WHERE shop = 1", "SELECT 0.3", 1.0),
        ("SELECT count(*) FROM item", "SELECT 4.0", 1.0),
        ("SELECT name FROM item", "SELECT city FROM shop", 0.0),
        ("SELECT name FROM item", "SELECT nam FROM item", 0.0),
        ("SELECT name FROM dear", "SELECT name FROM item WHERE price >= 3", 1.0),
        ("SELECT name FROM item WHERE shop ! = 2", "SELECT name FROM item WHERE shop = 1", 1.0),
        ("SELECT name FROM item WHERE id > 9", "SELECT name FROM item WHERE id > 99", 1.0),
        ("SELECT name FROM item WHERE name = \"fig\"", "SELECT name FROM item WHERE id > 2", 1.0),
        ("SELECT name FROM item", "", 0.0),
        ("SELECT name FROM item", "Eat figs.", 0.0),
    ] {
        close(score(&execution(), &row(gold, &path), completion), right);
        assert_eq!(score(&Sql::default(), &row(gold, &path), completion) == 1.0, right == 1.0, "{completion}");
    }
    let bird = Sql { rows: Rows::Distinct, columns: Columns::InOrder, order: Order::Never, ..execution() };
    close(score(&bird, &row("SELECT name FROM item", &path), "SELECT DISTINCT name FROM item"), 1.0);
    close(score(&bird, &row("SELECT name FROM item ORDER BY id", &path), "SELECT name FROM item ORDER BY -id"), 1.0);
    close(score(&bird, &row("SELECT name, id FROM item", &path), "SELECT id, name FROM item"), 0.0);
    let always = Sql { order: Order::Always, ..execution() };
    close(score(&always, &row("SELECT name FROM item", &path), "SELECT name FROM item ORDER BY -id"), 0.0);
}

#[test]
fn parts_and_their_sum_are_as_published() {
    let (_folder, path) = shop();
    let row = row("SELECT name FROM item WHERE price > 1", &path);
    let parts = |completion: &str| {
        let found = verdict(&Sql::default(), &row, completion).parts;
        ["execution", "syntax", "schema", "ngram", "format"].map(|name| found[name].as_f64().unwrap())
    };
    assert_eq!(parts("SELECT name FROM item WHERE price > 1"), [1.0, 1.0, 1.0, 1.0, 0.0]);
    // Bigrams: of seven, `price >` and `> 1` are not shared.
    assert_eq!(parts("SELECT name FROM item WHERE price < 1"), [0.0, 1.0, 1.0, 5.0 / 9.0, 0.0]);
    assert_eq!(parts("SELECT name FROM item WHERE price > nowhere"), [0.0, 0.0, 1.0, 6.0 / 8.0, 0.0]);
    assert_eq!(parts("SELECT name FROM item WHERE"), [0.0, 0.0, 0.0, 4.0 / 7.0, 0.0]);
    assert_eq!(parts("SELECT city FROM shop")[2], 0.0);
    let tagged = "<reasoning>\nr\n</reasoning>\n\n<answer>\nSELECT name FROM item WHERE price > 1\n</answer>";
    let published = Sql { score: Score::Published, tag: Some("answer".into()), ..Sql::default() };
    close(score(&published, &row, tagged), 6.5);
    let published = Sql { score: Score::Published, ..Sql::default() };
    close(score(&published, &row, "SELECT name FROM item WHERE price < 1"), 1.0 + 1.0 + 5.0 / 9.0);
    close(score(&Sql::default(), &row, "SELECT name FROM item WHERE price < 1"), (2.0 + 5.0 / 9.0) / 6.5);
    close(score(&Sql::default(), &row, "SELECT name FROM item WHERE price > nowhere"), 0.0);
    let fault = verdict(&Sql::default(), &row, "SELECT nam FROM item").parts["fault"].clone();
    assert_eq!(fault, "no such column: nam");
}

#[test]
fn a_broken_problem_is_an_error() {
    let (folder, path) = shop();
    let no_database = folder.path().join("none.sqlite");
    let text = folder.path().join("text.sqlite");
    fs::write(&text, "not a database, whatever its name says; ".repeat(40)).unwrap();
    for (row, part) in [
        (json!({"database": path}), "`answer`"),
        (json!({"answer": "SELECT 1"}), "`database`"),
        (json!({"answer": 1, "database": path}), "`answer`"),
        (row("SELECT 1", ""), "`database`"),
        (row("SELECT 1", no_database.to_str().unwrap()), "none.sqlite"),
        (row("SELECT 1", folder.path().to_str().unwrap()), "not a file"),
        (row("SELECT 1", text.to_str().unwrap()), "not a database"),
        (row("SELECT missing FROM item", &path), "no such column"),
        (row("DROP TABLE item", &path), "not a query"),
        (row("SELECT 1", "data:x.sqlite"), "COHORT_DATA"),
        (row("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c", &path), "steps"),
        (row("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT x FROM c", &path), "most_rows"),
    ] {
        let short = Sql { steps: 2_000_000, ..Sql::default() };
        let reason = error(&short, &row, "SELECT 1");
        assert!(reason.contains(part) && reason.contains("rows.jsonl:1"), "{reason}");
    }
    assert!(!no_database.exists());
}

#[test]
fn a_database_that_changes_is_read_again() {
    let (_folder, path) = shop();
    let verifier = Sql::default().build(&Means::default()).unwrap();
    let count = |answer: &str| {
        let item = testing::item("p", &row("SELECT count(*) FROM shop", &path).to_string());
        judge_one(&*verifier, &testing::view(&item, answer)).outcome.value().unwrap()
    };
    close(count("SELECT 3"), 1.0);
    close(count("SELECT 3"), 1.0);
    let more = "INSERT INTO shop SELECT id + 3, hex(zeroblob(4000)) FROM shop";
    Connection::open(&path).unwrap().execute_batch(more).unwrap();
    close(count("SELECT 6"), 1.0);
}

/// What each attack would do on a connection of its own, it does not do here, and the next verdict is right.
#[test]
fn attacks_end_and_leave_nothing() {
    let (folder, path) = shop();
    let before = fs::read(&path).unwrap();
    let row = row("SELECT name FROM item", &path);
    let config = Sql { steps: 3_000_000, ..execution() };
    let other = folder.path().join("other.sqlite");
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let (other, secret) = (other.to_str().unwrap(), secret.to_str().unwrap());
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)";
    let (a, b) = ("a".repeat(20_000), format!("{}b", "a".repeat(10_000)));
    let doubled: String = (1..40).map(|i| format!(", c{i} AS (SELECT * FROM c{0}, c{0})", i - 1)).collect();
    let timeouts = [
        format!("{endless} SELECT count(*) FROM c"),
        format!("{endless} SELECT max(x) FROM c"),
        "SELECT count(*) FROM item a, item b, item c, item d, item e, item f, item g, item h, item i, item j, item k"
            .into(),
        format!("{endless} SELECT x FROM c ORDER BY x"),
        format!("{endless}, d AS (SELECT x, hex(zeroblob(60000 + x % 100)) AS t FROM c) SELECT t FROM d ORDER BY x, t"),
        format!("{endless} SELECT group_concat(x) FROM c"),
        format!("{endless} SELECT sum(length(trim('{a}' || x, '{b}'))) FROM c"),
        format!("{endless} SELECT sum(instr('{a}' || x, '{b}')) FROM c LIMIT 1"),
        format!("{endless} SELECT sum('{a}' || x LIKE '%a%a%a%a%a%a%b') FROM c"),
    ];
    let config = Sql { timeout_s: 3.0, ..config };
    for query in &timeouts {
        let found = verdict(&config, &row, query);
        let cut: String = query.chars().take(200).collect();
        assert!(
            found.outcome == Outcome::Timeout
                || found.parts.get("fault").is_some_and(|f| f.as_str().unwrap().contains("too big")),
            "{cut}: {found:?}"
        );
    }
    let refused = [
        format!("ATTACH '{other}' AS o"),
        format!("SELECT 1; ATTACH '{other}' AS o"),
        "PRAGMA writable_schema = ON".into(),
        "PRAGMA query_only = OFF; DELETE FROM item".into(),
        "SELECT * FROM pragma_database_list".into(),
        "SELECT * FROM pragma_table_info('item')".into(),
        "SELECT * FROM dbstat".into(),
        "DELETE FROM item".into(),
        "WITH x AS (SELECT 1) DELETE FROM item".into(),
        "WITH x AS (SELECT 1) INSERT INTO item SELECT 1, 2, 3, 4".into(),
        "CREATE TEMP TABLE t (a)".into(),
        "VACUUM".into(),
        format!("VACUUM INTO '{other}'"),
        "BEGIN EXCLUSIVE".into(),
        format!("SELECT load_extension('{secret}')"),
        format!("SELECT readfile('{secret}')"),
        format!("SELECT writefile('{other}', 'x')"),
        "SELECT randomblob(1000000000)".into(),
        "SELECT random()".into(),
        "SELECT zeroblob(1000000000)".into(),
        "SELECT printf('%1000000000d', 1)".into(),
        "SELECT replace(hex(zeroblob(60000)), '0', '0123456789')".into(),
        "SELECT fts3_tokenizer('simple')".into(),
        "SELECT sqlite_version()".into(),
        "SELECT edit('x')".into(),
        format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000)),
        format!("SELECT {}1", "1 + ".repeat(2000)),
        format!("SELECT {}1", "NOT ".repeat(4000)),
        format!("SELECT {}", vec!["1"; 100_000].join(", ")),
        format!("{}SELECT 1", "SELECT 1 UNION ALL ".repeat(800)),
        format!("SELECT '{}'", "x".repeat(200_000)),
        format!("WITH c0 AS (SELECT * FROM item){doubled} SELECT count(*) FROM c39"),
        format!("SELECT {}", vec!["instr(name, 'a')"; 200].join(" + ")),
        "/* SELECT name FROM item".into(),
        "SELECT name FROM item\0; DROP TABLE item".into(),
        "EXPLAIN SELECT name FROM item".into(),
        "'; DROP TABLE item; --".into(),
    ];
    for query in &refused {
        let found = verdict(&config, &row, query);
        let cut: String = query.chars().take(120).collect();
        let refused = found.outcome == Outcome::scored(0.0) && found.parts.contains_key("fault");
        assert!(refused || found.outcome == Outcome::Timeout, "{cut}: {found:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["a shop?#%.sqlite", "secret"]);
    close(score(&config, &row, "SELECT name FROM item"), 1.0);
}

#[test]
fn trims_are_those_of_sqlite() {
    let (_folder, path) = shop();
    let plain = Connection::open(&path).unwrap();
    for arguments in [
        "'xxaxbxx', 'x'",
        "'abc', ''",
        "NULL, 'x'",
        "'x', NULL",
        "'éaé', 'é'",
        "112511, 1",
        "1.5, '5.'",
        "'', 'x'",
        "x'616261', 'a'",
        "'aXa', 'A'",
        "2.0, 0",
        "-0.5, '-'",
    ] {
        for function in ["trim", "ltrim", "rtrim"] {
            let query = format!("SELECT {function}({arguments})");
            let expected: rusqlite::types::Value = plain.query_row(&query, [], |row| row.get(0)).unwrap();
            let literal = match expected {
                rusqlite::types::Value::Null => "NULL".to_owned(),
                rusqlite::types::Value::Text(text) => format!("'{text}'"),
                other => panic!("{query}: {other:?}"),
            };
            close(score(&execution(), &row(&query, &path), &format!("SELECT {literal}")), 1.0);
        }
    }
}

#[test]
fn parameters_out_of_bounds_are_refused() {
    for config in [
        Sql { tolerance: -1.0, ..Sql::default() },
        Sql { steps: 0, ..Sql::default() },
        Sql { timeout_s: f64::INFINITY, ..Sql::default() },
        Sql { ngram: -1.0, ..Sql::default() },
        Sql { execution: 0.0, syntax: 0.0, schema: 0.0, ngram: 0.0, format: 0.0, ..Sql::default() },
        Sql { longest: 1, ..Sql::default() },
        Sql { tag: Some("a b".into()), ..Sql::default() },
    ] {
        assert!(config.check().is_err(), "{config:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_completion_gets_a_verdict(words in proptest::collection::vec(prop_oneof![
        Just("SELECT"), Just("FROM"), Just("item"), Just("shop"), Just("name"), Just("*"), Just("("), Just(")"), Just(","),
        Just("WHERE"), Just("="), Just("'a'"), Just("1"), Just("UNION"), Just("JOIN"), Just("ON"), Just("ORDER"), Just("BY"),
        Just("GROUP"), Just("HAVING"), Just("count"), Just("WITH"), Just("AS"), Just(";"), Just("\""), Just("'"), Just("--"),
        Just("LIMIT"), Just("IN"), Just("NOT"), Just("\0"), Just("é"), Just("```"), Just("RECURSIVE"), Just("CASE"), Just("END"),
    ], 0..40)) {
        thread_local!(static SHOP: (tempfile::TempDir, String) = shop());
        SHOP.with(|(_, path)| {
            let config = Sql { steps: 100_000, ..Sql::default() };
            for text in [words.join(" "), format!("SELECT {}", words.join(" ")), words.concat()] {
                let outcome = verdict(&config, &row("SELECT name FROM item", path), &text).outcome;
                assert!(matches!(outcome, Outcome::Scored { .. } | Outcome::Timeout), "{text}: {outcome:?}");
            }
        });
    }
}

/// What reads a query ends on any bytes, and agrees with itself; every fiftieth is run as well.
#[test]
fn any_text_is_a_query_or_none() {
    const CORPUS: &[&str] = &[
        "SELECT T1.name, count(*) FROM item AS T1 JOIN shop AS T2 ON T1.shop = T2.id WHERE T2.city != 'Bern' GROUP BY 1",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 9) SELECT max(x) FROM c ORDER BY 1 LIMIT 2",
        "SELECT name FROM item WHERE price BETWEEN 1 AND 2.5e1 OR name LIKE '%e%' AND NOT id IN (SELECT id FROM shop)",
        "SELECT \"name\", [id], `price` FROM item EXCEPT SELECT CASE WHEN id > 1 THEN 'a' ELSE x'00' END, 1, NULL FROM shop; -- end",
        "SELECT row_number() OVER (PARTITION BY shop ORDER BY price DESC) FROM item /* all */ HAVING sum(price) ! = 3",
        "Use this:\n```sql\nVALUES (1, 'it''s')\n```\n",
    ];
    const MARKS: &[&str] =
        &["(", ")", "'", "\"", "`", "[", "--", "/*", ";", ",", "SELECT ", " FROM ", " NOT ", "\0", "é", "."];
    let (_folder, path) = shop();
    let tables = database::Database::open(std::path::Path::new(&path)).unwrap().tables;
    let short = Sql { steps: 20_000, ..Sql::default() };
    let verifier = short.build(&Means::default()).unwrap();
    let item = testing::item("p", &row("SELECT name FROM item", &path).to_string());
    for number in 0..cohort_testing::cases() {
        let bytes = cohort_testing::mutated(CORPUS, MARKS, u64::from(number));
        let text = String::from_utf8_lossy(&bytes);
        let pairs = likeness::bigrams(&text);
        if let Ok(query) = lex::one_query(&text) {
            assert_eq!(lex::one_query(&query).as_ref(), Ok(&query), "{text}");
            lex::is_ordered(&query);
            assert_eq!(likeness::jaccard(&likeness::bigrams(&query), &likeness::bigrams(&query)), 1.0, "{text}");
            if let Some(statement) = likeness::parsed(&query) {
                let names = likeness::names(&statement, &tables);
                assert!(names.len() <= 2 + 6, "{text}: {names:?}");
            }
        }
        assert!(
            (0.0..=1.0).contains(&likeness::jaccard(&pairs, &pairs)) && (0.0..=1.0).contains(&likeness::format(&text))
        );
        if number.is_multiple_of(50) {
            let outcome = judge_one(&*verifier, &testing::view(&item, &text)).outcome;
            assert!(matches!(outcome, Outcome::Scored { .. } | Outcome::Timeout), "{text}: {outcome:?}");
        }
    }
}

#[path = "spider_tests.rs"]
mod spider;
