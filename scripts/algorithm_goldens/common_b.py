"""Naive arithmetic for the golden files of systems 36 to 69: lists, loops and the printed formulas.

A loss is a function of a batch that returns its value and its derivative for each column it reads, the
derivative written out by hand; `solve` compares it with central differences before anything is written.
"""

import copy
import math
import random


# ---- statistics ----


def mean(xs):
    return sum(xs) / len(xs)


def std(xs, ddof=1):
    m = mean(xs)
    return math.sqrt(sum((x - m) ** 2 for x in xs) / (len(xs) - ddof))


def z_scores(xs, eps, ddof=1):
    """Centred on the mean, divided by the standard deviation plus eps; equal values give exact zeros."""
    if max(xs) == min(xs):
        return [0.0 for _ in xs]
    m, s = mean(xs), std(xs, ddof)
    return [(x - m) / (s + eps) for x in xs]


def quantile(xs, q):
    """Linear interpolation between the sorted values."""
    xs = sorted(xs)
    at = q * (len(xs) - 1)
    low = math.floor(at)
    high = min(low + 1, len(xs) - 1)
    return xs[low] + (at - low) * (xs[high] - xs[low])


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def close(got, want, tol):
    """Holds a computed value, or a list of them, against printed check numbers."""
    got, want = (got, want) if isinstance(got, list) else ([got], [want])
    assert len(got) == len(want) and all(abs(g - w) <= tol for g, w in zip(got, want)), (got, want)


# ---- batches ----


def batch(seed, shape, old=0.6, ref=None, entropy=False, digits=4, logp=(-2.5, -0.1)):
    """'xx.x x | xxx' is a group of two trajectories and a group of one; '.' is a masked action.

    `old` and `ref` are how far old_logp and ref_logp lie from logp at most (None: no such column).
    """
    rng = random.Random(seed)
    groups = []
    for group in shape.split("|"):
        trajectories = []
        for word in group.split():
            lp = [round(rng.uniform(*logp), digits) for _ in word]
            t = {"logp": lp}
            if old is not None:
                t["old_logp"] = [round(min(x + rng.uniform(-old, old), -0.01), digits) for x in lp]
            if ref is not None:
                t["ref_logp"] = [round(min(x + rng.uniform(-ref, ref), -0.01), digits) for x in lp]
            if entropy:
                t["entropy"] = [round(rng.uniform(0.02, 2.4), digits) for _ in lp]
            if "." in word:
                t["mask"] = [0 if c == "." else 1 for c in word]
            trajectories.append(t)
        groups.append({"trajectories": trajectories})
    return {"groups": groups}


def each(b):
    """(group number, trajectory number, trajectory) of every trajectory."""
    for g, group in enumerate(b["groups"]):
        for i, t in enumerate(group["trajectories"]):
            yield g, i, t


def _put(b, field, columns):
    for name, table in columns.items():
        assert [len(row) for row in table] == [len(g["trajectories"]) for g in b["groups"]], name
        for g, i, t in each(b):
            t.setdefault(field, {})[name] = table[g][i]


def terms(b, **columns):
    _put(b, "rewards", columns)


def facts(b, **columns):
    _put(b, "facts", columns)


def group_facts(b, **columns):
    for name, row in columns.items():
        for group, value in zip(b["groups"], row, strict=True):
            group.setdefault("facts", {})[name] = value


def given(b, table):
    """The combined rewards as they are."""
    assert [len(row) for row in table] == [len(g["trajectories"]) for g in b["groups"]]
    for g, i, t in each(b):
        t["reward"] = table[g][i]
    return table


def combine(b, f):
    """Rewards made from each trajectory's own terms and facts."""
    return [[f(t.get("rewards", {}), t.get("facts", {})) for t in g["trajectories"]] for g in b["groups"]]


def column(group, field, name):
    return [t[field][name] for t in group["trajectories"]]


# ---- objectives ----


