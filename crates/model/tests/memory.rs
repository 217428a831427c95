//! What a training pass holds, counted by an allocator: it does not grow with what must never stand in memory.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    num::NonZeroUsize,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use cohort_core::{
    Activations, Against, Context, Execution, Gradient, Policy, RowGradients, RowSpec, Rows, Sample, Stream,
};
use cohort_model::{Architecture, Blueprint, TextPolicy};

const SPEC: RowSpec = RowSpec::at(0.9);

/// The system's allocator, with a count of the bytes that are out and of the most that ever were.
struct Counting;

static OUT: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    MOST.fetch_max(OUT.fetch_add(bytes, Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "an allocator that counts is unsafe by its trait; each call goes to the system's")]
// SAFETY: every method hands its arguments to `System` unchanged and returns what that returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise for `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promise for `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        OUT.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise for `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        OUT.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise for `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time: the count is of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const KEEP: Execution = Execution { activations: Activations::Keep, threads: NonZeroUsize::MIN };
const RECOMPUTE: Execution = Execution { activations: Activations::Recompute, threads: NonZeroUsize::MIN };

fn policy(layers: usize, vocabulary: usize) -> TextPolicy {
    let blueprint = Blueprint {
        vocabulary,
        width: 64,
        layers,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 16,
        inner: 192,
        experts: None,
        positions: 128,
        rope_theta: 1e4,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![1],
        pad_id: None,
    };
    let architecture = Architecture::new(&blueprint).expect("a possible architecture");
    TextPolicy::new(architecture, Vec::new(), Stream::new(3, "init")).expect("a policy")
}

/// `sequences` of 1 given and 64 chosen tokens.
fn samples(sequences: usize) -> Vec<Sample> {
    let ids = |from: usize| (0..64).map(|i| ((from * 31 + i * 7) % 100) as u32).collect::<Vec<u32>>();
    (0..sequences).map(|i| Sample::given(Context::of_tokens([i as u32]), &ids(i))).collect()
}

fn pass(policy: &TextPolicy, samples: &[Sample], execution: Execution) -> Gradient {
    let all: Vec<&Sample> = samples.iter().collect();
    let (rows, tape) = policy.forward_by(&all, RowSpec::at(0.9), execution).expect("a pass");
    let gradients: Vec<RowGradients> = rows
        .iter()
        .enumerate()
        .map(|(i, rows)| RowGradients {
            logp: (0..rows.len()).map(|j| ((i * 7 + j) % 11) as f64 / 10.0 - 0.5).collect(),
            entropy: Some(vec![0.01; rows.len()]),
            ..RowGradients::default()
        })
        .collect();
    tape.backward(&gradients)
}

/// The most bytes that a pass has out beyond what was out before, without its gradient.
fn peak(policy: &TextPolicy, sequences: usize, execution: Execution) -> usize {
    let samples = samples(sequences);
    let _warm = pass(policy, &samples[..1], execution);
    let before = OUT.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let gradient = pass(policy, &samples, execution);
    let bytes: usize = gradient.0.iter().map(|values| size_of_val(values.as_slice())).sum();
    (MOST.load(Ordering::Relaxed) - before).saturating_sub(bytes)
}

#[test]
fn no_way_to_run_a_pass_changes_a_bit() {
    let _alone = alone();
    let (policy, samples) = (policy(3, 3000), samples(10));
    let expected = pass(&policy, &samples, KEEP);
    assert!(expected.norm() > 0.0);
    for activations in [Activations::Keep, Activations::Recompute] {
        for threads in [1, 2, 3, 5] {
            let threads = NonZeroUsize::new(threads).expect("not 0");
            assert!(
                pass(&policy, &samples, Execution { activations, threads }) == expected,
                "{activations:?} {threads}"
            );
        }
    }
}

#[test]
fn recomputed_activations_do_not_grow_with_layers_times_tokens() {
    let _alone = alone();
    let sequences = 16;
    let tokens = 64 * sequences;
    let (shallow, deep) = (policy(2, 200), policy(10, 200));
    let growth = |execution| peak(&deep, sequences, execution) - peak(&shallow, sequences, execution);
    let (kept, recomputed) = (growth(KEEP), growth(RECOMPUTE));
    // What goes into each of eight layers has to stay.
    let inputs = 8 * tokens * 64 * 4;
    assert!(recomputed < inputs + inputs / 2, "{recomputed} bytes for {inputs} of inputs");
    assert!(kept > 6 * recomputed, "kept {kept}, recomputed {recomputed}");
}

#[test]
fn the_head_does_not_grow_with_vocabulary_times_tokens() {
    let _alone = alone();
    let (small, large) = (policy(1, 1000), policy(1, 32_000));
    for execution in [KEEP, RECOMPUTE] {
        let sequences = 32;
        let (few, many) = (peak(&small, sequences, execution), peak(&large, sequences, execution));
        let logits = 64 * sequences * 32_000 * 4;
        assert!(many < few + logits / 20, "{few} and {many} bytes; all logits would be {logits}");
    }
}

/// The exact divergence from a reference, too, is made of tiles.
#[test]
fn a_divergence_does_not_grow_with_vocabulary_times_tokens() {
    let _alone = alone();
    let sequences = 32;
    let most = |policy: &TextPolicy| {
        let samples = samples(sequences);
        let all: Vec<&Sample> = samples.iter().collect();
        let before = OUT.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let reference = Some(policy.distributions(&all, SPEC).expect("distributions"));
        let against = Against { reference, ..Against::default() };
        let (rows, tape) = policy.forward_against(&all, SPEC, KEEP, &against).expect("a pass");
        let ones = |rows: &Rows| RowGradients {
            logp: vec![1.0; rows.len()],
            kl_ref: Some(vec![0.5; rows.len()]),
            ..RowGradients::default()
        };
        let gradient = tape.backward(&rows.iter().map(ones).collect::<Vec<_>>());
        let bytes: usize = gradient.0.iter().map(|values| size_of_val(values.as_slice())).sum();
        (MOST.load(Ordering::Relaxed) - before).saturating_sub(bytes)
    };
    let (few, many) = (most(&policy(1, 1000)), most(&policy(1, 32_000)));
    let logits = 64 * sequences * 32_000 * 4;
    assert!(many < few + logits / 20, "{few} and {many} bytes; all logits would be {logits}");
}

#[test]
fn the_footprint_is_what_a_pass_takes() {
    let _alone = alone();
    let (policy, sequences) = (policy(6, 200), 16);
    let tokens = 64 * sequences as u64;
    let footprint = policy.footprint().expect("a text policy says");
    // The head is let go of before layers go back.
    let kept = tokens * (footprint.kept_token + footprint.backward_token);
    let recomputed = tokens * (footprint.recomputed_token + footprint.layer_token + footprint.backward_token);
    for (planned, execution) in [(kept, KEEP), (recomputed, RECOMPUTE)] {
        let measured = peak(&policy, sequences, execution) as f64;
        let ratio = planned as f64 / measured;
        assert!((0.9..1.4).contains(&ratio), "{planned} planned, {measured} measured, {execution:?}");
    }
}
