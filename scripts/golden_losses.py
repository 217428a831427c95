#!/usr/bin/env python3
"""Writes crates/core/tests/golden/{trl,verl}.json: losses, gradients and advantages of TRL and verl.

    python scripts/golden_losses.py trl
    python scripts/golden_losses.py verl CHECKOUT COMMIT     # CHECKOUT holds verl/trainer/ppo/core_algos.py

The tests read the files as they are committed and need no Python. The numbers come from the frameworks'
own functions: TRL's trainer methods run on an object without a model, verl's core_algos runs with its
imports replaced. Everything is f64, also where a framework asks for float32.

A loss case holds groups of trajectories; each trajectory has per-action columns, `advantage` (one number,
or one per action) and, where some action is masked, `mask`. `d_logp` (and `d_entropy`) is the gradient of
`loss` by group, trajectory and action. An advantage case has rewards in place of the columns, and
`advantage` by group and trajectory: one number, or one per action (then 0 on masked ones).
"""

import ast
import collections
import contextlib
import importlib.util
import itertools
import json
import math
import pathlib
import random
import sys
import types

import torch

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "crates/core/tests/golden"

torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double


# The inputs, shared by all cases.


def batch(seed):
    """Groups of trajectories whose ratios and advantages reach every gate."""
    rng = random.Random(seed)
    sizes = [3, 3] if seed == 0 else [3, 4, 2]
    groups = []
    for size in sizes:
        group = []
        for _ in range(size):
            n = rng.randint(1, 6)
            logp = [round(rng.uniform(-3, -0.1), 3) for _ in range(n)]
            ratio = [rng.gauss(0, 0.4) for _ in range(n)]
            for i in range(n):
                if rng.random() < 0.15:
                    ratio[i] = rng.choice([-1.4, 1.4])
            t = {"logp": logp, "old_logp": [round(min(p - r, -0.02), 3) for p, r in zip(logp, ratio)]}
            t["ref_logp"] = [round(min(p + rng.gauss(0, 0.4), -0.01), 3) for p in logp]
            t["behaviour_logp"] = [round(min(p + rng.gauss(0, 0.3), -0.01), 3) for p in t["old_logp"]]
            t["is_weight"] = [round(rng.uniform(0.3, 2), 3) for _ in logp]
            pi = [math.exp(p) for p in t["old_logp"]]
            t["sum_pi_squared"] = [round(p * p + rng.uniform(0.1, 0.9) * (1 - p) ** 2, 3) for p in pi]
            t["entropy"] = [rng.randint(1, 2048) / 1024 for _ in logp]
            t["mask"] = [int(rng.random() < 0.8) for _ in logp]
            if not any(t["mask"]):
                t["mask"][-1] = 1
            t["advantage"] = round(rng.gauss(0, 1), 3)
            t["token_advantage"] = [round(rng.gauss(0, 1), 3) for _ in logp]
            group.append(t)
        groups.append(group)
    # A reference far above the policy: k3 is 18.6 there.
    lowest = min((t for g in groups for t in g), key=lambda t: min(t["logp"]))
    i = lowest["logp"].index(min(lowest["logp"]))
    lowest["logp"][i] = round(lowest["logp"][i] - 1, 3)
    lowest["old_logp"][i] = round(lowest["old_logp"][i] - 1, 3)
    lowest["behaviour_logp"][i] = round(lowest["behaviour_logp"][i] - 1, 3)
    lowest["ref_logp"][i] = round(lowest["logp"][i] + 3.2, 3)
    lowest["mask"][i] = 1
    if seed == 1:
        groups[2][1]["mask"] = [0] * len(groups[2][1]["mask"])
        groups[2][0]["advantage"] = 0.0
    return groups


BATCHES = [batch(0), batch(1)]


def padded(groups, name, fill=0.0):
    rows = [[t[name]] if isinstance(t[name], (int, float)) else t[name] for g in groups for t in g]
    lengths = [len(t.get("logp", t.get("old_logp"))) for g in groups for t in g]
    rows = [row * n if len(row) == 1 else row for row, n in zip(rows, lengths)]
    width = max(lengths)
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def ragged(groups, rows, length):
    """Rows of numbers, cut to each trajectory's length and nested by group."""
    rows = iter(rows)
    return [[[x + 0.0 for x in next(rows)[: length(t)]] for t in g] for g in groups]


def plain(options):
    return {k: v for k, v in options.items() if v is not None}


def loss_cases(name, options, note, columns, compute, batches=BATCHES, mask=True):
    """One case per batch. `compute(groups, columns, options)` returns a scalar that depends on the columns."""
    for i, source in enumerate(batches):
        groups = []
        for g in source:
            groups.append([])
            for t in g:
                kept = {k: t[k] for k in columns}
                kept["mask"] = t["mask"] if mask else [1] * len(t["logp"])
                kept["advantage"] = t["token_advantage"] if "token_advantage" in columns else t["advantage"]
                kept.pop("token_advantage", None)
                groups[-1].append(kept)
        tensors = {k: padded(groups, k) for k in columns if k != "token_advantage"}
        tensors["mask"] = padded(groups, "mask", 0).long()
        tensors["advantage"] = padded(groups, "advantage")
        wanted = [k for k in ("logp", "entropy") if k in tensors]
        for k in wanted:
            tensors[k].requires_grad_()
        loss = compute(groups, tensors, options)
        grads = torch.autograd.grad(loss, [tensors[k] for k in wanted], allow_unused=True)
        result = {"name": f"{name}/{i}", "options": plain(options), "note": note}
        result["groups"] = [
            [{k: v for k, v in t.items() if k != "mask" or 0 in v} for t in g] for g in groups
        ]
        result["loss"] = loss.item()
        for k, grad in zip(wanted, grads):
            if grad is not None and (k == "logp" or grad.any()):
                result["d_" + k] = ragged(groups, grad.tolist(), lambda t: len(t["logp"]))
        yield result


