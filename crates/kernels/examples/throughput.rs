//! Prints how fast the kernels run on this machine: GFLOP/s of the products, microseconds of the rest, and how much faster
//! teams of threads are. An argument (`linear`, `bf16`, `rows`, `attention`, `head`, `team`) prints that section alone.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Instant;

use cohort_kernels::*;
use half::bf16;

/// The best of a few rounds, in seconds a call; each round lasts about 20 ms.
fn seconds(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    f();
    let calls = (0.02 / start.elapsed().as_secs_f64().max(1e-9)).ceil().min(1e6) as usize;
    (0..5)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..calls {
                f();
            }
            start.elapsed().as_secs_f64() / calls as f64
        })
        .fold(f64::INFINITY, f64::min)
}

/// Numbers in `[-0.5, 0.5)`, the same in every run.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(step).collect()
}

fn linear_rows() {
    println!("linear, GFLOP/s: rows x (inputs -> outputs): forward, forward transposed, grad input, grad weight");
    for (inputs, outputs) in [(256, 768), (256, 512), (768, 256), (512, 2048)] {
        let weight = numbers(inputs * outputs);
        let mut transposed = vec![0.0; weight.len()];
        transpose_weight(&weight, inputs, outputs, &mut transposed);
        for rows in [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096] {
            let shape = LinearShape { rows, inputs, outputs };
            let (x, d_out) = (numbers(rows * inputs), numbers(rows * outputs));
            let (mut out, mut d_x, mut d_weight) = (d_out.clone(), x.clone(), weight.clone());
            let rate = |seconds: f64| 2e-9 * (rows * inputs * outputs) as f64 / seconds;
            let forward = rate(seconds(|| linear(&x, black_box(&weight), None, shape, &mut out)));
            let fast = rate(seconds(|| linear_transposed(&x, black_box(&transposed), None, shape, &mut out)));
            let grad_input = rate(seconds(|| linear_grad_input(black_box(&d_out), &weight, shape, &mut d_x)));
            let grad_weight = rate(seconds(|| linear_grad_weight(black_box(&d_out), &x, shape, &mut d_weight)));
            println!("{rows:5} x ({inputs} -> {outputs}) {forward:7.1} {fast:7.1} {grad_input:7.1} {grad_weight:7.1}");
        }
    }
}

/// Ways to multiply with a weight at the sizes of Qwen2.5-0.5B, in GFLOP/s.
fn bf16_rows() {
    println!("GFLOP/s, with {}bf16 dot products:", if has_dot_products() { "" } else { "no " });
    println!(
        "f32, f32 transposed once, bf16 widened, bf16 x bf16 packed once, its ratio to the best in f32, its gradients"
    );
    for (inputs, outputs) in [(256, 128), (256, 768), (768, 256), (896, 896), (896, 4864), (4864, 896)] {
        let weight = numbers(inputs * outputs);
        let mut transposed = vec![0.0; weight.len()];
        transpose_weight(&weight, inputs, outputs, &mut transposed);
        let half: Vec<bf16> = weight.iter().map(|&x| bf16::from_f32(x)).collect();
        let packed = PackedBf16::new(&weight, inputs, outputs);
        for rows in [1, 4, 16, 64, 256, 1024] {
            let shape = LinearShape { rows, inputs, outputs };
            let (x, mut out) = (numbers(rows * inputs), vec![0.0; rows * outputs]);
            let rate = |seconds: f64| 2e-9 * (rows * inputs * outputs) as f64 / seconds;
            let single = rate(seconds(|| linear(black_box(&x), &weight, None, shape, &mut out)));
            let once = rate(seconds(|| linear_transposed(black_box(&x), &transposed, None, shape, &mut out)));
            let widened = rate(seconds(|| linear(black_box(&x), &half, None, shape, &mut out)));
            let rounded = Weight::rounded(Matrix::from(&weight), &packed);
            let dots = rate(seconds(|| linear(black_box(&x), rounded, None, shape, &mut out)));
            let ratio = dots / single.max(once);
            let (d_out, mut d_x, mut d_weight) = (numbers(rows * outputs), x.clone(), weight.clone());
            let grad_input = rate(seconds(|| linear_grad_input(black_box(&d_out), rounded, shape, &mut d_x)));
            let grad_weight = rate(seconds(|| {
                linear_grad_weight_by(Arithmetic::Bf16, black_box(&d_out), &x, shape, &mut d_weight);
            }));
            println!(
                "{rows:5} x ({inputs} -> {outputs}) {single:7.1} {once:7.1} {widened:7.1} {dots:7.1} {ratio:6.2} {grad_input:7.1} {grad_weight:7.1}"
            );
        }
    }
}

