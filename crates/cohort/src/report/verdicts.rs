//! What the reward terms said, how long they took and what they cost, in words.

use cohort_train::account::{Account, Slow, TermAccount};
use serde::Serialize;

use super::ticks::{count, duration, short};

/// A row of the table of terms.
#[derive(Clone, Debug, Serialize)]
pub struct TermRow {
    term: String,
    /// Scored, abstained, timed out, failed.
    outcomes: [String; 4],
    /// A half, nine tenths and 99 in 100 took no longer, and the slowest.
    times: [String; 4],
    /// A bar a bucket: its height in percent of the highest, and its words.
    bars: Vec<Bar>,
    services: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Bar {
    height: String,
    words: String,
}

/// A verdict that took long.
#[derive(Clone, Debug, Serialize)]
pub struct SlowRow {
    term: String,
    place: String,
    time: String,
    outcome: String,
}

/// The terms, and the slowest verdicts of all of them.
pub fn tables(account: &Account) -> (Vec<TermRow>, Vec<SlowRow>) {
    let rows = account.0.iter().map(|(term, account)| row(term, account)).collect();
    let mut slow: Vec<(&String, &Slow)> =
        account.0.iter().flat_map(|(term, account)| account.slowest.iter().map(move |slow| (term, slow))).collect();
    slow.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
    let slow = slow.into_iter().take(5).map(|(term, slow)| SlowRow {
        term: term.clone(),
        place: format!("step {}, group {}, completion {}", slow.step, slow.slot, slow.episode),
        time: brief(slow.seconds),
        outcome: slow.outcome.clone(),
    });
    (rows, slow.collect())
}

fn row(term: &str, account: &TermAccount) -> TermRow {
    let TermAccount { scored, abstain, timeout, error, latency, slowest, services, .. } = account;
    let quantile = |q| latency.quantile(q).map_or_else(String::new, |bound| format!("\u{2264} {}", brief(bound)));
    let highest = latency.buckets().map(|(_, count)| count).max().unwrap_or(1);
    let bar = |(bound, n): (f64, u64)| Bar {
        height: format!("{:.0}", (100.0 * n as f64 / highest as f64).max(2.0)),
        words: format!("{} up to {}", count(n), brief(bound)),
    };
    let services = (!services.is_none()).then(|| {
        let mut words = vec![format!("{} requests", count(services.requests))];
        for (n, what) in [
            (services.retries, "of them again"),
            (services.cached, "answers from the cache"),
            (services.prompt_tokens, "prompt tokens"),
            (services.completion_tokens, "completion tokens"),
        ] {
            if n > 0 {
                words.push(format!("{} {what}", count(n)));
            }
        }
        if services.cost > 0.0 {
            words.push(format!("cost {}", short(services.cost)));
        }
        words.join(", ")
    });
    TermRow {
        term: term.to_owned(),
        outcomes: [*scored, *abstain, *timeout, *error].map(count),
        times: [
            quantile(0.5),
            quantile(0.9),
            quantile(0.99),
            slowest.first().map_or_else(String::new, |slow| brief(slow.seconds)),
        ],
        bars: latency.buckets().map(bar).collect(),
        services,
    }
}

/// A time that may be short.
fn brief(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{} \u{b5}s", short(s * 1e6)),
        s if s < 1.0 => format!("{} ms", short(s * 1e3)),
        s if s < 60.0 => format!("{} s", short(s)),
        s => duration(s),
    }
}

#[cfg(test)]
mod tests {
    use cohort_core::{Facts, Outcome};
    use cohort_env::Asked;
    use cohort_train::account::Judged;

    use super::*;

    #[test]
    fn terms_and_their_slowest_verdicts_are_shown() {
        let mut account = Account::default();
        for i in 0..10u32 {
            let outcome = if i == 9 { Outcome::Timeout } else { Outcome::scored(1.0) };
            let asked = Some(Asked { requests: 1, prompt_tokens: 1000, cost: 0.25, ..Asked::default() });
            account.enter(
                "ask",
                2,
                1,
                i as usize,
                &Judged { outcome, seconds: f64::from(i + 1) * 0.1, asked, facts: Facts::default() },
            );
        }
        let judged = Judged { outcome: Outcome::Abstain, seconds: 2e-6, asked: None, facts: Facts::default() };
        account.enter("form", 2, 1, 0, &judged);
        let (rows, slow) = tables(&account);
        assert_eq!(rows[0].outcomes, ["9", "0", "1", "0"]);
        assert_eq!(rows[0].times[3], "1.00 s");
        assert!(rows[0].services.as_deref().unwrap().ends_with("cost 2.50"), "{:?}", rows[0].services);
        assert_eq!((rows[1].outcomes[1].as_str(), &rows[1].services), ("1", &None));
        assert_eq!(slow.len(), 5);
        assert_eq!((slow[0].place.as_str(), slow[0].outcome.as_str()), ("step 2, group 1, completion 9", "timeout"));
    }
}
