//! Right is what most say.

use super::{prelude::*, votes::counts};

choice! {
    /// Whose votes count for an episode.
    Voters {
        /// All of the group.
        Group,
        /// All but itself.
        Others,
    }
}

choice! {
    /// Which of several most frequent answers wins.
    Ties {
        /// The one that was given first.
        First,
        /// The first in the order of the text.
        Smallest,
        /// None: everybody scores 0.
        Nobody,
    }
}

parameters! {
    /// 1 for the most frequent answer, else 0.
    Majority {
        answer: String = "answer", FACT, "the answer; an empty one is an answer too";
        voters: Voters = Voters::Group => "\"group\"", words("`group` or `others`"), "whose votes count: all, or all but the episode";
        ties: Ties = Ties::First => "\"first\"", words("`first`, `smallest` or `nobody`"), "which of several most frequent answers wins";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "majority",
    summary: "a label-free reward: 1 for the majority's answer",
    formula: "1[answer = y*], y* the most frequent answer of the voters; of equally frequent ones the first given, the first \
              in the order of the text, or none. Without a voter (`others` of a single episode) it abstains",
    parameters: Majority::PARAMETERS,
    reads: &["facts.<answer>"],
    source: "SPINE: arXiv 2511.17938, after TTRL",
    unverified: "the tie rule",
    ..Entry::NONE
};

impl Term for Majority {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let labels = group.labels(&self.answer)?;
        let all = winner(&labels, self.ties);
        let vote = |e: usize| match self.voters {
            Voters::Group => Outcome::pass_if(all.as_ref() == Some(&labels[e])),
            Voters::Others if labels.len() < 2 => Outcome::Abstain,
            Voters::Others => {
                let mut others = labels.clone();
                let own = others.remove(e);
                Outcome::pass_if(winner(&others, self.ties) == Some(own))
            }
        };
        Ok((0..group.len()).map(vote).collect())
    }
}

fn winner(labels: &[String], ties: Ties) -> Option<String> {
    let counts = counts(labels);
    let most = *counts.values().max()?;
    let mut tied = counts.iter().filter(|(_, count)| **count == most).map(|(answer, _)| *answer);
    match ties {
        Ties::First => labels.iter().find(|answer| counts[answer.as_str()] == most).cloned(),
        Ties::Smallest => tied.next().map(str::to_owned),
        Ties::Nobody => tied.next().filter(|_| tied.next().is_none()).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_decided_the_same_way_every_time() {
        let mut group = group(&[], &[("x", [0.0; 4])]);
        label(&mut group, "answer", ["b", "a", "b", "a"]);
        for (ties, want) in [
            (Ties::First, [1.0, 0.0, 1.0, 0.0]),
            (Ties::Smallest, [0.0, 1.0, 0.0, 1.0]),
            (Ties::Nobody, [0.0; 4]),
        ] {
            let term = Majority { ties, ..Majority::default() };
            close(&values(&term, &group, &mut Memory::default()), &want, 0.0);
        }
    }

    #[test]
    fn nobody_votes_for_itself_among_the_others() {
        let mut group = group(&[], &[("x", [0.0; 3])]);
        label(&mut group, "answer", ["a", "a", "b"]);
        let others = Majority { voters: Voters::Others, ties: Ties::Nobody, ..Majority::default() };
        close(&values(&others, &group, &mut Memory::default()), &[0.0, 0.0, 0.0], 0.0);
        close(&values(&Majority::default(), &group, &mut Memory::default()), &[1.0, 1.0, 0.0], 0.0);
    }
}
