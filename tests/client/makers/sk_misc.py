"""scikit-learn: neighbours, naive Bayes, clusters, mixtures, projections; boosters of XGBoost and LightGBM inside of
pickles. made() runs in the newest scikit-learn and in old ones."""
import os
import pickle
import warnings

import numpy as np
from common import Model, old
from sk_ensemble import answers, model, refusal, table, target


def clusters_of(fitted, x):
    said = {"label": fitted.predict(x)}
    if hasattr(fitted, "transform"):
        said["distances"] = fitted.transform(x)
    if hasattr(fitted, "predict_proba"):
        said["probabilities"] = fitted.predict_proba(x)
    return said


def blobs(seed=3, n=160, width=4):
    r = np.random.RandomState(seed)
    centers = r.normal(size=(4, width)) * 5
    x = centers[r.randint(0, 4, n + 60)] + r.normal(size=(n + 60, width)) * [1, 0.5, 2, 1][:width]
    return x[:n], x[n:]


def neighbours(version):
    from sklearn.neighbors import (KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor, NearestCentroid,
                                   RadiusNeighborsClassifier, RadiusNeighborsRegressor)
    x, ask = table(21)
    x, ask = x[:, :5], np.concatenate([ask[:, :5], x[:5, :5]])  # some rows are training rows
    y, y2, y3, words = target(x), target(x, 2), target(x, 3), target(x, 4, words=True)
    both = np.stack([y, x[:, 1] - y], 1)
    yield model("KNeighborsClassifier", KNeighborsClassifier().fit(x, words), ask)
    yield model("KNeighborsClassifier by distance, kd tree",
                KNeighborsClassifier(4, weights="distance", algorithm="kd_tree").fit(x, y3), ask)
    yield model("KNeighborsClassifier 1 neighbour, ball tree", KNeighborsClassifier(1, algorithm="ball_tree").fit(x, y2), ask)
    yield model("KNeighborsClassifier manhattan", KNeighborsClassifier(6, p=1).fit(x, y3), ask)
    yield model("KNeighborsClassifier minkowski 3, by distance",
                KNeighborsClassifier(6, p=3, weights="distance").fit(x, y3), ask)
    yield model("KNeighborsClassifier chebyshev", KNeighborsClassifier(3, metric="chebyshev").fit(x[:, :4], words),
                ask[:, :4])
    yield model("KNeighborsClassifier cosine, brute", KNeighborsClassifier(7, metric="cosine").fit(x, y3), ask)
    wide = np.random.RandomState(4).normal(size=(120, 40))
    yield model("KNeighborsClassifier brute, 40 columns", KNeighborsClassifier(5).fit(wide[:90], wide[:90, 0] > 0), wide[90:])
    yield model("KNeighborsRegressor", KNeighborsRegressor().fit(x, y), ask)
    yield model("KNeighborsRegressor by distance", KNeighborsRegressor(4, weights="distance").fit(x, y), ask)
    yield model("KNeighborsRegressor 2 targets, by distance",
                KNeighborsRegressor(4, weights="distance", p=1).fit(x, both), ask, joblib=True)
    yield model("KNeighborsRegressor 2 targets", KNeighborsRegressor(3).fit(x, both), ask)
    yield model("KNeighborsRegressor of whole numbers", KNeighborsRegressor(3).fit(x, y3), ask)
    yield model("RadiusNeighborsClassifier", RadiusNeighborsClassifier(2.5, outlier_label="far").fit(x, words), ask)
    yield model("RadiusNeighborsClassifier by distance, outliers are a class",
                RadiusNeighborsClassifier(2.0, weights="distance", outlier_label="most_frequent").fit(x, y3), ask)
    yield refusal("RadiusNeighborsClassifier without a label for outliers", RadiusNeighborsClassifier(9).fit(x, y2),
                  "outlier_label is None")
    yield model("RadiusNeighborsRegressor", RadiusNeighborsRegressor(2.0).fit(x, y), ask)
    yield model("RadiusNeighborsRegressor by distance, 2 targets",
                RadiusNeighborsRegressor(4.0, weights="distance", p=1).fit(x, both), ask)
    yield model("LocalOutlierFactor", LocalOutlierFactor(10, novelty=True).fit(x), ask * 1.3)
    yield model("LocalOutlierFactor manhattan, contamination",
                LocalOutlierFactor(5, novelty=True, p=1, contamination=0.1).fit(x), ask * 1.3)
    yield refusal("LocalOutlierFactor without novelty", LocalOutlierFactor(5).fit(x), "novelty")
    yield refusal("KNeighborsClassifier of two targets", KNeighborsClassifier(5).fit(x, np.stack([y2, y3], 1)), "outputs_2d_")
    yield model("NearestCentroid", NearestCentroid().fit(x, words), ask)
    yield model("NearestCentroid manhattan", NearestCentroid(metric="manhattan").fit(x, y3), ask)
    yield model("NearestCentroid shrunk", NearestCentroid(shrink_threshold=0.3).fit(x, y2), ask)
    if version == "newest":
        yield model("NearestCentroid priors", NearestCentroid(priors="empirical").fit(x[:, 1:], y2 > x[:, 0]), ask[:, 1:])
        yield model("NearestCentroid uneven priors",
                    NearestCentroid(priors=[0.7, 0.2, 0.1]).fit(x, y3), ask)


