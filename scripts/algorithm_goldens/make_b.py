#!/usr/bin/env python3
"""Writes crates/cohort/tests/golden/algorithms/NAME.json for systems 36 to 69.

    python scripts/algorithm_goldens/make_b.py [NAME]...

Each file holds a small frozen batch and the advantage, loss and derivatives that the system's formulas give
for it, computed here with the standard library alone. Inputs are rounded, outputs are not. The tests read the
files as they are committed and need no Python.
"""

import json
import pathlib
import sys

import systems_b

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "crates/cohort/tests/golden/algorithms"
ORDER = ["role", "episode", "weight", "reward", "rewards", "facts",
         "logp", "old_logp", "ref_logp", "behaviour_logp", "entropy", "mask"]


def positive_zeros(x):
    if isinstance(x, list):
        return [positive_zeros(y) for y in x]
    return 0.0 if x == 0 else float(x)


def text(record):
    """JSON with one trajectory, and one group of results, a line."""
    def one(x):
        return json.dumps(x, ensure_ascii=False)

    def trajectory(t):
        assert set(t) <= set(ORDER), t
        return "      " + one({k: t[k] for k in ORDER if k in t})

    def group(g):
        head = "".join(f'"{k}": {one(g[k])}, ' for k in ("key", "facts") if k in g)
        return "    {" + head + '"trajectories": [\n' + ",\n".join(map(trajectory, g["trajectories"])) + "]}"

    def result(name, value):
        value = positive_zeros(value)
        if name == "loss":
            return f'    "loss": {one(value)}'
        return f'    "{name}": [\n' + ",\n".join("      " + one(g) for g in value) + "]"

    choices = ",\n".join(f'    "{k}": {one(v)}' for k, v in record["choices"].items())
    groups = ",\n".join(map(group, record["batch"]["groups"]))
    expected = ",\n".join(result(k, v) for k, v in record["expected"].items())
    return (f'{{\n  "system": {record["system"]},\n  "recipe": "{record["recipe"]}",\n'
            f'  "choices": {{\n{choices}}},\n  "derivation": {one(record["derivation"])},\n'
            f'  "batch": {{"groups": [\n{groups}]}},\n  "expected": {{\n{expected}}}\n}}\n')


def main(names):
    wanted = set(names)
    seen = []
    for system in systems_b.ALL:
        record = system()
        seen.append(record["system"])
        if wanted and record["recipe"] not in wanted:
            continue
        out = text(record)
        json.loads(out)
        assert len(out) < 12_000, (record["recipe"], len(out))
        (GOLDEN / (record["recipe"] + ".json")).write_text(out)
    assert seen == list(range(36, 70)), seen


if __name__ == "__main__":
    main(sys.argv[1:])