fn row_kernels() {
    println!("microseconds: forward, backward");
    let print = |name: &str, forward: f64, backward: f64| {
        println!("{name:45} {:9.2} {:9.2}", forward * 1e6, backward * 1e6);
    };
    for (rows, width) in [(1, 256), (1024, 256), (8192, 64)] {
        let (x, weight, d_out) = (numbers(rows * width), numbers(width), numbers(rows * width));
        let (mut out, mut d_weight) = (x.clone(), weight.clone());
        let forward = seconds(|| rms_norm(black_box(&x), &weight, 1e-6, &mut out));
        let backward = seconds(|| rms_norm_backward(&x, &weight, 1e-6, black_box(&d_out), &mut out, &mut d_weight));
        print(&format!("rms_norm {rows} x {width}"), forward, backward);
    }
    let table = RopeTable::new(&(0..32).map(|i| 10_000f64.powf(-f64::from(i) / 32.0)).collect::<Vec<_>>(), 1024, 1.0);
    let positions: Vec<u32> = (0..1024).collect();
    let mut x = numbers(1024 * 256);
    let forward = seconds(|| rope(black_box(&mut x), &positions, 4, 64, &table));
    let backward = seconds(|| rope_backward(black_box(&mut x), &positions, 4, 64, &table));
    print("rope 1024 x 4 x 64", forward, backward);
    let count = 1024 * 768;
    let (gate, up, d_out) = (numbers(count), numbers(count), numbers(count));
    let (mut out, mut d_up) = (gate.clone(), gate.clone());
    let forward = seconds(|| swiglu(black_box(&gate), &up, &mut out));
    let backward = seconds(|| swiglu_backward(black_box(&gate), &up, &d_out, &mut out, &mut d_up));
    print("swiglu 1024 x 768", forward, backward);
    let mut weights = numbers(3_200_000);
    let (gradient, mut first, mut second) = (weights.clone(), weights.clone(), vec![1.0; weights.len()]);
    let config = AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, step: 3 };
    let update = seconds(|| adamw(black_box(&mut weights), &gradient, 1.0, &mut first, &mut second, &config));
    print("adamw 3.2 M", update, 0.0);
}

fn attention_rows() {
    let shape = AttentionShape { query_heads: 4, kv_heads: 2, head_dim: 64, window: None };
    for (sequences, length) in [(32, 32), (8, 128), (2, 512), (1, 1000)] {
        let tokens = sequences * length;
        let (q, k, v) = (numbers(tokens * 256), numbers(tokens * 128), numbers(tokens * 128));
        let starts: Vec<usize> = (0..=sequences).map(|i| i * length).collect();
        let (mut out, mut d_q, mut d_k, mut d_v) = (q.clone(), q.clone(), k.clone(), v.clone());
        let forward = seconds(|| attention(black_box(&q), &k, &v, &starts, shape, &mut out));
        let backward = seconds(|| {
            attention_backward(black_box(&q), &k, &v, &starts, shape, &out, &mut d_q, &mut d_k, &mut d_v);
        });
        // Two products of the lower triangle, and five.
        let flops = 2.0 * (sequences * length * (length + 1) * 256) as f64;
        println!(
            "attention {sequences} x {length}: {:.1} us ({:.1} GFLOP/s), backward {:.1} us ({:.1} GFLOP/s)",
            forward * 1e6,
            flops / forward / 1e9,
            backward * 1e6,
            2.5 * flops / backward / 1e9
        );
        let mut cache = KvCache::new(shape, length);
        cache.extend(&k[..length * 128], &v[..length * 128]);
        let (mut scratch, mut row) = (Vec::new(), vec![0.0; 256]);
        let one = seconds(|| attend(black_box(&q[..256]), &cache, shape, &mut scratch, &mut row));
        println!("attend over {length}: {:.2} us ({:.1} GFLOP/s)", one * 1e6, 1024.0 * length as f64 / one / 1e9);
    }
}

