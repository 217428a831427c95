//! Users with a taste, and lists of what else they like.
//!
//! A catalogue of items with names of two letters, each of a genre and with a popularity in it; what genre a name has is nowhere said. A user
//! has a genre. Prompt `qe xa bo>`, items that the user liked; solution, a list of other ones, a line each:
//!
//! ```text
//! ml
//! ty
//! qa
//! ```
//!
//! The answer are further items that the same user likes, and no list is all of them: what can be learned is who likes what.

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    draw::Draw,
    items::{self, Made, refused},
};

/// Histories and recommendations. A user likes items one after the other, none twice: with the probability `steady` one of the user's genre, else
/// any, each as often as its popularity, which is 1 for the first of a genre, 1/2 for the second, 1/3 for the third and so on. Columns: `prompt`, `answer` (a list
/// of `likes` items), `seen` (the history), `catalogue` (all items), `genre`, `solution`; `rank_gains` and `catalogue` read them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which catalogue there is, which users, in which split, and how each is solved.
    pub seed: u64,
    /// Items of the catalogue.
    pub items: usize,
    /// Genres, of as many items each.
    pub genres: usize,
    /// Liked items that the prompt tells.
    pub history: usize,
    /// Liked items that it does not tell: the answer.
    pub likes: usize,
    /// Lines of a solution.
    pub places: usize,
    /// The probability that a liked item is of the user's genre for sure.
    pub steady: f64,
    /// The probability that a line of a solution is one of the answers. Another is any item, as often as its popularity; it may be in the history, or
    /// there already.
    pub right: f64,
    /// The probability that a line that is none of the answers is a name that the catalogue does not have.
    pub unknown: f64,
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            train: 3000,
            dev: 256,
            test: 512,
            seed: 0,
            items: 60,
            genres: 5,
            history: 3,
            likes: 5,
            places: 5,
            steady: 0.9,
            right: 0.4,
            unknown: 0.1,
        }
    }
}

struct User {
    genre: usize,
    /// In the order in which they were liked.
    liked: Vec<usize>,
}

impl Catalogue {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("catalogue", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.catalogue.{field}");
        if !(2..=500).contains(&self.items) {
            let hint = "names have two letters, and some must be left that are of no item";
            return Err(refused(key("items"), "must be in 2..=500", self.items, hint));
        }
        if !self.items.is_multiple_of(self.genres) {
            return Err(refused(key("genres"), "must divide `items`", self.genres, "genres have as many items each"));
        }
        for (field, count) in [("history", self.history), ("likes", self.likes), ("places", self.places)] {
            if !(1..=20).contains(&count) {
                return Err(refused(key(field), "must be in 1..=20", count, "a list is short"));
            }
        }
        if self.history + self.likes > self.items / self.genres {
            let hint = "a user's genre must have all that the user likes: raise `items`, or take fewer genres";
            return Err(refused(
                key("likes"),
                "must be, with `history`, at most the items of a genre",
                self.likes,
                hint,
            ));
        }
        items::in_unit(key("steady"), self.steady)?;
        items::in_unit(key("right"), self.right)?;
        items::in_unit(key("unknown"), self.unknown)
    }

    /// The splits share no prompt.
    ///
    /// # Errors
    /// Those of [`Catalogue::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let pairs: Vec<String> = ('a'..='z').flat_map(|a| ('a'..='z').map(move |b| format!("{a}{b}"))).collect();
        let shuffled = Draw::of(Stream::new(self.seed, "catalogue/names").dice(0, 0, 0)).some_of(pairs.len(), &pairs);
        let (names, others) = shuffled.split_at(self.items);
        let make = |_, draw: &mut Draw| {
            let user = self.user(draw);
            (self.prompt(&user, names), user)
        };
        let sizes = [self.train, self.dev, self.test];
        let splits = items::splits(sizes, &[1.0], u128::MAX, Stream::new(self.seed, "catalogue/users"), make)
            .map_err(|short| short.refused("task.catalogue.items".into(), self.items))?;
        let made = items::solved(splits, Stream::new(self.seed, "catalogue/solutions"), |user, draw| {
            self.made(user, names, others, draw)
        });
        items::task("catalogue", made, self.seed, codec, limits)
    }

    fn genre(&self, item: usize) -> usize {
        item % self.genres
    }

    fn popularity(&self, item: usize) -> f64 {
        1.0 / (1 + item / self.genres) as f64
    }

    fn user(&self, draw: &mut Draw) -> User {
        let genre = draw.below(self.genres as u64) as usize;
        let mut liked: Vec<usize> = Vec::new();
        while liked.len() < self.history + self.likes {
            let is_steady = draw.chance(self.steady);
            let weight = |item: usize| match liked.contains(&item) || (is_steady && self.genre(item) != genre) {
                true => 0.0,
                false => self.popularity(item),
            };
            let item = draw.weighted((0..self.items).map(weight));
            liked.push(item);
        }
        User { genre, liked }
    }

    fn prompt(&self, user: &User, names: &[String]) -> String {
        let history: Vec<&str> = user.liked[..self.history].iter().map(|&item| names[item].as_str()).collect();
        format!("{}>", history.join(" "))
    }

    fn made(&self, user: &User, names: &[String], others: &[String], draw: &mut Draw) -> Made {
        let (history, likes) = user.liked.split_at(self.history);
        let mut left = likes.to_vec();
        let mut lines: Vec<&str> = Vec::new();
        for _ in 0..self.places {
            if draw.chance(self.right) && !left.is_empty() {
                lines.push(&names[left.remove(draw.below(left.len() as u64) as usize)]);
            } else if draw.chance(self.unknown) {
                lines.push(draw.of_these::<String>(others));
            } else {
                lines.push(&names[draw.weighted((0..self.items).map(|item| self.popularity(item)))]);
            }
        }
        let named = |items: &[usize]| items.iter().map(|&item| Value::from(names[item].as_str())).collect::<Vec<_>>();
        Made {
            prompt: self.prompt(user, names),
            answer: Value::from(named(likes)),
            solution: lines.join("\n"),
            columns: vec![
                ("seen", Value::from(named(history))),
                ("catalogue", Value::from(names.to_vec())),
                ("genre", Value::from(user.genre)),
            ],
        }
    }
}
