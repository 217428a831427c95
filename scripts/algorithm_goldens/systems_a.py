"""Systems 1 to 35, a function each: the frozen batch, and advantage and loss by the formulas of the notes."""

import cmath
import math

from common import (
    broadcast, check, clamp, checked, covers, fact, fill, mask_of, mean, plain_rows, rewards, spec, std, term, z,
    z_groups,
)

TEXT = ("old_logp", "ref_logp")
UNVERIFIED = " (unverified)"


def group(trajectories, **facts):
    return {"facts": facts, "trajectories": trajectories} if facts else {"trajectories": trajectories}


def scored(*values):
    """A group of plain rewards."""
    return group([{"reward": v} for v in values])


def termed(names, *rows, facts=()):
    """A group of rewards by term, then facts, one row a trajectory."""
    out = []
    for row in rows:
        t = {"rewards": dict(zip(names, row))}
        if facts:
            t["facts"] = dict(zip(facts, row[len(names) :]))
        out.append(t)
    return group(out)


def in_words(s, gate_note="", divergence_note="", denominator_note=""):
    gate = "none: the bare ratio" if s["gate"] == "none" else f"clip, low {s['low']}, high {s['high']}"
    gate += f", dual clip c = {s['dual']}" if s["dual"] else ""
    gate += ", of the normalised ratio; the term is divided by |dt|" if s["guard"] else ""
    level = {"token": "an action", "segment": "a segment: exp(mean of logp - old_logp over its trained actions)"}[
        s["level"]
    ]
    if s["guard"]:
        level = "a denoising step: exp((logp - old_logp + kl_old) * noise_scale)"
    denominator = {
        "sequence": "mean over members of the mean over their trained actions",
        "tokens": "all trained actions of the batch",
        "segment": "mean over a member's segments of their means over trained actions, then mean over members",
    }[s["denominator"]]
    divergence = {
        "none": "none",
        "k3": f"k3 to the reference in the loss, beta {s['beta']}",
        "exact": f"the column kl_ref in the loss, beta {s['beta']}",
    }[s["divergence"]]
    words = {
        "ratio level": level,
        "gate": gate + gate_note,
        "denominator": denominator + denominator_note,
        "divergence": divergence + divergence_note,
    }
    if s["entropy"]:
        words["entropy bonus"] = str(s["entropy"])
    return words


def system(
    n, recipe, groups, advantage_of, s, combiner, advantage, *, columns=TEXT, clip=0.2, updates="1", reads=None,
    curriculum="none", derivation, notes=("", "", ""),
):
    """Fills the batch with the first seed whose ratios cross the gate on both sides, and derives what is expected."""
    for seed in range(1000 * n, 1000 * n + 999):
        batch = fill(seed, groups, columns, clip)
        a = advantage_of(batch)
        if "old_logp" not in columns or s["gate"] == "none" or covers(batch, a, s):
            break
    else:
        raise AssertionError(f"no batch for {recipe}")
    if updates == "1":
        updates = (
            "1 (ratio exactly 1: no old_logp in the batch)"
            if "old_logp" not in columns
            else ("1 in the source, where the gate is inert; the batch stands at a later update, so that it acts")
        )
    words = {"reward combiner": combiner, "advantage": advantage} | in_words(s, *notes)
    words |= {"inner updates": updates, "curriculum": curriculum}
    if reads:
        words["reads"] = reads
    return {
        "system": n,
        "recipe": recipe,
        "choices": words,
        "derivation": derivation,
        "batch": batch,
        "expected": checked(batch, a, s),
    }


Z4 = "group z-score (r - mean) / (std + 1e-4), std of the sample (ddof 1), equal rewards exactly 0"
Z6 = Z4.replace("1e-4", "1e-6")
Z8 = "(r - mean) / (std + 1e-8), std of the sample (ddof 1), equal values exactly 0"
GIVEN = "none: the reward is given"
TRL = "Formula of the notes in naive loops; conventions of TRL's GRPO as the notes state them (not run against TRL)."
VERL = "Formula of the notes in naive loops; conventions of verl as the notes state them (not run against verl)."
FLOW = "Formula of the notes in naive loops; an action is a denoising step whose logp is a mean over dimensions."


def weighted_text(w):
    return "weighted sum: " + " + ".join(f"{v} {k}" for k, v in w.items())


def plain(n, recipe, groups, s, w=None, combiner=None, eps=1e-4, derivation=TRL, **more):
    """Given or weighted rewards, the group z-score, the clip family."""
    combiner = combiner or (weighted_text(w) if w else GIVEN)
    return system(
        n, recipe, groups, lambda b: z_groups(b, rewards(b, w), eps), s, combiner, {1e-4: Z4, 1e-6: Z6}[eps],
        derivation=derivation, **more,
    )


def k3(beta, **more):
    return spec(divergence="k3", beta=beta, **more)


# ---- 1 to 14


def verireason():
    groups = [
        termed(["verilog", "format"], [2.1, 0.1], [0.62, 0.1], [0, 0.1], [0.41, 0], [0, 0]),
        termed(["verilog", "format"], [2.1, 0.1], [2.1, 0], [0.88, 0.1], [0, 0.1]),
        termed(["verilog", "format"], [0, 0.1], [0, 0.1], [0, 0.1]),
    ]
    return plain(1, "verireason", groups, k3(0.04), {"verilog": 1.0, "format": 1.0}, notes=(UNVERIFIED,) * 3)


def job_eval():
    names = ["decision", "skill", "experience", "education", "format", "error"]
    groups = [
        termed(names, [1, 0.8, 0.6, 1, 1, 0], [0, 0.9, 0.4, 0, 1, 1], [1, 0.5, 1, 1, 0, 0], [0, 0.2, 0.2, 1, 0, 2]),
        termed(names, [1, 1, 1, 1, 1, 0], [1, 0.75, 0.8, 1, 1, 0], [0, 0.4, 0.9, 0, 1, 1], [1, 0.6, 0, 0, 1, 0]),
    ]
    groups[1]["trajectories"][3] |= {"actions": 2, "mask": [0, 0]}
    w = {"decision": 0.4, "skill": 0.3, "experience": 0.2, "education": 0.1, "format": 0.1, "error": -0.2}
    return plain(
        2, "job-eval", groups, k3(0.05), w, notes=(UNVERIFIED,) * 3, updates="2" + UNVERIFIED,
        combiner=weighted_text(w) + ' (the gentle mode; weights and term names unverified; "error" counts errors)',
        derivation=TRL + " One member is fully masked: it has an advantage and counts as a sequence.",
    )


