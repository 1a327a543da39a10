#!/bin/sh
# tests/client/test_search.sh - searches over parameters, against scikit-learn's GridSearchCV.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "searches" makers) || {
    echo "$python"
    exit 0
}
exec env OMP_NUM_THREADS=1 "$python" tests/client/test_search.py
