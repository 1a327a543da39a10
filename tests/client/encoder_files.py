"""GGUF files of encoders for tests: of random weights, and of a Hugging Face folder; and what they must answer, in 64 bits."""
import json
import math
import struct

import gguf
import numpy as np

SPACE = "\u2581"
CONTROL, NORMAL, UNKNOWN, BYTE = 3, 1, 2, 6


def wordpiece(words):
    """The vocabulary of vocab.txt as GGUF has it."""
    def name(t):
        if len(t) > 2 and t[0] == "[" and t[-1] == "]":
            return t
        return t[2:] if t.startswith("##") and len(t) > 2 else SPACE + t
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    return {"model": "bert", "tokens": [name(t) for t in words], "types": [CONTROL if t in special else NORMAL for t in words],
            "ids": {"cls": words.index("[CLS]"), "seperator": words.index("[SEP]"), "unknown": words.index("[UNK]")}}


def unigram(pieces, charsmap=b"", trim=False, prefix=True):
    """pieces: (text, score, type) of SentencePiece."""
    names = [p[0] for p in pieces]
    ids = {k: names.index(n) for k, n in (("bos", "<s>"), ("eos", "</s>"), ("unknown", "<unk>"), ("seperator", "</s>")) if n in names}
    return {"model": "t5", "tokens": names, "types": [p[2] for p in pieces], "scores": [float(p[1]) for p in pieces], "ids": ids,
            "charsmap": charsmap, "trim": trim, "prefix": prefix}


def put_tokenizer(w, v):
    w.add_tokenizer_model(v["model"])
    w.add_token_list(v["tokens"])
    w.add_token_types(v["types"])
    for name, i in v["ids"].items():
        w.add_uint32(f"tokenizer.ggml.{name}_token_id", i)
    if v["model"] == "t5":
        w.add_token_scores(v["scores"])
        w.add_bool("tokenizer.ggml.add_space_prefix", v["prefix"])
        w.add_bool("tokenizer.ggml.remove_extra_whitespaces", v["trim"])
        w.add_bool("tokenizer.ggml.add_bos_token", "bos" in v["ids"])
        w.add_bool("tokenizer.ggml.add_eos_token", "eos" in v["ids"])
        if v["charsmap"]:
            w.add_array("tokenizer.ggml.precompiled_charsmap", v["charsmap"])


