use super::*;
use crate::{advantage::Credit, facts::Fact, row::Rows, trajectory::Trajectory};

fn list(of: &[(f64, f64)]) -> Vec<Scored> {
    of.iter().map(|&(score, label)| Scored { score, label }).collect()
}

fn all() -> [ScoreLoss; 5] {
    [
        ScoreLoss::Bce(Bce { most: 3.0 }),
        ScoreLoss::Pairwise(Pairwise { temperature: 0.7 }),
        ScoreLoss::InfoNce(InfoNce { temperature: 0.5, positive: 2.0 }),
        ScoreLoss::Mse(Mse { scale: 0.8, offset: -1.2 }),
        ScoreLoss::InfoNce(InfoNce { temperature: 2.0, positive: 1.0 }),
    ]
}

#[track_caller]
fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} {b}");
}

#[test]
fn closed_forms() {
    // A score of 0 is an even guess.
    let bce = ScoreLoss::Bce(Bce::default()).of(&list(&[(0.0, 1.0), (0.0, 0.0)])).unwrap();
    close(bce.loss, 2.0 * 2f64.ln());
    assert_eq!(bce.slopes, [-0.5, 0.5]);
    // -ln sigmoid(ln 3) = ln(4/3), and the slope is sigmoid(-ln 3) = 1/4.
    let pair = ScoreLoss::Pairwise(Pairwise::default()).of(&list(&[(3f64.ln(), 2.0), (0.0, 1.0)])).unwrap();
    close(pair.loss, (4.0f64 / 3.0).ln());
    close(pair.slopes[0], -0.25);
    close(pair.slopes[1], 0.25);
    // exp(s) = 2 against 1 and 1: a share of one half.
    let nce = ScoreLoss::InfoNce(InfoNce::default());
    let of = nce.of(&list(&[(2f64.ln(), 1.0), (0.0, 0.0), (0.0, 0.0)])).unwrap();
    close(of.loss, 2f64.ln());
    close(of.slopes[0], -0.5);
    close(of.slopes[1], 0.25);
    // Another relevant candidate is no negative: each stands against the same others.
    let two = nce.of(&list(&[(2f64.ln(), 1.0), (2f64.ln(), 1.0), (0.0, 0.0), (0.0, 0.0)])).unwrap();
    close(two.loss, 2.0 * 2f64.ln());
    let mse = ScoreLoss::Mse(Mse { scale: 2.0, offset: -1.0 }).of(&list(&[(0.0, 1.0), (4.0, 2.0)])).unwrap();
    assert_eq!((mse.loss, mse.slopes), (1.0 + 1.0, vec![-2.0, 2.0]));
}

#[test]
fn units_are_what_is_summed_over() {
    let labels = [0.0, 1.0, 1.0, 3.0];
    let units = |loss: ScoreLoss| loss.units(&labels);
    assert_eq!(units(ScoreLoss::default()), 4);
    assert_eq!(units(ScoreLoss::Mse(Mse::default())), 4);
    assert_eq!(units(ScoreLoss::Pairwise(Pairwise::default())), 2 + 3, "equal labels make no pair");
    assert_eq!(units(ScoreLoss::InfoNce(InfoNce::default())), 3);
    assert_eq!(ScoreLoss::InfoNce(InfoNce::default()).units(&[1.0, 1.0]), 0, "no negative");
    assert_eq!(ScoreLoss::InfoNce(InfoNce::default()).of(&list(&[(0.3, 1.0)])).unwrap().loss, 0.0);
}

#[test]
fn scores_of_any_size_give_finite_numbers() {
    for loss in all() {
        let of = loss.of(&list(&[(1e4, 0.0), (-1e4, 3.0), (700.0, 2.0), (-745.0, 1.0)])).unwrap();
        assert!(of.loss.is_finite() && of.slopes.iter().all(|d| d.is_finite()), "{loss:?}: {of:?}");
    }
}

#[test]
fn slopes_are_central_differences() {
    let scores = [(0.3, 0.0), (-1.1, 3.0), (0.9, 2.0), (0.2, 1.0), (-0.4, 2.0)];
    for loss in all() {
        let slopes = loss.of(&list(&scores)).unwrap().slopes;
        for (c, slope) in slopes.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = scores;
                moved[c].0 += step;
                loss.of(&list(&moved)).unwrap().loss
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((difference - slope).abs() < 1e-8, "{loss:?} {c}: {difference} {slope}");
        }
    }
}

/// Trajectories and rows of lists of `(logp of yes, logp of no, label)`.
struct Lists {
    trajectories: Vec<Vec<Trajectory>>,
    rows: Vec<Vec<Rows>>,
    credit: Credit,
}

fn lists(of: &[&[(f64, f64, f64)]]) -> Lists {
    let trajectory = |label: f64| {
        let mut one = Trajectory { mask: vec![1.0], segment: vec![0], ..Trajectory::default() };
        one.facts.insert(LABEL, Fact::Number(label));
        one
    };
    let row = |logp: f64| Rows { logp: vec![logp], entropy: vec![0.0], ..Rows::default() };
    Lists {
        trajectories: of
            .iter()
            .map(|l| l.iter().flat_map(|&(.., y)| [trajectory(y), trajectory(y)]).collect())
            .collect(),
        rows: of.iter().map(|l| l.iter().flat_map(|&(yes, no, _)| [row(yes), row(no)]).collect()).collect(),
        credit: Credit::uniform(1.0, 1),
    }
}

