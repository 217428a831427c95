//! A categorical choice among the outputs of a frozen generator.

use cohort_core::{
    Action, Author, Choice, Decoding, Gradient, ParameterInfo, Policy, PolicyError, Request, RowGradients, RowSpec,
    Rows, Sample, Sampler, StopReason, Stream, Tape, policy::Asset,
};

pub const ARMS: usize = 8;

/// What the frozen generator makes of an arm: a point in the plane.
pub fn generate(arm: usize) -> [f64; 2] {
    Stream::new(11, "generator").dice(arm as u32, 0, 0).normal_pair(0)
}

pub struct Bandit {
    logits: Vec<f32>,
    infos: Vec<ParameterInfo>,
}

impl Bandit {
    pub fn new() -> Self {
        let infos = vec![ParameterInfo { name: "logits".into(), shape: vec![ARMS] }];
        Self { logits: vec![0.0; ARMS], infos }
    }

    pub fn probabilities(&self) -> Vec<f64> {
        let sum: f64 = self.logits.iter().map(|&z| f64::from(z).exp()).sum();
        self.logits.iter().map(|&z| f64::from(z).exp() / sum).collect()
    }

    fn row(&self, arm: usize) -> Rows {
        let p = self.probabilities();
        let entropy = -p.iter().map(|p| p * p.ln()).sum::<f64>();
        Rows { logp: vec![p[arm].ln()], entropy: vec![entropy], ..Rows::default() }
    }
}

fn arm(sample: &Sample) -> usize {
    match sample.actions[0].choice {
        Choice::Option(arm) => arm as usize,
        other => panic!("not an arm: {other:?}"),
    }
}

struct BanditTape {
    probabilities: Vec<f64>,
    arms: Vec<usize>,
}

impl Tape for BanditTape {
    fn backward(self: Box<Self>, gradients: &[RowGradients]) -> Gradient {
        let mut sum = vec![0.0f64; ARMS];
        for (&arm, gradient) in self.arms.iter().zip(gradients) {
            for (j, p) in self.probabilities.iter().enumerate() {
                sum[j] += gradient.logp[0] * (f64::from(u8::from(j == arm)) - p);
            }
        }
        Gradient(vec![sum.into_iter().map(|x| x as f32).collect()])
    }
}

impl Sampler for Bandit {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        let p = self.probabilities();
        let draw = |request: &Request| {
            let arm = match request.controls.decoding {
                Decoding::Greedy => (0..ARMS).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap(),
                Decoding::Temperature(_) => {
                    let u = request.dice.uniform(0);
                    let mut sum = 0.0;
                    p.iter()
                        .position(|p| {
                            sum += p;
                            u < sum
                        })
                        .unwrap_or(ARMS - 1)
                }
            };
            Sample {
                sampled_under: request.context.clone(),
                scored_under: None,
                actions: vec![Action { choice: Choice::Option(arm as u32), author: Author::Policy, segment: 0 }],
                behaviour: self.row(arm),
                truncated_logp: None,
                alternatives: None,
                mixtures: None,
                policy_version: request.controls.policy_version,
                stop: StopReason::Complete,
            }
        };
        Ok(requests.iter().map(draw).collect())
    }

    fn position_limit(&self) -> Option<usize> {
        None
    }
}

impl Policy for Bandit {
    fn rows(&self, samples: &[&Sample], _: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        Ok(samples.iter().map(|s| self.row(arm(s))).collect())
    }

    fn forward<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        let tape = BanditTape { probabilities: self.probabilities(), arms: samples.iter().map(|s| arm(s)).collect() };
        Ok((self.rows(samples, spec)?, Box::new(tape)))
    }

    fn parameters(&self) -> &[ParameterInfo] {
        &self.infos
    }

    fn read(&self, _: usize, look: &mut dyn FnMut(&[f32])) {
        look(&self.logits);
    }

    fn write(&mut self, _: usize, change: &mut dyn FnMut(&mut [f32])) {
        change(&mut self.logits);
    }

    fn assets(&self) -> &[Asset] {
        &[]
    }

    fn duplicate(&self) -> Box<dyn Policy> {
        Box::new(Self { logits: self.logits.clone(), infos: self.infos.clone() })
    }
}