def write(file, version, cases):
    names = [c["name"] for c in cases]
    assert len(names) == len(set(names)), "two cases of one name"
    lines = [json.dumps(c, allow_nan=False, separators=(",", ":"), ensure_ascii=False) for c in cases]
    text = '{"version":%s,"cases":[\n%s\n]}\n' % (json.dumps(version), ",\n".join(lines))
    GOLDEN.mkdir(parents=True, exist_ok=True)
    (GOLDEN / file).write_text(text)
    print(file, len(cases), "cases", len(text), "bytes")


# TRL


def trl_trainer(cls, options, old=None, ref=None):
    """A trainer without a model: only what its loss and its scoring read."""
    get = options.get
    self = cls.__new__(cls)
    epsilon = get("epsilon", 0.2)
    model = types.SimpleNamespace(training=True, is_gradient_checkpointing=False)
    self.__dict__.update(
        accelerator=types.SimpleNamespace(
            device=torch.device("cpu"),
            num_processes=1,
            process_index=0,
            sync_gradients=True,
            gather=lambda x: x,
            gather_for_metrics=lambda x: x,
            reduce=lambda x, reduction: x,
            pad_across_processes=lambda x, dim, pad_index: x,
        ),
        args=types.SimpleNamespace(
            delta=get("delta"),
            use_bias_correction_kl=get("use_bias_correction_kl", False),
            sapo_temperature_pos=get("sapo_temperature_pos", 1.0),
            sapo_temperature_neg=get("sapo_temperature_neg", 1.05),
            vespo_k_pos=get("vespo_k_pos", 2.0),
            vespo_lambda_pos=get("vespo_lambda_pos", 3.0),
            vespo_k_neg=get("vespo_k_neg", 3.0),
            vespo_lambda_neg=get("vespo_lambda_neg", 2.0),
            steps_per_generation=1,
            gradient_accumulation_steps=1,
            gradient_checkpointing_kwargs=None,
            per_device_train_batch_size=None,
            report_to=[],
        ),
        model=model,
        ref_model=types.SimpleNamespace(),
        loss_type=get("loss_type", "grpo"),
        importance_sampling_level=get("importance_sampling_level", "token"),
        epsilon_low=epsilon,
        epsilon_high=get("epsilon_high", epsilon),
        beta=get("beta", 0.0),
        top_entropy_quantile=get("top_entropy_quantile", 1.0),
        off_policy_mask_threshold=get("off_policy_mask_threshold"),
        max_completion_length=get("max_completion_length", 16),
        use_vllm="vllm_importance_sampling_mode" in options,
        vllm_importance_sampling_correction="vllm_importance_sampling_mode" in options,
        vllm_importance_sampling_mode=get("vllm_importance_sampling_mode"),
        vllm_importance_sampling_clip_min=get("vllm_importance_sampling_clip_min"),
        vllm_importance_sampling_clip_max=get("vllm_importance_sampling_clip_max"),
        _entropy_bonus_enabled="entropy_coef" in options,
        use_adaptive_entropy=False,
        entropy_coef=get("entropy_coef", 0.0),
        aux_loss_enabled=False,
        current_gradient_accumulation_steps=1,
        _metrics={"train": collections.defaultdict(list)},
        # Only for scoring:
        scale_rewards=get("scale_rewards", "group"),
        multi_objective_aggregation=get("multi_objective_aggregation", "sum_then_normalize"),
        normalize_advantages=get("normalize_advantages", False),
        reward_clip_range=get("reward_clip_range"),
        reward_weights=torch.ones(1),
        num_iterations=1,
        environment_factories=None,
        environments=None,
        tools=None,
        pad_to_multiple_of=None,
        mask_truncated_completions=False,
        _logs=collections.defaultdict(list, rewards=collections.defaultdict(list)),
        _pending_extra_logs={},
        _pending_metrics={},
        _tokenizer=types.SimpleNamespace(pad_token_id=0),
    )

    def given(of, *_, **__):
        return (ref if of is self.ref_model else old), None, None

    self._get_per_token_logps_and_entropies = given
    return self


def trl_scored(self, groups, rewards, behaviour=None, masks=None):
    """What the trainer's own scoring makes of given rewards (one row per trajectory, one column per function)."""
    rows = [t for g in groups for t in g]
    lengths = [t["length"] if "length" in t else len(t["logp"]) for t in rows]
    functions = rewards.shape[1]
    self.reward_funcs = [None] * functions
    self.reward_func_names = [f"r{i}" for i in range(functions)]
    self.num_generations = len(groups[0])
    ids = [[1] * n for n in lengths]
    if "RLOO" in type(self).__name__:
        self._generate = lambda prompts: ([[1]] * len(rows), ids, [""] * len(rows))
    else:
        self._generate = lambda prompts: ([[1]] * len(rows), ids, masks, [""] * len(rows), behaviour, {}, None, None)
    self._calculate_rewards = lambda *_: rewards
    return self._generate_and_score_completions([{"prompt": ""} for _ in rows])


def trl_loss(cls):
    def compute(groups, t, options):
        rows = [row for g in groups for row in g]
        mask, lengths = t["mask"], [len(row["logp"]) for row in rows]
        complete = torch.tensor([[int(i < n) for i in range(mask.shape[1])] for n in lengths])
        ones = torch.ones(len(rows), 1, dtype=torch.long)
        inputs = {"prompt_ids": ones, "prompt_mask": ones, "completion_ids": complete, "completion_mask": complete}
        inputs |= {"tool_mask": mask, "num_items_in_batch": mask.sum(), "old_per_token_logps": t["old_logp"]}
        scalar = not isinstance(rows[0]["advantage"], list)
        inputs["advantages"] = t["advantage"][:, 0] if scalar else t["advantage"]
        self = trl_trainer(cls, options, old=t["old_logp"])
        if "ref_logp" in t:
            inputs["ref_per_token_logps"] = t["ref_logp"]
        if "RLOO" in cls.__name__:
            inputs["old_logps"] = (t["old_logp"] * complete).sum(1)
        if "behaviour_logp" in t:
            inputs["sampling_per_token_logps"] = t["behaviour_logp"]
        if self.use_vllm:
            behaviour = [row["behaviour_logp"] for row in rows]
            # Its grouping plays no part here: one group of everything.
            flat = [[row for g in groups for row in g]]
            scored = trl_scored(self, flat, torch.randn(len(rows), 1), behaviour, [row["mask"] for row in rows])
            inputs["importance_sampling_ratio"] = scored["importance_sampling_ratio"]
        entropy = t.get("entropy", torch.zeros_like(t["logp"]))
        self._get_per_token_logps_and_entropies = lambda *_, **__: (t["logp"], entropy, None)
        return self._compute_loss(None, inputs)

    return compute


