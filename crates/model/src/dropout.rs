//! Dropout on the inputs of adapters, as a function of what a row has read.
//!
//! `y = x W' + scale ((m * x) A') B'` with `m_j = 0` with probability `p`, else `1 / (1 - p)`, drawn for each adapter, row and column
//! (Srivastava et al., "Dropout", JMLR 15, 2014, in the inverted form; `lora_dropout` of PEFT). The mean over the noise of
//! what an adapter adds is what it adds without.
//!
//! A row's noise is drawn for the ids up to its position, the step, the adapter and the column. So it does not
//! depend on where a sample stands, on its neighbours, on micro-batches or workers; two samples with a common prompt share
//! it there; and every pass of a step over the same samples has the same one: a ratio compares weights and not draws.

use cohort_core::Noise;

use crate::pack::Pack;

/// Noise of the rows of one pack.
#[derive(Clone, Debug)]
pub(crate) struct Dropout {
    noise: Noise,
    /// Draws below it are left out.
    threshold: u32,
    /// The factor of what is kept.
    kept: f32,
    /// A key of what each row has read.
    rows: Vec<[u32; 2]>,
}

impl Dropout {
    /// For the rows of `pack`, with `share` left out, in (0, 1).
    pub(crate) fn new(noise: Noise, share: f64, pack: &Pack) -> Self {
        let sequences = pack.sequences();
        let mut rows: Vec<[u32; 2]> = Vec::with_capacity(pack.tokens.len());
        for sequence in 0..sequences.count() {
            // What a sequence goes on from has been read, too.
            let last = sequences.before(sequence).last().map(|part| part.end - 1);
            let mut key = last.map_or([noise.step, 0], |last| rows[last]);
            for &token in &pack.tokens[sequences.own(sequence)] {
                // No column is so far out: these counters are not those of a mask.
                let [a, b, ..] = noise.stream.block([key[0], key[1], token, u32::MAX]);
                key = [a, b];
                rows.push(key);
            }
        }
        Self { noise, threshold: (share * 2f64.powi(32)) as u32, kept: (1.0 / (1.0 - share)) as f32, rows }
    }

    /// Multiplies `x` `[rows, width]` by the mask of the adapter whose first matrix is parameter `adapter`.
    pub(crate) fn apply(&self, x: &mut [f32], adapter: usize) {
        let width = x.len() / self.rows.len().max(1);
        for (x, &[a, b]) in x.chunks_exact_mut(width.max(1)).zip(&self.rows) {
            for (block, x) in x.chunks_mut(4).enumerate() {
                let draws = self.noise.stream.block([a, b, adapter as u32, block as u32]);
                for (x, draw) in x.iter_mut().zip(draws) {
                    *x *= if draw < self.threshold { 0.0 } else { self.kept };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pack::Prompts,
        product::{down, up},
    };
    use cohort_core::{Context, Sample, Stream};
    use cohort_kernels::Team;

    fn noise(step: u32) -> Noise {
        Noise { stream: Stream::new(1, "dropout"), step }
    }

    fn pack(sequences: &[&[u32]]) -> Pack {
        // The last id of each goes through nothing.
        let samples: Vec<Sample> =
            sequences.iter().map(|ids| Sample::given(Context::of_tokens(ids.to_vec()), &[0])).collect();
        let limits = crate::pack::Limits { vocabulary: 1000, positions: 1000, width: 2 };
        Pack::of(&samples.iter().collect::<Vec<_>>(), limits, Prompts::Repeated).expect("a pack")
    }

    fn drawn(noise: Noise, sequences: &[&[u32]], adapter: usize) -> Vec<f32> {
        let pack = pack(sequences);
        let mut x = vec![1.0; pack.tokens.len() * 64];
        Dropout::new(noise, 0.25, &pack).apply(&mut x, adapter);
        x
    }

    #[test]
    fn noise_is_of_what_a_row_has_read() {
        let alone = drawn(noise(3), &[&[5, 6, 7]], 9);
        let packed = drawn(noise(3), &[&[5], &[5, 6, 7], &[5, 6, 8]], 9);
        assert_eq!(packed[64..4 * 64], alone, "neighbours change nothing");
        assert_eq!(packed[4 * 64..6 * 64], alone[..2 * 64], "a common beginning has common noise");
        assert_ne!(packed[6 * 64..], alone[2 * 64..]);
        assert_ne!(drawn(noise(4), &[&[5, 6, 7]], 9), alone);
        assert_ne!(drawn(noise(3), &[&[5, 6, 7]], 10), alone);
        assert_ne!(drawn(Noise { stream: Stream::new(2, "dropout"), step: 3 }, &[&[5, 6, 7]], 9), alone);
        assert_ne!(alone[..64], alone[64..128]);
    }

    #[test]
    fn a_share_is_left_out() {
        let tokens: Vec<u32> = (0..200).collect();
        let x = drawn(noise(0), &[&tokens], 1);
        let zeros = x.iter().filter(|&&x| x == 0.0).count() as f64 / x.len() as f64;
        assert!((zeros - 0.25).abs() < 0.02, "{zeros}");
        assert!(x.iter().all(|&x| x == 0.0 || x == (1.0f64 / 0.75) as f32));
    }

    #[test]
    fn the_mean_over_the_noise_is_the_adapter_without_it() {
        let (rows, inputs, rank, outputs) = (2, 24, 3, 5);
        let dice = Stream::new(4, "numbers").dice(0, 0, 0);
        let numbers = |from: usize, count: usize| -> Vec<f32> {
            (from..from + count).map(|i| dice.normal_pair(i)[0] as f32).collect()
        };
        let (x, a, b) = (numbers(0, rows * inputs), numbers(100, rank * inputs), numbers(300, outputs * rank));
        let added = |x: &[f32]| up(Team::ALONE, &down(Team::ALONE, x, &a, rows, rank), &b, 0.5, rows, rank);
        let pack = pack(&[&[5, 6]]);
        let draws = 4000;
        let mut sums = vec![[0.0f64; 2]; rows * outputs];
        for step in 0..draws {
            let mut masked = x.clone();
            Dropout::new(noise(step), 0.4, &pack).apply(&mut masked, 7);
            for (sum, y) in sums.iter_mut().zip(added(&masked)) {
                sum[0] += f64::from(y);
                sum[1] += f64::from(y).powi(2);
            }
        }
        let n = f64::from(draws);
        for ([sum, squares], without) in sums.iter().zip(added(&x)) {
            let (mean, without) = (sum / n, f64::from(without));
            let error = ((squares / n - mean * mean) / n).sqrt();
            assert!(error > 0.0 && (mean - without).abs() < 4.0 * error, "{mean} +- {error}, {without} without noise");
        }
    }
}
