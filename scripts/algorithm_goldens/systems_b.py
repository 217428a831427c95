"""Systems 36 to 69: one function a system, from the published formulas."""

import math
from collections import Counter

from common_b import (batch, broadcast, clipped, clips_both_ways, close, column, combine, denominated, each,
                      facts, given, group_facts, grpo_action, k3, mean, member, prepared, quantile, sigmoid,
                      solve, std, terms, z_scores)

PER = {"sequence": "sequence: mean over a member's trained actions, then over members",
       "tokens": "tokens: sum over the batch's trained actions / their number"}
HAND = "Hand arithmetic from the formula."
PLAIN = "Advantage and clipped loss are plain GRPO, in the form of TRL and verl (neither was run)."


def record(system, recipe, b, expected, derivation, choices, unverified=()):
    for key in unverified:
        choices[key] += " (unverified)"
    return {"system": system, "recipe": recipe, "choices": choices, "derivation": derivation,
            "batch": b, "expected": expected}


def plain(system, recipe, b, rewards, combiner, derivation, eps=1e-4, ddof=1, clip=(0.2, 0.2), kl=0.0, bonus=0.0,
          per="sequence", updates="1", curriculum="none", coefficients=None, advantage=None, dual=None, extra=None,
          unverified=()):
    """Plain GRPO around whatever made `rewards`, or the trajectory `coefficients` where they are given."""
    if coefficients is None:
        coefficients = [z_scores(row, eps, ddof) for row in rewards]
        kind = "sample (ddof 1)" if ddof else "population (ddof 0)"
        advantage = f"(R - group mean) / (group std + {eps:g}), {kind}; equal rewards give 0"
    a = broadcast(b, coefficients)
    if clip and any("old_logp" in t for _, _, t in each(b)):
        assert clips_both_ways(b, a, *clip), f"{recipe}: the gate does not close both ways"
    expected = solve(prepared(b), a, denominated(grpo_action(a, clip, kl, bonus, dual), per))
    gate = "none: ratio 1, its derivative alone" if clip is None else f"clip to [{1 - clip[0]:g}, {1 + clip[1]:g}]"
    choices = {"reward combiner": combiner, "advantage": advantage, "ratio level": "token", "gate": gate,
               "denominator": PER[per], "divergence": f"k3 to ref_logp in the loss, coefficient {kl:g}" if kl else "none",
               "inner updates": updates, "curriculum": curriculum}
    if dual is not None:
        choices["gate"] += f", dual clip {dual:g}"
    if bonus:
        choices["entropy"] = f"bonus {bonus:g}, same denominator"
    choices.update(extra or {})
    return record(system, recipe, b, expected, derivation, choices, unverified)


def r1_aqa():
    b = batch(36, "xxx x xx.xx xx | xxxx x x.x", old=None, ref=0.4)
    terms(b, accuracy=[[1, 0, 1, 0], [0, 0, 1]], format=[[1, 1, 0, 1], [1, 0, 1]])
    r = combine(b, lambda t, f: t["accuracy"] + t["format"])
    return plain(36, "r1-aqa", b, r, "R = accuracy + format", f"{HAND} The loss has the form of TRL GRPO at one update a batch (TRL was not run).",
                 clip=None, kl=0.04, unverified=["divergence"])


def c_grpo():
    b = batch(37, "xxx x xx.xx xx | xxxx .xx x xx")
    shift = [[[0.2, -0.8, 0.1], [0.9], [0.0, -0.2, 0.3, 0.6, -0.6], [0.72, -0.1]],
             [[-0.3, 0.4, -0.71, 0.1], [0.0, 0.2, -0.5], [0.3], [-0.9, 0.1]]]
    for g, i, t in each(b):
        t["behaviour_logp"] = [round(min(x - s, -0.01), 4) for x, s in zip(t["old_logp"], shift[g][i], strict=True)]
    terms(b, outcome=[[1, 1, 0, 1], [0, 1, 0, 0]], rubric=[[0.8, 0.4, 0.6, 0.0], [0.5, 0.0, 0.25, 0.0]])
    rewards = []
    for group in b["groups"]:
        outcome, rubric = column(group, "rewards", "outcome"), column(group, "rewards", "rubric")
        top = max(rubric)
        rewards.append([0.7 * o + 0.3 * o * (r / top if top > 0 else 0.0) for o, r in zip(outcome, rubric)])
    close(rewards[0], [1.0, 0.85, 0.0, 0.70], 1e-12)
    coefficients = [z_scores(row, 1e-4) for row in rewards]
    close(coefficients[0], [0.8196, 0.4804, -1.4413, 0.1413], 5e-4)
    a = broadcast(b, coefficients)
    assert clips_both_ways(b, a, 0.2, 0.28)

    def action(t, k, g, i):
        w = math.exp(t["old_logp"][k] - t["behaviour_logp"][k])
        w = w if 0.5 <= w <= 2.0 else 0.0
        value, slope = clipped(t["logp"][k], t["old_logp"][k], a[g][i][k], 0.2, 0.28)
        return w * value, {"logp": w * slope}

    return record(
        37, "c-grpo", b, solve(prepared(b), a, denominated(action, "tokens")),
        "Hand arithmetic; the first group is the worked example of the notes: outcome [1,1,0,1], rubric [.8,.4,.6,0] -> "
        "R [1.0,.85,0,.70], z [.8196,.4804,-1.4413,.1413] (printed without eps). Clip-higher as in verl; the mismatch "
        "weight w = exp(old_logp - behaviour_logp) multiplies the surrogate, w = 0 outside [0.5, 2].",
        {"reward combiner": "terms outcome, rubric: R = (1 - alpha) outcome + alpha outcome rubric / max of rubric in the group "
                            "(0 where that maximum is 0), alpha 0.3",
         "advantage": "(R - group mean) / (group std + 0.0001), sample (ddof 1)", "ratio level": "token",
         "gate": "clip to [0.8, 1.28]; mismatch weight w kept in [0.5, 2], else 0; a zero weight still counts in the denominator",
         "denominator": PER["tokens"], "divergence": "none", "inner updates": "1 (unverified)", "curriculum": "none"})


def sage_hint():
    b = batch(38, "xxx x xx.xx xx | x xxx xx | xx x xxxx")
    r = given(b, [[0, 1, 0, 0], [1, 1, 1], [0, 1, 1]])
    lo, hi = 0.2, 0.28
    a = broadcast(b, [z_scores(row, 1e-4, ddof=0) for row in r])
    assert clips_both_ways(b, a, lo, hi)
    return record(
        38, "sage-hint", b, solve(prepared(b), a, denominated(grpo_action(a, (lo, hi)), "constant", length=1)),
        f"{HAND} Loss = -1/(B G) sum_i A_i sum_t of the clipped ratio: summed over a member's actions, mean over members. "
        "Each group is the last one drawn, all members under one hint; all three log-probabilities are under it.",
        {"reward combiner": "one term, 0 or 1",
         "advantage": "(R - group mean) / (group std + 0.0001), population (ddof 0); equal rewards give 0",
         "ratio level": "token", "gate": "clip to [0.8, 1.28]",
         "denominator": "constant, length 1: sum / number of members (unverified: the printed formula; the code's default may be a mean)",
         "divergence": "none", "inner updates": "2 (128 prompts a step, mini-batch 64)",
         "curriculum": "hint level rises while a group has no success; not in the loss"})


