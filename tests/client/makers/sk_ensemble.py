"""scikit-learn: trees, and what is built of other estimators. made() runs in the newest scikit-learn and in old ones."""
import io
import os
import pickle
import warnings

import numpy as np
from common import Model, old

N, WIDTH = 160, 6


def table(seed=1, missing=0.0):
    """Rows to fit, rows to ask."""
    r = np.random.RandomState(seed)
    x = r.normal(size=(N + 70, WIDTH)) * [1, 3, 0.1, 10, 1, 1]
    x[:, 4] = r.randint(0, 5, N + 70)
    if missing:
        x[r.rand(*x.shape) < missing] = np.nan
    return x[:N], x[N:]


def target(x, n_classes=0, words=False):
    """A column to learn: numbers, or classes that are not 0, 1, 2."""
    x = np.nan_to_num(x)
    z = x[:, 0] + 0.4 * x[:, 1] * (x[:, 4] > 2) + 0.3 * x[:, 3] + np.random.RandomState(2).normal(size=len(x)) * 0.5
    if not n_classes:
        return z
    y = np.searchsorted(np.quantile(z, np.arange(1, n_classes) / n_classes), z)
    return np.array(["no", "maybe", "yes", "surely"])[y] if words else y * 3 + 2


def answers(fitted, x):
    """What the estimator says of rows x, by the names of our outputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if hasattr(fitted, "offset_"):
            return {"label": fitted.predict(x), "scores": fitted.decision_function(x)}
        if hasattr(fitted, "predict_proba"):
            return {"label": fitted.predict(x), "probabilities": fitted.predict_proba(x)}
        if hasattr(fitted, "decision_function"):
            return {"label": fitted.predict(x), "scores": fitted.decision_function(x)}
        if hasattr(fitted, "classes_"):
            return {"label": fitted.predict(x)}
        return {"value": fitted.predict(x)}


def model(name, fitted, x, joblib=False, protocol=4, said=None, **more):
    data, file_name = pickle.dumps(fitted, protocol), "m.pkl"
    if joblib:
        import joblib as jl
        f = io.BytesIO()
        jl.dump(fitted, f, compress=3)
        data, file_name = f.getvalue(), "m.joblib"
    return Model(name=name, file_name=file_name, data=data, inputs={"x": x}, outputs=said or answers(fitted, x), **more)


def refusal(name, fitted, words):
    return Model(name=name, file_name="m.pkl", data=pickle.dumps(fitted, 4), inputs={}, outputs={}, refused=words)


def trees(version):
    from sklearn.ensemble import (ExtraTreesClassifier, ExtraTreesRegressor, IsolationForest, RandomForestClassifier,
                                  RandomForestRegressor, RandomTreesEmbedding)
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
    x, ask = table()
    y, y2, y3, words = target(x), target(x, 2), target(x, 3), target(x, 4, words=True)
    both = np.stack([y, -2 * y + x[:, 0], x[:, 1]], 1)
    weights = np.random.RandomState(3).rand(N) + 0.1
    yield model("DecisionTreeClassifier 2 classes", DecisionTreeClassifier(random_state=0).fit(x, y2), ask)
    yield model("DecisionTreeClassifier words, weights, depth 4",
                DecisionTreeClassifier(max_depth=4, random_state=0).fit(x, words, sample_weight=weights), ask)
    yield model("DecisionTreeClassifier entropy, balanced, protocol 2",
                DecisionTreeClassifier(criterion="entropy", min_samples_leaf=10, class_weight="balanced",
                                       random_state=0).fit(x, y3), ask, protocol=2)
    yield model("DecisionTreeRegressor", DecisionTreeRegressor(random_state=0).fit(x, y), ask)
    yield model("DecisionTreeRegressor absolute error",
                DecisionTreeRegressor(criterion="absolute_error", max_depth=4, random_state=0).fit(x, y), ask)
    yield model("DecisionTreeRegressor 3 targets", DecisionTreeRegressor(max_depth=5, random_state=0).fit(x, both), ask)
    yield model("DecisionTreeRegressor of one leaf", DecisionTreeRegressor().fit(x, np.full(N, 2.5)), ask)
    yield model("ExtraTreeClassifier", ExtraTreeClassifier(random_state=0).fit(x, y3), ask)
    yield model("ExtraTreeRegressor", ExtraTreeRegressor(random_state=0).fit(x, y), ask)
    yield model("RandomForestClassifier 2 classes", RandomForestClassifier(20, random_state=0).fit(x, y2), ask)
    yield model("RandomForestClassifier words, joblib",
                RandomForestClassifier(15, max_depth=6, random_state=0).fit(x, words), ask, joblib=True)
    yield model("RandomForestClassifier 100 trees of depth 3, weights",
                RandomForestClassifier(100, max_depth=3, random_state=1).fit(x, y3, sample_weight=weights), ask)
    yield model("RandomForestRegressor", RandomForestRegressor(20, random_state=0).fit(x, y), ask)
    yield model("RandomForestRegressor 3 targets, joblib",
                RandomForestRegressor(10, max_depth=6, random_state=0).fit(x, both), ask, joblib=True)
    yield model("ExtraTreesClassifier", ExtraTreesClassifier(20, random_state=0).fit(x, words), ask)
    yield model("ExtraTreesRegressor", ExtraTreesRegressor(20, random_state=0).fit(x, y), ask)
    yield model("IsolationForest", IsolationForest(n_estimators=20, random_state=0).fit(x), ask)
    yield model("IsolationForest contamination, columns",
                IsolationForest(n_estimators=25, contamination=0.2, max_features=3, max_samples=60, random_state=0).fit(x), ask)
    yield refusal("RandomForestClassifier of two targets",
                  RandomForestClassifier(3, random_state=0).fit(x, np.stack([y2, y3], 1)), "n_outputs_")
    if version == "newest":
        gaps, ask_gaps = table(missing=0.15)
        leafs = RandomTreesEmbedding(5, max_depth=3, random_state=0, sparse_output=False).fit(x)
        yield model("RandomTreesEmbedding", leafs, ask, said={"transformed": leafs.transform(ask)})
        yield model("DecisionTreeClassifier missing values",
                    DecisionTreeClassifier(max_depth=6, random_state=0).fit(gaps, y3), ask_gaps)
        yield model("RandomForestRegressor missing values",
                    RandomForestRegressor(15, random_state=0).fit(gaps, y), ask_gaps)
        yield model("ExtraTreesClassifier missing values",
                    ExtraTreesClassifier(15, random_state=0).fit(gaps, y2), ask_gaps)
        yield model("RandomForestRegressor poisson",
                    RandomForestRegressor(8, criterion="poisson", max_depth=5, random_state=0).fit(x, y - y.min()), ask)


def boosting(version):
    from sklearn.ensemble import GradientBoostingClassifier as Classifier, GradientBoostingRegressor as Regressor
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
    x, ask = table(5)
    y, y2, y3, words = target(x), target(x, 2), target(x, 3), target(x, 4, words=True)
    few = {"n_estimators": 20, "random_state": 0}
    yield model("GradientBoostingClassifier 2 classes", Classifier(**few).fit(x, y2), ask)
    yield model("GradientBoostingClassifier words", Classifier(max_depth=2, learning_rate=0.3, **few).fit(x, words), ask)
    yield model("GradientBoostingClassifier exponential", Classifier(loss="exponential", **few).fit(x, y2), ask)
    yield model("GradientBoostingClassifier init zero, 2 classes", Classifier(init="zero", **few).fit(x, y2), ask)
    yield model("GradientBoostingClassifier init zero, subsample", Classifier(init="zero", subsample=0.7, **few).fit(x, y3),
                ask)
    yield model("GradientBoostingClassifier init GaussianNB",  # which the maker computes in single precision
                Classifier(init=GaussianNB(), **few).fit(x, y2), ask, rtol=2e-4)
    # Before 1.2 an init with columns in a row, as GaussianNB has them, is added up in the wrong places.
    yield model("GradientBoostingClassifier init tree",
                Classifier(init=DecisionTreeClassifier(max_depth=2, random_state=0), **few).fit(x, y3), ask)
    for loss in "squared_error", "absolute_error", "huber", "quantile":
        yield model("GradientBoostingRegressor " + loss, Regressor(loss=loss, **few).fit(x, y), ask)
    yield model("GradientBoostingRegressor init zero", Regressor(init="zero", **few).fit(x, y), ask)
    yield model("GradientBoostingRegressor init tree",
                Regressor(init=DecisionTreeRegressor(max_depth=2, random_state=0), **few).fit(x, y), ask)


def histograms(version):
    from sklearn.ensemble import HistGradientBoostingClassifier as Classifier
    from sklearn.ensemble import HistGradientBoostingRegressor as Regressor
    x, ask = table(7)
    gaps, ask_gaps = table(8, missing=0.2)
    y, few = target(x), {"max_iter": 15, "random_state": 0, "min_samples_leaf": 5}
    yield model("HistGradientBoostingClassifier 2 classes", Classifier(**few).fit(x, target(x, 2)), ask)
    yield model("HistGradientBoostingClassifier words", Classifier(max_depth=3, **few).fit(x, target(x, 4, words=True)), ask)
    yield model("HistGradientBoostingClassifier missing values", Classifier(**few).fit(gaps, target(gaps, 3)), ask_gaps)
    yield model("HistGradientBoostingRegressor", Regressor(l2_regularization=0.5, **few).fit(x, y), ask)
    yield model("HistGradientBoostingRegressor missing values", Regressor(**few).fit(gaps, target(gaps)), ask_gaps)
    yield model("HistGradientBoostingRegressor absolute error", Regressor(loss="absolute_error", **few).fit(x, y), ask)
    yield model("HistGradientBoostingRegressor poisson", Regressor(loss="poisson", **few).fit(x, y - y.min()), ask)
    yield model("HistGradientBoostingRegressor early stopping",
                Regressor(early_stopping=True, max_iter=40, random_state=0).fit(x, y), ask, joblib=True)
    asked = np.concatenate([ask, ask[:6]])
    asked[-6:, 4] = [7, 9, 8, np.nan, 9, np.nan]  # categories that nobody has seen, and gaps
    few["min_samples_leaf"] = 3
    column = {"categorical_features": [4], **few}
    with_gap = x.copy()
    with_gap[::7, 4] = np.nan
    yield model("HistGradientBoostingClassifier category", Classifier(**column).fit(x, target(x, 2)), asked)
    yield model("HistGradientBoostingRegressor category with gaps", Regressor(**column).fit(with_gap, y), asked)
    if version == "newest":
        yield model("HistGradientBoostingRegressor gamma", Regressor(loss="gamma", **few).fit(x, y - y.min() + 1), ask)
        yield model("HistGradientBoostingRegressor quantile",
                    Regressor(loss="quantile", quantile=0.8, **few).fit(x, y), ask)
        many = x.copy()
        many[:, 1] = np.round(np.abs(many[:, 1]))
        asked = asked.copy()
        asked[:, 1] = np.round(np.abs(asked[:, 1]))
        yield model("HistGradientBoostingClassifier two columns of categories",
                    Classifier(categorical_features=[1, 4], **few).fit(many, target(x, 3)), asked)
        yield from frames(few)


def frames(few):
    """Columns of text: one input a column."""
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingRegressor as Regressor
    x, ask = table(9)
    names = np.array(["red", "green", "blue", "white", "black"])

    def frame(rows):
        return pd.DataFrame({"size": rows[:, 0], "colour": pd.Categorical(names[rows[:, 4].astype(int)], names),
                             "weight": rows[:, 3]})
    columns = {"size": ask[:, :1], "colour": names[ask[:, 4].astype(int)].astype(object).reshape(-1, 1),
               "weight": ask[:, 3:4]}
    for which in ["colour"], "from_dtype":
        fitted = Regressor(categorical_features=which, **few).fit(frame(x), target(x))
        yield Model(name=f"HistGradientBoostingRegressor on a frame with words, {which}", file_name="m.pkl",
                    data=pickle.dumps(fitted), inputs=columns, outputs={"value": fitted.predict(frame(ask))})
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder
    fitted = make_pipeline(make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough"),
                           RandomForestClassifier(8, random_state=0)).fit(frame(x), target(x, 3))
    yield Model(name="Pipeline ColumnTransformer RandomForestClassifier on a frame with words", file_name="m.pkl",
                data=pickle.dumps(fitted), inputs=columns, outputs=answers(fitted, frame(ask)))


def weighted(version):
    from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
    x, ask = table(11)
    y, y2, y3, words = target(x), target(x, 2), target(x, 3), target(x, 4, words=True)
    few = {"n_estimators": 12, "random_state": 0}

    def of(estimator):  # the name of the parameter changed
        return {("base_estimator" if version == "sklearn-1.1.3" else "estimator"): estimator}
    discrete = {} if version == "newest" else {"algorithm": "SAMME"}
    stump = DecisionTreeClassifier(max_depth=2, random_state=0)
    yield model("AdaBoostClassifier SAMME 2 classes", AdaBoostClassifier(**discrete, **few).fit(x, y2), ask)
    yield model("AdaBoostClassifier SAMME words", AdaBoostClassifier(**of(stump), **discrete, **few).fit(x, words), ask)
    yield model("AdaBoostClassifier SAMME of LogisticRegression",
                AdaBoostClassifier(**of(LogisticRegression()), **discrete, **few).fit(x, y3), ask)
    if version != "newest":
        yield model("AdaBoostClassifier SAMME.R 2 classes",
                    AdaBoostClassifier(algorithm="SAMME.R", **few).fit(x, y2), ask)
        yield model("AdaBoostClassifier SAMME.R 3 classes",
                    AdaBoostClassifier(algorithm="SAMME.R", **of(stump), **few).fit(x, y3), ask)
        yield model("AdaBoostClassifier SAMME.R of LogisticRegression",
                    AdaBoostClassifier(algorithm="SAMME.R", **of(LogisticRegression()), **few).fit(x, y2), ask)
    yield model("AdaBoostRegressor", AdaBoostRegressor(**few).fit(x, y), ask)
    yield model("AdaBoostRegressor exponential, depth 1",
                AdaBoostRegressor(**of(DecisionTreeRegressor(max_depth=1)), loss="exponential", **few).fit(x, y), ask)
    yield model("AdaBoostRegressor of LinearRegression",
                AdaBoostRegressor(**of(LinearRegression()), **few).fit(x, y), ask)


def bags(version):
    from sklearn.ensemble import BaggingClassifier, BaggingRegressor
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.svm import LinearSVC
    from sklearn.tree import DecisionTreeRegressor
    x, ask = table(13)
    y, y3, words = target(x), target(x, 3), target(x, 4, words=True)

    def of(estimator):
        return {("base_estimator" if version == "sklearn-1.1.3" else "estimator"): estimator, "random_state": 0}
    yield model("BaggingClassifier", BaggingClassifier(n_estimators=8, random_state=0).fit(x, y3), ask)
    yield model("BaggingClassifier columns and few rows",
                BaggingClassifier(n_estimators=15, max_features=3, max_samples=9, random_state=0).fit(x, words), ask)
    yield model("BaggingClassifier of GaussianNB, columns drawn twice",
                BaggingClassifier(**of(GaussianNB()), n_estimators=5, max_features=4, bootstrap_features=True).fit(x, words),
                ask)
    yield model("BaggingClassifier of LinearSVC, by votes",
                BaggingClassifier(**of(LinearSVC(dual=True, max_iter=5000)), n_estimators=5).fit(x[:, :2], y3), ask[:, :2])
    yield model("BaggingRegressor", BaggingRegressor(**of(DecisionTreeRegressor(max_depth=5)), max_features=4).fit(x, y), ask)
    yield model("BaggingRegressor of KNeighborsRegressor",
                BaggingRegressor(**of(KNeighborsRegressor()), n_estimators=4, max_features=3).fit(x, y), ask)


def votes(version):
    from sklearn.ensemble import (RandomForestClassifier, RandomForestRegressor, StackingClassifier, StackingRegressor,
                                  VotingClassifier, VotingRegressor)
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
    x, ask = table(17)
    y, y2, y3, words = target(x), target(x, 2), target(x, 3), target(x, 4, words=True)
    kinds = [("tree", DecisionTreeClassifier(max_depth=3, random_state=0)), ("bayes", GaussianNB()),
             ("near", KNeighborsClassifier(7))]
    with_line = kinds + [("line", make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)))]
    numbers = [("tree", DecisionTreeRegressor(max_depth=3, random_state=0)), ("line", Ridge()),
               ("near", KNeighborsRegressor(4))]
    yield model("VotingClassifier hard", VotingClassifier(kinds).fit(x, words), ask)
    yield model("VotingClassifier hard, weights", VotingClassifier(kinds, weights=[1, 2.5, 2]).fit(x, y3), ask)
    yield model("VotingClassifier soft", VotingClassifier(with_line, voting="soft").fit(x, words), ask)
    yield model("VotingClassifier soft, weights, one dropped",
                VotingClassifier(kinds, voting="soft", weights=[1, 2, 3]).set_params(bayes="drop").fit(x, y2), ask)
    yield model("VotingRegressor", VotingRegressor(numbers).fit(x, y), ask)
    yield model("VotingRegressor weights", VotingRegressor(numbers, weights=[3, 1, 0.5]).fit(x, y), ask)
    yield model("StackingClassifier", StackingClassifier(kinds, cv=3).fit(x, words), ask)
    yield model("StackingClassifier 2 classes, passthrough",
                StackingClassifier(kinds, GaussianNB(), cv=3, passthrough=True).fit(x, y2), ask)
    yield model("StackingClassifier of decisions",
                StackingClassifier([("svc", LinearSVC(dual=True, max_iter=9000)), kinds[0]],
                                   RandomForestClassifier(10, random_state=0), cv=3,
                                   stack_method="auto").fit(x[:, :3], y3), ask[:, :3])
    yield model("StackingClassifier of labels",
                StackingClassifier(kinds[:2], DecisionTreeClassifier(max_depth=4, random_state=0), cv=3,
                                   stack_method="predict").fit(x, y3), ask)
    yield model("StackingRegressor", StackingRegressor(numbers, cv=3).fit(x, y), ask)
    yield model("StackingRegressor passthrough, one dropped",
                StackingRegressor(numbers, RandomForestRegressor(10, random_state=0), cv=3, passthrough=True)
                .set_params(near="drop").fit(x, y), ask)


FAMILIES = {f.__name__: f for f in (trees, boosting, histograms, weighted, bags, votes)}


def made(version, families):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for f in families:
            yield from FAMILIES[f](version)


class Edited:
    """Pickles as a tree of scikit-learn whose state was changed by somebody."""

    def __init__(self, tree, change):
        self.made = list(tree.__reduce__())
        state = {k: v.copy() if hasattr(v, "copy") else v for k, v in self.made[2].items()}
        self.made[2] = change(state) or state

    def __reduce__(self):
        return tuple(self.made)


def put(array, column, row, value):
    def change(state):
        (state[array][column] if column else state[array].reshape(-1))[row] = value
    return change


def broken():
    """Files that no scikit-learn would have written, and the words that refuse them."""
    from sklearn.ensemble import BaggingRegressor, GradientBoostingRegressor, HistGradientBoostingRegressor
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
    x, _ = table()
    y, y3 = target(x), target(x, 3)
    for name, change, words in (
            ("a loop", put("nodes", "left_child", 1, 0), "nodes[1] has the children 0 and"),
            ("a child outside", put("nodes", "right_child", 0, 10**6), "nodes[0] has the children"),
            ("two parents", put("nodes", "left_child", 0, 2), "node"),
            ("a feature outside", put("nodes", "feature", 0, WIDTH), "nodes[0] splits feature 6, there are 6"),
            ("a feature below 0", put("nodes", "feature", 0, -2), "nodes[0] splits feature -2"),
            ("a threshold that is NaN", put("nodes", "threshold", 0, np.nan), "the threshold is NaN"),
            ("a value that is NaN", put("values", None, 2, np.nan), "values"),
            ("values of another tree", lambda s: {**s, "values": s["values"][:-1]}, "values"),
            ("no nodes", lambda s: {**s, "nodes": s["nodes"][:0]}, "nodes"),
            ("no field", lambda s: {**s, "nodes": s["nodes"][["left_child", "right_child"]]}, "feature")):
        e = DecisionTreeRegressor(max_depth=3, random_state=0).fit(x, y)
        e.tree_ = Edited(e.tree_, change)
        yield refusal("DecisionTreeRegressor with " + name, e, words)
    e = DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, y3)
    e.classes_ = e.classes_[:2]
    yield refusal("DecisionTreeClassifier with two names for three classes", e, "classes_")
    e = RandomForestClassifier(3, max_depth=3, random_state=0).fit(x, y3)
    e.n_features_in_ = 4
    yield refusal("RandomForestClassifier for fewer columns", e, "estimators_[0].tree_ is for 6 features, rows have 4")
    e = GradientBoostingRegressor(n_estimators=3, max_depth=2).fit(x, y)
    e._loss = "my own"
    yield refusal("GradientBoostingRegressor with another loss", e, "_loss")
    e = BaggingRegressor(n_estimators=2, random_state=0).fit(x, y)
    e.estimators_features_[1] = e.estimators_features_[1] + 1
    yield refusal("BaggingRegressor with a column outside", e, "estimators_features_[1] names column 6, there are 6")
    for name, column, value, words in (("a loop", "left", 0, "children"), ("a feature outside", "feature_idx", 77, "feature"),
                                       ("a set outside", "bitset_idx", 9, "set of categories"),
                                       ("a value that is infinite", "value", np.inf, "not finite")):
        e = HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=3, categorical_features=[4])
        e.fit(x, y + 5 * (x[:, 4] % 2))
        for p in e._predictors:
            p[0].nodes[column][:] = value
        yield refusal("HistGradientBoostingRegressor with " + name, e, words)


def cases():
    yield from made("newest", FAMILIES)
    yield from broken()
    here = os.path.dirname(os.path.abspath(__file__))
    for version in "sklearn-1.1.3", "sklearn-1.3.2", "sklearn-1.5.2":
        yield from old(version, f"sys.path.insert(0, {here!r})\nimport sk_ensemble\n"
                       f"for m in sk_ensemble.made({version!r}, sk_ensemble.FAMILIES):\n"
                       "    models.append({k: v for k, v in vars(m).items() if k != 'made_by'})\n")
