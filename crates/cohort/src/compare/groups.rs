//! Runs of one recipe that differ in their seed are one arm: means over its seeds, with a band from the least to the most.

use std::{collections::BTreeMap, path::Path};

use cohort_train::recipe::differing_keys;
use serde::Serialize;
use toml::{Table, Value};

use super::Side;
use crate::report::Run;

/// Keys that change no number of a run, beside the seed that makes an arm of several.
const NOT_OF_THE_ARM: [&str; 5] = ["seed", "train.steps", "train.workers", "train.parallel", "train.activations"];

/// Runs of one arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub name: String,
    /// Places in the list of runs.
    pub runs: Vec<usize>,
    pub seeds: Vec<u64>,
    /// On the test split, by name.
    pub before: BTreeMap<String, Spread>,
    pub after: BTreeMap<String, Spread>,
    /// Sampled ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Spread>,
    /// Of wall time in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Spread>,
    /// Metrics by name, at every step that all of its runs have.
    pub curves: BTreeMap<String, Vec<Point>>,
}

/// A number over the runs of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
    pub n: usize,
}

/// A metric at a step, over the runs that have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    pub step: u64,
    /// Sampled until then, the mean over the runs.
    pub tokens: f64,
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// `None` of no number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        (n > 0).then(|| Self {
            mean: values.iter().sum::<f64>() / n as f64,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            n,
        })
    }

    /// The mean, and the range where there are several, each by `show`.
    pub fn text(&self, show: impl Fn(f64) -> String) -> String {
        match self.n {
            1 => show(self.mean),
            _ => format!("{} ({} .. {})", show(self.mean), show(self.low), show(self.high)),
        }
    }
}

/// The arms of the runs, in the order of their first ones. A run without a recipe is an arm of its own.
pub fn groups(runs: &[Run], sides: &[Side]) -> Vec<Group> {
    let recipes: Vec<Option<Table>> = runs.iter().map(|run| arm_of(run, runs)).collect();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (i, recipe) in recipes.iter().enumerate() {
        // The same seed again is another run to look at, not another seed.
        let is_new = |group: &Vec<usize>| group.iter().all(|&m| sides[m].seed != sides[i].seed);
        let is_same = |group: &Vec<usize>| recipe.is_some() && recipes[group[0]] == *recipe && is_new(group);
        match members.iter_mut().find(|group| is_same(group)) {
            Some(group) => group.push(i),
            None => members.push(vec![i]),
        }
    }
    members.into_iter().map(|members| group(runs, sides, members)).collect()
}

/// The resolved recipe without what seeds of one arm may differ in. What names another of the runs stands for any seed of its arm.
fn arm_of(run: &Run, runs: &[Run]) -> Option<Table> {
    let mut table: Table = run.recipe_text.as_deref()?.parse().ok()?;
    for key in NOT_OF_THE_ARM {
        let mut here = Some(&mut table);
        let (sections, last) = key.rsplit_once('.').map_or((None, key), |(section, last)| (Some(section), last));
        for section in sections.into_iter().flat_map(|s| s.split('.')) {
            here = here.and_then(|table| table.get_mut(section)?.as_table_mut());
        }
        here.map(|table| table.remove(last));
    }
    let others: Vec<String> = runs.iter().map(|other| other.path.display().to_string()).collect();
    table.iter_mut().for_each(|(_, value)| forget(value, &others));
    Some(table)
}

fn forget(value: &mut Value, paths: &[String]) {
    match value {
        Value::String(text) => {
            if let Some(path) = paths.iter().filter(|path| text.starts_with(path.as_str())).max_by_key(|p| p.len()) {
                *text = text.replacen(path.as_str(), "RUN", 1);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| forget(v, paths)),
        Value::Table(table) => table.iter_mut().for_each(|(_, v)| forget(v, paths)),
        _ => {}
    }
}

fn group(runs: &[Run], sides: &[Side], members: Vec<usize>) -> Group {
    let of = |i: &usize| &sides[*i];
    let evaluations = |when: fn(&Side) -> &Option<cohort_train::evaluate::Evaluation>| {
        let all: Vec<_> = members.iter().filter_map(|i| when(of(i)).as_ref()).collect();
        let names = all.iter().flat_map(|e| e.accuracy.keys().cloned());
        names.filter_map(|name| Some((name.clone(), Spread::of(all.iter().filter_map(|e| e.get(&name)))?))).collect()
    };
    Group {
        name: name(&members.iter().map(|i| runs[*i].path.as_path()).collect::<Vec<_>>(), &runs[members[0]].name()),
        seeds: members.iter().filter_map(|i| of(i).seed).collect(),
        before: evaluations(|side| &side.before),
        after: evaluations(|side| &side.after),
        tokens: Spread::of(members.iter().filter_map(|i| Some(of(i).tokens?.completion as f64))),
        seconds: Spread::of(members.iter().filter_map(|i| Some(of(i).seconds?.total))),
        curves: curves(&members.iter().map(|i| &runs[*i]).collect::<Vec<_>>()),
        runs: members,
    }
}

/// What the folders of an arm's runs have in common, without the seed; else the recipe's name.
fn name(paths: &[&Path], recipe: &str) -> String {
    let names: Vec<&str> = paths.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let Some(first) = names.first() else { return recipe.to_owned() };
    let is_common = |end: &usize| first.get(..*end).is_some_and(|part| names.iter().all(|name| name.starts_with(part)));
    let common = (0..=first.len()).rev().find(is_common).map_or("", |end| &first[..end]);
    if names.len() == 1 {
        return (*first).to_owned();
    }
    let common = common.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '_');
    let common = common.strip_suffix("seed").unwrap_or(common).trim_end_matches(['-', '_']);
    if common.is_empty() { recipe.to_owned() } else { common.to_owned() }
}

