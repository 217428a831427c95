//! The head's memory is that of a block, not of rows times vocabulary.

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use cohort_kernels::{Asked, Head, HeadColumns, HeadGradients, HeadShape, Team, Weight};

/// The system's allocator, counting what is held and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that forward and backward hold at most beside their arguments and results.
fn most(team: Team, rows: usize, vocabulary: usize) -> usize {
    let shape = HeadShape { rows, width: 8, vocabulary };
    let (hidden, weight) = (vec![0.5; rows * 8], vec![0.25; vocabulary * 8]);
    let starts: Vec<usize> = (0..=rows).map(|row| 2 * row).collect();
    let ids = vec![3; 2 * rows];
    let (mut relative, mut columns) = (vec![0.0; 2 * rows], [0; 3].map(|_| vec![0.0; rows]));
    let (mut d_hidden, mut d_weight) = (hidden.clone(), weight.clone());
    let asked = Asked::Lists { ids: &ids, starts: &starts };
    let head = Head { hidden: &hidden, weight: Weight::from(&weight), asked, inverse_temperature: 1.0, shape };
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let [log_sum, entropy, log_sum_exp] = &mut columns;
    team.head_relative(head, HeadColumns { relative: &mut relative, log_sum, entropy, log_sum_exp });
    let gradients = HeadGradients { relative: &relative, log_sum, entropy, entropies: entropy, log_sum_exp };
    team.head_relative_backward(head, gradients, &mut d_hidden, Some(&mut d_weight));
    MOST.load(Ordering::Relaxed) - before
}

#[test]
fn the_head_holds_blocks() {
    for threads in [1, 2] {
        let team = Team::new(NonZeroUsize::new(threads).expect("not 0"));
        // What a thread keeps between calls is there from the first on.
        most(team, 1024, 8192);
        let (small, large) = (most(team, 1024, 8192), most(team, 4096, 16_384));
        // Eight times the logits, and no block more.
        assert!(large <= small + small / 8, "{threads} threads: {small} and {large} bytes");
        assert!(large < 4096 * 16_384 * 4 / 20, "{threads} threads: {large} bytes");
    }
}
