//! `[task]`: tasks that make their own data.

use cohort_env::{Codec, Limits, Task, TaskError, task::arithmetic::Arithmetic};
use cohort_zoo::task::{
    Catalogue, Chains, Circuits, Fractions, Judging, Lookup, Pairs, Queries, Records, Refusals, Relevance, Rewording,
    Screening,
};
use serde::{Deserialize, Serialize};

/// A task that makes its own data. A recipe has either this or `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskSection {
    /// Two-digit addition with a chain of thought.
    Arithmetic(Arithmetic),
    /// Arithmetic expressions with worked steps: a mixture of levels, solved in a mixture of styles.
    Chains(Chains),
    /// Two fractions put together; solutions are in lowest terms or not.
    Fractions(Fractions),
    /// Pairs of coded responses to judge, in one turn or in two.
    Judging(Judging),
    /// Values to look up by key, some of which are not there.
    Lookup(Lookup),
    /// Users with a taste, and lists of what else they like.
    Catalogue(Catalogue),
    /// Small circuits to be written in Verilog.
    Circuits(Circuits),
    /// Queries, each with a list of documents that a lexical search found, document by document.
    Pairs(Pairs),
    /// Questions to a small database, to be answered by a query.
    Queries(Queries),
    /// Records to be written as JSON of a given form.
    Records(Records),
    /// Requests of seven kinds of harm, and harmless ones, to be refused in the way of their kind or granted.
    Refusals(Refusals),
    /// Documents of a query, to be scored together or put in order.
    Relevance(Relevance),
    /// Passages of a machine to be said in other words, beside a human's of the same facts: for measuring detectors of machine text.
    Rewording(Rewording),
    /// Candidates for a job: what of the job they bring, and yes or no.
    Screening(Screening),
}

impl TaskSection {
    /// The recipe's word.
    pub fn name(&self) -> &'static str {
        match self {
            TaskSection::Arithmetic(_) => "arithmetic",
            TaskSection::Chains(_) => "chains",
            TaskSection::Fractions(_) => "fractions",
            TaskSection::Judging(_) => "judging",
            TaskSection::Lookup(_) => "lookup",
            TaskSection::Catalogue(_) => "catalogue",
            TaskSection::Circuits(_) => "circuits",
            TaskSection::Pairs(_) => "pairs",
            TaskSection::Queries(_) => "queries",
            TaskSection::Records(_) => "records",
            TaskSection::Refusals(_) => "refusals",
            TaskSection::Relevance(_) => "relevance",
            TaskSection::Rewording(_) => "rewording",
            TaskSection::Screening(_) => "screening",
        }
    }

    /// What can be said against its parameters before anything is made.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        match self {
            TaskSection::Arithmetic(_) => Ok(()),
            TaskSection::Chains(task) => task.check(),
            TaskSection::Fractions(task) => task.check(),
            TaskSection::Judging(task) => task.check(),
            TaskSection::Lookup(task) => task.check(),
            TaskSection::Catalogue(task) => task.check(),
            TaskSection::Circuits(task) => task.check(),
            TaskSection::Pairs(task) => task.check(),
            TaskSection::Queries(task) => task.check(),
            TaskSection::Records(task) => task.check(),
            TaskSection::Refusals(task) => task.check(),
            TaskSection::Relevance(task) => task.check(),
            TaskSection::Rewording(task) => task.check(),
            TaskSection::Screening(task) => task.check(),
        }
    }

    /// # Errors
    /// What the generator refuses; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        match self {
            TaskSection::Arithmetic(task) => task.build(codec, limits),
            TaskSection::Chains(task) => task.build(codec, limits),
            TaskSection::Fractions(task) => task.build(codec, limits),
            TaskSection::Judging(task) => task.build(codec, limits),
            TaskSection::Lookup(task) => task.build(codec, limits),
            TaskSection::Catalogue(task) => task.build(codec, limits),
            TaskSection::Circuits(task) => task.build(codec, limits),
            TaskSection::Pairs(task) => task.build(codec, limits),
            TaskSection::Queries(task) => task.build(codec, limits),
            TaskSection::Records(task) => task.build(codec, limits),
            TaskSection::Refusals(task) => task.build(codec, limits),
            TaskSection::Relevance(task) => task.build(codec, limits),
            TaskSection::Rewording(task) => task.build(codec, limits),
            TaskSection::Screening(task) => task.build(codec, limits),
        }
    }
}