FLOW_KL = ("old_logp", "kl_ref")


def mind_v():
    names = ["physics", "aesthetic"]
    groups = [
        termed(names, [0.91, 3], [0.72, 4], [0.85, 2], [0.66, 4], [0.9, 5]),
        termed(names, [0.55, 2], [0.61, 2], [0.83, 3], [0.79, 1]),
    ]
    w = {"physics": 0.2, "aesthetic": 1.0}
    s = spec(low=1e-4, high=1e-4, divergence="exact", beta=0.01)
    return plain(
        3, "mind-v", groups, s, w, columns=FLOW_KL, clip=1e-4, derivation=FLOW, updates="2" + UNVERIFIED,
        notes=(
            " (Flow-GRPO's; unverified)", ", mean over dimensions of squared mean gap / (2 std^2) (unverified)", "",
        ),
    )


def flow_sum_of_z(n, recipe, groups, w, eps, s, combiner, columns, **more):
    """z-score each term in its group, add with weights, clamp to +-5."""

    def advantage(batch):
        rows = []
        for g in batch["groups"]:
            per_term = {name: z(values_of(g, name), eps) for name in w}
            size = len(g["trajectories"])
            rows.append([clamp(sum(w[k] * per_term[k][i] for k in w), -5.0, 5.0) for i in range(size)])
        return broadcast(batch, rows)

    def values_of(g, name):
        return win_rates(g) if name == "win_rate" else term(g, name)

    words = (
        f"sum over terms of weight * {Z8 if eps == 1e-8 else Z4[len('group z-score '):]}, in the group; clamped"
        " to +-5"
    )
    return system(
        n, recipe, groups, advantage, s, combiner, words, columns=columns, clip=1e-4, derivation=FLOW, **more
    )


def yingmusic_singer():
    names = ["pronunciation", "melody"]
    groups = [
        termed(names, [0.82, 0.61], [0.74, 0.9], [0.9, 0.35], [0.55, 0.7], [0.68, 0.44]),
        termed(names, [0.4, 0.81], [0.4, 0.77], [0.4, 0.92]),
    ]
    w = {"pronunciation": 1.0, "melody": 1.0}
    s = spec(low=1e-4, high=1e-4, divergence="exact", beta=0.01)
    return flow_sum_of_z(
        4, "yingmusic-singer", groups, w, 1e-4, s,
        "decoupled: every term is normalised first, then 1.0 pronunciation + 1.0 melody (unverified)", FLOW_KL,
        updates="2" + UNVERIFIED, notes=(" (Flow-GRPO's; unverified)", UNVERIFIED, ""),
    )


def win_rates(g):
    wins, size = g["facts"]["wins"], len(g["trajectories"])
    return [round(sum(wins[i][j] for j in range(size) if j != i) / (size - 1), 3) for i in range(size)]


def pref_grpo():
    first = termed(["clip"], [0.312], [0.287], [0.33], [0.301])
    first["facts"] = {"wins": [[0, 1, 0.5, 1], [0, 0, 0, 0.5], [0.5, 1, 0, 1], [0, 0.5, 0, 0]]}
    second = termed(["clip"], [0.251], [0.244], [0.262], [0.239], [0.258], [0.27])
    second["facts"] = {
        "wins": [
            [0, 0, 1, 0.5, 1, 0], [1, 0, 1, 1, 0.5, 0], [0, 0, 0, 0, 0, 0], [0.5, 0, 1, 0, 1, 0],
            [0, 0.5, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0],
        ]
    }
    return flow_sum_of_z(
        5, "pref-grpo", [first, second], {"win_rate": 0.4, "clip": 0.6}, 1e-8, spec(low=1e-4, high=1e-4),
        "decoupled: 0.4 win_rate + 0.6 clip, each normalised first; win_rate_i = (sum over j != i of wins[i][j]) / (G"
        " - 1), rounded to 3 decimals",
        ("old_logp",), updates="2" + UNVERIFIED,
        reads=(
            'group fact "wins": row i, column j is 1 where i beat j, 0.5 a tie or an unreadable verdict, 0 a loss; '
            "masked actions are the denoising steps left out of training"
        ),
    )


def chartmaster():
    names = ["runs", "attribute", "visual"]
    groups = [
        termed(names, [1, 0.62, 0.88], [1, 0.41, 0.79], [0, 0.3, 0], [1, 0.9, 0.95]),
        termed(names, [1, 0.5, 0.7], [0, 0, 0], [0, 0.2, 0.1], [1, 0.55, 0.81], [1, 0.48, 0.66]),
    ]

    def advantage(batch):
        return z_groups(
            batch,
            [
                [r * (a + v) for r, a, v in zip(term(g, "runs"), term(g, "attribute"), term(g, "visual"))]
                for g in batch["groups"]
            ],
        )

    return system(
        6, "chartmaster", groups, advantage, k3(0.04),
        "gate: 0 where runs = 0, else 1.0 attribute + 1.0 visual (gate and equal weights unverified)", Z4,
        notes=(UNVERIFIED,) * 3, updates="2" + UNVERIFIED, derivation=TRL,
    )


def grpo_guard():
    groups = [scored(0.91, 0.62, 0.75, 0.4), scored(0.2, 0.55, 0.31, 0.9, 0.47)]
    s = spec(low=1e-4, high=1e-4, guard=True)
    # Self-check: with x = mu_old + s e the normalised log-ratio is mean(e * (mu - mu_old)), free of s and of bias.
    e, shift, scale = [0.3, -1.1, 0.7], [0.02, 0.05, -0.01], 0.4
    l = mean([-((scale * a - b) ** 2 - (scale * a) ** 2) / (2 * scale**2) for a, b in zip(e, shift)])
    bias = mean([b * b / (2 * scale**2) for b in shift])
    assert abs((l + bias) * scale - mean([a * b for a, b in zip(e, shift)])) < 1e-15
    return system(
        7, "grpo-guard", groups, lambda b: z_groups(b, rewards(b), limit=5.0), s, GIVEN, Z4 + ", clamped to +-5",
        columns=("old_logp", "guard"), clip=1e-4, updates=">= 2 (inert at the first)",
        reads=(
            'column kl_old = mean over dimensions of (mu - mu_old)^2 / (2 s^2); per-action facts "noise_scale" = '
            's_t (diffusion coefficient times sqrt |dt|) and "step_size" = |dt_t|'
        ),
        derivation=FLOW
        + " rho = exp((logp - old_logp + kl_old) s), term = -min(rho A, clip(rho) A) / |dt|; kl_old carries gradient,"
        " so d_kl_old = d_logp. The identity log rho = mean(e (mu - mu_old)) is asserted by the script.",
        notes=("", "", ""),
    )


