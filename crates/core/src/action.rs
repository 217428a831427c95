//! One decision of a policy, and who made it.

use serde::{Deserialize, Serialize};

/// Names a tensor payload (a point, a latent, a soft embedding) in the arena of
/// the policy that made it; `core` never sees the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PayloadKey(pub u64);

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// A token of the vocabulary.
    Token(u32),
    /// One of finitely many alternatives that are not tokens: a bandit's arm, a duration bin.
    Option(u32),
    /// A continuous value that lies in the policy's arena.
    Payload(PayloadKey),
}

/// Who wrote an action. What an environment wrote is never trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// Drawn from the policy's distribution.
    #[default]
    Policy,
    /// Inserted by an environment or a rollout strategy (an observation, a tool's answer, words that end a thought).
    Environment,
    /// Given to be trained on (a worked solution).
    Injected,
}

/// One action of a sample: the unit that carries a row, a coefficient and a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    pub choice: Choice,
    pub author: Author,
    /// Rank, round, plan or step that the action belongs to; 0 where a method has no segments.
    pub segment: u32,
}

impl Action {
    /// A token that the policy sampled, in segment 0.
    pub fn sampled(token: u32) -> Self {
        Self { choice: Choice::Token(token), author: Author::Policy, segment: 0 }
    }

    /// A token that was given and not sampled, in segment 0.
    pub fn given(token: u32) -> Self {
        Self { choice: Choice::Token(token), author: Author::Injected, segment: 0 }
    }

    /// The token, where the action is one.
    pub fn token(&self) -> Option<u32> {
        match self.choice {
            Choice::Token(id) => Some(id),
            Choice::Option(_) | Choice::Payload(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_whoever_chose_it() {
        assert_eq!([Action::sampled(7), Action::given(7)].map(|action| action.token()), [Some(7), Some(7)]);
        assert_eq!(Action { choice: Choice::Payload(PayloadKey(7)), ..Action::sampled(7) }.token(), None);
    }
}
