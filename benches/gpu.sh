#!/usr/bin/env bash
# gpu.sh [DEVICE] [MODEL]: one machine's GPU. Parity with the processor; then whole steps of MODEL (unless told: random weights in the
# exact shape of Qwen2.5-0.5B, 2 GB in ${TMPDIR:-/tmp}, kept): decoding as a share of the memory bandwidth, training as a share of
# what products reach, both peaks measured on the device in the same run; and beside them transformers and torch, where PYTHON
# (python3) has them. DEVICE is vulkan unless told. Everything is f32. COHORT_BENCH holds more arguments of `cohort bench step`.
# A software device (Mesa's lavapipe) shows that it runs, and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-vulkan} feature=${1:-vulkan}
feature=${feature%%:*}
export CARGO_TARGET_DIR="${COHORT_GPU_TARGET:-$PWD/target/gpu}"
python=${PYTHON:-python3}
read -r -a more <<< "${COHORT_BENCH:---prompts 32 --group 8 --prompt-len 128 --max-new-tokens 128 --steps 3}"

echo "== parity with the processor (crates/model/tests/suite/device.rs)"
cargo test --release --workspace --locked --features "cohort-rl/$feature" --test suite --test gpu -- --nocapture device:: on_a_device 2>&1 \
    | grep -E '^test |largest gap|test result' || { echo "parity failed, or nothing was built: run the tests by hand" >&2; exit 1; }
cohort=$CARGO_TARGET_DIR/release/cohort

model=${2:-${TMPDIR:-/tmp}/cohort-random-0.5b}
if [ ! -f "$model/model.safetensors" ]; then
    cargo run --release --workspace --locked --features "cohort-rl/$feature" --example random_checkpoint -- "$model.part"
    mv "$model.part" "$model"
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo "== cohort on $device: ${more[*]}"
"$cohort" bench step --model "$model" --device "$device" --fixed-length "${more[@]}" --json > "$out/ours.json"
if "$python" -c 'import torch, transformers' 2>/dev/null; then
    "$python" benches/gpu_torch.py "$model" "${more[@]}" > "$out/theirs.json"
fi
"$python" - "$out" <<'PY'
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
ours = json.loads((out / "ours.json").read_text())
print(f"step {ours['step_seconds']} s; sampler and trainer differ by {ours['logp_gap_max']:.1e} nats at most")
band = ours["bandwidth"]
print(f"decode {ours['tokens_per_s']['sample']:.0f} tokens/s, {100 * band['share']:.1f} % of {band['copy_peak']:.0f} GB/s")
print(f"train  {ours['tokens_per_s']['train']:.0f} tokens/s, {100 * ours['share']['train']:.1f} % of {ours['gflops']['sgemm_peak']:.0f} GFLOP/s "
      "(with AdamW, which runs on the processor)")
if (out / "theirs.json").exists():
    for line in (out / "theirs.json").read_text().splitlines():
        theirs = json.loads(line)
        for phase in ("sample", "train"):
            ratio = ours["tokens_per_s"][phase] / theirs["tokens_per_s"][phase]
            print(f"{phase}: {ratio:.2f} x transformers in {theirs['dtype']} on {theirs['device']} ({theirs['tokens_per_s'][phase]:.0f} tokens/s)")
else:
    print("transformers and torch are not installed: nothing to stand beside")
PY
