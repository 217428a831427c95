"""The work of `cohort bench step --fixed-length` in transformers, for benches/gpu.sh: generate, then one forward and backward pass over what
was generated and an AdamW step. One JSON line a dtype; medians over the steps, the first of which does not count."""

import argparse
import json
import statistics
import time

import torch
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--prompts", type=int, default=32)
parser.add_argument("--group", type=int, default=8)
parser.add_argument("--prompt-len", type=int, default=6)
parser.add_argument("--max-new-tokens", type=int, default=48)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--rows", type=int, default=32, help="sequences of a micro-batch in training")
arguments, _ = parser.parse_known_args()

device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize, "cpu": lambda: None}[device]


def timed(work):
    wait()
    start = time.perf_counter()
    result = work()
    wait()
    return result, time.perf_counter() - start


for dtype in (torch.float32, torch.bfloat16):
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=dtype).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    seconds = {"sample": [], "train": []}
    for step in range(arguments.steps + 1):
        torch.manual_seed(step)
        prompts = torch.randint(100, model.config.vocab_size - 300, (arguments.prompts, arguments.prompt_len))
        prompts = prompts.repeat_interleave(arguments.group, 0).to(device)
        new = arguments.max_new_tokens
        with torch.no_grad():
            ids, sample = timed(lambda: model.generate(
                prompts, attention_mask=torch.ones_like(prompts), do_sample=True, top_k=0, min_new_tokens=new, max_new_tokens=new, pad_token_id=0))

        def train():
            for rows in ids.split(arguments.rows):
                logits = model(rows[:, :-1]).logits[:, arguments.prompt_len - 1:].float()
                targets = rows[:, arguments.prompt_len:]
                logp = logits.log_softmax(-1).gather(-1, targets[..., None])
                (-logp.sum() / ids.shape[0] / new).backward()
            optimizer.step()
            optimizer.zero_grad()

        _, trained = timed(train)
        if step > 0:
            seconds["sample"].append(sample)
            seconds["train"].append(trained)
    tokens = arguments.prompts * arguments.group * arguments.max_new_tokens
    rates = {phase: tokens / statistics.median(times) for phase, times in seconds.items()}
    print(json.dumps({"dtype": str(dtype).removeprefix("torch."), "device": device, "tokens_per_s": rates}), flush=True)
    del model, optimizer