impl Lists {
    fn seen<'s>(&'s self) -> Vec<Vec<Seen<'s>>> {
        let mut seen = Vec::new();
        for (trajectories, rows) in self.trajectories.iter().zip(&self.rows) {
            let see = |(trajectory, rows): (&'s Trajectory, &'s Rows)| Seen {
                trajectory,
                credit: &self.credit,
                rows,
                old_logp: &rows.logp,
            };
            seen.push(trajectories.iter().zip(rows).map(see).collect());
        }
        seen
    }

    fn evaluate(&self, loss: ScoreLoss) -> Vec<Vec<Evaluation>> {
        let seen = self.seen();
        let units = loss.survey(&seen).unwrap();
        (0..seen.len()).map(|g| loss.evaluate(g, &seen[g], &units).unwrap()).collect()
    }
}

const BATCH: [&[(f64, f64, f64)]; 3] = [
    &[(-0.5, -1.0, 1.0), (-2.0, -0.3, 0.0), (-0.9, -0.8, 2.0)],
    &[(-1.5, -0.1, 3.0), (-0.2, -2.2, 0.0)],
    &[(-0.7, -0.7, 2.0)],
];

/// The whole way, from the rows of a batch to the derivative by each: one denominator, and opposite slopes for the two answers.
#[test]
fn rows_go_to_their_derivatives() {
    for loss in all() {
        let total = |batch: &Lists| -> f64 { batch.evaluate(loss).iter().flatten().map(|part| part.loss).sum() };
        let parts = lists(&BATCH).evaluate(loss);
        for (g, of_list) in parts.iter().enumerate() {
            for (t, part) in of_list.iter().enumerate() {
                let at = |step: f64| {
                    let mut moved = lists(&BATCH);
                    moved.rows[g][t].logp[0] += step;
                    total(&moved)
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                let slope = part.gradients.logp[0];
                assert!((difference - slope).abs() < 1e-8, "{loss:?} {g} {t}: {difference} {slope}");
                assert_eq!(slope, -of_list[t ^ 1].gradients.logp[0], "a score is a difference");
            }
        }
    }
}

/// A list weighs by its units, not by itself: twice the same list is the loss of once.
#[test]
fn there_is_one_denominator() {
    for loss in all() {
        let total = |of: &[&[(f64, f64, f64)]]| -> f64 {
            lists(of).evaluate(loss).iter().flatten().map(|part| part.loss).sum()
        };
        close(total(&[BATCH[0], BATCH[0]]), total(&[BATCH[0]]));
        let units = |l: &[(f64, f64, f64)]| loss.units(&l.iter().map(|&(.., y)| y).collect::<Vec<_>>()) as f64;
        let (a, b) = (units(BATCH[0]), units(BATCH[1]));
        close(total(&BATCH[..2]), (a * total(&BATCH[..1]) + b * total(&BATCH[1..2])) / (a + b));
    }
}

#[test]
fn what_is_no_list_is_refused() {
    let loss = ScoreLoss::default();
    let batch = lists(&[&[(-0.5, -1.0, 1.0)]]);
    let mut seen = batch.seen();
    seen[0].pop();
    assert!(loss.survey(&seen).unwrap_err().to_string().contains("two a candidate"));
    let mut unlabelled = lists(&[&[(-0.5, -1.0, 1.0)]]);
    unlabelled.trajectories[0][0].facts = Default::default();
    assert!(loss.survey(&unlabelled.seen()).unwrap_err().to_string().contains("facts.label"));
    let high = lists(&[&[(-0.5, -1.0, 1.0), (-0.5, -1.0, 2.0)]]);
    let error = loss.evaluate(0, &high.seen()[0], &Units(2.0)).unwrap_err().to_string();
    assert!(error.contains("trajectory 2") && error.contains("bce.most"), "{error}");
    let mut none = lists(&[&[(f64::NAN, -1.0, 1.0)]]);
    assert!(loss.evaluate(0, &none.seen()[0], &Units(1.0)).unwrap_err().is_not_finite());
    none.trajectories[0][0].mask = vec![1.0; 2];
    assert!(loss.evaluate(0, &none.seen()[0], &Units(1.0)).unwrap_err().to_string().contains("one action"));
    let unchecked = [
        ScoreLoss::Bce(Bce { most: 0.0 }),
        ScoreLoss::Pairwise(Pairwise { temperature: -1.0 }),
        ScoreLoss::InfoNce(InfoNce { temperature: f64::NAN, positive: 1.0 }),
        ScoreLoss::Mse(Mse { scale: 0.0, offset: 0.0 }),
    ];
    unchecked.iter().for_each(|loss| assert!(loss.check().is_err(), "{loss:?}"));
    all().iter().for_each(|loss| assert!(loss.check().is_ok()));
}
