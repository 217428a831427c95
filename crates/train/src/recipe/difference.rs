//! Whether two resolved recipes are of one run.

use toml::{Table, Value};

/// Keys that may differ between the parts of one run, because they change no number of a step:
/// the number of workers, and how long it goes on.
const FREE: [&str; 2] = ["train.workers", "train.steps"];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_key_is_named() {
        let recorded = "seed = 0\n[train]\nlr = 0.1\nsteps = 4\n";
        assert_eq!(first_difference(recorded, "seed = 0\n[train]\nlr = 0.1\nsteps = 9\nworkers = 1\n"), None);
        let (key, a, b) = first_difference(recorded, "seed = 0\n[train]\nlr = 0.2\nsteps = 4\n").unwrap();
        assert_eq!((key.as_str(), a.as_str(), b.as_str()), ("train.lr", "0.1", "0.2"));
        let (key, _, b) = first_difference(recorded, "seed = 0\n").unwrap();
        assert_eq!((key.as_str(), b.as_str()), ("train", "absent"));
    }
}
