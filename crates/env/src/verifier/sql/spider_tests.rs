//! The figures on Spider's queries, with made rows.

use super::*;

/// Query, database.
fn gold(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter_map(|line| line.trim_start_matches('\u{feff}').trim().rsplit_once('\t')).collect()
}

/// The databases of `queries`, filled, below a folder.
fn databases(tables: &str, queries: &[(&str, &str)]) -> (tempfile::TempDir, BTreeMap<String, PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = BTreeMap::new();
    for schema in Schema::read(tables).unwrap() {
        let on_it: Vec<&str> = queries.iter().filter(|(_, id)| *id == schema.id).map(|(query, _)| *query).collect();
        if !on_it.is_empty() {
            let path = folder.path().join(format!("{}.sqlite", schema.id));
            schema.fill(&on_it, 150, &path).unwrap();
            paths.insert(schema.id, path);
        }
    }
    (folder, paths)
}

/// The query with one thing changed, in every way that is found: a selected column, a comparison, a constant, a join.
fn mutants(query: &str, columns: &[&str]) -> Vec<(&'static str, String)> {
    let query = &super::super::lex::one_query(query).unwrap();
    let tokens = tokens(query);
    let with = |from: usize, to: usize, new: &str| {
        let end = tokens[to].at + tokens[to].text.len();
        format!("{}{new}{}", &query[..tokens[from].at], &query[end..])
    };
    let mut found: Vec<(&'static str, String)> = Vec::new();
    let from = tokens.iter().position(|t| t.is("from")).unwrap_or(0);
    for (at, token) in tokens.iter().enumerate() {
        let is_column = columns.iter().any(|c| c.eq_ignore_ascii_case(&token.inner()));
        if at < from && is_column && !found.iter().any(|(kind, _)| *kind == "column") {
            let used = |c: &&&str| !tokens[..from].iter().any(|t| t.inner().eq_ignore_ascii_case(c));
            let other = columns.iter().find(used).map(|c| with(at, at, c));
            found.extend(other.map(|other| ("column", other)));
        }
        for (mark, new) in [("=", "!="), ("!=", "="), (">", "<"), ("<", ">"), (">=", "<"), ("<=", ">")] {
            // Not the conditions of joins: those are dropped below.
            let constant = tokens.get(at + 1).is_some_and(|t| t.kind != Kind::Word && !t.is("("));
            if token.is(mark) && constant && !found.iter().any(|(kind, _)| *kind == "comparison") {
                found.push(("comparison", with(at, at, new)));
            }
        }
        let compared = at > 0 && ["=", "!=", ">", "<", ">=", "<=", "like"].iter().any(|mark| tokens[at - 1].is(mark));
        if compared && !found.iter().any(|(kind, _)| *kind == "constant") {
            match token.kind {
                Kind::Text | Kind::Name => found.push(("constant", with(at, at, "'something else'"))),
                Kind::Number => found.push(("constant", with(at, at, &format!("({} + 7)", token.text)))),
                Kind::Word | Kind::Mark => {}
            }
        }
        // JOIN b AS y ON x.c = y.d, without its condition.
        if token.is("on")
            && let [.., last] = &tokens[at..tokens.len().min(at + 8)]
            && tokens.len() > at + 7
            && tokens[at + 4].is("=")
            && last.kind == Kind::Word
            && !found.iter().any(|(kind, _)| *kind == "join")
        {
            found.push(("join", with(at, at + 7, "")));
        }
    }
    found
}

#[test]
fn golds_of_spider_run_and_differ_from_their_mutants() {
    let name = "golds_of_spider_run_and_differ_from_their_mutants";
    let (Some(tables), Some(queries), Some(predictions)) = (
        cohort_testing::shared_data(name, "spider/tables.json"),
        cohort_testing::shared_data(name, "spider/gold.txt"),
        cohort_testing::shared_data(name, "spider/predict.txt"),
    ) else {
        return;
    };
    let [tables, queries, predictions] = [tables, queries, predictions].map(|path| fs::read_to_string(path).unwrap());
    let golds = gold(&queries);
    assert_eq!((golds.len(), Schema::read(&tables).unwrap().len()), (322, 166));
    let (_folder, paths) = databases(&tables, &golds);
    let columns: BTreeMap<String, Vec<(i64, String)>> =
        Schema::read(&tables).unwrap().into_iter().map(|schema| (schema.id, schema.columns)).collect();
    let verifier = Sql::default().build(&Means::default()).unwrap();
    let judged = |(query, id): (&str, &str), completion: &str| {
        let item = testing::item("p", &row(query, paths[id].to_str().unwrap()).to_string());
        judge_one(&*verifier, &testing::view(&item, completion))
    };
    let (mut with_rows, mut kinds) = (0, BTreeMap::<&str, (usize, usize)>::new());
    for &(query, id) in &golds {
        let own = judged((query, id), query);
        assert_eq!(own.outcome, Outcome::scored(1.0), "{query}: {own:?}");
        assert_eq!((own.parts["schema"].as_f64(), own.parts["ngram"].as_f64()), (Some(1.0), Some(1.0)), "{query}");
        with_rows += usize::from(own.parts["rows"] != 0);
        let names: Vec<&str> = columns[id].iter().skip(1).map(|(_, name)| name.as_str()).collect();
        for (kind, mutant) in mutants(query, &names) {
            let found = judged((query, id), &mutant);
            let (all, differ) = kinds.entry(kind).or_default();
            *all += 1;
            *differ += usize::from(found.outcome != Outcome::scored(1.0));
        }
    }
    println!("{with_rows} of {} golds give rows; mutants that differ: {kinds:?}", golds.len());
    assert!(with_rows * 100 >= golds.len() * 95);
    let (all, differ) = kinds.values().fold((0, 0), |(a, d), (all, differ)| (a + all, d + differ));
    assert!(differ * 10 >= all * 9 && kinds.len() == 4, "{kinds:?}");
    let lines: Vec<&str> = predictions.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines.len(), golds.len());
    let mut histogram = [0; 12];
    for (&gold, line) in golds.iter().zip(lines) {
        let outcome = judged(gold, line).outcome;
        histogram[outcome.value().map_or(11, |value| (value * 10.0) as usize)] += 1;
    }
    println!("predictions by tenths of their scores, those that are 1, and timeouts: {histogram:?}");
    assert!(histogram[10] >= 10 && histogram[..10].iter().filter(|n| **n > 5).count() >= 3, "{histogram:?}");
}

/// Every one of the 166 schemas becomes a database whose tables have rows.
#[test]
fn every_schema_is_filled() {
    let Some(tables) = cohort_testing::shared_data("every_schema_is_filled", "spider/tables.json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut names, mut filled) = (0, 0);
    for schema in Schema::read(&fs::read_to_string(tables).unwrap()).unwrap() {
        let path = folder.path().join(format!("{}.sqlite", schema.id));
        schema.fill(&[], 8, &path).unwrap();
        let database = database::Database::open(&path).unwrap();
        names += database.tables.values().map(std::collections::BTreeSet::len).sum::<usize>();
        filled += database.tables.len();
        let again = folder.path().join("again.sqlite");
        schema.fill(&[], 8, &again).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap(), "{}", schema.id);
        fs::remove_file(&again).unwrap();
    }
    println!("{filled} tables, {names} columns");
    assert!(filled > 800 && names > 4000);
}
