#!/usr/bin/env python3
"""Makes the small pickles of tests/fuzz/corpus/pickle (needs scikit-learn, joblib and lz4; its output is committed).
Every file is a model that the reader accepts, below 8 KiB, so that mutants of it get far. Protocols and joblib's ways to
write take turns over the models.

    OMP_NUM_THREADS=1 python tests/fuzz/make_pickle_corpus.py tests/fuzz/corpus/pickle
"""
import pickle
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
from sklearn import discriminant_analysis, dummy, linear_model, multiclass, multioutput, neural_network, pipeline, svm

warnings.simplefilter("ignore")
rng = np.random.default_rng(3)
X = rng.normal(size=(16, 3))
CLASSES = np.arange(16) % 3
WORDS = np.array(["no", "yes"])[CLASSES % 2]
VALUES = X @ [1.0, -2.0, 0.5] + rng.normal(size=16)
TWO = np.column_stack([VALUES, -VALUES])
FLAGS = np.column_stack([CLASSES == 0, CLASSES == 1]).astype(int)

MODELS = {
    "linear_regression": (linear_model.LinearRegression(), VALUES),
    "ridge_two": (linear_model.Ridge(), TWO),
    "poisson": (linear_model.PoissonRegressor(), np.abs(VALUES) + 1),
    "tweedie": (linear_model.TweedieRegressor(power=1.5), np.abs(VALUES) + 1),
    "ransac": (linear_model.RANSACRegressor(random_state=0, min_samples=4), VALUES),
    "logistic": (linear_model.LogisticRegression(), CLASSES),
    "logistic_words": (linear_model.LogisticRegression(), WORDS),
    "sgd_huber": (linear_model.SGDClassifier(loss="modified_huber", random_state=0), CLASSES),
    "sgd_one_class": (linear_model.SGDOneClassSVM(random_state=0), None),
    "ridge_classifier": (linear_model.RidgeClassifier(), CLASSES),
    "linear_svc": (svm.LinearSVC(random_state=0), WORDS),
    "svc": (svm.SVC(gamma=0.5), CLASSES),
    "svc_words": (svm.SVC(kernel="poly"), WORDS),
    "svc_linear": (svm.SVC(kernel="linear", decision_function_shape="ovo"), CLASSES),
    "svr": (svm.SVR(kernel="sigmoid"), VALUES),
    "one_class_svm": (svm.OneClassSVM(), None),
    "mlp_classifier": (neural_network.MLPClassifier(hidden_layer_sizes=(3,), max_iter=5, random_state=0), CLASSES),
    "mlp_regressor": (neural_network.MLPRegressor(hidden_layer_sizes=(3, 2), activation="tanh", max_iter=5, random_state=0), VALUES),
    "lda": (discriminant_analysis.LinearDiscriminantAnalysis(), CLASSES),
    "qda": (discriminant_analysis.QuadraticDiscriminantAnalysis(reg_param=0.1), CLASSES),
    "dummy_classifier": (dummy.DummyClassifier(), WORDS),
    "dummy_regressor": (dummy.DummyRegressor(), VALUES),
    "one_vs_rest": (multiclass.OneVsRestClassifier(linear_model.LogisticRegression()), CLASSES),
    "one_vs_one": (multiclass.OneVsOneClassifier(svm.LinearSVC(random_state=0)), CLASSES),
    "output_code": (multiclass.OutputCodeClassifier(linear_model.LogisticRegression(), random_state=0), CLASSES),
    "multi_output": (multioutput.MultiOutputRegressor(linear_model.Ridge()), TWO),
    "classifier_chain": (multioutput.ClassifierChain(linear_model.LogisticRegression()), FLAGS),
    "pipeline": (pipeline.make_pipeline("passthrough", discriminant_analysis.LinearDiscriminantAnalysis(),
                                        linear_model.LogisticRegression()), CLASSES),
}
WAYS = [("p5", None), ("p0", None), ("joblib", 0), ("p2", None), ("zlib", ("zlib", 3)), ("p4", None), ("gzip", ("gzip", 3)),
        ("p1", None), ("bz2", ("bz2", 3)), ("joblib", 0), ("xz", ("xz", 3)), ("p3", None), ("lzma", ("lzma", 3)),
        ("lz4", ("lz4", 3))]


def joblib_file(model, compress, folder):
    """lz4 needs a file of its own; alignment of arrays is that of the place in it."""
    path = folder / "making"
    joblib.dump(model, path, compress=compress)
    data = path.read_bytes()
    path.unlink()
    return data


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for i, (name, (model, y)) in enumerate(MODELS.items()):
        model.fit(X, y)
        way, compress = WAYS[i % len(WAYS)]
        data = pickle.dumps(model, int(way[1])) if way[0] == "p" else joblib_file(model, compress, folder)
        if len(data) > 8192:
            way, data = "gzip", joblib_file(model, ("gzip", 9), folder)
        assert len(data) <= 8192, (name, len(data))
        (folder / f"{name}.{way}").write_bytes(data)


if __name__ == "__main__":
    main()
