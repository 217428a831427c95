//! Success minus what the actions cost.

use std::collections::BTreeMap;

use super::prelude::*;

parameters! {
    /// `success * of - lambda * (sum over kinds of coefficient * count + the questions' cost)`.
    ActionCosts {
        of: String = "success", TERM, "1 for success";
        success: f64 = 20.0, ANY, "reward of a success";
        lambda: f64 = 1.0, NOT_NEGATIVE, "price of a unit of cost";
        costs: BTreeMap<String, f64> = table([("distance", 1.0), ("recalls", 0.1)]) => "{ distance = 1.0, recalls = 0.1 }",
            COSTS, "cost of one unit of every fact that counts actions";
        asks: String = "asks", FACT, "number of questions of the episode";
        ask_cost: f64 = 2.0, NOT_NEGATIVE, "cost of the first question";
        fatigue: f64 = 0.5, NOT_NEGATIVE, "by how much of the first every further question costs more";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "action_costs",
    summary: "success minus the cost of walking, remembering and asking",
    formula: "success * of - lambda * (sum_k costs[k] * facts[k] + ask_cost * (N + fatigue * N (N - 1) / 2)), N = questions: \
              question number n (from 0) costs ask_cost * (1 + fatigue * n); counts are at least 0",
    parameters: ActionCosts::PARAMETERS,
    reads: &["facts.<every word of costs>", "facts.<asks>"],
    source: "HC-GRPO (ESearch-R1): arXiv 2512.18571",
    unverified: "all constants; a normalisation of each kind of cost before the sum, which one summary names, is not offered",
    ..Entry::NONE
};

impl Term for ActionCosts {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.map(&self.of, |e, of| {
            let mut cost = 0.0;
            for (fact, coefficient) in &self.costs {
                cost += coefficient * group.amount(e, fact)?;
            }
            cost += asking(group.amount(e, &self.asks)?, self.ask_cost, self.fatigue);
            Ok(self.success * of - self.lambda * cost)
        })
    }
}

/// `sum over n < asks of cost * (1 + fatigue * n)`.
fn asking(asks: f64, cost: f64, fatigue: f64) -> f64 {
    cost * (asks + fatigue * (asks * (asks - 1.0) / 2.0).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_cells_two_questions_and_a_memory_cost_ten_and_a_tenth() {
        let group =
            group(&[("success", [1.0, 0.0])], &[("distance", [5.0; 2]), ("recalls", [1.0; 2]), ("asks", [2.0; 2])]);
        close(&values(&ActionCosts::default(), &group, &mut Memory::default()), &[9.9, -10.1], 1e-12);
    }
}
