"""scikit-learn: linear models, pickles of every protocol, joblib files of every compression."""
import io
import pickle

import numpy as np

from common import Model, old

# Runs in every version of scikit-learn: appends dicts with the fields of common.Model to `models`.
BASICS = r"""
import io, pickle
import numpy as np
from sklearn.datasets import load_iris, load_breast_cancer, make_regression
from sklearn.preprocessing import StandardScaler
from sklearn.linear_model import *
from sklearn.svm import LinearSVC, LinearSVR

iris, cancer = load_iris(), load_breast_cancer()
X3, y3 = iris.data, iris.target
X2, y2 = cancer.data[:200, :8] / cancer.data[:, :8].std(axis=0), cancer.target[:200]
Xr, yr = make_regression(120, 6, n_informative=4, noise=3.0, random_state=1)
Yr = np.column_stack([yr, yr ** 2 / 100, -yr + 1])
T3, T2 = iris.target_names[y3], cancer.target_names[y2]

def answers(m, X):
    if hasattr(m, "predict_proba"):
        try:
            return {"label": m.predict(X), "probabilities": m.predict_proba(X)}
        except AttributeError:
            pass
    if hasattr(m, "decision_function"):
        s = m.decision_function(X)
        return {"label": m.predict(X), "scores": s.reshape(-1, 1) if s.ndim == 1 else s}
    if hasattr(m, "classes_"):
        return {"label": m.predict(X)}
    return {"value": m.predict(X)}

def add(m, X, y, name=None, **more):
    m.fit(X, y)
    out = more.pop("outputs", None) or answers(m, X)
    models.append(dict(name=name or repr(m)[:80], file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X},
                       outputs=out, rtol=1e-9, atol=1e-9, **more))

for m in [LinearRegression(), LinearRegression(fit_intercept=False), Ridge(), RidgeCV(), Lasso(), LassoCV(cv=3),
          ElasticNet(), ElasticNetCV(cv=3), Lars(n_nonzero_coefs=3), LassoLars(alpha=0.1), LassoLarsCV(cv=3), LassoLarsIC(),
          LarsCV(cv=3), OrthogonalMatchingPursuit(n_nonzero_coefs=3), BayesianRidge(), ARDRegression(), HuberRegressor(),
          TheilSenRegressor(random_state=0, max_subpopulation=50), RANSACRegressor(random_state=0), SGDRegressor(random_state=0),
          LinearSVR(random_state=0), LinearSVR(random_state=0, fit_intercept=False),
          QuantileRegressor(quantile=0.3, alpha=0.01, solver="highs")]:
    add(m, Xr, yr)
for m in [PoissonRegressor(), GammaRegressor(), TweedieRegressor(power=1.5), TweedieRegressor(power=0),
          TweedieRegressor(power=0, link="log")]:
    add(m, Xr, np.abs(yr) / 100 + 1)
for m in [LinearRegression(), Ridge(), MultiTaskLasso(), MultiTaskElasticNetCV(cv=3), Lars()]:
    add(m, Xr, Yr, name="3 targets, %r" % m)
add(LinearRegression(), Xr, yr.reshape(-1, 1), name="LinearRegression, y [n, 1]")
add(LinearRegression(), Xr.astype(np.float32), yr.astype(np.float32), name="LinearRegression in float32",
    outputs={"value": None})
models.pop()

for X, y, what in [(X2, y2, "binary"), (X3, y3, "3 classes"), (X2, T2, "binary, text"), (X3, T3, "3 classes, text"),
                   (X3, y3 * 2.0, "3 classes, floats"), (X2, y2 == 1, "bools")]:
    for m in [LogisticRegression(max_iter=500), LinearSVC(random_state=0, dual=True), RidgeClassifier(),
              SGDClassifier(random_state=0), Perceptron(random_state=0)]:
        add(m, X, y, name="%s, %r" % (what, m))
for X, y, what in [(X2, y2, "binary"), (X3, y3, "3 classes")]:
    for m in [SGDClassifier(random_state=0, loss="modified_huber"), PassiveAggressiveClassifier(random_state=0),
              LogisticRegressionCV(cv=3, max_iter=300), RidgeClassifierCV(),
              LogisticRegression(fit_intercept=False, max_iter=300)]:
        add(m, X, y, name="%s, %r" % (what, m))
add(LogisticRegression(solver="liblinear"), X2, y2)
d = SGDOneClassSVM(random_state=0, nu=0.3).fit(X3)
models.append(dict(name="SGDOneClassSVM", file_name="m.pkl", data=pickle.dumps(d), inputs={"x": X3},
                   outputs={"label": d.predict(X3), "scores": d.decision_function(X3)}, rtol=1e-9))
"""

