"""Prints the golden values of the text terms' tests (crates/env/src/verifier/text).

Needs jiwer, rouge_score and sacrebleu; difflib is Python's own.
"""

import difflib
import json

import jiwer
import sacrebleu
from rouge_score import rouge_scorer

PAIRS = [
    ("the cat sat on the mat", "the cat sat on mat"),
    ("the cat sat on the mat", "a dog stood by the door at night"),
    ("police killed the gunman", "the gunman police killed"),
    ("one two three four five six", "six five four three two one"),
    ("to be or not to be", "to be to be to be"),
    ("a quick brown fox jumps over the lazy dog", "a quick brown fox jumped over the lazy dog again"),
]
TEXTS = [("abcd", "bcde", 1), ("private Thread currentThread;", "private volatile Thread currentThread;", 1),
         ("qabxcd", "abycdf", 1), ("abc", "xyz", 1), ("", "a", 1), ("the quick brown fox ", "the brown quick fox ", 15),
         ("module m(input a);", "module top(input b);", 20)]

quote = lambda text: json.dumps(text)
print("WER")
for gold, said in PAIRS:
    print(f"({quote(gold)}, {quote(said)}, {jiwer.wer(gold, said)!r}, {jiwer.cer(gold, said)!r}),")
print("ROUGE")
scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
for gold, said in PAIRS:
    found = scorer.score(gold, said)
    print(f"({quote(gold)}, {quote(said)}, [{', '.join(repr(found[k].fmeasure) for k in ('rouge1', 'rouge2', 'rougeL'))}]),")
print("BLEU")
for golds, said in [([gold], said) for gold, said in PAIRS] + [(["the cat is on the mat", "there is a cat on the mat"], "the the cat on the mat")]:
    bleu = sacrebleu.sentence_bleu(said, golds, smooth_method="exp", tokenize="none", use_effective_order=True)
    print(f"(&[{', '.join(map(quote, golds))}], {quote(said)}, {bleu.score / 100!r}),")
print("DIFFLIB")
for gold, said, times in TEXTS:
    a, b = (gold * times).strip(), (said * times).strip()
    print(f"({quote(gold)}, {quote(said)}, {times}, {difflib.SequenceMatcher(None, a, b).ratio()!r}),")