def reason_rft():
    groups = [
        termed(["format", "accuracy"], [1, 1], [1, 0.5], [0, 0], [1, 0], [1, 0.25], [0, 1]),
        termed(["format", "accuracy"], [1, 0.7735], [1, 1], [0, 0], [1, 0]),
    ]
    return plain(
        8, "reason-rft", groups, k3(0.04), {"format": 1.0, "accuracy": 1.0}, columns=("ref_logp",),
        notes=(" (inert)", UNVERIFIED, ""),
    )


def bigcharts_r1():
    groups = [
        termed(["cerm", "format"], [0.9524, 1], [0.6667, 1], [0.1, 1], [1, 0], [0, 0]),
        termed(["cerm", "format"], [0.5, 1], [0.5, 1], [0.5, 1]),
        termed(["cerm", "format"], [0.9804, 1], [0.5, 1], [1, 1], [0, 1]),
    ]
    return plain(
        9, "bigcharts-r1", groups, k3(0.04), {"cerm": 1.0, "format": 1.0}, columns=("ref_logp",),
        notes=(" (inert)", UNVERIFIED, ""),
    )


def leave_one_out(values):
    """(r - b) / s over the others: b their mean, s = sqrt(mean r^2 - b^2); where s = 0 the raw difference."""
    out = []
    for i, r in enumerate(values):
        others = [v for j, v in enumerate(values) if j != i]
        b = mean(others)
        s = math.sqrt(max(0.0, mean([v * v for v in others]) - b * b))
        out.append((r - b) / s if s > 0 else r - b)
    return out


def br_rm():
    def dialogue(returns):
        return group([{"episode": e, "reward": r} for e, r in enumerate(returns) for _ in range(2)])

    def advantage(batch):
        rows = []
        for g in batch["groups"]:
            returns = {t["episode"]: t["reward"] for t in g["trajectories"]}
            a = dict(zip(returns, leave_one_out(list(returns.values()))))
            rows.append([a[t["episode"]] for t in g["trajectories"]])
        return broadcast(batch, rows)

    groups = [dialogue([0, -10, 0, -100]), dialogue([0, 0, -10, 0]), dialogue([-10, -10, -10])]
    assert leave_one_out([0, 0, -10, 0])[2] == -10.0
    return system(
        10, "br-rm", groups, advantage, k3(0.001, denominator="tokens", high=0.28), GIVEN + " (sum over both turns)",
        "leave one out: b_i = mean of the other returns, s_i = sqrt(mean of the others' squares - b_i^2), "
        "(r_i - b_i) / s_i where s_i > 0 else r_i - b_i; no eps; equal returns exactly 0", updates="4",
        reads=(
            "episode: two trajectories (turn 1, turn 2) of one number are one episode with one "
            "return, written on both, that is counted once"
        ),
        derivation=TRL.replace("TRL's GRPO", "NeMo-RL").replace("against TRL", "against NeMo-RL")
        + " Group 2 is the lone deviant: its others are equal, so it keeps the raw -10 (by hand).",
    )


def uae():
    groups = [
        termed(["similarity"], [0.82], [0.79], [0.9], [0.71]),
        termed(["similarity"], [0.66], [0.6], [0.58], [0.7], [0.69]),
    ]
    s = spec(low=1e-4, high=1e-4, divergence="exact", beta=0.01)
    return system(
        11, "uae", groups, lambda b: z_groups(b, rewards(b, {"similarity": 1.0}), limit=5.0), s,
        weighted_text({"similarity": 1.0}), Z4 + ", clamped to +-5", columns=FLOW_KL, clip=1e-4,
        updates="2" + UNVERIFIED,
        curriculum="stages alternate; this is the generator's stage 3 (the captioner's stage 2 is plain token GRPO)",
        derivation=FLOW, notes=(" (Flow-GRPO's; unverified)", UNVERIFIED, ""),
    )


def nav_r1():
    names = ["format", "answer", "semantic", "path", "end"]
    groups = [
        termed(
            names, [1, 1, 0.31, 0, 0], [1, 0, 0.22, 0, 0], [0, 0, 0.05, 0, 0], [1, 1, 0.28, 0, 0], [1, 0, 0.27, 0, 0]
        ),
        termed(names, [1, 0, 0, 0.37, 0.61], [1, 0, 0, 0.22, 0.8], [1, 0, 0, 0.05, 0.12], [0, 0, 0, 0.5, 0.9]),
    ]
    return plain(
        12, "nav-r1", groups, k3(0.02), dict.fromkeys(names, 1.0), notes=(UNVERIFIED, "", ""),
        updates="2" + UNVERIFIED,
        derivation=TRL
        + " A term that does not apply to the item's task (answer or navigation) is 0. The paper prints "
        "a response-level ratio; the ratio here is an action's.",
    )


def defacto():
    names = ["answer", "format", "selection"]
    groups = [
        termed(names, [1, 1, 0.42], [0, 1, -0.12], [-0.2, 1, -0.5], [1, 0, 0.3]),
        termed(names, [1, 1, 0], [-0.6, 1, 0], [-1.5, 1, 0], [1, 0, 0]),
        termed(names, [1, 1, 0.61], [1, 1, 0.2], [0, 0, -0.5]),
    ]
    w = {"answer": 1.0, "format": 0.2, "selection": 0.2}
    return plain(
        13, "defacto", groups, k3(0.04), w, columns=("ref_logp",), notes=(" (inert)", UNVERIFIED, ""),
        derivation=TRL
        + " Rewards of the 2026 release, objective of the 2025 trainer; group 2 is the counterfactual variant.",
    )


def music_flamingo():
    names = ["format", "accuracy", "structure"]
    groups = [
        termed(names, [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0], [1, 0, 0]),
        termed(names, [1, 0, 0.45], [1, 0, 0.6364], [0, 0, 0.3], [1, 0, 0.1818], [1, 0, 0.5455]),
    ]
    return plain(
        14, "music-flamingo", groups, k3(0.04), dict.fromkeys(names, 1.0), notes=(UNVERIFIED,) * 3,
        updates="2" + UNVERIFIED,
        derivation=TRL
        + " accuracy applies to QA items, structure to captions; the other one is 0. The paper prints "
        "a response-level ratio; the ratio here is an action's (unverified).",
    )


# ---- 15 to 28


