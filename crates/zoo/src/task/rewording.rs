//! Passages of two sources that tell the same facts in different words.
//!
//! Who did what to how many of what, and when: each is a concept with two or three words that mean it, and the time stands at the end or at the front,
//! `sam got six red cups at noon` or `midday sammy took 6 ruby mugs`. A machine nearly always takes the first word and the same order, a human any: that is what
//! detectors of machine text have to go by. Prompt `sam got six red cups at noon>`, a machine's passage, to be said in other words; so that it can be measured
//! how far detectors hold where a text is reworded.

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    draw::Draw,
    items::{self, Made, refused},
};

/// Passages of a machine and of a human with the same facts, of which no two splits share any. Columns: `prompt`, `machine` (the passage), `human` (one of the same
/// facts), `slots` (the words that mean each fact: `verifier.metadata` with `column = "slots"` gives 1 where all are kept), `answer` (the facts by their
/// first words, the time at the end), `solution` (a plain paraphrase).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rewording {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which facts there are, in which split, in which words, and how each is solved.
    pub seed: u64,
    /// The probability that a machine takes a concept's first word, and that it puts the time at the end. A human takes each word as often, and either place.
    pub peaked: f64,
    /// The probability that a solution has another word of a concept than the machine's passage, and that it puts the time elsewhere.
    pub swap: f64,
    /// The probability that one word of a solution means something else.
    pub slip: f64,
}

impl Default for Rewording {
    fn default() -> Self {
        Self { train: 4096, dev: 256, test: 512, seed: 0, peaked: 0.9, swap: 0.2, slip: 0.1 }
    }
}

/// Words that mean the same; the first is the machine's.
type Concept = &'static [&'static str];

struct Slot {
    name: &'static str,
    concepts: &'static [Concept],
}

/// In the order of a passage. No word is of two concepts.
const SLOTS: [Slot; 6] = [
    Slot {
        name: "who",
        concepts: &[
            &["sam", "sammy"],
            &["bob", "rob", "bobby"],
            &["liz", "beth"],
            &["tom", "tommy"],
            &["ann", "annie"],
            &["meg", "peg"],
            &["jim", "jimmy"],
            &["kate", "katie", "kay"],
            &["nick", "nico"],
            &["dan", "danny"],
        ],
    },
    Slot {
        name: "verb",
        concepts: &[
            &["got", "took", "gained"],
            &["saw", "spied", "eyed"],
            &["made", "built"],
            &["threw", "flung", "tossed"],
            &["fixed", "mended"],
            &["kept", "saved"],
            &["chose", "picked"],
            &["hid", "stowed"],
            &["washed", "rinsed"],
            &["sent", "mailed"],
        ],
    },
    Slot {
        name: "number",
        concepts: &[
            &["two", "2"],
            &["three", "3"],
            &["four", "4"],
            &["five", "5"],
            &["six", "6"],
            &["seven", "7"],
            &["eight", "8"],
            &["nine", "9"],
        ],
    },
    Slot {
        name: "adjective",
        concepts: &[
            &["red", "ruby"],
            &["blue", "azure"],
            &["big", "large", "huge"],
            &["small", "tiny", "wee"],
            &["old", "aged"],
            &["new", "fresh"],
            &["odd", "weird"],
            &["nice", "fine"],
            &["wet", "damp", "moist"],
            &["neat", "tidy"],
        ],
    },
    Slot {
        name: "object",
        concepts: &[
            &["cups", "mugs"],
            &["bags", "sacks"],
            &["boxes", "crates"],
            &["hats", "caps"],
            &["boats", "ships"],
            &["rugs", "mats"],
            &["books", "tomes"],
            &["rocks", "stones"],
            &["cars", "autos"],
            &["plates", "dishes"],
            &["lamps", "lights"],
            &["seats", "chairs"],
        ],
    },
    Slot {
        name: "time",
        concepts: &[
            &["at noon", "midday"],
            &["at dawn", "at sunup"],
            &["at dusk", "sundown"],
            &["at night", "by night"],
            &["today", "this day"],
            &["long ago", "way back"],
            &["at last", "finally"],
            &["at once", "promptly"],
        ],
    },
];

/// Items of all splits together; there are 768,000 facts.
const MOST: usize = 200_000;

/// A concept of each slot.
type Facts = [usize; 6];

