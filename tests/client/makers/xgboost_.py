"""XGBoost: boosters, objectives, file forms, missing values, categories, many targets. The expected answers are those of
Booster.predict; labels are what XGBClassifier makes of them."""
import json
import os
import struct
import tempfile
import warnings

import numpy as np
import pandas as pd
import xgboost as xgb

from common import ROOT, Model

warnings.simplefilter("ignore")
RNG = np.random.default_rng(7)
X = RNG.normal(size=(240, 5)).astype(np.float32)
X[RNG.random(X.shape) < 0.08] = np.nan
FILLED = np.nan_to_num(X)
SIGNAL = FILLED[:, 0] * 2 - FILLED[:, 1] + np.abs(FILLED[:, 2])
BINARY = (SIGNAL > 0.7).astype(int)
MULTI = np.digitize(SIGNAL, [-0.5, 1.5])
POSITIVE = np.exp(SIGNAL / 3)
CATS = X.copy()
CATS[:, 3] = RNG.integers(0, 45, len(X))
CATS[:, 4] = RNG.integers(0, 3, len(X))
CATS[::9, 3] = np.nan
CAT_TYPES = ["q", "q", "q", "c", "c"]
CAT_Y = (CATS[:, 3] % 4) + CATS[:, 4]
CAT_Y = np.nan_to_num(CAT_Y)


def train(params, y, x=X, rounds=8, **data):
    p = dict(dict(max_depth=3, nthread=1, learning_rate=0.4, seed=1), **params)
    return xgb.train(p, xgb.DMatrix(x, y, **data), rounds)


def save(booster, suffix):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "m." + suffix)
        booster.save_model(path)
        with open(path, "rb") as f:
            return f.read()


def answers(b, x, **data):
    d = xgb.DMatrix(x, **data)
    objective = json.loads(b.save_config())["learner"]["objective"]["name"]
    p, margin = b.predict(d), b.predict(d, output_margin=True)
    if objective in ("binary:logitraw", "binary:hinge"):
        return {"label": (margin > 0).astype(int), "scores": margin}
    if objective == "binary:logistic" and p.ndim == 1:
        return {"label": (p > 0.5).astype(int), "probabilities": np.stack([1 - p, p], 1)}
    if objective == "binary:logistic":
        return {"label": (p > 0.5).astype(int), "probabilities": p}
    if objective == "multi:softprob":
        return {"label": p.argmax(1), "probabilities": p}
    if objective == "multi:softmax":
        return {"label": p.astype(int)}
    return {"value": p}


def case(name, b, x=X, suffix="ubj", probe=None, data=None, file_name=None, **more):
    probe = x if probe is None else probe
    return Model(name=name, file_name=file_name or "m." + suffix, data=data or save(b, suffix),
                 inputs={"x": probe.astype(np.float32)}, outputs=answers(b, probe, **more.pop("dmatrix", {})),
                 **dict(dict(rtol=1e-6, atol=1e-6), **more))


# ---- the binary form, which XGBoost 3 no longer writes ----

def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def binary_tree(t):
    n = len(t["left_children"])
    out = struct.pack("<37i", 1, n, 0, 0, int(t["tree_param"]["num_feature"]), 0, *[0] * 31)
    for i in range(n):
        split = t["split_indices"][i] | (int(t["default_left"][i]) << 31)
        parent = t["parents"][i] if i else -1
        out += struct.pack("<iiiIf", parent, t["left_children"][i], t["right_children"][i], split,
                           t["split_conditions"][i])
    for i in range(n):
        out += struct.pack("<fffi", t["loss_changes"][i], t["sum_hessian"][i], t["base_weights"][i], 0)
    return out