def trimpi():
    names = ["format", "accuracy"]
    groups = [
        termed(names, [1, 0], [1, 0], [0, 0], [1, 1], [1, 0.5], [1, 1]),
        termed(names, [0, 0], [1, 0], [1, 1], [1, 1], [1, 1], [1, 0.75]),
    ]
    return plain(
        15, "trimpi", groups, k3(0.01, high=0.3), {"format": 1.0, "accuracy": 1.0}, notes=("", "", UNVERIFIED),
        updates="12 (rollout batch 384, update batch 32)",
        combiner="weighted sum: 1.0 format + 1.0 accuracy (format's weight unverified)",
        derivation=TRL
        + " A group is the union of 3 responses sampled without (first) and 3 with the policy document; "
        "all logp, old_logp and ref_logp are those under the prompt without it.",
    )


def affordance_r1():
    names = ["think", "segmentation", "accuracy", "no_repeat", "affordance", "count"]
    groups = [
        termed(names, [1, 3, 2, 1, 1, 1], [1, 3, 1.5, 1, 0, 1], [0, 0, 0, 1, 0, 0], [1, 2, 0.5, 0, 0, 0]),
        termed(
            names, [1, 3, 3, 1, 1, 1], [1, 3, 1, 1, 1, 0], [1, 3, 2.5, 1, 0, 1], [1, 1.5, 0, 1, 0, 0],
            [1, 3, 2, 1, 1, 1],
        ),
    ]
    groups[1]["trajectories"][4] |= {"actions": 2, "mask": [0, 0]}
    return plain(
        16, "affordance-r1", groups, k3(0.005, denominator="tokens"), dict.fromkeys(names, 1.0), eps=1e-6,
        derivation=VERL + " One member is fully masked: it has an advantage and no weight.",
    )


def prorank():
    groups = [
        group(
            [
                {"reward": 1, "actions": 1}, {"reward": 0, "actions": 1}, {"reward": 1, "actions": 1},
                {"reward": -1, "actions": 4}, {"reward": 0, "actions": 1}, {"reward": -1, "actions": 3},
            ]
        ),
        group(
            [
                {"reward": 0, "actions": 1}, {"reward": -1, "actions": 5}, {"reward": -1, "actions": 2},
                {"reward": 1, "actions": 1},
            ]
        ),
    ]
    return plain(
        17, "prorank", groups, k3(0.04), notes=(UNVERIFIED,) * 3, updates="2" + UNVERIFIED,
        combiner=GIVEN + ": 1 the right label, 0 the wrong one, -1 anything else (unverified)",
        curriculum="groups of equal rewards are skipped; none in the batch",
    )


def g2rpo():
    names = ["hps_1", "hps_2", "hps_3"]
    rows = [
        [
            [0.31, 0.3, 0.29], [0.312, 0.302, 0.291], [0.309, 0.299, 0.288], [0.311, 0.301, 0.292],
            [0.31, 0.298, 0.29], [0.36, 0.35, 0.34],
        ],
        [
            [0.27, 0.28, 0.26], [0.29, 0.27, 0.28], [0.25, 0.26, 0.27], [0.3, 0.29, 0.25], [0.28, 0.25, 0.24],
            [0.26, 0.3, 0.29],
        ],
        [
            [0.33, 0.33, 0.3], [0.31, 0.33, 0.34], [0.35, 0.33, 0.32], [0.3, 0.33, 0.29], [0.32, 0.33, 0.31],
            [0.29, 0.33, 0.33],
        ],
    ]
    groups = [termed(names, *r) for r in rows]
    for g in groups:
        for t in g["trajectories"]:
            t["actions"] = 1
    groups[2]["trajectories"][1]["mask"] = [0]
    out = flow_sum_of_z(
        18, "g2rpo", groups, dict.fromkeys(names, 1.0), 1e-8, spec(low=1e-4, high=1e-4),
        "decoupled: one term for each granularity 1, 2, 3 of the denoising suffix, each normalised first, then added",
        ("old_logp",),
    )
    assert out["expected"]["advantage"][0][5] == [5.0], "the clamp must act"
    out["derivation"] += (
        " A group is a prompt and one step k of the anchor; a trajectory is the single stochastic transition "
        "at k. Groups have equal sizes, so the mean over members is the mean over steps of the groups' means."
    )
    return out


def motif():
    names = ["future", "strict_format", "soft_format", "tag_count"]
    groups = [
        termed(
            names, [1.75, 0.5, 0.5, 0.5], [0.5, 0, 0.5, 0.5], [0, 0, 0, 0.25], [1.25, 0.5, 0.5, 0.488],
            [0, 0.5, 0.5, 0.5],
        ),
        termed(names, [2, 0, 0, 0.125], [0.25, 0.5, 0.5, 0.5], [0, 0, 0.5, 0.375], [1, 0.5, 0.5, 0.5]),
    ]
    return plain(
        19, "motif", groups, spec(), dict.fromkeys(names, 1.0), columns=("old_logp",), notes=("", "", UNVERIFIED),
        derivation=TRL
        + ' "future" is the mean over m = 4 continuations of 2 (answer in its tag), 1 (elsewhere), 0; '
        "rows are of round 1 alone.",
    )


def viss_r1():
    names, facts = ["accuracy", "transform", "format"], ["length"]
    groups = [
        termed(names, [1, 1, 1, 400], [1, 0, 1, 200], [0, 1, 1, 500], [0.4, 0, 0, 768], [1, 1, 1, 900], facts=facts),
        termed(names, [1, 0, 1, 350], [0, 1, 1, 350], [0.1, 1, 1, 350], [0, 0, 0, 350], facts=facts),
        termed(names, [1, 1, 1, 320], [0.7, 1, 1, 319], [0, 0, 1, 769], facts=facts),
    ]

    def combined(g):
        right = sum(1 for a in term(g, "accuracy") if a > 0.1)
        return [
            a + 0.5 * tr + f + (0.2 if right > 1 and a > 0.1 and 320 <= n <= 768 else 0.0)
            for a, tr, f, n in zip(term(g, "accuracy"), term(g, "transform"), term(g, "format"), fact(g, "length"))
        ]

    return system(
        20, "viss-r1", groups, lambda b: z_groups(b, [combined(g) for g in b["groups"]]), spec(),
        "1.0 accuracy + 0.5 transform + 1.0 format + length bonus: 0.2 where accuracy > 0.1 and 320 <= length <= 768"
        " and more than one member of the group has accuracy > 0.1", Z4, columns=(),
        notes=(" (inert)", " (off in the ViSS trainer)", ""), reads='fact "length": completion tokens',
        derivation=TRL + " Group 2 has one right member, so no bonus.",
    )


