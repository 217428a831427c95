#!/usr/bin/env bash
# peer.sh PEER PYTHON [PAIRS]: whole steps of Cohort and of TRL's GRPOTrainer by turns, on an otherwise idle machine, and their ratios
# pair by pair. PEER is a folder with peer_trl.py, workload/sft-small and workload/rand-big (make_workload.py --kind big --random),
# PYTHON an interpreter with what it needs. A CPU is not TRL's home, and its vLLM path is not measured: quote ratios with that.
set -euo pipefail
cd "$(dirname "$0")/.."
peer=$(cd "$1" && pwd) python=$2 pairs=${3:-3}
cohort=${COHORT:-${CARGO_TARGET_DIR:-target}/release/cohort}
[ -n "${COHORT:-}" ] || cargo build --release -p cohort-rl
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# row NAME MODEL STEPS "TRL'S ARGUMENTS" OURS..: one row of the table, TRL in fp32 and in bf16 autocast.
row() {
    local name=$1 model=$2 steps=$3 theirs=$4
    shift 4
    for pair in $(seq "$pairs"); do
        "$cohort" bench step --model "$peer/workload/$model" --input "$peer/workload/train.jsonl" --steps "$steps" --json "$@" > "$out/ours.json"
        for precision in fp32 bf16; do
            flag=""
            [ $precision = bf16 ] && flag="--bf16"
            # shellcheck disable=SC2086
            (cd "$peer" && "$python" peer_trl.py --steps $((steps + 1)) --eval-n 0 --omp-active --model-dir "workload/$model" \
                $theirs $flag --out "$out/$precision.json" > "$out/$precision.log" 2>&1) || { tail -5 "$out/$precision.log" >&2; exit 1; }
        done
        "$python" benches/peer_ratio.py "$name" "$pair" "$out/ours.json" "$out/fp32.json" "$out/bf16.json"
    done
}

row "3.2 M, fixed 48" sft-small 5 --fixed-len --fixed-length
row "3.2 M, natural" sft-small 5 "" --natural
row "25 M, fixed 48" rand-big 2 --fixed-len --fixed-length
row "3.2 M, fixed 48, our products in bf16" sft-small 5 --fixed-len --fixed-length --dtype bf16
row "25 M, fixed 48, our products in bf16" rand-big 2 --fixed-len --fixed-length --dtype bf16
