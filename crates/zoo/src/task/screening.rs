//! Candidates for a job: what of the job they bring, and yes or no.
//!
//! Prompt `adf 4 2|Fabk 5 1`: a job that wants the skills a, d and f, 4 years and a degree of level 2; a candidate with the skills f, a, b and
//! k, 5 years and level 1. A capital is another name of the skill. Solution `<s>a,f</s><y>5</y><e>1</e><answer>no</answer>`: the wanted skills
//! that the candidate has, years, level, and the decision, which follows from them by a rule that the prompt does not state.

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    draw::Draw,
    items::{self, Made, refused},
};

/// Jobs and candidates. With m of the wanted skills, `points = 2 m + (years - years asked, cut to -2 .. 2) + (1 where the level is reached, else -1)`,
/// and the answer is `yes` with the probability `1 / (1 + exp(-(points - bar + 0.5) / softness))`; with a softness of 0 from `bar` points on. So
/// near the bar nobody can be sure, and a penalty decides what is said there. Columns: `prompt`, `answer` (`yes` or `no`), `skills` (a list), `years`,
/// `level`, `points`, `solution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Screening {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, and how each is solved.
    pub seed: u64,
    /// Skills that there are: the first letters of the alphabet.
    pub skills: usize,
    /// Skills that a job wants.
    pub wanted: usize,
    /// Skills that a candidate has.
    pub held: usize,
    /// The probability that a candidate has a skill that is wanted.
    pub fit: f64,
    /// The probability that a candidate's skill goes by its other name.
    pub synonyms: f64,
    /// Points from which yes is more likely than no. A high one makes yes rare.
    pub bar: i64,
    /// How unsure the answer is near the bar, in points.
    pub softness: f64,
    /// The probability that a solution's decision is the answer.
    pub right: f64,
    /// The probability that a solution has each of skills, years and level right.
    pub read: f64,
    /// The probability that a solution breaks off before its decision.
    pub truncated: f64,
}

impl Default for Screening {
    fn default() -> Self {
        Self {
            train: 4096,
            dev: 256,
            test: 512,
            seed: 0,
            skills: 8,
            wanted: 3,
            held: 4,
            fit: 0.65,
            synonyms: 0.3,
            bar: 6,
            softness: 1.0,
            right: 0.8,
            read: 0.95,
            truncated: 0.02,
        }
    }
}

/// The most years, asked or had.
const YEARS: u64 = 9;

/// Levels of degrees, from 0.
const LEVELS: u64 = 4;

struct Question {
    wanted: Vec<usize>,
    years_asked: u64,
    level_asked: u64,
    /// Skills, each with whether it goes by its other name.
    held: Vec<(usize, Name)>,
    years: u64,
    level: u64,
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Own,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

impl Screening {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("screening", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.screening.{field}");
        if !(2..=26).contains(&self.skills) {
            return Err(refused(key("skills"), "must be in 2..=26", self.skills, "skills are letters"));
        }
        if self.wanted == 0 || self.wanted > self.held {
            let hint = "a candidate must be able to have all that is wanted";
            return Err(refused(key("wanted"), "must be at least 1 and at most `held`", self.wanted, hint));
        }
        if self.wanted + self.held > self.skills {
            let hint = "a candidate who has nothing that is wanted must find other skills: raise `skills`";
            return Err(refused(key("held"), "must be at most `skills` less `wanted`", self.held, hint));
        }
        if !(0.0..=100.0).contains(&self.softness) {
            return Err(refused(key("softness"), "must be in 0..=100", self.softness, "it is in points; 0 for none"));
        }
        let most = 2 * self.wanted as i64 + 3;
        if !(-2..=most).contains(&self.bar) {
            let hint = format!("points go from -3 to {most}, and both answers must occur");
            return Err(refused(key("bar"), "leaves one answer alone", self.bar, &hint));
        }
        for (field, share) in [
            ("fit", self.fit),
            ("synonyms", self.synonyms),
            ("right", self.right),
            ("read", self.read),
            ("truncated", self.truncated),
        ] {
            items::in_unit(key(field), share)?;
        }
        Ok(())
    }