def bayes(version):
    from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
    x, ask = table(23)
    y2, y3, words = target(x, 2), target(x, 3), target(x, 4, words=True)
    yield model("GaussianNB", GaussianNB().fit(x, words), ask)
    yield model("GaussianNB priors", GaussianNB(priors=[0.3, 0.7], var_smoothing=1e-3).fit(x, y2), ask)
    counts, ask_counts = np.round(np.abs(x)), np.round(np.abs(ask))
    yield model("MultinomialNB", MultinomialNB().fit(counts, words), ask_counts)
    yield model("MultinomialNB no prior", MultinomialNB(alpha=0.3, fit_prior=False).fit(counts, y2), ask_counts)
    yield model("ComplementNB", ComplementNB().fit(counts, y3), ask_counts)
    yield model("ComplementNB norm", ComplementNB(norm=True, alpha=0.5).fit(counts, words), ask_counts)
    yield model("BernoulliNB", BernoulliNB().fit(x, words), ask)
    yield model("BernoulliNB threshold", BernoulliNB(binarize=0.7, alpha=2).fit(x, y2), ask)
    yield model("BernoulliNB of bits", BernoulliNB(binarize=None).fit(x > 0, y3), (ask > 0).astype(np.float64))
    kinds, ask_kinds = np.minimum(counts, 4), np.minimum(ask_counts, 4)
    yield model("CategoricalNB", CategoricalNB(min_categories=5).fit(kinds, words), ask_kinds)
    yield model("CategoricalNB weights", CategoricalNB(alpha=0.4, min_categories=5).fit(kinds, y2, np.arange(len(y2)) + 1),
                ask_kinds)


def clusters(version):
    from sklearn.cluster import AffinityPropagation, Birch, BisectingKMeans, KMeans, MeanShift, MiniBatchKMeans
    x, ask = blobs()
    for name, e in (("KMeans", KMeans(4, n_init=2, random_state=0)),
                    ("KMeans elkan, 7 clusters", KMeans(7, algorithm="elkan", n_init=1, random_state=0)),
                    ("MiniBatchKMeans", MiniBatchKMeans(5, n_init=1, random_state=0)),
                    ("BisectingKMeans", BisectingKMeans(6, random_state=0)),
                    ("BisectingKMeans largest", BisectingKMeans(9, bisecting_strategy="largest_cluster", random_state=1)),
                    ("Birch", Birch(threshold=1.0, n_clusters=3)),
                    ("Birch without clusters", Birch(threshold=2.0, n_clusters=None)),
                    ("MeanShift", MeanShift(bandwidth=4)),
                    ("AffinityPropagation", AffinityPropagation(random_state=0))):
        e.fit(x)
        yield model(name, e, ask, said=clusters_of(e, ask), atol=1e-6)
    yield model("KMeans of floats", KMeans(3, n_init=1, random_state=0).fit(x.astype(np.float32)), ask.astype(np.float32),
                said=clusters_of(KMeans(3, n_init=1, random_state=0).fit(x.astype(np.float32)), ask.astype(np.float32)),
                rtol=1e-4, atol=1e-4)


