"""Writes crates/model/tests/golden_peft: a tiny random base, adapters of it as PEFT saves them, and what PEFT computes.

    python scripts/golden_adapters.py        (torch, transformers, peft)

Each adapter's golden.json holds log-probabilities of given ids under base and adapter, and of the merged model.
"""

import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

OUT = Path(__file__).resolve().parent.parent / "crates/model/tests/golden_peft"
VARIANTS = {
    "plain": {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"},
    "rslora": {"r": 3, "lora_alpha": 6, "use_rslora": True, "target_modules": ["q_proj", "v_proj"]},
    "targets": {"r": 2, "lora_alpha": 5, "target_modules": ["layers.1.self_attn.k_proj", "down_proj"]},
}


def tiny():
    return Qwen2Config(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=None, eos_token_id=1,
    )


def rows(model, cases):
    out = []
    for case in cases:
        ids = torch.tensor([case["context"] + case["actions"]])
        with torch.no_grad():
            logp = torch.log_softmax(model(ids).logits.float(), -1)[0]
        first = len(case["context"]) - 1
        out.append([logp[first + i, token].item() for i, token in enumerate(case["actions"])])
    return out


def main():
    torch.manual_seed(0)
    shutil.rmtree(OUT, ignore_errors=True)
    base = Qwen2ForCausalLM(tiny())
    with torch.no_grad():
        for parameter in base.parameters():
            if parameter.dim() == 2:
                parameter.mul_(8)
            else:
                parameter.add_(0.3 * torch.randn_like(parameter))
    base.save_pretrained(OUT / "base")
    cases = [
        {"context": [2, 3, 5], "actions": [7, 11, 13, 17]},
        {"context": [31], "actions": [4, 4, 9]},
        {"context": [6, 6, 6, 20, 21, 22, 23, 24], "actions": [1]},
    ]
    for name, config in VARIANTS.items():
        folder = OUT / name
        model = AutoModelForCausalLM.from_pretrained(OUT / "base")
        peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **config))
        with torch.no_grad():
            for key, parameter in peft.named_parameters():
                if "lora_" in key:
                    parameter.copy_(0.3 * torch.randn_like(parameter))
        peft.save_pretrained(folder)
        (folder / "README.md").unlink()
        # The base stands beside the adapter, whatever this machine calls it.
        config_file = folder / "adapter_config.json"
        saved = json.loads(config_file.read_text()) | {"base_model_name_or_path": "../base"}
        saved["target_modules"] = sorted(saved["target_modules"])
        config_file.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")
        again = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(OUT / "base"), folder)
        apart = rows(again, cases)
        merged = rows(again.merge_and_unload(), cases)
        document = {"cases": [c | {"logp": a, "merged": m} for c, a, m in zip(cases, apart, merged)]}
        (folder / "golden.json").write_text(json.dumps(document) + "\n")
        change = max(abs(x - y) for a, b in zip(apart, rows(base, cases)) for x, y in zip(a, b))
        print(f"{name}: the adapter moves a log-probability by up to {change:.2f}")


main()