def write(path, arch, shape, weights, vocabulary, pooling, name="an encoder", more=()):
    """pooling: mean 1, cls 2, last 3, rank 4."""
    w = gguf.GGUFWriter(path, arch)
    w.add_name(name)
    w.add_context_length(shape["context"])
    w.add_embedding_length(shape["embd"])
    w.add_block_count(shape["layers"])
    w.add_feed_forward_length(shape["ff"])
    w.add_head_count(shape["heads"])
    w.add_layer_norm_eps(shape["eps"])
    w.add_causal_attention(False)
    w.add_uint32(f"{arch}.pooling_type", pooling)
    for key in ("rope_base", "rope_base_local", "window"):
        if key in shape:
            {"rope_base": w.add_rope_freq_base, "window": w.add_sliding_window,
             "rope_base_local": lambda v: w.add_float32(f"{arch}.rope.freq_base_swa", v)}[key](shape[key])
    for key, value in more:
        w.add_string(key, value) if isinstance(value, str) else w.add_uint32(key, value)
    if "token_types.weight" in weights:
        w.add_token_type_count(len(weights["token_types.weight"]))
    put_tokenizer(w, vocabulary)
    for k, t in weights.items():
        w.add_tensor(k, np.ascontiguousarray(t, dtype=np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def random_weights(arch, shape, n_vocab, seed, rank=False, fused=False):
    rng = np.random.default_rng(seed)
    e, ff, out = shape["embd"], shape["ff"], {}

    def matrix(name, rows, cols, bias=True):
        out[name + ".weight"] = rng.normal(0, 0.25, (rows, cols)).astype(np.float32)
        if bias:
            out[name + ".bias"] = rng.normal(0, 0.1, rows).astype(np.float32)

    def norm(name, bias=True):
        out[name + ".weight"] = (1 + rng.normal(0, 0.1, e)).astype(np.float32)
        if bias:
            out[name + ".bias"] = rng.normal(0, 0.1, e).astype(np.float32)

    bert, modern, jina = arch == "bert", arch == "modern-bert", arch == "jina-bert-v2"
    out["token_embd.weight"] = rng.normal(0, 1, (n_vocab, e)).astype(np.float32)
    if not modern:
        out["token_types.weight"] = rng.normal(0, 0.5, (2, e)).astype(np.float32)
    if bert:
        out["position_embd.weight"] = rng.normal(0, 0.5, (shape["context"], e)).astype(np.float32)
    norm("token_embd_norm", not modern)
    for i in range(shape["layers"]):
        p = f"blk.{i}."
        if fused and not jina:
            matrix(p + "attn_qkv", 3 * e, e, bert)
        else:
            for c in "qkv":
                matrix(p + "attn_" + c, e, e, bert or jina)
        if jina and fused:
            norm(p + "attn_q_norm")
            norm(p + "attn_k_norm")
        matrix(p + "attn_output", e, e, bert or jina)
        if modern:
            if i:
                norm(p + "attn_norm", False)
            norm(p + "ffn_norm", False)
            matrix(p + "ffn_up", 2 * ff, e, False)
        else:
            norm(p + "attn_output_norm")
            norm(p + "layer_output_norm")
            matrix(p + "ffn_up", 2 * ff if jina and fused else ff, e, bert)
            if not bert and not (jina and fused):
                matrix(p + "ffn_gate", ff, e, False)
        matrix(p + "ffn_down", e, ff, bert or jina)
    if modern:
        norm("output_norm", False)
    if rank:
        matrix("cls", e, e)
        if modern:
            norm("cls.norm", False)
        matrix("cls.output", 1, e)
    return out


class Reference:
    def __init__(self, arch, shape, weights, pooling, dtype=np.float64):
        self.arch, self.shape, self.pooling, self.dtype = arch, shape, pooling, dtype
        self.t = {k: v.astype(dtype) for k, v in weights.items()}
        self.erf = np.vectorize(math.erf, otypes=[dtype])

    def narrow(self):
        """The same in 32 bits: what rounding alone does."""
        return Reference(self.arch, self.shape, self.t, self.pooling, np.float32)

    def linear(self, x, name, rows=slice(None)):
        y = x @ self.t[name + ".weight"][rows].T
        return y + self.t[name + ".bias"][rows] if name + ".bias" in self.t else y

    def norm(self, x, name):
        m = x.mean(-1, keepdims=True)
        y = (x - m) / np.sqrt(((x - m) ** 2).mean(-1, keepdims=True) + self.shape["eps"]) * self.t[name + ".weight"]
        return y + self.t.get(name + ".bias", 0)

    def gelu(self, x):
        return x * 0.5 * (1 + self.erf(x / math.sqrt(2)))

    def turn(self, x, base):
        half = x.shape[-1] // 2
        a = np.arange(x.shape[1])[:, None] * base ** (-2.0 * np.arange(half) / x.shape[-1])
        left, right = x[..., :half], x[..., half:]
        cos, sin = np.cos(a).astype(self.dtype), np.sin(a).astype(self.dtype)
        return np.concatenate([left * cos - right * sin, right * cos + left * sin], -1)

    def attention(self, x, i):
        n, e, heads = len(x), self.shape["embd"], self.shape["heads"]
        local = "window" in self.shape and i % 3 != 0
        parts = []
        for k, c in enumerate("qkv"):
            fused = f"blk.{i}.attn_qkv"
            y = self.linear(x, fused, slice(k * e, k * e + e)) if fused + ".weight" in self.t else self.linear(x, f"blk.{i}.attn_{c}")
            if f"blk.{i}.attn_{c}_norm.weight" in self.t:
                y = self.norm(y, f"blk.{i}.attn_{c}_norm")
            y = y.reshape(n, heads, -1).transpose(1, 0, 2)
            if c != "v" and self.arch in ("nomic-bert", "modern-bert"):
                y = self.turn(y, self.shape["rope_base_local" if local else "rope_base"])
            parts.append(y)
        q, k, v = parts
        s = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        if self.arch == "jina-bert-v2":
            whole = 2 ** int(math.log2(heads))
            slopes = [2 ** (-8 * (h + 1) / whole) if h < whole else 2 ** (-4 * (2 * (h - whole) + 1) / whole) for h in range(heads)]
            s = s - (np.array(slopes)[:, None, None] * np.abs(np.arange(n)[:, None] - np.arange(n))).astype(self.dtype)
        if local:
            far = np.abs(np.arange(n)[:, None] - np.arange(n)) > self.shape["window"] // 2
            s = np.where(far, -np.inf, s)
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        return self.linear((s @ v).transpose(1, 0, 2).reshape(n, e), f"blk.{i}.attn_output")

    def feed_forward(self, x, i):
        p, ff = f"blk.{i}.", self.shape["ff"]
        if self.arch == "bert":
            return self.linear(self.gelu(self.linear(x, p + "ffn_up")), p + "ffn_down")
        if p + "ffn_gate.weight" not in self.t:
            y = self.linear(x, p + "ffn_up")
            return self.linear(self.gelu(y[:, :ff]) * y[:, ff:], p + "ffn_down")
        g = self.linear(x, p + "ffn_gate")
        act = self.gelu(g) if self.arch == "jina-bert-v2" else g / (1 + np.exp(-g))
        return self.linear(act * self.linear(x, p + "ffn_up"), p + "ffn_down")

    def hidden(self, ids, second):
        x = self.t["token_embd.weight"][ids]
        if "token_types.weight" in self.t:
            x = x + self.t["token_types.weight"][(np.arange(len(ids)) >= second).astype(int)]
        if "position_embd.weight" in self.t:
            x = x + self.t["position_embd.weight"][:len(ids)]
        x = self.norm(x, "token_embd_norm")
        for i in range(self.shape["layers"]):
            p = f"blk.{i}."
            if self.arch == "modern-bert":
                x = x + self.attention(self.norm(x, p + "attn_norm") if i else x, i)
                x = x + self.feed_forward(self.norm(x, p + "ffn_norm"), i)
            else:
                x = self.norm(x + self.attention(x, i), p + "attn_output_norm")
                x = self.norm(x + self.feed_forward(x, i), p + "layer_output_norm")
        return self.norm(x, "output_norm") if self.arch == "modern-bert" else x

    def answer(self, ids, second=None):
        x = self.hidden(ids, len(ids) if second is None else second)
        if self.pooling == 4:
            y = self.linear(x.mean(0, keepdims=True) if self.arch == "modern-bert" else x[:1], "cls")
            y = self.norm(self.gelu(y), "cls.norm") if self.arch == "modern-bert" else np.tanh(y)
            return float(self.linear(y, "cls.output")[0, 0])
        y = x.mean(0) if self.pooling == 1 else x[0] if self.pooling == 2 else x[-1]
        return y / np.linalg.norm(y)


# ---- a BERT of Hugging Face ----

HF_NAMES = {
    "embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}


def read_safetensors(path):
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        base = f.tell()
    data = np.memmap(path, np.uint8, "r")
    for name, v in head.items():
        if name != "__metadata__" and v["dtype"] == "F32":
            begin, end = v["data_offsets"]
            yield name, data[base + begin:base + end].view(np.float32).reshape(v["shape"])


def of_hf_bert(folder):
    """(shape, weights, vocabulary) of a folder with config.json, vocab.txt and model.safetensors."""
    with open(folder + "/config.json", encoding="utf-8") as f:
        c = json.load(f)
    shape = {"context": c["max_position_embeddings"], "embd": c["hidden_size"], "layers": c["num_hidden_layers"],
             "ff": c["intermediate_size"], "heads": c["num_attention_heads"], "eps": c["layer_norm_eps"]}
    with open(folder + "/vocab.txt", encoding="utf-8") as f:
        words = f.read().split("\n")
    words = words[:c["vocab_size"]]
    weights = {}
    for name, t in read_safetensors(folder + "/model.safetensors"):
        stem, kind = name.rsplit(".", 1)
        if stem.startswith("pooler"):
            continue
        if stem.startswith("encoder.layer."):
            i, rest = stem[len("encoder.layer."):].split(".", 1)
            weights[f"blk.{i}.{HF_NAMES[rest]}.{kind}"] = np.array(t)
        else:
            weights[f"{HF_NAMES[stem]}.{kind}"] = np.array(t)
    return shape, weights, wordpiece(words)
