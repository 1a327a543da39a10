#!/bin/sh
# tests/client/test_explain.sh - explanations, against the shap package.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "explanations" makers) || {
    echo "$python"
    exit 0
}
exec env OMP_NUM_THREADS=1 "$python" tests/client/test_explain.py
