"""lm_users.py ours URL MODEL.gguf CORES | peer - MODEL.gguf CORES - sixteen users at once over HTTP: 64 tokens in, 128 out, streamed;
medians of three rounds. Of ours also: tokens/s of one user whose text follows a schema, over those of free text."""
import http.client
import json
import statistics
import sys
import threading
import time
import urllib.parse

USERS, IN, OUT, ROUNDS = 16, 64, 128, 3
who, url, model, cores = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if who == "peer":
    import xllamacpp
    p = xllamacpp.CommonParams()
    p.model.path, p.n_ctx, p.n_parallel, p.port, p.verbosity, p.kv_unified = model, 4096, USERS, 0, -1, True
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = cores
    server = xllamacpp.Server(p)
    url = server.listening_address
address = urllib.parse.urlparse(url).netloc
WORDS = "the of and to in is that it was for on are as with his they be at one have this from or had by hot word but what some".split()


def ask(body, on_token):
    c = http.client.HTTPConnection(address, timeout=300)
    c.request("POST", "/v1/completions", json.dumps(dict(body, model="smol", stream=True, temperature=0)), {"Content-Type": "application/json"})
    r = c.getresponse()
    if r.status != 200:
        sys.exit(f"{r.status} {r.read()[:300]}")
    for line in r:
        if line.startswith(b"data: {"):
            choices = json.loads(line[6:]).get("choices")
            if choices and choices[0].get("text"):
                on_token()
    c.close()


def round_of(n):
    first, counts = [], []

    def user(u):
        prompt = " ".join(WORDS[(i * 7 + u * 13 + n * 5) % len(WORDS)] for i in range(IN))
        start, seen = time.perf_counter(), []
        ask({"prompt": prompt, "max_tokens": OUT, "ignore_eos": True}, lambda: seen.append(time.perf_counter()))
        first.append(seen[0] - start)
        counts.append(OUT)

    threads = [threading.Thread(target=user, args=(u,)) for u in range(USERS)]
    start = time.perf_counter()
    [t.start() for t in threads]
    [t.join() for t in threads]
    first.sort()
    return sum(counts) / (time.perf_counter() - start), first[-1] * 1e3, first[len(first) // 2] * 1e3


def writes(**more):
    seen = []
    ask(dict({"prompt": "Some people and their ages as JSON:", "max_tokens": 128}, **more), lambda: seen.append(time.perf_counter()))
    return (len(seen) - 1) / (seen[-1] - seen[0])


round_of(0)
rounds = [round_of(n + 1) for n in range(ROUNDS)]
tokens, worst, middle = (statistics.median(r[k] for r in rounds) for k in range(3))
print(f"tokens {tokens:.1f} ttft_p99_ms {worst:.1f} ttft_p50_ms {middle:.1f}", end="")
if who == "ours":
    people = {"type": "array", "minItems": 40, "maxItems": 60, "items": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
              "required": ["name", "age"], "additionalProperties": False}}
    free = [writes(ignore_eos=True) for _ in range(ROUNDS)]
    try:
        bound = [writes(guided_json=people) for _ in range(ROUNDS)]
        print(f" schema {statistics.median(bound) / statistics.median(free):.3f}", end="")
    except SystemExit:
        pass
print()
