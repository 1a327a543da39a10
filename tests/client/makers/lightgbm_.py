"""LightGBM: objectives, boosters, missing values of three kinds, categories, linear trees. The expected answers are those
of Booster.predict; labels are what LGBMClassifier makes of them."""
import os
import warnings

import lightgbm as lgb
import numpy as np
import pandas as pd

from common import ROOT, Model

warnings.simplefilter("ignore")
RNG = np.random.default_rng(11)
N = 300
X = RNG.normal(size=(N, 5))
X[RNG.random(X.shape) < 0.08] = np.nan
X[RNG.random(X.shape) < 0.1] = 0
FILLED = np.nan_to_num(X)
SIGNAL = FILLED[:, 0] * 2 - FILLED[:, 1] + np.abs(FILLED[:, 2])
BINARY = (SIGNAL > 0.7).astype(int)
MULTI = np.digitize(SIGNAL, [-0.5, 1.5])
POSITIVE = np.exp(SIGNAL / 3)
CATS = X.copy()
CATS[:, 3] = RNG.integers(0, 90, N)
CATS[:, 4] = RNG.integers(0, 3, N)
CATS[::9, 3] = np.nan
CAT_Y = np.nan_to_num(CATS[:, 3] % 4) + CATS[:, 4] + FILLED[:, 0]
ODD = X.copy()  # what is asked: numbers that comparisons may get wrong
ODD[::7, 0] = 0
ODD[1::7, 0] = 1e-36
ODD[2::7, 0] = -0.0
ODD[3::7, 1] = np.inf
ODD[4::7, 1] = -np.inf
ODD[5::7, 2] = 1e300


def train(params, y, x=X, rounds=8, **data):
    p = dict(dict(verbose=-1, num_leaves=7, min_data_in_leaf=5, num_threads=1, learning_rate=0.3, seed=1,
                  deterministic=True), **params)
    return lgb.train(p, lgb.Dataset(x, y, **data), rounds)


def answers(b, x):
    p = b.predict(x)
    objective = b.dump_model().get("objective", "").split(" ")[0]
    if objective == "binary":
        return {"label": (p > 0.5).astype(int), "probabilities": np.stack([1 - p, p], 1)}
    if objective.startswith("multiclass"):
        return {"label": p.argmax(1), "probabilities": p}
    return {"value": p}


def case(name, b, x=X, probe=None, data=None, **more):
    probe = x if probe is None else probe
    return Model(name=name, file_name="m.txt", data=data or b.model_to_string().encode(),
                 inputs={"x": np.asarray(probe, np.float64)}, outputs=answers(b, probe),
                 **dict(dict(rtol=1e-9, atol=1e-12), **more))


def objectives():
    for o in ("regression", "regression_l1", "huber", "fair", "quantile", "mape"):
        yield case(o, train({"objective": o}, SIGNAL))
    for o in ("poisson", "gamma", "tweedie"):
        yield case(o, train({"objective": o}, POSITIVE))
    for o in ("cross_entropy", "cross_entropy_lambda"):
        yield case(o, train({"objective": o}, 1 / (1 + np.exp(-SIGNAL))))
    for o in ("lambdarank", "rank_xendcg"):
        yield case(o, train({"objective": o}, MULTI, group=[30] * 10))
    for o in ("regression", "regression_l1"):
        yield case(o + ", sqrt", train({"objective": o, "reg_sqrt": True}, SIGNAL))
    yield case("binary", train({"objective": "binary"}, BINARY))
    yield case("binary, sigmoid 0.7, unbalanced", train({"objective": "binary", "sigmoid": 0.7, "is_unbalance": True},
                                                        BINARY))
    yield case("multiclass", train({"objective": "multiclass", "num_class": 3}, MULTI))
    yield case("multiclassova", train({"objective": "multiclassova", "num_class": 3, "sigmoid": 1.4}, MULTI))
    yield case("an objective of the user's", train({"objective": lambda p, d: (p - d.get_label(), np.ones_like(p))},
                                                   SIGNAL))


