//! What the rows of a pack are of: tokens, whose log-probability they have, and soft tokens, whose density.

use std::{ops::Range, sync::Arc};

use cohort_core::Mixture;
use cohort_kernels::Asked;

/// The actions whose rows a head computes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    /// The id that each row is recorded as.
    pub ids: Arc<Vec<u32>>,
    /// The rows of soft tokens, rising.
    pub soft: Arc<Vec<(u32, Arc<Mixture>)>>,
}

/// The ids whose logits are read, row after row; nothing where no row is of a soft token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    ids: Vec<u32>,
    starts: Vec<usize>,
}

/// Derivatives by what the head's kernel gives: by `relative`, a number an id, and by `log_sum`, a number a row.
pub(crate) struct Slopes {
    pub relative: Vec<f32>,
    pub log_sum: Vec<f32>,
}

impl Chosen {
    /// Those of some rows.
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        let soft = self.soft.iter().filter(|(row, _)| rows.contains(&(*row as usize)));
        Self {
            ids: Arc::new(self.ids[rows.clone()].to_vec()),
            soft: Arc::new(soft.map(|(row, mixture)| (row - rows.start as u32, Arc::clone(mixture))).collect()),
        }
    }

    /// Each row with its soft token, if it is of one.
    fn rows(&self) -> impl Iterator<Item = (usize, Option<&Mixture>)> {
        let mut soft = self.soft.iter().peekable();
        (0..self.ids.len()).map(move |row| {
            let here = soft.next_if(|(at, _)| *at as usize == row);
            (row, here.map(|(_, mixture)| mixture.as_ref()))
        })
    }

    pub(crate) fn lists(&self) -> Lists {
        let mut lists = Lists::default();
        if self.soft.is_empty() {
            return lists;
        }
        for (row, mixture) in self.rows() {
            lists.starts.push(lists.ids.len());
            lists.ids.extend_from_slice(mixture.map_or(&self.ids[row..=row], Mixture::ids));
        }
        lists.starts.push(lists.ids.len());
        lists
    }

    /// What the kernel is asked for.
    pub(crate) fn asked<'a>(&'a self, lists: &'a Lists) -> Asked<'a> {
        if self.soft.is_empty() {
            return Asked::One(&self.ids);
        }
        Asked::Lists { ids: &lists.ids, starts: &lists.starts }
    }

    /// Where the ids of a row stand.
    fn span(&self, lists: &Lists, row: usize) -> Range<usize> {
        if self.soft.is_empty() { row..row + 1 } else { lists.starts[row]..lists.starts[row + 1] }
    }

    /// Number of ids that the kernel is asked for.
    pub(crate) fn asked_count(&self, lists: &Lists) -> usize {
        if self.soft.is_empty() { self.ids.len() } else { lists.ids.len() }
    }

    /// The column `logp`, from the kernel's.
    pub(crate) fn logp(&self, lists: &Lists, relative: &[f32], log_sum: &[f32]) -> Vec<f32> {
        let of = |(row, mixture): (usize, Option<&Mixture>)| {
            let relative = &relative[self.span(lists, row)];
            mixture.map_or_else(|| relative[0] - log_sum[row], |mixture| mixture.log_density(relative).0 as f32)
        };
        self.rows().map(of).collect()
    }

    /// The derivatives, given those by `logp`.
    pub(crate) fn slopes(&self, lists: &Lists, relative: &[f32], d_logp: &[f32]) -> Slopes {
        let mut slopes = Slopes { relative: Vec::with_capacity(self.asked_count(lists)), log_sum: Vec::new() };
        for (row, mixture) in self.rows() {
            let d = d_logp[row];
            match mixture {
                None => {
                    slopes.relative.push(d);
                    slopes.log_sum.push(-d);
                }
                Some(mixture) => {
                    let (_, by_logits) = mixture.log_density(&relative[self.span(lists, row)]);
                    slopes.relative.extend(by_logits.into_iter().map(|slope| (f64::from(d) * slope) as f32));
                    slopes.log_sum.push(0.0);
                }
            }
        }
        slopes
    }
}