    /// The splits share no prompt.
    ///
    /// # Errors
    /// Those of [`Screening::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let make = |_, draw: &mut Draw| {
            let question = self.question(draw);
            (question.prompt(), question)
        };
        let sizes = [self.train, self.dev, self.test];
        let splits = items::splits(sizes, &[1.0], u128::MAX, Stream::new(self.seed, "screening/questions"), make)
            .map_err(|short| short.refused("task.screening.skills".into(), self.skills))?;
        let made = items::solved(splits, Stream::new(self.seed, "screening/solutions"), |question, draw| {
            self.made(question, draw)
        });
        items::task("screening", made, self.seed, codec, limits)
    }

    fn question(&self, draw: &mut Draw) -> Question {
        let skills: Vec<usize> = (0..self.skills).collect();
        let mut wanted = draw.some_of(self.wanted, &skills);
        wanted.sort_unstable();
        let mut has: Vec<usize> = wanted.iter().copied().filter(|_| draw.chance(self.fit)).collect();
        let others: Vec<usize> = skills.into_iter().filter(|skill| !wanted.contains(skill)).collect();
        has.extend(draw.some_of(self.held - has.len(), &others));
        let has = draw.some_of(has.len(), &has);
        let name = |draw: &mut Draw| if draw.chance(self.synonyms) { Name::Other } else { Name::Own };
        let held = has.into_iter().map(|skill| (skill, name(draw))).collect();
        let mut question = Question {
            wanted,
            years_asked: draw.below(YEARS - 2),
            level_asked: draw.below(LEVELS),
            held,
            years: draw.below(YEARS + 1),
            level: draw.below(LEVELS),
            answer: Answer::No,
        };
        if draw.chance(self.probability(question.points())) {
            question.answer = Answer::Yes;
        }
        question
    }

    /// Of a yes.
    fn probability(&self, points: i64) -> f64 {
        match self.softness {
            0.0 => f64::from(u8::from(points >= self.bar)),
            softness => 1.0 / (1.0 + (-((points - self.bar) as f64 + 0.5) / softness).exp()),
        }
    }

    fn made(&self, question: &Question, draw: &mut Draw) -> Made {
        let mut skills = question.matched();
        if !draw.chance(self.read) {
            // One too few, or one of the job's too many.
            match question.wanted.iter().find(|skill| !skills.contains(skill)) {
                Some(&skill) if skills.is_empty() || draw.chance(0.5) => skills.push(skill),
                _ => {
                    skills.remove(draw.below(skills.len() as u64) as usize);
                }
            }
            skills.sort_unstable();
        }
        let other = |value: u64, of: u64, draw: &mut Draw| (value + 1 + draw.below(of - 1)) % of;
        let years = if draw.chance(self.read) { question.years } else { other(question.years, YEARS + 1, draw) };
        let level = if draw.chance(self.read) { question.level } else { other(question.level, LEVELS, draw) };
        let said = if draw.chance(self.right) { question.answer } else { question.answer.other() };
        let mut solution = format!("<s>{}</s><y>{years}</y><e>{level}</e>", listed(&skills));
        if !draw.chance(self.truncated) {
            solution += &format!("<answer>{}</answer>", said.word());
        }
        let skills: Vec<Value> = question.matched().into_iter().map(|skill| Value::from(letter(skill))).collect();
        Made {
            prompt: question.prompt(),
            answer: Value::from(question.answer.word()),
            solution,
            columns: vec![
                ("skills", Value::from(skills)),
                ("years", Value::from(question.years)),
                ("level", Value::from(question.level)),
                ("points", Value::from(question.points())),
            ],
        }
    }
}

impl Answer {
    fn word(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::No => "no",
        }
    }

    fn other(self) -> Self {
        match self {
            Answer::Yes => Answer::No,
            Answer::No => Answer::Yes,
        }
    }
}

impl Question {
    fn prompt(&self) -> String {
        let wanted: String = self.wanted.iter().map(|&skill| letter(skill)).collect();
        let named = |&(skill, name): &(usize, Name)| match name {
            Name::Own => letter(skill),
            Name::Other => letter(skill).to_uppercase(),
        };
        let held: String = self.held.iter().map(named).collect();
        format!("{wanted} {} {}|{held} {} {}", self.years_asked, self.level_asked, self.years, self.level)
    }

    /// The wanted skills that the candidate has, in the job's order.
    fn matched(&self) -> Vec<usize> {
        let has = |skill: usize| self.held.iter().any(|(held, _)| *held == skill);
        self.wanted.iter().copied().filter(|&skill| has(skill)).collect()
    }

    fn points(&self) -> i64 {
        let years = (self.years as i64 - self.years_asked as i64).clamp(-2, 2);
        let level = if self.level >= self.level_asked { 1 } else { -1 };
        2 * self.matched().len() as i64 + years + level
    }
}

fn letter(skill: usize) -> String {
    char::from(b'a' + skill as u8).to_string()
}

fn listed(skills: &[usize]) -> String {
    skills.iter().map(|&skill| letter(skill)).collect::<Vec<_>>().join(",")
}