fn head() {
    for (rows, width, vocabulary) in [(2048, 256, 512), (64, 256, 512), (1024, 512, 32_768)] {
        let shape = HeadShape { rows, width, vocabulary };
        let (hidden, weight) = (numbers(rows * width), numbers(vocabulary * width));
        let ids: Vec<u32> = (0..rows).map(|i| (i % vocabulary) as u32).collect();
        let mut columns = [vec![0.0; rows], vec![0.0; rows], vec![0.0; rows]];
        let [logp, entropy, log_sum_exp] = &mut columns;
        let forward = seconds(|| head_rows(&hidden, &weight, &ids, 1.1, shape, logp, entropy, log_sum_exp));
        let (mut d_hidden, mut d_weight) = (hidden.clone(), weight.clone());
        let (g_logp, g_entropy) = (numbers(rows), numbers(rows));
        let backward = seconds(|| {
            let gradients = (&mut d_hidden, &mut d_weight);
            head_backward(
                &hidden,
                &weight,
                &ids,
                1.1,
                shape,
                log_sum_exp,
                entropy,
                &g_logp,
                &g_entropy,
                gradients.0,
                gradients.1,
            );
        });
        let flops = 2e-9 * (rows * width * vocabulary) as f64;
        println!(
            "head {rows} x {width} x {vocabulary}: {:.2} ms ({:.1} GFLOP/s), backward {:.2} ms ({:.1} GFLOP/s)",
            forward * 1e3,
            flops / forward,
            backward * 1e3,
            3.0 * flops / backward
        );
    }
    for vocabulary in [512, 32_768, 151_936] {
        let logits = numbers(vocabulary);
        let row = seconds(|| _ = black_box(logits_row(black_box(&logits), 3, 1.1)));
        let draw =
            |truncation| seconds(|| _ = black_box(categorical(black_box(&logits), 1.1, truncation, &[1, 2], 0.7)));
        let (all, nucleus) = (draw(Truncation::OFF), draw(Truncation { top_k: Some(50), top_p: 0.95, min_p: 0.05 }));
        let best = seconds(|| _ = black_box(greedy(black_box(&logits), &[1, 2])));
        println!(
            "logits of {vocabulary}: row {:.2} us, categorical {:.2} us, truncated {:.2} us, greedy {:.2} us",
            row * 1e6,
            all * 1e6,
            nucleus * 1e6,
            best * 1e6
        );
    }
}

