#!/usr/bin/env python3
"""Writes the golden files of crates/model/tests/golden with torch and transformers.

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
from transformers import AutoModelForCausalLM, AutoTokenizer

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


def tiny(name, config, gradient_names):
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                parameter.mul_(8.0)
            elif parameter_name.endswith("bias"):
                parameter.normal_(0.0, 0.3)
            else:
                parameter.normal_(1.0, 0.2)
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)

    generator = torch.Generator().manual_seed(11)
    ids = lambda n: torch.randint(2, config.vocab_size, (n,), generator=generator).tolist()
    samples = [(ids(1), ids(5)), (ids(6), ids(12)), (ids(17), ids(1))]
    cases = [case(model, *sample, temperature) for sample in samples for temperature in (1.0, 0.7)]

    weights = [(0.5 - (i % 3) * 0.4, 0.3 - (i % 2) * 0.5) for i in range(18)]
    model.zero_grad()
    total, at = 0.0, 0
    for context, actions in samples:
        logp, entropy = rows(model, context, actions)
        for i in range(len(actions)):
            total = total + weights[at][0] * logp[i] + weights[at][1] * entropy[i]
            at += 1
    total.backward()
    parameters = dict(model.named_parameters())
    gradients = {name: [round(x, 9) for x in parameters[name].grad.flatten().tolist()] for name in gradient_names}

    prompt = samples[1][0]
    with torch.no_grad():
        out = list(prompt)
        for _ in range(32):
            out.append(int(model(torch.tensor([out])).logits[0, -1].argmax()))
    document = {
        "cases": cases,
        "weights": weights,
        "gradients": gradients,
        "greedy": {"context": prompt, "actions": out[len(prompt) :]},
    }
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
        vocab_size=40,
        hidden_size=32,
        intermediate_size=28,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        eos_token_id=1,
        pad_token_id=0,
    )
    tiny(
        "qwen3",
        transformers.Qwen3Config(**shape, head_dim=8, tie_word_embeddings=True),
        ["model.embed_tokens.weight", "model.layers.0.self_attn.q_norm.weight", "model.layers.1.mlp.down_proj.weight"],
    )
    tiny(
        "qwen2",
        transformers.Qwen2Config(**shape, tie_word_embeddings=True),
        ["model.layers.0.self_attn.k_proj.bias", "model.layers.1.self_attn.q_proj.weight", "model.norm.weight"],
    )
    tiny(
        "llama",
        transformers.LlamaConfig(**shape, tie_word_embeddings=False),
        ["lm_head.weight", "model.layers.0.self_attn.v_proj.weight", "model.layers.1.input_layernorm.weight"],
    )
    if arguments.data:
        trained_model(arguments.data)


if __name__ == "__main__":
    main()
