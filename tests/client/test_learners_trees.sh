#!/bin/sh
# tests/client/test_learners_trees.sh - the learners made of trees, against scikit-learn, XGBoost and ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "tree learners" makers) || {
    echo "$python"
    exit 0
}
exec env OMP_NUM_THREADS=1 "$python" tests/client/test_learners_trees.py
