#!/usr/bin/env python3
"""Writes the golden files of crates/model/tests/golden with torch and transformers: tiny random checkpoints, one an
architecture and rope variant, and what transformers computes from them.

    python scripts/golden_logprobs.py [--data FOLDER]

The tests read the files as they are committed and need no Python. FOLDER is laid out as COHORT_DATA;
without it only the tiny random checkpoints are written. Values are f32, temperature 1 unless named.
"""

import argparse
import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "crates/model/tests/golden"

PROMPTS = [
    ("12+7=", "<think>12+7=19</think><answer>19</answer>"),
    ("81-46=", "<think>81-46=35</think><answer>35</answer>"),
    ("3*9=", "<think>27</think><answer>27</answer>"),
    ("(4+5)*6=", "<think>4+5=9, 9*6=54</think><answer>54</answer>"),
    ("7=", "hello world"),
    ("100/4=", "<answer>24</answer>"),
]


def rows(model, context, actions, temperature=1.0):
    """logp and entropy of each action, as a differentiable pair of vectors."""
    ids = torch.tensor([context + actions])
    logits = model(ids).logits[0, len(context) - 1 : -1] / temperature
    logp = torch.log_softmax(logits.float(), -1)
    chosen = logp.gather(1, torch.tensor(actions)[:, None])[:, 0]
    return chosen, -(logp.exp() * logp).sum(-1)


def case(model, context, actions, temperature=1.0):
    with torch.no_grad():
        logp, entropy = rows(model, context, actions, temperature)
    return {
        "context": context,
        "actions": actions,
        "temperature": temperature,
        "logp": logp.tolist(),
        "entropy": entropy.tolist(),
    }


def trained_model(data):
    folder = pathlib.Path(data) / "arith/sft-small"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    cases = []
    for prompt, completion in PROMPTS:
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, completion)]
        cases.append(case(model, ids[0], ids[1] + [1]) | {"prompt": prompt, "completion": completion})
    write("sft_small.json", {"cases": cases})


# Every number a matrix starts with, and how far from a tie a choice has to be to be the same elsewhere.
SCALE, MARGIN = 8.0, 1e-3
EAGER = {"attn_implementation": "eager", "experts_implementation": "eager"}


class Tie(Exception):
    """A choice that another order of summation could turn."""


def start(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:
                parameter.mul_(SCALE)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.3)
            else:
                parameter.normal_(1.0, 0.2)


def as_transformers_4(folder):
    """Rewrites config.json as the versions before 5 wrote it."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else {"type": kind} | rope
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    if "num_local_experts" in config:
        config["num_experts"] = config.pop("num_local_experts")
    config["transformers_version"] = "4.51.0"
    path.write_text(json.dumps(config, indent=2) + "\n")


def stored_gradients(model, experts):
    """The gradients under the names of the file: transformers holds experts fused, files hold them either way."""
    found = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if experts == "separate" and name.endswith("experts.gate_up_proj"):
            at = name.removesuffix(".gate_up_proj")
            for e, both in enumerate(gradient):
                found[f"{at}.{e}.gate_proj.weight"], found[f"{at}.{e}.up_proj.weight"] = both.chunk(2)
        elif experts == "separate" and name.endswith("experts.down_proj"):
            for e, down in enumerate(gradient):
                found[f"{name.removesuffix('.down_proj')}.{e}.down_proj.weight"] = down
        else:
            found[name] = gradient
    return found


def thinned(gradient):
    """At most some 400 of the numbers, the first of every so many, and all of a small parameter."""
    flat = gradient.flatten()
    every = max(1, -(-len(flat) // 400)) | 1
    return {"every": every, "values": [float(f"{x:.7g}") for x in flat[::every].tolist()]}


def greedy(model, context, count):
    """`count` ids by cached decoding, none of them near a tie, the same as without the cache."""
    out, cache, fed = list(context), None, context
    with torch.no_grad():
        for _ in range(count):
            answer = model(torch.tensor([fed]), past_key_values=cache, use_cache=True)
            cache, logits = answer.past_key_values, answer.logits[0, -1]
            best = logits.topk(2).values
            if best[0] - best[1] < MARGIN:
                raise Tie
            out.append(int(logits.argmax()))
            fed = out[-1:]
        whole = model(torch.tensor([out])).logits[0, len(context) - 1 : -1].argmax(-1).tolist()
    assert whole == out[len(context) :], "the cache decodes something else"
    return {"context": list(context), "actions": out[len(context) :]}


def balance(model, config, ids):
    """The load-balancing loss of one sequence's tokens, and how near to another choice a router came."""
    with torch.no_grad():
        answer = model(torch.tensor([ids]), output_router_logits=True)
    top = [torch.softmax(logits, -1).topk(config.num_experts_per_tok + 1).values for logits in answer.router_logits]
    if any((t[:, -2] - t[:, -1]).min() < 1e-5 for t in top):
        raise Tie
    return float(load_balancing_loss_func(answer.router_logits, config.num_experts, config.num_experts_per_tok))


