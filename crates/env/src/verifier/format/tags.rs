//! `tags`: whether the parts of a completion stand in their tags, in order.

use std::collections::BTreeMap;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading},
    grammar::{self, Element, Mark},
};

/// How much of the completion the tags must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// Nothing but blanks stands outside them.
    #[default]
    Full,
    /// Anything may stand outside them.
    Search,
}

/// What a form that is not quite right gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// 0.
    #[default]
    Whole,
    /// The share of the marks (`<tag>` and `</tag>`) that occur exactly once.
    Marks,
}

/// What a tag holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Anything, nothing too.
    #[default]
    Any,
    /// More than blanks.
    Some,
}

/// 1 where each of `tags` occurs exactly once, closed, in this order, and no tag stands where it should not; else 0, or with `credit = "marks"` a
/// share in 0..1. A tag in a tag is written with a slash: `["think", "answer", "answer/speed", "answer/path"]`. `tasks` gives other tags to
/// the rows whose column `task` has that name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tags {
    pub tags: Vec<String>,
    pub tasks: BTreeMap<String, Vec<String>>,
    #[serde(rename = "match")]
    pub matching: Match,
    pub content: Content,
    pub credit: Credit,
}

impl Default for Tags {
    fn default() -> Self {
        Self {
            tags: vec!["think".into(), "answer".into()],
            tasks: BTreeMap::new(),
            matching: Match::default(),
            content: Content::default(),
            credit: Credit::default(),
        }
    }
}

impl Pure for Tags {
    const DESCRIBED: Described = Described {
        name: "tags",
        summary: "1 where the completion's parts stand in their tags, each once, in order and nested as told",
        range: "0 or 1; 0..1 with credit = \"marks\"",
        reads: &["completion", "task: which of `tasks` holds, where they are given"],
        parameters: &[
            ("tags", "names in order, with a slash for a tag in a tag; [\"think\", \"answer\"] unless told"),
            ("tasks", "other tags for the rows of a task"),
            ("match", "\"full\" (default): only blanks outside the tags; \"search\": anything"),
            ("content", "\"any\" (default), or \"some\": no tag is blank"),
            ("credit", "\"whole\" (default), or \"marks\": else the share of marks that occur once"),
        ],
        source: "DeepSeek-R1; Reason-RFT, Affordance-R1, Nav-R1, AlphaDrive and others",
    };

    fn check(&self) -> Result<(), VerifierError> {
        for tags in self.tasks.values().chain([&self.tags]) {
            let bad = |got: String, expected| Err(VerifierError::BadText { parameter: "tags", got, expected });
            if tags.is_empty() {
                return bad("[]".into(), "one tag or more");
            }
            for (i, tag) in tags.iter().enumerate() {
                tag.split('/').try_for_each(|name| reading::check_tag("tags", Some(name)))?;
                let around = tag.rsplit_once('/').map(|(around, _)| around);
                if around.is_some_and(|around| !tags[..i].iter().any(|other| other == around)) {
                    return bad(tag.clone(), "after the tag around it");
                }
                if tags[..i].contains(tag) {
                    return bad(tag.clone(), "named once");
                }
            }
        }
        Ok(())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let tags = match view.column("task") {
            None => &self.tags,
            Some(_) if self.tasks.is_empty() => &self.tags,
            Some(_) => self.tasks.get(&columns::text(view, "task")?).unwrap_or(&self.tags),
        };
        let mut names: Vec<String> = tags.iter().filter_map(|tag| tag.rsplit('/').next()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        if grammar::elements(view.completion, &names).is_some_and(|found| self.holds(tags, view.completion, &found)) {
            return Ok(Outcome::scored(1.0).into());
        }
        let score = match self.credit {
            Credit::Whole => 0.0,
            Credit::Marks => {
                let marks = grammar::marks(view.completion, &names);
                let once = |mark: Mark| marks.iter().filter(|(found, ..)| *found == mark).count() == 1;
                let right =
                    names.iter().flat_map(|n| [once(Mark::Open(n)), once(Mark::Close(n))]).filter(|&o| o).count();
                right as f64 / (2 * names.len()) as f64
            }
        };
        Ok(Outcome::scored(score).into())
    }
}

impl Tags {
    fn holds(&self, tags: &[String], text: &str, found: &[Element]) -> bool {
        let mut paths = Vec::new();
        let mut at = 0;
        let mut bare = true;
        for element in found {
            bare &= text[at..element.from].trim().is_empty();
            at = element.to;
            listed(element, "", self.content, &mut paths);
        }
        bare &= text[at..].trim().is_empty();
        // An outer tag is met before those in it, as in the recipe's list; between siblings the order is the text's.
        paths == *tags && (bare || self.matching == Match::Search)
    }
}

fn listed(element: &Element, around: &str, content: Content, paths: &mut Vec<String>) {
    let path = if around.is_empty() { element.name.to_owned() } else { format!("{around}/{}", element.name) };
    // A blank tag is given a name that no recipe has.
    let blank = content == Content::Some && element.text.trim().is_empty();
    paths.push(if blank { String::new() } else { path.clone() });
    for inner in &element.inside {
        listed(inner, &path, content, paths);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, score},
        *,
    };

