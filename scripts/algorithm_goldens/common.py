"""Naive helpers: statistics, frozen batches, and the family of clipped losses, twice.

`loss` is written once from the formula and takes real or complex columns; `gradient` is the same derivative by
hand. `checked` holds them together: complex steps to 1e-11, central differences of the loss to 1e-5.
"""

import cmath
import copy
import math
import random

# ---- statistics


def mean(values):
    return sum(values) / len(values)


def std(values, ddof=1):
    if len(values) <= ddof:
        return 0.0
    m = mean(values)
    return math.sqrt(sum((v - m) ** 2 for v in values) / (len(values) - ddof))


def z(values, eps=1e-4, ddof=1):
    """(v - mean) / (std + eps); exactly 0 where all are equal."""
    if max(values) == min(values):
        return [0.0] * len(values)
    m, s = mean(values), std(values, ddof)
    return [(v - m) / (s + eps) for v in values]


def clamp(value, low, high):
    return max(low, min(high, value))


# ---- rewards and advantages of a batch: lists [group][trajectory] and [group][trajectory][action]


def term(group, name):
    return [t["rewards"][name] for t in group["trajectories"]]


def fact(group, name):
    return [t["facts"][name] for t in group["trajectories"]]


def rewards(batch, weights=None):
    """The given `reward`, or the weighted sum of the terms."""
    if weights is None:
        return [[t["reward"] for t in g["trajectories"]] for g in batch["groups"]]
    return [
        [sum(w * t["rewards"][name] for name, w in weights.items()) for t in g["trajectories"]]
        for g in batch["groups"]
    ]


def broadcast(batch, values):
    """One number a trajectory -> the same number at each of its actions."""
    return [[[a] * len(t["logp"]) for t, a in zip(g["trajectories"], row)] for g, row in zip(batch["groups"], values)]


def z_groups(batch, values, eps=1e-4, limit=None):
    """The group z-score, clamped to +-limit, at every action."""
    scored = [z(row, eps) for row in values]
    if limit is not None:
        scored = [[clamp(a, -limit, limit) for a in row] for row in scored]
    return broadcast(batch, scored)


# ---- frozen batches

LENGTHS = [3, 1, 5, 2, 4]


def fill(seed, groups, columns, clip=None):
    """Adds columns of numbers to trajectories that hold rewards and facts.

    `columns`: which of old_logp, ref_logp, kl_ref, entropy, flow, guard. A trajectory may bring its own
    `segment`, which then gives its length. In every group the first trajectory of 4 or more actions has its second
    one masked. `clip`: the scale of the log-ratios; steps of both signs lie inside and outside of it.
    """
    rng = random.Random(seed)
    batch, count = {"groups": []}, 0
    for g in groups:
        group = {k: v for k, v in g.items() if k != "trajectories"} | {"trajectories": []}
        masked = False
        for given in g["trajectories"]:
            t = copy.deepcopy(given)
            n = t.pop("actions", None) or (len(t["segment"]) if "segment" in t else LENGTHS[count % len(LENGTHS)])
            count += 1
            t["logp"] = [round(rng.uniform(-3.0, -0.8), 4) for _ in range(n)]
            if "guard" in columns:
                t["facts"] = t.get("facts", {}) | {
                    "noise_scale": [round(rng.uniform(0.1, 0.6), 3) for _ in range(n)],
                    "step_size": [round(rng.uniform(0.03, 0.2), 3) for _ in range(n)],
                }
                t["kl_old"] = [round(rng.uniform(1e-5, 9e-5), 6) for _ in range(n)]
            if "old_logp" in columns:
                t["old_logp"] = []
                for i, lp in enumerate(t["logp"]):
                    step = rng.choice([-2.5, -1.7, -0.6, -0.2, 0.25, 0.55, 1.6, 2.2]) * clip * rng.uniform(0.95, 1.05)
                    if "guard" in columns:
                        step = step / t["facts"]["noise_scale"][i] - t["kl_old"][i]
                    t["old_logp"].append(round(lp - step, 4 if clip > 0.01 else 7))
            if "ref_logp" in columns:
                t["ref_logp"] = [round(min(lp + rng.gauss(0, 0.3), -0.01), 4) for lp in t["logp"]]
            if "kl_ref" in columns:
                t["kl_ref"] = [round(rng.uniform(0.001, 0.05), 4) for _ in range(n)]
            if "entropy" in columns:
                t["entropy"] = [round(rng.uniform(0.05, 1.8), 4) for _ in range(n)]
            if n >= 4 and not masked and "mask" not in t:
                t["mask"] = [0 if i == 1 else 1 for i in range(n)]
                masked = True
            group["trajectories"].append(t)
        batch["groups"].append(group)
    return batch


