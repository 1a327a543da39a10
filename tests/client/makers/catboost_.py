"""CatBoost: losses, growing policies, missing values, classes of all kinds. The expected answers are those of predict and
predict_proba of CatBoostClassifier, CatBoostRegressor and CatBoost."""
import os
import tempfile
import warnings

import catboost as cb
import numpy as np
import pandas as pd

from common import Model

warnings.simplefilter("ignore")
RNG = np.random.default_rng(5)
N = 260
X = RNG.normal(size=(N, 5)).astype(np.float32)
X[RNG.random(X.shape) < 0.08] = np.nan
FILLED = np.nan_to_num(X)
SIGNAL = (FILLED[:, 0] * 2 - FILLED[:, 1] + np.abs(FILLED[:, 2])).astype(float)
BINARY = (SIGNAL > 0.7).astype(int)
MULTI = np.digitize(SIGNAL, [-0.5, 1.5])
COMMON = dict(iterations=12, depth=3, learning_rate=0.3, verbose=False, allow_writing_files=False, thread_count=1,
              random_seed=1)


def save(m):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "m.json")
        m.save_model(path, format="json")
        with open(path, "rb") as f:
            return f.read()


def case(name, m, x=X, probe=None, labels=True, **more):
    probe = x if probe is None else probe
    if isinstance(m, cb.CatBoostClassifier):
        outputs = {"probabilities": m.predict_proba(probe)}
        if labels:
            label = m.predict(probe)
            outputs["label"] = label if label.ndim > 1 and label.shape[1] > 1 else np.asarray(label).reshape(-1)
    else:
        outputs = {"value": m.predict(probe)}
    return Model(name=name, file_name="m.json", data=save(m), inputs={"x": np.asarray(probe, np.float64)}, outputs=outputs,
                 **dict(dict(rtol=1e-9, atol=1e-12), **more))


def classifier(y, x=X, **params):
    return cb.CatBoostClassifier(**dict(COMMON, **params)).fit(x, y)


def regressor(y, x=X, **params):
    return cb.CatBoostRegressor(**dict(COMMON, **params)).fit(x, y)