def mixtures(version):
    from sklearn.covariance import EllipticEnvelope
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
    x, ask = blobs(5)
    for shape in "full", "tied", "diag", "spherical":
        m = GaussianMixture(3, covariance_type=shape, random_state=0).fit(x)
        yield model("GaussianMixture " + shape, m, ask, said=clusters_of(m, ask))
        b = BayesianGaussianMixture(n_components=4, covariance_type=shape, random_state=0, max_iter=50).fit(x)
        yield model("BayesianGaussianMixture " + shape, b, ask, said=clusters_of(b, ask))
    b = BayesianGaussianMixture(n_components=3, weight_concentration_prior_type="dirichlet_distribution", random_state=0,
                                max_iter=50).fit(x)
    yield model("BayesianGaussianMixture dirichlet distribution", b, ask, said=clusters_of(b, ask))
    yield model("EllipticEnvelope", EllipticEnvelope(random_state=0).fit(x), ask)
    yield model("EllipticEnvelope contamination", EllipticEnvelope(contamination=0.3, random_state=0).fit(x), ask)


def projections(version):
    from sklearn.decomposition import NMF, PCA, FactorAnalysis, FastICA, IncrementalPCA, KernelPCA, TruncatedSVD
    x, ask = table(29)
    for name, e in (("PCA", PCA(3)), ("PCA all", PCA()), ("PCA whiten", PCA(4, whiten=True)),
                    ("PCA share of variance", PCA(0.99, svd_solver="full")),
                    ("PCA randomized", PCA(2, svd_solver="randomized", random_state=0)),
                    ("IncrementalPCA", IncrementalPCA(3, batch_size=40)),
                    ("IncrementalPCA whiten", IncrementalPCA(2, whiten=True)),
                    ("TruncatedSVD", TruncatedSVD(3, random_state=0)),
                    ("TruncatedSVD arpack", TruncatedSVD(2, algorithm="arpack", random_state=0)),
                    ("FactorAnalysis", FactorAnalysis(3, random_state=0)),
                    ("FactorAnalysis varimax", FactorAnalysis(2, rotation="varimax", random_state=0)),
                    ("FastICA", FastICA(3, whiten="unit-variance", random_state=0, max_iter=1000)),
                    ("KernelPCA linear", KernelPCA(3)),
                    ("KernelPCA rbf", KernelPCA(4, kernel="rbf", gamma=0.05)),
                    ("KernelPCA poly", KernelPCA(3, kernel="poly", degree=2, coef0=0.5)),
                    ("KernelPCA sigmoid", KernelPCA(2, kernel="sigmoid", gamma=0.01)),
                    ("KernelPCA cosine", KernelPCA(2, kernel="cosine"))):
        e.fit(x)
        yield model(name, e, ask, said={"transformed": e.transform(ask)}, joblib=name == "PCA")
    yield refusal("NMF", NMF(2, random_state=0, max_iter=300).fit(np.abs(x)), "NMF")


TEXTS = ["the cat sat on the mat", "a dog and a cat", "dogs bark at the moon", "the moon is far away", "cats sleep all day",
         "a rocket flies to the moon", "the dog sleeps", "rockets are loud", "the mat is red", "far away stars"] * 4


NO_TEXT = "texts are counted by an operator of ours"


