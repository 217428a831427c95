//! What a value must be, in the words of the check that refuses others: values at the edges are tried on a recipe.

use cohort_train::{Recipe, RecipeError};

use super::schema::Node;

/// A recipe that is valid, and names nothing that is opened.
pub const RECIPE: &str = "stages = [\"supervised\", \"rl\", \"score\"]\n[policy]\nmodel = \"DIR\"\n[data]\npath = \"FILE.jsonl\"\n\
    [score]\ngroup = \"query\"\n[supervised]\nuntil = { accuracy = 0.5, check_every = 1, prompts = 1 }\n\
    [reward.terms.answer]\nverifier.regex.pattern = \"x\"\n";

/// The same with random weights and a task of its own.
pub const NEW_POLICY: &str = "[policy.new]\ntokenizer = \"arithmetic\"\nwidth = 8\nlayers = 1\nheads = 2\nkv_heads = 1\nhead_dim = 4\n\
    inner = 8\npositions = 64\n[task.arithmetic]\n[reward.terms.answer]\nverifier.regex.pattern = \"x\"\n";

/// Numbers on both sides of the edges that there are: 0, 1, and not finite.
const EDGES: [&str; 6] = ["-1", "0", "0.5", "1", "2", "inf"];

/// What the check says of values that it refuses, each once.
pub fn of(key: &str, node: &Node) -> Vec<String> {
    let types = node.types();
    let is_number = types.iter().any(|t| matches!(*t, "integer" | "number"));
    let values: Vec<String> = match (is_number, node.length()) {
        (true, _) => EDGES.map(str::to_owned).to_vec(),
        (false, Some(n)) => EDGES.iter().map(|x| format!("[{}]", vec![decimal(x); n as usize].join(", "))).collect(),
        (false, None) => return Vec::new(),
    };
    let base = if key.starts_with("policy.new") || key.starts_with("task") { NEW_POLICY } else { RECIPE };
    let mut said: Vec<String> = Vec::new();
    for value in values {
        if let Err(RecipeError::Value { key: refused, problem, .. }) =
            Recipe::parse("example", base, &[format!("{key}={value}")])
            && refused == key
            && !said.contains(&problem)
        {
            said.push(problem);
        }
    }
    if said.is_empty()
        && let Some(least) = node.least()
    {
        said.push(format!("at least {least}"));
    }
    said
}

fn decimal(x: &str) -> String {
    if x.contains(['.', 'i']) { x.to_owned() } else { format!("{x}.0") }
}
