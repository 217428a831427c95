//! Laws of rollout strategies, over a sampler whose distribution is a function of what stands before.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cohort_core::{
    Action, Alternative, Author, Context, Controls, Decoding, Group, GroupKey, PolicyError, Request, Rows, Sample,
    Sampler, SingleTurn, StopReason, Stream, Turns,
};
use cohort_rollout::{
    Ask, BranchAt, Branching, Carry, Desk, Exits, Explained, Fill, HintConfig, Independent, Phrase, Prompt, Prune,
    Round, Rounds, ScoredUnder, Strategy, StrategyConfig, Tree, TreeConfig,
};

const VOCABULARY: usize = 8;
/// Ends a sample.
const END: u32 = 7;
/// The id that is the text `|`.
const MARK: u32 = 6;

/// Draws from a distribution that is a function of all ids before; counts what it drew.
#[derive(Default)]
struct Toy {
    drawn: AtomicUsize,
    most_requests: AtomicUsize,
}

impl Toy {
    /// Logits of what comes after these ids: spread, with a few ids ahead of the others.
    fn logp(before: &[u32]) -> Vec<f64> {
        let hash = before
            .iter()
            .fold(17u64, |h, &id| (h ^ u64::from(id) ^ 0x9e37).wrapping_mul(0x0100_0000_01b3).rotate_left(7));
        let logit = |id: usize| ((hash >> (5 * id)) & 31) as f64 / 12.0 - if id as u32 == END { 1.5 } else { 0.0 };
        let all: Vec<f64> = (0..VOCABULARY).map(logit).collect();
        let log_sum = all.iter().map(|l| l.exp()).sum::<f64>().ln();
        all.into_iter().map(|l| l - log_sum).collect()
    }

    fn one(&self, request: &Request) -> Sample {
        let controls = &request.controls;
        let mut before = request.context.as_tokens().unwrap().to_vec();
        let mut sample = Sample {
            sampled_under: request.context.clone(),
            scored_under: None,
            actions: Vec::new(),
            behaviour: Rows::default(),
            truncated_logp: None,
            alternatives: (controls.alternatives > 0).then(Vec::new),
            mixtures: None,
            policy_version: 0,
            stop: StopReason::Length,
        };
        for position in 0..controls.max_actions {
            let logp = Self::logp(&before);
            let mut order: Vec<u32> = (0..VOCABULARY as u32).collect();
            order.sort_by(|&a, &b| logp[b as usize].total_cmp(&logp[a as usize]));
            let id = match controls.decoding {
                Decoding::Greedy => order[0],
                Decoding::Temperature(_) => {
                    let mut left = request.dice.uniform(position);
                    let drawn = (0..VOCABULARY).find(|&id| {
                        left -= logp[id].exp();
                        left < 0.0
                    });
                    drawn.unwrap_or(0) as u32
                }
            };
            self.drawn.fetch_add(1, Ordering::Relaxed);
            if let Some(column) = &mut sample.alternatives {
                let of = |&id: &u32| Alternative { id, logp: logp[id as usize] as f32 };
                column.push(order.iter().take(controls.alternatives).map(of).collect());
            }
            sample.actions.push(Action::sampled(id));
            sample.behaviour.logp.push(logp[id as usize]);
            sample.behaviour.entropy.push(-logp.iter().map(|l| l * l.exp()).sum::<f64>());
            before.push(id);
            if id == END {
                sample.stop = StopReason::End(END);
                break;
            }
            if let Some(at) = controls.stop_texts.iter().position(|text| text == "|" && id == MARK) {
                sample.stop = StopReason::Text(at as u32);
                break;
            }
        }
        sample
    }
}

impl Sampler for Toy {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        self.most_requests.fetch_max(requests.len(), Ordering::Relaxed);
        Ok(requests.iter().map(|request| self.one(request)).collect())
    }

    fn position_limit(&self) -> Option<usize> {
        None
    }
}

fn prompts(count: u64) -> Vec<Prompt> {
    let of = |key: u64| Prompt {
        key: GroupKey(key),
        slot: key as u32,
        context: Context::of_tokens([1, 2, 3, key as u32 % 5]),
        scored: None,
    };
    (0..count).map(of).collect()
}