def clipped(logp, old, a, lo, hi, dual=None):
    """-min(r A, clip(r) A), with `dual` not below dual * A for negative A. (value, derivative by logp)."""
    r = math.exp(logp - old)
    cut = min(max(r, 1 - lo), 1 + hi)
    value, slope = (r * a, r * a) if r * a <= cut * a else (cut * a, 0.0)
    if dual is not None and a < 0 and value < dual * a:
        value, slope = dual * a, 0.0
    return -value, -slope


def k3(logp, ref):
    d = ref - logp
    return math.exp(d) - d - 1, 1 - math.exp(d)


def grpo_action(advantage, clip, kl=0.0, bonus=0.0, dual=None):
    """One action's loss: clipped (or plain) ratio surrogate + kl * k3 - bonus * entropy."""
    lo, hi = clip or (math.inf, math.inf)

    def action(t, k, g, i):
        value, slope = clipped(t["logp"][k], t["old_logp"][k], advantage[g][i][k], lo, hi, dual)
        if kl:
            v, s = k3(t["logp"][k], t["ref_logp"][k])
            value, slope = value + kl * v, slope + kl * s
        if bonus:
            return value - bonus * t["entropy"][k], {"logp": slope, "entropy": -bonus}
        return value, {"logp": slope}

    return action


def member(t):
    return t.get("role", "member") == "member"


def denominated(action, per, length=None, auxiliary=0.0):
    """The batch's loss: every action's loss, masked, over one denominator; auxiliaries beside it."""

    def loss(b):
        members = [t for _, _, t in each(b) if member(t)]
        trained = sum(sum(t["mask"]) for t in members)
        total, grads = 0.0, {}
        for g, i, t in each(b):
            for k, m in enumerate(t["mask"]):
                if m == 0:
                    continue
                if not member(t):
                    share = 1 / len(b["groups"])
                    c = t.get("weight", auxiliary)
                    value, slopes = -c * t["logp"][k], {"logp": -c}
                else:
                    share = {
                        "sequence": lambda: 1 / (len(members) * sum(t["mask"])),
                        "tokens": lambda: 1 / trained,
                        "constant": lambda: 1 / (len(members) * length),
                    }[per]()
                    value, slopes = action(t, k, g, i)
                total += share * m * value
                for name, slope in slopes.items():
                    grads.setdefault(name, zeros(b))[g][i][k] = share * m * slope
        return total, grads

    return loss


def zeros(b):
    return [[[0.0 for _ in t["logp"]] for t in g["trajectories"]] for g in b["groups"]]


def broadcast(b, coefficients):
    """One coefficient a trajectory, on each of its actions."""
    return [[[c for _ in t["logp"]] for t, c in zip(g["trajectories"], row, strict=True)]
            for g, row in zip(b["groups"], coefficients, strict=True)]


def prepared(b):
    """A copy with every default written out: mask 1, old_logp = logp, held fixed."""
    b = copy.deepcopy(b)
    for _, _, t in each(b):
        t.setdefault("mask", [1 for _ in t["logp"]])
        t.setdefault("old_logp", list(t["logp"]))
    return b


def solve(b, advantage, loss):
    """Loss and derivatives of a prepared batch, the derivatives held against central differences."""
    value, grads = loss(b)
    h = 1e-5
    for name, grad in grads.items():
        for g, i, t in each(b):
            for k, d in enumerate(grad[g][i]):
                x = t[name][k]
                t[name][k] = x + h
                up = loss(b)[0]
                t[name][k] = x - h
                down = loss(b)[0]
                t[name][k] = x
                assert abs((up - down) / (2 * h) - d) < 1e-8 + 1e-6 * abs(d), (name, g, i, k, d, (up - down) / (2 * h))
    out = {"advantage": advantage, "loss": value}
    out.update({"d_" + name: grad for name, grad in grads.items()})
    return out


def clips_both_ways(b, advantage, lo, hi):
    """Whether the gate closes on trained actions of each sign."""
    b, up, down = prepared(b), False, False
    for g, i, t in each(b):
        if not member(t):
            continue
        for k, m in enumerate(t["mask"]):
            r, a = math.exp(t["logp"][k] - t["old_logp"][k]), advantage[g][i][k]
            up |= m == 1 and a > 0 and r > 1 + hi
            down |= m == 1 and a < 0 and r < 1 - lo
    return up and down
