"""Makes crates/env/tests/golden/*.parquet, and rows.jsonl: the same rows as JSON lines.

    pip install pyarrow && python scripts/golden_parquet.py
"""

import datetime
import decimal
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).parent.parent / "crates/env/tests/golden"

ROWS = [
    {
        "question": "How many is 2 + 3?\nSay it.",
        "answer": 5,
        "small": -7,
        "level": 0.1,
        "single": 0.1,
        "is_hard": False,
        "tags": ["sum", "größe"],
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "2 + 3?"}],
        "meta": {"source": "ours", "page": 1, "nested": {"deep": [1, 2]}},
        "day": "2024-02-29",
        "price": "12.50",
    },
    {
        "question": "",
        "answer": 2**53 + 1,
        "small": 127,
        "level": -1e300,
        "single": 3.5,
        "is_hard": True,
        "tags": [],
        "messages": [{"role": "user", "content": None}],
        "meta": {"source": None, "page": 2, "nested": {"deep": []}},
        "day": "1969-12-31",
        "price": "-0.05",
    },
    {
        "question": "last",
        "answer": None,
        "small": None,
        "level": None,
        "single": None,
        "is_hard": None,
        "tags": None,
        "messages": None,
        "meta": None,
        "day": None,
        "price": None,
    },
]

SCHEMA = pa.schema([
    ("question", pa.string()),
    ("answer", pa.int64()),
    ("small", pa.int8()),
    ("level", pa.float64()),
    ("single", pa.float32()),
    ("is_hard", pa.bool_()),
    ("tags", pa.list_(pa.string())),
    ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ("meta", pa.struct([("source", pa.string()), ("page", pa.int32()), ("nested", pa.struct([("deep", pa.list_(pa.int64()))]))])),
    ("day", pa.date32()),
    ("price", pa.decimal128(9, 2)),
])


def typed(row):
    day = row["day"] and datetime.date.fromisoformat(row["day"])
    price = row["price"] and decimal.Decimal(row["price"])
    return row | {"day": day, "price": price}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([typed(row) for row in ROWS], schema=SCHEMA)
    for codec in ["none", "snappy", "gzip", "zstd"]:
        # Row groups of two: the third row is in another one.
        pq.write_table(table, OUT / f"{codec}.parquet", compression=codec, row_group_size=2)
    pq.write_table(table, OUT / "pages-v2.parquet", compression="zstd", data_page_version="2.0")
    lines = (json.dumps(row, ensure_ascii=False) for row in ROWS)
    (OUT / "rows.jsonl").write_text("".join(line + "\n" for line in lines))

    # What JSON has no word for: bytes that are no text, a number that is none, an infinite one; and large strings,
    # a dictionary, a map, times.
    odd = pa.table({
        "text": pa.array(["a", "b", "c"], pa.large_string()),
        "kind": pa.array(["x", "x", "y"]).dictionary_encode(),
        "image": pa.array([{"bytes": b"\xff\xd8", "path": "a.jpg"}] * 3),
        "score": pa.array([float("nan"), float("inf"), 1.0]),
        "counts": pa.array([[("one", 1)], [], [("two", 2)]], pa.map_(pa.string(), pa.int64())),
        "at": pa.array([datetime.datetime(2024, 2, 29, 12, 30)] * 3, pa.timestamp("us")),
    })
    pq.write_table(odd, OUT / "odd.parquet", compression="snappy")
    pq.write_table(table.slice(0, 0), OUT / "empty.parquet")


if __name__ == "__main__":
    main()