def tiny(*arguments, **options):
    """The checkpoint of the first seed without a near tie."""
    for seed in range(7, 100):
        try:
            return tiny_of(seed, *arguments, **options)
        except Tie:
            continue


def tiny_of(seed, name, config, gradient_names, form=5, experts=None, end_ids=None):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **EAGER).eval()
    start(model)
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    if experts == "fused":
        tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
        if config.tie_word_embeddings:
            del tensors["lm_head.weight"]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if form == 4:
        as_transformers_4(folder)
    if end_ids:
        path = folder / "generation_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": end_ids}, indent=2) + "\n")

    generator = torch.Generator().manual_seed(11)
    ids = lambda n: torch.randint(2, config.vocab_size, (n,), generator=generator).tolist()
    samples = [(ids(1), ids(5)), (ids(6), ids(12)), (ids(17), ids(1)), (ids(44), ids(26))]
    long = samples[-1][0] + samples[-1][1]
    with torch.no_grad():
        logits = model(torch.tensor([long])).logits[0]
        again = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **EAGER).eval()
        difference = (again(torch.tensor([long])).logits[0] - logits).abs().max()
        assert difference < 1e-5, f"{name}: what was written is another model"
    at = list(range(3, len(long), 11)) + [len(long) - 1]
    cases = [case(model, *sample, temperature) for sample in samples for temperature in (1.0, 0.7)]

    count = sum(len(actions) for _, actions in samples)
    weights = [(0.5 - (i % 3) * 0.4, 0.3 - (i % 2) * 0.5) for i in range(count)]
    model.zero_grad()
    total, n = 0.0, 0
    for context, actions in samples:
        logp, entropy = rows(model, context, actions)
        for i in range(len(actions)):
            total = total + weights[n][0] * logp[i] + weights[n][1] * entropy[i]
            n += 1
    total.backward()
    gradients = stored_gradients(model, experts)

    document = {
        "logits": {"ids": long, "at": at, "values": [[float(f"{x:.7g}") for x in logits[i].tolist()] for i in at]},
        "cases": cases,
        "weights": weights,
        "gradients": {name: thinned(gradients[name]) for name in gradient_names},
        "greedy": greedy(model, samples[1][0], 64),
    }
    if experts:
        document["balance"] = balance(model, config, long)
    write(f"{name}/golden.json", document)


