//! How far a text is from a demonstration, clause by clause.

use super::features::{dot, runs};

const BUCKETS: usize = 1 << 16;
/// Characters of the runs that a clause is told by.
const RUNS: (usize, usize) = (1, 3);

/// DR-IRL's data hardness: `1 - mean over the clauses of the text of the greatest cosine with a clause of the demonstration`, in 0..1. Clauses end at
/// `, . ; : ! ?`, tags and lines; a clause is the counts of its runs of one to three characters. 1 of a text without clauses.
pub fn hardness(text: &str, demonstration: &str) -> f64 {
    let (said, shown) = (clauses(text), clauses(demonstration));
    if said.is_empty() {
        return 1.0;
    }
    let nearest = |clause: &Vec<_>| shown.iter().map(|other| dot(clause, other)).fold(0.0, f64::max);
    let mean = said.iter().map(nearest).sum::<f64>() / said.len() as f64;
    (1.0 - mean).clamp(0.0, 1.0)
}

fn clauses(text: &str) -> Vec<Vec<(usize, f32)>> {
    let parts = text.split(|c: char| ",.;:!?<>\n".contains(c)).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| runs(part, RUNS, &[0], BUCKETS)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demonstration_is_not_hard_and_each_clause_counts() {
        assert!(hardness("no, be kind.", "no, be kind.") < 1e-6);
        assert!(hardness("be kind; no", "no, be kind.") < 1e-6, "clauses may stand in another order");
        let half = hardness("no, qqq", "no, be kind.");
        assert!(half > 0.3 && half < 0.5, "{half}");
        assert_eq!((hardness("", "no"), hardness("no", "")), (1.0, 1.0));
    }
}
