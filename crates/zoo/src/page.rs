//! `docs/systems/NAME.md`: a system, its claim, and what came of it.

use std::fmt::Write;

use crate::{
    Claim, ResultLine, System, Verdict,
    claim::{Budget, Compares, Kind},
    results::OfArms,
    table::{Entry, difference, number, words},
};

/// The page of a system that has a recipe; `corrected` is its verdict after Holm's correction.
pub fn page(entry: &Entry, corrected: Option<Verdict>) -> Option<String> {
    let (system, claim) = entry.recipe.as_ref()?;
    let name = entry.listed.name;
    let mut text = format!(
        "# {} ({})\n\nWritten by `cohort zoo table`; the recipe is [recipes/zoo/{name}.toml](../../recipes/zoo/{name}.toml), its results \
         are [results/{name}.jsonl](../../results/{name}.jsonl).\n\nSource: {}\n\n{}\n",
        system.title, system.number, system.source, system.what
    );
    equations(&mut text, system);
    claims(&mut text, system, claim);
    match &entry.line {
        Some(line) => results(&mut text, claim, line, corrected, entry.runs),
        None => text.push_str("\n## What came of it\n\nNot run yet (`not_run`).\n"),
    }
    measured(&mut text, system);
    tried(&mut text, entry, claim, system);
    list(&mut text, "Deviations", &system.deviations, true);
    list(&mut text, "Unverified", &system.unverified, false);
    Some(text)
}

fn equations(text: &mut String, system: &System) {
    if system.equations.is_empty() {
        return;
    }
    text.push_str("\n## Equations\n\n| equation | computed by |\n|---|---|\n");
    for equation in &system.equations {
        let place = match equation.place() {
            Some((file, symbol)) => format!("`{symbol}` in [{file}](../../{file})"),
            None => equation.symbol.clone(),
        };
        let _ = writeln!(text, "| `{}` | {place} |", cell(&equation.formula));
    }
}

fn claims(text: &mut String, system: &System, claim: &Claim) {
    let what = match claim.kind {
        Kind::Better => "better by at least",
        Kind::NoWorse => "not worse by",
    };
    let budget = match (claim.budget, claim.tokens) {
        (Budget::Tokens, Some(tokens)) => format!("{tokens} sampled tokens in each arm"),
        (Budget::Examples, _) => {
            "the same number of examples in both arms, those of all stages after the cold start; tokens are a result"
                .to_owned()
        }
        _ => "the same number of updates in both arms; tokens are a result".to_owned(),
    };
    let _ = write!(
        text,
        "\n## Claims\n\nThe paper: {}\n\nOurs: {}\n\n\
         - metric: `{}` on the test split, {} is better; the method is {what} d = {}\n\
         - baseline: the same recipe with these keys, which makes it `recipes/base/{}.toml` with this task{}\n\n```toml\n{}```\n\n\
         - budget: {budget}\n- seeds: {}{}\n- control: {}\n",
        system.paper,
        claim.text,
        claim.metric,
        match claim.prefer {
            crate::claim::Prefer::Higher => "higher",
            crate::claim::Prefer::Lower => "lower",
        },
        number(claim.effect),
        claim.base,
        match claim.compares {
            Compares::Methods => "",
            Compares::Policies =>
                "; a study of two policies, each with a cold start of its own for every seed, from the same items and by as many updates",
        },
        switch(claim),
        claim.seeds,
        claim.up_to.map_or(String::new(), |up_to| format!(", up to {} as long as it is inconclusive", up_to.seeds)),
        claim.control.name(),
    );
}

fn switch(claim: &Claim) -> String {
    claim.switch.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key} = {value}");
        text
    })
}