def trl_advantages(cls, name, options, note, rewards):
    """`rewards[group][trajectory]` is a list with one reward per function; None is a reward that is missing."""
    rng = random.Random(name)
    weights = options.get("reward_weights", [1.0] * len(rewards[0][0]))
    groups = [[{"length": rng.randint(1, 6)} for _ in g] for g in rewards]
    self = trl_trainer(cls, options)
    self.reward_weights = torch.tensor(weights)
    rows = [[float("nan") if x is None else x for x in r] for g in rewards for r in g]
    lengths = [t["length"] for g in groups for t in g]
    old = torch.zeros(len(rows), max(lengths))
    self._get_per_token_logps_and_entropies = lambda *_, **__: (old, None, None)
    got = iter(trl_scored(self, groups, torch.tensor(rows))["advantages"].tolist())
    for g, rs in zip(groups, rewards):
        for t, r in zip(g, rs):
            if len(r) == 1:
                t["reward"] = r[0]
            else:
                t["rewards"] = {f"r{i}": x for i, x in enumerate(r)}
    return {
        "name": name,
        "options": plain(options),
        "note": note,
        "groups": groups,
        "advantage": [[next(got) + 0.0 for _ in g] for g in groups],
    }


SCALAR = [
    [[[1.0], [0.0], [0.5], [0.0]], [[1.0], [1.0], [1.0], [1.0]], [[-0.3], [2.5], [0.7], [0.1]]],
    [[[0.2], [0.9], [-1.0]], [[0.0], [0.0], [0.0]]],
]
MATRIX = [
    [[[1.0, 0.2], [0.0, 0.9], [0.0, 0.4], [1.0, 0.1]], [[1.0, 0.5], [1.0, 0.3], [1.0, 0.8], [1.0, 0.8]]],
    [[[0.0, 12.0], [1.0, -7.0], [0.5, 3.0]], [[1.0, 4.0], [1.0, 4.0], [0.0, 4.0]], [[0.3, 1.0], [0.2, 2.0], [0.1, 5.0]]],
]
MISSING = [[[1.0], [None], [0.5], [0.0]], [[None], [None], [0.3], [None]]]

SURROGATE = "p = -min(r A, clip(r, 1-epsilon, 1+epsilon_high) A), r = exp(logp - old_logp)"
SEQ = "s = exp(sum(mask (logp - old_logp)) / max(sum mask, 1)), gradient through the mean, no stop-gradient"
PER_SEQ = "loss = mean over all trajectories (fully masked ones count) of sum(mask p) / max(sum mask, 1)"
K3 = "k3 = exp(d) - d - 1, d = ref_logp - logp, unclamped, gradient through d"
VLLM = "w from q = old_logp - behaviour_logp, a constant; p times w before KL is added"