def losses():
    for loss in ("RMSE", "MAE", "Quantile:alpha=0.8", "MAPE", "LogLinQuantile:alpha=0.4", "Huber:delta=1", "Lq:q=2",
                 "Expectile:alpha=0.3", "Tweedie:variance_power=1.5", "Poisson"):
        y = np.exp(SIGNAL / 3) if loss[:3] in ("Twe", "Poi", "Log") else SIGNAL
        yield case(loss, regressor(np.round(y) if loss == "Poisson" else y, loss_function=loss))
    yield case("LogCosh", regressor(SIGNAL, loss_function="LogCosh"))
    yield case("Cox", regressor(np.where(BINARY, 1, -1) * np.exp(SIGNAL / 3), loss_function="Cox"))
    yield case("SurvivalAft", regressor(np.stack([np.exp(SIGNAL / 3), np.exp(SIGNAL / 3) + 1], 1),
                                        loss_function="SurvivalAft:dist=Normal;scale=1"))
    yield case("MultiRMSEWithMissingValues", regressor(np.stack([SIGNAL, -SIGNAL], 1),
                                                       loss_function="MultiRMSEWithMissingValues"))
    yield case("MultiRMSE", regressor(np.stack([SIGNAL, -SIGNAL + 1], 1), loss_function="MultiRMSE"))
    yield case("MultiQuantile", regressor(SIGNAL, loss_function="MultiQuantile:alpha=0.1,0.5,0.9"))
    for loss in ("QueryRMSE", "YetiRank", "QuerySoftMax", "PairLogit", "StochasticRank:metric=NDCG"):
        pairs = [(i, i + 1) for i in range(0, N - 10, 2)] if loss == "PairLogit" else None
        pool = cb.Pool(X, MULTI, group_id=np.arange(N) // 26, pairs=pairs)
        yield case(loss, cb.CatBoost(dict(COMMON, loss_function=loss)).fit(pool))
    yield case("Logloss", classifier(BINARY))
    yield case("Focal", classifier(BINARY, loss_function="Focal:focal_alpha=0.5;focal_gamma=2"))
    strict = classifier(BINARY)
    strict.set_probability_threshold(0.7)
    yield case("Logloss, labels from 0.7 on", strict)
    yield case("MultiCrossEntropy", classifier(np.stack([BINARY, MULTI > 1], 1).astype(float),
                                               loss_function="MultiCrossEntropy"))
    yield case("CrossEntropy", classifier(BINARY, loss_function="CrossEntropy"))
    yield case("MultiClass", classifier(MULTI))
    yield case("MultiClassOneVsAll", classifier(MULTI, loss_function="MultiClassOneVsAll"))
    yield case("MultiLogloss", classifier(np.stack([BINARY, 1 - BINARY, MULTI > 1], 1).astype(int),
                                          loss_function="MultiLogloss"))


def trees():
    for policy in ("Depthwise", "Lossguide"):
        more = dict(grow_policy=policy) if policy == "Depthwise" else dict(grow_policy=policy, max_leaves=7)
        yield case(policy, regressor(SIGNAL, **more))
        yield case(policy + ", Logloss", classifier(BINARY, **more))
        yield case(policy + ", MultiClass", classifier(MULTI, **more))
    yield case("depth 1", regressor(SIGNAL, depth=1))
    yield case("depth 8", regressor(SIGNAL, depth=8))
    yield case("no boosting from the average", regressor(SIGNAL, boost_from_average=False))
    for mode in ("Min", "Max"):
        yield case("missing as " + mode, regressor(SIGNAL, nan_mode=mode))
        yield case("missing as " + mode + ", Lossguide", regressor(SIGNAL, nan_mode=mode, grow_policy="Lossguide"))
    yield case("missing asked, none in training", regressor(SIGNAL, x=FILLED), probe=X)
    edges = X.astype(np.float64)
    edges[::5, 0] += 1e-9  # rounds to the same float
    yield case("doubles are rounded to floats", regressor(SIGNAL), probe=edges)
    yield case("feature names", regressor(SIGNAL, x=pd.DataFrame(X, columns=list("abcd") + ["é"])))
    m = cb.CatBoostRegressor(**dict(COMMON, iterations=60, learning_rate=0.9))
    m.fit(X[:180], SIGNAL[:180], eval_set=(X[180:], SIGNAL[180:]), early_stopping_rounds=3)
    yield case("early stopping: the file has the best iterations", m)


def classes():
    yield case("classes 10, 20", classifier(np.where(BINARY, 20, 10)))
    yield case("classes -1, 5, 7", classifier(np.array([-1, 5, 7])[MULTI]))
    yield case("text classes, two", classifier(np.where(BINARY, "yes", "no")))
    yield case("text classes, three", classifier(np.array(["low", "mid", "hïgh"])[MULTI]))
    yield case("whole numbers as floats", classifier(BINARY.astype(float)))


def cases():
    yield from losses()
    yield from trees()
    yield from classes()
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["colour"] = RNG.choice(["red", "green", "blue"], N)
    frame["unused"] = "same"
    y = SIGNAL + (frame.colour == "red") * 5
    yield Model(name="a loss with its own prediction type is refused by name", file_name="m.json", inputs={}, outputs={},
                data=save(regressor(SIGNAL, loss_function="RMSEWithUncertainty")), refused="RMSEWithUncertainty")
    for size, kind in ((10, "OneHotFeature"), (0, "OnlineCtr")):
        m = cb.CatBoostRegressor(**dict(COMMON, cat_features=["colour", "unused"], one_hot_max_size=size)).fit(frame, y)
        yield Model(name=f"categories of text ({kind}) are refused by name", file_name="m.json", data=save(m), inputs={},
                    outputs={}, refused=kind)