def boosters():
    yield case("dart", train({"boosting": "dart", "drop_rate": 0.5}, SIGNAL, rounds=12))
    yield case("dart, multiclass", train({"boosting": "dart", "drop_rate": 0.5, "objective": "multiclass",
                                          "num_class": 3}, MULTI))
    for o, y in (("regression", SIGNAL), ("binary", BINARY), ("multiclass", MULTI)):
        p = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "objective": o}
        if o == "multiclass":
            p["num_class"] = 3
        yield case("random forest, " + o, train(p, y))
    yield case("goss", train({"data_sample_strategy": "goss"}, SIGNAL))
    yield case("one leaf", train({"min_data_in_leaf": 1000}, SIGNAL))
    yield case("deep", train({"num_leaves": 60, "min_data_in_leaf": 2}, SIGNAL, rounds=40))
    yield case("no early stop in the file", train({"objective": "binary"}, BINARY, rounds=25))
    yield case("monotone, extra trees", train({"extra_trees": True, "monotone_constraints": [1, -1, 0, 0, 0]}, SIGNAL))
    yield case("feature names", train({}, SIGNAL, feature_name=["a", "b_c", "d", "é", "e"]))
    held = lgb.Dataset(X[200:], SIGNAL[200:])
    b = lgb.train({"verbose": -1, "num_threads": 1, "learning_rate": 0.9, "num_leaves": 15}, lgb.Dataset(X[:200], SIGNAL[:200]),
                  60, valid_sets=[held], callbacks=[lgb.early_stopping(3, verbose=False)],
                  keep_training_booster=True)
    assert b.best_iteration < b.current_iteration()
    yield case("early stopping: the file has the best iterations", b)


def missing():
    plain = {"use_missing": False}
    zero = {"zero_as_missing": True}
    yield case("missing none: NaN counts as 0", train({}, SIGNAL, x=FILLED), probe=ODD)
    yield case("missing none by parameter", train(plain, SIGNAL), probe=ODD)
    yield case("missing NaN", train({}, SIGNAL), probe=ODD)
    yield case("missing zero", train(zero, SIGNAL), probe=ODD)
    yield case("missing zero, no NaN in training", train(zero, SIGNAL, x=FILLED), probe=ODD)
    yield case("missing zero, multiclass", train(dict(zero, objective="multiclass", num_class=3), MULTI), probe=ODD)


def categories():
    odd = CATS.copy()
    odd[::5, 3] = 200  # not seen in training
    odd[1::5, 3] = 2.7  # cut off to 2
    odd[2::5, 3] = -1
    odd[3::5, 4] = -0.4  # cut off to 0
    few = {"categorical_feature": [3, 4]}
    more = dict(cat_smooth=1, min_data_per_group=1)
    for onehot in (1, 100):
        b = train(dict(more, max_cat_to_onehot=onehot), CAT_Y, x=CATS, **few)
        assert any(t["num_cat"] for t in b.dump_model()["tree_info"])
        yield case(f"categories, one-hot up to {onehot}", b, x=CATS)
        yield case(f"categories, one-hot up to {onehot}, odd ones asked", b, probe=odd)
    yield case("categories, zero as missing", train(dict(more, zero_as_missing=True), CAT_Y, x=CATS, **few), probe=odd)
    yield case("categories, multiclass", train(dict(more, objective="multiclass", num_class=3), MULTI, x=CATS, **few),
               probe=odd)
    yield from frames()