def trl_cases():
    import trl
    from trl import GRPOTrainer, RLOOTrainer
    from trl.experimental.gmpo import GMPOTrainer
    from trl.trainer import grpo_trainer, rloo_trainer

    for module in (grpo_trainer, rloo_trainer):
        module.disable_gradient_checkpointing = lambda *_: contextlib.nullcontext()
    base = ["logp", "old_logp"]
    eps = {"epsilon": 0.2, "epsilon_high": 0.28}
    cases = []

    def loss(name, options, note, extra=(), cls=GRPOTrainer, **kw):
        cases.extend(loss_cases(name, options, note, base + list(extra), trl_loss(cls), **kw))

    loss("grpo", {"loss_type": "grpo", **eps}, f"{SURROGATE}; {PER_SEQ}.")
    loss("grpo_token_advantage", {"loss_type": "grpo", **eps}, f"As grpo, A per token. {SURROGATE}; {PER_SEQ}.", ["token_advantage"])
    loss("bnpo", {"loss_type": "bnpo", **eps}, f"{SURROGATE}; loss = sum(mask p) / max(sum mask, 1) over this batch.")
    loss("dr_grpo", {"loss_type": "dr_grpo", **eps, "max_completion_length": 16}, f"{SURROGATE}; loss = sum(mask p) / (number of trajectories * max_completion_length).")
    loss("dapo", {"loss_type": "dapo", **eps}, f"{SURROGATE}; loss = sum(mask p) / max(num_items_in_batch, 1), num_items_in_batch = sum mask over the whole generation batch, all processes (here this batch), times accumulation steps / steps_per_generation, over processes.")
    loss("cispo", {"loss_type": "cispo", "epsilon_high": 1.3}, "p = -sg(min(r, epsilon_high)) A logp; epsilon_high is the bound itself (not 1 + it), no lower bound, masks no token; loss = sum(mask p) / max(num_items_in_batch, 1) as dapo.")
    loss("sapo", {"loss_type": "sapo", "sapo_temperature_pos": 1.0, "sapo_temperature_neg": 1.05}, f"p = -A sigmoid(t (r - 1)) 4 / t, t = sapo_temperature_pos where A > 0 else sapo_temperature_neg, gradient through r; {PER_SEQ}.")
    loss("luspo", {"loss_type": "luspo", "importance_sampling_level": "sequence", **eps}, f"{SEQ}; p = -min(s A, clip(s, 1-epsilon, 1+epsilon_high) A), the same on each token; loss = mean over all trajectories of sum(mask p), no division by length.")
    loss("luspo_token", {"loss_type": "luspo", "importance_sampling_level": "token", **eps}, f"{SURROGATE}; loss = mean over all trajectories of sum(mask p).")
    loss("vespo", {"loss_type": "vespo", "vespo_k_pos": 2.0, "vespo_lambda_pos": 3.0, "vespo_k_neg": 3.0, "vespo_lambda_neg": 2.0}, "lw = clamp(sum(mask clamp(logp - old_logp, -20, 20)), ln 1e-8, 20); phi = exp(lambda + k lw - lambda exp(lw)) (nan, inf to 0), all stop-gradient, k and lambda the pos ones where A >= 0, lambda at least 1e-4; p = -phi A logp; loss = sum(mask p) / max(num_items_in_batch, 1) as dapo.")
    loss("gspo", {"loss_type": "grpo", "importance_sampling_level": "sequence", **eps}, f"{SEQ}; p = -min(s A, clip(s, 1-epsilon, 1+epsilon_high) A); {PER_SEQ}.")
    loss("gspo_dapo", {"loss_type": "dapo", "importance_sampling_level": "sequence", **eps}, f"{SEQ}; p as gspo; loss = sum(mask p) / max(num_items_in_batch, 1).")
    loss("cispo_sequence", {"loss_type": "cispo", "importance_sampling_level": "sequence", "epsilon_high": 1.3}, f"s = exp(mean over mask of logp - old_logp); p = -sg(min(s, epsilon_high)) A logp; loss as cispo.", batches=BATCHES[:1])
    loss("delta", {"loss_type": "grpo", **eps, "delta": 1.6}, f"p = -min(min(r, delta) A, clip(r, 1-epsilon, 1+epsilon_high) A): r is cut at delta in the first term only, gradient 0 past it; {PER_SEQ}.")
    loss("beta", {"loss_type": "grpo", **eps, "beta": 0.04}, f"{SURROGATE}; p + beta k3, {K3}; {PER_SEQ}.", ["ref_logp"])
    loss("beta_dapo", {"loss_type": "dapo", **eps, "beta": 0.1}, f"{SURROGATE}; p + beta k3, {K3}; loss = sum(mask (p + beta k3)) / max(num_items_in_batch, 1).", ["ref_logp"], batches=BATCHES[:1])
    loss("beta_bias_correction", {"loss_type": "grpo", **eps, "beta": 0.1, "use_bias_correction_kl": True}, f"{SURROGATE}; p + beta r k3 with gradient through r too, r before any clip or delta; {K3}; {PER_SEQ}.", ["ref_logp"])
    entropy_note = "threshold = torch.quantile(entropies of unmasked tokens of the batch, 1 - top_entropy_quantile) (linear interpolation); keep where entropy >= threshold; p times keep (KL is not); denominators still count all unmasked tokens"
    loss("top_entropy_quantile", {"loss_type": "dapo", **eps, "top_entropy_quantile": 0.5}, f"{SURROGATE}; {entropy_note}; loss as dapo.", ["entropy"])
    loss("top_entropy_quantile_beta", {"loss_type": "grpo", **eps, "top_entropy_quantile": 0.25, "beta": 0.04}, f"{SURROGATE}; {entropy_note}; p keep + beta k3, {K3}; {PER_SEQ}.", ["entropy", "ref_logp"], batches=BATCHES[:1])
    loss("entropy_coef", {"loss_type": "grpo", **eps, "entropy_coef": 0.05}, f"{SURROGATE}; {PER_SEQ}; minus entropy_coef * sum(mask entropy) / max(sum mask, 1), a token mean whatever the loss type.", ["entropy"], batches=BATCHES[:1])
    opsm = "keep trajectory if A >= 0 or mean over mask of (b - sg(logp)) <= off_policy_mask_threshold, else p = 0 (KL stays); denominators do not change"
    loss("off_policy_mask", {"loss_type": "grpo", **eps, "off_policy_mask_threshold": 0.05}, f"{SURROGATE}; {opsm}, b = old_logp; {PER_SEQ}.")
    loss("off_policy_mask_behaviour", {"loss_type": "dapo", **eps, "off_policy_mask_threshold": 0.05, "beta": 0.04}, f"{SURROGATE}; {opsm}, b = behaviour_logp; p + beta k3; loss as dapo.", ["behaviour_logp", "ref_logp"], batches=BATCHES[1:])
    vllm = {
        "token_truncate": "w = clamp(exp(mask q), clip_min, clip_max) per token",
        "token_mask": "w = exp(mask q) per token, 0 where below clip_min or above clip_max (bounds kept)",
        "sequence_truncate": "w = clamp(exp(sum(mask q)), clip_min, clip_max) per trajectory",
        "sequence_mask": "w = exp(sum(mask q)) per trajectory, 0 where below clip_min or above clip_max (bounds kept)",
    }
    for mode, note in vllm.items():
        o = {"loss_type": "grpo", **eps, "vllm_importance_sampling_mode": mode, "vllm_importance_sampling_clip_max": 1.3}
        if mode != "sequence_truncate":
            o["vllm_importance_sampling_clip_min"] = 0.7
        loss(f"vllm_{mode}", o, f"{SURROGATE}; {VLLM}: {note}; a bound that is absent does not act; {PER_SEQ}.", ["behaviour_logp"])
    o = {"loss_type": "vespo", "vllm_importance_sampling_mode": "token_mask", "vllm_importance_sampling_clip_max": 1.5}
    loss("vespo_vllm", o, "As vespo, with lw = clamp(sum(mask clamp(logp - old_logp, -20, 20)) + sum over tokens of clamp(ln w, ln 1e-8, 20), ln 1e-8, 20), w as vllm_token_mask (1 on masked tokens; ln 0 becomes ln 1e-8); p itself is not multiplied by w.", ["behaviour_logp"], batches=BATCHES[:1])
    gmpo = {"epsilon": 0.4, "epsilon_high": 0.5}
    gmpo_note = "l = logp - old_logp, c = clamp(l, -epsilon, epsilon_high) in log space; m = min(l, c) where A > 0 else max(l, c); p = -A exp(sum(mask m) / max(sum mask, 1)) per trajectory, gradient through m; loss = mean over all trajectories (a fully masked one gives -A)"
    loss("gmpo", gmpo, gmpo_note + ".", cls=GMPOTrainer)
    loss("gmpo_beta", {**gmpo, "beta": 0.1}, f"{gmpo_note}; each trajectory + beta * (sum(mask k3) / max(sum mask, 1)), {K3}.", ["ref_logp"], cls=GMPOTrainer, batches=BATCHES[:1])
    loss("rloo_loss", {"epsilon": 0.2, "epsilon_high": 0.28}, "r = exp(sum over tokens of (logp - old_logp)), the whole trajectory (RLOOTrainer knows no tool mask, so none here); loss = mean over trajectories of -min(r A, clip(r, 1-epsilon, 1+epsilon_high) A).", cls=RLOOTrainer, mask=False)

    group = "group mean over non-missing rewards"
    for scale, std in (
        ("group", "A = (r - mean) / (std + 1e-4), std per group with ddof 1"),
        ("batch", "A = (r - group mean) / (std + 1e-4), std over all rewards of the batch with ddof 1"),
        ("none", "A = r - mean, no division"),
    ):
        for i, rewards in enumerate(SCALAR):
            o = {"scale_rewards": scale, "multi_objective_aggregation": "sum_then_normalize"}
            cases.append(trl_advantages(GRPOTrainer, f"advantage_{scale}/{i}", o, f"{std}; {group}.", rewards))
        cases.append(trl_advantages(GRPOTrainer, f"advantage_{scale}_missing/0", o, f"{std}; {group}; null is a reward every function left out: it enters no mean or std and gets A = 0; a group with one reward left has std nan, so A = 0 under group scaling.", MISSING))
        for i, rewards in enumerate(MATRIX[:1]):
            o = {**o, "reward_weights": [1.0, 0.5]}
            cases.append(trl_advantages(GRPOTrainer, f"advantage_{scale}_weighted/{i}", o, f"r = sum_k w_k r_k, then {std}.", rewards))
    for i, rewards in enumerate(MATRIX):
        o = {"multi_objective_aggregation": "normalize_then_sum", "reward_weights": [1.0, 0.5]}
        cases.append(trl_advantages(GRPOTrainer, f"advantage_gdpo/{i}", o, "z_k = (r_k - group mean_k) / (group std_k + 1e-4), ddof 1; s = sum_k w_k z_k; A = (s - mean of s over the batch) / (std of s over the batch, ddof 1, + 1e-4); scale_rewards is not read.", rewards))
    for i, rewards in enumerate(SCALAR):
        cases.append(trl_advantages(RLOOTrainer, f"advantage_rloo/{i}", {"normalize_advantages": False}, "A = r - mean of the other rewards of the group.", rewards))
        cases.append(trl_advantages(RLOOTrainer, f"advantage_rloo_normalized/{i}", {"normalize_advantages": True}, "a = r - mean of the other rewards of the group; A = (a - mean a) / (std a + 1e-4), over the batch, ddof 1.", rewards))
    cases.append(trl_advantages(RLOOTrainer, "advantage_rloo_missing/0", {"normalize_advantages": False}, "As rloo; a missing reward is in no baseline and gets A = 0, and so does the only reward of a group.", MISSING))
    cases.append(trl_advantages(RLOOTrainer, "advantage_rloo_clip/0", {"normalize_advantages": False, "reward_clip_range": [0.0, 1.0]}, "r = clamp(r, reward_clip_range) first, then as rloo.", SCALAR[0]))
    write("trl.json", f"trl {trl.__version__}", cases)


