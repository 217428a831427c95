# A reward of your own: reward.terms.mine.verifier.command.command = ["python3", "examples/my_reward.py"]
# Each line of stdin is a JSON object: the columns of the row, completion, prompt, step, run_dir, id.
import json, sys

for line in sys.stdin:
    row = json.loads(line)
    words = row["completion"].split()
    right = bool(words) and words[-1] == str(row["answer"])
    print(json.dumps({"id": row["id"], "score": 1.0 if right else 0.0}), flush=True)
