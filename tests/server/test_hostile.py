"""What only a running server can show: exposure, keys, resumable uploads, two publishers at once, cancel,
event streams, a full disk, killed workers and importers, draining."""
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BINARY, Server, check, finish, iris_like
from harness import case as run_case

ONLY = sys.argv[1] if len(sys.argv) > 1 else ""


def case(fn):
    if ONLY in fn.__name__:
        run_case(fn)


SLOW = {"kind": "train", "model": "slow", "dataset": "iris", "target": "kind", "learner": "network",
        "params": {"layers": [{"type": "dense", "units": 64, "activation": "relu"}, {"type": "dense", "units": 2, "activation": "softmax"}],
                   "epochs": 100000, "seed": 1}, "resources": {"cores": 1}}
QUICK = {"kind": "train", "model": "quick", "dataset": "iris", "target": "kind", "learner": "logistic_regression",
         "params": {"epochs": 3, "seed": 1}}


def with_iris(*args, **kw):
    s = Server(*args, **kw)
    s.need(201, "PUT", "/api/v1/datasets/iris", iris_like())
    return s


def until(what, condition, timeout=30):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError("waited in vain for " + what)


# ---- at rest ----

@case
def starts_fast_stays_small_and_sleeps():
    s = Server()
    ready = [s.ready_ms]
    for _ in range(4):
        s.kill()
        s.start()
        ready.append(s.ready_ms)
    time.sleep(0.3)

    def cpu():
        with open(f"/proc/{s.process.pid}/stat") as f:
            return sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13])
    before = cpu()
    time.sleep(1)
    print(f"  ready in {min(ready):.0f} ms, {s.rss_kib() / 1024:.1f} MiB, {cpu() - before} ticks in a second")
    assert min(ready) < 150 and s.rss_kib() < 48 * 1024 and cpu() - before <= 1, (ready, s.rss_kib())
    s.stop()


