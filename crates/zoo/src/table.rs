//! The README's table of the zoo and the index of the pages: what ran, its verdict before and after Holm's correction, and
//! what has not run with the missing piece.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    Claim, ResultLine, System, Verdict,
    claim::Kind,
    results::DevLine,
    systems::{Listed, SYSTEMS},
    verdict::corrected,
};

/// What is known of a system.
#[derive(Clone, Debug)]
pub struct Entry {
    pub listed: &'static Listed,
    /// Its recipe's sections, where it has a recipe.
    pub recipe: Option<(System, Claim)>,
    /// Verifies that count.
    pub runs: usize,
    /// The newest of them.
    pub line: Option<ResultLine>,
    /// Its newest trials on dev.
    pub dev: Vec<DevLine>,
}

impl Entry {
    pub fn verdict(&self) -> Verdict {
        self.line.as_ref().map_or(Verdict::NotRun, |line| line.verdict)
    }

    /// The name, linked to its page where it has one; pages are below `folder`.
    fn link(&self, folder: &str) -> String {
        let name = self.listed.name;
        if self.recipe.is_some() { format!("[{name}]({folder}{name}.md)") } else { name.to_owned() }
    }
}

/// Verdicts of the tested claims after Holm's correction, by system's number.
pub fn corrected_verdicts(entries: &[Entry]) -> BTreeMap<u32, Verdict> {
    let tested: Vec<(u32, Verdict, Option<f64>)> = entries
        .iter()
        .filter_map(|e| e.line.as_ref().map(|line| (e.listed.number, line.verdict, line.difference.p)))
        .collect();
    let verdicts = corrected(&tested.iter().map(|(_, verdict, p)| (*verdict, *p)).collect::<Vec<_>>());
    tested.iter().map(|(number, ..)| *number).zip(verdicts).collect()
}

/// One line: how many ran, and what came of it.
pub fn headline(entries: &[Entry]) -> String {
    let ran = entries.iter().filter(|e| e.line.is_some()).count();
    if ran == 0 {
        return format!("**None of the {} systems has run yet.**", SYSTEMS.len());
    }
    let count = |verdicts: &[Verdict]| {
        let of = |verdict: Verdict| verdicts.iter().filter(|v| **v == verdict).count();
        let words = [
            (Verdict::Reproduced, "reproduced"),
            (Verdict::NotReproduced, "not reproduced"),
            (Verdict::Inconclusive, "inconclusive"),
            (Verdict::Invalid, "invalid"),
        ];
        words.map(|(verdict, word)| format!("{} {word}", of(verdict))).join(", ")
    };
    let raw: Vec<Verdict> = entries.iter().filter(|e| e.line.is_some()).map(Entry::verdict).collect();
    let after: Vec<Verdict> = corrected_verdicts(entries).into_values().collect();
    format!(
        "**{ran} of the {} systems ran: {}.** After Holm's correction over the {ran} tested claims: {}.",
        SYSTEMS.len(),
        count(&raw),
        count(&after)
    )
}

/// The README's part. `folder` is where the pages are, from there.
pub fn table(entries: &[Entry], folder: &str) -> String {
    let mut text = format!("{}\n", headline(entries));
    let corrected = corrected_verdicts(entries);
    let ran: Vec<&Entry> = entries.iter().filter(|e| e.line.is_some()).collect();
    if !ran.is_empty() {
        text.push_str(
            "\nA difference is the method's metric less its baseline's (turned where lower is better), the mean over paired seeds with \
             Student's 95 % interval; `d` is the smallest that counts, written down before.\n\n\
             | n | system | metric | difference | d | seeds | verdict | after Holm |\n|---|---|---|---|---|---|---|---|\n",
        );
    }
    for entry in ran {
        let Some(line) = &entry.line else { continue };
        let d = match line.kind {
            Kind::Better => number(line.effect),
            Kind::NoWorse => format!("-{} (no worse)", number(line.effect)),
        };
        let after = corrected.get(&entry.listed.number).copied().unwrap_or(line.verdict);
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | {} | {d} | {} | {} | {} |",
            entry.listed.number,
            entry.link(folder),
            line.metric,
            difference(line),
            line.seeds.len(),
            words(line.verdict),
            words(after)
        );
    }
    text.push_str(&not_run(entries, folder));
    text
}

