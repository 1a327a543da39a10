#!/usr/bin/env python3
"""Makes the pickles of trees, ensembles, neighbours, naive Bayes, clusters, mixtures and projections in
tests/fuzz/corpus/pickle (needs scikit-learn, xgboost, lightgbm; its output is committed). Every file is a model that the
reader accepts, below 8 KiB and not compressed, so that mutants of it get far.

    OMP_NUM_THREADS=1 python tests/fuzz/make_ensemble_corpus.py tests/fuzz/corpus/pickle
"""
import pickle
import sys
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import xgboost
from sklearn import cluster, covariance, decomposition, ensemble, linear_model, mixture, naive_bayes, neighbors, tree

warnings.simplefilter("ignore")
rng = np.random.default_rng(5)
X = rng.normal(size=(16, 3))
X[:, 2] = np.arange(16) % 3
CLASSES = np.arange(16) % 3
WORDS = np.array(["no", "yes"])[CLASSES % 2]
VALUES = X @ [1.0, -2.0, 0.5] + rng.normal(size=16)
TWO = np.column_stack([VALUES, -VALUES])
COUNTS = np.abs(np.round(X))
few = {"n_estimators": 2, "random_state": 0}
stump = tree.DecisionTreeClassifier(max_depth=1)
line = linear_model.LogisticRegression()

