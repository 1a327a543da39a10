"""test_encoders_llama.py FOLDER MODEL.gguf - the same encoder files in llama.cpp and here: all-MiniLM-L6-v2, and a language
model that is pooled. (Rerankers differ: llama.cpp frames pairs in a way of its own, and knows one type of text.)"""
import json
import os
import shutil
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import gguf
import numpy as np
import xllamacpp

import encoder_files as files
from harness import Server, case, check, finish

FOLDER, MODEL = sys.argv[1:3]
TEXTS = ["Hello world", "The quick brown fox jumps over the lazy dog.", "naïve café, Ünïcödé", "A man is eating food; he's 42!",
         "日本語 and 中文", "word " * 100, "a"]
scratch = tempfile.TemporaryDirectory()
server = Server()


def post(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as r:
        return json.load(r)


def llama(path):
    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.n_parallel, p.port, p.warmup, p.verbosity, p.embedding = path, 512, 1, 0, False, -1, True
    p.n_batch = p.n_ubatch = 512
    return xllamacpp.Server(p)


def upload(name, path):
    with open(path, "rb") as f:
        server.need(201, "PUT", f"/api/v1/models/{name}/versions", f.read())


def both(name, path, least, texts=TEXTS):
    upload(name, path)
    other = llama(path)
    for t in texts:
        a = np.array(post(server.url, "/v1/embeddings", {"model": name, "input": t})["data"][0]["embedding"])
        b = np.array(post(other.listening_address, "/v1/embeddings", {"input": t, "model": "x"})["data"][0]["embedding"])
        same = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        check(f"{name}: {t[:20]!r}: {1 - same:.1e} apart", same > least, same)


shape, weights, vocabulary = files.of_hf_bert(FOLDER)


@case
def an_encoder():
    path = os.path.join(scratch.name, "minilm.gguf")
    files.write(path, "bert", shape, weights, vocabulary, 1)
    both("minilm", path, 0.99999)


@case
def random_encoders_of_each_architecture():
    """llama.cpp computes Gelu and SiLU by tables of 16-bit floats: that is the difference."""
    letters = [chr(c) for c in range(97, 123)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + ["##" + c for c in letters]
    v = files.wordpiece(words)
    v["ids"].update({"bos": 2, "eos": 3, "padding": 0, "mask": 4})
    plain = {"context": 160, "embd": 64, "layers": 4, "ff": 96, "heads": 4, "eps": 1e-12, "rope_base": 1000.0}
    local = dict(plain, rope_base=160000.0, rope_base_local=10000.0, window=32)
    for arch, s, fused in (("bert", plain, False), ("nomic-bert", plain, True), ("jina-bert-v2", plain, False), ("modern-bert", local, True)):
        path = os.path.join(scratch.name, arch + ".gguf")
        files.write(path, arch, s, files.random_weights(arch, s, len(words), 3, fused=fused), v, 1)
        both(arch, path, 0.9998, ["abc de", "a", "abcdefghijabcdefghij " * 3])


@case
def language_models_that_are_pooled():
    reader = gguf.GGUFReader(MODEL)
    for pooling in (1, 3):
        path = os.path.join(scratch.name, f"pooled-{pooling}.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        for f in reader.fields.values():
            if f.name.startswith("GGUF.") or f.name == "general.architecture":
                continue
            kind = f.types[0]
            writer.add_key_value(f.name, f.contents(), kind, f.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
        writer.add_pooling_type(gguf.PoolingType(pooling))
        for t in reader.tensors:
            writer.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        both(f"pooled-{pooling}", path, 0.99)


finish()