# ---- the loss

SPEC = {
    "level": "token",  # or "segment"
    "gate": "clip",  # or "none"
    "low": 0.2,
    "high": 0.2,
    "dual": None,  # the bound c of a dual clip
    "denominator": "sequence",  # or "tokens", "segment"
    "divergence": "none",  # or "k3", "exact"
    "beta": 0.0,
    "entropy": 0.0,  # bonus
    "guard": False,  # RatioNorm and 1/|dt|
    "dropped": (),  # (group, trajectory) that take no part
}


def spec(**given):
    return SPEC | given


def members(batch, s):
    for g, group in enumerate(batch["groups"]):
        for i, t in enumerate(group["trajectories"]):
            if (g, i) not in s["dropped"]:
                yield g, i, t


def mask_of(t):
    return t.get("mask", [1] * len(t["logp"]))


def weights(batch, s):
    """What every action's term is multiplied by: its mask over the one denominator of the batch."""
    sequences = sum(1 for _ in members(batch, s))
    tokens = sum(sum(mask_of(t)) for _, _, t in members(batch, s))
    out = [[[0.0] * len(t["logp"]) for t in g["trajectories"]] for g in batch["groups"]]
    for g, i, t in members(batch, s):
        mask = mask_of(t)
        for k, m in enumerate(mask):
            if not m:
                continue
            if s["denominator"] == "sequence":
                out[g][i][k] = 1.0 / (sequences * sum(mask))
            elif s["denominator"] == "tokens":
                out[g][i][k] = 1.0 / tokens
            elif s["denominator"] == "segment":
                trained = [a for a, m2 in zip(t["segment"], mask) if m2]
                out[g][i][k] = 1.0 / (sequences * len(set(trained)) * trained.count(t["segment"][k]))
    return out


def exp(x):
    return cmath.exp(x) if isinstance(x, complex) else math.exp(x)


def real(x):
    return x.real if isinstance(x, complex) else x


def old_of(t, detached):
    return t.get("old_logp", detached)


def log_ratio(t, k, s, old):
    """The log-ratio that action k is weighted with; it may be shared by a segment."""
    if s["level"] == "segment":
        mine = [j for j, m in enumerate(mask_of(t)) if m and t["segment"][j] == t["segment"][k]]
        return sum(t["logp"][j] - old[j] for j in mine) / len(mine), mine
    x = t["logp"][k] - old[k]
    if s["guard"]:
        x = (x + t["kl_old"][k]) * t["facts"]["noise_scale"][k]
    return x, [k]


def gated(rho, a, s):
    """min(rho A, clip(rho) A), for A < 0 not below dual * A; and whether the gate is open."""
    if s["gate"] == "none":
        return rho * a, True
    clipped = clamp(real(rho), 1 - s["low"], 1 + s["high"])
    value, is_open = (rho * a, True) if real(rho) * a <= clipped * a else (clipped * a, False)
    if s["dual"] is not None and a < 0 and real(value) < s["dual"] * a:
        value, is_open = s["dual"] * a, False
    return value, is_open


def loss(batch, advantage, s, detached):
    """`detached[g][i]`: logp as plain numbers, the old row where none is given."""
    total = 0.0
    w = weights(batch, s)
    for g, i, t in members(batch, s):
        for k, weight in enumerate(w[g][i]):
            if weight == 0.0:
                continue
            x, _ = log_ratio(t, k, s, old_of(t, detached[g][i]))
            value = -gated(exp(x), advantage[g][i][k], s)[0]
            if s["guard"]:
                value = value / t["facts"]["step_size"][k]
            if s["divergence"] == "k3":
                d = t["ref_logp"][k] - t["logp"][k]
                value = value + s["beta"] * (exp(d) - d - 1.0)
            if s["divergence"] == "exact":
                value = value + s["beta"] * t["kl_ref"][k]
            if s["entropy"]:
                value = value - s["entropy"] * t["entropy"][k]
            total = total + weight * value
    return total


