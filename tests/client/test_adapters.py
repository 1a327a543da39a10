"""test_adapters.py LM_LOGITS MODEL.gguf - tiny models of random weights with random adapters, in GGUF as llama.cpp's converter
writes them: logits against NumPy and llama.cpp; then adapters of a real model behind a server."""
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import gguf
import numpy as np

from harness import BINARY, Server, case, check, finish
from lm_architectures import CONTEXT, MODELS, VOCAB, tensors, write
from lm_reference import Reference

PROGRAM, MODEL = sys.argv[1:3]
TOKENS = ((np.arange(45) * 37 + 11) % VOCAB).astype(np.int32)
NUMPY, PEER = 1e-3, 6e-3  # those of test_architectures.py, in standard deviations of the logits
NAMES = ["llama", "qwen3", "gemma2", "gpt2", "phi3"]
scratch = tempfile.TemporaryDirectory()


def path_of(name):
    return os.path.join(scratch.name, name)


def write_adapter(path, arch, shapes, alpha, seed, width, kind=np.float32):
    """shapes: of weights, [out, in]. Returns what it adds to each."""
    rng, added = np.random.default_rng(seed), {}
    w = gguf.GGUFWriter(path, arch)
    w.add_string("general.type", "adapter")
    w.add_string("adapter.type", "lora")
    w.add_float32("adapter.lora.alpha", alpha)
    for i, (name, (rows, cols)) in enumerate(shapes.items()):
        rank = 1 + i % 7
        a, b = (rng.normal(0, width, s).astype(kind) for s in ((rank, cols), (rows, rank)))
        w.add_tensor(name + ".lora_a", a)
        w.add_tensor(name + ".lora_b", b)
        added[name] = alpha / rank * b.astype(np.float64) @ a.astype(np.float64)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return added


def ours(model, adapter):
    ids, out = path_of("ids"), path_of("out")
    TOKENS.tofile(ids)
    r = subprocess.run([PROGRAM, model, ids, out, "45", str(CONTEXT)] + ([adapter] if adapter else []), capture_output=True, text=True)
    if r.returncode:
        raise ValueError(r.stderr)
    return np.fromfile(out, np.float32).reshape(len(TOKENS), -1)


def peers(model, adapter):
    """In a process of its own, as it may abort."""
    code = ("import sys, llama_peer as p; m, a, o, n = sys.argv[1:]; "
            f"p.logits(p.library(), m, {TOKENS.tolist()}, int(n), a).tofile(o)")
    here = os.path.dirname(os.path.abspath(__file__))
    r = subprocess.run([sys.executable, "-c", code, model, adapter, path_of("peer"), str(CONTEXT)], capture_output=True, text=True,
                       env={**os.environ, "PYTHONPATH": here, "GGML_NO_BACKTRACE": "1"})
    if r.returncode:
        raise ValueError(r.stderr[-500:])
    return np.fromfile(path_of("peer"), np.float32).reshape(len(TOKENS), -1)


def compare(name, got, want, bound):
    worst = np.abs(got - want).max() / want.std()
    check(name, worst <= bound, f"{worst:.2g} deviations apart, {bound} are allowed")
    print(f"  {worst:.1e} deviations")


@case
def logits_are_those_of_merged_weights():
    for k, name in enumerate(NAMES):
        m = MODELS[name]
        t = tensors(m)
        model, adapter = path_of(name + ".gguf"), path_of(name + ".lora.gguf")
        write(model, m, t)
        shapes = {n: x.shape for n, x in t.items() if x.ndim == 2 and (n.startswith("blk.") or n == "output.weight")}
        added = write_adapter(adapter, m["arch"], shapes, (8.0, 3.0)[k % 2], k, 0.1, (np.float32, np.float16)[k % 2])
        merged = {n: x.astype(np.float64) + added.get(n, 0) for n, x in t.items()}
        got = ours(model, adapter)
        compare(name + " and NumPy", got, Reference(m, merged).logits(TOKENS), NUMPY)
        compare(name + " and llama.cpp", got, peers(model, adapter), PEER)
        check(name + ": it does something", np.abs(got - ours(model, None)).max() > 0.1 * got.std())


# ---- a server ----


def write_peft(folder, shapes, seed, width):
    """An adapter of SmolLM2 as PEFT saves it, without PEFT; for GGUF its rows go elsewhere: what that comes to is in test_folders.py."""
    names = {"attn_q": "self_attn.q_proj", "attn_v": "self_attn.v_proj", "ffn_down": "mlp.down_proj"}
    rng, tensors = np.random.default_rng(seed), {}
    for name, (rows, cols) in shapes.items():
        _, layer, stem, _ = name.split(".")
        if stem in names:
            module = f"base_model.model.model.layers.{layer}.{names[stem]}"
            tensors[module + ".lora_A.weight"] = rng.normal(0, width, (4, cols)).astype(np.float32)
            tensors[module + ".lora_B.weight"] = rng.normal(0, width, (rows, 4)).astype(np.float32)
    head, data = {}, b""
    for name, x in tensors.items():
        head[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}
        data += x.tobytes()
    text = json.dumps(head).encode()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "adapter_model.safetensors"), "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)
    with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as f:
        json.dump({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "bias": "none"}, f)

SHAPES = {t.name: [int(n) for n in reversed(t.shape)] for t in gguf.GGUFReader(MODEL).tensors
          if t.name.startswith("blk.") and len(t.shape) == 2}


