"""Recommenders from positives alone, over the API: rows are drawn from known chances, so the best possible ranking is
known, too; NDCG is scikit-learn's; ONNX Runtime gives the scores and vectors that we serve."""
import io
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
sys.path.insert(0, os.path.join(HERE, "makers"))
import numpy as np
import onnxruntime as ort
from sklearn import metrics

from harness import Server, case, finish
from run import infer

USERS, ITEMS, ROWS, RANK, OTHERS = 60, 200, 24000, 3, 99
rng = np.random.default_rng(12)
server = Server()


def upload(name, columns):
    body = b""
    for key, v in columns.items():
        b = io.BytesIO()
        np.save(b, v)
        body += f'--parts\r\nContent-Disposition: form-data; name="{key}"; filename="{key}.npy"\r\n\r\n'.encode()
        body += b.getvalue() + b"\r\n"
    server.need(201, "PUT", f"/api/v1/datasets/{name}", body + b"--parts--\r\n",
                headers={"Content-Type": "multipart/form-data; boundary=parts"})


# Affinities of low rank and a bias an item; what a user takes is drawn from their softmax.
bias = rng.normal(size=ITEMS)
affinity = 1.2 * rng.normal(size=(USERS, RANK)) @ rng.normal(size=(RANK, ITEMS)) + 0.5 * bias
chance = np.exp(affinity)
chance /= chance.sum(1, keepdims=True)


def draw(n):
    user = rng.integers(0, USERS, n)
    return user, (chance.cumsum(1)[user] < rng.random((n, 1))).sum(1).clip(0, ITEMS - 1)


def columns(user, item):
    return {"user": user.astype(np.int64), "item": item.astype(np.int64), "price": bias[item].astype(np.float32)}


user, item = draw(ROWS)
upload("bought", columns(user, item) | {"bought": np.ones(ROWS, np.int64)})
seen = np.zeros((USERS, ITEMS), bool)
seen[user, item] = True
COMMON = {"categories": ["user", "item"], "towers": {"query": ["user"]}, "validation": 0.04, "batch_size": 256, "seed": 1,
          "epochs": 8, "optimizer": {"type": "adam", "lr": 0.004}}


class Model:
    def __init__(self, name, dataset, target, **params):
        self.name = name
        job = server.train(model=name, dataset=dataset, target=target, learner="network", params={**COMMON, **params})
        self.metrics = job["metrics"]
        self.file = server.get(f"/api/v1/models/{name}/versions/1/artifact").body
        self.session = ort.InferenceSession(self.file, providers=["CPUExecutionProvider"])

    def run(self, user, item):
        feed = {k: v.reshape(-1, 1) for k, v in columns(user, item).items()}
        return dict(zip([o.name for o in self.session.get_outputs()], self.session.run(None, feed)))

    def score(self, user, item):
        return self.run(user, item)["probabilities"][:, 1]


def rankings(n):
    """Fresh rows of the same chances: each before 99 items that its user has not taken."""
    users, items = draw(n)
    lists = []
    for u, i in zip(users, items):
        free = np.flatnonzero(~seen[u])
        lists.append(np.r_[i, rng.choice(free[free != i], min(OTHERS, (free != i).sum()), replace=False)])
    return users, lists


def mean_ndcg(users, lists, score):
    sizes = [len(x) for x in lists]
    z = np.split(score(np.repeat(users, sizes), np.concatenate(lists)), np.cumsum(sizes)[:-1])
    return np.mean([metrics.ndcg_score([np.eye(1, len(s))[0]], [s], k=10) for s in z])


@case
def the_ranking_is_within_0_03_of_the_best_there_is():
    users, lists = rankings(600)
    best = mean_ndcg(users, lists, lambda u, i: affinity[u, i])
    pu, pi = draw(4000)
    nu, ni = rng.integers(0, USERS, 4000), rng.integers(0, ITEMS, 4000)
    truth, au, ai = np.r_[np.ones(4000), np.zeros(4000)], np.r_[pu, nu], np.r_[pi, ni]
    best_auc = metrics.roc_auc_score(truth, affinity[au, ai])
    for layers in ("two_tower", "deepfm"):
        m = Model(layers, "bought", "bought", layers=layers, negatives=4, negatives_from="candidates")
        ndcg, auc = mean_ndcg(users, lists, m.score), metrics.roc_auc_score(truth, m.score(au, ai))
        assert ndcg > best - 0.03, (layers, ndcg, best)
        assert auc > best_auc - 0.02, (layers, auc, best_auc)
        assert abs(m.metrics["val_ndcg"] - ndcg) < 0.05, (layers, m.metrics["val_ndcg"], ndcg)
        assert 0 < m.metrics["val_loss"] < 0.5 and 0.5 < m.metrics["val_auc"] <= 1, m.metrics


@case
def onnx_runtime_gives_the_scores_and_vectors_that_we_serve():
    m = Model("vectors", "bought", "bought", layers="two_tower", negatives=2, epochs=1)
    u, i = user[:500], item[:500]
    theirs, ours = m.run(u, i), infer(server, "vectors", {k: v.reshape(-1, 1) for k, v in columns(u, i).items()})
    assert set(ours) == set(theirs) == {"label", "probabilities", "query_vector", "candidate_vector"}, sorted(theirs)
    assert (ours["label"] == theirs["label"]).mean() > 0.99
    for key in ("probabilities", "query_vector", "candidate_vector"):
        assert np.allclose(ours[key], theirs[key], rtol=1e-5, atol=1e-5), (key, np.abs(ours[key] - theirs[key]).max())
    # An index of candidates: their vectors do not know the query, and products rank as scores do.
    assert (m.run(np.zeros_like(u), i)["candidate_vector"] == theirs["candidate_vector"]).all()
    every = m.run(np.zeros(ITEMS, int), np.arange(ITEMS))["candidate_vector"]
    for a in range(5):
        all_of_one = m.run(np.full(ITEMS, a), np.arange(ITEMS))
        products = every @ all_of_one["query_vector"][0]
        assert metrics.roc_auc_score(all_of_one["probabilities"][:, 1] > np.median(all_of_one["probabilities"][:, 1]),
                                     products) == 1.0


@case
def ndcg_of_graded_rows_is_that_of_scikit_learn():
    pairs = rng.permutation(USERS * ITEMS)[:4000]
    u, i = pairs // ITEMS, pairs % ITEMS
    stars = np.clip(np.round(2.5 + affinity[u, i] / 2 + rng.normal(size=4000) / 2), 0, 5).astype(np.float32)
    upload("stars", columns(u, i) | {"stars": stars})
    for at in (3, 10):
        m = Model(f"stars{at}", "stars", "stars", layers="two_tower", shuffle=False, validation=0.25, epochs=3, ndcg_at=at)
        u_, i_, stars_ = u[3000:], i[3000:], stars[3000:]
        value = m.run(u_, i_)["value"]
        groups = [np.flatnonzero(u_ == a) for a in range(USERS)]
        want = np.mean([metrics.ndcg_score([stars_[g]], [value[g]], k=at) for g in groups if len(set(stars_[g])) > 1])
        assert abs(m.metrics["val_ndcg"] - want) < 1e-6, (at, m.metrics["val_ndcg"], want)


finish()
