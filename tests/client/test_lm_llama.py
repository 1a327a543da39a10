"""test_lm_llama.py MODEL.gguf POSITIONS - one file, two programs: greedy answers to ten questions, and what both think of
the next token.

Weights of four bits are multiplied with activations rounded to bytes, so a rounding that falls the other way changes what
comes after it: llama.cpp's two ways of computing attention differ from each other, too. That difference is the measure for
the quantized file. The same weights as 32-bit floats leave no such excuse.
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import gguf
import numpy as np
import xllamacpp

from harness import Server, case, check, finish

MODEL, POSITIONS = sys.argv[1], int(sys.argv[2])
HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.join(os.environ.get("MAAS_BUILD", "build"), "tests", "conformance", "lm_logits")
TOP = 400  # most probable tokens that are compared one by one; the others as a whole
QUESTIONS = [
    "What is the capital of France?", "Name three primary colors.", "How many days are in a week?", "What is 12 plus 30?",
    "Translate 'good morning' to Spanish.", "What is a prime number?", "Write a short poem about the sea.", "Tell me a joke.",
    "List four animals that live in Africa.", "Why is the sky blue?",
]
scratch = tempfile.TemporaryDirectory()


def post(url, path, body):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as r:
        return json.load(r)


def llama(model, flash=True):
    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.n_parallel, p.port, p.warmup, p.verbosity = model, 4096, 1, 0, False, -1
    if not flash:
        p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return xllamacpp.Server(p)


def answers(url, tokens):
    out = []
    for q in QUESTIONS:
        body = {"model": "smol", "messages": [{"role": "user", "content": q}], "temperature": 0, "max_tokens": tokens}
        out.append(post(url, "/v1/chat/completions", body)["choices"][0])
    return [(c["message"]["content"], c["finish_reason"]) for c in out]


def text_ids(url):
    with open(os.path.join(HERE, "..", "..", "docs", "architecture.md")) as f, open(os.path.join(HERE, "..", "..", "LICENSE")) as g:
        return post(url, "/tokenize", {"content": f.read() + g.read(), "add_special": True})["tokens"][:POSITIONS]


def told(url, ids):
    """llama.cpp's logarithms of the TOP most probable tokens at each position; None where its answer is the end, of which it tells
    nothing."""
    out = []
    for i in range(1, len(ids) + 1):
        body = {"prompt": ids[:i], "n_predict": 1, "temperature": 0, "n_probs": TOP, "cache_prompt": True}
        r = post(url, "/completion", body)
        top = r["completion_probabilities"][0]["top_logprobs"] if "completion_probabilities" in r else None
        out.append({e["id"]: e["logprob"] for e in top} if top else None)
    return out


def computed(model, ids):
    """Ours, of all tokens."""
    tokens, logits = os.path.join(scratch.name, "tokens"), os.path.join(scratch.name, "logits")
    np.array(ids, np.int32).tofile(tokens)
    subprocess.run([TOOL, model, tokens, logits, "64", "4096"], check=True)
    x = np.fromfile(logits, np.float32).reshape(len(ids), -1).astype(np.float64)
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def compare(p, q, ids):
    """p, q: of each position a dict or an array of logarithms. The share of equal favourites, the mean divergence, and the ratio of
    perplexities."""
    equal, kl, nll = [], [], []
    for i, a in enumerate(p):
        if a is None or q[i] is None:
            continue
        k = np.array(list(a))
        of_p = np.array(list(a.values()))
        if isinstance(q[i], dict):
            least = min(q[i].values())
            of_q, best = np.array([q[i].get(t, least) for t in k]), max(q[i], key=q[i].get)
        else:
            of_q, best = q[i][k], int(q[i].argmax())
        equal.append(best == k[of_p.argmax()])
        rest_p, rest_q = (max(1e-9, 1 - np.exp(v).sum()) for v in (of_p, of_q))
        kl.append((np.exp(of_p) * (of_p - of_q)).sum() + rest_p * math.log(rest_p / rest_q))
        if i + 1 < len(ids) and ids[i + 1] in a:
            at = list(k).index(ids[i + 1])
            nll.append(of_p[at] - of_q[at])
    return np.mean(equal), np.mean(kl), math.exp(np.mean(nll))


def rewritten(path, out, floats, more=()):
    """The same model, with 32-bit weights or its own, and more numbers among its keys."""
    r = gguf.GGUFReader(path)
    w = gguf.GGUFWriter(out, r.fields["general.architecture"].contents())
    for f in r.fields.values():
        if not f.name.startswith("GGUF.") and f.name not in ("general.architecture", "general.file_type"):
            kind = f.types[0]
            w.add_key_value(f.name, f.contents(), kind, f.types[1] if kind == gguf.GGUFValueType.ARRAY else None)
    for key, number in more:
        w.add_uint32(key, number)
    for t in r.tensors:
        if floats:
            w.add_tensor(t.name, gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32))
        else:
            w.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


# Control tokens of SmolLM2 that mean nothing to it: a model with them is filled as one that was made for it.
NEEDED = [("tokenizer.ggml.fim_pre_token_id", 6), ("tokenizer.ggml.fim_suf_token_id", 7), ("tokenizer.ggml.fim_mid_token_id", 8)]
AROUND = [("tokenizer.ggml.fim_rep_token_id", 3), ("tokenizer.ggml.fim_sep_token_id", 5)]
GAPS = [
    {"input_prefix": "def add(a, b):\n    ", "input_suffix": "\n\nprint(add(1, 2))\n"},
    {"input_prefix": "", "input_suffix": ""},
    {"input_prefix": "int main(void)\n{\n", "input_suffix": "}\n", "prompt": "    ret"},
    {"input_prefix": "Grüße, 世界 ", "input_suffix": "\t\r\n 😀"},
    {"input_prefix": "x = ", "input_suffix": " ", "input_extra": [{"filename": "a/b.py", "text": "y = 7\n"}, {"text": "z"}]},
]


@case
def gaps_are_filled_as_llama_fills_them():
    for name, keys in (("a file", NEEDED), ("a repository", NEEDED + AROUND)):
        path = os.path.join(scratch.name, "filler.gguf")
        rewritten(MODEL, path, False, keys)
        other, server = llama(path), Server()
        with open(path, "rb") as f:
            server.need(201, "PUT", "/api/v1/models/filler/versions", f.read())
        for gap in GAPS:
            body = {"model": "filler", "temperature": 0, "n_predict": 1, **gap}
            a, b = post(server.url, "/infill", body), post(other.listening_address, "/infill", body)
            for key in ("prompt", "tokens_evaluated", "content", "tokens_predicted", "stop_type", "stop", "truncated", "index"):
                check(f"{name}, {gap}: {key}", a[key] == b[key], f"{a[key]!r} and {b[key]!r}")
            check("no field is missing", not set(b) - set(a) - {"generation_settings"}, set(b) - set(a))
        server.stop()


@case
def ten_answers_are_llamas():
    other = llama(MODEL)  # ends with the object
    theirs = answers(other.listening_address, 24)
    server = Server()
    with open(MODEL, "rb") as f:
        server.need(201, "PUT", "/api/v1/models/smol/versions", f.read())
    ours = answers(server.url, 24)
    server.stop()
    for q, a, b in zip(QUESTIONS, ours, theirs):
        check(q, a == b, f"{a} and {b}")


@case
def quantized_we_differ_no_more_than_llama_from_itself():
    s = llama(MODEL)
    ids = text_ids(s.listening_address)
    flash = told(s.listening_address, ids)
    other = llama(MODEL, flash=False)
    plain = told(other.listening_address, ids)
    itself, here = compare(flash, plain, ids), compare(flash, computed(MODEL, ids), ids)
    print(f"   Q4_1, {len(ids)} positions: the same favourite at {here[0]:.2%} (llama.cpp and itself: {itself[0]:.2%}), "
          f"divergence {here[1]:.5f} ({itself[1]:.5f}), perplexity {here[2]:.4f} ({itself[2]:.4f}) of llama.cpp's")
    check("favourites", here[0] >= itself[0] - 0.03, here)
    check("divergence", here[1] <= 1.25 * itself[1], here)
    check("perplexity", abs(here[2] - 1) <= 0.005, here)


@case
def in_floats_we_are_llama():
    path = os.path.join(scratch.name, "floats.gguf")
    rewritten(MODEL, path, True)
    s = llama(path)
    ids = text_ids(s.listening_address)
    here = compare(told(s.listening_address, ids), computed(path, ids), ids)
    print(f"   F32, {len(ids)} positions: the same favourite at {here[0]:.2%}, divergence {here[1]:.2e}, "
          f"perplexity {here[2]:.6f} of llama.cpp's")
    check("favourites", here[0] >= 0.99, here)
    check("divergence", here[1] <= 1e-3, here)
    check("perplexity", abs(here[2] - 1) <= 0.005, here)


finish()