def spine():
    x = "x" * 9
    b = batch(39, f"{x}xxxxxxx xxx.xxxxxx xxxxxx x | {x}x xxxxx xx.xxxx {x}.xxxxxxx", ref=0.4, entropy=True)
    facts(b, answer=[["7", "7", "3", "7"], ["12", "9", "12", "4"]])
    rewards = []
    for group in b["groups"]:
        answers = column(group, "facts", "answer")
        (top, n), second = Counter(answers).most_common()[:2]
        assert n > second[1], "no ties here"
        rewards.append([1.0 if x == top else 0.0 for x in answers])
    a = broadcast(b, [z_scores(row, 1e-4) for row in rewards])
    example = [0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.5, 2.0, 2.2, 2.4]
    close([quantile(example, 0.1), quantile(example, 0.5)], [0.095, 1.0], 1e-12)
    close(mean([max(0, h - 1.0) + max(0, 0.095 - h) for h in example]), 0.4345, 1e-12)

    work, band = prepared(b), {}
    for g, i, t in each(work):
        trained = [k for k, m in enumerate(t["mask"]) if m]
        forks = sorted(trained, key=lambda k: -t["entropy"][k])[:math.ceil(len(trained) / 5)]
        kept = [t["entropy"][k] for k in forks]
        band[g, i] = quantile(kept, 0.1), quantile(kept, 0.5)
        t["mask"] = [1 if k in forks else 0 for k in range(len(t["mask"]))]
    grpo = grpo_action(a, (0.2, 0.2), kl=0.01)
    assert clips_both_ways(work, a, 0.2, 0.2)

    def hinges(t, k, g, i):
        h, (low, high) = t["entropy"][k], band[g, i]
        return 0.1 * (max(0.0, h - high) + max(0.0, low - h)), {"entropy": 0.1 * ((h > high) - (h < low))}

    core, regulariser = denominated(grpo, "tokens"), denominated(hinges, "sequence")

    def loss(of):
        (value, slopes), (penalty, more) = core(of), regulariser(of)
        return value + penalty, slopes | more

    return record(
        39, "spine", b, solve(work, a, loss),
        "Hand arithmetic; the quantiles and the hinges are held against the worked example of the notes: ten entropies "
        ".05 .. 2.4 give thresholds .095 and 1.0 and a mean band loss .4345. Loss = (1/|S|) sum over forking actions S of "
        "the batch [clip term + 0.01 k3] + 0.1 mean over trajectories i of mean over S_i of [max(0, H - H_high) + max(0, H_low - H)]; "
        "thresholds and S are constants. The source gives the band of one trajectory as a mean over S_i and leaves open how "
        "trajectories are averaged: here each counts alike.",
        {"reward combiner": "fact answer of each trajectory: 1 if it is the group's most frequent answer, else 0 (no ties in this batch)",
         "advantage": "(R - group mean) / (group std + 0.0001), sample (ddof 1)", "ratio level": "token", "gate": "clip to [0.8, 1.2]",
         "weights": "per trajectory the ceil(n / 5) of its n trained actions with the highest entropy (the same set as entropy >= its "
                    "linearly interpolated 0.8 quantile); all others 0",
         "entropy band": "H_low, H_high = linearly interpolated 0.1 and 0.5 quantiles of the trajectory's forking entropies, both hinges "
                         "weight 1, band weight 0.1; slope 0 at a threshold (weights unverified)",
         "denominator": "tokens: number of forking actions in the batch; the band: mean over a trajectory's forking actions, then over "
                        "trajectories (the latter unverified)",
         "divergence": "k3 to ref_logp on forking actions, coefficient 0.01 (unverified)", "inner updates": "1 (unverified)",
         "curriculum": "none"})


def avatarshield():
    b = batch(40, "xxx x xx.xx xx | xxxx .xx x", ref=0.4)
    terms(b, format=[[1, 0, 1, 1], [1, 1, 0]], accuracy=[[1, 1, 0, 0], [0, 1, 0]])
    group_facts(b, contrast_accuracy=[0.5, 0.75])
    rewards = []
    for group in b["groups"]:
        p, q = mean(column(group, "rewards", "accuracy")), group["facts"]["contrast_accuracy"]
        rewards.append([t["rewards"]["format"] + t["rewards"]["accuracy"] + (0.3 if t["rewards"]["accuracy"] == 1 and p >= 0.8 * q else 0)
                        for t in group["trajectories"]])
    return plain(40, "avatarshield", b, rewards,
                 "terms format, accuracy; group fact contrast_accuracy = accuracy on the shuffled clip: R = format + accuracy + 0.3 if "
                 "correct and (mean accuracy of the group) >= 0.8 contrast_accuracy",
                 f"{HAND} {PLAIN} The first group earns the bonus (.5 >= .4), the second does not (.333 < .6). The shuffled probes have no "
                 "gradient and are not in the batch.", kl=0.04,
                 unverified=["reward combiner", "advantage", "gate", "denominator", "divergence", "inner updates"])


def grpo_ptr():
    b = batch(41, "xxx x xx.xx xx | xxxx .xx x xx | xx xxx x", ref=0.4)
    terms(b, format=[[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0]], outcome=[[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1]],
          reasoning=[[0.4, 0.5, 0.9, 0.7], [0.9, 0.3, 0.6, 0.5], [0.2, 0.8, 0.5]])
    rewards, taus = [], []
    for group in b["groups"]:
        scores = list(zip(column(group, "rewards", "outcome"), column(group, "rewards", "reasoning")))
        right, wrong = [s for o, s in scores if o == 1], [s for o, s in scores if o == 0]
        gap = mean(right) - mean(wrong) if right and wrong else 0.0
        tau = 1.0 if gap >= 0 else math.exp(gap)
        taus.append(tau)
        rewards.append([0.3 * t["rewards"]["format"] + t["rewards"]["outcome"] + 0.5 * tau * t["rewards"]["reasoning"]
                        for t in group["trajectories"]])
    close(taus, [0.7047, 1.0, 1.0], 5e-5)
    close(rewards[0], [1.4409, 1.4762, 0.6171, 0.5466], 5.1e-5)
    return plain(41, "grpo-ptr", b, rewards,
                 "terms format, outcome, reasoning: R = 0.3 format + 1.0 outcome + 0.5 tau reasoning; D = mean reasoning of the correct - of "
                 "the wrong (outcome 1 / 0) in the group; tau = 1 if D >= 0 or a side is empty, else exp(D)",
                 "Hand arithmetic; the first group is the worked example of the notes: outcome [1,1,0,0], reasoning [.4,.5,.9,.7], format 1 -> "
                 f"D -.35, tau .7047, R [1.4409,1.4762,.6171,.5466]. The second has D > 0, the third nobody wrong. 7 of 11 are correct: the stage of the "
                 f"reasoning reward. {PLAIN}",
                 kl=0.04, curriculum="reasoning is off until accuracy is about 0.5; here it is 0.64, reasoning on",
                 unverified=["gate", "denominator", "inner updates"])


