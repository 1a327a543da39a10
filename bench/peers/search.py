"""A grid over n_estimators and max_depth with five folds: scikit-learn's GridSearchCV on all cores, then the same as a
search job of the server at URL. Prints `sklearn S ours S score_sklearn A score_ours A` (seconds).

    search.py URL"""
import io
import json
import os
import sys
import time
import urllib.request

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

URL, GRID = sys.argv[1], {"n_estimators": [50, 100, 200], "max_depth": [4, 8, 16]}
X, y = make_classification(5000, 20, n_informative=10, n_classes=3, random_state=1)
X = X.astype(np.float32)
began = time.perf_counter()
theirs = GridSearchCV(RandomForestClassifier(random_state=0), GRID, cv=5, n_jobs=os.cpu_count()).fit(X, y)
sklearn = time.perf_counter() - began


def call(method, path, body=None, headers=None):
    r = urllib.request.Request(URL + path, data=body, method=method, headers=headers or {})
    with urllib.request.urlopen(r, timeout=600) as answer:
        return json.loads(answer.read())


parts = b""
for key, v in [(f"f{i}", X[:, i]) for i in range(20)] + [("target", y.astype(np.int64))]:
    b = io.BytesIO()
    np.save(b, v)
    parts += f'--cut\r\nContent-Disposition: form-data; name="{key}"; filename="{key}.npy"\r\n\r\n'.encode()
    parts += b.getvalue() + b"\r\n"
call("PUT", "/api/v1/datasets/grid", parts + b"--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"})
began = time.perf_counter()
job = call("POST", "/api/v1/jobs", json.dumps({"kind": "search", "model": "grid", "dataset": "grid",
                                                "learner": "random_forest",
                                                "search": {"param_grid": GRID, "cv": 5}}).encode())
while job["state"] in ("queued", "running"):
    time.sleep(0.02)
    job = call("GET", f"/api/v1/jobs/{job['id']}")
assert job["state"] == "succeeded", job
ours = time.perf_counter() - began
print(f"sklearn {sklearn:.2f} ours {ours:.2f} score_sklearn {theirs.best_score_:.4f} "
      f"score_ours {job['result']['best_score']:.4f}")