@case
def a_long_table_streams_through():
    s = Server()
    s.need(201, "PUT", "/api/v1/datasets/warm", iris_like())
    before = s.rss_kib()
    body = ("a,b,c\n" + "1.5,2.5,text\n" * 3_000_000).encode()
    peak, done = [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            peak[0] = max(peak[0], s.rss_kib())
    t = threading.Thread(target=watch)
    t.start()
    assert s.need(201, "PUT", "/api/v1/datasets/long", body, timeout=120)["rows"] == 3_000_000
    done.set()
    t.join()
    print(f"  {len(body) >> 20} MiB of CSV: {before >> 10} MiB before, {peak[0] >> 10} MiB at most")
    assert peak[0] - before < 100 * 1024, (before, peak)
    s.stop()


@case
def a_wide_table_is_read():
    s = Server()
    names = ",".join(f"column_{i}" for i in range(3000))
    table = s.need(201, "PUT", "/api/v1/datasets/wide", f"{names}\n{','.join(map(str, range(3000)))}\n")
    assert len(table["columns"]) == 3000 and table["rows"] == 1
    r = s.put("/api/v1/datasets/twice", f"{names},column_7\n{','.join(map(str, range(3001)))}\n")
    assert r.status == 422 and "column_7" in r.body.decode(), r
    s.stop()


@case
def a_thousand_connections():
    s = Server()
    connections = [socket.create_connection(s.address.split(":")) for _ in range(1000)]
    for c in connections:
        c.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for c in connections:
        c.settimeout(10)
        assert c.recv(4096).startswith(b"HTTP/1.1 200")
    for c in connections:
        c.close()
    assert s.get("/readyz").status == 200
    s.stop()


# ---- exposure ----

@case
def public_without_keys_and_tls_is_refused():
    data = tempfile.mkdtemp(prefix="maas-test-")
    cert, key = data + "/cert.pem", data + "/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    keyed = tempfile.mkdtemp(prefix="maas-test-")
    s = Server(data=keyed)
    secret = s.need(201, "POST", "/api/v1/keys", {"name": "k", "scopes": ["infer", "admin"]})["key"]
    s.stop()
    tls = ["--tls-cert", cert, "--tls-key", key]
    try:
        for address in ("0.0.0.0:0", "[::]:0"):
            for d, flags, words in ((data, [], ("key", "TLS")), (data, tls, ("key",)), (keyed, [], ("TLS",))):
                p = subprocess.run([BINARY, "serve", "--listen", address, "--data", d + "/d" if d == data else d, *flags],
                                   capture_output=True, timeout=20)
                assert p.returncode == 78, (address, flags, p)
                assert not p.stdout and all(w.encode() in p.stderr for w in words), p
        p = subprocess.Popen([BINARY, "serve", "--listen", "0.0.0.0:0", "--data", keyed, *tls], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
        line = p.stdout.readline().decode()
        assert line.startswith("listening on https://"), line
        port = line.strip().rsplit(":", 1)[1]
        import ssl
        context = ssl.create_default_context(cafile=cert)
        context.check_hostname = False
        for headers, status in (({}, 401), ({"Authorization": "Bearer " + secret}, 200)):
            c = http.client.HTTPSConnection("127.0.0.1", int(port), context=context, timeout=10)
            c.request("POST", "/v2/models/nobody/infer", "{}", headers) if status == 401 else c.request("GET", "/readyz", headers=headers)
            assert c.getresponse().status == status
        p.terminate()
        assert p.wait(20) == 0
    finally:
        shutil.rmtree(data)
        shutil.rmtree(keyed)


@case
def half_of_tls_and_nonsense_are_refused():
    for flags in (["--tls-cert", "x"], ["--listen", "nonsense"], ["--listen", "127.0.0.1:99999"], ["--lanes", "0"],
                  ["--max-body", "many"], ["--log-level", "loud"], ["--nonsense"], ["extra"]):
        p = subprocess.run([BINARY, "serve", "--data", "/nonexistent/x", *flags], capture_output=True, timeout=20)
        assert p.returncode != 0 and p.stderr and not p.stdout, (flags, p)


@case
def a_data_directory_has_one_server():
    s = Server()
    p = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0", "--data", s.data], capture_output=True, timeout=20)
    assert p.returncode != 0 and p.stderr, p
    s.stop()


@case
def web_pages_of_others_are_refused():
    s = Server()
    assert s.get("/v2", headers={"Host": "evil.example"}).status == 403
    assert s.get("/v2", headers={"Origin": "http://evil.example"}).status == 403
    assert s.get("/v2", headers={"Origin": "http://localhost:3000"}).status == 200
    assert s.get("/v2", headers={"Host": "localhost:1"}).status == 200
    s.stop()


# ---- keys ----

@case
def keys_open_what_their_scopes_say():
    s = with_iris()
    s.train(**QUICK)
    s.train(**{**QUICK, "model": "other"})
    admin = s.need(201, "POST", "/api/v1/keys", {"name": "admin", "scopes": ["infer", "read", "write", "train", "ops", "admin"]})
    s.key = admin["key"]
    make = lambda **spec: s.need(201, "POST", "/api/v1/keys", {"name": "k", **spec})
    infer = make(scopes=["infer"], models="qu*")["key"]
    read = make(scopes=["read"], models="quick")["key"]
    write = make(scopes=["write", "train"], models="quick")["key"]
    gone = make(scopes=["infer"])
    s.need(204, "DELETE", f"/api/v1/keys/{gone['id']}")
    short = make(scopes=["infer"], ttl=1)["key"]
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}

    def status(key, method, path, body=None, header="Authorization"):
        h = {header: ("Bearer " if header == "Authorization" else "") + key} if key is not None else {"Authorization": "none"}
        return s.request(method, path, body, headers=h).status

    assert status(infer, "POST", "/v2/models/quick/infer", body) == 200
    assert status(infer, "POST", "/v2/models/quick/infer", body, header="x-api-key") == 200
    assert status(infer, "POST", "/v2/models/other/infer", body) == 404
    assert status(infer, "GET", "/v2/models/quick") == 403
    for bad in (None, "", "mk_nonsense", infer[:-1], infer + "x", gone["key"]):
        assert status(bad, "POST", "/v2/models/quick/infer", body) == 401, bad
    time.sleep(1.2)
    assert status(short, "POST", "/v2/models/quick/infer", body) == 401
    assert status(read, "GET", "/api/v1/models/quick") == 200
    assert status(read, "GET", "/api/v1/models/other") == 404
    assert status(read, "GET", "/api/v1/models/other/versions/1/artifact") == 404
    names = lambda r: {m["name"] for m in (r.json()["models"] if isinstance(r.json(), dict) else r.json())}
    h = {"Authorization": "Bearer " + read}
    assert names(s.get("/api/v1/models", headers=h)) == {"quick"}
    assert names(s.post("/v2/repository/index", headers=h)) == {"quick"}
    assert s.get("/v1/models", headers=h).json()["models"] == ["quick"]
    assert status(write, "DELETE", "/api/v1/models/other") == 404
    assert status(write, "PUT", "/api/v1/models/other/aliases/a", {"version": 1}) == 404
    assert status(write, "PUT", "/api/v1/models/other/versions", "x") == 404
    assert status(write, "POST", "/api/v1/jobs", {**QUICK, "model": "other"}) == 404
    assert status(write, "PUT", "/api/v1/models/quick/aliases/a", {"version": 1}) == 200
    listed = s.get("/api/v1/keys").body.decode()
    assert infer not in listed and admin["key"] not in listed and "hash" not in listed
    with open(s.log_path) as f:
        assert "mk_" not in f.read()
    s.stop()


# ---- uploads ----

@case
def a_blob_is_resumed_where_it_was_cut_off():
    s = with_iris()
    s.train(**QUICK)
    copy = os.urandom(300_000)
    digest = hashlib.sha256(copy).hexdigest()
    url = f"/api/v1/blobs/{digest}"
    half, n = len(copy) // 2, len(copy)
    r = s.put(url, copy[:half], headers={"Content-Range": f"bytes 0-{half - 1}/{n}"})
    assert r.status == 202 and r.json()["complete"] is False, r
    # A gap is refused, and says how far it came.
    assert s.put(url, copy[half + 1:], headers={"Content-Range": f"bytes {half + 1}-{n - 1}/{n}"}).status in (400, 409)
    at = s.get(url).json()["bytes"]
    assert at == half, at
    s.kill()
    s.start()
    assert s.get(url).json()["bytes"] == half
    r = s.put(url, copy[half:], headers={"Content-Range": f"bytes {half}-{n - 1}/{n}"})
    assert r.status == 201 and r.json()["complete"] is True, r
    model = s.get("/api/v1/models/quick/versions/1/artifact").body
    on_disk = hashlib.sha256(model).hexdigest()
    assert s.put(f"/api/v1/blobs/{on_disk}", model).status == 201
    v = s.need(201, "POST", "/api/v1/models/again/versions", {"files": {"model.onnx": on_disk, "notes.bin": digest}})
    assert v["version"] == 1 and v["files"]["notes.bin"] == digest
    assert s.get("/api/v1/models/again/versions/1/artifact?file=notes.bin").body == copy
    r = s.put(f"/api/v1/blobs/{'0' * 64}", b"other bytes")
    assert r.status in (400, 409, 422) and "0" * 8 not in r.json().get("sha256", ""), r
    s.stop()


@case
def upload_cut_off_leaves_nothing():
    s = Server()
    c = socket.create_connection(s.address.split(":"))
    c.sendall(b"PUT /api/v1/datasets/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\na,b\n1,2\n")
    time.sleep(0.2)
    c.close()
    assert s.get("/api/v1/datasets/t").status == 404
    s.stop()


@case
def a_slow_keyed_request_holds_up_no_other():
    s = Server()
    body = ("a,b\n" + "1.5,2.5\n" * 4_000_000).encode()
    first = []
    t = threading.Thread(target=lambda: first.append(s.put("/api/v1/datasets/long", body, headers={"Idempotency-Key": "slow"}, timeout=120)))
    t.start()
    until("the import to begin", lambda: len(s.children()) > 1)
    again = s.put("/api/v1/datasets/long", body, headers={"Idempotency-Key": "slow"}, timeout=120)
    assert again.status in (201, 409), again  # under way, or done by now
    for n in range(12):
        began = time.monotonic()
        s.need(201, "PUT", f"/api/v1/datasets/d{n}", "a,b\n1,2\n", headers={"Idempotency-Key": f"k{n}"})
        assert time.monotonic() - began < 2
    t.join()
    assert first[0].status == 201, first
    r = s.put("/api/v1/datasets/long", body, headers={"Idempotency-Key": "slow"}, timeout=120)
    assert r.status == 201 and r.json() == first[0].json()
    assert s.get("/api/v1/datasets/long").json()["version"] == 1
    s.stop()


@case
def two_publish_the_same_model_at_once():
    s = with_iris()
    s.train(**QUICK)
    files = []
    for seed in range(8):
        j = s.train(**{**QUICK, "model": f"m{seed}", "params": {"epochs": 2, "seed": seed}})
        files.append(s.get(f"/api/v1/models/m{seed}/versions/1/artifact").body)
    files = list(dict.fromkeys(files))
    answers = []

    def put(file):
        answers.append(s.put("/api/v1/models/both/versions", file))
    threads = [threading.Thread(target=put, args=(f,)) for f in files for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(a.status in (200, 201) for a in answers), answers
    made = sorted(a.json()["version"] for a in answers if a.status == 201)
    assert made == list(range(1, len(made) + 1)) and len(made) >= len(files), answers
    for a in answers:
        v = a.json()
        assert s.get(f"/api/v1/models/both/versions/{v['version']}").json()["files"] == v["files"]
    jobs = [s.need(202, "POST", "/api/v1/jobs", {**QUICK, "model": "race", "params": {"epochs": 3, "seed": n}, "resources": {"cores": 1}}) for n in range(4)]
    done = [s.wait_job(j["id"]) for j in jobs]
    versions = [j["result"]["version"] for j in done]
    assert all(j["state"] == "succeeded" for j in done) and sorted(set(versions)) == list(range(1, len(set(versions)) + 1)), versions
    s.stop()


# ---- jobs ----

@case
def a_job_is_cancelled_and_the_next_one_runs():
    s = with_iris()
    a = s.need(202, "POST", "/api/v1/jobs", {**SLOW, "resources": {"cores": 0}})
    b = s.need(202, "POST", "/api/v1/jobs", QUICK)
    until("the job to run", lambda: s.get(f"/api/v1/jobs/{a['id']}").json()["state"] == "running")
    waiting = until("a reason", lambda: s.get(f"/api/v1/jobs/{b['id']}").json().get("waiting_for"))
    assert "core" in waiting or "memory" in waiting, waiting
    began = time.monotonic()
    assert s.delete(f"/api/v1/jobs/{a['id']}").status == 202
    assert s.wait_job(a["id"], 20)["state"] == "cancelled"
    assert time.monotonic() - began < 5
    assert s.wait_job(b["id"])["state"] == "succeeded"
    assert s.delete(f"/api/v1/jobs/{a['id']}").status == 409
    c, d = s.need(202, "POST", "/api/v1/jobs", SLOW), s.need(202, "POST", "/api/v1/jobs", {**SLOW, "resources": {"cores": 0}})
    s.delete(f"/api/v1/jobs/{d['id']}")  # it waits
    assert s.wait_job(d["id"], 10)["state"] == "cancelled"
    s.delete(f"/api/v1/jobs/{c['id']}")
    assert s.wait_job(c["id"], 10)["state"] == "cancelled"
    s.stop()


def events(s, job):
    c = http.client.HTTPConnection(s.address, timeout=60)
    c.request("GET", f"/api/v1/jobs/{job}/events")
    r = c.getresponse()
    assert r.status == 200 and r.headers["Content-Type"].startswith("text/event-stream"), r.status
    text = r.read().decode()
    c.close()
    out = []
    for block in text.strip().split("\n\n"):
        event, data = block.split("\n")
        assert event == "event: job" and data.startswith("data: "), block
        out.append(json.loads(data[6:]))
    return out


@case
def events_tell_the_whole_story():
    s = with_iris()
    j = s.need(202, "POST", "/api/v1/jobs", {**QUICK, "params": {"epochs": 200, "seed": 1}})
    seen = events(s, j["id"])
    assert seen[-1]["state"] == "succeeded" and seen[-1]["result"]["version"] == 1, seen[-1]
    progress = [e["progress"] for e in seen]
    assert progress == sorted(progress) and progress[-1] == 1, progress
    assert len(events(s, j["id"])) == 1  # of an ended job: its end
    # Streams do not hold up the end of the server, nor a peer that left.
    slow = s.need(202, "POST", "/api/v1/jobs", SLOW)
    c = socket.create_connection(s.address.split(":"))
    c.sendall(f"GET /api/v1/jobs/{slow['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    time.sleep(0.3)
    gone = socket.create_connection(s.address.split(":"))
    gone.sendall(f"GET /api/v1/jobs/{slow['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    time.sleep(0.3)
    gone.close()
    began = time.monotonic()
    code, took = s.stop(), time.monotonic() - began
    assert code == 0 and took < 10, (code, took)
    c.close()


@case
def a_killed_worker_is_a_failed_job_and_a_healthy_server():
    s = with_iris()
    j = s.need(202, "POST", "/api/v1/jobs", SLOW)

    def worker():
        for pid in s.children():
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if b"worker" in f.read():
                    return pid
    pid = until("the worker", worker)
    until("the job to run", lambda: s.get(f"/api/v1/jobs/{j['id']}").json()["state"] == "running")
    for sig, words in ((signal.SIGKILL, "killed"), (signal.SIGSEGV, "crashed")):
        os.kill(pid, sig)
        ended = s.wait_job(j["id"], 20)
        assert ended["state"] == "failed" and words in ended["error"]["message"] and ended["result"] is None, ended
        j = s.need(202, "POST", "/api/v1/jobs", SLOW)
        pid = until("the worker", worker)
    s.delete(f"/api/v1/jobs/{j['id']}")
    s.wait_job(j["id"], 20)
    assert s.train(**QUICK)["state"] == "succeeded" and s.get("/readyz").status == 200
    assert b'maas_jobs_total{state="failed"} 2' in s.get("/metrics").body
    s.stop()


@case
def a_job_goes_on_after_the_server_was_killed():
    s = with_iris()
    j = s.need(202, "POST", "/api/v1/jobs", {**SLOW, "params": {**SLOW["params"], "epochs": 4000}})
    until("progress", lambda: s.get(f"/api/v1/jobs/{j['id']}").json()["progress"] > 0.02)
    children = s.children()
    s.kill()
    until("the children to end", lambda: not any(os.path.exists(f"/proc/{p}") and "State:\tZ" not in open(f"/proc/{p}/status").read() for p in children))
    s.start()
    ended = s.wait_job(j["id"], 60)
    assert ended["state"] == "succeeded" and ended["attempts"] == 2, (ended["state"], ended["attempts"], ended["error"])
    s.stop()


@case
def a_killed_importer_is_a_failed_upload():
    s = Server()
    big = ("a,b\n" + "1.5,2.5\n" * 4_000_000).encode()
    result = []
    t = threading.Thread(target=lambda: result.append(s.put("/api/v1/datasets/big", big)))
    t.start()
    helper = until("the helper", lambda: s.children()[:1])[0]

    def importer():
        with open(f"/proc/{helper}/task/{helper}/children") as f:
            return [int(p) for p in f.read().split()]
    os.kill(until("the importer", importer)[0], signal.SIGKILL)
    t.join()
    assert result[0].status in (422, 500, 503) and result[0].json()["error"]["message"], result
    assert s.get("/api/v1/datasets/big").status == 404
    assert s.put("/api/v1/datasets/small", "a,b\n1,2\n").status == 201
    s.stop()


@case
def a_killed_helper_is_said_and_serving_goes_on():
    s = with_iris()
    s.train(**QUICK)
    body = {"instances": [[1, 2]]}
    s.need(200, "POST", "/v1/models/quick:predict", body)
    os.kill(s.children()[0], signal.SIGKILL)
    time.sleep(0.2)
    r = s.put("/api/v1/datasets/t", "a,b\n1,2\n")
    assert r.status in (201, 503), r
    s.need(200, "POST", "/v1/models/quick:predict", body)
    assert s.stop() == 0


# ---- the disk is full ----

@case
def a_full_disk_is_said_and_nothing_is_lost():
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        print("SKIPPED disk full: needs root and mount namespaces")
        return
    data = tempfile.mkdtemp(prefix="maas-test-")
    # The server lives in a mount namespace of its own where its data directory is a small file system.
    prefix = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=6m none {data} && exec \"$@\"", "sh"]
    s = Server(data=data, prefix=prefix)
    try:
        s.need(201, "PUT", "/api/v1/datasets/iris", iris_like())
        s.train(**QUICK)
        before = s.get("/api/v1/models/quick/versions/1/artifact").body
        big = "a,b\n" + "".join(f"{i}.123456,{i * 7}.5\n" for i in range(400_000))
        r = s.put("/api/v1/datasets/big", big)
        assert r.status == 507 and "space" in r.json()["error"]["message"], r
        assert s.get("/api/v1/datasets/big").status == 404
        s.need(200, "POST", "/v1/models/quick:predict", {"instances": [[1, 2]]})
        assert s.get("/api/v1/models/quick/versions/1/artifact").body == before
        s.need(201, "PUT", "/api/v1/datasets/small", "a,b\n1,2\n")
        assert s.train(**{**QUICK, "model": "later"})["state"] == "succeeded"
    finally:
        s.stop()
        shutil.rmtree(data, ignore_errors=True)


# ---- the end ----

@case
def sigterm_lets_requests_finish():
    s = with_iris()
    s.train(**QUICK)
    head = b"POST /v1/models/quick:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    body = json.dumps({"instances": [[1, 2]] * 1000}).encode()
    c = socket.create_connection(s.address.split(":"))
    c.sendall(head % len(body) + body[:100])
    time.sleep(0.2)
    s.signal(signal.SIGTERM)
    time.sleep(0.3)
    c.sendall(body[100:])
    c.settimeout(10)
    got = b""
    while chunk := c.recv(65536):
        got += chunk
    assert got.startswith(b"HTTP/1.1 200") and got.count(b'"') > 2000, got[:300]
    assert s.stop() == 0
    try:
        socket.create_connection(s.address.split(":"), timeout=1)
        raise AssertionError("still listening")
    except OSError:
        pass


finish()
