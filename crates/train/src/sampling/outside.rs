//! Samples from a server outside this process, with weights that this process pushes.
//!
//! Such samples cannot be drawn again: a step that was begun before a crash takes those that the logs recorded.

use std::{collections::HashMap, fs, path::Path, sync::Mutex};

use cohort_core::{Action, Dice, Policy, PolicyError, Request, Rows, Sample, Sampler, StopReason, Stream};
use cohort_env::text_model::TextModels;
use cohort_rollout::{ServerConfig, ServerError, ServerSampler, server::Push};
use serde_json::json;

use crate::{
    checkpoint::{self, Parts, Provenance, SHARD_BYTES},
    ledger::Ledger,
    recipe::{Recipe, SamplerSource},
};

/// The server of a run, and what was pushed to it.
pub struct Outside {
    server: ServerSampler,
    /// Updates behind the last push of this process; a process that begins pushes first.
    pushed: Mutex<Option<u64>>,
}

/// The file that tells a directory of an adapter from one of a whole model.
const ADAPTER: &str = "adapter_config.json";

impl Outside {
    /// The server that a recipe names, if it does. The key is read from the environment here, once.
    ///
    /// # Errors
    /// The recipe names a variable that is not set.
    pub fn of_recipe(recipe: &Recipe) -> Result<Option<Self>, PolicyError> {
        let SamplerSource::Server(config) = &recipe.rollout.sampler else { return Ok(None) };
        let key = config.api_key_env.as_ref().and_then(|name| std::env::var(name).ok()).filter(|key| !key.is_empty());
        let server = ServerSampler::new(config, key).map_err(outside)?;
        Ok(Some(Self { server, pushed: Mutex::new(None) }))
    }

    /// The sampler of one step: recorded samples where there are any, else the server with weights that are fresh enough.
    pub fn of_step<'a>(
        &'a self,
        policy: &'a dyn Policy,
        updates: u64,
        recorded: HashMap<Dice, Recorded>,
    ) -> OutsideStep<'a> {
        OutsideStep { outside: self, policy, updates, recorded }
    }

    /// Pushes the policy where the server's weights are `every` updates old, or were not pushed by this process.
    fn refresh(&self, policy: &dyn Policy, updates: u64) -> Result<(), PolicyError> {
        let mut pushed = self.pushed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let config = self.server.config();
        let Some(shared) = config.push.shared() else { return Ok(()) };
        if pushed.is_some_and(|at| updates < at + config.every) {
            return Ok(());
        }
        let name = format!("policy-{updates:06}");
        let path = shared.directory.join(&name);
        fs::create_dir_all(&shared.directory).map_err(outside)?;
        let parts = Parts {
            policy,
            optimizer: None,
            ema: None,
            models: &TextModels::new(),
            state: &json!({ "updates": updates }),
            provenance: &Provenance { stage: "pushed to a server".to_owned(), step: updates, ..Provenance::default() },
            shard_bytes: SHARD_BYTES,
        };
        checkpoint::write(&path, updates, &parts).map_err(outside)?;
        self.fits(config, &path)?;
        self.server.load(&shared.seen_by_server(&name), updates).map_err(outside)?;
        // The server has read the one before; it is not needed again.
        if let Some(before) = pushed.replace(updates).filter(|&before| before != updates) {
            let _ = fs::remove_dir_all(shared.directory.join(format!("policy-{before:06}")));
        }
        Ok(())
    }

    /// Whether what was written is what the recipe pushes.
    fn fits(&self, config: &ServerConfig, path: &Path) -> Result<(), PolicyError> {
        let is_adapter = path.join(ADAPTER).is_file();
        let (control, hint) = match config.push {
            Push::Weights(_) if is_adapter => ("load an adapter as its weights", "push = { adapter = .. }"),
            Push::Adapter(_) if !is_adapter => ("load a whole policy as an adapter", "push = { weights = .. }"),
            _ => return Ok(()),
        };
        Err(outside(ServerError::Unsupported { protocol: "a server", control, hint }))
    }
}

/// A server with the samples that a begun step already had.
pub struct OutsideStep<'a> {
    outside: &'a Outside,
    policy: &'a dyn Policy,
    updates: u64,
    recorded: HashMap<Dice, Recorded>,
}

/// A sample as the logs keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub tokens: Vec<u32>,
    pub logp: Vec<f32>,
    pub stop: StopReason,
    pub policy_version: u64,
}

impl Recorded {
    /// The samples that a ledger holds of a step, by the dice of the requests that they answered. Strategies key these by
    /// step, slot, member and the actions drawn before.
    pub fn of_step(ledger: &Ledger, stream: Stream, step: u64) -> HashMap<Dice, Recorded> {
        let mut found = HashMap::new();
        for (slot, member, samples) in ledger.samples(step) {
            let dice = stream.dice(step as u32, slot as u32, member as u32);
            let mut drawn = 0;
            for sample in samples {
                found.insert(dice.advanced(drawn), sample.clone());
                drawn += sample.tokens.len();
            }
        }
        found
    }

    fn into_sample(self, request: &Request) -> Sample {
        Sample {
            sampled_under: request.context.clone(),
            scored_under: None,
            actions: self.tokens.into_iter().map(Action::sampled).collect(),
            behaviour: Rows { logp: self.logp.into_iter().map(f64::from).collect(), ..Rows::default() },
            truncated_logp: None,
            alternatives: None,
            mixtures: None,
            policy_version: self.policy_version,
            stop: self.stop,
        }
    }
}

impl Sampler for OutsideStep<'_> {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        let known = |request: &Request| self.recorded.get(&request.dice).cloned().map(|r| r.into_sample(request));
        let mut samples: Vec<Option<Sample>> = requests.iter().map(known).collect();
        let missing: Vec<usize> = (0..requests.len()).filter(|&i| samples[i].is_none()).collect();
        if !missing.is_empty() {
            self.outside.refresh(self.policy, self.updates)?;
            let asked: Vec<Request> = missing.iter().map(|&i| requests[i].clone()).collect();
            for (i, sample) in missing.into_iter().zip(self.outside.server.sample(&asked)?) {
                samples[i] = Some(sample);
            }
        }
        Ok(samples.into_iter().flatten().collect())
    }

    fn position_limit(&self) -> Option<usize> {
        self.policy.position_limit()
    }
}

fn outside(error: impl std::error::Error + Send + Sync + 'static) -> PolicyError {
    PolicyError::Outside { source: Box::new(error) }
}
