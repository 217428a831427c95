//! Which items of the train split the rl stage draws its prompts from.

use cohort_core::GroupKey;
use cohort_env::{Item, Split};

use crate::{error::Error, recipe::Recipe, world::World};

/// Prompts of a curriculum, which counts them from 0, as items of the train split; in ascending order.
pub struct Pool(Vec<usize>);

impl Pool {
    /// All items, or those that `train.among` fits.
    ///
    /// # Errors
    /// None fits.
    pub fn of(recipe: &Recipe, world: &World) -> Result<Self, Error> {
        let items = world.task.items(Split::Train);
        let Some(among) = &recipe.train.among else { return Ok(Self((0..items.len()).collect())) };
        let fits = |item: &Item| item.label(&among.column).is_some_and(|value| among.values.contains(&value));
        let pool: Vec<usize> = (0..items.len()).filter(|&index| fits(&items[index])).collect();
        if pool.is_empty() {
            let got = format!("{} = {:?}", among.column, among.values);
            let hint = "name a column of the rows and values that it has there";
            return Err(Error::Recipe(recipe.refuse("train.among", "must fit a row of the train split", &got, hint)));
        }
        Ok(Self(pool))
    }

    /// Number of prompts.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The items of some prompts.
    pub fn items(&self, prompts: &[usize]) -> Vec<usize> {
        prompts.iter().map(|&prompt| self.0[prompt]).collect()
    }

    /// The prompt of a group that was drawn from it.
    pub fn prompt(&self, key: GroupKey) -> usize {
        self.0.binary_search(&(key.0 as usize)).expect("a group is drawn from the pool")
    }
}
