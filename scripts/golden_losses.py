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
            t["sum_pi_squared"] = [round(rng.uniform(0.05, 0.9), 3) for _ in logp]
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
    lengths = [len(t["logp"]) for g in groups for t in g]
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


if __name__ == "__main__":
    if sys.argv[1] == "trl":
        trl_cases()
