"""Hugging Face folders behind the server: the tokens and probabilities that transformers computes, for every class that is read;
the same as GGUF where that was written; and what is wrong with a folder, by name.

usage: test_folders.py MODELS      as folder_models.py made them
"""
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
from harness import BINARY, Server, case, check, finish

MODELS = sys.argv[1]
NAMES = sorted(n for n in os.listdir(MODELS) if n not in ("encoders", "peft") and os.path.isdir(os.path.join(MODELS, n)))
# Keys and values are kept as half-precision floats, and that is what separates us from float32.
TOLERANCE = 0.01
ROUNDED = 0.02  # of weights in bfloat16: what they are multiplied with is rounded like them
server = Server()


def run_import(path, name, *more):
    return subprocess.run([BINARY, "import", path, "--name", name, "--url", server.url, *more], capture_output=True, text=True)


def post(path, body):
    return server.need(200, "POST", path, body)


def ask(model, text, n):
    r = post("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": n,
                                      "temperature": 0, "logprobs": True, "top_logprobs": 2, "ignore_eos": True})
    return r["usage"]["prompt_tokens"], r["choices"][0]["logprobs"]["content"]


def tokenize(model, text):
    return post("/tokenize", {"model": model, "prompt": text, "add_special_tokens": False})["tokens"]


def tolerance_of(name):
    return ROUNDED if name.endswith("bf16") else TOLERANCE


def compare(name, ref):
    """Greedy tokens as long as the best one is clearly the best, and what each was worth."""
    n_prompt, content = ask(name, ref["text"], len(ref["answer"]))
    check(f"{name}: prompt tokens", n_prompt == len(ref["ids"]), f"{n_prompt}, {len(ref['ids'])}")
    worst = 0.0
    for got, (best, second) in zip(content, ref["logprobs"]):
        worst = max(worst, abs(got["logprob"] - best))
        if best - second < 2 * tolerance_of(name):
            break
    return worst


@case
def every_class_computes_what_transformers_does():
    for name in NAMES:
        p = run_import(os.path.join(MODELS, name), name)
        if not check(f"{name}: import", p.returncode == 0, p.stderr):
            continue
        with open(os.path.join(MODELS, name, "reference.json"), encoding="utf-8") as f:
            refs = json.load(f)
        for ref in refs:
            check(f"{name}: ids of {ref['text'][:20]!r}", tokenize(name, ref["text"]) == ref["ids"])
        worst = max(compare(name, ref) for ref in refs)
        check(f"{name}: probabilities", worst < tolerance_of(name), f"{worst}")
        print(f"  {name}: {worst:.5f}")


@case
def a_folder_answers_as_its_gguf_does():
    for file in sorted(f for f in os.listdir(MODELS) if f.endswith(".gguf")):
        name = file[:-len(".gguf")]
        p = run_import(os.path.join(MODELS, file), name + "-gguf")
        check(f"{file}: import", p.returncode == 0, p.stderr)
        for text in ("Hello world, this is a test", "The rooms: 12345 times"):
            one, two = ask(name, text, 16), ask(name + "-gguf", text, 16)
            same = one[0] == two[0] and all(a["token"] == b["token"] and abs(a["logprob"] - b["logprob"]) < 2e-3
                                            for a, b in zip(one[1], two[1]))
            check(f"{name}: {text!r}", same, f"{[a['logprob'] for a in one[1]]} {[a['logprob'] for a in two[1]]}")


@case
def adapters_of_peft_add_what_peft_adds():
    for name in sorted(os.listdir(os.path.join(MODELS, "peft"))):
        adapter = os.path.join(MODELS, "peft", name)
        with open(os.path.join(adapter, "reference.json"), encoding="utf-8") as f:
            refs = json.load(f)
        for path in (os.path.join(MODELS, name), os.path.join(MODELS, name + ".gguf")):
            if not os.path.exists(path):
                continue
            base = name + "-with" + ("-gguf" if path.endswith(".gguf") else "")
            p = run_import(path, base, "--adapter", f"tuned={adapter}")
            if not check(f"{base}: import", p.returncode == 0, p.stderr):
                continue
            worst = max(compare(base + "+tuned", ref) for ref in refs)
            check(f"{base}: probabilities", worst < TOLERANCE, f"{worst}")
            plain = max(abs(got["logprob"] - ref["logprobs"][0][0]) for ref in refs for got in ask(base, ref["text"], 1)[1])
            check(f"{base}: it does something", plain > 10 * TOLERANCE, f"{plain}")
            print(f"  {base}: {worst:.5f}, without it {plain:.2f}")
    models = [m["id"] for m in server.need(200, "GET", "/v1/models")["data"]]
    check("adapters of folders and of files are listed", {"llama-with+tuned", "llama-with-gguf+tuned"} <= set(models), models)


def older(folder, to):
    """The same folder with the words that config.json had before rope_parameters."""
    shutil.copytree(folder, to)
    with open(os.path.join(to, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    rope = config.pop("rope_parameters")
    config["rope_theta"], kind = rope.pop("rope_theta"), rope.pop("rope_type")
    if "partial_rotary_factor" in rope:
        name = "rotary_pct" if config["model_type"] == "gpt_neox" else "partial_rotary_factor"
        config[name] = rope.pop("partial_rotary_factor")
    if kind != "default":
        config["rope_scaling"] = {"type": kind, **rope}
    with open(os.path.join(to, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)


@case
def older_words_of_config_json_mean_the_same():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("llama-yarn", "qwen3-yarn", "phi3-longrope", "phi3-part", "gptneox", "glm4", "stablelm"):
            to = os.path.join(folder, name)
            older(os.path.join(MODELS, name), to)
            p = run_import(to, name + "-older")
            if not check(f"{name}, older: import", p.returncode == 0, p.stderr):
                continue
            with open(os.path.join(to, "reference.json"), encoding="utf-8") as f:
                worst = max(compare(name + "-older", ref) for ref in json.load(f))
            check(f"{name}, older: probabilities", worst < TOLERANCE, f"{worst}")


def embed(model, text):
    return post("/v1/embeddings", {"model": model, "input": text})["data"][0]["embedding"]


def framed(model, text):
    return post("/tokenize", {"model": model, "prompt": text, "add_special_tokens": True})["tokens"]


@case
def encoders_compute_what_transformers_does():
    for name in sorted(os.listdir(os.path.join(MODELS, "encoders"))):
        folder = os.path.join(MODELS, "encoders", name)
        p = run_import(folder, "enc-" + name)
        if not check(f"{name}: import", p.returncode == 0, p.stderr):
            continue
        with open(os.path.join(folder, "vectors.json"), encoding="utf-8") as f:
            ref = json.load(f)
        wrong = [[t, ids, got] for t, ids in ref["tokens"] if (got := framed("enc-" + name, t)) != ids]
        check(f"{name}: ids of {len(ref['tokens'])} texts", not wrong, f"{len(wrong)}: {wrong[:2]}")
        worst = max([abs(a - b) for t, v in ref["vectors"] for a, b in zip(embed("enc-" + name, t), v, strict=True)], default=0)
        for query, text, score in ref["scores"]:
            r = post("/v1/rerank", {"model": "enc-" + name, "query": query, "documents": [text]})
            worst = max(worst, abs(r["results"][0]["relevance_score"] - 1 / (1 + math.exp(-score))))
        most = 1e-3 if "qwen" in name else 1e-5  # a language model keeps keys and values in half precision
        check(f"{name}: vectors or scores", worst < most, f"{worst}")
        print(f"  {name}: {worst:.7f}")


finish()