def moe_sparsity():
    groups = [scored(1, 0, 0, 1, 0), scored(0, 0, 0, 0, 0), scored(1, 1, 0, 1, 1)]
    return plain(
        21, "moe-sparsity", groups, k3(0.001, denominator="tokens"), eps=1e-6, updates="4", derivation=VERL,
        notes=("", "", " (verl's default, unverified)"),
    )


def r1_3d():
    names = ["format", "perception", "semantic"]
    groups = [
        termed(names, [1, 0.52, 0.81], [0.75, 0, 0.6], [0.25, 0.31, 0.4], [1, 0.77, 0.9]),
        termed(names, [1, 0.1, 0.7], [1, 0.66, 0.72], [0.5, 0.25, 0.55], [1, 0, -0.05], [0.75, 0.4, 0.8]),
    ]
    w = {"format": 0.3, "perception": 0.4, "semantic": 0.3}
    return plain(22, "3d-r1", groups, k3(0.1), w, notes=("", "", UNVERIFIED), updates="2" + UNVERIFIED)


def disco():
    """Its own loss: right answers against wrong ones, with a hinge on the divergence from the old policy."""
    tau, beta, delta = 10.0, 1e3, 1e-4
    batch = fill(23000, [scored(1, 0, 0, 1, 0), scored(0, 0, 0), scored(1, 1, 0, 1)], (), None)
    for g, grp in enumerate(batch["groups"]):
        for i, t in enumerate(grp["trajectories"]):
            drift = [0.012, -0.004, 0.007, 0.001, -0.002]
            t["old_logp"] = [round(lp + drift[(g + i + k) % 5], 4) for k, lp in enumerate(t["logp"])]

    def parts(b):
        scores, gaps = [], []
        for grp in b["groups"]:
            row = []
            for t in grp["trajectories"]:
                kept = [k for k, m in enumerate(mask_of(t)) if m]
                row.append(mean([t["logp"][k] for k in kept]))
                gaps += [t["old_logp"][k] - t["logp"][k] for k in kept]
            scores.append(row)
        return scores, mean(gaps), len(gaps)

    def split(grp):
        right = [i for i, t in enumerate(grp["trajectories"]) if t["reward"] == 1]
        return right, [i for i, t in enumerate(grp["trajectories"]) if t["reward"] == 0]

    def loss_of(b, tau=tau, constraint=True):
        scores, c, _ = parts(b)
        total = 0.0
        for grp, s in zip(b["groups"], scores):
            right, wrong = split(grp)
            if right and wrong:
                total += mean([s[i] for i in right])
                inside = mean([cmath.exp(s[i] / tau) for i in wrong])
                inside = cmath.log(inside) if inside.imag else math.log(inside.real)
                total -= tau * inside
        over = c - delta if complex(c).real > delta else 0.0
        return -total / len(b["groups"]) + (0.5 * beta * over * over if constraint else 0.0)

    scores, c, tokens = parts(batch)
    assert c > delta, "the constraint must act"
    d = [[[0.0] * len(t["logp"]) for t in grp["trajectories"]] for grp in batch["groups"]]
    for g, grp in enumerate(batch["groups"]):
        right, wrong = split(grp)
        dropped = not (right and wrong)
        largest = max([scores[g][i] for i in wrong], default=0.0)
        heat = {i: math.exp((scores[g][i] - largest) / tau) for i in wrong}
        for i, t in enumerate(grp["trajectories"]):
            mask = mask_of(t)
            pull = 0.0 if dropped else 1.0 / len(right) if i in right else -heat[i] / sum(heat.values())
            for k, m in enumerate(mask):
                if m:
                    d[g][i][k] = -pull / len(batch["groups"]) / sum(mask) - beta * (c - delta) / tokens
    check(batch, None, loss_of, {"logp": d})
    # J2 -> J1, the plain difference of means, as tau grows.
    j1 = mean(
        [
            mean([s[i] for i in split(g)[0]]) - mean([s[i] for i in split(g)[1]]) if all(split(g)) else 0.0
            for g, s in zip(batch["groups"], scores)
        ]
    )
    assert abs(-loss_of(batch, 1e6, constraint=False) - j1) < 1e-6
    return {
        "system": 23,
        "recipe": "disco",
        "choices": {
            "reward combiner": GIVEN + ": 1 right, 0 wrong",
            "advantage": "none: the objective reads the rewards of the whole group (no `advantage` in `expected`)",
            "ratio level": "none: the score of a member is logL = mean of logp over its trained actions",
            "gate": "none",
            "surrogate": (
                "discriminative: per group mean of right members' scores - tau log mean over wrong members of"
                " exp(score / tau), tau 10"
            ),
            "denominator": (
                "mean over all groups; one without a right or without a wrong member adds 0 and is counted. Scores"
                " and the constraint average over trained actions"
            ),
            "divergence": (
                "hinge on c = mean over all trained actions of the batch, of dropped groups too, of old_logp - logp:"
                " 0.5 beta_c max(c - delta, 0)^2 in the loss, gradient beta_c max(c - delta, 0) grad c; beta_c 1000,"
                " delta 0.0001"
            ),
            "inner updates": "4 (the constraint is inert at the first); the batch stands at a later one, c > delta",
            "curriculum": "none",
        },
        "derivation": (
            "Formula of the notes (J2 with logL) in naive loops, with the notes' half-gradient form as the gradient"
            " of the halved square. Asserted by the script: J2 tends to the difference of means as tau grows; c >"
            " delta. Group 2 has no right member."
        ),
        "batch": batch,
        "expected": {"loss": loss_of(batch).real, "d_logp": d},
    }


