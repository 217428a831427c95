//! A tree of turns: several plans and several chains from each, or one first round and several futures of it.

use cohort_core::{Context, Cost, Episode, Fact, Facts, Group, PolicyError, Request, Sample, Turn};

use crate::{Ask, Desk, Prompt, Strategy, in_segment};

/// At turn `t` every open node has `widths[t]` samples; an episode is a way from the root to a leaf.
///
/// A sample that several episodes share stands in each of them, with the same actions and the same segment (its turn), so that
/// what each episode's advantage asks of it adds up; it is drawn, and its cost counted, once. Every episode has the facts
/// `node_0`, `node_1`, ..: the number of its node at each turn, which tell who shares what (`node_0`: the plan).
///
/// A branch whose environment ends early is a leaf there: the group is short then.
#[derive(Clone, Debug)]
pub struct Branching {
    pub widths: Vec<usize>,
}

/// A node of the last turn that was drawn.
struct Node {
    prompt: usize,
    samples: Vec<Sample>,
    /// Its number, and those of the nodes before it, turn by turn.
    path: Vec<u32>,
    /// The samples of `samples` that are counted elsewhere.
    counted: usize,
    goes_on: Option<Context>,
}

impl Branching {
    /// A branch that has ended.
    fn leaf(node: Node) -> (usize, Episode) {
        let mut facts = Facts::default();
        for (turn, number) in node.path.iter().enumerate() {
            facts.insert(format!("node_{turn}"), Fact::Number(f64::from(*number)));
        }
        let mut cost = Cost::default();
        node.samples[node.counted..].iter().for_each(|sample| cost += Cost::of_sample(sample));
        (node.prompt, Episode { facts, cost, ..Episode::of_samples(node.samples) })
    }
}

impl Strategy for Branching {
    fn roll(&self, prompts: &[Prompt], ask: &Ask, desk: Desk<'_>) -> Result<Vec<Group>, PolicyError> {
        let root = |(prompt, p): (usize, &Prompt)| Node {
            prompt,
            samples: Vec::new(),
            path: Vec::new(),
            counted: 0,
            goes_on: Some(desk.turns.open(&p.context)),
        };
        let mut nodes: Vec<Node> = prompts.iter().enumerate().map(root).collect();
        // Members of earlier turns: every node of a group has dice of its own.
        let (mut members, mut width_so_far) = (0u32, 1u32);
        for (turn, &width) in self.widths.iter().enumerate() {
            let controls = desk.turns.controls(turn, &ask.controls);
            let mut requests: Vec<Request> = Vec::new();
            for node in &nodes {
                let Some(context) = &node.goes_on else { continue };
                let parent = node.path.last().copied().unwrap_or(0);
                requests.extend((0..width as u32).map(|child| {
                    let member = members + parent * width as u32 + child;
                    ask.request(&prompts[node.prompt], member, 0, context.clone(), controls.clone())
                }));
            }
            let mut samples = desk.sampler.sample(&requests)?.into_iter();
            let mut next = Vec::new();
            for node in nodes {
                if node.goes_on.is_none() {
                    next.push(node);
                    continue;
                }
                let parent = node.path.last().copied().unwrap_or(0);
                for (child, mut sample) in samples.by_ref().take(width).enumerate() {
                    let prompt = &prompts[node.prompt];
                    if turn == 0 {
                        sample.scored_under.clone_from(&prompt.scored);
                    }
                    let mut all = node.samples.clone();
                    all.push(in_segment(sample, turn));
                    let mut path = node.path.clone();
                    path.push(parent * width as u32 + child as u32);
                    let goes_on = match turn + 1 < self.widths.len() {
                        true => match desk.turns.turn(prompt.key, &all) {
                            Turn::Continue(context) => Some(context),
                            Turn::End => None,
                        },
                        false => None,
                    };
                    let counted = if child == 0 { node.counted } else { node.samples.len() };
                    next.push(Node { prompt: node.prompt, samples: all, path, counted, goes_on });
                }
            }
            nodes = next;
            width_so_far *= width as u32;
            members += width_so_far;
            if nodes.iter().all(|node| node.goes_on.is_none()) {
                break;
            }
        }
        let mut groups: Vec<Group> = prompts.iter().map(|p| Group::of_episodes(p.key, Vec::new())).collect();
        for (prompt, episode) in nodes.into_iter().map(Self::leaf) {
            groups[prompt].episodes.push(episode);
        }
        Ok(groups)
    }

    fn group_size(&self) -> usize {
        self.widths.iter().product()
    }
}
