"""tokenizer.json of many kinds, as the tokenizers package makes them, on texts of all of Unicode: the same tokens as that package.

Also safetensors: files that the package of that name writes, read by us (through a folder that opens).
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from harness import ROOT, case, check, finish

TOOL = os.path.join(os.environ.get("MAAS_BUILD", "build"), "tests/unit/lm/source/folder_tokens")
N_TEXTS = 3000
SPECIAL = ["<|begin|>", "<|im_start|>", "<|im_end|>"]
GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = ["\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]


def corpus():
    lines = []
    for path in ("docs/architecture.md", "src/lm/tokenizer/pre.c", "README.md"):
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            lines += f.readlines()
    return lines + ["Grüße aus Köln, naïve façade à la carte 2024", "Привет, мир! Как дела?", "你好，世界。这是一个测试 12345", "こんにちは 世界",
                    "안녕하세요 세계", "नमस्ते दुनिया", "مرحبا بالعالم", "😀 👨‍👩‍👧 🇩🇪", "I'm you're we'll they'd it's DON'T"] * 20


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert=invert)


def byte_level(pre, norm=None, **model):
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    if norm:
        t.normalizer = norm
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=900, special_tokens=SPECIAL, show_progress=False,
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def bytes_after(*pre):
    return pre_tokenizers.Sequence([*pre, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentence_piece(norm, pre=None, byte_fallback=True, fuse_unk=True):
    """BPE over characters, blanks written as U+2581; the bytes are tokens, as after a conversion from SentencePiece."""
    names = ["<unk>"] + SPECIAL + ([f"<0x{i:02X}>" for i in range(256)] if byte_fallback else [])
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=byte_fallback, fuse_unk=fuse_unk))
    if norm:
        t.normalizer = norm
    if pre:
        t.pre_tokenizer = pre
    words = [w for line in corpus() for w in line.split(" ")]
    t.train_from_iterator(words, trainers.BpeTrainer(vocab_size=1200, special_tokens=names, show_progress=False))
    d = json.loads(t.to_str())
    d["added_tokens"] = [a for a in d["added_tokens"] if not a["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(d))


S = "\u2581"
LLAMA2 = normalizers.Sequence([normalizers.Prepend(S), normalizers.Replace(" ", S)])


def edges(t):
    """Special tokens that take the blanks beside them."""
    t.add_special_tokens([AddedToken("<|left|>", lstrip=True, normalized=False), AddedToken("<|right|>", rstrip=True, normalized=False),
                          AddedToken("<|both|>", lstrip=True, rstrip=True, normalized=False)])
    return t


KINDS = {
    "edges": lambda: edges(byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))),
    "edges-metaspace": lambda: edges(sentence_piece(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False))),
    "gpt2": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "smollm": lambda: byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                          pre_tokenizers.ByteLevel(add_prefix_space=False)])),
    "llama3": lambda: byte_level(bytes_after(split(GPT4 % "{1,3}")), ignore_merges=True),
    "dbrx": lambda: byte_level(bytes_after(split(GPT4 % "{1,3}"))),
    "gpt4": lambda: byte_level(bytes_after(split(GPT4 % "{1,3}", "removed", True))),
    "qwen2": lambda: byte_level(bytes_after(split(GPT4 % "")), normalizers.NFC()),
    "o200k": lambda: byte_level(bytes_after(split(O200K))),
    "deepseek": lambda: byte_level(bytes_after(*[split(p) for p in DEEPSEEK])),
    "whole": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)),
    "llama2": lambda: sentence_piece(LLAMA2),
    "gemma": lambda: sentence_piece(normalizers.Replace(" ", S), pre_tokenizers.Split(" ", "merged_with_previous")),
    "mistral": lambda: sentence_piece(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False)),
    "metaspace": lambda: sentence_piece(None, pre_tokenizers.Metaspace(prepend_scheme="always", split=False)),
    "no-bytes": lambda: sentence_piece(LLAMA2, byte_fallback=False),
}
RANGES = [(0x20, 0x7E)] * 6 + [(0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0xDFF), (0xE00, 0x11FF), (0x1E00, 0x22FF),
                               (0x2500, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x4EFF), (0xAC00, 0xACFF), (0xF900, 0xFAFF), (0xFB00, 0xFB4F),
                               (0x1D400, 0x1D4FF), (0x1F300, 0x1F64F), (0x20000, 0x200FF)]
PIECES = [" ", "  ", "\n", "\r\n", "\t", " \n ", "'s", "'LL", "I'm", "1234567", "12 345", "e\u0301", "\u1100\u1161\u11a8", "\u0344", "\u212b", "a\u0316\u0301",
          "\u0301", "the", " the", "hello", "naïve", "你好", "Привет", S, "\u00a0", "\u3000", "\u200d", "😀", "_", "....", "<", "|", "▁▁", "\ufeff"]


def texts(seed, specials):
    rng = random.Random(seed)
    out = ["", " ", "\n", "a", " a", "a ", S, "é", "e\u0301"]
    while len(out) < N_TEXTS:
        text = ""
        for _ in range(rng.randint(1, 12)):
            k = rng.random()
            if k < 0.45:
                text += rng.choice(PIECES)
            elif k < 0.5 and specials:
                text += rng.choice(SPECIAL + ["<|im_", "<|im_end|", "<|left|>", "<|right|>", "<|both|>"])
            else:
                lo, hi = rng.choice(RANGES)
                text += "".join(chr(rng.randint(lo, hi)) for _ in range(rng.randint(1, 6)))
        out.append(text)
    return out


def folder(tokenizer, old_merges):
    where = tempfile.mkdtemp(prefix="maas-folder-")
    d = json.loads(tokenizer.to_str())
    if old_merges:
        d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
    with open(os.path.join(where, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(d, f, ensure_ascii=old_merges)
    with open(os.path.join(where, "config.json"), "w", encoding="utf-8") as f:
        json.dump({"architectures": ["LlamaForCausalLM"], "hidden_size": 4, "num_hidden_layers": 1, "intermediate_size": 4,
                   "num_attention_heads": 1, "tie_word_embeddings": True}, f)
    save_file({"model.embed_tokens.weight": np.zeros((4, 4), np.float32)}, os.path.join(where, "model.safetensors"))
    return where


def ours(where, list_of_texts, *flags):
    data = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in list_of_texts))
    p = subprocess.run([TOOL, where, *flags], input=data, capture_output=True)
    if p.returncode:
        raise RuntimeError(p.stderr.decode())
    return [[int(x) for x in line.split()] for line in p.stdout.decode().splitlines()]


@case
def tokens_are_those_of_the_package():
    for seed, (name, make) in enumerate(KINDS.items()):
        t = make()
        where = folder(t, old_merges=seed % 2 == 0)
        for specials in (False, True):
            list_of_texts = texts(seed, specials)
            t.encode_special_tokens = not specials
            want = [e.ids for e in t.encode_batch(list_of_texts, add_special_tokens=False)]
            got = ours(where, list_of_texts, *(["special"] if specials else []))
            wrong = [i for i in range(len(want)) if got[i] != want[i]]
            detail = "".join(f"\n  {list_of_texts[i]!r}: {got[i]}, the package: {want[i]}" for i in wrong[:3])
            check(f"{name}: {len(want)} texts{' with special tokens' if specials else ''}", not wrong, f"{len(wrong)} differ{detail}")


finish()
