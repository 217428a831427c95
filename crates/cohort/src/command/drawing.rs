//! Flags that say how completions are drawn.

use clap::Args;

#[derive(Args)]
#[command(next_help_heading = "Drawing")]
pub struct Drawing {
    /// Of the distribution that is drawn from, above 0
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Draw from the K most probable tokens
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub top_k: Option<usize>,
    /// Then from the most probable ones that hold this share of the probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// Then from those of at least this share of the largest probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub min_p: Option<f64>,
    /// The cap on a completion
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: Option<u32>,
    /// A text that ends a completion, and is cut off its text; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// A text whose tokens must not stand in a completion; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub bad_word: Vec<String>,
}

impl Drawing {
    /// The same as keys of a recipe, for those that were given.
    pub fn overrides(&self) -> Vec<String> {
        let number = |key: &str, value: Option<String>| value.map(|value| format!("rollout.{key}={value}"));
        let texts = |key: &str, texts: &[String]| {
            // JSON's lists of strings are TOML's too.
            (!texts.is_empty()).then(|| format!("rollout.{key}={}", serde_json::json!(texts)))
        };
        [
            number("temperature", self.temperature.map(|x| x.to_string())),
            number("top_k", self.top_k.map(|x| x.to_string())),
            number("top_p", self.top_p.map(|x| format!("{x:?}"))),
            number("min_p", self.min_p.map(|x| format!("{x:?}"))),
            number("max_new_tokens", self.max_new_tokens.map(|x| x.to_string())),
            texts("stop", &self.stop),
            texts("bad_words", &self.bad_word),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