# Machines, networks, discriminants, and what is made of several estimators.
OTHERS = r"""
from sklearn.svm import SVC, NuSVC, SVR, NuSVR, OneClassSVM
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.multiclass import OneVsRestClassifier, OneVsOneClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor, ClassifierChain, RegressorChain
from sklearn.pipeline import Pipeline, make_pipeline

T4 = np.array(["a", "b", "c", "d"])[np.arange(150) % 4]
for X, y, what in [(X2, T2, "binary, text"), (X3, y3, "3 classes"), (X3, T4, "4 classes, text")]:
    for m in [SVC(), SVC(kernel="linear"), SVC(kernel="poly", degree=2, coef0=1.0), SVC(kernel="sigmoid"),
              SVC(gamma=0.5, decision_function_shape="ovo"), SVC(gamma=0.5, break_ties=True), NuSVC(nu=0.2, gamma="auto")]:
        m.fit(X, y)
        s = m.decision_function(X)
        models.append(dict(name="%s, %r" % (what, m), file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X},
                           outputs={"label": m.predict(X), "scores": s.reshape(-1, 1) if s.ndim == 1 else s}, rtol=1e-7))
far = X3 + 1e5
m = SVC(gamma=0.5).fit(far, y3)
models.append(dict(name="SVC far from the origin", file_name="m.pkl", data=pickle.dumps(m), inputs={"x": far},
                   outputs={"label": m.predict(far), "scores": m.decision_function(far)}))
for X, y, what in [(X2, T2, "binary, text"), (X3, y3, "3 classes"), (X3, T4, "4 classes, text")]:
    for m in [SVC(probability=True, random_state=0), NuSVC(nu=0.2, probability=True, kernel="linear", random_state=0)]:
        m.fit(X, y)
        models.append(dict(name="%s, %r" % (what, m), file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X},
                           outputs={"label": m.predict(X), "probabilities": m.predict_proba(X)}, rtol=1e-7,
                           ort="PairwiseCoupling is an operator of ours"))
import scipy.sparse as sp
for m, X, y in [(SVC(), X3, y3), (SVC(kernel="linear"), X2, y2)]:
    m.fit(sp.csr_matrix(np.where(X > 1, X, 0)), y)
    s = m.decision_function(sp.csr_matrix(X))
    models.append(dict(name="sparse rows, %r" % m, file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X},
                       outputs={"label": m.predict(sp.csr_matrix(X)), "scores": s.reshape(-1, 1) if s.ndim == 1 else s},
                       rtol=1e-7))
m = LogisticRegression(max_iter=300).fit(X3, y3).sparsify()
models.append(dict(name="LogisticRegression, sparse coefficients", file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X3},
                   outputs={"label": m.predict(X3), "probabilities": m.predict_proba(X3)}))
gram = X3 @ X3.T
m = SVC(kernel="precomputed").fit(gram, y3)
models.append(dict(name="SVC precomputed", file_name="m.pkl", data=pickle.dumps(m), inputs={"x": gram},
                   outputs={"label": m.predict(gram), "scores": m.decision_function(gram)}, rtol=1e-7))
for m in [SVR(), SVR(kernel="linear"), SVR(kernel="poly"), NuSVR(C=10.0), SVR(kernel="sigmoid", gamma=0.01)]:
    add(m, Xr, yr)
m = OneClassSVM(nu=0.2).fit(X3)
models.append(dict(name="OneClassSVM", file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X3},
                   outputs={"label": m.predict(X3), "scores": m.decision_function(X3)}, rtol=1e-7))

Z3, Z2, Zr = StandardScaler().fit_transform(X3), StandardScaler().fit_transform(X2), StandardScaler().fit_transform(Xr)
for activation in ["identity", "logistic", "tanh", "relu"]:
    k = dict(hidden_layer_sizes=(7, 5), activation=activation, max_iter=40, random_state=0)
    add(MLPClassifier(**k), Z3, T3)
    add(MLPClassifier(**k), Z2, y2)
    add(MLPRegressor(**k), Zr, yr / 100)
add(MLPRegressor(hidden_layer_sizes=(6,), max_iter=40, random_state=0), Zr, Yr / 100)
L3 = np.column_stack([y3 == 0, y3 != 1, X3[:, 0] > 6]).astype(int)
add(MLPClassifier(hidden_layer_sizes=(6,), max_iter=60, random_state=0), Z3, L3, name="MLPClassifier, several labels")

for X, y, what in [(X2, T2, "binary, text"), (X3, y3, "3 classes")]:
    for m in [LinearDiscriminantAnalysis(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2),
              LinearDiscriminantAnalysis(solver="eigen"), QuadraticDiscriminantAnalysis(reg_param=0.01),
              DummyClassifier(strategy="prior"), DummyClassifier(strategy="most_frequent"),
              DummyClassifier(strategy="constant", constant=y[-1])]:
        add(m, X, y, name="%s, %r" % (what, m))
    for m in [OneVsRestClassifier(LogisticRegression(max_iter=300)), OneVsRestClassifier(LinearSVC(random_state=0, dual=True)),
              OneVsOneClassifier(LinearSVC(random_state=0, dual=True)), OneVsOneClassifier(LogisticRegression(max_iter=300)),
              OneVsRestClassifier(MLPClassifier((4,), max_iter=30, random_state=0))]:
        add(m, X, y, name="%s, %r" % (what, m))
add(OutputCodeClassifier(LogisticRegression(max_iter=300), random_state=0), X3, T3)
add(OneVsRestClassifier(LogisticRegression(max_iter=300)), X3, L3, name="OneVsRest, several labels")
add(OneVsRestClassifier(LogisticRegression()), X3, np.column_stack([L3, np.ones(150, int)]), name="OneVsRest, a constant label")
for m in [DummyRegressor(), DummyRegressor(strategy="quantile", quantile=0.3)]:
    add(m, Xr, yr)
add(DummyRegressor(), Xr, Yr, name="DummyRegressor, 3 targets")
add(MultiOutputRegressor(Ridge()), Xr, Yr)
add(RegressorChain(Ridge(), order=[2, 0, 1]), Xr, Yr)
m = MultiOutputClassifier(LogisticRegression(max_iter=300)).fit(X3, np.column_stack([T3, T4]))
models.append(dict(name="MultiOutputClassifier", file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X3},
                   outputs={"label": m.predict(X3)}))
add(ClassifierChain(LogisticRegression(max_iter=300), order=[1, 2, 0]), X3, L3)
add(Pipeline([("a", "passthrough"), ("lda", LinearDiscriminantAnalysis()), ("b", None if False else "passthrough"),
              ("svc", LogisticRegression())]), X3, T3, name="Pipeline with passthrough and a projection")
m = make_pipeline("passthrough", LinearDiscriminantAnalysis()).fit(X3, y3)
models.append(dict(name="Pipeline that is named twice", file_name="m.pkl", data=pickle.dumps(m), inputs={"x": X3},
                   outputs={"label": m.predict(X3), "probabilities": m.predict_proba(X3)}))
"""

