//! How much of the right query a text has: the partial rewards that need no execution.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::ControlFlow,
};

use sqlparser::{
    ast::{Expr, ObjectName, Query, Statement, Visit, Visitor},
    dialect::SQLiteDialect,
    parser::Parser,
};

use super::lex::{Kind, MOST_TOKENS, tokens};

/// Parentheses and clauses that the parser goes into.
const DEPTH: usize = 40;

/// The one statement that a query is; `None` of what SQL's grammar does not know. `query` is
/// one of [`super::lex::one_query`], which bounds it.
pub fn parsed(query: &str) -> Option<Statement> {
    let dialect = SQLiteDialect {};
    let mut parser = Parser::new(&dialect).with_recursion_limit(DEPTH).try_with_sql(query).ok()?;
    parser.parse_statement().ok()
}

/// Names of a database that a query uses, in lower case.
pub type Names = BTreeSet<String>;

/// Tables and columns of the database that stand in the query as such: aliases, texts in double quotes and names that the
/// database does not have are left out, and `*` names nothing.
pub fn names(statement: &Statement, tables: &BTreeMap<String, BTreeSet<String>>) -> Names {
    struct Collect<'a> {
        tables: &'a BTreeMap<String, BTreeSet<String>>,
        found: Names,
    }
    impl Collect<'_> {
        fn column(&mut self, name: &str) {
            let name = name.to_lowercase();
            if self.tables.values().any(|columns| columns.contains(&name)) {
                self.found.insert(format!("column {name}"));
            }
        }
    }
    impl Visitor for Collect<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }

        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
            if let Some(name) = relation.0.last().and_then(|part| part.as_ident()) {
                let name = name.value.to_lowercase();
                if self.tables.contains_key(&name) {
                    self.found.insert(format!("table {name}"));
                }
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
            match expression {
                Expr::Identifier(name) => self.column(&name.value),
                Expr::CompoundIdentifier(parts) => parts.last().into_iter().for_each(|name| self.column(&name.value)),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut collect = Collect { tables, found: Names::new() };
    let _ = statement.visit(&mut collect);
    collect.found
}

/// As [`names`], of a query that SQLite takes and the parser does not: every word that is a name of the database.
pub fn words(query: &str, tables: &BTreeMap<String, BTreeSet<String>>) -> Names {
    let mut found = Names::new();
    for token in tokens(query).iter().filter(|token| matches!(token.kind, Kind::Word | Kind::Name)) {
        let name = token.inner().to_lowercase();
        if tables.values().any(|columns| columns.contains(&name)) {
            found.insert(format!("column {name}"));
        }
        if tables.contains_key(&name) {
            found.insert(format!("table {name}"));
        }
    }
    found
}

/// `|of ∩ in| / |of|`, 1 where `of` is empty.
pub fn share(of: &Names, within: &Names) -> f64 {
    if of.is_empty() { 1.0 } else { of.intersection(within).count() as f64 / of.len() as f64 }
}

/// Pairs of neighbouring words of a query, in lower case but for texts; one word alone is a pair with nothing.
pub fn bigrams(query: &str) -> HashSet<(String, String)> {
    let words: Vec<String> = tokens(query)
        .iter()
        .take(MOST_TOKENS)
        .map(|token| if token.kind == Kind::Text { token.text.to_owned() } else { token.text.to_lowercase() })
        .collect();
    match &words[..] {
        [one] => HashSet::from([(one.clone(), String::new())]),
        words => words.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
    }
}

/// Jaccard similarity: `|a ∩ b| / |a ∪ b|`; 0 of two empty sets.
pub fn jaccard(a: &HashSet<(String, String)>, b: &HashSet<(String, String)>) -> f64 {
    let both = a.intersection(b).count();
    let all = a.len() + b.len() - both;
    if all == 0 { 0.0 } else { both as f64 / all as f64 }
}

/// The tags that the published prompt asks for: a quarter for each mark that stands there exactly once, less 1/500 a
/// character after the end of the answer; 0 at least. Half of it is the published term.
pub fn format(completion: &str) -> f64 {
    let marks = ["<reasoning>\n", "\n</reasoning>\n", "\n<answer>\n", "\n</answer>"];
    let met = marks.iter().filter(|mark| completion.matches(**mark).count() == 1).count();
    let after = completion.rsplit_once("</answer>").map_or(0, |(_, after)| after.trim_end().chars().count());
    (0.25 * met as f64 - after as f64 / 500.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> BTreeMap<String, BTreeSet<String>> {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        BTreeMap::from([
            ("singer".into(), columns(&["id", "name", "age"])),
            ("concert".into(), columns(&["id", "singer_id", "year"])),
        ])
    }

    #[test]
    fn names_are_those_of_the_database() {
        for (query, found) in [
            ("SELECT T1.Name FROM Singer AS T1 JOIN concert c ON T1.id = c.singer_id WHERE c.year > 2014", 6),
            ("SELECT name AS age2, count(*) FROM singer WHERE \"name\" = \"JetBlue\" GROUP BY 1", 2),
            ("WITH x AS (SELECT age FROM singer) SELECT * FROM x", 2),
            ("SELECT 'age'", 0),
        ] {
            let parsed = names(&parsed(query).unwrap(), &tables());
            assert_eq!(parsed.len(), found, "{query}: {parsed:?}");
        }
        let gold = names(&parsed("SELECT name, age FROM singer").unwrap(), &tables());
        let got = names(&parsed("SELECT name, year FROM concert").unwrap(), &tables());
        assert!((share(&gold, &got) - 1.0 / 3.0).abs() < 1e-12 && share(&Names::new(), &got) == 1.0);
        assert_eq!(words("SELECT name, age FROM singer", &tables()), gold);
    }

    #[test]
    fn bigrams_are_of_words() {
        let of = |query| bigrams(query);
        let similar =
            jaccard(&of("select name from t where age > 30"), &of("SELECT name FROM t -- because\n WHERE age < 30"));
        assert!((similar - 5.0 / 9.0).abs() < 1e-12, "{similar}");
        assert_eq!(jaccard(&of("select 1"), &of("select 1")), 1.0);
        assert_eq!(jaccard(&of("x = 'a'"), &of("x = 'A'")), 1.0 / 3.0);
        assert_eq!((jaccard(&of(""), &of("")), jaccard(&of("x"), &of("x"))), (0.0, 1.0));
    }

    #[test]
    fn tags_count_once() {
        let whole = "<reasoning>\nr\n</reasoning>\n<answer>\nSELECT 1\n</answer>";
        assert_eq!(format(whole), 1.0);
        assert_eq!(format(&format!("{whole}{whole}")), 0.0);
        assert_eq!(format("<reasoning>\nr\n</reasoning>\nSELECT 1"), 0.5);
        assert!((format(&format!("{whole} so")) - (1.0 - 3.0 / 500.0)).abs() < 1e-12);
        assert_eq!((format(&format!("{whole}{}", "x".repeat(900))), format("SELECT 1")), (0.0, 0.0));
    }

    #[test]
    fn depth_and_length_are_bounded() {
        for (open, close) in [
            ("(", ")"),
            ("SELECT (", ")"),
            ("NOT ", ""),
            ("- ", ""),
            ("CASE WHEN ", " END"),
            ("f(", ")"),
            ("a IN (", ")"),
            ("SELECT * FROM (", ")"),
            ("CAST(", " AS INT)"),
            ("x BETWEEN ", ""),
            ("[", "]"),
            ("{", "}"),
            ("a = ", ""),
            ("EXISTS (SELECT ", ")"),
            ("1 + (", ")"),
            ("a.", ""),
            ("a AND ", ""),
            ("1 UNION SELECT ", ""),
            ("t JOIN ", ""),
        ] {
            for depth in [8, 20, 30, 45, 1000] {
                for before in ["SELECT ", "SELECT 1 FROM ", "SELECT 1 WHERE "] {
                    let _ = parsed(&format!("{before}{}1{}", open.repeat(depth), close.repeat(depth)));
                    let _ = parsed(&format!("{before}{}1", open.repeat(depth)));
                }
            }
        }
    }
}
