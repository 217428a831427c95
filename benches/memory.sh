#!/usr/bin/env bash
# memory.sh [--set KEY=VALUE ..]: the peak memory of one GRPO step (4 prompts x 4 completions x 128 tokens) of a policy
# with random weights in the exact shape of Qwen2.5-0.5B, beside the plan that was made before it. Needs 2 GB of disk in
# ${TMPDIR:-/tmp} for the checkpoint, which is kept for the next time, and 6 GB for the run, which is removed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
checkpoint=${TMPDIR:-/tmp}/cohort-random-0.5b
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
cargo build --release -p cohort-rl
if [ ! -f "$checkpoint/model.safetensors" ]; then
    cargo run --release -p cohort-model --example random_checkpoint -- "$checkpoint.part"
    mv "$checkpoint.part" "$checkpoint"
fi
cp benches/memory.toml "$run/"
for i in 1 2 3 4 5 6 7 8; do
    # Some 70 tokens: the tokenizer has one a character.
    question=$(printf '%s+' $(seq $((i * 100)) $((i * 100 + 16))))
    echo "{\"question\": \"${question%+}=\", \"answer\": \"$i\"}"
done > "$run/prompts.jsonl"
"$target/release/cohort" train "$run/memory.toml" --set "policy.model=$checkpoint" \
    --set "data.path=$run/prompts.jsonl" --run-dir "$run/run" "$@"
grep -E '"(peak_rss_bytes|peak_anonymous_bytes)"' "$run/run/summary.json"
sed -n '/"memory_plan"/,/}/p' "$run/run/summary.json"