    #[test]
    fn each_tag_once_in_order_and_nothing_else() {
        let search = Tags { matching: Match::Search, ..Tags::default() };
        for (completion, full, anywhere) in [
            ("<think>a</think><answer>b</answer>", 1.0, 1.0),
            (" <think></think>\n\n<answer></answer>\n", 1.0, 1.0),
            ("So <think>a</think><answer>b</answer>!", 0.0, 1.0),
            ("<think>a < b</think> and <answer>b</answer>", 0.0, 1.0),
            ("<answer>b</answer><think>a</think>", 0.0, 0.0),
            ("<think>a</think><answer>b</answer><answer>c</answer>", 0.0, 0.0),
            ("<think>a<answer>b</think></answer>", 0.0, 0.0),
            ("<think><answer>b</answer></think>", 0.0, 0.0),
            ("<think>a</think><answer>b", 0.0, 0.0),
            ("<Think>a</Think><answer>b</answer>", 0.0, 0.0),
            ("", 0.0, 0.0),
        ] {
            close(score(&Tags::default(), &json!({}), completion), full);
            close(score(&search, &json!({}), completion), anywhere);
        }
        let some = Tags { content: Content::Some, ..Tags::default() };
        close(score(&some, &json!({}), "<think> </think><answer>b</answer>"), 0.0);
        close(score(&some, &json!({}), "<think>a</think><answer>b</answer>"), 1.0);
    }

    #[test]
    fn tags_stand_in_tags_and_tasks_have_their_own() {
        let nested = Tags {
            tags: ["think", "answer", "answer/speed", "answer/path"].map(String::from).to_vec(),
            tasks: [("caption".into(), vec!["caption".into()])].into(),
            ..Tags::default()
        };
        let good = "<think>x</think><answer><speed>a</speed><path>b</path></answer>";
        close(score(&nested, &json!({}), good), 1.0);
        close(score(&nested, &json!({"task": "plan"}), good), 1.0);
        close(score(&nested, &json!({"task": "caption"}), good), 0.0);
        close(score(&nested, &json!({"task": "caption"}), "<caption>c</caption>"), 1.0);
        for bad in [
            "<think>x</think><answer></answer><speed>a</speed><path>b</path>",
            "<think>x</think><answer><path>b</path><speed>a</speed></answer>",
            "<think><speed>a</speed></think><answer><path>b</path></answer>",
        ] {
            close(score(&nested, &json!({}), bad), 0.0);
        }
    }

    #[test]
    fn marks_give_credit() {
        let credit = Tags { credit: Credit::Marks, ..Tags::default() };
        for (completion, expected) in [
            ("<think>a</think><answer>b</answer>", 1.0),
            ("<think>a</think><answer>b", 0.75),
            ("<think><think>a</think>", 0.25),
            ("", 0.0),
        ] {
            close(score(&credit, &json!({}), completion), expected);
        }
    }

    #[test]
    fn deep_and_long_texts_end_and_tags_are_checked() {
        close(score(&Tags::default(), &json!({}), &"<think>".repeat(100_000)), 0.0);
        close(score(&Tags::default(), &json!({}), &"<".repeat(300_000)), 0.0);
        for bad in [&[][..], &["a b"], &["a", "a"], &["a/b"], &["a/b", "a"]] {
            let tags = Tags { tags: bad.iter().map(|t| (*t).into()).collect(), ..Tags::default() };
            assert!(Pure::check(&tags).is_err(), "{bad:?}");
        }
    }

    const CORPUS: &[&str] = &[
        "<think>2 < 3 and 3 > 2</think>\n<answer><speed>fast</speed><path>left</path></answer>",
        "<think>a<answer>b</think></answer> <Answer>é</answer > </ think>",
        "So <think></think><think>x</think> then <answer>\\boxed{1}</answer>",
    ];
    const MARKS: &[&str] =
        &["<", ">", "</", "<think>", "</think>", "<answer>", "</answer>", "<speed>", "</speed>", "/", " ", "\n", "é"];

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(cohort_testing::cases()))]

        /// Any text has a score; the whole form is worth 1 by marks too, and what is found in full is found anywhere.
        #[test]
        fn any_text_is_scored(number in proptest::num::u64::ANY) {
            let bytes = cohort_testing::mutated(CORPUS, MARKS, number);
            let completion = String::from_utf8_lossy(&bytes);
            let tags = ["think", "answer", "answer/speed", "answer/path"].map(String::from).to_vec();
            let item = crate::testing::item("p", "{}");
            let view = crate::testing::view(&item, &completion);
            let score = |matching, credit, content| {
                let term = Tags { tags: tags.clone(), matching, credit, content, ..Tags::default() };
                Pure::verdict(&term, &view).ok().and_then(|v| v.outcome.value()).unwrap_or(f64::NAN)
            };
            let full = score(Match::Full, Credit::Whole, Content::Any);
            let search = score(Match::Search, Credit::Whole, Content::Any);
            let marks = score(Match::Full, Credit::Marks, Content::Any);
            let some = score(Match::Full, Credit::Whole, Content::Some);
            proptest::prop_assert!([full, search, some].iter().all(|s| [0.0, 1.0].contains(s)), "{}", completion);
            proptest::prop_assert!(some <= full && full <= search && full <= marks && (0.0..=1.0).contains(&marks), "{}", completion);
        }
    }
}