# What newer releases took away or renamed.
ONLY_OLD = r"""
for m in [LogisticRegression(multi_class="ovr", max_iter=300), LogisticRegression(multi_class="multinomial", max_iter=300),
          LogisticRegression(solver="liblinear", multi_class="auto")]:
    add(m, X3, y3)
    add(m, X2, y2)
"""

NEWER = r"""
add(SGDClassifier(random_state=0, loss="log_loss"), X2, y2)
add(SGDClassifier(random_state=0, loss="log_loss"), X3, T3)
add(LogisticRegression(solver="newton-cholesky"), X3, y3)
add(LogisticRegression(solver="newton-cholesky"), X2, y2)
"""

FILES = r"""
import sys, tempfile, os
import joblib
m = LogisticRegression(max_iter=500).fit(X3, T3)
want = answers(m, X3)
for protocol in range(6):
    models.append(dict(name="pickle protocol %d" % protocol, file_name="m.pkl", data=pickle.dumps(m, protocol),
                       inputs={"x": X3}, outputs=want, rtol=1e-9))
big = LinearRegression().fit(np.random.default_rng(0).normal(size=(40, 3000)), np.arange(40.0))
for fitted, X, out in [(m, X3, want), (big, np.ones((3, 3000)), {"value": big.predict(np.ones((3, 3000)))})]:
    for compress in [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3), ("lz4", 3)]:
        try:
            with tempfile.TemporaryDirectory() as at:
                path = os.path.join(at, "m.joblib")
                joblib.dump(fitted, path, compress=compress)
                data = open(path, "rb").read()
        except ValueError as e:
            if "LZ4" in str(e):
                continue
            raise
        models.append(dict(name="joblib %s of %s" % (compress, type(fitted).__name__), file_name="m.joblib", data=data,
                           inputs={"x": X}, outputs=out, rtol=1e-9))
"""


