//! What must not come to stand in a completion, in the tokens of a policy.

use cohort_model::TextPolicy;

use crate::recipe::low::BadWord;

/// The ids of bad words: of a text those that it has at the beginning of a text, and those that it has after a space.
///
/// # Errors
/// In words: a text that has no ids, ids outside the vocabulary.
pub fn bad_words(policy: &TextPolicy, words: &[BadWord]) -> Result<Vec<Vec<u32>>, String> {
    let vocabulary = policy.architecture().vocabulary;
    let mut all: Vec<Vec<u32>> = Vec::new();
    for word in words {
        let sequences = match word {
            BadWord::Ids(ids) => vec![ids.clone()],
            BadWord::Text(text) => {
                let tokenizer = policy.tokenizer().ok_or("a text, and the model has no tokenizer.json")?;
                let encode = |text: &str| tokenizer.encode(text).map_err(|e| e.to_string());
                vec![encode(text)?, encode(&format!(" {text}")).unwrap_or_default()]
            }
        };
        if let Some(id) = sequences.iter().flatten().find(|&&id| id as usize >= vocabulary) {
            return Err(format!("id {id} in a vocabulary of {vocabulary}"));
        }
        if sequences[0].is_empty() {
            return Err(format!("{word:?}, which has no ids"));
        }
        for ids in sequences {
            if !ids.is_empty() && !all.contains(&ids) {
                all.push(ids);
            }
        }
    }
    Ok(all)
}
