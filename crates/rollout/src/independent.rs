//! Episodes drawn independently, turn by turn.

use cohort_core::{Context, Episode, Facts, Group, PolicyError, Request, Sample, Sampler, Turn, Turns};

use crate::{Ask, Prompt, Strategy};

/// `group_size` independent episodes a prompt; each goes on while its environment has something to say,
/// for at most `max_turns` samples.
#[derive(Clone, Copy, Debug)]
pub struct Independent {
    pub group_size: usize,
    pub max_turns: usize,
}

struct Open {
    prompt: usize,
    member: u32,
    context: Context,
    samples: Vec<Sample>,
}

impl Strategy for Independent {
    fn roll(
        &self,
        prompts: &[Prompt],
        ask: &Ask,
        sampler: &dyn Sampler,
        turns: &dyn Turns,
    ) -> Result<Vec<Group>, PolicyError> {
        let mut episodes: Vec<Open> = (0..prompts.len())
            .flat_map(|prompt| (0..self.group_size as u32).map(move |member| (prompt, member)))
            .map(|(prompt, member)| Open {
                prompt,
                member,
                context: prompts[prompt].context.clone(),
                samples: Vec::new(),
            })
            .collect();
        let mut active: Vec<usize> = (0..episodes.len()).collect();
        for turn in 1..=self.max_turns {
            let requests: Vec<Request> = active.iter().map(|&e| request(&episodes[e], prompts, ask)).collect();
            let samples = sampler.sample(&requests)?;
            let mut next = Vec::new();
            for (e, sample) in active.into_iter().zip(samples) {
                let episode = &mut episodes[e];
                episode.samples.push(sample);
                if turn == self.max_turns {
                    continue;
                }
                if let Turn::Continue(context) = turns.turn(prompts[episode.prompt].key, &episode.samples) {
                    episode.context = context;
                    next.push(e);
                }
            }
            active = next;
            if active.is_empty() {
                break;
            }
        }
        let mut episodes = episodes.into_iter().map(|open| Episode::of_samples(open.samples));
        Ok(prompts
            .iter()
            .map(|p| Group {
                key: p.key,
                episodes: episodes.by_ref().take(self.group_size).collect(),
                auxiliary: Vec::new(),
                facts: Facts::default(),
            })
            .collect())
    }

    fn group_size(&self) -> usize {
        self.group_size
    }
}

/// A later turn's draws follow on the earlier ones', position by position.
fn request(open: &Open, prompts: &[Prompt], ask: &Ask) -> Request {
    let drawn = open.samples.iter().map(|s| s.actions.len()).sum();
    Request {
        context: open.context.clone(),
        controls: ask.controls.clone(),
        dice: ask.stream.dice(ask.step, prompts[open.prompt].slot, open.member).advanced(drawn),
    }
}
