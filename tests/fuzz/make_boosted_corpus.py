"""Makes tests/fuzz/corpus/{xgboost,lightgbm,catboost}: small models of every form, with the makers' libraries.

    .cache/venv-makers/bin/python tests/fuzz/make_boosted_corpus.py"""
import json
import os
import sys
import warnings

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "client", "makers"))
import catboost_ as C
import lightgbm_ as L
import xgboost_ as X

warnings.simplefilter("ignore")


def put(folder, name, data):
    path = os.path.join(HERE, "corpus", folder)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as f:
        f.write(data)


def xgboost():
    small = dict(rounds=2)
    shallow = {"max_depth": 2}
    cats = {"feature_types": X.CAT_TYPES, "enable_categorical": True}
    logistic = X.train(dict(shallow, objective="binary:logistic", base_score=0.3), X.BINARY, **small)
    named = X.train(shallow, X.SIGNAL, rounds=1, feature_names=["a", "b", 'c "d"', "é", "e"])
    models = {
        "logistic": logistic,
        "categories": X.train(dict(shallow, max_cat_to_onehot=1), X.CAT_Y, x=X.CATS, rounds=1, **cats),
        "softprob": X.train({"max_depth": 1, "objective": "multi:softprob", "num_class": 3}, X.MULTI, rounds=1),
        "vector": X.train(dict(shallow, multi_strategy="multi_output_tree", tree_method="hist"),
                          np.stack([X.SIGNAL, -X.SIGNAL], 1), rounds=1),
        "dart": X.train(dict(shallow, booster="dart", rate_drop=0.5), X.SIGNAL, **small),
        "linear": X.train({"booster": "gblinear"}, X.SIGNAL, **small),
    }
    for name, b in models.items():
        put("xgboost", name + ".json", json.dumps(json.loads(X.save(b, "json")), separators=(",", ":")).encode())
        put("xgboost", name + ".ubj", X.save(b, "ubj"))
    put("xgboost", "named.json", X.save(named, "json"))
    table = X.pd.DataFrame({"n": X.FILLED[:, 0], "c": X.pd.Categorical(np.array(["red", "green", "blue"])[X.MULTI]),
                            "k": X.pd.Categorical(np.array([1, 5])[X.BINARY])})
    b = X.train(shallow, X.MULTI, x=table, rounds=1, enable_categorical=True)
    put("xgboost", "table.json", json.dumps(json.loads(X.save(b, "json")), separators=(",", ":")).encode())
    put("xgboost", "table.ubj", X.save(b, "ubj"))
    for name in ("logistic", "softprob", "dart", "linear"):
        put("xgboost", name + ".bst", X.as_binary(models[name], margin=0.5))
    put("xgboost", "old.bst", X.as_binary(logistic, b"", (0, 0), -0.8))


def lightgbm():
    def text(params, y, x=L.X, rounds=2, **data):
        b = L.train(dict({"num_leaves": 4}, **params), y, x=x, rounds=rounds, **data)
        s = b.model_to_string()
        end = s.index("end of trees") + len("end of trees\n")
        tail = [line for line in s.split("\n") if line.startswith("pandas_categorical")]
        return (s[:end] + "\n" + "\n".join(tail) + "\n").encode()

    put("lightgbm", "regression", text({}, L.SIGNAL))
    put("lightgbm", "binary", text({"objective": "binary", "sigmoid": 0.7}, L.BINARY))
    put("lightgbm", "multiclass", text({"objective": "multiclass", "num_class": 3}, L.MULTI, rounds=1))
    put("lightgbm", "ova", text({"objective": "multiclassova", "num_class": 3}, L.MULTI, rounds=1))
    put("lightgbm", "forest", text({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, L.SIGNAL))
    put("lightgbm", "zero", text({"zero_as_missing": True, "objective": "poisson"}, L.POSITIVE))
    put("lightgbm", "sqrt", text({"reg_sqrt": True}, L.SIGNAL, rounds=1))
    put("lightgbm", "lambda", text({"objective": "cross_entropy_lambda"}, 1 / (1 + np.exp(-L.SIGNAL)), rounds=1))
    put("lightgbm", "categories", text({"cat_smooth": 1, "min_data_per_group": 1, "max_cat_to_onehot": 1}, L.CAT_Y,
                                       x=L.CATS, categorical_feature=[3, 4]))
    put("lightgbm", "linear", text({"linear_tree": True}, L.SIGNAL, x=L.FILLED, rounds=3))
    table = L.pd.DataFrame({"n": L.FILLED[:, 0], "c": L.pd.Categorical(np.array(["red", "green", "blü"])[L.MULTI]),
                            "k": L.pd.Categorical(np.array([1, 5])[L.BINARY])})
    put("lightgbm", "table", text({"cat_smooth": 1, "min_data_per_group": 1}, L.MULTI, x=table))
    put("lightgbm", "leaf", text({"min_data_in_leaf": 1000}, L.SIGNAL))


def catboost():
    def slim(m):
        j = json.loads(C.save(m))
        info = j["model_info"]
        j["model_info"] = {"class_params": info.get("class_params", {}),
                           "params": {"loss_function": info["params"]["loss_function"]}}
        for f in j["features_info"]["float_features"]:
            f["borders"] = f["borders"][:3]
        return json.dumps(j, separators=(",", ":")).encode()

    few = dict(iterations=2, depth=2)
    put("catboost", "rmse", slim(C.regressor(C.SIGNAL, **few)))
    put("catboost", "max", slim(C.regressor(C.SIGNAL, nan_mode="Max", **few)))
    put("catboost", "logloss", slim(C.classifier(C.BINARY, **few)))
    put("catboost", "words", slim(C.classifier(np.array(["low", "mid", "hïgh"])[C.MULTI], **few)))
    put("catboost", "ova", slim(C.classifier(C.MULTI, loss_function="MultiClassOneVsAll", iterations=1, depth=1)))
    put("catboost", "depthwise", slim(C.classifier(C.MULTI, grow_policy="Depthwise", **few)))
    put("catboost", "lossguide", slim(C.regressor(C.SIGNAL, grow_policy="Lossguide", max_leaves=5, iterations=2)))
    put("catboost", "poisson", slim(C.regressor(np.round(np.exp(C.SIGNAL / 3)), loss_function="Poisson", iterations=1,
                                                depth=3)))


xgboost()
lightgbm()
catboost()