fn ask() -> Ask {
    let controls = Controls { stop: vec![END], ..Controls::new(Decoding::Temperature(1.0), 24) };
    Ask { controls: Arc::new(controls), stream: Stream::new(5, "test"), step: 3 }
}

fn members(group_size: usize) -> Independent {
    Independent { group_size, max_turns: 8 }
}

fn exits() -> Exits {
    Exits { group_size: 5, ends_with: "|".to_owned(), say: Phrase::Same(vec![4, MARK]), answer_tokens: 6 }
}

fn tree() -> Tree {
    let config = TreeConfig {
        share: vec![(0, 1.0), (2, 0.75), (100, 0.0)],
        top: 3,
        branch_at: BranchAt::Uncertain { above: 0.05, within: 0.3 },
        prune: Some(Prune { ages: vec![3, 5], below: 0.5 }),
        until: 16,
    };
    Tree { config, members: members(8) }
}

fn explained() -> Explained {
    Explained { members: members(3), ask: Phrase::Same(vec![5, 5]), count: 2, cap: 24 }
}

fn rounds(carry: Carry) -> Rounds {
    let first = Round { say: Vec::new(), carry: Carry::All, stop: vec!["|".to_owned()], max_actions: Some(6) };
    Rounds { rounds: vec![first, Round { say: vec![0, 0], carry, stop: Vec::new(), max_actions: Some(9) }] }
}