fn results(text: &mut String, claim: &Claim, line: &ResultLine, corrected: Option<Verdict>, runs: usize) {
    let _ = write!(
        text,
        "\n## What came of it\n\nVerdict: {}; after Holm's correction over all tested claims: {}. Verifies: {runs}; this is the newest.\n\n\
         Difference in `{}`: {} over {} paired seeds, one-sided p {}.\n\n\
         | seed | cold start | method | baseline | method's tokens | baseline's tokens |\n|---|---|---|---|---|---|\n",
        words(line.verdict),
        words(corrected.unwrap_or(line.verdict)),
        line.metric,
        difference(line),
        line.seeds.len(),
        line.difference.p.map_or("none".to_owned(), |p| format!("{p:.2e}")),
    );
    for (i, seed) in line.seeds.iter().enumerate() {
        let at = |values: &[f64]| values.get(i).map_or("-".to_owned(), |v| number(*v));
        let tokens = |values: &[u64]| values.get(i).map_or("-".to_owned(), u64::to_string);
        let _ = writeln!(
            text,
            "| {seed} | {} | {} | {} | {} | {} |",
            at(&line.before),
            at(&line.method),
            at(&line.baseline),
            tokens(&line.tokens.method),
            tokens(&line.tokens.baseline)
        );
    }
    let control = &line.control;
    let shown: Vec<String> = control
        .values
        .iter()
        .zip(&control.against)
        .map(|(value, against)| format!("{} against {}", number(*value), number(*against)))
        .collect();
    let _ = writeln!(
        text,
        "\nControl ({}): {}{}.",
        control.name,
        if shown.is_empty() { "not run".to_owned() } else { shown.join(", ") },
        if control.exposed { ": it shows what the claim says, so the claim is invalid" } else { "" }
    );
    beside(text, line);
    let sum = |tokens: &[u64]| tokens.iter().sum::<u64>();
    let _ = writeln!(
        text,
        "\nTokens in all: {} of the method, {} of the baseline. {} minutes on {} (commit {}).",
        sum(&line.tokens.method),
        sum(&line.tokens.baseline),
        number(line.minutes),
        line.machine,
        line.commit.as_deref().map_or("unknown".to_owned(), |c| c.chars().take(12).collect())
    );
    if claim.metric != line.metric || claim.effect != line.effect || claim.kind != line.kind {
        text.push_str("\nThe claim was changed after this result.\n");
    }
}

/// What the claim has told beside its metric, as means over the seeds.
fn beside(text: &mut String, line: &ResultLine) {
    if line.beside.is_empty() {
        return;
    }
    text.push_str(
        "\nBeside it, means over the seeds before and after the rl stage:\n\n| number | method, before | after | baseline, before | after |\n|---|---|---|---|---|\n",
    );
    let mean =
        |pairs: &[[f64; 2]], at: usize| number(pairs.iter().map(|pair| pair[at]).sum::<f64>() / pairs.len() as f64);
    for (name, OfArms { method, baseline }) in &line.beside {
        let [a, b, c, d] = [mean(method, 0), mean(method, 1), mean(baseline, 0), mean(baseline, 1)];
        let _ = writeln!(text, "| `{}` | {a} | {b} | {c} | {d} |", cell(name));
    }
}

/// What was measured besides: no verdict reads it.
fn measured(text: &mut String, system: &System) {
    if !system.measured.is_empty() {
        text.push_str("\n## Measured besides\n");
        system.measured.iter().for_each(|what| _ = writeln!(text, "\n{}", what.trim()));
    }
}

/// What was tuned, and what was tried.
fn tried(text: &mut String, entry: &Entry, claim: &Claim, system: &System) {
    if claim.tuned.is_empty() && system.tried.is_empty() && entry.dev.is_empty() {
        return;
    }
    text.push_str("\n## Tried on dev\n");
    if !claim.tuned.is_empty() {
        text.push('\n');
    }
    for (key, tuned) in &claim.tuned {
        let list = |values: &[toml::Value]| values.iter().map(toml::Value::to_string).collect::<Vec<_>>().join(", ");
        let chosen = |value: &Option<toml::Value>| value.as_ref().map_or("nothing".to_owned(), toml::Value::to_string);
        let (method, baseline) = (list(tuned.trials.method()), list(tuned.trials.baseline()));
        let tried = if method == baseline { method } else { format!("{method} (method), {baseline} (baseline)") };
        let _ = writeln!(
            text,
            "- `{key}`: tried {tried}; the method has {}, the baseline {}",
            chosen(&tuned.method),
            chosen(&tuned.baseline)
        );
    }
    if !entry.dev.is_empty() {
        text.push_str("\n| arm | trial | mean on dev | by seed |\n|---|---|---|---|\n");
    }
    for line in &entry.dev {
        let trial: Vec<String> = line.trial.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let values: Vec<String> = line.values.iter().map(|v| number(*v)).collect();
        let _ = writeln!(
            text,
            "| {} | `{}` | {}{} | {} |",
            line.arm,
            cell(&trial.join(", ")),
            number(line.mean),
            if line.best { " (best)" } else { "" },
            values.join(", ")
        );
    }
    if !system.tried.is_empty() {
        text.push('\n');
        system.tried.iter().for_each(|what| _ = writeln!(text, "- {what}"));
    }
}