def published(server, files, status=201):
    manifest = {}
    for name, path in files.items():
        with open(path, "rb") as f:
            data = f.read()
        manifest[name] = hashlib.sha256(data).hexdigest()
        server.request("PUT", "/api/v1/blobs/" + manifest[name], data)
    r = server.post("/api/v1/models/smol/versions", {"files": manifest})
    check(f"publishing {', '.join(files)}: {status}", r.status == status, r)
    return r


def text(server, model, **more):
    body = {"model": model, "prompt": "The sea is", "temperature": 0, "max_tokens": 24, **more}
    r = server.post("/v1/completions", body)
    return r.json()["choices"][0]["text"] if r.status == 200 else r


@case
def folders_of_peft_go_up_beside_files():
    server = Server()
    one, two = path_of("first.gguf"), path_of("peft")
    write_adapter(one, "llama", SHAPES, 8.0, 1, 0.04)
    write_peft(two, SHAPES, 5, 0.05)
    r = subprocess.run([BINARY, "import", MODEL, "--name", "smol", "--adapter", f"one={one},two={two}", "--url", server.url], capture_output=True, text=True)
    check("maas import --adapter", r.returncode == 0, r)
    said = [text(server, n) for n in ("smol", "smol+one", "smol+two")]
    check("each has its own", len(set(map(str, said))) == 3, said)
    models = [m["id"] for m in server.request("GET", "/v1/models").json()["data"]]
    check("both are listed", models == ["smol", "smol+one", "smol+two"], models)
    run = subprocess.run([BINARY, "run", MODEL, "-p", "The sea is", "--raw", "--lora", two, "--max-tokens", "24", "--temperature", "0"],
                         capture_output=True, text=True)
    check("maas run --lora", run.stdout.strip() == str(said[2]).strip(), (run, said[2]))
    with open(os.path.join(two, "adapter_config.json"), "w", encoding="utf-8") as f:
        json.dump({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_dora": True}, f)
    r = subprocess.run([BINARY, "import", MODEL, "--name", "smol", "--adapter", f"two={two}", "--url", server.url], capture_output=True, text=True)
    check("DoRA is refused by name", r.returncode != 0 and "use_dora" in r.stderr, r)
    server.stop()


@case
def a_request_names_its_adapter():
    server = Server()
    one, two, wrong = path_of("one.gguf"), path_of("two.gguf"), path_of("wrong.gguf")
    write_adapter(one, "llama", SHAPES, 8.0, 1, 0.04)
    write_adapter(two, "llama", {n: s for n, s in SHAPES.items() if "attn" in n}, 8.0, 2, 0.03, np.float16)
    write_adapter(wrong, "llama", {"blk.99.attn_q.weight": (8, 8)}, 1.0, 3, 1)
    published(server, {"model.gguf": MODEL})
    plain = text(server, "smol")
    r = published(server, {"model.gguf": MODEL, "adapters/wrong.gguf": wrong}, 400)
    check("the tensor is named", "blk.99.attn_q.weight.lora_a" in r.body.decode(), r)
    r = subprocess.run([BINARY, "import", MODEL, "--name", "smol", "--adapter", f"two={two},one={one}", "--url", server.url], capture_output=True, text=True)
    check("maas import --adapter", r.returncode == 0 and "version 2" in r.stdout, r)
    names = ["smol", "smol+one", "smol+two"]
    alone = [text(server, n) for n in names]
    check("none is what it was", alone[0] == plain, (alone, plain))
    check("each has its own", len(set(map(str, alone))) == 3, alone)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda i: text(server, names[i % 3]), range(24)))
    check("company changes nothing", together == alone * 8, together)
    check("a version of it", text(server, "smol:2+two") == alone[2])
    check("llama.cpp's field", text(server, "smol", lora=[{"id": 0, "scale": 1.0}]) == alone[1])
    check("switched off", text(server, "smol+one", lora=[{"id": 0, "scale": 0}]) == alone[0])
    check("unknown", "has no adapter 'three'; it has one, two" in text(server, "smol+three").body.decode())
    check("of another version", text(server, "smol:1+one").status == 404)
    check("two at once", text(server, "smol", lora=[{"id": 0, "scale": 1}, {"id": 1, "scale": 1}]).status in (400, 422, 501))
    m = [{"role": "user", "content": "Tell me a story about the sea."}]
    said = {
        "Anthropic": lambda n: server.post("/v1/messages", {"model": n, "messages": m, "max_tokens": 12, "temperature": 0}).json()["content"][0]["text"],
        "Ollama": lambda n: server.post("/api/chat", {"model": n + ":latest", "messages": m, "stream": False, "options": {"temperature": 0, "num_predict": 12}}).json()["message"]["content"],
        "OIP": lambda n: server.post(f"/v2/models/{n}/generate", {"text_input": "The sea is", "parameters": {"temperature": 0, "max_tokens": 12}}).json()["text_output"],
    }
    for who, ask in said.items():
        a, b = ask("smol"), ask("smol+one")
        check(who, a != b, (a, b))
    r = subprocess.run([BINARY, "run", MODEL, "--lora", one, "--raw", "-p", "The sea is", "--temperature", "0", "--max-tokens", "24"], capture_output=True, text=True)
    check("maas run --lora", r.returncode == 0 and r.stdout.rstrip("\n") == alone[1].rstrip("\n"), (r, alone[1]))
    chat = server.post("/v1/chat/completions", {"model": "smol+one", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4})
    check("chat", chat.status == 200, chat)
    listed = {m["id"]: m.get("parent") for m in server.get("/v1/models").json()["data"]}
    check("listed", listed == {"smol": None, "smol+one": "smol", "smol+two": "smol"}, listed)
    server.stop()


finish()