def hc_grpo():
    b = batch(42, "xxx.x x xx.xx xx | xxxx .xx x.xx", ref=0.4)
    terms(b, success=[[1, 1, 0, 1], [0, 1, 0]])
    facts(b, cells=[[5, 9, 3, 2], [4, 6, 0]], questions=[[2, 0, 3, 1], [0, 1, 4]], memory=[[1, 2, 0, 0], [1, 0, 2]])

    def cost(f):
        asked = sum(2.0 * (1 + 0.5 * n) for n in range(f["questions"]))
        return 1.0 * f["cells"] + asked + 0.1 * f["memory"]

    r = combine(b, lambda t, f: 20.0 * t["success"] - 1.0 * cost(f))
    close([cost(b["groups"][0]["trajectories"][0]["facts"]), r[0][0]], [10.1, 9.9], 1e-12)
    return plain(42, "hc-grpo", b, r,
                 "term success, facts cells (walked), questions, memory (look-ups): R = 20 success - 1.0 (1.0 cells + sum over questions "
                 "n = 0.. of 2.0 (1 + 0.5 n) + 0.1 memory)",
                 "Hand arithmetic; the first trajectory is the worked example of the notes: 5 cells, 2 questions, 1 look-up -> cost "
                 f"5+2+3+.1 = 10.1, R 9.9. {PLAIN} Observations are masked.", kl=0.01,
                 unverified=["reward combiner", "gate", "denominator", "divergence", "inner updates"])


def expo():
    b = batch(43, "xxx x xx.xx xx xxx.x | xxxx .xx x xx | xx xx xxx xxx", ref=0.4)
    given(b, [[0, 0, 0, 0, None], [1, 0, 0, 1], [0, 1, 0, None]])
    for g, i, t in each(b):
        if t["reward"] is None:
            for name in ("reward", "old_logp", "ref_logp"):
                del t[name]
            t["role"] = "auxiliary"
            if g == 2:
                t["weight"] = 0.02
    coefficients = []
    for group in b["groups"]:
        z = iter(z_scores([t["reward"] for t in group["trajectories"] if member(t)], 1e-4))
        coefficients.append([next(z) if member(t) else t.get("weight", 0.04) for t in group["trajectories"]])
    a = broadcast(b, coefficients)
    assert clips_both_ways(b, a, 0.2, 0.2)
    return record(
        43, "expo", b, solve(prepared(b), a, denominated(grpo_action(a, (0.2, 0.2), kl=0.04), "sequence", auxiliary=0.04)),
        f"{HAND} J = mean over members of the clipped surrogate + c log pi(explanation, answer | plain prompt), the log-likelihood "
        "summed over the auxiliary's trained actions and divided by the number of groups (3, one of them without an auxiliary). The "
        "first group is all wrong: A = 0, only the auxiliary and the KL move it. The auxiliary's advantage is printed as c.",
        {"reward combiner": "one term, 0 or 1; the auxiliary has none",
         "advantage": "(R - group mean) / (group std + 0.0001), sample (ddof 1), over members only; equal rewards give 0",
         "auxiliary": "c = 0.04, or the trajectory's weight (0.02 in the third group); no KL, no part in denominators; applied always",
         "ratio level": "token", "gate": "clip to [0.8, 1.2] (unverified)", "denominator": PER["sequence"],
         "divergence": "k3 to ref_logp in the loss, coefficient 0.04 (unverified)", "inner updates": "1 (unverified)", "curriculum": "none"})


def dr_irl():
    b = batch(44, "xxx x xx.xx xx | xxxx .xx x xx", ref=0.4)
    given(b, [[0.6, 0.1, -0.4, 0.9], [1.2, 0.3, -1.5, 0.7]])
    facts(b, hardness=[[0.2, 0.55, 0.8, 0.1], [0.35, 0.35, 0.9, 0.15]], gap=[[0.3, 0.8, 1.3, 0.0], [-0.2, 0.7, 2.5, 0.3]])
    coefficients = []
    for group in b["groups"]:
        delta, gap = column(group, "facts", "hardness"), column(group, "facts", "gap")
        kept = [x for x in gap if (x - mean(gap)) ** 2 <= 1.0]
        responsiveness = sigmoid(mean(kept)) / sigmoid(mean(gap))
        z = z_scores([t["reward"] for t in group["trajectories"]], 1e-4)
        coefficients.append([sigmoid(d) / sigmoid(mean(delta)) * responsiveness * x for d, x in zip(delta, z)])
    return plain(44, "dr-irl", b, None, "one term: the category's reward model",
                 f"{HAND} alpha = sigmoid(delta_i) / sigmoid(mean delta) * sigmoid(mean of the kept gaps) / sigmoid(mean gap); A = alpha z. "
                 "In the second group the gap 2.5 is an outlier, (2.5 - .825)^2 > 1; in the first none is.",
                 kl=0.04, coefficients=coefficients,
                 advantage="alpha_i (R - group mean) / (group std + 0.0001), sample (ddof 1); fact hardness = delta_i (1 - similarity to the "
                           "demonstration); fact gap = r(demonstration) - r(response); gaps with (gap - group mean)^2 <= tau kept, tau 1.0",
                 curriculum="equal prompts from each category", unverified=["advantage", "gate", "denominator", "divergence", "inner updates"])


def sage_skill():
    b = batch(45, "xx.xx x xxx xx | xxx xx.x x xx", old=None)
    for group, key in zip(b["groups"], ["chain/1", "chain/2"]):
        group["key"] = key
    group_facts(b, position=[1, 2])
    terms(b, success=[[1, 1, 0, -1], [1, 0, 1, 0]])
    facts(b, chain=[[1, 0, 1, 0], [1, 0, 1, 0]], reuse=[[1, 1, 1, 0], [1, 1, 1, 0]])
    r = combine(b, lambda t, f: t["success"] + (1 if t["success"] == 1 and f["chain"] == 1 else 0) * f["reuse"])
    assert r == [[2, 1, 0, -1], [2, 0, 2, 0]], r
    return plain(45, "sage-skill", b, r,
                 "term success (own task, -1 for a turn without code), facts chain (success of the chain's second task), reuse (the second task used "
                 "a skill of the first): R = success + 1[success = 1] 1[chain = 1] reuse; in the second group chain is success itself",
                 f"{HAND} R1 = r1 + 1[r1=1] 1[r2=1] skill, R2 = r2 + 1[r2=1] skill; A = R - mean over the chains at the same position, as "
                 "in LOOP. Member i of both groups is chain i; its libraries never meet another's.",
                 clip=None, per="tokens", updates="1, strictly on-policy", coefficients=[[x - mean(row) for x in row] for row in r],
                 advantage="R - group mean, no scale; a group is one chain position (group fact position)",
                 extra={"divergence": "none"}, unverified=["denominator"])