def texts(version):
    """Estimators behind a vectorizer."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    y = np.array(["animals", "animals", "space", "space", "animals", "space", "animals", "space", "things", "space"] * 4)
    ask = ["the cat and the moon", "loud dogs", "a red rocket", "", "unknown words here", "stars far away", "Cats, dogs!"]
    for name, steps in (("TfidfVectorizer MultinomialNB", (TfidfVectorizer(), MultinomialNB())),
                        ("CountVectorizer MultinomialNB bigrams", (CountVectorizer(ngram_range=(1, 2)), MultinomialNB(alpha=0.1))),
                        ("TfidfVectorizer ComplementNB", (TfidfVectorizer(sublinear_tf=True), ComplementNB())),
                        ("CountVectorizer BernoulliNB", (CountVectorizer(binary=True), BernoulliNB())),
                        ("CountVectorizer RandomForestClassifier",
                         (CountVectorizer(), RandomForestClassifier(8, random_state=0))),
                        ("TfidfVectorizer TruncatedSVD KNeighborsClassifier",
                         (TfidfVectorizer(), TruncatedSVD(4, random_state=0), KNeighborsClassifier(1))),
                        ("CountVectorizer GradientBoostingClassifier",
                         (CountVectorizer(), GradientBoostingClassifier(n_estimators=4, random_state=0)))):
        m = make_pipeline(*steps).fit(TEXTS, y)
        yield Model(name="Pipeline " + name, file_name="m.pkl", data=pickle.dumps(m, 4),
                    inputs={"text": np.array(ask, dtype=object)}, outputs=answers(m, ask), ort=NO_TEXT)
    m = make_pipeline(TfidfVectorizer(), KMeans(3, n_init=1, random_state=0)).fit(TEXTS)
    yield Model(name="Pipeline TfidfVectorizer KMeans", file_name="m.pkl", data=pickle.dumps(m, 4),
                inputs={"text": np.array(ask, dtype=object)}, outputs={"label": m.predict(ask)}, ort=NO_TEXT)


def together(version):
    """Estimators in what holds estimators: searches, calibration, pipelines, one in the other."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.decomposition import PCA
    from sklearn.ensemble import (AdaBoostClassifier, BaggingClassifier, GradientBoostingRegressor,
                                  HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier,
                                  RandomForestRegressor, StackingClassifier, VotingClassifier)
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.tree import DecisionTreeClassifier
    x, ask = table(37)
    y, y2, y3, words = target(x), target(x, 2), target(x, 3), target(x, 4, words=True)
    forest = RandomForestClassifier(6, max_depth=4, random_state=0)
    yield model("GridSearchCV of a pipeline with KNeighborsClassifier",
                GridSearchCV(make_pipeline(StandardScaler(), KNeighborsClassifier()),
                             {"kneighborsclassifier__n_neighbors": [3, 6]}, cv=2).fit(x, words), ask)
    yield model("GridSearchCV of RandomForestRegressor",
                GridSearchCV(RandomForestRegressor(5, random_state=0), {"max_depth": [2, 5]}, cv=2).fit(x, y), ask)
    yield model("CalibratedClassifierCV of RandomForestClassifier", CalibratedClassifierCV(forest, cv=2).fit(x, y3), ask)
    yield model("Pipeline MinMaxScaler PCA GaussianNB", make_pipeline(MinMaxScaler(), PCA(4), GaussianNB()).fit(x, words), ask)
    yield model("Pipeline StandardScaler KNeighborsRegressor",
                make_pipeline(StandardScaler(), KNeighborsRegressor(3, weights="distance")).fit(x, y), ask)
    yield model("Pipeline StandardScaler GradientBoostingRegressor",
                make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=9, random_state=0)).fit(x, y), ask)
    yield model("VotingClassifier of a StackingClassifier and a BaggingClassifier",
                VotingClassifier([("stack", StackingClassifier([("f", forest), ("b", GaussianNB())], cv=2)),
                                  ("bag", BaggingClassifier(n_estimators=3, random_state=0)),
                                  ("h", HistGradientBoostingClassifier(max_iter=4))], voting="soft").fit(x, y3), ask)
    yield model("StackingClassifier of an AdaBoostClassifier",
                StackingClassifier([("a", AdaBoostClassifier(n_estimators=3, random_state=0)),
                                    ("p", make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2)))],
                                   RandomForestClassifier(5, random_state=0), cv=2).fit(x, y2), ask)
    yield model("Pipeline StandardScaler IsolationForest",
                make_pipeline(StandardScaler(), IsolationForest(n_estimators=8, random_state=0)).fit(x), ask,
                said={"label": make_pipeline(StandardScaler(), IsolationForest(n_estimators=8, random_state=0)).fit(x)
                      .predict(ask)})


