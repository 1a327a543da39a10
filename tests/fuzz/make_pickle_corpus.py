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
import pandas as pd
from sklearn import calibration, compose, feature_selection, impute, isotonic, model_selection, preprocessing
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction import text
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
HOLES = np.where(rng.uniform(size=X.shape) < 0.2, np.nan, X)
TOWNS = np.array(["Oslo", "Rome", "K\u00f8ln"], dtype=object)[CLASSES].reshape(-1, 1)
TEXTS = ["the cat sat", "a dog\u00e9 sat on it", "cats, DOGS and \u039f\u03a3", "one two three four"] * 4
FRAME = pd.DataFrame({"town": TOWNS[:, 0], "size": VALUES, "age": CLASSES * 1.5})
CODES = CLASSES.reshape(-1, 1) * 1.0
# What takes other data: (model, data, target).
PREPARATION = {
    "standard_scaler": (preprocessing.StandardScaler(), X, None),
    "min_max_clip": (preprocessing.MinMaxScaler(clip=True), X, None),
    "normalizer": (preprocessing.Normalizer(), X, None),
    "k_bins": (preprocessing.KBinsDiscretizer(3, encode="onehot-dense", quantile_method="linear"), X, None),
    "polynomial": (preprocessing.PolynomialFeatures(2), X, None),
    "spline": (preprocessing.SplineTransformer(4, extrapolation="linear"), X, None),
    "quantile_normal": (preprocessing.QuantileTransformer(n_quantiles=5, output_distribution="normal"), X, None),
    "power": (preprocessing.PowerTransformer(), X, None),
    "function": (pipeline.make_pipeline(preprocessing.FunctionTransformer(np.exp), preprocessing.MaxAbsScaler()), X, None),
    "simple_imputer": (impute.SimpleImputer(add_indicator=True), HOLES, None),
    "text_imputer": (impute.SimpleImputer(missing_values="Rome", strategy="most_frequent"), TOWNS, None),
    "knn_imputer": (impute.KNNImputer(n_neighbors=2), HOLES, None),
    "iterative_imputer": (impute.IterativeImputer(linear_model.Ridge(), max_iter=2, random_state=0), HOLES, None),
    "one_hot": (preprocessing.OneHotEncoder(handle_unknown="ignore", drop="first"), TOWNS, None),
    "one_hot_rare": (preprocessing.OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2), CODES, None),
    "ordinal": (preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), TOWNS, None),
    "target_encoder": (preprocessing.TargetEncoder(cv=2), TOWNS, CLASSES),
    "label_binarizer": (preprocessing.LabelBinarizer(), WORDS, None),
    "count_vectorizer": (text.CountVectorizer(ngram_range=(1, 2), stop_words=["the", "a"]), TEXTS, None),
    "tfidf": (pipeline.make_pipeline(text.TfidfVectorizer(sublinear_tf=True), linear_model.LogisticRegression()), TEXTS,
              WORDS),
    "hashing": (text.HashingVectorizer(n_features=16, analyzer="char_wb", ngram_range=(2, 3), strip_accents="unicode"), TEXTS,
                None),
    "select_best": (feature_selection.SelectKBest(k=2), X, CLASSES),
    "select_percentile": (feature_selection.SelectPercentile(percentile=50), X, CLASSES),
    "select_model": (feature_selection.SelectFromModel(linear_model.LogisticRegression()), X, CLASSES),
    "rfe": (feature_selection.RFE(linear_model.Ridge()), X, VALUES),
    "columns": (pipeline.make_pipeline(
        compose.ColumnTransformer([("n", preprocessing.StandardScaler(), ["size"]),
                                   ("t", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["town"])],
                                  remainder="passthrough"), linear_model.LogisticRegression()), FRAME, WORDS),
    "union": (pipeline.FeatureUnion([("a", preprocessing.MaxAbsScaler()), ("b", preprocessing.Binarizer())]), X, None),
    "transformed_target": (compose.TransformedTargetRegressor(linear_model.Ridge(), transformer=preprocessing.StandardScaler()),
                           X, VALUES),
    "grid": (model_selection.GridSearchCV(linear_model.Ridge(), {"alpha": [1.0]}, cv=2), X, VALUES),
    "calibrated_sigmoid": (calibration.CalibratedClassifierCV(linear_model.LogisticRegression(), cv=2), X, CLASSES),
    "calibrated_isotonic": (calibration.CalibratedClassifierCV(linear_model.LogisticRegression(), method="isotonic", cv=2),
                            X, WORDS),
    "isotonic": (isotonic.IsotonicRegression(out_of_bounds="clip"), X[:, :1], VALUES),
    "threshold": (model_selection.FixedThresholdClassifier(linear_model.LogisticRegression(), threshold=0.3), X, WORDS),
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
    models = {name: (model, X, y) for name, (model, y) in MODELS.items()} | PREPARATION
    for i, (name, (model, data, y)) in enumerate(models.items()):
        model.fit(data) if y is None else model.fit(data, y)
        way, compress = WAYS[i % len(WAYS)]
        data = pickle.dumps(model, int(way[1])) if way[0] == "p" else joblib_file(model, compress, folder)
        if len(data) > 8192:
            way, data = "gzip", joblib_file(model, ("gzip", 9), folder)
        assert len(data) <= 8192, (name, len(data))
        (folder / f"{name}.{way}").write_bytes(data)


if __name__ == "__main__":
    main()
