"""Holds directories that Cohort writes against transformers and PEFT: they load without a warning, and compute the same.

    python scripts/round_trip.py [DIR ..]     (torch, transformers, peft, cargo; the golden models unless told)

Every model is read and written by Cohort whole and in shards, and loaded with warnings as errors; so is every golden adapter.
"""

import json
import logging
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "crates/model/tests/golden"
PEFT = ROOT / "crates/model/tests/golden_peft"
IDS = [3, 5, 7, 11, 2, 13, 17, 19]


class Refuse(logging.Handler):
    """A logged warning is an error."""

    def emit(self, record):
        raise RuntimeError(f"{record.name}: {record.getMessage()}")


def cohort(source, out, shard_bytes):
    command = ["cargo", "run", "--release", "-q", "-p", "cohort-train", "--example", "round_trip", "--"]
    ran = subprocess.run([*command, str(source), str(out), str(shard_bytes), *map(str, IDS)], cwd=ROOT, check=True, capture_output=True)
    return json.loads(ran.stdout)


def rows(model):
    with torch.no_grad():
        logp = torch.log_softmax(model(torch.tensor([IDS])).logits.float(), -1)[0]
    return [logp[i, token].item() for i, token in enumerate(IDS[1:])]


def model_of(folder):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", output_loading_info=True, experts_implementation="eager"
    )
    wrong = {key: value for key, value in info.items() if value}
    if wrong:
        raise RuntimeError(f"{folder}: {wrong}")
    return model.eval()


def compare(name, ours, theirs):
    gap = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    if gap > 1e-4:
        raise RuntimeError(f"{name}: log-probabilities differ by {gap}")
    print(f"{name}: {gap:.1e}")


def main():
    warnings.simplefilter("error")
    # PEFT's own, whatever it loads.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    transformers.logging.set_verbosity_warning()
    transformers.utils.logging.disable_default_handler()
    transformers.utils.logging.add_handler(Refuse(logging.WARNING))
    models = [Path(d) for d in sys.argv[1:]] or sorted(p.parent for p in GOLDEN.rglob("config.json"))
    with tempfile.TemporaryDirectory() as scratch:
        for source in models:
            for shard_bytes in (1 << 32, 8192):
                out = Path(scratch) / f"{source.name}-{shard_bytes}"
                ours = cohort(source, out, shard_bytes)
                if shard_bytes == 8192 and not (out / "model.safetensors.index.json").exists():
                    raise RuntimeError(f"{out}: no shards")
                compare(f"{source.name} in files of at most {shard_bytes} bytes", ours, rows(model_of(out)))
        for source in sorted(p.parent for p in PEFT.rglob("adapter_config.json")) if len(sys.argv) == 1 else []:
            out = Path(scratch) / f"adapter-{source.name}"
            ours = cohort(source, out, 1 << 32)
            model = PeftModel.from_pretrained(model_of(source.parent / "base"), out)
            compare(f"adapter {source.name}", ours, rows(model.eval()))
            loaded = AutoModelForCausalLM.from_pretrained(out)
            compare(f"adapter {source.name} by transformers", ours, rows(loaded.eval()))


main()