def grpo_care():
    def members(*rows):
        return group([{"rewards": {"accuracy": a, "format": f}, "facts": {"confidence": c}} for a, f, c in rows])

    groups = [
        members((1, 1, 0.99), (1, 1, 0.6), (0, 1, 0.8), (1, 0, 0.97), (0, 1, 0.3)),
        members((0.3, 1, 0.7), (0.8, 1, 0.4), (0.5, 1, 0.9), (0.05, 1, 0.99)),
        members((0, 1, 0.5), (0.1, 0, 1.0), (0, 1, 0.9)),
    ]

    def combined(g):
        r, conf = term(g, "accuracy"), [min(c, 0.95) for c in fact(g, "confidence")]
        high = [i for i, a in enumerate(r) if a > 0.1 and a >= mean(r)]
        bar = mean([conf[i] for i in high]) if high else None
        bonus = [0.5 * r[i] if i in high and conf[i] >= bar else 0.0 for i in range(len(r))]
        return [a + f + b for a, f, b in zip(r, term(g, "format"), bonus)]

    return system(
        24, "grpo-care", groups, lambda b: z_groups(b, [combined(g) for g in b["groups"]]), spec(),
        "1.0 accuracy + 1.0 format + bonus: 0.5 accuracy where i is in H and min(confidence, 0.95) >= the mean of it"
        " over H - margin; H = accuracy > 0.1 and >= the group's mean accuracy; margin 0; H empty: no bonus", Z4,
        columns=(), reads='fact "confidence": exp(mean reference logp of the answer span), before the cap',
        notes=(" (inert)", "", ""),
        derivation=TRL
        + " By hand: group 1 H = {0, 1, 3}, bar 0.8333, bonus to 0 and 3; group 2 mean 0.4125, H = {1, 2}, "
        "bar 0.65, bonus 0.25 to 2; group 3 H empty (0.1 is not above 0.1).",
    )


def serial_rewards(positions, right):
    """1/2^(k-1) for the k-th right exit in order of position, 0 for a wrong one."""
    return [
        0.5 ** (sum(1 for p, c in zip(positions, right) if c and p <= mine) - 1) if r else 0.0
        for mine, r in zip(positions, right)
    ]


def s_grpo():
    def chain(*rows):
        return termed(["answer"], *[[a, p] for p, a in rows], facts=["position"])

    groups = [
        chain((40, 1), (10, 0), (25, 1), (70, 1), (90, 0), (120, 1)),
        chain((15, 0), (33, 0), (60, 1)),
        chain((5, 0), (50, 0), (28, 0)),
    ]
    # An exit's answer begins after injected text, which is not trained.
    groups[0]["trajectories"][0] |= {"actions": 5, "mask": [1, 1, 0, 0, 1]}
    assert serial_rewards([40, 10, 25, 70, 90, 120], [1, 0, 1, 1, 0, 1]) == [0.5, 0, 1, 0.25, 0, 0.125]

    def advantage(batch):
        rows = []
        for g in batch["groups"]:
            r = serial_rewards(fact(g, "position"), term(g, "answer"))
            rows.append([0.0] * len(r) if max(r) == min(r) else [v - mean(r) for v in r])
        return broadcast(batch, rows)

    return system(
        25, "s-grpo", groups, advantage, spec(),
        "decay by position: 1 / 2^(k - 1) for the k-th right answer of the group in the order of position, 0 where"
        " wrong", "r - group mean, no std", columns=("old_logp",), updates="2" + UNVERIFIED,
        notes=(UNVERIFIED, "", ""),
        reads='term "answer" (1 right, 0 wrong), fact "position" (exit position; the full chain has the largest)',
        derivation=(
            "Formula of the notes in naive loops; rewards by hand: positions 40 10 25 70 90 120, right 1 0 1 1 0 1 ->"
            " 0.5 0 1 0.25 0 0.125. Injected text is masked."
        ),
    )


def soft_grpo():
    groups = [scored(1, 0, 0, 1, 1), scored(0, 0, 1, 0)]
    for seed in range(26000, 26999):
        batch = fill(seed, groups, ("old_logp", "ref_logp"), 0.2)
        # A soft step's density can move far: two ratios beyond the dual clip, of either sign.
        for g, i, gap in ((0, 2, 1.31), (1, 0, 1.22), (0, 0, 1.27)):
            t = batch["groups"][g]["trajectories"][i]
            t["old_logp"][0] = round(t["logp"][0] - gap, 4)
        s = k3(0.001, denominator="tokens", dual=3.0)
        a = z_groups(batch, rewards(batch), 1e-6)
        if covers(batch, a, s):
            break
    words = {"reward combiner": GIVEN + ": 1 right, 0 wrong", "advantage": Z6} | in_words(s)
    words["gate"] += " (for A < 0 the term is max(min(rho A, clip(rho) A), c A))"
    words |= {"inner updates": "2", "curriculum": "none"}
    return {
        "system": 26,
        "recipe": "soft-grpo",
        "choices": words,
        "batch": batch,
        "expected": checked(batch, a, s),
        "derivation": (
            VERL
            + " An action is a soft token; its logp is the mean Gumbel log-density of the implied noise, or an "
            "ordinary logp in the answer."
        ),
    }


def stratified_grpo():
    def calls(*rows):
        return termed(["answer"], *[[a, n] for n, a in rows], facts=["calls"])

    groups = [calls((0, 0), (1, 1), (1, 0), (2, 1), (2, 1), (2, 0)), calls((1, 0), (1, 0), (3, 0), (3, 1), (1, 0))]

    def advantage(batch, alpha=0.5):
        rows = []
        for g in batch["groups"]:
            r, n = term(g, "answer"), fact(g, "calls")
            inside = [0.0] * len(r)
            for stratum in set(n):
                mine = [i for i in range(len(r)) if n[i] == stratum]
                for i, a in zip(mine, z([r[i] for i in mine])):
                    inside[i] = a
            rows.append([alpha * a + (1 - alpha) * b for a, b in zip(inside, z(r))])
        return broadcast(batch, rows)

    return system(
        27, "stratified-grpo", groups, advantage, k3(0.001), weighted_text({"answer": 1.0}),
        "alpha * z-score inside the stratum + (1 - alpha) * z-score in the group, alpha 0.5 (unverified); both "
        "(r - mean) / (std + 1e-4), ddof 1 (unverified); a stratum of one or of equal rewards gives 0",
        reads='fact "calls": search calls; a stratum is the members of a group with the same number',
        updates="2" + UNVERIFIED, notes=(UNVERIFIED,) * 3,
        derivation=(
            "Formula of the notes in naive loops. Group 1 has a stratum of one, group 2 one "
            "of equal rewards. A masked action is a tool's answer."
        ),
    )


