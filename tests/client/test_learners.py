"""Every classical learner through the API on the data sets that come with scikit-learn: the same optimum as
scikit-learn where there is one, scores within noise where there is luck, and ONNX Runtime agrees with what we serve."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
sys.path.insert(0, os.path.join(HERE, "makers"))
import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from sklearn import cluster, datasets, decomposition, linear_model, metrics, mixture, naive_bayes, neighbors, svm
from sklearn.preprocessing import StandardScaler

from harness import Server, case, finish
from tables import add_columns
from run import infer

server = Server()


def upload(name, columns):
    add_columns(server, name, columns)


def load(name, loader):
    X, y = loader(return_X_y=True)
    y = y.astype(np.float64 if loader is datasets.load_diabetes else np.int64)
    upload(name, {f"f{i}": X[:, i] for i in range(X.shape[1])} | {"target": y})
    upload(name + "_x", {f"f{i}": X[:, i] for i in range(X.shape[1])})
    return X, y


iris = load("iris", datasets.load_iris)
wine = load("wine", datasets.load_wine)
cancer = load("cancer", datasets.load_breast_cancer)
diabetes = load("diabetes", datasets.load_diabetes)
digits = load("digits", datasets.load_digits)
DATA = {"iris": iris, "wine": wine, "cancer": cancer, "diabetes": diabetes, "digits": digits}
Z = {k: StandardScaler().fit_transform(X) for k, (X, _) in DATA.items()}
count = 0


class Trained:
    """A model, its metrics, its answers for all rows from the server, and from ONNX Runtime."""

    def __init__(self, data, learner, params=None, target=True):
        global count
        count += 1
        name = f"m{count}"
        X, _ = DATA[data.removesuffix("_x")]
        spec = {"target": "target"} if target else {}
        job = server.train(model=name, dataset=data, learner=learner, params=params or {}, **spec)
        self.metrics = job["metrics"]
        x = X.astype(np.float32)
        self.out = infer(server, name, {"x": x})
        self.file = server.get(f"/api/v1/models/{name}/versions/1/artifact").body
        s = ort.InferenceSession(self.file, providers=["CPUExecutionProvider"])
        for key, v in zip([o.name for o in s.get_outputs()], s.run(None, {"x": x})):
            ours = self.out[key]
            assert ours.shape == v.shape, (key, ours.shape, v.shape)
            if v.dtype.kind in "iu":
                assert (ours == v).mean() > 0.999, (learner, key, (ours != v).sum())
            else:
                assert np.allclose(ours, v, rtol=1e-5, atol=1e-5 * max(1, np.abs(v).max())), (
                    learner, key, np.abs(ours - v).max())
        self.constants = {i.name: numpy_helper.to_array(i) for i in onnx.load_from_string(self.file).graph.initializer}
        again = server.train(model=name, dataset=data, learner=learner, params=params or {}, **spec)
        assert server.get(f"/api/v1/models/{name}/versions/2/artifact").status == 404 or \
            server.get(f"/api/v1/models/{name}/versions/2/artifact").body == self.file, "another file from the same job"

    def line(self):
        """coefficients of the prepared inputs, and the intercept"""
        w, b = self.constants["layers.0.weight"].astype(float), self.constants["layers.0.bias"].astype(float)
        if "input.target_scale" in self.constants:
            w = w * self.constants["input.target_scale"]
            b = b * self.constants["input.target_scale"] + self.constants["input.target_shift"]
        return w.T, b


def near(got, want, tol, what=""):
    got, want = np.asarray(got, float).reshape(np.shape(want)), np.asarray(want, float)
    worst = np.abs(got - want).max() / max(1, np.abs(want).max())
    assert worst <= tol, f"{what}: off by {worst:.3g}"


@case
def linear_models_have_the_coefficients_of_scikit_learn():
    for name, params, theirs in (
            ("linear_regression", {}, linear_model.LinearRegression()),
            ("ridge", {"alpha": 3.0}, linear_model.Ridge(alpha=3.0)),
            ("lasso", {"alpha": 1.5, "tol": 1e-10}, linear_model.Lasso(alpha=1.5, tol=1e-10)),
            ("elastic_net", {"alpha": 0.5, "l1_ratio": 0.3, "tol": 1e-10},
             linear_model.ElasticNet(alpha=0.5, l1_ratio=0.3, tol=1e-10)),
            ("elastic_net", {"alpha": 0.5, "positive": True, "tol": 1e-10},
             linear_model.ElasticNet(alpha=0.5, positive=True, tol=1e-10))):
        for scaling, x in (("none", diabetes[0]), ("standard", Z["diabetes"])):
            theirs.fit(x, diabetes[1])
            ours = Trained("diabetes", name, {**params, "scaling": scaling})
            w, b = ours.line()
            near(w[0], theirs.coef_, 1e-4, f"{name} {scaling} coefficients")
            near(b, [theirs.intercept_], 1e-4, f"{name} intercept")
            near(ours.out["value"], theirs.predict(x), 1e-4, f"{name} values")
            near(ours.metrics["r2"], theirs.score(x, diabetes[1]), 1e-4, f"{name} r2")


@case
def logistic_regression_has_the_optimum_of_scikit_learn():
    for data, params, theirs in (
            ("iris", {}, {}), ("iris", {"C": 0.1}, {"C": 0.1}), ("cancer", {}, {}), ("wine", {"C": 10}, {"C": 10}),
            ("cancer", {"class_weight": "balanced"}, {"class_weight": "balanced"}),
            ("cancer", {"penalty": "l1", "C": 0.5}, {"l1_ratio": 1, "C": 0.5, "solver": "saga"}),
            ("iris", {"penalty": "elasticnet", "l1_ratio": 0.4}, {"l1_ratio": 0.4, "solver": "saga"})):
        m = linear_model.LogisticRegression(max_iter=100000, tol=1e-8, **theirs).fit(Z[data], DATA[data][1])
        ours = Trained(data, "logistic_regression", {**params, "tol": 1e-8})
        assert ours.metrics["converged"], ours.metrics
        w, b = ours.line()
        near(w, m.coef_, 1e-3 if "solver" in theirs else 1e-4, f"logistic {data} {params} coefficients")
        near(ours.out["probabilities"], m.predict_proba(Z[data]), 1e-4, f"logistic {data} {params}")
        near(ours.metrics["log_loss"], metrics.log_loss(DATA[data][1], m.predict_proba(Z[data])), 1e-4)


@case
def gradients_still_work_and_go_on_from_an_exact_model():
    ours = Trained("iris", "logistic_regression", {"solver": "sgd", "epochs": 60, "seed": 1})
    assert "epochs" in ours.metrics and ours.metrics["accuracy"] > 0.93
    server.train(model="exact", dataset="diabetes", target="target", learner="linear_regression")
    j = server.train(kind="update", model="exact", dataset="diabetes", target="target", params={"epochs": 3})
    assert j["metrics"]["r2"] > 0.5, j["metrics"]


@case
def bayes_and_neighbours_say_what_scikit_learn_says():
    for data, learner, params, theirs in (
            ("iris", "naive_bayes", {}, naive_bayes.GaussianNB()),
            ("wine", "naive_bayes", {"scaling": "none"}, naive_bayes.GaussianNB()),
            ("digits", "naive_bayes", {"distribution": "multinomial"}, naive_bayes.MultinomialNB()),
            ("digits", "naive_bayes", {"distribution": "bernoulli", "binarize": 7}, naive_bayes.BernoulliNB(binarize=7)),
            ("iris", "knn", {"scaling": "none"}, neighbors.KNeighborsClassifier()),
            ("digits", "knn", {"scaling": "none", "n_neighbors": 3, "weights": "distance"},
             neighbors.KNeighborsClassifier(3, weights="distance")),
            ("wine", "knn", {"metric": "manhattan"}, neighbors.KNeighborsClassifier(metric="manhattan")),
            ("wine", "knn", {"metric": "cosine"}, neighbors.KNeighborsClassifier(metric="cosine")),
            ("wine", "knn", {"metric": "chebyshev"}, neighbors.KNeighborsClassifier(metric="chebyshev")),
            ("wine", "knn", {"p": 3}, neighbors.KNeighborsClassifier(p=3))):
        x = Z[data] if learner == "knn" and "scaling" not in params else DATA[data][0]
        m = theirs.fit(x, DATA[data][1])
        ours = Trained(data, learner, params)
        p = m.predict_proba(x)
        off = np.abs(ours.out["probabilities"] - p).max(axis=1)
        assert (off < 1e-3).mean() > (0.99 if learner == "knn" else 0.999), (learner, data, params, off.max())
        near(ours.metrics["accuracy"], m.score(x, DATA[data][1]), 0.006, f"{learner} {data} {params}")
    for params, m in (({}, neighbors.KNeighborsRegressor()),
                      ({"weights": "distance"}, neighbors.KNeighborsRegressor(weights="distance"))):
        ours = Trained("diabetes", "knn", params)
        want = m.fit(Z["diabetes"], diabetes[1]).predict(Z["diabetes"])
        assert np.isclose(ours.out["value"], want, rtol=1e-3).mean() > 0.99


@case
def support_vectors_are_those_of_libsvm():
    for data, params, m in (
            ("iris", {}, svm.SVC()), ("cancer", {}, svm.SVC()), ("wine", {"kernel": "linear", "C": 0.5}, svm.SVC(kernel="linear", C=0.5)),
            ("wine", {"kernel": "poly", "degree": 2, "coef0": 1, "gamma": 0.1}, svm.SVC(kernel="poly", degree=2, coef0=1, gamma=0.1)),
            ("cancer", {"kernel": "sigmoid", "gamma": "auto"}, svm.SVC(kernel="sigmoid", gamma="auto")),
            ("cancer", {"class_weight": "balanced"}, svm.SVC(class_weight="balanced")),
            ("iris", {"nu": 0.3}, svm.NuSVC(nu=0.3)), ("digits", {}, svm.SVC())):
        y = DATA[data][1]
        want, ours = m.fit(Z[data], y).predict(Z[data]), Trained(data, "svm", params)
        assert (ours.out["label"] == want).mean() > 0.995, (data, params, (ours.out["label"] != want).sum())
        assert abs(ours.metrics["support_vectors"] - m.n_support_.sum()) <= 0.02 * m.n_support_.sum() + 1
        near(ours.metrics["accuracy"], m.score(Z[data], y), 0.005)
        if len(m.classes_) == 2:
            assert ours.out["scores"].shape == (len(y), 1)
            near(ours.out["scores"], m.decision_function(Z[data]), 1e-2, f"{data} {params} scores")
    for data in ("iris", "cancer"):
        ours = Trained(data, "svm", {"probability": True})
        near(ours.out["probabilities"].sum(axis=1), np.ones(len(DATA[data][1])), 1e-5)
        assert ours.metrics["log_loss"] < 0.15 and ours.metrics["auc"] > 0.99, ours.metrics
    for params, m in (({"C": 10}, svm.SVR(C=10)), ({"kernel": "linear", "epsilon": 5}, svm.SVR(kernel="linear", epsilon=5)),
                      ({"nu": 0.4, "C": 10}, svm.NuSVR(nu=0.4, C=10))):
        want, ours = m.fit(Z["diabetes"], diabetes[1]).predict(Z["diabetes"]), Trained("diabetes", "svm", params)
        near(ours.out["value"], want, 2e-3, f"svr {params}")


@case
def clusters_are_as_good_as_those_of_scikit_learn():
    for data, k in (("iris", 3), ("digits", 10), ("wine", 3)):
        want = cluster.KMeans(k, n_init=10, random_state=0).fit(Z[data])
        for target in (True, False):
            ours = Trained(data if target else data + "_x", "kmeans", {"n_clusters": k, "n_init": 10}, target)
            assert ours.metrics["inertia"] <= want.inertia_ * 1.01, (data, ours.metrics["inertia"], want.inertia_)
            assert metrics.adjusted_rand_score(ours.out["label"], ours.out["distances"].argmin(axis=1)) == 1
            near((ours.out["distances"].min(axis=1) ** 2).sum(), ours.metrics["inertia"], 1e-3, "inertia")
            near(ours.metrics["silhouette"], metrics.silhouette_score(Z[data], ours.out["label"]), 1e-3, "silhouette")
        mini = Trained(data, "kmeans", {"n_clusters": k, "algorithm": "mini_batch", "batch_size": 256})
        assert mini.metrics["inertia"] < want.inertia_ * 1.2, (data, mini.metrics["inertia"], want.inertia_)
    for data, eps in (("iris", 0.6), ("wine", 2.3), ("digits", 4.5)):
        want = cluster.DBSCAN(eps=eps).fit_predict(Z[data])
        ours = Trained(data, "dbscan", {"eps": eps})
        assert metrics.adjusted_rand_score(ours.metrics["labels"], want) > 0.999, data
        core = np.zeros(len(want), bool)
        core[cluster.DBSCAN(eps=eps).fit(Z[data]).core_sample_indices_] = True
        assert (ours.out["label"][core] == np.array(ours.metrics["labels"])[core]).all(), data
        assert ((ours.out["label"] == -1) == (want == -1)).mean() > 0.999, data
    for how in ("full", "tied", "diag", "spherical"):
        want = mixture.GaussianMixture(3, covariance_type=how, n_init=3, tol=1e-6, max_iter=500, random_state=0).fit(Z["iris"])
        ours = Trained("iris", "gaussian_mixture", {"n_components": 3, "covariance_type": how, "n_init": 3, "tol": 1e-6,
                                                    "max_iter": 500})
        assert ours.metrics["log_likelihood"] > want.score(Z["iris"]) - 0.02, (how, ours.metrics, want.score(Z["iris"]))
        near(ours.out["probabilities"].sum(axis=1), np.ones(150), 1e-5)


@case
def components_are_those_of_scikit_learn_up_to_sign():
    for data, params, m, x in (
            ("iris", {"n_components": 2}, decomposition.PCA(2), "z"),
            ("wine", {"n_components": 0.9}, decomposition.PCA(0.9), "z"),
            ("cancer", {"n_components": 5, "whiten": True, "scaling": "none"}, decomposition.PCA(5, whiten=True), "x"),
            ("wine", {}, decomposition.PCA(), "z")):
        X = Z[data] if x == "z" else DATA[data][0]
        want, ours = m.fit_transform(X), Trained(data, "pca", params)
        got = ours.out["transformed"]
        assert got.shape == want.shape, (data, got.shape, want.shape)
        near(np.abs(got), np.abs(want), 1e-3, f"pca {data}")
        near(ours.metrics["explained_variance_ratio"], m.explained_variance_ratio_, 1e-6)
    m = decomposition.TruncatedSVD(4, algorithm="arpack")
    want, ours = m.fit_transform(digits[0]), Trained("digits_x", "truncated_svd", {"n_components": 4}, False)
    near(np.abs(ours.out["transformed"]), np.abs(want), 1e-3, "truncated_svd")
    near(ours.metrics["explained_variance_ratio"], m.explained_variance_ratio_, 1e-6)

def upload_csv(name, columns):
    rows = ["\t".join(columns)] + ["\t".join("" if v is None else str(v) for v in r) for r in zip(*columns.values())]
    server.need(201, "PUT", f"/api/v1/datasets/{name}?format=csv&delimiter=%09", ("\n".join(rows) + "\n").encode(),
                headers={"Content-Type": "text/csv"})


def ask(name, columns):
    n = len(next(iter(columns.values())))
    feeds = {}
    for key, v in columns.items():
        if isinstance(v[0], str):
            feeds[key] = np.array(v, dtype=object).reshape(n, 1)
        else:
            feeds[key] = np.array([np.nan if x is None else x for x in v], np.float32).reshape(n, 1)
    return infer(server, name, feeds)


@case
def preparation_is_part_of_the_model():
    r = np.random.default_rng(5)
    n = 400
    cities = ["Oslo", "Rome", "Bonn", "Lima"]
    city = [cities[i] for i in r.integers(0, 4, n)]
    day = [str(np.datetime64("2020-01-01") + int(d)) for d in r.integers(0, 1500, n)]
    note = [" ".join(r.choice(["fast", "slow", "cheap", "dear", "good", "bad"], 4)) for _ in range(n)]
    size = [None if i % 10 == 0 else float(v) for i, v in enumerate(r.normal(5, 2, n).round(3))]
    y = [float({"Oslo": 3, "Rome": -2, "Bonn": 0, "Lima": 8}[c] + (5 if "good" in t else 0) + int(d[5:7]) / 3 + (s or 5))
         for c, d, t, s in zip(city, day, note, size)]
    inputs = {"city": city, "day": day, "note": note, "size": size}
    upload_csv("prep", inputs | {"y": y})
    for way, least in (("target", 0.9), ("onehot", 0.9), ("ordinal", 0.3), ("hashing", 0.85)):
        job = server.train(model="prep_" + way, dataset="prep", target="y", learner="ridge", params={
            "validation": 0.25, "alpha": 0.1,
            "preparation": {"impute": "median", "columns": {"note": "tfidf", "city": way}}})
        assert job["metrics"]["val_r2"] > least, (way, job["metrics"])
        out = ask("prep_" + way, {**inputs})["value"]
        assert np.isfinite(out).all() and np.corrcoef(out, y)[0, 1] > least ** 0.5, way
        out = ask("prep_" + way, {"city": ["Oslo", "Atlantis"], "day": ["never", "2021-03-01"], "note": ["", "good"],
                                  "size": [None, 5.0]})["value"]
        assert np.isfinite(out).all(), out
    for learner, params in (("knn", {}), ("svm", {}), ("kmeans", {}), ("pca", {"n_components": 3})):
        spec = {"target": "y"} if learner in ("knn", "svm") else {}
        server.train(model="prep_" + learner, dataset="prep", learner=learner, params=params, **spec)
        out = ask("prep_" + learner, inputs | ({} if spec else {"y": y}))
        assert all(len(v) == n for v in out.values())


@case
def tfidf_is_that_of_scikit_learn():
    from sklearn.feature_extraction.text import TfidfVectorizer
    docs = ["The cat sat on the mat", "A dog and a cat", "dogs chase Cats, cats chase mice", "mice eat cheese", "the end",
            "émigré café CAFÉ", "no words here: a b c"] * 4
    y = [float(i % 7) for i in range(len(docs))]
    upload_csv("docs", {"doc": docs, "y": y})
    server.train(model="docs", dataset="docs", target="y", learner="ridge",
                 params={"alpha": 1.0, "preparation": {"text": "tfidf", "ngrams": 2}})
    x = TfidfVectorizer(ngram_range=(1, 2)).fit_transform(docs).toarray()
    near(ask("docs", {"doc": docs})["value"], linear_model.Ridge(1.0).fit(x, y).predict(x), 1e-4, "tf-idf and ridge")


@case
def searches_and_explanations_take_them():
    job = server.need(202, "POST", "/api/v1/jobs", {"kind": "search", "model": "found", "dataset": "diabetes",
                                                    "learner": "ridge", "search": {"param_grid": {"alpha": [0.1, 10, 1e6]}}})
    job = server.wait_job(job["id"])
    assert job["state"] == "succeeded" and job["result"]["best_params"]["alpha"] != 1e6, job
    x = diabetes[0][:5].astype(np.float32)
    r = server.post("/v2/models/found/explain", {"inputs": [
        {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.reshape(-1).tolist()}]})
    assert r.status == 200, r


server.stop()
finish()