def gradient(batch, advantage, s, detached):
    """{column: [group][trajectory][action]} of d loss / d column."""
    columns = ["logp"]
    columns += ["kl_old"] if s["guard"] else []
    columns += ["kl_ref"] if s["divergence"] == "exact" else []
    columns += ["entropy"] if s["entropy"] else []
    d = {c: [[[0.0] * len(t["logp"]) for t in g["trajectories"]] for g in batch["groups"]] for c in columns}
    w = weights(batch, s)
    for g, i, t in members(batch, s):
        for k, weight in enumerate(w[g][i]):
            if weight == 0.0:
                continue
            a = advantage[g][i][k]
            x, sharers = log_ratio(t, k, s, old_of(t, detached[g][i]))
            rho = math.exp(x)
            slope = -a * rho if gated(rho, a, s)[1] else 0.0
            if s["guard"]:
                slope = slope * t["facts"]["noise_scale"][k] / t["facts"]["step_size"][k]
                d["kl_old"][g][i][k] += weight * slope
            for j in sharers:
                d["logp"][g][i][j] += weight * slope / len(sharers)
            if s["divergence"] == "k3":
                d["logp"][g][i][k] += weight * s["beta"] * (1.0 - math.exp(t["ref_logp"][k] - t["logp"][k]))
            if s["divergence"] == "exact":
                d["kl_ref"][g][i][k] += weight * s["beta"]
            if s["entropy"]:
                d["entropy"][g][i][k] -= weight * s["entropy"]
    return d


def plain_rows(batch):
    return [[list(t["logp"]) for t in g["trajectories"]] for g in batch["groups"]]


def check(batch, advantage, value_of, derivatives):
    """Every hand-made derivative against a complex step and a central difference of `value_of(batch)`."""
    for column, rows in derivatives.items():
        for g, group in enumerate(batch["groups"]):
            for i, t in enumerate(group["trajectories"]):
                for k in range(len(t["logp"])):

                    def at(delta):
                        moved = copy.deepcopy(batch)
                        moved["groups"][g]["trajectories"][i][column][k] += delta
                        return value_of(moved)

                    here, h = rows[g][i][k], 1e-6
                    step = at(1e-25j)
                    by_complex = step.imag / 1e-25 if isinstance(step, complex) else 0.0
                    by_difference = (at(h) - at(-h)) / (2 * h)
                    where = (column, g, i, k, here, by_complex, by_difference)
                    assert abs(here - by_complex) <= 1e-11 * (1 + abs(here)), where
                    assert abs(here - by_difference) <= 1e-5 * (1 + abs(here)), where


def checked(batch, advantage, s):
    """The `expected` object of a system whose loss is of this family."""
    detached = plain_rows(batch)
    derivatives = gradient(batch, advantage, s, detached)
    check(batch, advantage, lambda moved: loss(moved, advantage, s, detached), derivatives)
    expected = {"advantage": advantage, "loss": loss(batch, advantage, s, detached)}
    return expected | {f"d_{c}": rows for c, rows in derivatives.items()}


def covers(batch, advantage, s):
    """The gate closes on both sides, is passed on both harmless sides, and no ratio stands at a kink."""
    seen = set()
    detached = plain_rows(batch)
    for g, i, t in members(batch, s):
        for k, m in enumerate(mask_of(t)):
            if not m:
                continue
            rho = math.exp(log_ratio(t, k, s, old_of(t, detached[g][i]))[0])
            a = advantage[g][i][k]
            bounds = [1 - s["low"], 1 + s["high"]] + ([s["dual"]] if s["dual"] else [])
            assert all(abs(rho - b) > 2e-6 for b in bounds), "a ratio at a kink"
            side = "above" if rho > 1 + s["high"] else "below" if rho < 1 - s["low"] else "inside"
            seen.add((side, (a > 0) - (a < 0)))
            if s["dual"] and a < 0 and rho > s["dual"]:
                seen.add("dual")
    needed = {(side, sign) for side in ("above", "below", "inside") for sign in (1, -1)}
    return needed <= seen and (s["dual"] is None or "dual" in seen)