def rank_grpo():
    def listed(segments, hits, shaping):
        return {
            "segment": segments,
            "segment_rewards": {str(k): h for k, h in enumerate(hits)},
            "facts": {"shaping": shaping},
        }

    groups = [
        group(
            [
                listed([0, 0, 1, 2, 3], [1, 0, 1], [0, 0, 0, 0, 0.1]),
                listed([0, 1, 1, 3], [0, 1, 0], [0, 0, 0, -0.1]),
                listed([0, 1, 2, 3, 3], [1, 1, 0], [0, 0, 0, -0.1, -0.1]),
                listed([0], [0, 0, 0], [0]),
            ]
        ),
        group(
            [
                listed([0, 1, 2, 2, 3], [0, 1, 0], [0, 0, 0, 0, 0.1]) | {"mask": [1, 1, 1, 0, 1]},
                listed([0, 0, 1, 1, 2], [1, 0, 0], [0, 0, 0, 0, 0]),
                listed([0, 1, 2, 3], [0, 0, 0], [0, 0, 0, 0.1]),
                listed([0, 0, 3], [0, 0, 0], [0, 0, -0.1]),
                listed([0, 0, 1, 2, 2], [1, 1, 0], [0, 0, 0, 0, 0]),
            ]
        ),
    ]

    def advantage(batch):
        out = []
        for g in batch["groups"]:
            ts = g["trajectories"]
            ranks = sorted({k for t in ts for k in t["segment_rewards"]})
            scores = {int(k): z([t["segment_rewards"][k] for t in ts]) for k in ranks}
            out.append(
                [
                    [
                        (scores[s][i] if s in scores else 0.0) + extra
                        for s, extra in zip(t["segment"], t["facts"]["shaping"])
                    ]
                    for i, t in enumerate(ts)
                ]
            )
        return out

    s = k3(0.001, level="segment", low=0.06, high=0.08, denominator="segment")
    return system(
        28, "rank-grpo", groups, advantage, s,
        "a reward for each rank (exp_inf: 1 a hit, 0 none), in segment_rewards",
        "z-score over the group of each rank's rewards, (r - mean) / (std + 1e-4), ddof 1, equal rewards exactly 0,"
        " at every action of the rank; plus the fact shaping (-0.1 / +0.1), added after normalisation", clip=0.07,
        updates="2",
        reads=(
            "segment (rank), segment_rewards (of all 3 ranks for every member, 0 for a rank it lacks); per-action"
            ' fact "shaping": -0.1 on actions beyond the list and on an early end, +0.1 on the end of a full list.'
            " Segment 3 is the bin after the list (overflow and end); it has no reward and takes shaping alone"
        ),
        derivation=(
            "Formula of the notes in naive loops, with the paper's mean over ranks. Members with shorter lists have "
            "fewer segments and average over those they have."
        ),
    )


# ---- 29 to 35