fn curves(runs: &[&Run]) -> BTreeMap<String, Vec<Point>> {
    let mut tokens: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let mut values: BTreeMap<String, BTreeMap<u64, Vec<f64>>> = BTreeMap::new();
    for run in runs {
        let mut sampled = 0.0;
        for step in &run.steps {
            sampled += step.values.get("tokens/completion").copied().unwrap_or(0.0);
            tokens.entry(step.step).or_default().push(sampled);
            for (name, value) in &step.values {
                values.entry(name.clone()).or_default().entry(step.step).or_default().push(*value);
            }
        }
    }
    // Past the end of the shortest run the mean would be of other runs.
    tokens.retain(|_, sampled| sampled.len() == runs.len());
    let point = |(step, values): (u64, Vec<f64>)| {
        let Spread { mean, low, high, .. } = Spread::of(values)?;
        let tokens = Spread::of(tokens.get(&step)?.iter().copied())?.mean;
        Some(Point { step, tokens, mean, low, high })
    };
    values.into_iter().map(|(name, steps)| (name, steps.into_iter().filter_map(point).collect())).collect()
}

/// Keys in which the first runs of the arms differ.
pub fn differences(runs: &[Run], groups: &[Group]) -> Vec<super::Difference> {
    let texts: Vec<Option<&str>> = groups.iter().map(|group| runs[group.runs[0]].recipe_text.as_deref()).collect();
    differing_keys(&texts).into_iter().map(|(key, values)| super::Difference { key, values }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compare::compare, report::testing::Synthetic};

    /// Two arms that differ in their learning rate, two seeds each.
    fn four() -> Vec<Synthetic> {
        let run = |lr: &str, seed: u64, correct: f64| {
            let mut run = Synthetic::new(4).recipe("lr = 2e-4", lr).with("correct", move |step| correct + step as f64);
            run.recipe = run.recipe.replace("seed = 0\nstages", &format!("seed = {seed}\nstages"));
            run.manifest.seed = seed;
            run.finish()
        };
        vec![run("lr = 2e-4", 0, 1.0), run("lr = 5e-4", 0, 0.0), run("lr = 2e-4", 1, 3.0), run("lr = 5e-4", 1, 0.0)]
    }

    #[test]
    fn seeds_of_one_recipe_are_an_arm() {
        let runs = four();
        let got = compare(&runs.iter().map(|run| run.path().to_owned()).collect::<Vec<_>>()).unwrap();
        let members: Vec<&[usize]> = got.groups.iter().map(|g| g.runs.as_slice()).collect();
        assert_eq!(members, [&[0, 2][..], &[1, 3]]);
        assert_eq!(got.groups[0].seeds, [0, 1]);
        let first = got.groups[0].curves["correct"][0];
        assert_eq!((first.step, first.mean, first.low, first.high), (1, 3.0, 2.0, 4.0));
        assert_eq!(got.groups[0].after["greedy"], Spread { mean: 0.75, low: 0.75, high: 0.75, n: 2 });
        assert_eq!(got.between.iter().map(|d| d.key.as_str()).collect::<Vec<_>>(), ["train.lr"]);
        let text = got.text(&[]);
        for part in ["A  ", "2 runs, seeds 0, 1", "train.lr", "0.0005", "greedy after", "sampled tokens"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn the_same_seed_twice_is_no_arm_of_two() {
        let (a, b) = (Synthetic::new(2).finish(), Synthetic::new(2).finish());
        let got = compare(&[a.path().to_owned(), b.path().to_owned()]).unwrap();
        assert_eq!(got.groups.len(), 2);
        assert!(got.text(&[]).contains("the recipes are equal"));
    }

    #[test]
    fn a_page_shows_every_arm_with_its_band() {
        let runs = four();
        let got = compare(&runs.iter().map(|run| run.path().to_owned()).collect::<Vec<_>>()).unwrap();
        let html = crate::compare::page::page(&got);
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
        assert!(html.matches("<polygon").count() >= 2, "a band an arm");
        for part in ["train.lr", "seeds 0, 1", "Sampled tokens", "aria-label"] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!html.contains("<script"));
    }

    #[test]
    fn an_arm_is_named_by_what_its_folders_share() {
        let of = |paths: &[&str]| name(&paths.iter().map(Path::new).collect::<Vec<_>>(), "recipe");
        assert_eq!(of(&["runs/method-0", "runs/method-1", "runs/method-10"]), "method");
        assert_eq!(of(&["runs/gsm8k-seed0", "runs/gsm8k-seed1"]), "gsm8k");
        assert_eq!(of(&["a/x", "b/y"]), "recipe");
        assert_eq!(of(&["runs/seed7"]), "seed7");
    }

    #[test]
    fn what_names_a_run_of_the_other_arm_names_any_of_its_seeds() {
        let paths = ["/r/baseline-1".to_owned(), "/r/baseline-10".to_owned()];
        let mut value = Value::String("/r/baseline-10/checkpoints/last".to_owned());
        forget(&mut value, &paths);
        assert_eq!(value.as_str(), Some("RUN/checkpoints/last"));
    }
}
