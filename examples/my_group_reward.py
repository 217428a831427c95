# The same with all completions of a prompt at once (scope = "group"): the shortest right one is best.
import json, sys

for line in sys.stdin:
    row = json.loads(line)
    texts = row["completions"]
    right = [t for t in texts if t.split()[-1:] == [str(row["answer"])]]
    rank = {t: 1.0 / (i + 1) for i, t in enumerate(sorted(set(right), key=len))}
    print(json.dumps({"id": row["id"], "scores": [rank.get(t, 0.0) for t in texts]}), flush=True)
