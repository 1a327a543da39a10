"""test_lm_npm.py MODEL.gguf SCRIPT.mjs - a server with a real model, one that calls tools, and an encoder, for the clients of npm."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import encoder_files
import scripted
from harness import Server, check, finish

CALL = ["One", " moment.", "\n<tool_", "call>\n{\"na", "me\": \"weather\"", ", \"arguments\": ", "{\"city\": \"Ro", "me\"}", "}\n</tool_call>"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "sky", "is", "blue", *"abcdefghijklmnopqrstuvwxyz", *("##" + c for c in "abcdefghijklmnopqrstuvwxyz")]
SHAPE = dict(embd=64, layers=2, ff=128, heads=4, context=128, eps=1e-12)

server = Server()
with open(sys.argv[1], "rb") as f:
    server.need(201, "PUT", "/api/v1/models/smol/versions", f.read())
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "model.gguf")
    scripted.write(path, CALL, "<tool_call>")
    with open(path, "rb") as f:
        server.need(201, "PUT", "/api/v1/models/caller/versions", f.read())
    encoder_files.write(path, "bert", SHAPE, encoder_files.random_weights("bert", SHAPE, len(WORDS), 1), encoder_files.wordpiece(WORDS), 1)
    with open(path, "rb") as f:
        server.need(201, "PUT", "/api/v1/models/encoder/versions", f.read())
run = subprocess.run(["node", sys.argv[2], server.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
for line in run.stdout.splitlines():
    name, _, why = line.partition("\t")
    check(name.removeprefix("ok ").removeprefix("not ok "), name.startswith("ok "), why)
check("the script ran to its end", run.returncode == 0, run.stderr[-2000:])
finish()