MODELS = {
    "tree_classifier": (tree.DecisionTreeClassifier(max_depth=2), WORDS),
    "tree_regressor_two": (tree.DecisionTreeRegressor(max_depth=2), TWO),
    "extra_tree": (tree.ExtraTreeRegressor(max_depth=2, random_state=0), VALUES),
    "random_forest": (ensemble.RandomForestClassifier(max_depth=2, **few), CLASSES),
    "extra_trees": (ensemble.ExtraTreesRegressor(max_depth=2, **few), VALUES),
    "isolation_forest": (ensemble.IsolationForest(max_features=2, max_samples=4, **few), None),
    "trees_embedding": (ensemble.RandomTreesEmbedding(max_depth=1, sparse_output=False, **few), None),
    "gradient_boosting": (ensemble.GradientBoostingClassifier(max_depth=1, n_estimators=1, random_state=0), WORDS),
    "gradient_boosting_zero": (ensemble.GradientBoostingRegressor(max_depth=1, init="zero", **few), VALUES),
    "gradient_boosting_line": (ensemble.GradientBoostingClassifier(max_depth=1, n_estimators=1, init=line), WORDS),
    "hist_boosting": (ensemble.HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=2), VALUES),
    "hist_boosting_sets": (ensemble.HistGradientBoostingClassifier(max_iter=1, min_samples_leaf=2, categorical_features=[2]),
                           CLASSES),
    "adaboost": (ensemble.AdaBoostClassifier(**few), CLASSES),
    "adaboost_lines": (ensemble.AdaBoostClassifier(line, **few), WORDS),
    "adaboost_regressor": (ensemble.AdaBoostRegressor(tree.DecisionTreeRegressor(max_depth=1), **few), VALUES),
    "bagging": (ensemble.BaggingClassifier(stump, max_features=2, **few), CLASSES),
    "bagging_lines": (ensemble.BaggingRegressor(linear_model.Ridge(), max_features=2, **few), VALUES),
    "voting_hard": (ensemble.VotingClassifier([("a", stump), ("b", line)], weights=[2, 1]), WORDS),
    "voting_soft": (ensemble.VotingClassifier([("a", stump), ("b", line)], voting="soft"), CLASSES),
    "voting_regressor": (ensemble.VotingRegressor([("a", linear_model.Ridge()), ("b", neighbors.KNeighborsRegressor(2))]),
                         VALUES),
    "stacking": (ensemble.StackingClassifier([("a", stump), ("b", line)], line, cv=2, passthrough=True), WORDS),
    "stacking_regressor": (ensemble.StackingRegressor([("a", linear_model.Ridge())], linear_model.Ridge(), cv=2), VALUES),
    "neighbors": (neighbors.KNeighborsClassifier(3), WORDS),
    "neighbors_distance": (neighbors.KNeighborsRegressor(2, weights="distance", p=3), TWO),
    "neighbors_cosine": (neighbors.KNeighborsClassifier(2, metric="cosine"), CLASSES),
    "radius": (neighbors.RadiusNeighborsClassifier(1.5, outlier_label="far"), WORDS),
    "radius_distance": (neighbors.RadiusNeighborsRegressor(2.0, weights="distance"), VALUES),
    "outlier_factor": (neighbors.LocalOutlierFactor(3, novelty=True), None),
    "nearest_centroid": (neighbors.NearestCentroid(), CLASSES),
    "gaussian_nb": (naive_bayes.GaussianNB(), WORDS),
    "multinomial_nb": (naive_bayes.MultinomialNB(), CLASSES),
    "complement_nb": (naive_bayes.ComplementNB(), CLASSES),
    "bernoulli_nb": (naive_bayes.BernoulliNB(), CLASSES),
    "categorical_nb": (naive_bayes.CategoricalNB(min_categories=4), CLASSES),
    "k_means": (cluster.KMeans(2, n_init=1, random_state=0), None),
    "bisecting": (cluster.BisectingKMeans(3, random_state=0), None),
    "birch": (cluster.Birch(threshold=2.0, n_clusters=2), None),
    "mean_shift": (cluster.MeanShift(bandwidth=3), None),
    "gaussian_mixture": (mixture.GaussianMixture(2, random_state=0), None),
    "gaussian_mixture_tied": (mixture.GaussianMixture(2, covariance_type="tied", random_state=0), None),
    "bayesian_mixture": (mixture.BayesianGaussianMixture(n_components=2, covariance_type="diag", random_state=0), None),
    "bayesian_mixture_dirichlet": (mixture.BayesianGaussianMixture(
        n_components=2, covariance_type="spherical", weight_concentration_prior_type="dirichlet_distribution",
        random_state=0), None),
    "elliptic_envelope": (covariance.EllipticEnvelope(random_state=0), None),
    "pca": (decomposition.PCA(2, whiten=True), None),
    "svd": (decomposition.TruncatedSVD(2, random_state=0), None),
    "ica": (decomposition.FastICA(2, random_state=0), None),
    "factors": (decomposition.FactorAnalysis(2, random_state=0), None),
    "kernel_pca": (decomposition.KernelPCA(2, kernel="rbf"), None),
    "kernel_pca_poly": (decomposition.KernelPCA(2, kernel="poly"), None),
    "xgboost": (xgboost.XGBClassifier(n_estimators=1, max_depth=1, n_jobs=1), CLASSES),
    "lightgbm": (lightgbm.LGBMRegressor(n_estimators=1, num_leaves=2, min_child_samples=2, verbose=-1, n_jobs=1), VALUES),
}


def without_generators(model):
    """States of random number generators are large and nobody reads them."""
    for name in "_rng", "_feature_subsample_rng", "_random_state", "random_state_":
        if hasattr(model, name):
            setattr(model, name, None)
    for e in np.asarray(getattr(model, "estimators_", []), dtype=object).reshape(-1):
        if hasattr(e, "random_state"):
            e.random_state = 0


def main():
    folder = Path(sys.argv[1])
    for i, (name, (model, y)) in enumerate(MODELS.items()):
        x = COUNTS if name.endswith("_nb") else X
        model.fit(x, y)
        without_generators(model)
        protocol = (4, 5, 2)[i % 3]
        data = pickle.dumps(model, protocol)
        if len(data) > 8192:
            protocol, data = 5, pickle.dumps(model, 5)
        assert len(data) <= 8192, (name, len(data))
        (folder / f"{name}.p{protocol}").write_bytes(data)


if __name__ == "__main__":
    main()