def rlver():
    b = batch(46, "xx xxx x xx.xx xx xxx | xxxx .xx x xx")
    episodes = [[0, 0, 0, 1, 2, 2], [0, 0, 1, 2]]
    emotion, form = [{0: 0.72, 1: 0.35, 2: 0.9}, {0: 0.0, 1: 0.55, 2: 0.8}], [{0: 1, 1: 1, 2: 0}, {0: 1, 1: 1, 2: 1}]
    for g, i, t in each(b):
        t["episode"] = episodes[g][i]
    terms(b, emotion=[[emotion[g][e] for e in row] for g, row in enumerate(episodes)],
          format=[[form[g][e] for e in row] for g, row in enumerate(episodes)])
    coefficients = []
    for g, row in enumerate(episodes):
        numbers = sorted(set(row))
        z = dict(zip(numbers, z_scores([emotion[g][e] if form[g][e] else 0.0 for e in numbers], 1e-4)))
        coefficients.append([z[e] for e in row])
    return plain(46, "rlver", b, None,
                 "terms emotion (max(e, 0) / 100 at the dialogue's end), format (think tags in every turn): R = emotion if format else 0; "
                 "every turn of an episode carries the episode's terms",
                 f"{HAND} One entry an episode in mean and std (three dialogues in either group, of 3, 1, 2 and 2, 1, 1 turns), the advantage "
                 "then on every turn; each turn is a sequence of its own in the loss.",
                 per="tokens", updates="1 (batch 32 = mini-batch 32)", coefficients=coefficients,
                 advantage="(R - mean over the group's episodes) / (std over episodes + 0.0001), sample (ddof 1)",
                 extra={"divergence": "none"}, unverified=["denominator"])


def dmospeech2():
    b = batch(147, "x x x x x | x x . x x", ref=0.4, logp=(-5.0, -0.5))
    terms(b, ctc=[[0.8, 1.4, 0.5, 2.1, 0.9], [1.1, 0.7, 1.9, 0.6, 0.0]],
          speaker=[[0.71, 0.64, 0.75, 0.38, 0.69], [0.55, 0.62, 0.47, 0.58, 0.0]])
    failed = b["groups"][1]["trajectories"][4]
    del failed["rewards"]
    failed["reward"] = -1.0
    r = [[t["reward"] if "reward" in t else -(t["rewards"]["ctc"] + 3 * (1 - t["rewards"]["speaker"])) for t in g["trajectories"]]
         for g in b["groups"]]
    return plain(47, "dmospeech2", b, r,
                 "terms ctc (loss), speaker (cosine): R = -(ctc + 3 (1 - speaker)); a failed synthesis has the reward -1 given",
                 f"{HAND} One action a trajectory: the duration class. {PLAIN} One member of the second group is masked: it counts as a member, "
                 "with loss 0.", eps=1e-8, kl=0.04, updates="up to 5 (a queue of 5 batches)",
                 curriculum="a batch whose rewards span less than 0.01 is skipped; constant groups get 0, not the raw rewards",
                 extra={"ratio level": "token (one action a sequence)"})


def nft():
    b = batch(48, "xxx x xx.xx xx | xxxx .xx x xx xxx")
    r = given(b, [[1, 0, 0, 0], [1, 1, 0, 1, 0]])
    rate = [min(max(mean(row), 0.02), 0.98) for row in r]
    a = broadcast(b, [[x - q for x in row] for row, q in zip(r, rate)])
    def log_ratio(t, k):
        return min(t["logp"][k] - t["old_logp"][k], 10.0)

    def implicit(t, k, q):
        return (1 - q * math.exp(log_ratio(t, k))) / (1 - q)

    def action_of(batch):
        at = {(g, i): [implicit(t, k, rate[g]) for k in range(len(t["logp"]))] for g, i, t in each(batch)}

        def action(t, k, g, i):
            q, omega, d = rate[g], 1 - rate[g], log_ratio(t, k)
            if r[g][i] == 1:
                return -omega * d, {"logp": -omega}
            x = implicit(t, k, q) + (max(at[g, i][k], 1.0) - at[g, i][k])
            return -omega * math.log(x), {"logp": omega / x * q * math.exp(d) / (1 - q)}

        return action

    work = prepared(b)
    wrong = [implicit(t, k, rate[g]) for g, i, t in each(work) if r[g][i] == 0 for k in range(len(t["logp"]))]
    assert min(wrong) < 1.0 < max(wrong)
    on_policy = prepared(b)
    for g, i, t in each(on_policy):
        t["old_logp"] = list(t["logp"])
    for g, i, t in each(on_policy):
        close(action_of(on_policy)(t, 0, g, i)[1]["logp"], -a[g][i][0], 1e-12)
    return record(
        48, "nft", b, solve(work, a, denominated(action_of(work), "constant", length=1000)),
        f"{HAND} R_t = exp(logp - old_logp), log-ratio at most 10; q = group mean reward in [.02, .98]; correct: -omega log R_t; wrong: "
        "-omega log max_v((1 - q R_t) / (1 - q), eps), max_v straight-through (value clipped, slope of the argument kept); omega = 1 - q. "
        "At R_t = 1 the derivatives are those of Dr. GRPO with A = r - q, asserted in the script. Every derivative is checked with the "
        "straight-through offset held fixed.",
        {"reward combiner": "one term, 0 or 1",
         "advantage": "printed: the implicit on-policy coefficient r - q; the loss reads r and q",
         "ratio level": "token", "gate": "none; eps 1.0 for the wrong branch, neg_weight 1, clamp_positive 0",
         "prompt weight": "omega = 1 - q", "denominator": "constant, length 1000: sum / (members x 1000); the published code sums the "
         "sequences' sums / 1000, so multiply by the number of members (9) for its scale",
         "divergence": "none", "inner updates": "16 (512 prompts, mini-batch 32)",
         "curriculum": "only prompts with 0 < q < 1 are kept; both groups here are such"})


def noisy_rlvr():
    b = batch(49, "xxx x xx.xx xx | xxxx .xx x | xx xxx x", ref=0.4)
    r = given(b, [[1, 0, 0, 1], [0, 0, 0], [1, 1, 1]])
    coefficients = [[(x - (1 - 0.2)) / 1.0 for x in row] for row in r]
    close(coefficients[0], [0.2, -0.8, -0.8, 0.2], 1e-12)
    return plain(49, "noisy-rlvr", b, None, "one term: the noisy verdict, 0 or 1",
                 f"{HAND} PGFC: w = rho1 for a positive verdict, rho1 - 1 for a negative one. All-wrong and all-right groups keep their signal.",
                 kl=0.001, coefficients=coefficients, advantage="(R - (1 - rho1)) / s, rho1 0.2, s 1; no centring, no group scale",
                 updates="1 (unverified)", unverified=["gate"])