FAMILIES = {f.__name__: f for f in (neighbours, bayes, clusters, mixtures, projections, texts, together)}


def made(version, families):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for f in families:
            yield from FAMILIES[f](version)


def boosters():
    """Wrappers of other libraries, alone and in a pipeline or a vote."""
    import lightgbm
    import xgboost
    from sklearn.ensemble import StackingRegressor, VotingClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    x, ask = table(31, missing=0.1)
    y, y2, y3, words = target(x), target(x, 2) // 3, target(x, 3) // 3, target(x, 4, words=True)
    few = {"n_estimators": 8, "max_depth": 3, "random_state": 0, "n_jobs": 1}
    loose = {"rtol": 1e-5, "atol": 1e-6}  # XGBoost computes in single precision
    yield model("XGBClassifier 2 classes", xgboost.XGBClassifier(**few).fit(x, y2), ask, **loose)
    yield model("XGBClassifier 3 classes, protocol 5", xgboost.XGBClassifier(**few).fit(x, y3), ask, protocol=5, **loose)
    yield model("XGBRegressor", xgboost.XGBRegressor(**few).fit(x, y), ask, **loose)
    yield model("XGBRegressor missing is 0", xgboost.XGBRegressor(missing=0.0, **few).fit(np.nan_to_num(x), y),
                np.nan_to_num(ask), **loose)
    yield model("XGBRFClassifier", xgboost.XGBRFClassifier(**few).fit(x, y3), ask, joblib=True, **loose)
    stopped = xgboost.XGBRegressor(n_estimators=60, learning_rate=0.9, early_stopping_rounds=3, n_jobs=1)
    yield model("XGBRegressor stopped early", stopped.fit(x[:100], y[:100], eval_set=[(x[100:], y[100:])], verbose=False),
                ask, **loose)
    quiet = {"verbose": -1, "min_child_samples": 5, **few}
    yield model("LGBMClassifier words", lightgbm.LGBMClassifier(**quiet).fit(x, words), ask)
    yield model("LGBMClassifier 2 classes", lightgbm.LGBMClassifier(**quiet).fit(x, y2), ask)
    yield model("LGBMRegressor", lightgbm.LGBMRegressor(**quiet).fit(x, y), ask, joblib=True)
    yield model("LGBMRegressor poisson", lightgbm.LGBMRegressor(objective="poisson", **quiet).fit(x, y - y.min()), ask)
    stopped = lightgbm.LGBMRegressor(**dict(quiet, n_estimators=60, learning_rate=0.9))
    stopped.fit(x[:100], y[:100], eval_set=[(x[100:], y[100:])], callbacks=[lightgbm.early_stopping(3, verbose=False)])
    yield model("LGBMRegressor stopped early", stopped, ask)
    full, ask_full = table(31)
    yield model("Pipeline of XGBClassifier",
                make_pipeline(StandardScaler(), xgboost.XGBClassifier(**few)).fit(full, y2), ask_full, **loose)
    yield model("VotingClassifier of LGBMClassifier and GaussianNB",
                VotingClassifier([("l", lightgbm.LGBMClassifier(**quiet)), ("b", GaussianNB())], voting="soft")
                .fit(full, words), ask_full)
    yield model("StackingRegressor of XGBRegressor and LGBMRegressor",
                StackingRegressor([("x", xgboost.XGBRegressor(**few)), ("l", lightgbm.LGBMRegressor(**quiet))], cv=3)
                .fit(full, y), ask_full, **loose)


def cases():
    yield from made("newest", FAMILIES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from boosters()
    here = os.path.dirname(os.path.abspath(__file__))
    for version in "sklearn-1.1.3", "sklearn-1.3.2", "sklearn-1.5.2":
        yield from old(version, f"sys.path.insert(0, {here!r})\nimport sk_misc\n"
                       f"for m in sk_misc.made({version!r}, sk_misc.FAMILIES):\n"
                       "    models.append({k: v for k, v in vars(m).items() if k != 'made_by'})\n")