/// Where the time stands.
#[derive(Clone, Copy)]
enum Time {
    End,
    Front,
}

/// Facts in words, one a slot.
#[derive(Clone)]
struct Passage {
    words: [&'static str; 6],
    time: Time,
}

struct Pair {
    facts: Facts,
    machine: Passage,
    human: Passage,
}

impl Rewording {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        let sizes = items::sizes("rewording", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.rewording.{field}");
        if sizes.iter().sum::<usize>() > MOST {
            let hint = "facts are made of few words, and no two splits share any: ask for fewer items";
            return Err(refused(key("train"), "must be, with dev and test, at most 200,000", self.train, hint));
        }
        items::in_unit(key("peaked"), self.peaked)?;
        items::in_unit(key("swap"), self.swap)?;
        items::in_unit(key("slip"), self.slip)
    }

    /// The splits share no facts, and so no passage.
    ///
    /// # Errors
    /// Those of [`Rewording::check`]; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let make = |_, draw: &mut Draw| {
            let pair = self.pair(draw);
            (Passage::plain(&pair.facts).text(), pair)
        };
        let sizes = [self.train, self.dev, self.test];
        let splits = items::splits(sizes, &[1.0], u128::MAX, Stream::new(self.seed, "rewording/facts"), make)
            .map_err(|short| short.refused_with("task.rewording.train".into(), self.train, "ask for fewer items"))?;
        let made =
            items::solved(splits, Stream::new(self.seed, "rewording/solutions"), |pair, draw| self.made(pair, draw));
        items::task("rewording", made, self.seed, codec, limits)
    }

    fn pair(&self, draw: &mut Draw) -> Pair {
        let facts = SLOTS.each_ref().map(|slot| draw.below(slot.concepts.len() as u64) as usize);
        let mut machine = Passage::plain(&facts);
        machine.reworded(&facts, 1.0 - self.peaked, draw);
        let words = concepts(&facts).map(|concept| *draw.of_these(concept));
        let time = if draw.chance(0.5) { Time::End } else { Time::Front };
        Pair { facts, machine, human: Passage { words, time } }
    }

    fn made(&self, pair: &Pair, draw: &mut Draw) -> Made {
        let mut solution = pair.machine.clone();
        solution.reworded(&pair.facts, self.swap, draw);
        if draw.chance(self.slip) {
            let slot = draw.below(SLOTS.len() as u64) as usize;
            let all = SLOTS[slot].concepts;
            let other = (pair.facts[slot] + 1 + draw.below(all.len() as u64 - 1) as usize) % all.len();
            solution.words[slot] = *draw.of_these(all[other]);
        }
        let slots = SLOTS.iter().zip(concepts(&pair.facts));
        let slots: Map<String, Value> =
            slots.map(|(slot, words)| (slot.name.to_owned(), Value::from(words.to_vec()))).collect();
        let machine = pair.machine.text();
        Made {
            prompt: format!("{machine}>"),
            answer: Value::from(Passage::plain(&pair.facts).text()),
            solution: solution.text(),
            columns: vec![
                ("machine", Value::from(machine)),
                ("human", Value::from(pair.human.text())),
                ("slots", Value::from(slots)),
            ],
        }
    }
}

/// The words that mean each fact.
fn concepts(facts: &Facts) -> [Concept; 6] {
    std::array::from_fn(|slot| SLOTS[slot].concepts[facts[slot]])
}

impl Passage {
    /// Every first word, and the time at the end.
    fn plain(facts: &Facts) -> Self {
        Self { words: concepts(facts).map(|concept| concept[0]), time: Time::End }
    }

    /// Has each word in another one's place with this probability, and the time elsewhere.
    fn reworded(&mut self, facts: &Facts, probability: f64, draw: &mut Draw) {
        for (word, concept) in self.words.iter_mut().zip(concepts(facts)) {
            let others: Vec<&str> = concept.iter().copied().filter(|other| other != word).collect();
            if draw.chance(probability) {
                *word = *draw.of_these(&others);
            }
        }
        if draw.chance(probability) {
            self.time = match self.time {
                Time::End => Time::Front,
                Time::Front => Time::End,
            };
        }
    }

    fn text(&self) -> String {
        let [clause @ .., time] = &self.words;
        let clause = clause.join(" ");
        match self.time {
            Time::End => format!("{clause} {time}"),
            Time::Front => format!("{time} {clause}"),
        }
    }
}