def median_mad(values, floor=1e-3):
    """(r - m) / (MAD + floor) with the lower median m, and the index of the pivot."""

    def lower_median(xs):
        return sorted(xs)[(len(xs) - 1) // 2]

    m = lower_median(values)
    scale = lower_median([abs(v - m) for v in values]) + floor
    order = sorted(range(len(values)), key=lambda i: values[i])
    return [(v - m) / scale for v in values], order[(len(values) - 1) // 2]


def mc_grpo():
    a, pivot = median_mad([0, 1.5, 2])
    assert pivot == 1 and abs(a[0] + 2.994) < 5e-4 and abs(a[2] - 0.998) < 5e-4
    a, _ = median_mad([0, 0, 2])
    assert sorted(round(v, 6) for v in a) == [0, 0, 2000]
    groups = [scored(0, 1.5, 2), scored(0.35, 2.0, -0.4, 1.5, 0.9)]
    dropped = tuple((g, median_mad(r)[1]) for g, r in enumerate([[0, 1.5, 2], [0.35, 2.0, -0.4, 1.5, 0.9]]))

    def advantage(batch):
        return broadcast(batch, [median_mad(r)[0] for r in rewards(batch)])

    return system(
        29, "mc-grpo", groups, advantage, k3(0.04, dropped=dropped), GIVEN,
        "(r - m) / (MAD + 1e-3), m the lower median of the G + 1 rewards, MAD the lower median of |r - m|; the pivot"
        " (the member at sorted place floor((n - 1) / 2)) is dropped: advantage 0, no loss, no divergence, not"
        " counted; renorm_nonzero off (the MATH trainer)", updates="2",
        derivation=(
            "Formula of the notes in naive loops. Paper's worked numbers, asserted by the script and group 1 of the "
            "batch: [0, 1.5, 2] -> -2.994 and +0.998; also [0, 0, 2] -> 0 and 2000. The rest by TRL's conventions."
        ),
    )


def sigmoid_lengths(lengths, right, alpha=0.6):
    """1 - alpha sigmoid((L - mean) / std) over the right ones (std of the population, at least 1e-4); 0 where wrong."""
    own = [n for n, c in zip(lengths, right) if c]
    m, s = mean(own), max(std(own, ddof=0), 1e-4)
    return [1 - alpha / (1 + math.exp(-(n - m) / s)) if c else 0.0 for n, c in zip(lengths, right)]


def grpo_lambda():
    got = sigmoid_lengths([10, 20, 30], [1, 1, 1])
    assert all(abs(a - b) < 1e-4 for a, b in zip(got, [0.8637, 0.7, 0.5363])), got

    def answers(*rows):
        return termed(["answer"], *rows, facts=["length"])

    groups = [
        answers([1, 30], [0, 12], [0, 44], [1, 25]),
        answers([1, 10], [1, 20], [1, 30], [0, 5], [1, 26]),
        answers([0, 40], [1, 17], [0, 9]),
    ]

    def combined(batch, top=0.2):
        rate = [mean(term(g, "answer")) for g in batch["groups"]]
        best = sorted(range(len(rate)), key=lambda g: -rate[g])[: max(1, math.ceil(top * len(rate)))]
        return [
            sigmoid_lengths(fact(g, "length"), term(g, "answer")) if k in best and rate[k] > 0 else term(g, "answer")
            for k, g in enumerate(batch["groups"])
        ]

    return system(
        30, "grpo-lambda", groups, lambda b: z_groups(b, combined(b)), k3(0.04),
        "switch by the batch: the ceil(0.2 B) groups, at least 1, with the largest share of right answers get 1 - 0.6"
        " sigmoid((length - mean) / std) where right, 0 where wrong, mean and std (population, at least 1e-4) over"
        " the group's right answers; the other groups, and a chosen one without a right answer, get answer (alpha 0.6"
        " unverified)",
        Z4, reads='term "answer" (1 right, 0 wrong), fact "length" in tokens', notes=(UNVERIFIED,) * 3,
        updates="2" + UNVERIFIED,
        derivation=(
            "Formula of the notes in naive loops; worked numbers asserted: lengths 10 20 30 -> 0.8637 0.7000 0.5363. "
            "Group 2 is the chosen one."
        ),
    )


def talk2move():
    groups = [scored(0.92, 0.6505, 0, 0.31), scored(0, 0.12, 0.44, 0, 0.2), scored(0, 0, 0)]

    def advantage(batch):
        rows = rewards(batch)
        scale = std([r for row in rows for r in row]) + 1e-4
        return broadcast(
            batch,
            [[0.0] * len(r) if max(r) == min(r) else [clamp((v - mean(r)) / scale, -5, 5) for v in r] for r in rows],
        )

    return system(
        31, "talk2move", groups, advantage, spec(low=2e-4, high=2e-4), GIVEN + " (translation, weight 1.0)",
        "(r - group mean) / (std of all rewards of the batch + 1e-4), ddof 1; clamped to +-5 (unverified)",
        columns=("old_logp",), clip=2e-4, updates="2",
        derivation=FLOW
        + " Actions are the steps of the stochastic window alone; shortcut steps have no row. Group 3 has equal"
        " rewards.",
    )


def cosine(right, length, top=3584):
    """From 1.0 (short) to 0.5 where right, from 0.0 to -0.5 where wrong; length clamped to top."""
    short, long = (1.0, 0.5) if right else (0.0, -0.5)
    return long + 0.5 * (short - long) * (1 + math.cos(math.pi * clamp(length / top, 0.0, 1.0)))


def open_rs():
    for share, right, wrong in ((0, 1.0, 0), (0.25, 0.9268, -0.0732), (0.5, 0.75, -0.25), (1, 0.5, -0.5)):
        assert abs(cosine(1, share * 3584) - right) < 5e-5 and abs(cosine(0, share * 3584) - wrong) < 5e-5
    names, facts = ["format", "answer"], ["length"]
    groups = [
        termed(names, [1, 1, 896], [1, 0, 896], [0, 0, 4000], [1, 1, 1792], [1, 1, 3584], [0, 1, 2500], facts=facts),
        termed(names, [1, 0, 300], [1, 0, 2900], [0, 0, 5000], [1, 1, 1200], facts=facts),
    ]

    def combined(g):
        return [f + 2 * cosine(a, n) for f, a, n in zip(term(g, "format"), term(g, "answer"), fact(g, "length"))]

    return system(
        32, "open-rs", groups, lambda b: z_groups(b, [combined(g) for g in b["groups"]]), k3(0.04),
        "1.0 format + 2.0 cosine; cosine = lo + 0.5 (hi - lo) (1 + cos(pi p)), p = length / 3584 clamped to [0, 1]:"
        " right lo 0.5, hi 1.0; wrong lo -0.5, hi 0.0", Z4, columns=("ref_logp",), notes=(" (inert)", UNVERIFIED, ""),
        reads='term "answer" (1 right, 0 wrong), fact "length" in characters; one length is beyond 3584',
        derivation=TRL
        + " Worked numbers asserted: p 0, .25, .5, 1 -> right 1.0 .9268 .75 .5, wrong 0 -.0732 -.25 -.5.",
    )


def reasoning_sql():
    names = ["execution", "syntax", "schema", "ngram", "format"]
    groups = [
        termed(
            names, [3, 1, 1, 0.5556, 0.5], [1.2, 1, 0.75, 0.4, 0.5], [0, 0, 0.5, 0.2143, 0.25],
            [0.5, 1, 0.6667, 0.3, 0.488],
        ),
        termed(
            names, [3, 1, 1, 0.8, 0.5], [3, 1, 0.8, 0.3, 0.5], [1.5, 1, 1, 0.7, 0.375], [0, 0, 0, 0.05, 0],
            [0, 1, 0.4, 0.1, 0.5],
        ),
    ]
    return plain(
        33, "reasoning-sql", groups, k3(0.04), dict.fromkeys(names, 1.0), columns=("ref_logp",),
        notes=(" (inert)", UNVERIFIED, ""),
    )


def stealthrl():
    names = ["detector", "semantics", "gate"]
    groups = [
        termed(names, [1.31, 0.96, 0], [-0.4, 0.94, 0], [0.22, 0.9, 0], [0, 0, -1], [0, 0, -0.5]),
        termed(names, [0.5, 0.5, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]),
        termed(names, [-3, 0.97, 0], [1.8, 0.82, 0], [0.75, 0.91, 0], [-0.61, 0.95, 0]),
    ]
    w = dict.fromkeys(names, 1.0)
    return system(
        34, "stealthrl", groups, lambda b: z_groups(b, rewards(b, w), limit=10.0),
        k3(0.01, gate="none", dropped=tuple((1, i) for i in range(3))),
        weighted_text(w)
        + ' ("detector" after its running z-score; "gate" -1 or -0.5 where an output is refused, and then the others'
        " are 0; the rescue of groups whose rewards are all <= 0 is off)",
        Z4 + ", clamped to +-10; a group of equal rewards is dropped: no loss, no divergence, not counted", updates="4",
        notes=("", " (the estimator is unverified)", UNVERIFIED),
        derivation=(
            "Formula of the notes in naive loops: importance-weighted policy gradient, no clip. Group 2 has equal"
            " rewards and leaves the batch."
        ),
    )


def temporal_r1():
    names = ["task", "format"]
    groups = [
        termed(names, [0.3333, 1], [0.71, 1], [0, 1], [0.5, 0], [0, 0]),
        termed(names, [1, 1], [0, 1], [1, 0], [0, 1]),
    ]
    return plain(
        35, "temporal-r1", groups, k3(0.01, denominator="tokens", entropy=1e-3), {"task": 0.5, "format": 0.5},
        eps=1e-6, columns=("old_logp", "ref_logp", "entropy"),
        derivation=VERL
        + " Group 1 is temporal grounding "
        "(task = tIoU), group 2 multiple choice (task = match). Worked: tIoU 0.3333 with format 1 -> 0.6667.",
        notes=(UNVERIFIED, ", each k3 clamped to [-10, 10], which no action reaches", ""),
        curriculum="prompts chosen by the variance of their rewards, before training",
    )


SYSTEMS = [
    verireason, job_eval, mind_v, yingmusic_singer, pref_grpo, chartmaster, grpo_guard, reason_rft, bigcharts_r1,
    br_rm, uae, nav_r1, defacto, music_flamingo, trimpi, affordance_r1, prorank, g2rpo, motif, viss_r1, moe_sparsity,
    r1_3d, disco, grpo_care, s_grpo, soft_grpo, stratified_grpo, rank_grpo, mc_grpo, grpo_lambda, talk2move, open_rs,
    reasoning_sql, stealthrl, temporal_r1,
]
