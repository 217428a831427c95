//! Episodes drawn independently, turn by turn.

use cohort_core::{Context, Episode, Group, PolicyError, Request, Sample, Turn};

use crate::{Ask, Desk, Prompt, Strategy, in_segment};

/// `group_size` independent episodes a prompt; each goes on while its environment has something to say,
/// for at most `max_turns` samples. A sample's segment is its turn.
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

impl Independent {
    /// Episodes of the members from `first` on.
    pub(crate) fn episodes(
        &self,
        prompts: &[Prompt],
        first: &[u32],
        ask: &Ask,
        desk: Desk<'_>,
    ) -> Result<Vec<Vec<Episode>>, PolicyError> {
        let size = self.group_size as u32;
        let mut episodes: Vec<Open> = (0..prompts.len())
            .flat_map(|prompt| (first[prompt]..size).map(move |member| (prompt, member)))
            .map(|(prompt, member)| Open {
                prompt,
                member,
                context: desk.turns.open(&prompts[prompt].context),
                samples: Vec::new(),
            })
            .collect();
        let mut active: Vec<usize> = (0..episodes.len()).collect();
        for turn in 0..self.max_turns {
            let controls = desk.turns.controls(turn, &ask.controls);
            let request = |e: &usize| {
                let open = &episodes[*e];
                // A later turn's draws follow on the earlier ones', position by position.
                let drawn = open.samples.iter().map(|s| s.actions.len()).sum();
                ask.request(&prompts[open.prompt], open.member, drawn, open.context.clone(), controls.clone())
            };
            let requests: Vec<Request> = active.iter().map(request).collect();
            let samples = desk.sampler.sample(&requests)?;
            let mut next = Vec::new();
            for (e, mut sample) in active.into_iter().zip(samples) {
                let episode = &mut episodes[e];
                let prompt = &prompts[episode.prompt];
                if turn == 0 {
                    sample.scored_under.clone_from(&prompt.scored);
                }
                episode.samples.push(in_segment(sample, turn));
                if turn + 1 == self.max_turns {
                    continue;
                }
                if let Turn::Continue(context) = desk.turns.turn(prompt.key, &episode.samples) {
                    episode.context = context;
                    next.push(e);
                }
            }
            active = next;
            if active.is_empty() {
                break;
            }
        }
        let mut groups: Vec<Vec<Episode>> = prompts.iter().map(|_| Vec::new()).collect();
        for open in episodes {
            groups[open.prompt].push(Episode::of_samples(open.samples));
        }
        Ok(groups)
    }
}

impl Strategy for Independent {
    fn roll(&self, prompts: &[Prompt], ask: &Ask, desk: Desk<'_>) -> Result<Vec<Group>, PolicyError> {
        let episodes = self.episodes(prompts, &vec![0; prompts.len()], ask, desk)?;
        Ok(prompts.iter().zip(episodes).map(|(p, episodes)| Group::of_episodes(p.key, episodes)).collect())
    }

    fn group_size(&self) -> usize {
        self.group_size
    }
}
