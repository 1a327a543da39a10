#!/usr/bin/env python3
"""Makes tests/fuzz/corpus/safetensors and tests/fuzz/corpus/folder (needs safetensors and tokenizers; its output is committed).
Every file is one that is accepted, so that mutants of it get far. A folder is one file here: for each of its files a line
"NAME LENGTH", then its bytes.

    python3 tests/fuzz/make_folder_corpus.py tests/fuzz/corpus
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = Path(sys.argv[1])
rng = np.random.default_rng(11)
TEXT = ["the house of the cat", "a cat in a house, 12 34", "it's the 3rd one", "Grüße 你好"] * 3
SPECIAL = ["<s>", "</s>", "<|im_start|>"]


def f32(*shape):
    return (rng.standard_normal(shape) * 0.2).astype(np.float32)


def tensors_files():
    out = ROOT / "safetensors"
    out.mkdir(exist_ok=True)
    (out / "types").write_bytes(save({d: np.arange(6).reshape(2, 3).astype(d) for d in
                                      ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")}))
    (out / "shapes").write_bytes(save({"scalar": np.array(3, np.float32), "empty": np.zeros((0, 4), np.float32), "é\" name": f32(3),
                                       "deep": f32(1, 2, 1, 2, 1, 2)}, {"format": "np", "note": "a \"b\" ü"}))
    (out / "none").write_bytes(save({}))


def byte_level():
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\p{N}"), "isolated"), pre_tokenizers.ByteLevel(False)])
    t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, show_progress=False,
                                                    initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", t.token_to_id("<s>"))])
    return json.loads(t.to_str())


def sentence_piece():
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    names = ["<unk>"] + SPECIAL + [f"<0x{i:02X}>" for i in range(256)]
    t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=330, special_tokens=names, show_progress=False))
    d = json.loads(t.to_str())
    d["added_tokens"] = d["added_tokens"][:4]
    d["model"]["merges"] = [" ".join(m) for m in d["model"]["merges"]]
    return d


def small(arch, vocab, **more):
    size, ff, heads, layers = 8, 8, 2, 1
    w = {"model.embed_tokens.weight": f32(vocab, size), "model.norm.weight": f32(size), "lm_head.weight": f32(vocab, size)}
    for n, shape in {"self_attn.q_proj": (8, 8), "self_attn.k_proj": (4, 8), "self_attn.v_proj": (4, 8), "self_attn.o_proj": (8, 8),
                     "mlp.gate_proj": (ff, size), "mlp.up_proj": (ff, size), "mlp.down_proj": (size, ff), "input_layernorm": (size,),
                     "post_attention_layernorm": (size,)}.items():
        w[f"model.layers.0.{n}.weight"] = f32(*shape)
    config = {"architectures": [arch], "hidden_size": size, "intermediate_size": ff, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": 1, "head_dim": 4, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "vocab_size": vocab,
              "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": [1, 2], **more}
    return config, w


def pack(name, files):
    out = ROOT / "folder"
    out.mkdir(exist_ok=True)
    with open(out / name, "wb") as f:
        for path, data in files.items():
            data = data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()
            f.write(f"{path} {len(data)}\n".encode() + data)


def folders():
    t = byte_level()
    config, w = small("LlamaForCausalLM", 300, rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                                           "original_max_position_embeddings": 32}, rope_theta=500000.0)
    pack("llama", {"config.json": config, "tokenizer.json": t, "generation_config.json": {"eos_token_id": [1, 2]},
                   "tokenizer_config.json": {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "model_max_length": 10**30,
                                             "chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"},
                   "model.safetensors": save(w, {"format": "pt"})})
    config, w = small("GemmaForCausalLM", 330, hidden_act="gelu_pytorch_tanh")
    names = sorted(w)
    a, b = {n: w[n].astype(np.float16) for n in names[:6]}, {n: w[n] for n in names[6:]}
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    pack("gemma", {"config.json": config, "tokenizer.json": sentence_piece(), "chat_template.jinja": b"{{ messages[0].content }}",
                   "model.safetensors.index.json": {"metadata": {"total_size": 1}, "weight_map": {n: files[n in b] for n in names}},
                   files[0]: save(a), files[1]: save(b)})
    config, w = small("Qwen3MoeForCausalLM", 300, num_experts=3, num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=True)
    for n in [n for n in w if ".mlp." in n]:
        for i in range(3):
            w[n.replace(".mlp.", f".mlp.experts.{i}.")] = f32(*w[n].shape)
        del w[n]
    p = "model.layers.0."
    w |= {p + "mlp.gate.weight": f32(3, 8), p + "self_attn.q_norm.weight": f32(4), p + "self_attn.k_norm.weight": f32(4)}
    pack("experts", {"config.json": config, "tokenizer.json": t, "model.safetensors": save(w)})
    neox(t)
    bert()
    mamba(t)


def layer(prefix, shapes):
    out = {}
    for n, rows, *cols in shapes:
        out |= {f"{prefix}{n}.weight": f32(rows, *cols), f"{prefix}{n}.bias": f32(rows)}
    return out


def neox(t):
    w = {"gpt_neox.embed_in.weight": f32(300, 8), "embed_out.weight": f32(300, 8)} | layer("gpt_neox.", [("final_layer_norm", 8)])
    w |= layer("gpt_neox.layers.0.", [("input_layernorm", 8), ("post_attention_layernorm", 8), ("attention.query_key_value", 24, 8),
                                      ("attention.dense", 8, 8), ("mlp.dense_h_to_4h", 16, 8), ("mlp.dense_4h_to_h", 8, 16)])
    pack("neox", {"config.json": {"architectures": ["GPTNeoXForCausalLM"], "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
                                  "num_attention_heads": 2, "max_position_embeddings": 64, "rotary_pct": 0.5, "rope_scaling": {
                                      "rope_type": "longrope", "short_factor": [1.0], "long_factor": [2.0],
                                      "original_max_position_embeddings": 32}},
                  "tokenizer.json": t, "model.safetensors": save(w)})


def bert():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    t.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
                                                          show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    n = t.get_vocab_size()
    w = {f"embeddings.{k}_embeddings.weight": f32(rows, 8) for k, rows in (("word", n), ("position", 32), ("token_type", 2))}
    w |= layer("embeddings.", [("LayerNorm", 8)]) | layer("pooler.", [("dense", 8, 8)])
    w |= layer("encoder.layer.0.", [("attention.self." + k, 8, 8) for k in ("query", "key", "value")] + [
        ("attention.output.dense", 8, 8), ("attention.output.LayerNorm", 8), ("intermediate.dense", 16, 8), ("output.dense", 8, 16),
        ("output.LayerNorm", 8)])
    pack("bert", {"config.json": {"architectures": ["BertModel"], "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
                                  "num_attention_heads": 2, "max_position_embeddings": 32, "hidden_act": "gelu",
                                  "position_embedding_type": "absolute"},
                  "tokenizer.json": json.loads(t.to_str()), "model.safetensors": save(w),
                  "1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
                  "modules.json": [{"type": "sentence_transformers.models." + k} for k in ("Transformer", "Pooling", "Normalize")]})


def mamba(t):
    def make(name, arch, config, shapes):
        w = {"backbone.embeddings.weight": f32(300, 8), "backbone.norm_f.weight": f32(8), "backbone.layers.0.norm.weight": f32(8)}
        w |= {"backbone.layers.0.mixer." + n: f32(*shape) for n, shape in shapes.items()}
        pack(name, {"config.json": {"architectures": [arch], "hidden_size": 8, "num_hidden_layers": 1, "expand": 2, "conv_kernel": 4,
                                    "hidden_act": "silu", "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1, **config},
                    "tokenizer.json": t, "model.safetensors": save(w)})

    make("mamba", "MambaForCausalLM", {"state_size": 3, "time_step_rank": "auto"}, {
        "in_proj.weight": (32, 8), "conv1d.weight": (16, 1, 4), "conv1d.bias": (16,), "x_proj.weight": (7, 16), "dt_proj.weight": (16, 1),
        "dt_proj.bias": (16,), "A_log": (16, 3), "D": (16,), "out_proj.weight": (8, 16)})
    make("mamba2", "Mamba2ForCausalLM", {"state_size": 4, "num_heads": 2, "head_dim": 8, "n_groups": 1, "time_step_limit": [0.0, float("inf")]}, {
        "in_proj.weight": (42, 8), "conv1d.weight": (24, 1, 4), "conv1d.bias": (24,), "dt_bias": (2,), "A_log": (2,), "D": (2,),
        "norm.weight": (16,), "out_proj.weight": (8, 16)})


tensors_files()
folders()
