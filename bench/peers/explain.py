"""TreeSHAP of forests by their makers and by the shap package, on one core.

    explain.py DIRECTORY [lightgbm|xgboost]

100 trees of 31 leaves on 30 features: DIRECTORY/NAME.model, NAME.rows (raw), and a line
`NAME rows N maker US shap US`: microseconds a row, medians of three."""
import os
import sys
import time

import numpy as np

os.environ["OMP_NUM_THREADS"] = "1"
DIRECTORY, NAME, ROWS = sys.argv[1], sys.argv[2], 1000


def us_a_row(fn):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        fn()
        times.append((time.perf_counter() - began) * 1e6 / ROWS)
    return sorted(times)[1]


rng = np.random.default_rng(3)
x = rng.standard_normal((20000, 30))
y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + np.where(x[:, 3] > 0.3, x[:, 4], -x[:, 5])
some = x[:ROWS]
import shap  # noqa: E402

if NAME == "lightgbm":
    import lightgbm
    model = lightgbm.train({"num_leaves": 31, "verbose": -1, "num_threads": 1}, lightgbm.Dataset(x, label=y), 100)
    data, raw = model.model_to_string().encode(), some
    maker = us_a_row(lambda: model.predict(some, pred_contrib=True, num_threads=1))
else:
    import xgboost
    model = xgboost.train({"max_leaves": 31, "grow_policy": "lossguide", "tree_method": "hist", "nthread": 1},
                          xgboost.DMatrix(x.astype(np.float32), label=y), 100)
    data, raw = bytes(model.save_raw("ubj")), some.astype(np.float32)
    rows = xgboost.DMatrix(raw, nthread=1)
    maker = us_a_row(lambda: model.predict(rows, pred_contribs=True))
explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
theirs = us_a_row(lambda: explainer.shap_values(some, check_additivity=False))
with open(f"{DIRECTORY}/{NAME}.model", "wb") as f:
    f.write(data)
with open(f"{DIRECTORY}/{NAME}.rows", "wb") as f:
    f.write(np.ascontiguousarray(raw).tobytes())
print(f"{NAME} rows {ROWS} maker {maker:.2f} shap {theirs:.2f}")