/// What has not run, by the missing piece.
fn not_run(entries: &[Entry], folder: &str) -> String {
    let mut by_need: Vec<(&str, Vec<String>)> = Vec::new();
    for entry in entries.iter().filter(|e| e.line.is_none()) {
        let need = entry.listed.needs.words();
        let name = format!("{} {}", entry.listed.number, entry.link(folder));
        match by_need.iter_mut().find(|(n, _)| *n == need) {
            Some((_, names)) => names.push(name),
            None => by_need.push((need, vec![name])),
        }
    }
    if by_need.is_empty() {
        return String::new();
    }
    let mut text = "\nNot run (`not_run`), by what is missing:\n\n".to_owned();
    for (need, names) in by_need {
        let _ = writeln!(text, "- {need}: {}", names.join(", "));
    }
    text
}

/// `docs/systems/README.md`: every system.
pub fn index(entries: &[Entry]) -> String {
    let mut text = format!(
        "# The systems\n\nWritten by `cohort zoo table` from `results/` and `recipes/zoo/`. [zoo.md](../zoo.md) says how a claim is proved.\n\n{}\n\n\
         | n | recipe | system | runs | verdict |\n|---|---|---|---|---|\n",
        headline(entries)
    );
    for entry in entries {
        let verdict = match entry.line {
            Some(_) => words(entry.verdict()).to_owned(),
            None => format!("not run: needs {}", entry.listed.needs.words()),
        };
        let Listed { number, title, .. } = entry.listed;
        let _ = writeln!(text, "| {number} | {} | {title} | {} | {verdict} |", entry.link(""), entry.runs);
    }
    text
}

/// Mean and interval.
pub(crate) fn difference(line: &ResultLine) -> String {
    let mean = signed(line.difference.mean);
    match (line.difference.low, line.difference.high) {
        (Some(low), Some(high)) => format!("{mean} ({} .. {})", signed(low), signed(high)),
        _ => mean,
    }
}

fn signed(x: f64) -> String {
    let text = number(x);
    if x > 0.0 && !text.starts_with('-') { format!("+{text}") } else { text }
}

/// Four digits after the point where they say something, else three that do.
pub(crate) fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let digits = if x.abs() >= 100.0 {
        1
    } else if x.abs() >= 0.001 {
        4
    } else {
        7
    };
    let text = format!("{x:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(crate) fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Reproduced => "**reproduced**",
        Verdict::NotReproduced => "not reproduced",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Invalid => "invalid",
        Verdict::NotRun => "not run",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::results::tests::line;

    pub(crate) fn entries(lines: Vec<ResultLine>) -> Vec<Entry> {
        let of = |listed: &'static Listed| {
            let line = lines.iter().find(|line| line.name == listed.name).cloned();
            Entry { listed, recipe: None, runs: usize::from(line.is_some()), line, dev: Vec::new() }
        };
        SYSTEMS.iter().map(of).collect()
    }

    #[test]
    fn the_headline_counts_what_ran_before_and_after_the_correction() {
        assert_eq!(headline(&entries(vec![])), "**None of the 69 systems has run yet.**");
        // p is 0.0011 for the first; 0.016 for the second, which two tested claims do not allow.
        let sure = line("mc-grpo", &[0.53, 0.54, 0.55, 0.56, 0.57], &[0.5; 5]);
        let close = line("nft", &[0.50, 0.52, 0.56, 0.58, 0.54], &[0.5; 5]);
        assert!(close.difference.p.is_some_and(|p| p > 0.0125 && p < 0.025), "{:?}", close.difference);
        let nothing = line("disco", &[0.5, 0.501, 0.499, 0.5, 0.5], &[0.5; 5]);
        let text = headline(&entries(vec![sure, close, nothing]));
        assert!(
            text.starts_with("**3 of the 69 systems ran: 2 reproduced, 1 not reproduced, 0 inconclusive, 0 invalid.**"),
            "{text}"
        );
        assert!(text.contains("over the 3 tested claims: 1 reproduced, 1 not reproduced, 1 inconclusive"), "{text}");
    }

    #[test]
    fn the_table_has_what_ran_and_names_what_is_missing() {
        let text = table(&entries(vec![line("mc-grpo", &[0.53, 0.54, 0.55, 0.56, 0.57], &[0.5; 5])]), "docs/systems/");
        assert!(
            text.contains("| 29 | mc-grpo | `greedy` | +0.05 (+0.0304 .. +0.0696) | 0.03 | 5 | **reproduced** |"),
            "{text}"
        );
        assert!(
            text.contains("- a flow policy: 3 mind-v") && text.contains("- its run: 1 verireason, 2 job-eval"),
            "{text}"
        );
        assert_eq!(SYSTEMS.iter().filter(|s| text.contains(s.name)).count(), 69);
    }

    #[test]
    fn numbers_are_short() {
        let of = [0.05, -0.03, 0.0, 1234.56, 0.00012, 1.0].map(number);
        assert_eq!(of, ["0.05", "-0.03", "0", "1234.6", "0.00012", "1"]);
    }
}