def rl_struct():
    b = batch(50, "xxx x xx.xx xx | xxxx .xx x", ref=0.4)
    terms(b, valid=[[1, 0, 1, 1], [0, 1, 1]], struct=[[1.0, 0.5, 0.75, 0.9375], [0.0, 1.0, 0.25]],
          format=[[1, 1, 0, 1], [0, 1, 1]], correct=[[0.8, 0.0, 0.45, 1.0], [0.0, 0.62, 0.3]],
          length=[[0.0, -0.2, 0.0, -0.05], [-0.5, 0.0, 0.0]])
    weight = {"valid": 1.0, "struct": 1.0, "format": 0.5, "correct": 0.5, "length": 0.2}
    r = combine(b, lambda t, f: sum(w * t[name] for name, w in weight.items()))
    return plain(50, "rl-struct", b, r,
                 "R = 1.0 valid + 1.0 struct + 0.5 format + 0.5 correct + 0.2 length (struct net of extra keys, length <= 0)",
                 f"{HAND} {PLAIN}", kl=0.04, unverified=["reward combiner", "gate", "denominator", "divergence", "inner updates"])


def grouprank():
    b = batch(51, "xxx x xx.xx xx | xxxx .xx x xx", ref=0.4)
    terms(b, tags=[[1, 1, 0, 1], [1, 1, 1, 0]], json=[[1, 0, 0, 1], [1, 1, 0, 1]], ndcg=[[0.82, 0.0, 0.0, 0.61], [0.4, 0.95, 0.0, 0.0]],
          recall=[[0.9, 0.0, 0.0, 0.7], [0.5, 1.0, 0.0, 0.0]], js=[[0.15, 1.0, 1.0, 0.32], [0.4, 0.08, 1.0, 1.0]])

    def reward(t, f):
        if not t["tags"]:
            return -0.5
        if not t["json"]:
            return -0.1
        return t["ndcg"] + 0.2 * t["recall"] + 0.1 * (1 - t["js"])

    return plain(51, "grouprank", b, combine(b, reward),
                 "terms tags, json, ndcg, recall, js: R = -0.5 without tags; -0.1 with tags, without json; else ndcg + 0.2 recall + 0.1 (1 - js)",
                 f"{HAND} {PLAIN}", kl=0.001, updates="1 (batch 64 = mini-batch 64)", unverified=["gate"])


def format_length():
    b = batch(52, "xxx x xx.xx xx | xxxx .xx x xx", old=None, ref=0.4)
    terms(b, format=[[1, 1, 0, 1], [1, 0, 1, 0]])
    facts(b, length=[[1536, 600, 1400, 2700], [900, 3072, 3000, 400]])

    def shape(length):
        x, p = length / 3072, 0.5
        return 1 - (1 - x / p) ** 2 if x <= p else 1 - 2 * ((x - p) / (1 - p)) ** 2

    close([shape(1536), shape(3072), shape(0)], [1.0, -1.0, 0.0], 1e-12)

    def reward(t, f):
        total = t["format"] + shape(f["length"])
        return total if t["format"] else min(0.0, total)

    return plain(52, "format-length", b, combine(b, reward),
                 "term format, fact length (tokens), x = length / 3072, p = 0.5: R_l = 1 - (1 - x/p)^2 up to p, 1 - 2 ((x-p)/(1-p))^2 above; "
                 "R = format + R_l where the format is right, else min(0, format + R_l)",
                 "Hand arithmetic; R_l is 1 at x = p, -1 at x = 1, 0 at x = 0, as the notes say. The length is of the answer in the paper's "
                 "window, not of this batch's few actions.",
                 clip=None, kl=0.001, per="tokens", updates="1 (batch 128 = mini-batch 128)", extra={"gate": "clip to [0.8, 1.2], inert: ratio 1"},
                 unverified=["denominator"])


def paco_rl():
    b = batch(53, "x xx x.x x x | xx x x xxx | x x xx", old=0.0004, digits=5, logp=(-1.6, -1.2))
    terms(b, consistency=[[0.9, 0.2, 0.35, 0.7, 0.15], [0.85, 0.6, 0.1, 0.4], [0.3, 0.95, 0.5]],
          prompt=[[0.31, 0.29, 0.33, 0.28, 0.3], [0.27, 0.32, 0.3, 0.29], [0.34, 0.28, 0.31]],
          pick=[[0.86, 0.83, 0.88, 0.81, 0.85], [0.8, 0.84, 0.87, 0.82], [0.89, 0.85, 0.83]])
    spread = {}
    for name in ("consistency", "prompt", "pick"):
        values = [t["rewards"][name] for _, _, t in each(b)]
        spread[name] = std(values) / mean(values)
    assert spread["consistency"] > 0.5 and max(spread["prompt"], spread["pick"]) < 0.1, spread
    r = combine(b, lambda t, f: sum(math.log(1 + v) if spread[name] > 0.2 else v for name, v in t.items()))
    scale = std([x for row in r for x in row]) + 1e-4
    coefficients = [[min(max((x - mean(row)) / scale, -5.0), 5.0) for x in row] for row in r]
    return plain(53, "paco-rl", b, None,
                 "terms consistency, prompt, pick, weights 1: h = std / mean of a term over the whole batch; where h > 0.2 the term is "
                 "log(1 + value), else as it is; R = sum",
                 f"{HAND} Here h(consistency) = {spread['consistency']:.2f} is tamed, the other two (about 0.07, 0.03) are not; whether h uses the "
                 "sample's or the population's std makes no difference. One sampled transition a trajectory, or a few; log-probabilities are means "
                 "over latent dimensions, so the clip range is narrow. The bound 5 is not reached by a batch this small.",
                 clip=(1e-4, 1e-4), coefficients=coefficients,
                 advantage="(R - group mean) / (std of R over the batch + 0.0001), sample (ddof 1, unverified) of the uncentred R, clipped to [-5, 5]",
                 updates="2", extra={"ratio level": "token (denoising step)"})


def small_subnetworks():
    b = batch(54, "xxx x xx.xx xx | xxxx .xx x", ref=0.4)
    r = given(b, [[1, 0, 0, 1], [0, 0, 1]])
    return plain(54, "small-subnetworks", b, r, "one term, 0 or 1",
                 f"{HAND} {PLAIN} The parameter mask acts on the optimizer's step, after these derivatives.", kl=0.001,
                 unverified=["gate", "denominator", "divergence", "inner updates"])