def frames():
    """Trained on a DataFrame with categories: a column an input, in which categories stand as in the table."""
    frame = pd.DataFrame({"n": FILLED[:, 0], "colour": pd.Categorical(RNG.choice(["red", "grün", "blue", "grey"], N)),
                          "size": pd.Categorical(RNG.choice([1, 5, 7], N)), "flag": FILLED[:, 1] > 0})
    y = FILLED[:, 0] + 2 * (frame.colour == "red") + (frame["size"] == 5)
    few = dict(cat_smooth=1, min_data_per_group=1)
    for name, columns in (("text and numbers", ["n", "colour", "size", "flag"]), ("text", ["colour", "n"]),
                          ("numbers", ["size", "n"])):
        f = frame[columns]
        b = train(few, y, x=f)
        asked = {c: f[c].astype(object if c == "colour" else float).to_numpy().reshape(-1, 1) for c in columns}
        yield Model(name="DataFrame with categories of " + name, file_name="m.txt", data=b.model_to_string().encode(),
                    inputs=asked, outputs={"value": b.predict(f)}, rtol=1e-9)
    b, odd = train(few, y, x=frame), frame.copy()
    odd["colour"] = np.where(np.arange(N) % 3, frame.colour.astype(object), "pink")
    asked = {c: odd[c].astype(object if c == "colour" else float).to_numpy().reshape(-1, 1) for c in odd}
    odd["colour"] = pd.Categorical(odd.colour)
    yield Model(name="DataFrame with a colour that is not known: missing", file_name="m.txt",
                data=b.model_to_string().encode(), inputs=asked, outputs={"value": b.predict(odd)}, rtol=1e-9)
    same = pd.DataFrame({"n": FILLED[:, 0], "k": pd.Categorical(RNG.integers(0, 4, N))})
    yield Model(name="DataFrame whose categories are their own codes", file_name="m.txt",
                data=train(few, y, x=same).model_to_string().encode(), inputs={"x": same.astype(float).to_numpy()},
                outputs={"value": train(few, y, x=same).predict(same)}, rtol=1e-9)
    unclear = pd.DataFrame({"n": FILLED[:, 0], "o": pd.Categorical(RNG.choice(["s", "m", "l"], N), ["s", "m", "l"], True),
                            "c": pd.Categorical(RNG.choice(["a", "b"], N))})
    b = train(few, y, x=unclear)
    codes = np.stack([unclear.n, unclear.o.cat.codes, unclear.c.cat.codes], 1).astype(float)
    yield Model(name="DataFrame with ordered categories, which are not told apart: codes", file_name="m.txt",
                data=b.model_to_string().encode(), inputs={"x": codes}, outputs={"value": b.predict(unclear)}, rtol=1e-9)


def linear():
    lin = {"linear_tree": True}
    yield case("linear trees", train(lin, SIGNAL, x=FILLED))
    yield case("linear trees, missing asked: the leaf's plain value", train(lin, SIGNAL, x=FILLED), probe=X)
    yield case("linear trees with missing in training", train(lin, SIGNAL))
    yield case("linear trees, binary", train(dict(lin, objective="binary"), BINARY))
    yield case("linear trees, multiclass", train(dict(lin, objective="multiclass", num_class=3), MULTI))
    yield case("linear trees, categories", train(dict(lin, cat_smooth=1), CAT_Y, x=CATS, categorical_feature=[3, 4]))
    wide = RNG.normal(size=(400, 40))
    yield case("linear trees, many features", train(lin, wide[:, 0] * wide[:, 39] + wide[:, 20], x=wide), x=wide)


def others():
    """Files that others wrote: their data are in tests/data/models."""
    folder = os.path.join(ROOT, "tests/data/models")
    path = os.path.join(folder, "iris-lightgbm.bst")
    with open(path, "rb") as f:
        data = f.read()
    x = np.round(np.random.default_rng(3).uniform([4, 2, 1, 0.1], [8, 4.5, 7, 2.5], (100, 4)), 1)
    yield case("iris-lightgbm.bst", lgb.Booster(model_file=path), x=x, data=data)


def cases():
    yield from objectives()
    yield from boosters()
    yield from missing()
    yield from categories()
    yield from linear()
    yield from others()
    text = train({}, SIGNAL).model_to_string()
    yield Model(name="an unknown objective is refused by name", file_name="m.txt", inputs={}, outputs={},
                data=text.replace("objective=regression", "objective=unheardof").encode(), refused="unheardof")
    yield Model(name="a child that is not there is refused by tree and line", file_name="m.txt", inputs={}, outputs={},
                data=text.replace("left_child=", "left_child=99 ", 1).encode(), refused="tree 0")