/// How many times faster a team is than one thread, one call of each in turn, the best of some rounds; for teams of 2, 4
/// .. up to the cores.
fn scaling(name: &str, mut call: impl FnMut(Team)) {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let sizes: Vec<usize> =
        std::iter::successors(Some(1), |size| Some(size * 2)).take_while(|&size| size <= cores).collect();
    let mut best = vec![f64::INFINITY; sizes.len()];
    for _ in 0..7 {
        for (best, &size) in best.iter_mut().zip(&sizes) {
            let team = NonZeroUsize::new(size).map_or(Team::ALONE, Team::new);
            let start = Instant::now();
            call(team);
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    let ratios: String =
        sizes.iter().zip(&best).skip(1).map(|(size, time)| format!("  x{size} {:.2}", best[0] / time)).collect();
    println!("{name:44} {:9.2} ms{ratios}", best[0] * 1e3);
}

/// The sizes of Qwen2.5-0.5B (width 896, inner 4864, 14 query heads over 2 of 64, vocabulary 151,936), 2048 tokens in
/// sequences of 256.
fn teams() {
    const TOKENS: usize = 2048;
    println!("milliseconds on one thread, and how many times faster teams are");
    for (rows, inputs, outputs) in [
        (TOKENS, 896, 896),
        (TOKENS, 896, 128),
        (TOKENS, 896, 4864),
        (TOKENS, 4864, 896),
        (64, 896, 4864),
        (1, 896, 4864),
    ] {
        let shape = LinearShape { rows, inputs, outputs };
        let (x, weight, d_out) = (numbers(rows * inputs), numbers(inputs * outputs), numbers(rows * outputs));
        let (mut out, mut d_x, mut d_weight) = (d_out.clone(), x.clone(), weight.clone());
        let size = format!("{rows} x ({inputs} -> {outputs})");
        scaling(&format!("linear {size}"), |team| team.linear(&x, &weight, None, shape, &mut out));
        let half: Vec<bf16> = weight.iter().map(|&x| bf16::from_f32(x)).collect();
        scaling(&format!("linear, bf16 weight, {size}"), |team| team.linear(&x, &half, None, shape, &mut out));
        if rows == TOKENS {
            scaling(&format!("linear_grad_input {size}"), |team| {
                team.linear_grad_input(&d_out, &weight, shape, &mut d_x);
            });
            scaling(&format!("linear_grad_weight {size}"), |team| {
                team.linear_grad_weight(&d_out, &x, shape, &mut d_weight);
            });
        }
    }
    let (x, y, gain) = (numbers(TOKENS * 896), numbers(TOKENS * 896), numbers(896));
    let (mut out, mut d_gain) = (x.clone(), gain.clone());
    scaling("rms_norm 2048 x 896", |team| team.rms_norm(&x, &gain, 1e-6, &mut out));
    scaling("rms_norm_backward", |team| team.rms_norm_backward(&x, &gain, 1e-6, &y, &mut out, &mut d_gain));
    let table = RopeTable::new(&(0..32).map(|i| 1e6f64.powf(-f64::from(i) / 32.0)).collect::<Vec<_>>(), 256, 1.0);
    let positions: Vec<u32> = (0..TOKENS as u32).map(|i| i % 256).collect();
    scaling("rope 2048 x 14 x 64", |team| team.rope(&mut out, &positions, 14, 64, &table));
    let (gate, up, d_out) = (numbers(TOKENS * 4864), numbers(TOKENS * 4864), numbers(TOKENS * 4864));
    let (mut d_gate, mut d_up) = (gate.clone(), gate.clone());
    scaling("swiglu 2048 x 4864", |team| team.swiglu(&gate, &up, &mut d_up));
    scaling("swiglu_backward", |team| team.swiglu_backward(&gate, &up, &d_out, &mut d_gate, &mut d_up));
    let shape = LinearShape { rows: TOKENS, inputs: 896, outputs: 4864 };
    scaling("linear_grad_bias 2048 x 4864", |team| team.linear_grad_bias(&d_out, shape, &mut d_gate[..4864]));
    let shape = AttentionShape { query_heads: 14, kv_heads: 2, head_dim: 64, window: None };
    for length in [256, TOKENS] {
        let starts: Vec<usize> = (0..=TOKENS).step_by(length).collect();
        let (k, v) = (numbers(TOKENS * 128), numbers(TOKENS * 128));
        let (mut d_q, mut d_k, mut d_v) = (x.clone(), k.clone(), v.clone());
        scaling(&format!("attention {} x {length}", TOKENS / length), |team| {
            team.attention(&x, &k, &v, &starts, shape, &mut d_q);
        });
        scaling("attention_backward", |team| {
            team.attention_backward(&x, &k, &v, &starts, shape, &y, &mut d_q, &mut d_k, &mut d_v);
        });
    }
    let (mut weights, gradient) = (numbers(8_000_000), numbers(8_000_000));
    let (mut first, mut second) = (gradient.clone(), vec![1.0; gradient.len()]);
    let config = AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, step: 3 };
    scaling("adamw 8 M", |team| team.adamw(&mut weights, &gradient, 1.0, &mut first, &mut second, &config));
    let shape = HeadShape { rows: 512, width: 896, vocabulary: 151_936 };
    let (hidden, weight) = (&x[..512 * 896], numbers(151_936 * 896));
    let ids: Vec<u32> = (0..512).map(|row| row * 293).collect();
    let [mut logp, mut entropy, mut log_sum_exp] = [0; 3].map(|_| vec![0.0; 512]);
    scaling("head_rows 512 x 896 x 151936", |team| {
        team.head_rows(hidden, &weight, &ids, 1.0, shape, &mut logp, &mut entropy, &mut log_sum_exp);
    });
    let (mut d_hidden, mut d_weight) = (hidden.to_vec(), weight.clone());
    scaling("head_backward", |team| {
        let (g_logp, g_entropy) = (&gain[..512], &gain[100..612]);
        #[rustfmt::skip]
        team.head_backward(
            hidden, &weight, &ids, 1.0, shape, &log_sum_exp, &entropy, g_logp, g_entropy, &mut d_hidden, &mut d_weight,
        );
    });
}

fn main() {
    println!("level {}", level().name());
    let only = std::env::args().nth(1);
    let sections: [(&str, fn()); 6] = [
        ("linear", linear_rows),
        ("bf16", bf16_rows),
        ("rows", row_kernels),
        ("attention", attention_rows),
        ("head", head),
        ("team", teams),
    ];
    for (_, run) in sections.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        run();
    }
}
