"""`kind: search` against scikit-learn's GridSearchCV: the same folds, scores that agree within noise, a leaderboard
while it runs; a search that is cancelled stops, and one whose server is killed goes on without repeating its fits."""
import io
import json
import os
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "server"))
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harness import Server, case, check, finish

server = Server()


def upload(name, X, y):
    def npy(a):
        b = io.BytesIO()
        np.save(b, a)
        return b.getvalue()
    boundary = "parts"
    body = b""
    columns = {f"f{i}": X[:, i] for i in range(X.shape[1])}
    columns["target"] = y
    for key, v in columns.items():
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"; filename="{key}.npy"\r\n\r\n').encode()
        body += npy(v) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    server.need(201, "PUT", f"/api/v1/datasets/{name}", body,
                headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})


def start(model, dataset, learner, search, params=None):
    return server.need(202, "POST", "/api/v1/jobs", {"kind": "search", "model": model, "dataset": dataset,
                                                      "learner": learner, "params": params or {},
                                                      "search": search})["id"]


X, y = load_breast_cancer(return_X_y=True)
upload("cancer", X, y.astype(np.int64))


def scores_agree_with_grid_search_cv():
    cv = StratifiedKFold(5, shuffle=True, random_state=3)
    theirs = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
                          {"logisticregression__C": [0.01, 1.0]}, cv=cv, scoring="accuracy").fit(X, y)
    job = server.wait_job(start("cancer", "cancer", "logistic_regression",
                                {"param_grid": {"epochs": [2, 60]}, "scoring": "accuracy",
                                 "cv": {"folds": 5, "shuffle": True, "seed": 3}}))
    assert job["state"] == "succeeded", job
    r = job["result"]
    assert r["best_params"] == {"epochs": 60} and r["scoring"] == "accuracy" and r["n_splits"] == 5, r
    assert len(r["trials"]) == 2 and r["trials"][0]["rank_test_score"] == 1
    assert abs(r["best_score"] - theirs.best_score_) < 0.02, (r["best_score"], theirs.best_score_)
    # The same folds: a fold that is hard for one is hard for the other.
    ours = r["trials"][0]["split_test_scores"]
    best = [theirs.cv_results_[f"split{k}_test_score"][theirs.best_index_] for k in range(5)]
    assert max(abs(a - b) for a, b in zip(ours, best)) < 0.045, (ours, best)
    assert abs(np.mean(ours) - r["best_score"]) < 1e-12
    v = server.need(200, "GET", f"/api/v1/models/cancer/versions/{r['version']}")
    assert v["lineage"]["best_params"] == {"epochs": 60}, v["lineage"]
    answer = server.need(200, "POST", "/v1/models/cancer:predict", {"instances": X[:20].tolist()})
    assert len(answer["predictions"]) == 20


def a_grid_of_forests_agrees():
    grid = {"n_estimators": [10, 40], "max_depth": [2, 8]}
    theirs = GridSearchCV(RandomForestClassifier(random_state=0), grid, cv=5).fit(X, y)
    job = server.wait_job(start("grid", "cancer", "random_forest", {"param_grid": grid, "cv": 5}))
    assert job["state"] == "succeeded", job
    trials = job["result"]["trials"]
    ours = {json.dumps(t["params"], sort_keys=True): t["mean_test_score"] for t in trials}
    for params, score in zip(theirs.cv_results_["params"], theirs.cv_results_["mean_test_score"]):
        got = ours[json.dumps({k: int(v) for k, v in params.items()}, sort_keys=True)]
        assert abs(got - score) < 0.02, (params, got, score)


def auto_reports_a_leaderboard():
    job = server.train(model="best", dataset="cancer", learner="auto",
                       params={"time_budget": 8, "cv": 3, "learners": ["logistic_regression", "random_forest", "knn"]})
    r = job["result"]
    board = [t for t in r["trials"] if t["mean_test_score"] is not None]
    assert board[0]["mean_test_score"] > 0.93 and r["best_learner"] == board[0]["learner"], board[0]
    assert {"logistic_regression", "random_forest", "knn"} <= {t["learner"] for t in r["trials"]}
    assert all(t["model_bytes"] > 0 and t["mean_fit_time"] > 0 for t in board)
    answer = server.need(200, "POST", "/v1/models/best:predict", {"instances": X[:20].tolist()})
    assert np.mean(np.array(answer["predictions"]) == y[:20]) > 0.8


