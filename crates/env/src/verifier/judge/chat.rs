//! A chat endpoint: messages in, words out, tokens counted.

use std::time::Instant;

use cohort_core::Outcome;
use serde_json::{Value, json};

use super::{
    cache::{self, Said},
    config::Price,
    prompt::Messages,
};
use crate::verifier::{
    Asked,
    cache::Folder,
    program::excerpt,
    service::{Service, Told},
};

pub(super) struct Chat {
    pub service: Service,
    pub model: String,
    pub temperature: f64,
    pub max_tokens: usize,
    pub cache: Option<Folder>,
    pub price: Option<Price>,
}

/// What a judge's words were read as, or why there is no verdict.
pub(super) struct Heard<R> {
    pub read: Result<R, Outcome>,
    pub asked: Asked,
    /// Tokens of the words, cached or not: the same whenever it is asked.
    pub tokens: [u64; 2],
}

impl Chat {
    /// Asks, or takes what was said before, and reads it. Words that cannot be read are an error, and are not kept.
    pub fn ask<R>(&self, messages: &Messages<'_>, read: impl Fn(&str) -> Result<R, String>) -> Heard<R> {
        let body = json!({
            "model": self.model,
            "messages": [
                {"role": "system", "content": messages.system},
                {"role": "user", "content": messages.user},
            ],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stream": false,
        });
        let name = cache::name(self.service.address().url(), &body);
        let begun = Instant::now();
        if let Some(said) = self.cache.as_ref().and_then(|cache| cache.get::<Said>(&name))
            && let Ok(result) = read(&said.content)
        {
            let asked = Asked { seconds: begun.elapsed().as_secs_f64(), cached: 1, ..Asked::default() };
            return Heard { read: Ok(result), asked, tokens: [said.prompt_tokens, said.completion_tokens] };
        }
        let Told { answer, mut asked } = self.service.ask(&body);
        let said = answer.and_then(|text| self.said(&text));
        let tokens = said.as_ref().map_or([0, 0], |said| [said.prompt_tokens, said.completion_tokens]);
        [asked.prompt_tokens, asked.completion_tokens] = tokens;
        asked.cost = self.price.map_or(0.0, |price| price.of(tokens));
        let read = said.and_then(|said| {
            let result = read(&said.content).map_err(|problem| {
                let words = excerpt(self.service.hidden(&said.content).trim(), 200);
                Outcome::error(format!("the judge {problem}: {words:?}"))
            })?;
            if let Some(cache) = &self.cache {
                // Nothing that is a key is ever kept.
                cache.put(&name, &Said { content: self.service.hidden(&said.content), ..said });
            }
            Ok(result)
        });
        Heard { read, asked, tokens }
    }

    fn said(&self, text: &str) -> Result<Said, Outcome> {
        let wrong = |problem: &str| {
            let words = excerpt(self.service.hidden(text).trim(), 200);
            Outcome::error(format!("{}: the answer {problem}: {words:?}", self.service.address()))
        };
        let answer: Value = serde_json::from_str(text).map_err(|e| wrong(&format!("is no JSON ({e})")))?;
        let content = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
        let content = content.ok_or_else(|| wrong("is no chat completion with words (choices[0].message.content)"))?;
        let tokens = |name: &str| answer["usage"][name].as_u64().unwrap_or(0);
        let [prompt_tokens, completion_tokens] = [tokens("prompt_tokens"), tokens("completion_tokens")];
        Ok(Said { content: content.to_owned(), prompt_tokens, completion_tokens })
    }
}