def med_r1():
    b = batch(55, "xxx x xx.xx xx | xxxx .xx x xx", old=None, ref=0.4)
    terms(b, accuracy=[[1, 0, 1, 0], [0, 0, 1, 0]], format=[[1, 1, 0, 0], [1, 0, 1, 1]])
    r = combine(b, lambda t, f: t["accuracy"] + t["format"])
    return plain(55, "med-r1", b, r, "R = accuracy + format", f"{HAND} The loss has the form of TRL GRPO at one update a batch (TRL was not run).", clip=None, kl=0.04,
                 updates="1, strictly on-policy", unverified=["divergence"])


def rrvf():
    b = batch(56, "xx.x x xx.xx xx | xxxx .xx x xx", ref=0.4)
    terms(b, vision=[[0.7, 0.0, 0.4, 0.9], [0.2, 0.0, 0.85, 0.6]], format=[[1, 1, 0, 1], [1, 0, 1, 0]],
          tool=[[1.0, 1.0, 0.5, 0.0], [0.5, 0.5, 1.0, 0.25]])
    r = combine(b, lambda t, f: 0.8 * t["vision"] + 0.2 * t["format"] + (1.0 * t["tool"] if t["vision"] > 0 else 0.0))
    return plain(56, "rrvf", b, r,
                 "R = 0.8 vision + 0.2 format + 1.0 tool, tool (successful calls / their cap) only where vision > 0",
                 f"{HAND} {PLAIN} What the tool returned is masked.", kl=0.001, per="tokens",
                 unverified=["reward combiner", "gate", "denominator", "divergence", "inner updates"])


def latr():
    b = batch(57, "xxx x xx.xx xx | xxxx .xx x xx", ref=0.4)
    r = given(b, [[1.0, 0.1, 0.1, 0.0], [0.1, 0.0, 1.0, 1.0]])
    return plain(57, "latr", b, r, "one term: 1 correct, 0.1 tag present but wrong, 0 no tag", f"{HAND} {PLAIN} Tree and plain rollouts are "
                 "members alike; nothing corrects for greedy branching.", eps=1e-6, kl=0.01, per="tokens", updates="1 (256 prompts = mini-batch 256)",
                 unverified=["denominator"])


def chronoforge_rl():
    b = batch(58, "xxx x xx.xx xx | xxxx .xx x", ref=0.4)
    terms(b, accuracy=[[1, 1, 0, 0], [0, 1, 0]], format=[[1, 0, 1, 1], [1, 1, 0]])
    group_facts(b, contrast_accuracy=[0.5, 0.75], saliency=[0.6, 0.9])
    rewards = []
    for group in b["groups"]:
        p, q, s = mean(column(group, "rewards", "accuracy")), group["facts"]["contrast_accuracy"], group["facts"]["saliency"]
        rewards.append([t["rewards"]["accuracy"] + t["rewards"]["format"] + (0.3 * s if t["rewards"]["accuracy"] > 0.1 and p >= 0.8 * q else 0)
                        for t in group["trajectories"]])
    return plain(58, "chronoforge-rl", b, rewards,
                 "terms accuracy, format; group facts contrast_accuracy (of the degraded view), saliency s (of the keyframes): R = accuracy + format "
                 "+ 0.3 s if accuracy > 0.1 and (mean accuracy of the group) >= 0.8 contrast_accuracy",
                 f"{HAND} {PLAIN} The first group earns the bonus (.5 >= .4), the second does not (.333 < .6). The degraded view has no gradient "
                 "and is not in the batch.", eps=1e-6, kl=0.04,
                 unverified=["reward combiner", "advantage", "gate", "denominator", "divergence", "inner updates"])


def guide_grpo():
    b = batch(59, "xxx x xx.xx xx xxx .xx | xxxx x xx")
    given(b, [[0, 0, 0, 1, 0, 1], [1, 0, 1]])
    facts(b, context=[["plain"] * 3 + ["hint"] * 3, ["plain"] * 3])
    far = [[0.9, 3.1], [1.4, 0.02, 2.2], [0.5, 0.1, 4.0]]
    for t, gaps in zip(b["groups"][0]["trajectories"][3:], far):
        t["old_logp"] = [round(-0.05 - 0.1 * k, 4) for k in range(len(gaps))]
        t["logp"] = [round(o - d, 4) for o, d in zip(t["old_logp"], gaps)]
    r = [[t["reward"] for t in g["trajectories"]] for g in b["groups"]]
    out = plain(59, "guide-grpo", b, r, "one term, 0 or 1",
                f"{HAND} A guided member's old_logp is under the hinted context, its logp under the plain one. With A > 0 and a ratio below 0.8 the "
                "min keeps ratio x A; with A < 0 and a ratio below 0.8 the derivative is 0.", eps=1e-6, updates="1",
                curriculum="three guided rollouts, because all three unguided ones failed; the group is their union (the second group needed none)",
                extra={"facts": "context names what a member was sampled under; nothing in the loss reads it"},
                unverified=["advantage", "gate", "denominator", "divergence", "inner updates", "curriculum"])
    d = out["expected"]["d_logp"][0]
    assert all(x < 0 for x in d[3]) and d[4][0] == 0.0 and d[4][2] == 0.0 and d[4][1] > 0
    return out


def one_shot_rlvr():
    b = batch(60, "xxx x xx.xx xx | xxxx .xx x xx", old=None, ref=0.4, entropy=True)
    r = given(b, [[1, 0, 0, 1], [1, 1, 1, 1]])
    return plain(60, "one-shot-rlvr", b, r, "one term, 0 or 1",
                 f"{HAND} L = clip term (coefficient 1) - 0.001 mean entropy + 0.001 mean k3, all token means, as in verl. Both groups are of the same "
                 "example; the second is all correct: only entropy and KL act.", eps=1e-6, clip=None, kl=0.001, bonus=0.001, per="tokens",
                 updates="1 (batch 128 = mini-batch 128)", curriculum="one example, of the highest variance of training accuracy, repeated",
                 extra={"gate": "clip to [0.8, 1.2], inert: ratio 1"})


def truth_rl():
    b = batch(61, "xxx x xx.xx xx | xxxx .xx x | xx xxx x", ref=0.4)
    terms(b, correct=[[1, 0, 0, 1], [0, 0, 0], [1, 0, 1]])
    facts(b, abstain=[[0, 1, 0, 0], [1, 0, 0], [0, 1, 0]])
    r = combine(b, lambda t, f: 1.0 if t["correct"] else 0.0 if f["abstain"] else -1.0)
    assert r == [[1, 0, -1, 1], [0, -1, -1], [1, 0, 1]]
    out = plain(61, "truth-rl", b, r, "term correct, fact abstain: R = +1 correct, 0 abstained, -1 otherwise",
                f"{HAND} {PLAIN} As the notes say: among wrong answers an abstention is positive (second group), among right ones negative (third).",
                eps=1e-6, kl=0.001, updates="1", unverified=["inner updates"])
    a = out["expected"]["advantage"]
    assert a[1][0][0] > 0 > a[1][1][0] and a[2][1][0] < 0
    return out