# verl


class Config(dict):
    """An options object of verl: attributes that are absent read as None."""

    __getattr__ = dict.get


class ActorConfig(Config):
    pass


class AlgoConfig(Config):
    pass


class Double:
    """A module in which float32 means float64."""

    def __init__(self, module, **names):
        self.__dict__.update(names, module=module)

    def __getattr__(self, name):
        return getattr(self.module, {"float32": "float64"}.get(name, name))


def verl_core_algos(root):
    """core_algos of the checkout, with stand-ins for what it imports beyond masked means and group means."""
    import numpy

    def module(name, **names):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(names)
        return sys.modules[name]

    def load(name, path):
        spec = importlib.util.spec_from_file_location(name, root / path)
        loaded = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        loaded.torch = Double(torch, randperm=torch.arange)
        loaded.np = Double(numpy)
        return loaded

    for package in ("verl", "verl.trainer", "verl.workers"):
        module(package)
    module("omegaconf", DictConfig=dict)
    module("verl.trainer.config", AlgoConfig=AlgoConfig)
    module("verl.workers.config", ActorConfig=ActorConfig)
    utils = module("verl.utils")
    module("verl.utils.device", get_device_name=lambda: "cpu")
    module("verl.utils.import_utils", deprecated=lambda *_: lambda f: f)
    functional = module("verl.utils.torch_functional", torch=torch)
    tree = ast.parse((root / "verl/utils/torch_functional.py").read_text())
    tree.body = [x for x in tree.body if isinstance(x, ast.FunctionDef) and x.name.startswith("masked_")]
    exec(compile(tree, "torch_functional.py", "exec"), functional.__dict__)
    utils.torch_functional = functional
    groupwise = load("verl.utils.groupwise", "verl/utils/groupwise.py")
    utils.as_torch_index, utils.group_mean_std = groupwise.as_torch_index, groupwise.group_mean_std
    return load("verl_core_algos", "verl/trainer/ppo/core_algos.py")