fn list(text: &mut String, title: &str, points: &[String], numbered: bool) {
    if points.is_empty() {
        return;
    }
    let _ = write!(text, "\n## {title}\n\n");
    for (i, point) in points.iter().enumerate() {
        let _ = if numbered { writeln!(text, "{}. {point}", i + 1) } else { writeln!(text, "- {point}") };
    }
}

/// As it may stand in a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{results::tests::line, table::tests::entries};

    fn entry() -> Entry {
        let method = [0.53, 0.54, 0.55, 0.56, 0.57];
        let mut entry = entries(vec![line("mc-grpo", &method, &[0.5; 5])]).swap_remove(28);
        let system = "number = 29\ntitle = \"MC-GRPO\"\nsource = \"a paper\"\nwhat = \"Medians. Pivots.\"\npaper = \"+1\"\n\
            deviations = [\"small\", \"smaller\"]\nunverified = [\"eps\"]\ntried = [\"more\"]\nmeasured = [\"Load: 2.\", \"\"\"\n| a |\n|---|\n\"\"\"]\n\
            equations = [{ formula = \"|a|\", symbol = \"crates/core/src/lib.rs: core\" }]";
        let claim = "text = \"Medians win.\"\nmetric = \"greedy\"\neffect = 0.03\ntokens = 400_000\n[switch]\n\"advantage.baseline\" = \"mean\"\n\
            [tuned.\"train.lr\"]\ntrials = [1e-4, 2e-4]\nmethod = 1e-4\nbaseline = 2e-4";
        entry.recipe = Some((toml::from_str(system).unwrap(), toml::from_str(claim).unwrap()));
        entry
    }

    #[test]
    fn a_page_has_all_that_a_reader_needs() {
        let text = page(&entry(), Some(Verdict::Inconclusive)).unwrap();
        for part in [
            "# MC-GRPO (29)",
            "| `\\|a\\|` | `core` in [crates/core/src/lib.rs](../../crates/core/src/lib.rs) |",
            "The paper: +1",
            "Ours: Medians win.",
            "advantage.baseline = \"mean\"",
            "400000 sampled tokens in each arm",
            "Verdict: **reproduced**; after Holm's correction over all tested claims: inconclusive",
            "+0.05 (+0.0304 .. +0.0696) over 5 paired seeds",
            "| 4 | 0.2 | 0.57 | 0.5 | 400100 | 400050 |",
            "2000500 of the method, 2000250 of the baseline. 3.5 minutes on a test (commit 0123456)",
            "1. small\n2. smaller",
            "## Unverified\n\n- eps",
            "tried 0.0001, 0.0002; the method has 0.0001, the baseline 0.0002",
            "- more",
            "## Measured besides\n\nLoad: 2.\n\n| a |\n|---|\n\n## Tried on dev",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        assert!(!text.contains("was changed") && !text.contains("Beside it") && !text.contains("a study"));
    }

    #[test]
    fn a_study_says_so_and_tells_what_stands_beside_its_metric() {
        let mut entry = entry();
        if let (Some((_, claim)), Some(line)) = (&mut entry.recipe, &mut entry.line) {
            claim.compares = Compares::Policies;
            let pairs = OfArms { method: vec![[0.1, 0.4], [0.2, 0.6]], baseline: vec![[0.25, 0.5]] };
            line.beside.insert("greedy/sums".to_owned(), pairs);
        }
        let text = page(&entry, None).unwrap();
        assert!(text.contains("a study of two policies, each with a cold start of its own"), "{text}");
        assert!(text.contains("| `greedy/sums` | 0.15 | 0.5 | 0.25 | 0.5 |"), "{text}");
    }

    #[test]
    fn what_has_not_run_says_so_and_what_has_no_recipe_has_no_page() {
        let not_run = Entry { line: None, runs: 0, ..entry() };
        assert!(page(&not_run, None).unwrap().contains("Not run yet"));
        assert_eq!(page(&Entry { recipe: None, ..entry() }, None), None);
    }

    #[test]
    fn a_claim_that_was_changed_afterwards_is_said() {
        let mut entry = entry();
        if let Some((_, claim)) = &mut entry.recipe {
            claim.effect = 0.01;
        }
        assert!(page(&entry, None).unwrap().contains("The claim was changed after this result."));
    }
}
