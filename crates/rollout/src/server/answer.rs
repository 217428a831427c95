//! From what a server answered to a sample that can be trained on, or the reason why not.

use cohort_core::{Action, Request, Rows, Sample, StopReason};

use super::error::ServerError;

/// A completion as a server gave it, in ids.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub ids: Vec<u32>,
    /// One an id, in nats.
    pub logp: Vec<f64>,
    /// The server's word for why it ended.
    pub finish: String,
}

/// What a logarithm of a probability may be above 0 by rounding.
const ROUNDING: f64 = 1e-3;

impl Answer {
    /// The sample. Its row has the server's log-probabilities and no entropy; why it ended is read from its last id and
    /// its length, and the server's word is not needed for it. Log-probabilities are kept as f32, as logs write them.
    ///
    /// # Errors
    /// What no server that did as it was told would give.
    pub fn into_sample(self, url: &str, request: &Request, version: u64) -> Result<Sample, ServerError> {
        let url = || url.to_owned();
        let controls = &request.controls;
        let Answer { ids, logp, finish } = self;
        if ids.len() != logp.len() {
            return Err(ServerError::Counts { url: url(), ids: ids.len(), logprobs: logp.len() });
        }
        if ids.len() > controls.max_actions {
            return Err(ServerError::TooMany { url: url(), got: ids.len(), most: controls.max_actions });
        }
        if let Some(position) = logp.iter().position(|x| !x.is_finite() || *x > ROUNDING) {
            return Err(ServerError::NotALogprob { url: url(), position, value: logp[position] });
        }
        if let Some(position) = ids.iter().position(|id| controls.forbidden.contains(id)) {
            return Err(ServerError::Forbidden { url: url(), position, id: ids[position] });
        }
        let stop = match ids.iter().position(|id| controls.stop.contains(id)) {
            Some(position) if position + 1 < ids.len() => {
                return Err(ServerError::AfterStop { url: url(), position, id: ids[position] });
            }
            Some(position) => StopReason::End(ids[position]),
            None if ids.len() == controls.max_actions => StopReason::Length,
            None => {
                let (got, most) = (ids.len(), controls.max_actions);
                return Err(ServerError::TooFew { url: url(), got, most, reason: finish });
            }
        };
        Ok(Sample {
            sampled_under: request.context.clone(),
            scored_under: None,
            actions: ids.into_iter().map(Action::sampled).collect(),
            behaviour: Rows {
                logp: logp.into_iter().map(|x| f64::from(x.min(0.0) as f32)).collect(),
                ..Rows::default()
            },
            truncated_logp: None,
            alternatives: None,
            mixtures: None,
            policy_version: version,
            stop,
        })
    }
}
