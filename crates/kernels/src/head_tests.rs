//! The head against its formula, differences, the sampler and itself.

use super::*;
use crate::bf16::PackedBf16;
use crate::logits::{logits_row, logits_statistics};
use crate::stored::Matrix;
use crate::stored::tests::narrow;
use crate::testing::{assert_close, assert_levels_agree, bits, differences, dot as weighted, numbers, wide};

/// Rows with lists of ids, and their columns: relative, log_sum, entropy, log_sum_exp.
pub(crate) struct Case {
    pub(crate) shape: HeadShape,
    pub(crate) inverse_temperature: f32,
    pub(crate) hidden: Vec<f32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) ids: Vec<u32>,
    pub(crate) starts: Vec<usize>,
    pub(crate) columns: [Vec<f32>; 4],
}

impl Case {
    /// `lists(r)` ids are asked of row `r`.
    pub(crate) fn new(
        [rows, width, vocabulary]: [usize; 3],
        inverse_temperature: f32,
        lists: impl Fn(usize) -> usize,
    ) -> Self {
        let shape = HeadShape { rows, width, vocabulary };
        let hidden: Vec<f32> = numbers(1, rows * width).iter().map(|x| x * 3.0).collect();
        let mut starts = vec![0];
        starts.extend((0..rows).scan(0, |sum, row| {
            *sum += lists(row);
            Some(*sum)
        }));
        let ids: Vec<u32> = (0..starts[rows]).map(|at| (at * 7919 % vocabulary) as u32).collect();
        let weight = numbers(2, vocabulary * width);
        let mut case = Case { shape, inverse_temperature, hidden, weight, ids, starts, columns: Default::default() };
        case.columns = columns_of(case.head());
        case
    }

    pub(crate) fn head(&self) -> Head<'_> {
        Head {
            hidden: &self.hidden,
            weight: Weight::from(&self.weight),
            asked: Asked::Lists { ids: &self.ids, starts: &self.starts },
            inverse_temperature: self.inverse_temperature,
            shape: self.shape,
        }
    }

    /// Logits less their largest, their log-sum-exp and entropy, of every row.
    fn reference(&self, hidden: &[f64], weight: &[f64]) -> [Vec<f64>; 4] {
        let width = self.shape.width;
        let mut columns = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        for (hidden, list) in hidden.chunks(width).zip(self.starts.windows(2)) {
            let logit = |row: &[f64]| row.iter().zip(hidden).map(|(w, h)| w * h).sum::<f64>();
            let z: Vec<f64> =
                weight.chunks(width).map(|row| logit(row) * f64::from(self.inverse_temperature)).collect();
            let max = z.iter().fold(f64::MIN, |max, z| max.max(*z));
            let log_sum_exp = z.iter().map(|z| z.exp()).sum::<f64>().ln();
            columns[0].extend(self.ids[list[0]..list[1]].iter().map(|id| z[*id as usize] - max));
            columns[1].push(log_sum_exp - max);
            columns[2].push(log_sum_exp - z.iter().map(|z| (z - log_sum_exp).exp() * z).sum::<f64>());
            columns[3].push(log_sum_exp);
        }
        columns
    }
}

pub(crate) fn columns_of(head: Head) -> [Vec<f32>; 4] {
    let rows = head.shape.rows;
    let mut columns = [head.asked.ids().len(), rows, rows, rows].map(|len| vec![f32::NAN; len]);
    let [relative, log_sum, entropy, log_sum_exp] = &mut columns;
    head_relative(head, HeadColumns { relative, log_sum, entropy, log_sum_exp });
    columns
}

fn cases() -> impl Iterator<Item = Case> {
    [
        ([1, 3, 1], 1.0),
        ([5, 16, 40], 1.0),
        ([300, 8, 70], 0.7),
        ([9, 20, 1024], 1.4),
        ([4, 33, 2500], 1.0),
        ([0, 4, 9], 1.0),
    ]
    .into_iter()
    .flat_map(|(sizes, inverse_temperature)| {
        [Case::new(sizes, inverse_temperature, |_| 1), Case::new(sizes, inverse_temperature, |row| row * 5 % 7)]
    })
}

#[test]
fn agrees_with_the_formula() {
    for case in cases() {
        let expected = case.reference(&wide(&case.hidden), &wide(&case.weight));
        for (actual, expected) in case.columns.iter().zip(&expected) {
            assert_close(actual, expected, 3e-6);
        }
    }
}