def as_binary(b, prefix=b"binf", version=(1, 7), margin=None):
    """The file that XGBoost 1.x would have written of this model (version 0: base_score is a margin)."""
    learner = json.loads(save(b, "json"))["learner"]
    par, gb = learner["learner_model_param"], learner["gradient_booster"]
    base = float(json.loads(par["base_score"])[0]) if margin is None else margin
    out = prefix + struct.pack("<fIiiiIII26i", base, int(par["num_feature"]), int(par["num_class"]), 1, 0, *version,
                               int(par["num_target"]), *[0] * 26)
    out += text(learner["objective"]["name"]) + text(gb["name"])
    if gb["name"] == "gblinear":
        w = gb["model"]["weights"]
        out += struct.pack("<34i", *[0] * 34) + struct.pack("<Q%df" % len(w), len(w), *w)
    else:
        trees = gb["gbtree"]["model"] if gb["name"] == "dart" else gb["model"]
        out += struct.pack("<4iq34i", len(trees["trees"]), 1, 0, 0, 0, *[0] * 34)
        out += b"".join(binary_tree(t) for t in trees["trees"])
        out += struct.pack("<%di" % len(trees["tree_info"]), *trees["tree_info"])
        if gb["name"] == "dart":
            out += struct.pack("<Q%df" % len(gb["weight_drop"]), len(gb["weight_drop"]), *gb["weight_drop"])
    return out + struct.pack("<Q", 1) + text("best_iteration") + text("3")