def tool_economy(m, n, c=4):
    """OTC's coefficient for m calls where n are known to be enough."""
    f = 0 if m == n == 0 else m if n == 0 else 2 * n * m / (m + n)
    if f == n == 0:
        return 1.0
    return math.cos(m * math.pi / (2 * m + c)) if n == 0 else math.sin(f * math.pi / (2 * n))


def otc():
    close([tool_economy(m, 0) for m in range(5)], [1, 0.8660, 0.7071, 0.5878, 0.5], 5e-5)
    close([tool_economy(m, 1) for m in range(1, 5)], [1, 0.8660, 0.7071, 0.5878], 5e-5)
    close([tool_economy(m, 2) for m in range(5)], [0, 0.8660, 1, 0.9511, 0.8660], 5e-5)
    b = batch(62, "xx.x x xx.xx xx | xxxx .xx x xx | xx xxx x", ref=0.4)
    terms(b, correct=[[1, 1, 0, 1], [1, 0, 1, 1], [0, 0, 0]])
    facts(b, calls=[[2, 4, 0, 3], [0, 1, 3, 1], [0, 2, 1]])
    rewards = []
    for group in b["groups"]:
        n = min((t["facts"]["calls"] for t in group["trajectories"] if t["rewards"]["correct"] == 1), default=None)
        rewards.append([tool_economy(t["facts"]["calls"], n) if t["rewards"]["correct"] == 1 else 0.0 for t in group["trajectories"]])
    return plain(62, "otc", b, rewards,
                 "term correct, fact calls = m; n = fewest calls of a correct member of the group; R = 1.0 * correct * r_tool; r_tool = 1 if m = n = 0, "
                 "cos(m pi / (2m + c)) if n = 0, else sin(f pi / (2n)) with f = 2nm / (m + n); c 4; nobody correct: all 0",
                 "Hand arithmetic; the coefficient is held against the notes' test values (c = 4): n=0: 1, .8660, .7071, .5878, .5; n=1, m=1..4: 1, .8660, "
                 f".7071, .5878; n=2: 0, .8660, 1, .9511, .8660. {PLAIN} No smaller n is remembered from earlier epochs.",
                 eps=1e-6, kl=0.001, updates="2 (batch 512, mini-batch 256)", curriculum="running minimum of n a question; empty here",
                 unverified=["gate", "divergence", "inner updates"])


def reg_grpo():
    b = batch(63, "xxx x xx.xx xx | xxxx .xx x", old=0.3, ref=0.4)
    terms(b, format=[[1, 1, 0, 1], [1, 0, 1]], accuracy=[[1, 0, 0, 1], [0, 0, 1]])
    r = combine(b, lambda t, f: t["format"] + t["accuracy"])
    coefficients = [z_scores(row, 1e-4, ddof=0) for row in r]
    kl_only = denominated(lambda t, k, g, i: (0.1 * k3(t["logp"][k], t["ref_logp"][k])[0], {"logp": 0.1 * k3(t["logp"][k], t["ref_logp"][k])[1]}),
                          "sequence")

    def sums(group):
        return [sum(m * (x - o) for m, x, o in zip(t["mask"], t["logp"], t["old_logp"])) for t in group["trajectories"]]

    def loss(work):
        total, grads = kl_only(work)
        for g, group in enumerate(work["groups"]):
            rho, n = sums(group), len(group["trajectories"])
            m, s = mean(rho), std(rho, 0)
            fit = [(x - m) / (s + 1e-4) for x in rho]
            miss = [a - f for a, f in zip(coefficients[g], fit)]
            total += mean([x * x for x in miss]) / len(work["groups"])
            for j, t in enumerate(group["trajectories"]):
                slope = 0.0
                for i in range(n):
                    moved = ((1.0 if i == j else 0.0) - 1 / n) / (s + 1e-4) - (rho[i] - m) / (s + 1e-4) ** 2 * (rho[j] - m) / (n * s)
                    slope += -2 * miss[i] * moved / n
                for k, mask in enumerate(t["mask"]):
                    grads["logp"][g][j][k] += mask * slope / len(work["groups"])
        return total, grads

    work = prepared(b)
    for row, group in zip(r, work["groups"]):
        rho = sums(group)
        corr = mean([(x - mean(row)) * (y - mean(rho)) for x, y in zip(row, rho)]) / (std(row, 0) * std(rho, 0))
        exact = mean([(x - y) ** 2 for x, y in zip(z_scores(row, 0, 0), z_scores(rho, 0, 0))])
        close(exact, 2 - 2 * corr, 1e-12)
    return record(
        63, "reg-grpo", b, solve(work, broadcast(b, coefficients), loss),
        f"{HAND} rho_i = sum over trained actions of logp - old_logp; Ahat = (rho - mean) / (std + eps); loss = mean over groups of the group's "
        "mean (A - Ahat)^2, + 0.1 k3. The identity of the notes, mean (A - Ahat)^2 = 2 - 2 corr(R, rho) at eps 0, is asserted. The derivative goes "
        "through mean and std of rho.",
        {"reward combiner": "R = format + accuracy",
         "advantage": "target A = (R - group mean) / (group std + 0.0001), population (ddof 0)",
         "objective": "regression; predictor (rho - group mean) / (group std + 0.0001), population; groups weigh alike",
         "ratio level": "sequence: sum of log-ratios", "gate": "none",
         "denominator": "group mean, then mean over groups; the KL: " + PER["sequence"],
         "divergence": "k3 to ref_logp in the loss, coefficient 0.1",
         "inner updates": "at least 2: at the first rho is 0 and nothing is fitted", "curriculum": "difficulty-aware inputs; zero-variance groups are "
         "skipped (none here)"})


def ttrv():
    b = batch(64, "xxx x xx.xx xx | xxxx .xx x xx | xx xxx x", ref=0.4)
    facts(b, answer=[["A", "A", "B", "C"], ["", "D", "D", "B"], ["B", "B", "B"]])
    first = b["groups"][0]["trajectories"][3]
    first["old_logp"][1] = round(first["logp"][1] - 1.3, 4)
    rewards = []
    for group in b["groups"]:
        answers = column(group, "facts", "answer")
        share = {x: answers.count(x) / len(answers) for x in answers}
        h = -sum(p * math.log(p) for p in share.values())
        h = h / math.log(len(share)) if len(share) > 1 else 0.0
        rewards.append([share[x] - 0.75 * h for x in answers])
    close(rewards[0][0], 0.5 - 0.75 * (1.5 * math.log(2)) / math.log(3), 1e-12)
    return plain(64, "ttrv", b, rewards,
                 "fact answer (text, '' = unparsed, an answer like others): R = p(answer) - 0.75 H / log M; p = share in the group, H = -sum p log p, "
                 "M = number of different answers, the second part 0 where M = 1",
                 f"{HAND} The entropy part is one constant a group and cancels in the centred advantage, as the notes derive. One ratio above 3 with "
                 "A < 0 meets the dual clip. All voters are members: nothing is down-sampled.",
                 eps=1e-6, kl=0.001, per="tokens", dual=3.0, updates="1 a prompt (mini-batch 1 prompt)", extra={"centring": "group"})


