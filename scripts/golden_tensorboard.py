"""The event file that crates/train/src/export/tensorboard.rs must write, as TensorBoard's own code writes it.

    pip install tensorboard
    python scripts/golden_tensorboard.py                  # makes the golden file and reads it back
    python scripts/golden_tensorboard.py FOLDER           # shows the scalars of a folder that Cohort wrote
"""

import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

GOLDEN = pathlib.Path(__file__).parent.parent / "crates/train/tests/golden/events.out.tfevents.golden"

EVENTS = [
    (4.0, 1, {"supervised/loss": 2.5}),
    (5.5, 1, {"reward/mean": 0.25, "lr": 1e-6}),
    (7.75, 300, {"reward/mean": -1.5, "länge": 128.0}),
    (7.75, 300, {"eval/dev/n": 16.0, "eval/dev/greedy": 0.5}),
]


def make():
    with open(GOLDEN, "wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(file_version="brain.Event:2").SerializeToString())
        for seconds, step, values in EVENTS:
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
            writer.write(Event(wall_time=seconds, step=step, summary=summary).SerializeToString())


def show(path):
    events = EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()
    for tag in events.Tags()["scalars"]:
        print(tag, [(e.step, round(e.wall_time, 3), e.value) for e in events.Scalars(tag)])


if len(sys.argv) > 1:
    show(sys.argv[1])
else:
    make()
    show(GOLDEN)
