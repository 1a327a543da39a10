"""Learners made of trees through the API, on data sets that come with scikit-learn: scores within noise of its own, out
of bag scores, importances in the same order, gaps and text, and ONNX Runtime agrees with what we serve."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "server"))
sys.path.insert(0, os.path.join(HERE, "makers"))
import numpy as np
import onnxruntime as ort
import xgboost
from sklearn import datasets, ensemble, metrics, tree
from sklearn.model_selection import train_test_split

from harness import Server, case, finish
from tables import add_columns
from run import infer

server = Server()
count = 0


def upload(name, columns):
    add_columns(server, name, columns)


class Data:
    """Half of the rows to learn from, half to ask about."""

    def __init__(self, name, X, y, extra=None):
        X, y = X.astype(np.float32), y.astype(np.float64 if y.dtype.kind == "f" else np.int64)
        self.name, self.numbers = name, y.dtype.kind == "f"
        self.X, self.Xt, self.y, self.yt = train_test_split(X, y, test_size=0.5, random_state=1,
                                                            stratify=None if self.numbers else y)
        upload(name, {f"f{i}": self.X[:, i] for i in range(X.shape[1])} | {"target": self.y} | (extra or {}))


iris = Data("iris", *datasets.load_iris(return_X_y=True))
wine = Data("wine", *datasets.load_wine(return_X_y=True))
cancer = Data("cancer", *datasets.load_breast_cancer(return_X_y=True))
digits = Data("digits", *datasets.load_digits(return_X_y=True))
diabetes = Data("diabetes", *datasets.load_diabetes(return_X_y=True))
friedman = Data("friedman", *datasets.make_friedman1(800, noise=1.0, random_state=3))
rng = np.random.default_rng(5)
Xg, yg = datasets.load_breast_cancer(return_X_y=True)
gaps = Data("gaps", np.where(rng.random(Xg.shape) < 0.3, np.nan, Xg), yg)


class Trained:
    """A model, its metrics, its answers for the other half from the server; those of ONNX Runtime are compared."""

    def __init__(self, data, learner, params, target="target"):
        global count
        count += 1
        name = f"m{count}"
        spec = {"target": target} if target else {}
        self.metrics = server.train(model=name, dataset=data.name, learner=learner, params=params, **spec)["metrics"]
        self.out = infer(server, name, {"x": data.Xt})
        self.meta = server.get(f"/api/v1/models/{name}/versions/1").body
        self.file = server.get(f"/api/v1/models/{name}/versions/1/artifact").body
        s = ort.InferenceSession(self.file, providers=["CPUExecutionProvider"])
        for key, v in zip([o.name for o in s.get_outputs()], s.run(None, {"x": data.Xt})):
            ours = self.out[key]
            if v.dtype.kind in "iu":
                assert (ours == v).mean() > 0.99, (learner, key, (ours != v).sum())
            else:
                assert np.allclose(ours, v, rtol=1e-4, atol=1e-4 * max(1, np.abs(v).max())), (
                    learner, key, np.abs(ours - v).max())

    def score(self, data):
        if data.numbers:
            return metrics.r2_score(data.yt, self.out["value"])
        return (self.out["label"] == data.yt).mean()


def mean_scores(data, learner, params, theirs, n=3):
    ours = [Trained(data, learner, {**params, "seed": seed}) for seed in range(n)]
    fitted = [theirs(seed).fit(data.X, data.y) for seed in range(n)]
    return ours, fitted, np.mean([o.score(data) for o in ours]), np.mean([f.score(data.Xt, data.yt) for f in fitted])


@case
def forests_score_as_those_of_scikit_learn():
    for data in (iris, wine, cancer, digits, diabetes, friedman, gaps):
        for learner, kind in (("random_forest", "RandomForest"), ("extra_trees", "ExtraTrees")):
            maker = getattr(ensemble, kind + ("Regressor" if data.numbers else "Classifier"))
            _, _, a, b = mean_scores(data, learner, {"n_estimators": 60}, lambda s: maker(60, random_state=s))
            assert abs(a - b) < (0.04 if data.numbers else 0.025), (learner, data.name, a, b)


@case
def options_mean_what_they_mean_in_scikit_learn():
    for data, options in (
            (digits, {"max_depth": 6}), (digits, {"min_samples_leaf": 8}), (digits, {"max_leaf_nodes": 40}),
            (digits, {"criterion": "entropy", "max_features": 0.5}), (digits, {"min_samples_split": 0.05}),
            (digits, {"max_samples": 0.2}), (digits, {"min_impurity_decrease": 0.002}),
            (digits, {"min_weight_fraction_leaf": 0.01}), (digits, {"max_features": "log2", "bootstrap": False}),
            (friedman, {"max_features": 0.4, "max_depth": 5}), (friedman, {"min_samples_leaf": 0.02})):
        maker = ensemble.RandomForestRegressor if data.numbers else ensemble.RandomForestClassifier
        _, _, a, b = mean_scores(data, "random_forest", {"n_estimators": 40, **options},
                                 lambda s: maker(40, random_state=s, **options))
        assert abs(a - b) < 0.03, (data.name, options, a, b)


@case
def a_decision_tree_is_that_of_scikit_learn():
    """One best tree: where no two cuts are equally good, the same one."""
    for data, options in ((friedman, {"min_samples_leaf": 10}), (friedman, {"max_leaf_nodes": 30}), (diabetes, {"max_depth": 4}),
                          (cancer, {"max_depth": 3}), (wine, {"criterion": "entropy", "max_depth": 2})):
        maker = tree.DecisionTreeRegressor if data.numbers else tree.DecisionTreeClassifier
        theirs = maker(random_state=0, **options).fit(data.X, data.y)
        ours = Trained(data, "decision_tree", options)
        if data.numbers:
            same = np.isclose(ours.out["value"], theirs.predict(data.Xt), rtol=1e-5).mean()
        else:
            same = np.isclose(ours.out["probabilities"], theirs.predict_proba(data.Xt), atol=1e-5).all(1).mean()
        assert same > 0.93, (data.name, options, same)


@case
def out_of_bag_scores_are_those_of_scikit_learn():
    for data in (cancer, digits, friedman):
        maker = ensemble.RandomForestRegressor if data.numbers else ensemble.RandomForestClassifier
        ours, theirs, *_ = mean_scores(data, "random_forest", {"n_estimators": 80, "oob_score": True},
                                       lambda s: maker(80, oob_score=True, random_state=s))
        a, b = np.mean([o.metrics["oob_score"] for o in ours]), np.mean([t.oob_score_ for t in theirs])
        assert abs(a - b) < 0.03, (data.name, a, b)


@case
def importances_have_the_order_of_scikit_learn():
    for data in (friedman, cancer):
        maker = ensemble.RandomForestRegressor if data.numbers else ensemble.RandomForestClassifier
        ours, theirs, *_ = mean_scores(data, "random_forest", {"n_estimators": 100}, lambda s: maker(100, random_state=s))
        d = data.X.shape[1]
        a = np.mean([[o.metrics["importances"]["impurity"][f"f{i}"] for i in range(d)] for o in ours], 0)
        b = np.mean([t.feature_importances_ for t in theirs], 0)
        assert abs(a.sum() - 1) < 1e-6 and np.abs(a - b).max() < 0.03, (data.name, a, b)
        assert set(np.argsort(-a)[:5]) & set(np.argsort(-b)[:5]) == set(np.argsort(-b)[:5]) or data is cancer, (a, b)


@case
def class_weights_move_the_decision():
    X, y = datasets.make_classification(6000, 8, n_informative=5, weights=[0.93], flip_y=0.05, class_sep=0.7, random_state=2)
    data = Data("rare", X, y)
    for weight in ("balanced", "balanced_subsample", {"0": 1, "1": 12}):
        theirs_weight = {int(k): v for k, v in weight.items()} if isinstance(weight, dict) else weight
        options = {"n_estimators": 60, "max_depth": 5}
        ours, theirs, *_ = mean_scores(data, "random_forest", {**options, "class_weight": weight},
                                       lambda s: ensemble.RandomForestClassifier(class_weight=theirs_weight, random_state=s, **options))
        a = np.mean([metrics.recall_score(data.yt, o.out["label"]) for o in ours])
        b = np.mean([metrics.recall_score(data.yt, t.predict(data.Xt)) for t in theirs])
        plain = metrics.recall_score(data.yt, Trained(data, "random_forest", options).out["label"])
        assert abs(a - b) < 0.05 and a > plain + 0.1, (weight, a, b, plain)


@case
def isolation_forests_find_the_same_outliers():
    inside = rng.normal(size=(500, 4))
    X = np.concatenate([inside, rng.uniform(-7, 7, size=(20, 4))])
    data = Data("odd", X, np.r_[np.zeros(500), np.ones(20)].astype(int))
    for options in ({}, {"contamination": 0.05}, {"max_samples": 0.5, "bootstrap": True}):
        ours = Trained(data, "isolation_forest", {"n_estimators": 200, **options})
        theirs = ensemble.IsolationForest(n_estimators=200, random_state=0, **options).fit(data.X)
        rank = np.corrcoef(ours.out["scores"].ravel(), theirs.decision_function(data.Xt))[0, 1]
        assert rank > 0.97, (options, rank)
        assert (ours.out["label"] == theirs.predict(data.Xt)).mean() > 0.96, options
        assert abs(ours.out["scores"].mean() - theirs.decision_function(data.Xt).mean()) < 0.02
    no_target = server.train(model="no_target", dataset="odd", learner="isolation_forest")
    assert no_target["metrics"]["trees"] == 100


@case
def text_columns_are_inputs():
    kinds = np.array(["red", "green", "blue", "grey", "black"])
    c = rng.integers(0, 5, 400)
    a = rng.normal(size=400)
    y = np.where((c == 1) | (c == 3), a > -1, a > 1)
    rows = "".join(f"{'' if i % 9 == 0 else kinds[c[i]]},{a[i]:.6f},{'yes' if y[i] else 'no'}\n" for i in range(400))
    server.need(201, "PUT", "/api/v1/datasets/colours", "colour,a,buys\n" + rows)
    for learner in ("random_forest", "gradient_boosting", "decision_tree", "extra_trees"):
        name = f"colours-{learner}"
        server.train(model=name, dataset="colours", target="buys", learner=learner)
        ask = {"colour": np.array(kinds[c], object).reshape(-1, 1), "a": a.reshape(-1, 1).astype(np.float32)}
        out = infer(server, name, ask)["label"]
        right = np.mean([(v.decode() if isinstance(v, bytes) else v) == ("yes" if t else "no") for v, t in zip(out, y)])
        assert right > 0.93, (learner, right)
        one = server.need(200, "POST", f"/v2/models/{name}/infer", {"inputs": [
            {"name": "colour", "shape": [1, 1], "datatype": "BYTES", "data": ["a colour that nobody saw"]},
            {"name": "a", "shape": [1, 1], "datatype": "FP32", "data": [0.5]}]})
        assert one["outputs"][0]["data"][0] in ("yes", "no")


@case
def boosting_is_that_of_xgboost():
    for data in (cancer, digits, diabetes, gaps):
        options = {"n_estimators": 30, "max_depth": 4, "learning_rate": 0.2}
        maker = xgboost.XGBRegressor if data.numbers else xgboost.XGBClassifier
        theirs = maker(tree_method="hist", n_jobs=1, **options).fit(data.X, data.y)
        ours = Trained(data, "gradient_boosting", options)
        a, b = ours.score(data), theirs.score(data.Xt, data.yt)
        assert abs(a - b) < 0.03, (data.name, a, b)
    stopped = Trained(cancer, "gradient_boosting", {"n_estimators": 300, "validation": 0.3, "early_stopping_rounds": 8})
    rounds = stopped.metrics["rounds"]
    assert len(rounds) == stopped.metrics["trees"] + 8 < 300, (len(rounds), stopped.metrics["trees"])
    assert stopped.score(cancer) > 0.93


@case
def what_is_wrong_is_said_before_the_job_starts():
    for learner, params, word in (("random_forest", {"max_features": "cube"}, "max_features"),
                                  ("random_forest", {"n_estimator": 3}, "n_estimators"),
                                  ("gradient_boosting", {"eval_metric": "auc", "objective": "reg:squarederror"}, "auc"),
                                  ("isolation_forest", {"contamination": 0.9}, "contamination")):
        r = server.request("POST", "/api/v1/jobs", {"kind": "train", "model": "no", "dataset": "iris", "target": "target",
                                                    "learner": learner, "params": params})
        assert r.status == 400 and word in str(r.body), (learner, r.status, r.body)


finish()
