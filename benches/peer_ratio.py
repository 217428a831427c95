"""One line of peer.sh: completion tokens a second over whole steps (medians), and peak resident memory, ours to theirs."""
import json
import statistics
import sys

name, pair = sys.argv[1:3]
ours, fp32, bf16 = (json.load(open(path)) for path in sys.argv[3:6])
rate = ours["tokens"]["completion"] / statistics.median(ours["step_seconds"])
assert ours["tokens"]["trained"] == ours["tokens"]["completion"], "every token is trained"
line = f"{name:18} pair {pair}:"
for precision, theirs in [("fp32", fp32), ("bf16", bf16)]:
    peer = theirs["tokens"]["end_to_end_completion_tok_per_s"]
    memory = theirs["peak_rss_mib"] * 2**20 / ours["peak_rss_bytes"]
    line += f"  against {precision}: {rate / peer:.2f} x as fast, 1/{memory:.1f} of the memory"
line += f"  (load {fp32['seconds']['loadavg_median']:.1f}; GFLOP/s sample {ours['share']['sample']:.0%}, train {ours['share']['train']:.0%} of the peak)"
print(line, flush=True)
