//! One step, one point: a Gaussian in the plane with a trained mean.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use cohort_core::{
    Action, Author, Choice, Gradient, ParameterInfo, PayloadKey, Policy, PolicyError, Request, RowGradients, RowSpec,
    Rows, Sample, Sampler, StopReason, Tape, policy::Asset,
};

pub const SIGMA: f32 = 0.5;

pub struct Gaussian {
    pub mean: [f32; 2],
    infos: Vec<ParameterInfo>,
    arena: Mutex<HashMap<PayloadKey, [f32; 2]>>,
}

impl Gaussian {
    pub fn new(mean: [f32; 2]) -> Self {
        let infos = vec![ParameterInfo { name: "mean".into(), shape: vec![2] }];
        Self { mean, infos, arena: Mutex::default() }
    }

    fn arena(&self) -> MutexGuard<'_, HashMap<PayloadKey, [f32; 2]>> {
        self.arena.lock().unwrap()
    }

    fn row(&self, point: [f32; 2]) -> Rows {
        let normal = |x: f32, m: f32| -0.5 * ((x - m) / SIGMA).powi(2) - SIGMA.ln() - 0.5 * std::f32::consts::TAU.ln();
        let logp = normal(point[0], self.mean[0]) + normal(point[1], self.mean[1]);
        let entropy = 2.0 * (0.5 + 0.5 * std::f32::consts::TAU.ln() + SIGMA.ln());
        Rows { logp: vec![f64::from(logp)], entropy: vec![f64::from(entropy)], ..Rows::default() }
    }

    fn point(&self, sample: &Sample) -> [f32; 2] {
        match sample.actions[0].choice {
            Choice::Payload(key) => self.arena()[&key],
            other => panic!("not a point: {other:?}"),
        }
    }
}

struct GaussianTape {
    mean: [f32; 2],
    points: Vec<[f32; 2]>,
}

impl Tape for GaussianTape {
    fn backward(self: Box<Self>, gradients: &[RowGradients]) -> Gradient {
        let mut sum = [0.0f32; 2];
        for (point, gradient) in self.points.iter().zip(gradients) {
            for d in 0..2 {
                sum[d] += gradient.logp[0] as f32 * (point[d] - self.mean[d]) / (SIGMA * SIGMA);
            }
        }
        Gradient(vec![sum.to_vec()])
    }
}

impl Sampler for Gaussian {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        let draw = |request: &Request| {
            let [a, b] = request.dice.normal_pair(0);
            let noise = match request.controls.decoding {
                cohort_core::Decoding::Greedy => [0.0; 2],
                cohort_core::Decoding::Temperature(_) => [a as f32, b as f32],
            };
            let point = [self.mean[0] + SIGMA * noise[0], self.mean[1] + SIGMA * noise[1]];
            let key = PayloadKey(request.dice.below(1, u64::MAX));
            self.arena().insert(key, point);
            Sample {
                sampled_under: request.context.clone(),
                scored_under: None,
                actions: vec![Action { choice: Choice::Payload(key), author: Author::Policy, segment: 0 }],
                behaviour: self.row(point),
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

impl Policy for Gaussian {
    fn rows(&self, samples: &[&Sample], _: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        Ok(samples.iter().map(|s| self.row(self.point(s))).collect())
    }

    fn forward<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        let points = samples.iter().map(|s| self.point(s)).collect();
        Ok((self.rows(samples, spec)?, Box::new(GaussianTape { mean: self.mean, points })))
    }

    fn parameters(&self) -> &[ParameterInfo] {
        &self.infos
    }

    fn read(&self, _: usize, look: &mut dyn FnMut(&[f32])) {
        look(&self.mean);
    }

    fn write(&mut self, _: usize, change: &mut dyn FnMut(&mut [f32])) {
        change(&mut self.mean);
    }

    fn assets(&self) -> &[Asset] {
        &[]
    }

    fn duplicate(&self) -> Box<dyn Policy> {
        Box::new(Self::new(self.mean))
    }

    fn payload(&self, key: PayloadKey) -> Option<Vec<f32>> {
        self.arena().get(&key).map(|p| p.to_vec())
    }

    fn clear_payloads(&mut self) {
        self.arena().clear();
    }
}
