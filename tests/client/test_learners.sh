#!/bin/sh
# tests/client/test_learners.sh - every classical learner, against scikit-learn and ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "classical learners" makers) || {
    echo "$python"
    exit 0
}
exec env OMP_NUM_THREADS=1 "$python" tests/client/test_learners.py
