//! The memory plan: what a run will take at its peak, and the way to train that fits.

use cohort_core::{Activations, Footprint};
use serde::{Deserialize, Serialize};

use super::load::{Block, Load};
use crate::{
    recipe::low::{ActivationsChoice, ParallelChoice},
    update::{Division, Parallel},
    worker::Workers,
};

/// Of what the machine has available, the part that a plan may fill; the rest is for what no plan knows of.
const FILLED: f64 = 0.9;

/// Bytes of a run at its peak, by what they are for. `summary.json` holds it beside what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    pub weights: u64,
    /// Of policies beside the one that is trained: a frozen reference, an average.
    pub copies: u64,
    /// Two moments a trained parameter.
    pub moments: u64,
    /// One for each graph at work and each sum that waits in the tree: `graphs + log2(blocks)`.
    pub gradients: u64,
    /// Of the largest micro-batch, for each graph at work.
    pub activations: u64,
    /// Hidden rows and tiles of logits, and the hidden rows that exact divergences are measured from.
    pub head: u64,
    /// Caches, logits and activations of all workers that sample; not at the same time as gradients.
    pub sampling: u64,
    /// Weights and moments, with the larger of training and sampling.
    pub total: u64,
    /// What the machine had available when the run began, with what the process held already; absent where it does
    /// not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    pub parallel: Parallel,
    pub recompute: bool,
}

/// What a recipe leaves open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub parallel: ParallelChoice,
    pub activations: ActivationsChoice,
}

impl Wish {
    /// The ways to train that are allowed, the fastest first. Where a worker would have nothing to do, rows are split;
    /// else one graph at a time costs less than a second forward pass.
    fn ways(self, batches: Batches) -> Vec<(Parallel, Activations)> {
        let activations: &[Activations] = match self.activations {
            ActivationsChoice::Auto => &[Activations::Keep, Activations::Recompute],
            ActivationsChoice::Keep => &[Activations::Keep],
            ActivationsChoice::Recompute => &[Activations::Recompute],
        };
        let parallel: &[Parallel] = match (self.parallel, batches) {
            (ParallelChoice::Auto, Batches::ForAll) => &[Parallel::Workers, Parallel::Rows],
            (ParallelChoice::Auto, Batches::TooFew) => &[Parallel::Rows, Parallel::Workers],
            (ParallelChoice::Workers, _) => &[Parallel::Workers],
            (ParallelChoice::Rows, _) => &[Parallel::Rows],
        };
        activations.iter().flat_map(|&held| parallel.iter().map(move |&shared| (shared, held))).collect()
    }

    /// The fastest way that it allows, where nothing is known of the load.
    pub(crate) fn division(self, workers: Workers) -> Division {
        let (parallel, activations) = self.ways(Batches::ForAll)[0];
        Division { workers, parallel, activations }
    }
}

/// Whether each worker has a micro-batch to work on.
#[derive(Clone, Copy, Debug)]
enum Batches {
    ForAll,
    TooFew,
}

/// The first way that fits, or the smallest one. `available` counts what the process holds already.
pub(crate) fn plan(
    footprint: &Footprint,
    load: &Load,
    workers: Workers,
    wish: Wish,
    available: Option<u64>,
) -> (Division, MemoryPlan) {
    let batches = match load.blocks.first() {
        Some(block) if block.count < workers.count() as u64 => Batches::TooFew,
        _ => Batches::ForAll,
    };
    let of = |(parallel, activations)| {
        let division = Division { workers, parallel, activations };
        (division, MemoryPlan::of(footprint, load, division, available))
    };
    let ways: Vec<(Division, MemoryPlan)> = wish.ways(batches).into_iter().map(of).collect();
    let smallest = ways.iter().min_by_key(|(_, plan)| plan.total).unwrap_or(&ways[0]);
    *ways.iter().find(|(_, plan)| plan.fits()).unwrap_or(smallest)
}

impl MemoryPlan {
    fn of(footprint: &Footprint, load: &Load, division: Division, available: Option<u64>) -> Self {
        let workers = division.workers.count() as u64;
        let graphs = |block: &Block| (division.graphs().count() as u64).min(block.count);
        let most = |of: &dyn Fn(&Block) -> u64| load.blocks.iter().map(of).max().unwrap_or(0);
        let gradients = |block: &Block| {
            let waiting = u64::from(block.count.max(1).ilog2());
            footprint.gradient * (graphs(block) + waiting).min(block.count)
        };
        let of_token = match division.activations {
            Activations::Keep => footprint.kept_token + footprint.backward_token,
            Activations::Recompute => footprint.recomputed_token + footprint.layer_token + footprint.backward_token,
        };
        let activations = |block: &Block| graphs(block) * block.tokens * of_token;
        let head = |block: &Block| {
            graphs(block) * block.rows * footprint.row + (graphs(block) * division.threads()).max(1) * footprint.tile
        };
        // Of the four hidden rows of an action in the head, a distribution keeps one.
        let kept = load.distributions * footprint.row / 4;
        let training = kept + most(&|block| gradients(block) + activations(block) + head(block));
        let sampling = workers
            * (load.decoded * (load.decoded_length * footprint.cached_token + 2 * footprint.decoded_row)
                + load.scored * footprint.scored_token);
        // A copy shares what is frozen.
        let copies = load.copies * footprint.gradient;
        let moments = 2 * footprint.gradient;
        Self {
            weights: footprint.weights,
            copies,
            moments,
            gradients: most(&gradients),
            activations: most(&activations),
            head: kept + most(&head),
            sampling,
            total: footprint.weights + copies + moments + training.max(sampling),
            available,
            parallel: division.parallel,
            recompute: division.activations == Activations::Recompute,
        }
    }