def columns_are_weighed():
    A, b = load_diabetes(return_X_y=True)
    upload("weighed", A, b)
    job = server.train(model="weighed", dataset="weighed", learner="random_forest",
                       params={"n_estimators": 60, "seed": 1}, importances={"repeats": 10, "rows": 442})
    v = server.need(200, "GET", f"/api/v1/models/weighed/versions/{job['result']['version']}")
    got = v["metrics"]["permutation_importance"]
    assert got["scoring"] == "r2" and got["rows"] == 442 and len(got["columns"]) == 10, got
    model = RandomForestRegressor(n_estimators=60, random_state=1).fit(A, b)
    theirs = permutation_importance(model, A, b, n_repeats=10, random_state=0)
    means = {c["name"]: c["mean"] for c in got["columns"]}
    ours = np.array([means[f"f{i}"] for i in range(10)])
    assert np.abs(ours - theirs.importances_mean).max() < 0.08, (ours, theirs.importances_mean)
    assert ours.argmax() in theirs.importances_mean.argsort()[-2:]  # bmi and s5 are close
    assert [c["mean"] for c in got["columns"]] == sorted(ours, reverse=True)


def regression_is_scored_by_r2():
    A, b = load_diabetes(return_X_y=True)
    upload("diabetes", A, b)
    job = server.wait_job(start("diabetes", "diabetes", "linear_regression", {"param_grid": {"epochs": [40]}, "cv": 4}))
    assert job["state"] == "succeeded", job
    theirs = GridSearchCV(make_pipeline(StandardScaler(), Ridge(alpha=1e-3)), {}, cv=4).fit(A, b)
    assert job["result"]["scoring"] == "r2"
    assert abs(job["result"]["best_score"] - theirs.best_score_) < 0.03, (job["result"]["best_score"],
                                                                        theirs.best_score_)


def the_leaderboard_is_live():
    job = start("live", "cancer", "logistic_regression",
                {"distributions": {"l2": {"loguniform": [1e-5, 1]}, "epochs": {"randint": [20, 60]}}, "n_iter": 12,
                 "seed": 1, "cv": 5})
    boards = []
    with urllib.request.urlopen(f"{server.url}/api/v1/jobs/{job}/events", timeout=60) as events:
        for line in events:
            if line.startswith(b"data: "):
                j = json.loads(line[6:])
                board = (j.get("metrics") or {}).get("leaderboard") if j["state"] == "running" else None
                if board:
                    boards.append(board)
    assert boards and boards[-1][0]["mean_test_score"] >= boards[0][0]["mean_test_score"], len(boards)
    assert len(server.wait_job(job)["result"]["trials"]) == 12


def a_running_search_can_be_cancelled():
    job = start("never", "cancer", "logistic_regression", {"param_grid": {"epochs": [20000] * 4}, "cv": 5})
    while server.need(200, "GET", f"/api/v1/jobs/{job}")["state"] == "queued":
        time.sleep(0.05)
    server.need(202, "DELETE", f"/api/v1/jobs/{job}")
    assert server.wait_job(job)["state"] == "cancelled"


def fits_done(job):
    j = server.need(200, "GET", f"/api/v1/jobs/{job}")
    assert j["state"] in ("queued", "running"), j
    return (j.get("metrics") or {}).get("fits_done", 0)


def a_killed_server_goes_on_with_the_search():
    job = start("survivor", "cancer", "logistic_regression",
                {"param_grid": {"epochs": [6000 + i for i in range(40)]}, "cv": 5}, {"batch_size": 8})
    began = time.monotonic()
    while fits_done(job) < 8 or time.monotonic() < began + 11:  # a checkpoint is kept every five seconds
        time.sleep(0.1)
    server.kill()
    server.start()
    while (first := fits_done(job)) == 0:
        time.sleep(0.02)
    assert first >= 3, first  # the first word of a fresh start would be of one fit, or of two
    server.need(202, "DELETE", f"/api/v1/jobs/{job}")
    assert server.wait_job(job)["state"] == "cancelled"


def wrong_requests_are_named():
    for body, words in (({"param_grid": {"epoch": [1]}}, "epoch"), ({}, "param_grid"),
                        ({"param_grid": {"epochs": [1]}, "cv": {"folds": 1}}, "folds")):
        r = server.post("/api/v1/jobs", {"kind": "search", "model": "m", "dataset": "cancer",
                                         "learner": "logistic_regression", "search": body})
        assert r.status == 400 and words in r.body.decode(), r
    r = server.post("/api/v1/jobs", {"kind": "search", "model": "m", "dataset": "cancer",
                                     "learner": "logistic_regression"})
    assert r.status == 400 and "'search' is missing" in r.body.decode(), r
    r = server.post("/api/v1/jobs", {"kind": "train", "model": "m", "dataset": "cancer",
                                     "learner": "logistic_regression", "search": {}})
    assert r.status == 400 and "kind" in r.body.decode(), r


for fn in (scores_agree_with_grid_search_cv, a_grid_of_forests_agrees, columns_are_weighed, auto_reports_a_leaderboard, regression_is_scored_by_r2, the_leaderboard_is_live,
           a_running_search_can_be_cancelled, a_killed_server_goes_on_with_the_search, wrong_requests_are_named):
    case(fn)
finish()
