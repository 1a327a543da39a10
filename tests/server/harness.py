"""What the tests of a running server share: a server on a free port with its own data directory, a small
HTTP client, and the counting of cases. Standard library only."""
import atexit
import hashlib
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("MAAS_BINARY", os.path.join(ROOT, "build", "maas")))
counts = {"passed": 0, "failed": 0}
live = []


def check(name, condition, detail=""):
    """One case. `detail` is shown when it failed."""
    counts["passed" if condition else "failed"] += 1
    print(("ok " if condition else "not ok ") + name)
    if not condition and detail != "":
        print("  " + str(detail)[:2000])
    return bool(condition)


def case(fn):
    """Runs fn as one case: it fails by an exception."""
    name = fn.__name__
    try:
        fn()
    except Exception:
        check(name, False, traceback.format_exc(limit=-4))
    else:
        check(name, True)


def finish():
    for s in list(live):
        s.stop()
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(counts["failed"] > 0)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


class Server:
    """`maas serve` as a child of the test."""

    def __init__(self, *args, env=None, data=None, binary=BINARY, start=True, prefix=()):
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="maas-test-")
        self.args, self.env, self.binary, self.prefix = list(args), env or {}, binary, list(prefix)
        self.process = None
        self.log_path = self.data.rstrip("/") + ".log"
        self.ready_ms = None
        self.key = None
        live.append(self)
        if start:
            self.start()

    def start(self, timeout=30):
        env = {k: v for k, v in os.environ.items() if not k.startswith("MAAS_")}
        env.update(self.env)
        began = time.monotonic()
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.prefix + [self.binary, "serve", "--listen", "127.0.0.1:0", "--data", self.data, *self.args],
            stdout=subprocess.PIPE, stderr=self.log, env=env)
        readable, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline().decode() if readable else ""
        self.ready_ms = (time.monotonic() - began) * 1000
        if not line.startswith("listening on "):
            raise RuntimeError(f"the server did not start: {line!r} {self.log_text()[-2000:]}")
        self.url = line.split()[2]
        self.address = urllib.parse.urlsplit(self.url).netloc
        return self

    def log_text(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode(errors="replace")

    def signal(self, sig):
        self.process.send_signal(sig)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def stop(self, timeout=40):
        """SIGTERM and the exit status; a server that does not go is killed (and None)."""
        code = None
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        elif self.process:
            code = self.process.returncode
        if self in live:
            live.remove(self)
            if self.own_data:
                shutil.rmtree(self.data, ignore_errors=True)
                if os.path.exists(self.log_path):
                    os.unlink(self.log_path)
        return code

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])

    def children(self):
        """Pids of all descendants."""
        out, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as f:
                        found = [int(x) for x in f.read().split()]
                    out += found
                    todo += found
            except FileNotFoundError:
                pass
        return out

    def request(self, method, path, body=None, headers=None, timeout=60):
        c = http.client.HTTPConnection(self.address, timeout=timeout)
        h = dict(headers or {})
        if self.key and "Authorization" not in h:
            h["Authorization"] = "Bearer " + self.key
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            h.setdefault("Content-Type", "application/json")
        try:
            c.request(method, path, body, h)
            r = c.getresponse()
            return Reply(r.status, r.headers, r.read())
        finally:
            c.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    def delete(self, path, **kw):
        return self.request("DELETE", path, **kw)

    def need(self, status, method, path, body=None, **kw):
        """The request must be answered with that status; gives its JSON."""
        r = self.request(method, path, body, **kw)
        if r.status != status:
            raise AssertionError(f"{method} {path}: wanted {status}, got {r}")
        return r.json() if r.body else None

    def blob(self, body):
        """Kept under its digest, which is given back."""
        digest = hashlib.sha256(body).hexdigest()
        r = self.put(f"/api/v1/blobs/{digest}", body)
        if r.status not in (200, 201):
            raise AssertionError(f"blob: {r}")
        return digest

    def wait_job(self, job, timeout=120, states=("succeeded", "failed", "cancelled")):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            j = self.need(200, "GET", f"/api/v1/jobs/{job}")
            if j["state"] in states:
                return j
            time.sleep(0.05)
        raise AssertionError(f"job {job} is still {j}")

    def train(self, **spec):
        """A job to its end; it must succeed. Gives the job."""
        spec.setdefault("kind", "train")
        job = self.need(202, "POST", "/api/v1/jobs", spec)
        j = self.wait_job(job["id"])
        assert j["state"] == "succeeded", j
        return j


@atexit.register
def _reap():
    for s in list(live):
        if s.process and s.process.poll() is None:
            s.process.kill()


def iris_like(n=300, seed=1):
    """A small table of two numbers and a class that follows from them, as CSV."""
    state = seed
    rows = ["a,b,kind"]
    for _ in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        a = (state >> 33) / 2**31 * 4 - 2
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        b = (state >> 33) / 2**31 * 4 - 2
        rows.append(f"{a:.4f},{b:.4f},{'yes' if a + b > 0 else 'no'}")
    return "\n".join(rows) + "\n"