    /// Whether it fits into what is available, as far as that is known.
    pub(crate) fn fits(&self) -> bool {
        self.available.is_none_or(|available| self.total as f64 <= FILLED * available as f64)
    }

    /// One line for people.
    pub(crate) fn note(&self) -> String {
        let mut parts = vec![("weights", self.weights), ("copies", self.copies), ("moments", self.moments)];
        parts.extend([("gradients", self.gradients), ("activations", self.activations), ("head", self.head)]);
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(name, bytes)| format!("{name} {}", gigabytes(bytes)))
            .collect();
        let available = self.available.map_or(String::new(), |bytes| format!(" of {} available", gigabytes(bytes)));
        format!(
            "memory plan: {}{available} ({}; or {} while sampling) with train.parallel = {:?}, train.activations = {:?}",
            gigabytes(self.total),
            parts.join(", "),
            gigabytes(self.sampling),
            self.parallel.name(),
            if self.recompute { "recompute" } else { "keep" },
        )
    }

    /// What to lower, where it does not fit.
    pub(crate) fn warning(&self) -> Option<String> {
        if self.fits() {
            return None;
        }
        let mut hints = Vec::new();
        if !self.recompute {
            hints.push("set train.activations = \"recompute\"");
        }
        if self.parallel == Parallel::Workers {
            hints.push("set train.parallel = \"rows\"");
        }
        if self.activations + self.head > self.gradients {
            hints.push("lower train.groups_per_block, rollout.group_size or rollout.max_new_tokens");
        } else {
            hints.push("raise train.groups_per_block (fewer gradients wait to be summed), or take a smaller policy");
        }
        let available = gigabytes(self.available.unwrap_or_default());
        Some(format!("the plan needs {} and {available} are available: {}", gigabytes(self.total), hints.join("; ")))
    }

    /// The plan beside what was measured.
    pub(crate) fn compared(&self, peak: u64) -> String {
        let difference = 100.0 * (peak as f64 / self.total.max(1) as f64 - 1.0);
        format!(
            "memory: {} planned, {} at the peak ({difference:+.0} %), pages of mapped files not counted",
            gigabytes(self.total),
            gigabytes(peak)
        )
    }
}

fn gigabytes(bytes: u64) -> String {
    match bytes {
        0..=999_999 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..=999_999_999 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footprint() -> Footprint {
        Footprint {
            weights: 1000,
            gradient: 1000,
            kept_token: 100,
            recomputed_token: 10,
            backward_token: 5,
            layer_token: 12,
            ..Footprint::default()
        }
    }

    fn load() -> Load {
        Load { blocks: vec![Block { tokens: 8, rows: 4, count: 4 }], ..Load::default() }
    }

    const AUTO: Wish = Wish { parallel: ParallelChoice::Auto, activations: ActivationsChoice::Auto };

    fn chosen(available: u64, wish: Wish) -> (Parallel, bool, u64) {
        let (division, plan) = plan(&footprint(), &load(), Workers::new(Some(2)), wish, Some(available));
        assert_eq!(division.parallel, plan.parallel);
        (plan.parallel, plan.recompute, plan.total)
    }

    #[test]
    fn the_fastest_way_that_fits_is_taken() {
        // Weights 1000, moments 2000; two graphs: (2 + log2 4) gradients and twice the activations.
        assert_eq!(chosen(100_000, AUTO), (Parallel::Workers, false, 3000 + 4000 + 2 * 8 * 105));
        assert_eq!(chosen(8000, AUTO), (Parallel::Rows, false, 3000 + 3000 + 8 * 105));
        assert_eq!(chosen(6920, AUTO), (Parallel::Rows, true, 3000 + 3000 + 8 * 27));
        assert_eq!(chosen(1, AUTO), (Parallel::Rows, true, 6216), "the smallest, where none fits");
    }

    #[test]
    fn a_wish_is_kept() {
        let workers = Wish { parallel: ParallelChoice::Workers, ..AUTO };
        assert_eq!(chosen(1, workers).0, Parallel::Workers);
        let keep = Wish { activations: ActivationsChoice::Keep, ..AUTO };
        assert_eq!(chosen(1, keep), (Parallel::Rows, false, 6840));
        let rows = Wish { parallel: ParallelChoice::Rows, activations: ActivationsChoice::Recompute };
        assert_eq!(chosen(100_000, rows), (Parallel::Rows, true, 6216));
    }

    #[test]
    fn what_does_not_fit_says_what_to_lower() {
        let (_, small) = plan(&footprint(), &load(), Workers::new(Some(2)), AUTO, Some(100_000));
        assert_eq!(small.warning(), None);
        let wish = Wish { parallel: ParallelChoice::Workers, activations: ActivationsChoice::Keep };
        let (_, large) = plan(&footprint(), &load(), Workers::new(Some(2)), wish, Some(1));
        let warning = large.warning().expect("it does not fit");
        assert!(warning.contains("recompute") && warning.contains("rows") && warning.contains("groups_per_block"));
        let (_, unknown) = plan(&footprint(), &load(), Workers::new(Some(2)), AUTO, None);
        assert!(unknown.fits() && unknown.parallel == Parallel::Workers);
    }

    #[test]
    fn one_block_has_one_gradient() {
        let load = Load { blocks: vec![Block { tokens: 1, rows: 1, count: 1 }], ..Load::default() };
        let (_, plan) = plan(&footprint(), &load, Workers::new(Some(4)), AUTO, None);
        assert_eq!((plan.gradients, plan.activations), (1000, 105));
        assert_eq!(plan.parallel, Parallel::Rows, "the other workers would have nothing to do");
    }
}