def published():
    """Files that other projects publish as examples; what the newest release answers for them."""
    import os
    import joblib
    from sklearn.datasets import load_digits, load_iris
    from common import ROOT
    for name, X in [("sk_model.joblib", load_iris().data), ("sk_model.pkl", load_iris().data),
                    ("mnist-svm.joblib", load_digits().data)]:
        path = os.path.join(ROOT, "tests/data/models", name)
        m = joblib.load(path)
        out = {"label": m.predict(X)}
        if m.probability is True:
            out["probabilities"] = m.predict_proba(X)
        else:
            out["scores"] = m.decision_function(X)
        with open(path, "rb") as f:
            yield Model(name="published " + name, file_name=name, data=f.read(), inputs={"x": X}, outputs=out, rtol=1e-7,
                        ort="PairwiseCoupling is an operator of ours" if m.probability is True else True)


REFUSED = r"""
models.clear()
import math
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

class Mine(LogisticRegression):
    pass
Mine.__module__ = "my_package.models"
Mine.__qualname__ = "Mine"
import sys, types
sys.modules["my_package"] = types.ModuleType("my_package")
sys.modules["my_package.models"] = types.ModuleType("my_package.models")
sys.modules["my_package.models"].Mine = Mine

def refuse(name, m, words):
    models.append(dict(name="refused: " + name, file_name="m.pkl", data=pickle.dumps(m), inputs={}, outputs={}, refused=words))

refuse("a class of the user's", Mine().fit(X2, y2), "REJECT_CLASS my_package.models.Mine")
refuse("a dict", {"a": 1}, "an estimator is expected, found dict")
refuse("an estimator without a decoder", GaussianProcessClassifier().fit(X2[:20], y2[:20]), "REJECT_CLASS sklearn.gaussian_process")
refuse("not fitted", LogisticRegression(), "classes_ is missing")
m = LogisticRegression().fit(X2, y2)
m.coef_ = m.coef_[:, :3].reshape(3, 1)
refuse("a wrong shape", m, "LogisticRegression: coef_ has 3 rows, expected 1")
m = make_pipeline(StandardScaler(), LogisticRegression()).fit(X2, y2)
m.steps[1][1].coef_ = m.steps[1][1].coef_[:, :3]
refuse("a wrong width", m, "Pipeline.steps[1] 'logisticregression' (LogisticRegression): 3 features are fitted, the input has 8")
m = LogisticRegression().fit(X2, y2)
m.coef_ = m.coef_ * math.nan
refuse("NaN", m, "coef_ holds NaN at element 0")
m = LogisticRegression().fit(X2, y2)
m.intercept_ = "a"
refuse("text for a number", m, "intercept_ is str, expected an array of numbers")
class Command:
    def __reduce__(self):
        import os
        return os.system, ("true",)
m = LogisticRegression().fit(X2, y2)
m.extra = Command()
refuse("a command in an attribute", m, "REJECT_CLASS posix.system")
p = make_pipeline(LogisticRegression())
for _ in range(9):
    p = make_pipeline(p)
refuse("nested too deep", p.fit(X2, y2), "nested more than 8 deep")
"""


def newest(code):
    models = []
    exec(code, {"models": models})  # noqa: S102 - the text above
    for m in models:
        yield Model(**m)


def cases():
    import warnings
    warnings.simplefilter("ignore")
    yield from published()
    yield from newest(BASICS + OTHERS + NEWER + FILES)
    yield from newest(BASICS + REFUSED)
    yield from old("sklearn-1.5.2", BASICS + OTHERS + ONLY_OLD + NEWER + FILES)
    yield from old("sklearn-1.3.2", BASICS + OTHERS + ONLY_OLD + NEWER)
    yield from old("sklearn-1.1.3", BASICS + OTHERS + ONLY_OLD + FILES)
