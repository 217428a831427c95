"""Which ids transformers' warpers leave of a row of logits, with the log-probabilities of these and a few draws.

Development only: needs torch and transformers (5.23). Writes crates/kernels/tests/golden/truncation.tsv, one case a
line: temperature, top_k (0 for none), top_p, min_p, the logits, the ids that are left, their log-probabilities, and
`uniform:id` for the first id whose running sum of probabilities exceeds the uniform.

Cases within 1e-5 of a bound are left out: there the rounding of a sum decides, and nothing defines it. So are ties at
the bound of top-p, where transformers keeps some of them, by the order that a sort happens to have.
"""

import pathlib
import random

import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

OUT = pathlib.Path(__file__).parent.parent / "crates/kernels/tests/golden/truncation.tsv"


def is_near_a_bound(scores, top_k, top_p, min_p):
    if top_k:
        scores = TopKLogitsWarper(top_k)(None, scores)
    p = scores.double().softmax(-1)[0]
    kept = p[p > 0].sort(descending=True).values
    before = kept.cumsum(0) - kept
    if top_p < 1 and ((before - top_p).abs() < 1e-5).any():
        return True
    at = (before < top_p).sum() - 1
    tied = at + 1 < len(kept) and kept[at] == kept[at + 1] or at > 0 and kept[at] == kept[at - 1]
    if top_p < 1 and tied:
        return True
    return min_p > 0 and ((kept / kept.max() - min_p).abs() < 1e-5).any()


def main():
    rng = random.Random(4)
    lines = []
    while len(lines) < 60:
        size = rng.choice([5, 12, 40])
        spread = rng.choice([0.5, 2.0, 6.0])
        # Halves make ties.
        ties = rng.random() < 0.3
        logits = [rng.gauss(0, spread) for _ in range(size)]
        logits = [round(2 * x) / 2 if ties else round(x, 4) for x in logits]
        temperature = rng.choice([1.0, 0.7, 1.5])
        top_k = rng.choice([0, 0, 1, 3, 8, 100])
        top_p = rng.choice([1.0, 1.0, 0.95, 0.6, 0.2])
        min_p = rng.choice([0.0, 0.0, 0.05, 0.3])
        scores = TemperatureLogitsWarper(temperature)(None, torch.tensor([logits]))
        if is_near_a_bound(scores, top_k, top_p, min_p):
            continue
        if top_k:
            scores = TopKLogitsWarper(top_k)(None, scores)
        if top_p < 1:
            scores = TopPLogitsWarper(top_p)(None, scores)
        if min_p > 0:
            scores = MinPLogitsWarper(min_p)(None, scores)
        left = [i for i, x in enumerate(scores[0].tolist()) if x > float("-inf")]
        logp = scores.double().log_softmax(-1)[0]
        running = logp.exp().cumsum(0)
        draws = []
        for _ in range(4):
            uniform = round(rng.random(), 6)
            if ((running - uniform).abs() > 1e-4).all():
                draws.append(f"{uniform}:{int((running > uniform).nonzero()[0])}")
        cells = [
            f"{temperature}", f"{top_k}", f"{top_p}", f"{min_p}",
            " ".join(map(str, logits)),
            " ".join(map(str, left)),
            " ".join(f"{logp[i]:.7f}" for i in left),
            " ".join(draws),
        ]
        lines.append("\t".join(cells))
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