type Case = (&'static str, Box<dyn Strategy>, Box<dyn Turns>);

fn all() -> Vec<Case> {
    vec![
        ("independent", Box::new(members(4)), Box::new(SingleTurn)),
        ("rounds", Box::new(members(4)), Box::new(rounds(Carry::All))),
        ("branching", Box::new(Branching { widths: vec![3, 2] }), Box::new(rounds(Carry::Latest))),
        ("exits", Box::new(exits()), Box::new(SingleTurn)),
        ("tree", Box::new(tree()), Box::new(SingleTurn)),
        ("explained", Box::new(explained()), Box::new(SingleTurn)),
    ]
}

fn roll(strategy: &dyn Strategy, turns: &dyn Turns, prompts: &[Prompt]) -> (Vec<Group>, Toy) {
    let toy = Toy::default();
    let groups = strategy.roll(prompts, &ask(), Desk { sampler: &toy, turns }).unwrap();
    (groups, toy)
}

/// The behaviour rows are those of the distribution under context and actions before, and what nobody drew has a row of 0.
#[test]
fn every_action_has_the_row_that_it_was_drawn_with() {
    for (name, strategy, turns) in all() {
        for sample in roll(strategy.as_ref(), turns.as_ref(), &prompts(6)).0.iter().flat_map(Group::samples) {
            assert_eq!(sample.behaviour.len(), sample.actions.len(), "{name}");
            let mut before = sample.sampled_under.as_tokens().unwrap().to_vec();
            for (action, (logp, entropy)) in
                sample.actions.iter().zip(sample.behaviour.logp.iter().zip(&sample.behaviour.entropy))
            {
                let all = Toy::logp(&before);
                let id = action.token().unwrap();
                match action.author {
                    Author::Policy => assert!((logp - all[id as usize]).abs() < 1e-6, "{name}: {logp} of {all:?}"),
                    Author::Environment => assert_eq!((*logp, *entropy), (0.0, 0.0), "{name}"),
                    Author::Injected => panic!("{name}: what nobody drew would be trained"),
                }
                before.push(id);
            }
            if let StopReason::End(id) = sample.stop {
                assert_eq!(sample.actions.last().and_then(Action::token), Some(id), "{name}");
            }
        }
    }
}

#[test]
fn every_drawn_token_is_counted_once() {
    for (name, strategy, turns) in all() {
        let (groups, toy) = roll(strategy.as_ref(), turns.as_ref(), &prompts(6));
        let counted: u64 = groups.iter().map(|group| group.cost().sampled_actions).sum();
        // A branch of a tree begins with a token that was looked up and not drawn.
        let number = |group: &Group, name: &str| group.facts.number(name).unwrap_or(0.0) as u64;
        let begun: u64 = groups.iter().map(|g| (number(g, "branches") + number(g, "pruned")).saturating_sub(1)).sum();
        assert_eq!(counted, toy.drawn.load(Ordering::Relaxed) as u64 + begun, "{name}");
    }
}

#[test]
fn a_group_does_not_depend_on_the_others() {
    for (name, strategy, turns) in all() {
        let prompts = prompts(6);
        let together = roll(strategy.as_ref(), turns.as_ref(), &prompts).0;
        let apart = prompts.chunks(1).flat_map(|one| roll(strategy.as_ref(), turns.as_ref(), one).0);
        assert_eq!(together, apart.collect::<Vec<_>>(), "{name}");
        for (group, prompt) in together.iter().zip(&prompts) {
            assert_eq!(group.key, prompt.key, "{name}");
            assert!((1..=strategy.group_size()).contains(&group.episodes.len()), "{name}");
        }
    }
}

#[test]
fn chains_share_the_plan_that_they_follow() {
    let branching = Branching { widths: vec![3, 2] };
    for carry in [Carry::All, Carry::Latest] {
        for group in roll(&branching, &rounds(carry), &prompts(4)).0 {
            assert_eq!(group.episodes.len(), 6);
            for (index, episode) in group.episodes.iter().enumerate() {
                assert_eq!(episode.facts.number("node_0"), Some((index / 2) as f64));
                assert_eq!(episode.facts.number("node_1"), Some(index as f64));
                let [plan, chain] = episode.samples.as_slice() else { panic!("two turns") };
                assert_eq!(*plan, group.episodes[index / 2 * 2].samples[0], "the plan is the same sample");
                assert!(plan.actions.iter().all(|a| a.segment == 0) && chain.actions.iter().all(|a| a.segment == 1));
                let mut before = plan.sampled_under.as_tokens().unwrap().to_vec();
                before.extend(plan.tokens().filter(|&id| id != END));
                before.extend([0, 0]);
                assert_eq!(chain.sampled_under.as_tokens().unwrap(), before);
                let own = if index % 2 == 0 { plan.actions.len() } else { 0 } + chain.actions.len();
                assert_eq!(episode.cost.sampled_actions, own as u64);
            }
            let plans: std::collections::BTreeSet<Vec<u32>> =
                group.episodes.iter().map(|e| e.samples[0].tokens().collect()).collect();
            assert!(plans.len() > 1, "plans have dice of their own");
        }
    }
}

#[test]
fn a_bounded_context_forgets_the_rounds_before_the_last() {
    let mut three = rounds(Carry::Latest);
    three.rounds.push(Round { say: vec![4], carry: Carry::Latest, stop: Vec::new(), max_actions: Some(3) });
    let (groups, _) = roll(&members(3), &three, &prompts(3));
    for episode in groups.iter().flat_map(|g| &g.episodes) {
        let [first, second, third] = episode.samples.as_slice() else { panic!("three rounds") };
        let mut before = first.sampled_under.as_tokens().unwrap().to_vec();
        before.extend(second.tokens().filter(|&id| id != END));
        before.push(4);
        assert_eq!(third.sampled_under.as_tokens().unwrap(), before);
    }
}

#[test]
fn exits_are_prefixes_of_one_chain_in_rising_order() {
    let mut short = 0;
    for group in roll(&exits(), &SingleTurn, &prompts(8)).0 {
        let whole = group.episodes.last().unwrap();
        let chain: Vec<u32> = whole.samples[0].tokens().collect();
        let positions: Vec<usize> =
            group.episodes.iter().map(|e| e.facts.number("position").unwrap() as usize).collect();
        assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
        for (episode, &position) in group.episodes.iter().zip(&positions) {
            let sample = &episode.samples[0];
            let tokens: Vec<u32> = sample.tokens().collect();
            assert_eq!(tokens[..position], chain[..position]);
            if position < *positions.last().unwrap() {
                assert_eq!(tokens[position..position + 2], [4, MARK]);
                let authors: Vec<Author> = sample.actions[position..position + 2].iter().map(|a| a.author).collect();
                assert_eq!(authors, [Author::Environment; 2]);
                assert!(tokens.len() > position + 2, "an answer follows");
            }
        }
        // Short only where the chain is.
        let length = *positions.last().unwrap();
        assert_eq!(group.episodes.len(), 5.min(length));
        short += usize::from(length < 5);
    }
    assert!(short < 8, "some chains are long");
}

#[test]
fn a_tree_holds_no_more_than_its_share_and_loses_what_left_a_pruned_branch() {
    let tree = tree();
    let (mut branched, mut pruned) = (0, 0);
    for prompt in prompts(12) {
        let (groups, toy) = roll(&tree, &SingleTurn, std::slice::from_ref(&prompt));
        let group = &groups[0];
        // Three quarters of eight at step 3, and never more in one call.
        let branches = group.facts.number("branches").unwrap() as usize;
        assert!(branches <= 6, "{branches}");
        assert!(toy.most_requests.load(Ordering::Relaxed) <= 8);
        assert_eq!(group.episodes.len(), 8);
        let number = |name: &str| group.episodes[..branches].iter().map(|e| e.facts.number(name)).collect::<Vec<_>>();
        let (names, parents, born) = (number("branch"), number("parent"), number("born"));
        for (i, parent) in parents.iter().enumerate() {
            let Some(parent) = parent else { continue };
            let at = names.iter().position(|name| *name == Some(*parent)).expect("the parent is alive");
            let [own, other]: [Vec<u32>; 2] = [i, at].map(|e| group.episodes[e].samples[0].tokens().collect());
            let born = born[i].unwrap() as usize;
            assert_eq!(own[..born], other[..born]);
            assert_ne!(own[born], other[born]);
        }
        assert!(group.episodes[branches..].iter().all(|e| e.facts.get("branch").is_none()));
        branched += branches - 1;
        pruned += group.facts.number("pruned").unwrap() as usize;
    }
    assert!(branched > 0 && pruned > 0, "{branched} branched, {pruned} were pruned");
}

#[test]
fn a_tree_of_no_share_is_independent_sampling() {
    let mut plain = tree();
    plain.config.share = vec![(0, 1.0), (3, 0.0)];
    assert_eq!(roll(&plain, &SingleTurn, &prompts(3)).0, roll(&members(8), &SingleTurn, &prompts(3)).0);
}

#[test]
fn explanations_are_trained_under_the_plain_prompt() {
    let (groups, _) = roll(&explained(), &SingleTurn, &prompts(10));
    let plain = roll(&members(3), &SingleTurn, &prompts(10)).0;
    let mut kept = 0;
    for ((group, plain), prompt) in groups.iter().zip(&plain).zip(prompts(10)) {
        assert_eq!(group.episodes, plain.episodes, "the members are what they are without");
        assert_eq!(group.facts.number("explanations"), Some(group.auxiliary.len() as f64));
        for auxiliary in &group.auxiliary {
            let sample = &auxiliary.sample;
            assert!(sample.sampled_under.as_tokens().unwrap().ends_with(&[5, 5]));
            assert_eq!(sample.scored_under, Some(prompt.context.clone()));
            assert!(!sample.stop.is_truncated());
            kept += 1;
        }
    }
    assert!(kept > 0);
}

/// Ids of digits; a template is its own text.
struct Digits;

impl Fill for Digits {
    type Error = String;

    fn fill(&self, key: &'static str, source: &str, _: usize) -> Result<Phrase, String> {
        let ids = source.chars().map(|c| c.to_digit(10).ok_or(format!("{key}: {c}")));
        Ok(Phrase::Same(ids.collect::<Result<_, _>>()?))
    }
}

#[test]
fn a_hint_stands_behind_the_prompt_at_its_level() {
    let parse = |text: &str| serde_json::from_str::<HintConfig>(text).unwrap();
    let config = parse(r#"{"levels": {"texts": ["4", "44"]}, "scored": "plain"}"#);
    assert_eq!((config.levels(), config.check()), (2, Ok(())));
    let hints = config.build(8, &Digits).unwrap();
    let toy = Toy::default();
    let hinted = hints.hinted(&prompts(3), &[0, 1, 2], &ask(), &toy).unwrap();
    for ((prompt, cost), (plain, tail)) in hinted.iter().zip(prompts(3).iter().zip([vec![], vec![4], vec![4, 4]])) {
        let mut expected = plain.context.as_tokens().unwrap().to_vec();
        expected.extend(&tail);
        assert_eq!(prompt.context.as_tokens().unwrap(), expected);
        assert_eq!(prompt.scored, (!tail.is_empty()).then(|| plain.context.clone()));
        assert_eq!(*cost, cohort_core::Cost::default());
    }

    let written =
        parse(r#"{"levels": {"written": {"asks": ["5"], "before": "0", "after": "1", "max_new_tokens": 4}}}"#);
    assert_eq!(written.scored, ScoredUnder::Hinted);
    let hints = written.build(8, &Digits).unwrap();
    let hinted = hints.hinted(&prompts(2), &[1, 0], &ask(), &toy).unwrap();
    let (prompt, cost) = &hinted[0];
    let ids = prompt.context.as_tokens().unwrap();
    assert_eq!((ids[4], ids[ids.len() - 1]), (0, 1));
    assert_eq!(cost.sampled_actions, toy.drawn.load(Ordering::Relaxed) as u64);
    assert!(cost.sampled_actions > 0);
    assert_eq!((&hinted[1].0.context, &hinted[1].0.scored), (&prompts(2)[1].context, &None));

    // A hint that gives the answer away is no hint.
    let said: Vec<u32> = ids[5..ids.len() - 1].to_vec();
    let leak = format!(
        r#"{{"levels": {{"written": {{"asks": ["5"], "before": "0", "after": "1", "max_new_tokens": 4, "leak": "{}"}}}}}}"#,
        said[0]
    );
    let hinted = parse(&leak).build(8, &Digits).unwrap().hinted(&prompts(1), &[1], &ask(), &toy).unwrap();
    assert_eq!(hinted[0].0.context, prompts(1)[0].context);
    assert!(hinted[0].1.sampled_actions > 0, "it was paid for");
}

#[test]
fn what_does_not_go_together_is_named() {
    let parse = |text: &str| serde_json::from_str::<StrategyConfig>(text).unwrap();
    let fault = |text: &str, group_size, rounds, temperature| {
        parse(text).check(group_size, rounds, temperature).unwrap_err().key
    };
    assert_eq!(parse(r#"{"branching": {"widths": [3, 3]}}"#).check(9, 2, 1.0), Ok(()));
    assert_eq!(fault(r#"{"branching": {"widths": [3, 3]}}"#, 8, 2, 1.0), "branching.widths");
    assert_eq!(fault(r#"{"branching": {"widths": [3, 3]}}"#, 9, 0, 1.0), "branching.widths");
    let exits = r#"{"exits": {"ends_with": "|", "say": "|", "answer_tokens": 4}}"#;
    assert_eq!(parse(exits).check(8, 0, 1.0), Ok(()));
    assert_eq!(fault(exits, 8, 2, 1.0), "exits");
    assert_eq!(fault(exits, 1, 0, 1.0), "exits");
    let tree =
        |more: &str| format!(r#"{{"tree": {{"branch_at": {{"random": {{"rate": 0.1}}}}, "until": 8, {more}}}}}"#);
    assert_eq!(parse(&tree(r#""share": [[0, 1.0]]"#)).check(8, 0, 1.0), Ok(()));
    assert_eq!(fault(&tree(r#""share": [[0, 1.0]]"#), 8, 0, 0.7), "tree.share");
    assert_eq!(fault(&tree(r#""share": [[4, 1.0], [2, 0.5]]"#), 8, 0, 1.0), "tree.share");
    assert_eq!(fault(&tree(r#""share": [[0, 1.0]], "prune": {"ages": [], "below": 0.5}"#), 8, 0, 1.0), "tree.prune");
    assert_eq!(fault(r#"{"explained": {"ask": ""}}"#, 8, 0, 1.0), "explained.ask");
}
