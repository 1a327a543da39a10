"""SIGKILL at random points, again and again, while clients upload data sets, publish versions, move
aliases and submit jobs. After each restart everything that was acknowledged is there, byte for byte; a
repeated request with the same Idempotency-Key gives the same answer.

usage: test_kill9.py [KILLS [SEED]]"""
import hashlib
import http.client
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Server, check, finish, iris_like

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
print("seed", SEED)
rng = random.Random(SEED)
lock = threading.Lock()
datasets = {}  # name -> {version: rows}
versions = {}  # model -> {version: digest of the artifact}
aliases = {}   # (model, alias) -> what it may point to: what was acknowledged, and asked for since
jobs = {}      # id -> model
keyed = []     # (key, method, path, body, status, answer)
blobs = {}     # digest -> bytes
wrong = []


def client(server, index, seed, stop):
    """One client: random requests until the server dies. Only what was answered is remembered."""
    r = random.Random(seed)
    c = http.client.HTTPConnection(server.address, timeout=20)

    def call(method, path, body=None, headers=None):
        c.request(method, path, body, headers or {})
        a = c.getresponse()
        return a.status, a.read()

    def dataset():
        name, n = f"d{r.randrange(6)}", r.randrange(2, 400)
        body = iris_like(n, seed=r.randrange(1 << 30)).encode()
        key = f"key-{r.getrandbits(64):x}" if r.random() < 0.5 else None
        status, text = call("PUT", f"/api/v1/datasets/{name}", body, {"Idempotency-Key": key} if key else {})
        if status in (200, 201):
            a = json.loads(text)
            with lock:
                datasets.setdefault(name, {})[a["version"]] = n
                if key:
                    keyed.append((key, "PUT", f"/api/v1/datasets/{name}", body, status, text))
        else:
            wrong.append((status, text))

    def version():
        name, file = f"m{r.randrange(4)}", r.choice(models)
        key = f"key-{r.getrandbits(64):x}" if r.random() < 0.5 else None
        status, text = call("PUT", f"/api/v1/models/{name}/versions", file, {"Idempotency-Key": key} if key else {})
        if status in (200, 201):
            a = json.loads(text)
            with lock:
                versions.setdefault(name, {})[a["version"]] = a["files"]["model.onnx"]
                if key:
                    keyed.append((key, "PUT", f"/api/v1/models/{name}/versions", file, status, text))
        else:
            wrong.append((status, text))

    def alias():
        with lock:
            known = [(m, v) for m in versions for v in versions[m]]
        if not known:
            return
        model, v = r.choice(known)
        name = (model, f"a{index}-{r.randrange(2)}")  # no other client sets it
        with lock:
            aliases.setdefault(name, {None}).add(v)
        status, text = call("PUT", f"/api/v1/models/{model}/aliases/{name[1]}", json.dumps({"version": v}))
        if status == 200:
            with lock:
                aliases[name] = {v}
        else:
            wrong.append((status, text))

    def blob():
        data = r.randbytes(r.randrange(1, 20000))
        digest = hashlib.sha256(data).hexdigest()
        status, text = call("PUT", f"/api/v1/blobs/{digest}", data)
        if status == 201:
            with lock:
                blobs[digest] = len(data)
        else:
            wrong.append((status, text))

    def job():
        key = f"key-{r.getrandbits(64):x}"
        body = json.dumps({"kind": "train", "model": f"j{r.randrange(3)}", "dataset": "base:1", "target": "kind",
                           "learner": "logistic_regression", "params": {"epochs": 2, "seed": r.randrange(4)},
                           "resources": {"cores": 1, "memory": "64MiB"}}).encode()
        status, text = call("POST", "/api/v1/jobs", body, {"Idempotency-Key": key})
        if status == 202:
            with lock:
                jobs[json.loads(text)["id"]] = json.loads(body)["model"]
                keyed.append((key, "POST", "/api/v1/jobs", body, status, text))
        elif status != 429:
            wrong.append((status, text))

    work = [dataset] * 4 + [version] * 3 + [alias] * 4 + [blob] * 2 + [job]
    try:
        while not stop.is_set():
            r.choice(work)()
    except (OSError, http.client.HTTPException, ValueError):
        pass  # the server was killed while we waited: nothing was acknowledged
    finally:
        c.close()


