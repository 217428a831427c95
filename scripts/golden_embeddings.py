"""Tiny random sentence encoders, and what sentence-transformers makes of them: the goldens of crates/encoder.

    python scripts/golden_embeddings.py            # torch, transformers, tokenizers, sentence-transformers

Each folder of crates/encoder/tests/golden is a checkpoint with `golden.json` beside it: for each text its ids, the last
hidden rows at some positions and the embedding; the cosines of the first text with all others. All numbers are of f32
arithmetic on the stored weights, on one thread.
"""

import json
import pathlib
import shutil

import sentence_transformers
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.base.modules.normalize import Normalize
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer.modules.pooling import Pooling
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

GOLDEN = pathlib.Path(__file__).parent.parent / "crates/encoder/tests/golden"
SCALE = 8.0
CORPUS = [
    "the cat sat on the mat while a dog slept by the door",
    "a query about the weather in paris is answered with a passage",
    "policies are compared within a group of answers, and reinforced",
    "where is the nearest station? it is two streets away, on the left",
    "naïve façade, ein süßer Kuß, 東京 and 北京, numbers 0 1 2 3 4 5 6 7 8 9",
]
TEXTS = [
    "the cat sat on the mat",
    "A dog slept by the DOOR.",
    "",
    " naïve façade\twith\n 東京 and \U0001f600 ",
    "the answer [SEP] is <pad> </s> 42",
    "where is the nearest station? " * 12,
    "supercalifragilisticexpialidocious" * 4,
]


def word_piece():
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=110, special_tokens=specials))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    # What is stored here is not what counts.
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=40)
    marks = dict(unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks)


ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
MARKS = dict(bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>")


def bytes_in_pairs():
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=ROBERTA, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **MARKS)


def unigram():
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=ROBERTA, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **MARKS)


def start(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "relative_attention_bias" in name:
                parameter.normal_(0.0, 1.5)
            elif parameter.ndim >= 2:
                parameter.normal_(0.0, 0.02 * SCALE)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.3)
            else:
                parameter.normal_(1.0, 0.2)


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=2) + "\n")


def store(folder, numbers, prefix=""):
    """The weights again, as other numbers and under other names."""
    path = folder / "model.safetensors"
    tensors = {prefix + name: t.to(numbers) for name, t in load_file(path).items()}
    if prefix:
        tensors["cls.predictions.bias"] = torch.zeros(3)
        tensors[f"{prefix}embeddings.position_ids"] = torch.arange(4)
    save_file(tensors, path, metadata={"format": "pt"})


