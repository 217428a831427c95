//! What a recipe and a task ask of a policy at once.

use cohort_env::Split;
use cohort_model::Prompts;

use crate::{
    recipe::{
        Recipe,
        low::{ReferenceSection, ScoreSection, StageName},
    },
    stage::{CANDIDATES_PER_BLOCK, ROWS_PER_BLOCK},
    world::World,
};

/// Rows that a policy decodes together: of more requests, the others wait.
const DECODED_TOGETHER: u64 = 64;

/// Tokens that are prefilled, or scored without a tape, together.
const SCORED_TOGETHER: u64 = 4096;

/// One micro-batch of the largest kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub tokens: u64,
    /// Trained actions.
    pub rows: u64,
    /// Blocks of one optimizer batch.
    pub count: u64,
}

/// The most that a run asks at once. Samples are taken as long as they can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// One for each stage.
    pub blocks: Vec<Block>,
    /// Sequences that one worker decodes together, and the tokens that each has in the end.
    pub decoded: u64,
    pub decoded_length: u64,
    pub scored: u64,
    /// Policies beside the one that is trained: a frozen reference, an average.
    pub copies: u64,
    /// Distributions of actions that stay for a step, for exact divergences, and soft tokens: a hidden row each.
    pub distributions: u64,
}

impl Block {
    /// Groups of `size` completions of `new` tokens, after prompts of `prompt`.
    pub(crate) fn of(groups: usize, size: usize, prompt: u64, new: u64, prompts: Prompts) -> Self {
        let sequences = (groups * size) as u64;
        let runs = match prompts {
            Prompts::Shared => groups as u64,
            Prompts::Repeated => sequences,
        };
        Self { tokens: runs * prompt + sequences * new, rows: sequences * new, count: 1 }
    }
}

impl Load {
    /// Of one kind of block, whose `sequences` of at most `length` tokens are sampled first.
    pub(crate) fn of_block(block: Block, sequences: u64, length: u64) -> Self {
        Self {
            blocks: vec![block],
            decoded: sequences.min(DECODED_TOGETHER),
            decoded_length: length,
            scored: (sequences * length).clamp(length, SCORED_TOGETHER.max(length)),
            copies: 0,
            distributions: 0,
        }
    }

    pub(crate) fn of(recipe: &Recipe, world: &World) -> Self {
        let items = || [Split::Train, Split::Dev, Split::Test].into_iter().flat_map(|split| world.task.items(split));
        let prompt = items().map(|item| item.context.token_count() as u64).max().unwrap_or(0);
        let new = recipe.rollout.longest(|_| 0) as u64;
        let train = &recipe.train;
        let (groups, size) = (train.groups_per_block.min(train.prompts_per_step), recipe.rollout.group_size);
        let sequences = (groups * size) as u64;
        let count = train.prompts_per_step.div_ceil(train.groups_per_block) as u64;
        let rl = Block { count, ..Block::of(groups, size, prompt, new, recipe.prompts) };
        let objective = &recipe.method.objective;
        let is_frozen = recipe.has_reference() && train.reference == ReferenceSection::Frozen;
        let mut blocks = vec![rl];
        if let Some(scored) = recipe.score.as_ref().filter(|_| recipe.has(StageName::Score)) {
            blocks.push(of_scores(&scored.section, prompt, world, recipe.prompts));
        }
        if let Some(supervised) = &recipe.supervised {
            let batch = supervised.section.batch_size;
            let solved = world.task.items(Split::Train).iter().filter_map(|item| {
                let solution = item.solution.as_ref()?.len() as u64;
                Some((item.context.token_count() as u64 + solution, solution))
            });
            let (length, solution) = solved.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
            let sequences = batch.min(ROWS_PER_BLOCK) as u64;
            let count = batch.div_ceil(ROWS_PER_BLOCK) as u64;
            blocks.push(Block { tokens: sequences * length, rows: sequences * solution, count });
        }
        Self {
            blocks,
            copies: u64::from(is_frozen) + u64::from(train.ema.is_some()),
            distributions: rl.rows
                * rl.count
                * (u64::from(objective.reads_kl_ref())
                    + u64::from(objective.reads_kl_old())
                    + u64::from(!recipe.rollout.thinking.is_discrete())),
            ..Self::of_block(rl, sequences, prompt + new)
        }
    }
}

/// The largest block of a score stage: each candidate's prompt with two answers of one token.
fn of_scores(section: &ScoreSection, prompt: u64, world: &World, prompts: Prompts) -> Block {
    let lists = world.scores.as_ref().map_or(Vec::new(), |scores| scores.lists(world.task.items(Split::Train)));
    let longest = lists.iter().map(Vec::len).max().unwrap_or(1).max(1);
    let list = section.candidates.map_or(longest, |most| most.min(longest));
    let candidates = list.max(CANDIDATES_PER_BLOCK.min(list * section.batch_size));
    let count = (list * section.batch_size).div_ceil(candidates) as u64;
    Block { count, ..Block::of(candidates, 2, prompt, 1, prompts) }
}
