"""lm_files.py SHAPE TYPE OUT.gguf - a language model of a published shape with random weights: speed does not depend on what
they are. SHAPE: qwen2.5-0.5b, llama-3.2-1b. TYPE: Q4_0, Q4_K_M, Q8_0, BF16. Rows that a type does not divide are Q5_0, as
llama.cpp's own quantizer has it."""
import sys

import gguf
import numpy as np

SHAPES = {
    "qwen2.5-0.5b": dict(arch="qwen2", layers=24, embd=896, ff=4864, heads=14, kv=2, vocab=151936, base=1e6),
    "llama-3.2-1b": dict(arch="llama", layers=16, embd=2048, ff=8192, heads=32, kv=8, vocab=128256, base=5e5),
}
T = gguf.GGMLQuantizationType
# Where a block has its scales (halves), and the largest code: so that weights come out near 0.02.
SCALES = {T.Q4_0: ([0], 8), T.Q5_0: ([0], 16), T.Q8_0: ([0], 128), T.Q4_K: ([0, 2], 400), T.Q6_K: ([208], 1000)}

shape, kind, path = SHAPES[sys.argv[1]], sys.argv[2], sys.argv[3]
rng = np.random.default_rng(1)
w = gguf.GGUFWriter(path, shape["arch"])


def type_of(name, layer, cols):
    mixed = kind == "Q4_K_M"
    q = T[kind if not mixed else "Q4_K"]
    if mixed and (name == "token_embd" or (name in ("attn_v", "ffn_down") and layer % 2 == 0)):
        q = T.Q6_K
    return T.Q5_0 if cols % gguf.GGML_QUANT_SIZES[q][0] else q


def matrix(name, layer, rows, cols):
    full = f"blk.{layer}.{name}.weight" if layer >= 0 else f"{name}.weight"
    q = type_of(name, layer, cols)
    if q == T.BF16:
        raw = (rng.standard_normal((rows, cols), np.float32) * 0.02).view(np.uint32)
        w.add_tensor(full, (raw >> 16).astype(np.uint16).view(np.uint8), raw_dtype=q)
        return
    block, size = gguf.GGML_QUANT_SIZES[q]
    data = rng.integers(0, 256, (rows, cols // block, size), np.uint8)
    at, largest = SCALES[q]
    for o in at:
        data[:, :, o:o + 2] = np.frombuffer(np.float16(0.04 / largest).tobytes(), np.uint8)
    w.add_tensor(full, data.reshape(rows, -1), raw_dtype=q)


def ones(name, n):
    w.add_tensor(name, np.ones(n, np.float32))


s = shape
size = s["embd"] // s["heads"]
w.add_context_length(8192)
w.add_embedding_length(s["embd"])
w.add_block_count(s["layers"])
w.add_feed_forward_length(s["ff"])
w.add_head_count(s["heads"])
w.add_head_count_kv(s["kv"])
w.add_layer_norm_rms_eps(1e-5)
w.add_rope_freq_base(s["base"])
w.add_tokenizer_model("llama")
names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
names += [f"w{i}" for i in range(s["vocab"] - len(names))]
w.add_token_list(names)
w.add_token_scores([-float(i) for i in range(s["vocab"])])
w.add_token_types([2, 3, 3] + [6] * 256 + [1] * (s["vocab"] - 259))
w.add_bos_token_id(1)
w.add_eos_token_id(2)
matrix("token_embd", -1, s["vocab"], s["embd"])
ones("output_norm.weight", s["embd"])
for i in range(s["layers"]):
    ones(f"blk.{i}.attn_norm.weight", s["embd"])
    ones(f"blk.{i}.ffn_norm.weight", s["embd"])
    for name, rows, cols in (("attn_q", s["embd"], s["embd"]), ("attn_k", s["kv"] * size, s["embd"]), ("attn_v", s["kv"] * size, s["embd"]),
                             ("attn_output", s["embd"], s["embd"]), ("ffn_gate", s["ff"], s["embd"]), ("ffn_up", s["ff"], s["embd"]),
                             ("ffn_down", s["embd"], s["ff"])):
        matrix(name, i, rows, cols)
    if s["arch"] == "qwen2":
        for name, n in (("attn_q", s["embd"]), ("attn_k", s["kv"] * size), ("attn_v", s["kv"] * size)):
            w.add_tensor(f"blk.{i}.{name}.bias", np.zeros(n, np.float32))
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
