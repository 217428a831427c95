#!/usr/bin/env python3
"""Writes crates/cohort/tests/golden/algorithms/NAME.json: frozen batches with expected advantage, loss and derivatives.

    python scripts/algorithm_goldens [NAME]...

Standard library only; the tests read the files as they are committed and need no Python. Systems 1 to 35 stand in
`systems_a.py`, the later ones in `systems_b.py`, which `make_b.py` writes.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))  # for `python -m` too
import make_b  # noqa: E402
import systems_a  # noqa: E402

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "crates/cohort/tests/golden/algorithms"


def dump(golden):
    """JSON with a line for each trajectory and each trajectory's outputs."""

    def one(value):
        return json.dumps(value, allow_nan=False)

    def lines(items, depth):
        pad = " " * depth
        return "[\n" + ",\n".join(pad + one(item) for item in items) + "]"

    groups = []
    for group in golden["batch"]["groups"]:
        head = f'"facts": {one(group["facts"])}, ' if "facts" in group else ""
        groups.append(f'{{{head}"trajectories": {lines(group["trajectories"], 4)}}}')
    parts = [f'"{key}": {one(golden[key])}' for key in ("system", "recipe", "choices", "derivation")]
    parts.append('"batch": {"groups": [\n  ' + ",\n  ".join(groups) + "]}")
    expected = [
        f'"{key}": ' + (one(value) if key == "loss" else "[\n   " + ",\n   ".join(lines(g, 4) for g in value) + "]")
        for key, value in golden["expected"].items()
    ]
    return "{" + ",\n ".join(parts) + ',\n "expected": {\n  ' + ",\n  ".join(expected) + "}}\n"


def without_negative_zeros(value):
    if isinstance(value, list):
        return [without_negative_zeros(v) for v in value]
    return 0.0 if value == 0 else value


def main(names):
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for make in systems_a.SYSTEMS:
        golden = make()
        if names and golden["recipe"] not in names:
            continue
        golden["expected"] = {k: without_negative_zeros(v) for k, v in golden["expected"].items()}
        text = dump(golden)
        assert json.loads(text) == golden and len(text) < 12000, (golden["recipe"], len(text))
        (GOLDEN / f'{golden["recipe"]}.json').write_text(text)
    make_b.main(names)


if __name__ == "__main__":
    main(sys.argv[1:])