def write(name, document):
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    (GOLDEN / name).write_text(json.dumps({"made_with": versions} | document) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder laid out as COHORT_DATA")
    arguments = parser.parse_args()
    GOLDEN.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    shape = dict(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=28,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=2,
        eos_token_id=1,
        pad_token_id=0,
    )
    layer = "model.layers"
    qwen2, qwen3, llama = transformers.Qwen2Config, transformers.Qwen3Config, transformers.LlamaConfig
    mistral, mixture = transformers.MistralConfig, transformers.Qwen3MoeConfig

    tiny(
        "qwen3",
        qwen3(**shape, head_dim=8, tie_word_embeddings=True),
        ["model.embed_tokens.weight", f"{layer}.0.self_attn.q_norm.weight", f"{layer}.1.mlp.down_proj.weight"],
    )
    tiny(
        "qwen2",
        qwen2(**shape, tie_word_embeddings=True),
        [f"{layer}.0.self_attn.k_proj.bias", f"{layer}.1.self_attn.q_proj.weight", "model.norm.weight"],
        form=4,
    )
    # Windows of 8 in the layers from `max_window_layers` on, in the old form; in the layers that are named, in the new.
    tiny(
        "qwen2_window",
        qwen2(**(shape | {"num_hidden_layers": 3}), use_sliding_window=True, sliding_window=8, max_window_layers=1),
        [f"{layer}.0.self_attn.v_proj.weight", f"{layer}.2.self_attn.k_proj.weight", "lm_head.weight"],
        form=4,
    )
    tiny(
        "qwen3_window",
        qwen3(
            **(shape | {"num_hidden_layers": 3}),
            head_dim=8,
            tie_word_embeddings=True,
            use_sliding_window=True,
            sliding_window=12,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        [f"{layer}.0.self_attn.q_proj.weight", f"{layer}.2.self_attn.k_norm.weight", "model.embed_tokens.weight"],
    )
    tiny(
        "qwen3_yarn",
        qwen3(
            **shape,
            head_dim=16,
            attention_bias=True,
            tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32, beta_fast=4.0
            ),
        ),
        [f"{layer}.0.self_attn.o_proj.bias", f"{layer}.1.self_attn.k_proj.weight", "model.norm.weight"],
    )
    tiny(
        "qwen2_yarn",
        qwen2(
            **shape,
            tie_word_embeddings=True,
            rope_parameters=dict(
                rope_type="yarn",
                rope_theta=1000000.0,
                factor=8.0,
                original_max_position_embeddings=16,
                mscale=1.0,
                mscale_all_dim=0.5,
                truncate=False,
            ),
        ),
        [f"{layer}.0.self_attn.q_proj.bias", f"{layer}.1.self_attn.k_proj.weight", "model.embed_tokens.weight"],
        form=4,
    )
    tiny(
        "qwen3_moe_fused",
        mixture(
            **shape,
            head_dim=8,
            moe_intermediate_size=12,
            num_experts=6,
            num_experts_per_tok=2,
            norm_topk_prob=True,
            tie_word_embeddings=True,
        ),
        [
            f"{layer}.0.mlp.gate.weight",
            f"{layer}.0.mlp.experts.gate_up_proj",
            f"{layer}.1.mlp.experts.down_proj",
            f"{layer}.0.self_attn.k_norm.weight",
            "model.embed_tokens.weight",
        ],
        experts="fused",
    )
    tiny(
        "qwen3_moe",
        mixture(
            **(shape | {"num_hidden_layers": 3}),
            head_dim=8,
            moe_intermediate_size=10,
            tie_word_embeddings=True,
            num_experts=5,
            num_experts_per_tok=3,
            norm_topk_prob=False,
            mlp_only_layers=[1],
            use_sliding_window=True,
            sliding_window=10,
        ),
        [
            f"{layer}.0.mlp.gate.weight",
            f"{layer}.0.mlp.experts.0.gate_proj.weight",
            f"{layer}.2.mlp.experts.2.up_proj.weight",
            f"{layer}.2.mlp.experts.4.down_proj.weight",
            f"{layer}.1.mlp.gate_proj.weight",
        ],
        experts="separate",
        form=4,
    )
    tiny(
        "llama",
        llama(**shape, attention_bias=True, mlp_bias=True, tie_word_embeddings=False),
        ["lm_head.weight", f"{layer}.0.self_attn.v_proj.weight", f"{layer}.1.mlp.gate_proj.bias"],
        end_ids=[1, 5, 9],
    )
    llama3 = dict(
        rope_type="llama3",
        rope_theta=500000.0,
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=24,
    )
    tiny(
        "llama3",
        llama(**shape, head_dim=16, tie_word_embeddings=True, rope_parameters=llama3),
        [f"{layer}.0.self_attn.q_proj.weight", f"{layer}.1.self_attn.k_proj.weight", "model.norm.weight"],
    )
    tiny(
        "llama_linear",
        llama(**shape, tie_word_embeddings=False, rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=4.0)),
        [f"{layer}.0.self_attn.q_proj.weight", f"{layer}.1.input_layernorm.weight", "lm_head.weight"],
        form=4,
    )
    tiny(
        "mistral",
        mistral(**shape, head_dim=12, sliding_window=8, tie_word_embeddings=False),
        [f"{layer}.0.self_attn.k_proj.weight", f"{layer}.1.self_attn.o_proj.weight", "model.embed_tokens.weight"],
    )
    if arguments.data:
        trained_model(arguments.data)


if __name__ == "__main__":
    main()
