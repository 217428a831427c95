//! Whether two resolved recipes are of one run.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Keys that may differ between the parts of one run, because they change no number of a step: how the work is
/// divided, how long it goes on, and where and how patiently a server that samples is asked.
const FREE: [&str; 10] = [
    "train.workers",
    "train.parallel",
    "train.activations",
    "train.steps",
    "rollout.sampler.server.base_url",
    "rollout.sampler.server.api_key_env",
    "rollout.sampler.server.concurrency",
    "rollout.sampler.server.timeout_s",
    "rollout.sampler.server.retries",
    "rollout.sampler.server.backoff_s",
];

/// The first key in which two resolved recipes differ, with both values (`absent` where there is none).
/// `train.steps` may differ; whether it grew is for the caller to see.
pub fn first_difference(recorded: &str, given: &str) -> Option<(String, String, String)> {
    let parse = |text: &str| text.parse::<Table>().map(Value::Table).unwrap_or(Value::Boolean(false));
    differ("", Some(&parse(recorded)), Some(&parse(given)))
}

fn differ(key: &str, a: Option<&Value>, b: Option<&Value>) -> Option<(String, String, String)> {
    if a == b || FREE.contains(&key) {
        return None;
    }
    if let (Some(Value::Table(a)), Some(Value::Table(b))) = (a, b) {
        let names = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
        return names.into_iter().find_map(|name| {
            let path = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            differ(&path, a.get(name), b.get(name))
        });
    }
    let show = |v: Option<&Value>| v.map_or("absent".to_owned(), |v| v.to_string().trim().to_owned());
    Some((key.to_owned(), show(a), show(b)))
}

/// Every key that is not the same in all of these resolved recipes, with its value in each; `None` where there is none.
pub fn differing_keys(texts: &[Option<&str>]) -> Vec<(String, Vec<Option<String>>)> {
    let parse = |text: &Option<&str>| text.and_then(|text| text.parse::<Table>().ok()).unwrap_or_default();
    let mut leaves: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for (i, table) in texts.iter().map(parse).enumerate() {
        flatten("", &table, &mut |key, value| {
            leaves.entry(key).or_insert_with(|| vec![None; texts.len()])[i] = Some(value.to_string().trim().to_owned());
        });
    }
    leaves.into_iter().filter(|(_, values)| values.windows(2).any(|pair| pair[0] != pair[1])).collect()
}

fn flatten(above: &str, table: &Table, take: &mut impl FnMut(String, &Value)) {
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, take),
            value => take(key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_key_is_named() {
        let recorded = "seed = 0\n[train]\nlr = 0.1\nsteps = 4\n";
        assert_eq!(first_difference(recorded, "seed = 0\n[train]\nlr = 0.1\nsteps = 9\nworkers = 1\n"), None);
        let server =
            |url: &str, every: u64| format!("[rollout.sampler.server]\nbase_url = \"{url}\"\nevery = {every}\n");
        assert_eq!(first_difference(&server("http://a", 1), &server("http://b", 1)), None);
        assert!(first_difference(&server("http://a", 1), &server("http://a", 2)).is_some());
        let (key, a, b) = first_difference(recorded, "seed = 0\n[train]\nlr = 0.2\nsteps = 4\n").unwrap();
        assert_eq!((key.as_str(), a.as_str(), b.as_str()), ("train.lr", "0.1", "0.2"));
        let (key, _, b) = first_difference(recorded, "seed = 0\n").unwrap();
        assert_eq!((key.as_str(), b.as_str()), ("train", "absent"));
    }

    #[test]
    fn all_differing_keys_with_the_value_of_each() {
        let some = |text: &str| Some(text.to_owned());
        let a = "seed = 0\n[train]\nlr = 0.1\nsteps = 4\n[objective]\nsurrogate.policy_gradient.gate.clip = { low = 0.2 }\n";
        let b = "seed = 0\n[train]\nlr = 0.2\nsteps = 4\nbetas = [0.9, 0.99]\n";
        let got = differing_keys(&[Some(a), Some(b), None]);
        let expected = [
            ("objective.surrogate.policy_gradient.gate.clip.low", vec![some("0.2"), None, None]),
            ("seed", vec![some("0"), some("0"), None]),
            ("train.betas", vec![None, some("[0.9, 0.99]"), None]),
            ("train.lr", vec![some("0.1"), some("0.2"), None]),
            ("train.steps", vec![some("4"), some("4"), None]),
        ];
        assert_eq!(got, expected.map(|(key, values)| (key.to_owned(), values)));
        assert_eq!(differing_keys(&[Some(a), Some(a)]), []);
    }
}
