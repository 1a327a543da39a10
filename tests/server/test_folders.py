"""Models of several files: a Hugging Face folder and a GGUF file in parts, by the command line and by hand over HTTP; refusals; a
restart. What they compute: tests/client/test_folders.py. Standard library only."""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import tempfile

from harness import BINARY, ROOT, Server, case, check, finish

CORPUS = os.path.join(ROOT, "tests", "fuzz", "corpus")
server = Server()
work = tempfile.mkdtemp(prefix="maas-folders-")


def unpacked(name):
    """{file: bytes} of a folder in one file: "NAME LENGTH" and the bytes, for each."""
    with open(os.path.join(CORPUS, "folder", name), "rb") as f:
        data = f.read()
    files = {}
    while data:
        head, data = data.split(b"\n", 1)
        path, n = head.decode().rsplit(" ", 1)
        files[path], data = data[:int(n)], data[int(n):]
    return files


def written(name, files):
    folder = os.path.join(work, name)
    os.makedirs(folder, exist_ok=True)
    for path, data in files.items():
        with open(os.path.join(folder, path), "wb") as f:
            f.write(data)
    return folder


def maas(*args):
    return subprocess.run([BINARY, *args, "--url", server.url] if args[0] == "import" else [BINARY, *args], capture_output=True, text=True)


def post(model, files):
    manifest = {}
    for path, data in files.items():
        manifest[path] = hashlib.sha256(data).hexdigest()
        server.need(201, "PUT", "/api/v1/blobs/" + manifest[path], data)
    return server.request("POST", f"/api/v1/models/{model}/versions", {"files": manifest})


def complete(model):
    r = server.need(200, "POST", "/v1/completions", {"model": model, "prompt": "the house", "max_tokens": 8, "temperature": 0, "ignore_eos": True})
    return r["choices"][0]["text"], r["usage"]["completion_tokens"]


@case
def a_folder_by_the_command_line():
    for name in ("llama", "gemma"):
        folder = written(name, unpacked(name))
        with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as f:
            f.write("not a file of the model")
        p = maas("import", folder, "--name", name)
        check(f"{name} imports", p.returncode == 0 and "version 1" in p.stdout, p.stderr)
        check(f"{name} answers", complete(name)[1] == 8)
        p = maas("import", folder, "--name", name)
        check(f"{name} again is the same version", p.returncode == 0 and "version 1" in p.stdout, p.stdout + p.stderr)
        p = maas("run", folder, "--prompt", "the house", "--raw", "--max-tokens", "8")
        check(f"{name} runs without a server", p.returncode == 0 and "answer:" in p.stderr, p.stderr)
    v = server.need(200, "GET", "/api/v1/models/llama/versions/1")
    check("its files and format", v["format"] == "safetensors" and "README.md" not in v["files"] and v["artifact"] == "config.json", v)
    check("what it is", v["info"]["meta"]["architecture"] == "llama", v["info"])
    check("a member comes back", server.request("GET", "/api/v1/models/llama/versions/1/artifact?file=tokenizer.json").body ==
          unpacked("llama")["tokenizer.json"])
    server.need(200, "POST", "/v1/chat/completions", {"model": "llama", "messages": [{"role": "user", "content": "the house"}], "max_tokens": 2})