def verl_loss(core, mode):
    """The loss that verl's actor adds up: the policy loss, less entropy, plus KL, each aggregated."""

    def compute(groups, t, options):
        mask = t["mask"].bool()
        policy = {k: v for k, v in options.items() if k.startswith(("clip_cov", "kl_cov", "ppo_kl", "dro"))}
        whole = {"loss_scale_factor": options["loss_scale_factor"]} if "loss_scale_factor" in options else {}
        config = ActorConfig(options, policy_loss=Config(policy), global_batch_info=whole)
        agg = options.get("loss_agg_mode", "token-mean")
        loss = torch.zeros(())
        if mode:
            advantages = t["advantage"] * mask
            function = core.get_policy_loss_fn(mode)
            loss, _ = function(t.get("old_logp"), t["logp"], advantages, mask, agg, config, t.get("is_weight"))
        if "entropy" in t:
            loss = loss - options["entropy_coeff"] * core.agg_loss(t["entropy"], mask, agg, **whole)
        if "ref_logp" in t:
            kl = core.kl_penalty(t["logp"], t["ref_logp"], options["kl_loss_type"])
            loss = loss + options["kl_loss_coef"] * core.agg_loss(kl, mask, agg, **whole)
        return loss

    return compute


def verl_advantages(core, estimator, name, options, note, groups, per_token=False, **given):
    """`groups` hold `length`, maybe `mask`, `reward` or `rewards`; a reward lies on its last unmasked action."""
    import numpy

    rows = [t for g in groups for t in g]
    width = max(t["length"] for t in rows)
    mask = [t.get("mask", [1] * t["length"]) + [0] * (width - t["length"]) for t in rows]
    last = [max([i for i, m in enumerate(ms) if m], default=0) for ms in mask]
    rewards = torch.zeros(len(rows), width)
    for i, t in enumerate(rows):
        rewards[i, last[i]] = t.get("reward", 0.0)
    arguments = {
        "token_level_rewards": rewards,
        "response_mask": torch.tensor(mask),
        "index": numpy.array([i for i, g in enumerate(groups) for _ in g]),
        "config": AlgoConfig(options),
        **given,
    }
    for column, argument in (("old_logp", "old_log_probs"), ("sum_pi_squared", "sum_pi_squared")):
        if column in rows[0]:
            arguments[argument] = padded(groups, column)
    if "rewards" in rows[0]:
        keys = options["gdpo_reward_keys"]
        arguments["non_tensor_batch"] = {k: [t["rewards"][k] for t in rows] for k in keys}
        ones = torch.ones(len(rows), 1, dtype=torch.long)
        attention = torch.tensor([[1] + [int(j <= i) for j in range(width)] for i in last])
        arguments["batch"] = {"prompts": ones, "attention_mask": attention}
    if "reward_baseline" in rows[0]:
        arguments["reward_baselines"] = torch.tensor([t["reward_baseline"] for t in rows])
    function = core.get_adv_estimator_fn(estimator)
    read = function.__code__
    if not read.co_flags & 0x08:
        arguments = {k: v for k, v in arguments.items() if k in read.co_varnames[: read.co_argcount]}
    got = function(**arguments)[0]
    result = ragged(groups, got.tolist(), lambda t: t["length"])
    if not per_token:
        at = iter(last)
        result = [[row[next(at)] for row in g] for g in result]
    return {"name": name, "options": plain(options), "note": note, "groups": groups, "advantage": result}


def rewarded(rewards, name):
    """Trajectories of random length around given rewards."""
    rng = random.Random(name)
    groups = []
    for g in rewards:
        group = []
        for r in g:
            t = {"length": rng.randint(1, 6)}
            if len(r) == 1:
                t["reward"] = r[0]
            else:
                t["rewards"] = {f"r{i}": x for i, x in enumerate(r)}
            group.append(t)
        groups.append(group)
    return groups


def masked(groups, name):
    """The same, with some actions masked, never the last."""
    rng = random.Random(name)
    for t in itertools.chain(*groups):
        t["mask"] = [int(rng.random() < 0.7) for _ in range(t["length"] - 1)] + [1]
    return groups