def checkpoint(name, config, tokenizer, limit, modules=(), numbers=None, prefix="", legacy=False, plain=False):
    torch.manual_seed(17)
    folder = GOLDEN / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if limit:
        tokenizer.model_max_length = limit
    model = transformers.AutoModel.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    start(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if not plain:
        transformer = Transformer(str(folder), model_kwargs={"attn_implementation": "eager"})
        whole = SentenceTransformer(modules=[transformer, *modules], device="cpu")
        shutil.rmtree(folder)
        whole.save(str(folder), create_model_card=False)
    if numbers:
        store(folder, numbers, prefix)
    if legacy:
        as_sentence_transformers_2(folder, limit)

    options = {"attn_implementation": "eager", "dtype": torch.float32}
    encoder = SentenceTransformer(str(folder), device="cpu", model_kwargs=options).float().eval()
    transformer = encoder[0]
    texts = []
    for text in TEXTS:
        features = transformer.preprocess([text])
        ids = features["input_ids"][0].tolist()
        with torch.no_grad():
            hidden = transformer(features)["token_embeddings"][0]
            embedding = encoder.encode([text], convert_to_tensor=True)[0]
        at = sorted({0, len(ids) // 2, len(ids) - 1})
        rows = [seven(hidden[i]) for i in at]
        texts.append({"text": text, "ids": ids, "at": at, "hidden": rows, "embedding": seven(embedding)})
    with torch.no_grad():
        together = encoder.encode(TEXTS, convert_to_tensor=True)
        cosines = sentence_transformers.util.cos_sim(together[:1], together)[0]
    document = {
        "made_with": {m.__name__: m.__version__ for m in (torch, transformers, sentence_transformers, tokenizers)},
        "longest": transformer.max_seq_length,
        "texts": texts,
        "cosines": seven(cosines),
    }
    (folder / "golden.json").write_text(json.dumps(document) + "\n")
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in KEPT:
            path.unlink()
    # Normalize has a folder without files.
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


KEPT = {
    "config.json",
    "config_sentence_transformers.json",
    "golden.json",
    "model.safetensors",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def as_sentence_transformers_2(folder, limit):
    """The files of a directory as the versions before 5 wrote them."""
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": limit, "do_lower_case": False}))
    edit(folder / "tokenizer_config.json", lambda c: c.update(model_max_length=512))

    def module(entry):
        entry["type"] = "sentence_transformers.models." + entry["type"].rsplit(".", 1)[1]

    edit(folder / "modules.json", lambda modules: [module(entry) for entry in modules])

    def pooling(c):
        modes = c.pop("pooling_mode")
        modes = [modes] if isinstance(modes, str) else modes
        c["word_embedding_dimension"] = c.pop("embedding_dimension")
        words = {"cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max"}
        words["mean_sqrt_len_tokens"] = "mean_sqrt_len_tokens"
        c.update({f"pooling_mode_{word}": mode in modes for word, mode in words.items()})
        c.update(pooling_mode_weightedmean_tokens=False, pooling_mode_lasttoken=False)

    edit(folder / "1_Pooling/config.json", pooling)


def seven(values):
    return [float(f"{x:.7g}") for x in values.tolist()]


def main():
    torch.set_num_threads(1)
    width = 24
    shape = dict(hidden_size=width, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20)

    tokenizer = word_piece()
    bert = dict(shape, vocab_size=len(tokenizer), max_position_embeddings=40, pad_token_id=0)
    checkpoint(
        "bert", transformers.BertConfig(**bert), tokenizer, 24, [Pooling(width, "mean"), Normalize()]
    )
    torch.manual_seed(5)
    dense = Dense(2 * width, 10, activation_function=torch.nn.Tanh())
    config = transformers.BertConfig(**bert, hidden_act="gelu_new", layer_norm_eps=1e-5)
    modules = [Pooling(width, ("cls", "mean_sqrt_len_tokens")), dense]
    checkpoint("bert_dense", config, word_piece(), 17, modules, numbers=torch.float16, prefix="bert.", legacy=True)

    tokenizer = bytes_in_pairs()
    config = transformers.RobertaConfig(
        **shape, vocab_size=len(tokenizer), max_position_embeddings=42, type_vocab_size=1, pad_token_id=1
    )
    checkpoint("roberta", config, tokenizer, 40, [Pooling(width, "max")], numbers=torch.bfloat16)

    tokenizer = unigram()
    config = transformers.XLMRobertaConfig(
        **shape, vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1
    )
    checkpoint("xlm_roberta", config, tokenizer, 64, [Pooling(width, "mean"), Normalize()], legacy=True)

    # Sequences long enough for all ways of relative attention.
    tokenizer = unigram()
    config = transformers.MPNetConfig(
        **shape, vocab_size=len(tokenizer), max_position_embeddings=180, pad_token_id=1, layer_norm_eps=1e-5
    )
    checkpoint("mpnet", config, tokenizer, 178, [Pooling(width, "cls"), Normalize()])

    tokenizer = word_piece()
    config = transformers.DistilBertConfig(
        dim=width, n_layers=2, n_heads=3, hidden_dim=20, vocab_size=len(tokenizer), max_position_embeddings=32, pad_token_id=0
    )
    checkpoint("distilbert", config, tokenizer, None, plain=True)


if __name__ == "__main__":
    main()
