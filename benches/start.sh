#!/usr/bin/env bash
# start.sh PEER PYTHON [PAIRS]: from the start of a process to its first sampled token, Cohort and TRL by turns, and the ratio pair by pair. PEER
# is a folder with workload/sft-small, PYTHON an interpreter with trl. TRL's side imports what a GRPO script imports, loads
# the checkpoint and generates one token; it makes no trainer, so a run of it starts later still. Files are warm: one turn goes before.
set -euo pipefail
cd "$(dirname "$0")/.."
peer=$(cd "$1" && pwd) python=$2 pairs=${3:-5}
cohort=${COHORT:-${CARGO_TARGET_DIR:-target}/release/cohort}
[ -n "${COHORT:-}" ] || cargo build --release -p cohort-rl
model=$peer/workload/sft-small

# seconds COMMAND..: wall seconds of a command that must succeed.
seconds() {
    local from to
    from=$(date +%s%N)
    "$@" > /dev/null 2>&1 || { echo "failed: $*" >&2; exit 1; }
    to=$(date +%s%N)
    awk -v ns=$((to - from)) 'BEGIN { printf "%.4f", ns / 1e9 }'
}

trl() {
    "$python" -c '
import sys, torch
from trl import GRPOConfig, GRPOTrainer
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
model.generate(input_ids=torch.tensor([[5, 6, 7]]), max_new_tokens=1, do_sample=True)
' "$model"
}

for pair in $(seq 0 "$pairs"); do
    ours=$(seconds "$cohort" sample --model "$model" --prompt 47+85= --max-new-tokens 1 --json)
    theirs=$(seconds trl)
    [ "$pair" = 0 ] || awk -v p="$pair" -v a="$ours" -v b="$theirs" 'BEGIN { printf "start to first token, pair %d: %.3f s, TRL %.2f s, %.0f times sooner\n", p, a, b, b / a }'
done