def verl_cases(root, commit):
    core = verl_core_algos(pathlib.Path(root))
    base = ["logp", "old_logp"]
    clip = {"clip_ratio": 0.2, "clip_ratio_low": 0.2, "clip_ratio_high": 0.28}
    mean = "token-mean: sum(mask p) / sum mask"
    seq = "seq-mean-token-mean: sum over trajectories of sum(mask p) / (sum mask + 1e-8), over the number of trajectories with an unmasked token"
    ratio = "r = exp(clamp(logp - old_logp, -20, 20))"
    cases = []

    def loss(name, mode, options, note, extra=(), columns=base, **kw):
        cases.extend(loss_cases(name, options, note, list(columns) + list(extra), verl_loss(core, mode), **kw))

    dual = f"{ratio}; q = max(-A r, -A clip(r, 1-clip_ratio_low, 1+clip_ratio_high)); p = min(q, -A clip_ratio_c) where A < 0, else q"
    vanilla = {**clip, "clip_ratio_c": 3.0}
    loss("vanilla", "vanilla", {**vanilla, "loss_agg_mode": "token-mean"}, f"{dual}; {mean}.")
    loss("vanilla_token_advantage", "vanilla", {**vanilla, "loss_agg_mode": "token-mean"}, f"As vanilla, A per token. {dual}; {mean}.", ["token_advantage"], batches=BATCHES[:1])
    modes = {
        "token-sum": "loss = sum(mask p)",
        "seq-mean-token-sum": "loss = sum over trajectories of sum(mask p), over the number of trajectories with an unmasked token",
        "seq-mean-token-mean": f"loss: {seq}",
        "seq-mean-token-sum-norm": "loss = as seq-mean-token-sum, then / loss_scale_factor (absent: the padded response width)",
    }
    for agg, note in modes.items():
        o = {**vanilla, "clip_ratio_c": 1.5, "loss_agg_mode": agg}
        if agg.endswith("norm"):
            o["loss_scale_factor"] = 16
        loss(f"vanilla_{agg}", "vanilla", o, f"{dual}; {note}.")
    loss("vanilla_is_weight", "vanilla", {**vanilla, "loss_agg_mode": "token-mean"}, f"{dual}; p times the given constant is_weight (rollout_is_weights) after the clip; {mean}; gspo, sapo, gpg, clip_cov, kl_cov, cispo, dppo and dro do the same.", ["is_weight"])
    loss("vanilla_entropy_kl", "vanilla", {**vanilla, "loss_agg_mode": "token-mean", "entropy_coeff": 0.01, "kl_loss_type": "low_var_kl", "kl_loss_coef": 0.05}, f"{dual}; loss = agg(p) - entropy_coeff agg(entropy) + kl_loss_coef agg(kl), kl as kl_low_var_kl; {mean} for each.", ["entropy", "ref_logp"])
    loss("vanilla_entropy_kl_seq", "vanilla", {**vanilla, "loss_agg_mode": "seq-mean-token-mean", "entropy_coeff": 0.01, "kl_loss_type": "mse", "kl_loss_coef": 0.05}, f"As vanilla_entropy_kl with kl_mse; each of the three by {seq}.", ["entropy", "ref_logp"], batches=BATCHES[1:])
    loss("gspo", "gspo", clip, f"s = exp(min(logp - sg(logp) + sg(m), 10)), m = sum(mask (logp - old_logp)) / max(sum mask, 1): value of the sequence mean, gradient of the own token; p = max(-A s, -A clip(s, 1-clip_ratio_low, 1+clip_ratio_high)); always {seq}.")
    loss("gspo_token_advantage", "gspo", clip, "As gspo, A per token.", ["token_advantage"], batches=BATCHES[:1])
    loss("sapo", "sapo", {"tau_pos": 1.0, "tau_neg": 1.05}, f"{ratio}; p = -A sigmoid(t (r - 1)) 4 / t, t = tau_pos where A > 0 else tau_neg; always {seq}.")
    loss("gpg", "gpg", {"loss_agg_mode": "token-mean"}, f"p = -A logp, no ratio; {mean}.", columns=base[:1])
    cov = "c = (A - mean A) (logp - mean logp), means over unmasked tokens (denominator + 1e-8), a constant"
    cut = f"r = exp(logp - old_logp), unclamped; p = max(-A r, -A clip(r, 1-clip_ratio_low, 1+clip_ratio_high)), no dual clip; {cov}; candidates: unmasked, not cut by the clip (clipped term not larger), clip_cov_lb < c < clip_cov_ub; n = max(int(clip_cov_ratio * sum mask), 1) of them at random get p = 0, still counted by the denominator; {mean}"
    loss("clip_cov", "clip_cov", {**clip, "clip_cov_ratio": 1.0, "clip_cov_lb": 0.1, "clip_cov_ub": 1.0, "loss_agg_mode": "token-mean"}, f"{cut}. Here n covers every candidate.")
    loss("clip_cov_some", "clip_cov", {**clip, "clip_cov_ratio": 0.15, "clip_cov_lb": -5.0, "clip_cov_ub": 5.0, "loss_agg_mode": "token-mean", "randperm": "identity"}, f"{cut}. Here the random order is replaced by the identity: the first n candidates by trajectory, then token.")
    loss("kl_cov", "kl_cov", {"kl_cov_ratio": 0.2, "ppo_kl_coef": 0.5, "loss_agg_mode": "token-mean"}, f"r = exp(logp - old_logp), unclamped and never clipped; p = -A r, and + ppo_kl_coef |logp - old_logp| (gradient through it) on the k = max(1, int(kl_cov_ratio * sum mask)) unmasked tokens of largest c = (A - mean A) (logp - mean logp), plain means over unmasked tokens; {mean}.")
    geo = "l = logp - old_logp, unclamped, c = clamp(l, -clip_ratio_low, clip_ratio_high) in log space; m = sign(A) min(sign(A) l, sign(A) c), 0 where A = 0; p = -a exp(sum(mask m) / (sum mask + 1e-8)), a = sum(mask A) / (sum mask + 1e-8); loss = mean over all trajectories (a fully masked one adds 0 but counts); loss_agg_mode is not read"
    loss("geo_mean", "geo_mean", {"clip_ratio": 0.4, "clip_ratio_low": 0.4, "clip_ratio_high": 0.5}, f"{geo}.")
    loss("geo_mean_is_weight", "geo_mean", {"clip_ratio": 0.4, "clip_ratio_low": 0.4, "clip_ratio_high": 0.4}, f"{geo}; p times exp(sum(mask ln(is_weight + 1e-10)) / (sum mask + 1e-8)).", ["is_weight"], batches=BATCHES[:1])
    loss("cispo", "cispo", {**clip, "loss_agg_mode": "token-mean"}, f"{ratio}; p = -sg(clip(r, 1-clip_ratio_low, 1+clip_ratio_high)) A logp; {mean}.")
    dppo = f"{ratio}; p = -A sg(min(r, clip_ratio_c)) logp keep, keep a constant; {mean}; clip_ratio_c reads 20 only if the option does not exist, the actor's own default is 3"
    loss("dppo_tv", "dppo_tv", {"clip_ratio": 0.15, "clip_ratio_low": 0.15, "clip_ratio_high": 0.2, "clip_ratio_c": 2.5, "loss_agg_mode": "token-mean"}, f"{dppo}; d = exp(logp) - exp(old_logp); keep = d <= clip_ratio_high where A > 0, else d >= -clip_ratio_low.")
    loss("dppo_kl", "dppo_kl", {"clip_ratio": 0.01, "clip_ratio_low": 0.01, "clip_ratio_high": 0.03, "clip_ratio_c": 2.5, "loss_agg_mode": "token-mean"}, f"{dppo}; u = exp(logp), o = exp(old_logp); K = o (old_logp - logp) + (1 - o) ln((1 - o + 1e-8) / (1 - u + 1e-8)); keep = K <= clip_ratio_high or u <= o where A > 0, else K <= clip_ratio_low or u >= o.")
    loss("dro", "dro", {"dro_beta": 0.3, "loss_agg_mode": "token-mean"}, f"p = -(A logp - dro_beta / 2 (logp - old_logp)^2), no clamp; {mean}.")
    kinds = {
        "k1": "kl = logp - ref_logp",
        "abs": "kl = |logp - ref_logp|",
        "mse": "kl = (logp - ref_logp)^2 / 2",
        "low_var_kl": "d = clamp(ref_logp - logp, -20, 20), kl = clamp(exp(d) - d - 1, -10, 10), gradient 0 past a clamp",
        "k3+": "value of low_var_kl, gradient of mse",
    }
    for kind, note in kinds.items():
        o = {"kl_loss_type": kind, "kl_loss_coef": 1.0, "loss_agg_mode": "token-mean"}
        loss(f"kl_{kind}", None, o, f"{note}; loss = kl_loss_coef sum(mask kl) / sum mask, no policy term.", ["ref_logp"], columns=base[:1])

    single = [*SCALAR[0], [[0.7]]]

    def advantage(name, estimator, options, note, groups, **kw):
        cases.append(verl_advantages(core, estimator, name, options, note, groups, **kw))

    def outcome(name, estimator, options, note, rewards=(single, SCALAR[1]), **kw):
        for i, r in enumerate(rewards):
            advantage(f"advantage_{name}/{i}", estimator, options, note, rewarded(r, f"{name}/{i}"), **kw)

    outcome("grpo", "grpo", {"norm_adv_by_std_in_grpo": True}, "A = (r - group mean) / (group std + 1e-6), ddof 1; a group of one has mean 0, std 1.")
    outcome("grpo_no_std", "grpo", {"norm_adv_by_std_in_grpo": False}, "A = r - group mean; a group of one has mean 0.", norm_adv_by_std_in_grpo=False)
    outcome("rloo", "rloo", {}, "A = (r - group mean) n / (n - 1); a group of one keeps A = r.")
    outcome("rloo_vectorized", "rloo_vectorized", {}, "A = (n r - group sum) / (n - 1); a group of one gets 0.", rewards=(single,))
    outcome("opo", "opo", {}, "A = r - sum(length r) / sum(length) over the group, length = unmasked tokens; a group of one has baseline 0.")
    outcome("gpg", "gpg", {"f_norm": 1.0}, "A = (number of trajectories / max(number of non-zero rewards, 1)) (r - group mean) / f_norm, the counts over the whole batch; a group of one has mean 0.")
    outcome("grpo_passk", "grpo_passk", {"norm_adv_by_std_in_grpo": True}, "only the best of each group: A = (best - second best) / (group std + 1e-6), ddof 1, all others 0; groups of one are refused.", rewards=SCALAR)
    outcome("grpo_passk_no_std", "grpo_passk", {"norm_adv_by_std_in_grpo": False}, "only the best of each group: A = best - second best, all others 0.", rewards=SCALAR[:1])
    white = "A = (x - mean) / sqrt(var + 1e-8) over all unmasked tokens of the batch, mean = sum / (n + 1e-8), var = sum (x - mean)^2 / (n + 1e-8) * n / (n - 1); masked tokens 0"
    outcome("reinforce_plus_plus_baseline", "reinforce_plus_plus_baseline", {}, f"x = r - group mean (0 for a group of one) on each token; {white}; so each token, not each trajectory, weighs alike.")
    rpp = "x_t = reward_t + gamma x_{t+1}, the reward on the last unmasked token, a masked token passing x on unchanged and undiscounted"
    for i, gamma in enumerate([1.0, 0.9]):
        name = f"reinforce_plus_plus_{gamma}"
        for j, r in enumerate(SCALAR):
            groups = masked(rewarded(r, f"{name}/{j}"), f"{name}/{j}")
            advantage(f"advantage_{name}/{j}", "reinforce_plus_plus", {"gamma": gamma}, f"{rpp}; no group baseline; {white}.", groups, per_token=True)
    for t in itertools.chain(*(groups := rewarded(SCALAR[0], "remax"))):
        t["reward_baseline"] = round(random.Random(str(t)).uniform(0, 1), 3)
    advantage("advantage_remax/0", "remax", {}, "A = r - reward_baseline (the reward of a greedy answer) on each token.", groups)
    for i, r in enumerate(MATRIX):
        keys = ["r0", "r1"]
        for weights in (None, [1.0, 0.5]):
            name = f"advantage_gdpo{'' if weights is None else '_weighted'}/{i}"
            o = {"gdpo_reward_keys": keys, "gdpo_reward_weights": weights}
            advantage(name, "gdpo", o, f"z_k = (r_k - group mean_k) / (group std_k + 1e-6), ddof 1; x = sum_k w_k z_k (weights 1 if absent) on each token; {white}.", rewarded(r, name))
    otb = "G_t = reward to go (undiscounted); W_t = cumulative sum over unmasked tokens of 1 - 2 exp(old_logp) + sum_pi_squared; A_t = G_t - sum_group(G_t W_t) / (sum_group W_t + 1e-8), the sums over trajectories that have token t; a group of one has baseline 0"
    tail = "; handle_zero_tail: if one trajectory is strictly longest, its baseline is 0 past the second longest"
    for source in (False, True):
        for zero in (False, True):
            groups = []
            for g in BATCHES[1]:
                groups.append([])
                for t in g:
                    n = len(t["logp"])
                    kept = {"reward": t["advantage"], "length": n} | {k: t[k] for k in ("old_logp", "sum_pi_squared")}
                    if source and 0 in t["mask"]:
                        kept["mask"] = t["mask"]
                    groups[-1].append(kept)
            estimator = "tir_optimal_token_baseline" if source else "optimal_token_baseline"
            note = otb + (tail if zero else "") + ("; t counts unmasked tokens only (masked ones are squeezed out and get 0), the reward on the last unmasked one" if source else "")
            name = f"advantage_{estimator}{'_zero_tail' if zero else ''}/0"
            advantage(name, estimator, {"handle_zero_tail": zero}, note + ".", groups, per_token=True, handle_zero_tail=zero)
    write("verl.json", f"verl {commit}", cases)


if __name__ == "__main__":
    if sys.argv[1] == "trl":
        trl_cases()
    else:
        verl_cases(*sys.argv[2:4])
