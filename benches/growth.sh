#!/usr/bin/env bash
# growth.sh: how the time of a step grows with group size, prompt, completion, width and depth, each doubled a few times, on an otherwise
# idle machine; the exponent of a fit of log(seconds) to log(size) stands behind each row. Width and depth grow a random policy.
set -euo pipefail
cd "$(dirname "$0")/.."
cohort=${COHORT:-${CARGO_TARGET_DIR:-target}/release/cohort}
[ -n "${COHORT:-}" ] || cargo build --release -p cohort-rl
models=$(mktemp -d)
trap 'rm -rf "$models"' EXIT

# model WIDTH LAYERS: prints the directory of a random policy, made once.
model() {
    local dir=$models/$1-$2
    [ -d "$dir" ] || "${RANDOM_CHECKPOINT:-cargo run -q --release -p cohort-model --example random_checkpoint --}" "$dir" vocab_size=64 hidden_size=$1 \
        intermediate_size=$((3 * $1)) num_attention_heads=$(($1 / 64)) num_key_value_heads=$(($1 / 64)) num_hidden_layers=$2 max_position_embeddings=4096 >&2
    echo "$dir"
}

# row NAME SIZES.. : runs `step SIZE` for each, prints seconds and exponent.
row() {
    local name=$1 points="" seconds
    shift
    for size in "$@"; do
        seconds=$(step_$name "$size" --json --steps 3 | awk '/"step_seconds"/ { inside = 1; next } inside && /\]/ { exit } inside { gsub(/[ ,]/, ""); print }' | sort -g | sed -n 2p)
        points="$points $size:$seconds"
    done
    echo "$points" | awk -v name="$name" '{ for (i = 1; i <= NF; i++) { split($i, p, ":"); x = log(p[1]); y = log(p[2]); n++; sx += x; sy += y; sxx += x * x; sxy += x * y }
        printf "%-11s%s   exponent %.2f\n", name, $0, (n * sxy - sx * sy) / (n * sxx - sx * sx) }'
}

bench() { "$cohort" bench step --prompts 8 "$@"; }
step_group() { bench --model "$(model 256 4)" --prompt-len 32 --max-new-tokens 32 --group "$@"; }
step_prompt() { bench --model "$(model 256 4)" --group 8 --max-new-tokens 32 --prompt-len "$@"; }
step_completion() { bench --model "$(model 256 4)" --group 8 --prompt-len 32 --max-new-tokens "$@"; }
step_width() { bench --model "$(model "$1" 4)" --group 8 --prompt-len 32 --max-new-tokens 32 "${@:2}"; }
step_depth() { bench --model "$(model 256 "$1")" --group 8 --prompt-len 32 --max-new-tokens 32 "${@:2}"; }

row group 4 8 16 32
row prompt 32 64 128 256 512
row completion 32 64 128 256
row width 128 256 512
row depth 2 4 8 16