def objectives():
    for o in ("reg:squarederror", "reg:pseudohubererror", "reg:absoluteerror", "rank:pairwise"):
        extra = {"qid": np.arange(len(X)) // 24} if o.startswith("rank") else {}
        y = MULTI if o.startswith("rank") else SIGNAL
        yield case(o, train({"objective": o}, y, **extra))
    for o in ("rank:ndcg", "rank:map"):
        y = BINARY if o == "rank:map" else MULTI
        yield case(o, train({"objective": o}, y, qid=np.arange(len(X)) // 24), suffix="json")
    for o in ("reg:squaredlogerror", "reg:gamma", "reg:tweedie", "count:poisson", "survival:cox"):
        yield case(o, train({"objective": o}, np.round(POSITIVE) if "count" in o else POSITIVE))
    yield case("reg:logistic", train({"objective": "reg:logistic"}, 1 / (1 + np.exp(-SIGNAL))))
    for o in ("binary:logistic", "binary:logitraw", "binary:hinge"):
        yield case(o, train({"objective": o}, BINARY))
    for o in ("multi:softmax", "multi:softprob"):
        for suffix in ("ubj", "json"):
            yield case(f"{o} {suffix}", train({"objective": o, "num_class": 3}, MULTI), suffix=suffix)
    d = xgb.DMatrix(X)
    d.set_float_info("label_lower_bound", POSITIVE)
    d.set_float_info("label_upper_bound", POSITIVE * 1.5)
    yield case("survival:aft", xgb.train({"objective": "survival:aft", "max_depth": 3, "nthread": 1}, d, 8))
    yield case("reg:quantileerror, three quantiles",
               train({"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]}, SIGNAL))


def boosters():
    yield case("binary:logistic, base_score 0.2", train({"objective": "binary:logistic", "base_score": 0.2}, BINARY))
    yield case("squarederror, base_score -3", train({"base_score": -3}, SIGNAL), suffix="json")
    yield case("poisson, base_score 2", train({"objective": "count:poisson", "base_score": 2}, np.round(POSITIVE)))
    for suffix in ("ubj", "json"):
        yield case("dart " + suffix, train({"booster": "dart", "rate_drop": 0.4}, SIGNAL), suffix=suffix)
    yield case("dart multi:softprob", train({"booster": "dart", "rate_drop": 0.4, "objective": "multi:softprob",
                                             "num_class": 3}, MULTI))
    for suffix in ("ubj", "json"):
        yield case("gblinear " + suffix, train({"booster": "gblinear"}, SIGNAL), suffix=suffix, rtol=1e-5)
    yield case("gblinear binary:logistic", train({"booster": "gblinear", "objective": "binary:logistic"}, BINARY),
               rtol=1e-5)
    yield case("gblinear multi:softprob", train({"booster": "gblinear", "objective": "multi:softprob",
                                                 "num_class": 3}, MULTI), rtol=1e-5)
    yield case("random forest of 5 parallel trees", train({"num_parallel_tree": 5, "subsample": 0.6,
                                                           "learning_rate": 1}, SIGNAL, rounds=1))
    yield case("boosted forests, multi", train({"num_parallel_tree": 3, "subsample": 0.6, "objective": "multi:softprob",
                                                "num_class": 3}, MULTI, rounds=3))
    for method in ("exact", "approx", "hist"):
        yield case("pruned, " + method, train({"tree_method": method, "gamma": 5.0}, SIGNAL), suffix="json")
    yield case("depth 8", train({"max_depth": 8}, SIGNAL, rounds=30))
    yield case("one leaf", train({"max_depth": 2, "min_child_weight": 1e9}, SIGNAL, rounds=3))
    yield case("lossguide", train({"grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0}, SIGNAL))
    yield case("monotone", train({"monotone_constraints": "(1,-1,0,0,0)"}, SIGNAL))
    yield case("no missing values in training, missing asked", train({}, SIGNAL, x=FILLED), probe=X)
    two = np.stack([SIGNAL, -SIGNAL * 2 + 1], 1)
    yield case("two targets, a tree each", train({}, two))
    for suffix in ("ubj", "json"):
        yield case("two targets, one tree, " + suffix,
                   train({"multi_strategy": "multi_output_tree", "tree_method": "hist"}, two), suffix=suffix)
    yield case("multi_output_tree, softprob", train({"multi_strategy": "multi_output_tree", "tree_method": "hist",
                                                     "objective": "multi:softprob", "num_class": 3}, MULTI))
    yield case("multilabel", train({"objective": "binary:logistic"}, np.stack([BINARY, 1 - BINARY, MULTI > 1], 1)))
    named = train({}, SIGNAL, feature_names=["a", "b", 'c "d"', "é", "e"])
    yield case("feature names", named, suffix="json", dmatrix={"feature_names": named.feature_names})
    stopped = xgb.train({"max_depth": 4, "learning_rate": 0.9, "nthread": 1}, xgb.DMatrix(X[:120], SIGNAL[:120]), 40,
                        evals=[(xgb.DMatrix(X[120:], SIGNAL[120:]), "e")], early_stopping_rounds=3, verbose_eval=False)
    assert stopped.best_iteration + 1 < stopped.num_boosted_rounds()
    yield case("early stopping: Booster.predict uses all trees", stopped)


def categories():
    more = {"feature_types": CAT_TYPES, "enable_categorical": True}
    odd = CATS.copy()
    odd[::5, 3] = 77  # not seen in training
    odd[1::5, 3] = 2.7  # cut off to 2
    odd[2::5, 3] = -1
    for onehot in (1, 100):
        for suffix in ("ubj", "json"):
            b = train({"max_cat_to_onehot": onehot}, CAT_Y, x=CATS, **more)
            yield case(f"categories, one-hot up to {onehot}, {suffix}", b, x=CATS, suffix=suffix, dmatrix=more)
    b = train({"objective": "multi:softprob", "num_class": 3}, MULTI, x=CATS, **more)
    yield case("categories, multi:softprob", b, x=CATS, dmatrix=more)
    b = train({"max_cat_to_onehot": 1}, CAT_Y, x=CATS, **more)
    yield case("categories that are unknown, broken, negative", b, probe=odd, dmatrix=more)


def frames():
    """Trained on a DataFrame with categories: a column an input, in which categories stand as in the table."""
    n = len(X)
    frame = pd.DataFrame({"n": FILLED[:, 0], "colour": pd.Categorical(RNG.choice(["red", "green", "blue"], n)),
                          "size": pd.Categorical(RNG.choice([1, 5, 7], n)), "flag": FILLED[:, 1] > 0})
    y = FILLED[:, 0] + 2 * (frame.colour == "red") + (frame["size"] == 5)
    for name, columns in (("text and numbers", ["n", "colour", "size", "flag"]), ("text", ["colour", "n"]),
                          ("numbers", ["size", "n"])):
        f = frame[columns]
        b = train({}, y, x=f, enable_categorical=True)
        asked = {c: f[c].astype(object if c == "colour" else float).to_numpy().reshape(-1, 1) for c in columns}
        for suffix in ("ubj", "json"):
            yield Model(name=f"DataFrame with categories of {name}, {suffix}", file_name="m." + suffix,
                        data=save(b, suffix), inputs=asked, atol=1e-6,
                        outputs={"value": b.predict(xgb.DMatrix(f, enable_categorical=True))})


    umlaut = pd.DataFrame({"n": FILLED[:, 0], "c": pd.Categorical(RNG.choice(["rot", "grün", "blau"], n))})
    b = train({}, FILLED[:, 0] + (umlaut.c == "rot"), x=umlaut, enable_categorical=True)
    yield Model(name="DataFrame with categories beyond ASCII, which 3.2 cuts in wrong places: codes", file_name="m.ubj",
                data=save(b, "ubj"), inputs={"x": np.stack([umlaut.n, umlaut.c.cat.codes], 1).astype(np.float32)},
                outputs={"value": b.predict(xgb.DMatrix(umlaut, enable_categorical=True))}, atol=1e-6)


def forms():
    b = train({"objective": "binary:logistic"}, BINARY)
    yield case("pickled booster (UBJSON with its configuration)", b, data=bytes(b.__getstate__()["handle"]))
    margin = float(np.log(0.3 / 0.7))
    kinds = [("gbtree", {"objective": "binary:logistic", "base_score": 0.3}, BINARY),
             ("softprob", {"objective": "multi:softprob", "num_class": 3, "base_score": 0.5}, MULTI),
             ("dart", {"booster": "dart", "rate_drop": 0.4, "base_score": 0.5}, SIGNAL),
             ("gblinear", {"booster": "gblinear", "base_score": 0.5}, SIGNAL),
             ("poisson", {"objective": "count:poisson", "base_score": 0.5}, np.round(POSITIVE))]
    for name, params, y in kinds:
        b = train(params, y)
        yield case(f"binary form, {name}", b, data=as_binary(b), file_name="m.bst", rtol=1e-5 if "linear" in name else 1e-6)
    b = train(kinds[0][1], BINARY)
    yield case("binary form of before 1.0, bare", b, data=as_binary(b, b"", (0, 0), margin), file_name="m.model")
    bare = as_binary(b, b"")
    yield case("binary form in a pickle of 1.x", b, file_name="m.bst",
               data=b"CONFIG-offset:" + struct.pack("<q", len(bare)) + bare + b'{"learner":{}}')


def others():
    """Files of others and of versions that are not installed, in tests/data/models with their answers."""
    folder = os.path.join(ROOT, "tests/data/models")
    with open(os.path.join(folder, "xgboost.expected.json")) as f:
        for name, m in json.load(f).items():
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            yield Model(name=name, file_name=name, data=data, inputs={"x": np.array(m["x"], np.float32)},
                        outputs={k: np.array(v) for k, v in m["outputs"].items()}, made_by=m["made_by"], atol=1e-6)


def cases():
    yield from objectives()
    yield from boosters()
    yield from categories()
    yield from frames()
    yield from forms()
    yield from others()
    path = os.path.join(ROOT, "tests/data/models", "xgb_model.ubj")
    with open(path, "rb") as f:
        data = f.read()
    yield case("xgb_model.ubj", xgb.Booster(model_file=path), x=RNG.uniform(-2, 20, (50, 4)).astype(np.float32), data=data)
    booster = json.loads(save(train({}, SIGNAL), "json"))
    booster["learner"]["objective"]["name"] = "reg:unheardof"
    yield Model(name="an unknown objective is refused by name", file_name="m.json", data=json.dumps(booster).encode(),
                inputs={}, outputs={}, refused="reg:unheardof")