def lost(server, everything):
    """What was acknowledged and is not there."""
    out = []
    c = http.client.HTTPConnection(server.address, timeout=60)

    def get(path):
        c.request("GET", path)
        a = c.getresponse()
        return a.status, a.read()

    pick = (lambda items, n: items) if everything else (lambda items, n: rng.sample(items, min(n, len(items))))
    for name, v, rows in pick([(n, v, r) for n in datasets for v, r in datasets[n].items()], 6):
        status, text = get(f"/api/v1/datasets/{name}:{v}")
        if status != 200 or json.loads(text)["rows"] != rows:
            out.append(("dataset", name, v, status, text[:100]))
    for name, v, digest in pick([(m, v, d) for m in versions for v, d in versions[m].items()], 6):
        status, file = get(f"/api/v1/models/{name}/versions/{v}/artifact")
        if status != 200 or hashlib.sha256(file).hexdigest() != digest:
            out.append(("version", name, v, status))
    shown = {}
    for (model, alias), may in pick(list(aliases.items()), 4):
        if model not in shown:
            shown[model] = json.loads(get(f"/api/v1/models/{model}")[1])
        now = shown[model].get("aliases", {})
        now = now.get(alias) if isinstance(now, dict) else next((a["version"] for a in now if a["alias"] == alias), None)
        if now not in may:
            out.append(("alias", model, alias, now, may))
    for id in pick(list(jobs), 6):
        status, text = get(f"/api/v1/jobs/{id}")
        if status != 200 or json.loads(text)["state"] not in ("queued", "running", "succeeded"):
            out.append(("job", id, status, text[:300]))
    for digest, n in pick(list(blobs.items()), 4):
        status, text = get(f"/api/v1/blobs/{digest}")
        if status != 200 or json.loads(text)["bytes"] != n or not json.loads(text)["complete"]:
            out.append(("blob", digest, status, text))
    for key, method, path, body, status, text in pick(keyed, 3)[:40]:
        c.request(method, path, body, {"Idempotency-Key": key})
        a = c.getresponse()
        again = a.read()
        if a.status != status or json.loads(again) != json.loads(text):
            out.append(("key", key, path, a.status, again[:200], text[:200]))
    c.close()
    return out


server = Server("--max-jobs", "20", "--job-memory", "512MiB")
server.need(201, "PUT", "/api/v1/datasets/base", iris_like(60))
models = []
for n in range(5):
    server.train(model=f"seed{n}", dataset="base", target="kind", learner="logistic_regression", params={"epochs": n + 1, "seed": n})
    models.append(server.get(f"/api/v1/models/seed{n}/versions/1/artifact").body)
missing, ready, began, kills = [], [], time.monotonic(), 0
while kills < KILLS and time.monotonic() - began < 300 and not missing:
    stop = threading.Event()
    threads = [threading.Thread(target=client, args=(server, i, rng.getrandbits(32), stop)) for i in range(3)]
    for t in threads:
        t.start()
    time.sleep(rng.choice((0.002, 0.02, 0.1, 0.3)) * rng.random() * 2)
    server.kill()
    stop.set()
    for t in threads:
        t.join()
    kills += 1
    server.start()
    ready.append(server.ready_ms)
    missing += lost(server, kills % 40 == 0)
missing += lost(server, True)
ready.sort()
print(f"{kills} kills in {time.monotonic() - began:.0f} s; acknowledged: {sum(map(len, datasets.values()))} data sets, "
      f"{sum(map(len, versions.values()))} versions, {len(aliases)} aliases, {len(jobs)} jobs, {len(blobs)} blobs, {len(keyed)} keys")
print(f"ready after a restart: median {ready[len(ready) // 2]:.0f} ms, worst {ready[-1]:.0f} ms")
check(f"{kills} SIGKILLs lose nothing acknowledged", not missing, missing[:5])
check("nothing was refused that is right", not wrong, wrong[:5])
check("there was something to lose", len(jobs) > 3 and len(datasets) > 2 and len(versions) > 2, "")
check(f"all {KILLS} kills were done", kills == KILLS or missing, kills)


def all_jobs_end():
    return all(j["state"] == "succeeded" for j in server.get("/api/v1/jobs").json()["jobs"])


end = time.monotonic() + 60
while time.monotonic() < end and not all_jobs_end():
    time.sleep(0.2)
check("every acknowledged job ends well", all_jobs_end(), [j for j in server.get("/api/v1/jobs").json()["jobs"] if j["state"] != "succeeded"][:2])
check("SIGTERM ends the server with 0", server.stop() == 0)
finish()
