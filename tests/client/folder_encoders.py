"""Small random encoders as transformers saves them, with the vectors, scores and tokens that it computes: vectors.json in each folder.

Rows name a class, its configuration, a kind of tokenizer and how sentence-transformers pools it (None: it does not say, which is the mean).
"""
import json
import os
import random
import struct

import torch
import transformers as tf
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = ["Hello world", "The quick brown fox jumps over the lazy dog.", "naïve café, Ünïcödé", "a", "one  two   three",
         "A house has rooms; each room has a door, and every door a number: 123."]
PAIRS = [("What is a room?", "A room is a part of a house."), ("door", "The cat sat on the mat."), ("a b c", "d e f g h i j k")]
PIECES = [" ", "room", "House", "THE ", " ", "  ", "é", "É", "ß", "東京", "서울", "!?", "...", "12345", "a", "Zz", "-", "\t", "ﬁ", "x", "\u0301", "'s", "unhappiness"]
COMMON = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=130)
LAYERS = dict(COMMON, num_hidden_layers=5)
MODES = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "lasttoken": "pooling_mode_lasttoken"}


def rows():
    bert = dict(COMMON, pad_token_id=0)
    roberta = dict(COMMON, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1)
    modern = dict(LAYERS, pad_token_id=1, bos_token_id=0, eos_token_id=2, cls_token_id=0, sep_token_id=2, local_attention=8)
    del modern["max_position_embeddings"]
    return {
        "bert": ("BertModel", "BertConfig", bert, "wordpiece", None),
        "bert-cased": ("BertModel", "BertConfig", bert, "cased", "cls"),
        "bert-words": ("BertForMaskedLM", "BertConfig", bert, "wordpiece", "mean"),
        "bert-rank": ("BertForSequenceClassification", "BertConfig", dict(bert, num_labels=1), "wordpiece", None),
        "roberta": ("RobertaModel", "RobertaConfig", roberta, "bytes", "cls"),
        "roberta-words": ("RobertaForMaskedLM", "RobertaConfig", roberta, "bytes", None),
        "xlm-roberta": ("XLMRobertaModel", "XLMRobertaConfig", roberta, "unigram", "mean"),
        "xlm-roberta-words": ("XLMRobertaForMaskedLM", "XLMRobertaConfig", roberta, "join", "cls"),
        "xlm-roberta-rank": ("XLMRobertaForSequenceClassification", "XLMRobertaConfig", dict(roberta, num_labels=1), "split", None),
        "modern-bert": ("ModernBertModel", "ModernBertConfig", modern, "bytes", None),
        "modern-bert-words": ("ModernBertForMaskedLM", "ModernBertConfig", modern, "bytes", "cls"),
        "modern-bert-rank": ("ModernBertForSequenceClassification", "ModernBertConfig",
                             dict(modern, num_labels=1, classifier_pooling="mean"), "bytes", None),
        "qwen3-embedding": ("Qwen3ForCausalLM", "Qwen3Config", dict(COMMON, num_key_value_heads=2, head_dim=32), "bytes", "lasttoken"),
    }


# ---- tokenizers ----

def lines(root):
    with open(os.path.join(root, "docs", "architecture.md"), encoding="utf-8") as f:
        return f.readlines() + TEXTS


def wordpiece(root, lower):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lower)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(lines(root), trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False))
    t.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
                                                     [("[CLS]", t.token_to_id("[CLS]")), ("[SEP]", t.token_to_id("[SEP]"))])
    return tf.PreTrainedTokenizerFast(tokenizer_object=t, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
                                      mask_token="[MASK]")


def roberta_like(t):
    t.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
                                      cls_token="<s>", sep_token="</s>")


SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def charsmap(chars, to=b" \0"):
    """SentencePiece's map of characters: a double array that leads every one of them, of one byte each, to `to`."""
    units = [0] * 1024
    units[0], units[256] = 256 << 10, 1 << 31
    for c in chars:
        units[256 ^ c] = 512 << 10 | 1 << 8 | c
        units[256 ^ c ^ 512] = 1 << 31
    return struct.pack("<I1024I", 4096, *units) + to


def unigram(root, how):
    t = Tokenizer(models.Unigram())
    blanks = normalizers.Precompiled(charsmap(b"\t\n\r"))
    if how == "split":
        t.normalizer = blanks
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    elif how == "join":
        t.normalizer = normalizers.Sequence([blanks, normalizers.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        t.normalizer = normalizers.Sequence([blanks, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "\u2581")])
        t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(lines(root), trainers.UnigramTrainer(vocab_size=400, special_tokens=SPECIAL, unk_token="<unk>",
                                                               show_progress=False))
    return roberta_like(t)


def byte_level(root):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(lines(root), trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, show_progress=False,
                                                           initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return roberta_like(t)


KINDS = {"wordpiece": lambda root: wordpiece(root, True), "cased": lambda root: wordpiece(root, False), "unigram": lambda root: unigram(root, "strip"),
         "split": lambda root: unigram(root, "split"), "join": lambda root: unigram(root, "join"), "bytes": byte_level}


# ---- what is computed ----

def fill(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.1 if p.dim() == 1 else 0.5 if "embed" in name else 0.2) + (p if p.dim() == 1 else 0))


def vector(model, fast, text, mode):
    with torch.no_grad():
        x = model.base_model(**{k: v for k, v in fast(text, return_tensors="pt").items() if k != "token_type_ids"}).last_hidden_state[0]
    v = {None: x.mean(0), "mean": x.mean(0), "cls": x[0], "lasttoken": x[-1]}[mode].double()
    return (v / v.norm()).tolist()


def score(model, fast, pair):
    words = fast(*pair, return_tensors="pt", return_token_type_ids=model.config.model_type == "bert")
    with torch.no_grad():
        return float(model(**words).logits[0, 0])


def random_texts(seed, n=300):
    rng = random.Random(seed)
    return [" ", "   ", "x  ", " \t x"] + ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 12))) for _ in range(n)]


def say_pooling(folder, mode):
    os.makedirs(os.path.join(folder, "1_Pooling"))
    with open(os.path.join(folder, "1_Pooling", "config.json"), "w", encoding="utf-8") as f:
        json.dump({"word_embedding_dimension": 64, **{key: key == MODES[mode] for key in MODES.values()}}, f)
    with open(os.path.join(folder, "modules.json"), "w", encoding="utf-8") as f:
        json.dump([{"idx": i, "name": str(i), "path": p, "type": "sentence_transformers.models." + t}
                   for i, (p, t) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")])], f)


def write_all(out, root):
    tokenizers = {kind: make(root) for kind, make in KINDS.items()}
    for seed, (name, (cls, config, numbers, kind, mode)) in enumerate(rows().items()):
        fast = tokenizers[kind]
        model = getattr(tf, cls)(getattr(tf, config)(**numbers, vocab_size=len(fast))).eval()
        fill(model, seed)
        folder = os.path.join(out, name)
        model.save_pretrained(folder)
        fast.save_pretrained(folder)
        if mode:
            say_pooling(folder, mode)
        rank = cls.endswith("SequenceClassification")
        ref = {"tokens": [[t, fast(t).input_ids] for t in TEXTS + random_texts(seed)],
               "vectors": [] if rank else [[t, vector(model, fast, t, mode)] for t in TEXTS],
               "scores": [[*p, score(model, fast, p)] for p in PAIRS] if rank else []}
        with open(os.path.join(folder, "vectors.json"), "w", encoding="utf-8") as f:
            json.dump(ref, f)
