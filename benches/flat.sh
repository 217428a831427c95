#!/usr/bin/env bash
# flat.sh: 1,000 tiny steps; what the process holds after 200 of them and at the end: anonymous memory, file descriptors, threads.
set -euo pipefail
cd "$(dirname "$0")/.."
cohort=${COHORT:-${CARGO_TARGET_DIR:-target}/release/cohort}
[ -n "${COHORT:-}" ] || cargo build --release -p cohort-rl
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
cat > "$run/flat.toml" << 'RECIPE'
name = "flat"
stages = ["rl"]
preflight.no_signal = "warn"
eval.every = 0
policy.new = { tokenizer = "arithmetic", width = 16, layers = 1, heads = 2, kv_heads = 1, head_dim = 8, inner = 16, positions = 64, seed = 0 }
task.arithmetic = { held_out = 8, dev = 8, seed = 1 }
rollout = { group_size = 4, max_new_tokens = 4 }
reward.terms.small.verifier.regex = { pattern = "[0-4]", mode = "search" }
train = { steps = 1000, prompts_per_step = 4, lr = 1e-3, save_every = 100 }
RECIPE
"$cohort" train "$run/flat.toml" --run-dir "$run/run" "$@" > "$run/out.log" 2>&1 &
pid=$!
look() { # anonymous kB, descriptors, threads
    echo "$(awk '/^RssAnon/ { print $2 }' /proc/$pid/status) $(ls /proc/$pid/fd | wc -l) $(ls /proc/$pid/task | wc -l)"
}
steps() { cat "$run/run/metrics.jsonl" 2> /dev/null | wc -l || true; }
early="" last=""
while kill -0 $pid 2> /dev/null; do
    done=$(steps) now=$(look 2> /dev/null || true)
    # The process may end while it is looked at.
    if [ "$done" -ge 200 ] && [[ $now =~ ^[1-9][0-9]*\ [1-9][0-9]*\ [1-9][0-9]*$ ]]; then
        [ -n "$early" ] || { early=$now && from=$done; }
        last=$now && to=$done
    fi
    sleep 0.05
done
wait $pid || { tail -5 "$run/out.log" >&2; exit 1; }
set -- $early $last
echo "after $from steps: $1 kB anonymous, $2 descriptors, $3 threads; after $to: $4 kB, $5, $6; $(( ($4 - $1) * 1024 / (to - from) )) bytes a step"