#[test]
fn one_id_a_row_is_a_list_of_one() {
    let case = Case::new([300, 8, 1500], 0.7, |_| 1);
    let one = columns_of(Head { asked: Asked::One(&case.ids), ..case.head() });
    for (one, list) in one.iter().zip(&case.columns) {
        assert_eq!(bits(one), bits(list));
    }
}

#[test]
fn the_sampler_row_is_the_trainer_row() {
    for (rows, vocabulary) in [(1, 512), (3, 40), (300, 70), (7, 1024), (5, 2500)] {
        let case = Case::new([rows, 24, vocabulary], 1.3, |row| row % 3);
        let [relative, log_sum, entropy, log_sum_exp] = &case.columns;
        for batch in [1, 2, rows] {
            for from in (0..rows).step_by(batch) {
                let to = rows.min(from + batch);
                let shape = HeadShape { rows: to - from, ..case.shape };
                let mut logits = vec![f32::NAN; (to - from) * vocabulary];
                head_logits(&case.hidden[from * 24..to * 24], &case.weight, shape, &mut logits);
                for (row, logits) in (from..to).zip(logits.chunks(vocabulary)) {
                    let statistics = logits_statistics(logits, 1.3);
                    assert_eq!(statistics.entropy.to_bits(), entropy[row].to_bits());
                    assert_eq!(statistics.log_sum_exp.to_bits(), log_sum_exp[row].to_bits());
                    let list = case.starts[row]..case.starts[row + 1];
                    for (relative, &id) in relative[list.clone()].iter().zip(&case.ids[list]) {
                        let (logp, _) = logits_row(logits, id, 1.3);
                        assert_eq!(logp.to_bits(), (relative - log_sum[row]).to_bits());
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_does_not_see_its_neighbours() {
    let case = Case::new([520, 16, 1300], 0.9, |row| row % 4);
    for rows in [0..1, 255..257, 3..10, 100..420, 519..520, 7..7] {
        let part = columns_of(case.head().rows(&rows));
        assert_eq!(bits(&part[0]), bits(&case.columns[0][case.starts[rows.start]..case.starts[rows.end]]));
        for (part, all) in part.iter().zip(&case.columns).skip(1) {
            assert_eq!(bits(part), bits(&all[rows.clone()]));
        }
    }
}

/// d_hidden and d_weight for derivatives made from seeds; that by `log_sum` is what a density's is.
fn backward(case: &Case, head: Head, frozen: bool) -> [Vec<f32>; 2] {
    let (by_relative, by_log_sum) = derivatives(case);
    let mut all = [case.hidden.len(), case.weight.len()].map(|len| vec![f32::NAN; len]);
    let [d_hidden, d_weight] = &mut all;
    let gradients = HeadGradients {
        relative: &by_relative,
        log_sum: &by_log_sum,
        entropy: &numbers(6, case.shape.rows),
        entropies: &case.columns[2],
        log_sum_exp: &case.columns[3],
    };
    head_relative_backward(head, gradients, d_hidden, (!frozen).then_some(d_weight.as_mut_slice()));
    all
}

/// By `relative`, and by `log_sum` such that a shift of all logits changes nothing.
fn derivatives(case: &Case) -> (Vec<f32>, Vec<f32>) {
    let by_relative = numbers(5, case.ids.len());
    let by_log_sum = case.starts.windows(2).map(|list| -by_relative[list[0]..list[1]].iter().sum::<f32>()).collect();
    (by_relative, by_log_sum)
}

#[test]
fn backward_agrees_with_differences() {
    let cases = [
        Case::new([1, 3, 2], 1.0, |_| 1),
        Case::new([4, 6, 11], 0.8, |_| 1),
        Case::new([4, 6, 11], 0.8, |row| [3, 0, 1, 15][row]),
        Case::new([3, 2, 1030], 1.5, |row| row * 2),
        Case::new([260, 1, 3], 1.0, |row| row % 3),
    ];
    for case in cases {
        let [d_hidden, d_weight] = backward(&case, case.head(), false);
        let ((by_relative, by_log_sum), by_entropy) = (derivatives(&case), numbers(6, case.shape.rows));
        let loss = |hidden: &[f64], weight: &[f64]| {
            let [relative, log_sum, entropy, _] = case.reference(hidden, weight);
            weighted(&relative, &by_relative) + weighted(&log_sum, &by_log_sum) + weighted(&entropy, &by_entropy)
        };
        let (hidden, weight) = (wide(&case.hidden), wide(&case.weight));
        assert_close(&d_hidden, &differences(&case.hidden, |hidden| loss(hidden, &weight)), 1e-5);
        assert_close(&d_weight, &differences(&case.weight, |weight| loss(&hidden, weight)), 1e-5);
    }
}

#[test]
fn a_frozen_weight_changes_no_bit_of_the_rows_gradient() {
    let case = Case::new([300, 7, 1100], 0.9, |row| row % 3);
    let ([all, _], [rows, untouched]) = (backward(&case, case.head(), false), backward(&case, case.head(), true));
    assert_eq!(bits(&all), bits(&rows));
    assert!(untouched.iter().all(|x| x.is_nan()));
}

#[test]
fn a_weight_in_bf16_is_the_same_weight_widened() {
    for sizes in [[1, 40, 30], [270, 12, 2100]] {
        let mut case = Case::new(sizes, 0.9, |row| row % 3);
        let (narrow, wide) = narrow(7, case.weight.len());
        case.weight = wide;
        case.columns = columns_of(case.head());
        let head = Head { weight: Weight::from(&narrow), ..case.head() };
        assert!(columns_of(head).map(|column| bits(&column)) == case.columns.each_ref().map(|column| bits(column)));
        let (own, same) = (backward(&case, head, false), backward(&case, case.head(), false));
        assert!(own.map(|own| bits(&own)) == same.map(|same| bits(&same)));
        let mut logits = [vec![f32::NAN; sizes[0] * sizes[2]], vec![f32::NAN; sizes[0] * sizes[2]]];
        head_logits(&case.hidden, &narrow, case.shape, &mut logits[0]);
        head_logits(&case.hidden, &case.weight, case.shape, &mut logits[1]);
        assert_eq!(bits(&logits[0]), bits(&logits[1]));
    }
}

#[test]
fn levels_agree() {
    assert_levels_agree(|| Case::new([9, 16, 1100], 0.9, |row| row).columns.concat());
}

#[test]
#[should_panic(expected = "3 ids in lists that do not fit 2 rows")]
fn lists_that_do_not_fit_are_refused() {
    let asked = Asked::Lists { ids: &[0, 1, 1], starts: &[0, 2, 2] };
    let shape = HeadShape { rows: 2, width: 1, vocabulary: 2 };
    let weight = Weight::from(&[0.0, 1.0]);
    columns_of(Head { hidden: &[0.0, 1.0], weight, asked, inverse_temperature: 1.0, shape });
}

#[test]
fn a_rounded_head_is_that_of_f32_up_to_bf16_and_its_sampler_row_the_trainers() {
    for (rows, vocabulary) in [(1, 512), (300, 70), (7, 1024), (5, 2500)] {
        let case = Case::new([rows, 24, vocabulary], 1.3, |_| 1);
        let packed = PackedBf16::new(&case.weight, 24, vocabulary);
        let rounded = Head { weight: Weight::rounded(Matrix::from(&case.weight), &packed), ..case.head() };
        let columns = columns_of(rounded);
        for (ours, single) in columns.iter().zip(&case.columns) {
            assert_close(ours, &wide(single), 1.0 / 64.0);
        }
        let gradients = |columns: &[Vec<f32>; 4], head: Head| {
            let (mut d_hidden, mut d_weight) = (vec![f32::NAN; rows * 24], vec![f32::NAN; vocabulary * 24]);
            let by = HeadGradients {
                relative: &numbers(3, rows),
                log_sum: &numbers(4, rows),
                entropy: &vec![0.0; rows],
                entropies: &columns[2],
                log_sum_exp: &columns[3],
            };
            head_relative_backward(head, by, &mut d_hidden, Some(&mut d_weight));
            [d_hidden, d_weight]
        };
        for (ours, single) in gradients(&columns, rounded).iter().zip(&gradients(&case.columns, case.head())) {
            assert_close(ours, &wide(single), 1.0 / 32.0);
        }
        for from in (0..rows).step_by(64) {
            let to = rows.min(from + 64);
            let shape = HeadShape { rows: to - from, ..case.shape };
            let mut logits = vec![f32::NAN; (to - from) * vocabulary];
            head_logits(&case.hidden[from * 24..to * 24], rounded.weight, shape, &mut logits);
            for (row, logits) in (from..to).zip(logits.chunks(vocabulary)) {
                let (logp, entropy) = logits_row(logits, case.ids[row], 1.3);
                assert_eq!(logp.to_bits(), (columns[0][row] - columns[1][row]).to_bits());
                assert_eq!(entropy.to_bits(), columns[2][row].to_bits());
            }
        }
    }
}