def fission_grpo():
    b = batch(65, "xxx x xx.xx xx | xxxx .xx x", ref=0.4)
    for group, key in zip(b["groups"], ["query", "recovery"]):
        group["key"] = key
    terms(b, format=[[1, 1, 0, 1], [1, 0, 1]], correct=[[2.0, 0.5, 0.0, 1.4], [1.0, 0.0, 2.0]], length=[[0.9, 0.4, 1.0, 0.75], [0.6, 0.2, 0.95]])
    r = combine(b, lambda t, f: (2.0 * t["format"] + 1.0 * t["correct"] + t["length"]) / 3)
    return plain(65, "fission-grpo", b, r,
                 "terms format, correct (0..2), length (0..1): R = (w_fmt format + w_corr correct + length) / 3 at the start of the schedule, "
                 "w_fmt 2 (to 1), w_corr 1 (to 2)",
                 f"{HAND} {PLAIN} The second group are recoveries from one failed call with its diagnosis, compared among themselves; the failed call is "
                 "context and has no action here.", eps=1e-6, kl=0.001, curriculum="failed trajectories become prompts (last in, first out)",
                 unverified=["reward combiner", "gate", "denominator", "divergence", "inner updates"])


def sari():
    b = batch(166, "xxx x xx.xx xx | xxxx .xx x xx", ref=0.4)
    terms(b, accuracy=[[1, 0, 1, 0], [0, 0, 1, 0]], format=[[1, 1, 0, 0], [1, 0, 1, 1]])
    r = combine(b, lambda t, f: t["accuracy"] + t["format"])
    return plain(66, "sari", b, r, "R = accuracy + format", f"{HAND} {PLAIN}", eps=1e-6, kl=0.04,
                 curriculum="items sorted by pass rate, easy to hard; those never solved dropped",
                 unverified=["reward combiner", "gate", "denominator", "divergence", "inner updates"])


def pta_grpo():
    b = batch(67, "xxx x xx.xx xx .xx xxxx | xx x xxx xx", ref=0.4)
    terms(b, outcome=[[1, 0, 1, 1, 0, 0], [1, 0, 0, 0]], format=[[1, 1, 1, 0, 1, 1], [1, 1, 0, 1]])
    facts(b, plan=[[0, 0, 1, 1, 2, 2], [0, 0, 1, 1]])
    rewards = []
    for group in b["groups"]:
        plans, outcomes = column(group, "facts", "plan"), column(group, "rewards", "outcome")
        quality = {p: mean([o for q, o in zip(plans, outcomes) if q == p]) for p in plans}
        rewards.append([t["rewards"]["outcome"] + 0.5 * quality[t["facts"]["plan"]] + 0.1 * t["rewards"]["format"] for t in group["trajectories"]])
    close(rewards[0], [1.35, 0.35, 1.6, 1.5, 0.1, 0.1], 1e-12)
    return plain(67, "pta-grpo", b, rewards,
                 "terms outcome, format, fact plan (id inside the group): R = outcome + 0.5 (mean outcome of the members with the same plan) + 0.1 format",
                 f"{HAND} {PLAIN} The paper has 3 plans of 3 chains; here 3 of 2 and 2 of 2. Plan actions have the response's advantage.",
                 eps=1e-6, kl=0.001, unverified=["reward combiner", "advantage", "gate", "denominator", "divergence", "inner updates"])


def taco():
    b = batch(68, "xxx x xx.xx xx | xxxx .xx x xx", ref=0.4)
    terms(b, tac=[[0.62, 0.0, 0.41, 0.0], [0.15, 0.8, 0.0, 0.33]], format=[[1, 1, 1, 0], [0, 1, 1, 1]])
    r = combine(b, lambda t, f: t["tac"] + t["format"])
    return plain(68, "taco", b, r, "R = tac + format; tac = joint overlap of the three boxes", f"{HAND} {PLAIN}", eps=1e-6, kl=0.04,
                 curriculum="prompts with high KL put off, middle difficulty favoured; neither is in the loss",
                 unverified=["reward combiner", "gate", "denominator", "divergence", "inner updates"])


def alphadrive():
    b = batch(69, "xxx x xx.xx xx .xx xxxx | xx x xxx xx", ref=0.4)
    terms(b, speed=[[1, 0, 1, 0.6667, 0, 1], [1, 1, 0, 1]], path=[[1, 1, 0, 1, 0, 1], [0, 0, 1, 1]], format=[[1, 1, 0, 1, 1, 1], [1, 1, 1, 0]])
    facts(b, answer=[["stop, straight", "keep, straight", "stop, left_turn", "accelerate stop, straight", "keep, right_turn", "stop, straight"],
                     ["keep, left_turn", "keep, left_turn", "stop, straight", "keep, straight"]])
    parts = [[answer.split(", ") for answer in column(group, "facts", "answer")] for group in b["groups"]]
    facts(b, speed_action=[[speed for speed, _ in row] for row in parts], path_action=[[path for _, path in row] for row in parts])
    rewards = []
    for group in b["groups"]:
        answers, row = column(group, "facts", "answer"), []
        for t, answer in zip(group["trajectories"], answers):
            diversity = 1 - min(0.2, answers.count(answer) / len(answers))
            x, f = t["rewards"], t["facts"]
            speed, path = 0.8 if f["speed_action"] == "keep" else 1.0, 0.8 if f["path_action"] == "straight" else 1.0
            row.append(x["speed"] * speed * diversity + x["path"] * path * diversity + x["format"])
        rewards.append(row)
    close([rewards[0][0], rewards[0][1]], [0.8 + 0.64 + 1, 0.8 * 5 / 6 + 1], 1e-12)
    return plain(69, "alphadrive", b, rewards,
                 "terms speed, path (F1), format; facts answer, speed_action, path_action (predicted): w_speed 0.8 for keep, w_path 0.8 for straight, else 1; "
                 "div = 1 - min(0.2, share of the same answer in the group); R = speed w_speed div + path w_path div + format; whole group counted first",
                 f"{HAND} {PLAIN} Six members, so that a single answer has the share 1/6 < 0.2.", eps=1e-6, kl=0.04,
                 extra={"ratio level": "token (the paper writes it for the response; its code base is token level)"},
                 unverified=["reward combiner", "gate", "denominator", "divergence", "inner updates"])


ALL = [r1_aqa, c_grpo, sage_hint, spine, avatarshield, grpo_ptr, hc_grpo, expo, dr_irl, sage_skill, rlver, dmospeech2, nft, noisy_rlvr, rl_struct,
       grouprank, format_length, paco_rl, small_subnetworks, med_r1, rrvf, latr, chronoforge_rl, guide_grpo, one_shot_rlvr, truth_rl, otc, reg_grpo,
       ttrv, fission_grpo, sari, pta_grpo, taco, alphadrive]