@case
def a_folder_over_http():
    files = unpacked("gemma")
    r = post("by-hand", files)
    check("published", r.status == 201, r)
    check("answers as the other", complete("by-hand") == complete("gemma"))
    refused = {
        "no tokenizer": ({k: v for k, v in files.items() if k != "tokenizer.json"}, "no tokenizer.json"),
        "a shard is missing": ({k: v for k, v in files.items() if "model-00002" not in k}, "is missing"),
        "a shard is cut": ({**files, "model-00002-of-00002.safetensors": files["model-00002-of-00002.safetensors"][:-1]}, "the file is cut"),
        "another class": ({**files, "config.json": files["config.json"].replace(b"GemmaFor", b"OtherFor")}, "OtherForCausalLM"),
        "no JSON": ({**files, "config.json": b"{"}, "malformed JSON"),
        "deep JSON": ({**files, "tokenizer.json": b"[" * 100000}, "tokenizer.json"),
    }
    for name, (broken, words) in refused.items():
        r = post("broken", broken)
        check(name, r.status in (400, 422, 501) and words in r.json()["error"]["message"], r)
    many = {f"part-{i}.safetensors": b"" for i in range(300)}
    r = server.request("POST", "/api/v1/models/broken/versions", {"files": {"config.json": hashlib.sha256(files["config.json"]).hexdigest(), **{
        k: hashlib.sha256(files["config.json"]).hexdigest() for k in many}}})
    check("too many files", r.status == 413 and "240" in r.json()["error"]["message"], r)
    r = server.request("POST", "/api/v1/models/broken/versions", {"files": {"config.json": 3}})
    check("no digest", r.status == 400, r)
    check("nothing was made of them", server.request("GET", "/api/v1/models/broken").status == 404)


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def split(data, n):
    """A GGUF file as n parts: keys in the first, tensors dealt out."""
    at = 24
    n_tensors, n_keys = struct.unpack_from("<QQ", data, 8)
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

    def skip_text(at):
        return at + 8 + struct.unpack_from("<Q", data, at)[0]

    def skip_value(kind, at):
        if kind == 8:
            return skip_text(at)
        if kind == 9:
            of, count = struct.unpack_from("<IQ", data, at)
            at += 12
            for _ in range(count if of == 8 else 0):
                at = skip_text(at)
            return at if of == 8 else at + sizes[of] * count
        return at + sizes[kind]

    for _ in range(n_keys):
        at = skip_text(at)
        at = skip_value(struct.unpack_from("<I", data, at)[0], at + 4)
    keys, tensors = data[24:at], []
    for _ in range(n_tensors):
        start = at
        at = skip_text(at)
        rank = struct.unpack_from("<I", data, at)[0]
        at += 4 + 8 * rank + 4
        tensors.append((data[start:at], struct.unpack_from("<Q", data, at)[0]))
        at += 8
    base = (at + 31) // 32 * 32
    ends = sorted(t[1] for t in tensors) + [len(data) - base]
    parts = []
    for no in range(n):
        mine, index, body = tensors[no::n], b"", b""
        for head, offset in mine:
            index += head + struct.pack("<Q", len(body))
            body += data[base + offset:base + ends[ends.index(offset) + 1]]
            body += bytes(-len(body) % 32)
        own = b"".join(text(k) + struct.pack("<IH", 2, v) for k, v in (("split.no", no), ("split.count", n)))
        head = data[:8] + struct.pack("<QQ", len(mine), 2 + (n_keys if no == 0 else 0)) + (keys if no == 0 else b"") + own + index
        parts.append(head + bytes(-len(head) % 32) + body)
    return parts


@case
def a_gguf_file_in_parts():
    with open(os.path.join(CORPUS, "gguf", "tiny"), "rb") as f:
        whole = f.read()
    server.need(201, "PUT", "/api/v1/models/whole/versions", whole)
    parts = {f"tiny-{i + 1:05d}-of-00003.gguf": p for i, p in enumerate(split(whole, 3))}
    folder = written("parts", parts)
    p = maas("import", os.path.join(folder, "tiny-00002-of-00003.gguf"), "--name", "parts")
    check("any part stands for all", p.returncode == 0, p.stderr)
    check("the same answer", complete("parts") == complete("whole"))
    p = maas("run", os.path.join(folder, "tiny-00001-of-00003.gguf"), "--prompt", "the house", "--raw", "--max-tokens", "4")
    check("runs without a server", p.returncode == 0, p.stderr)
    r = post("two", {k: v for k, v in parts.items() if "00003-of" not in k})
    check("a part is missing", r.status in (400, 422, 501) and "all parts" in r.json()["error"]["message"], r)


@case
def they_are_there_after_a_restart():
    before = {m: complete(m) for m in ("llama", "gemma", "parts")}
    server.process.terminate()
    server.process.wait(timeout=30)
    server.start()
    check("the same answers", before == {m: complete(m) for m in before})


shutil.rmtree(work, ignore_errors=True)
finish()
