#!/bin/sh
# tests/client/test_towers.sh - two towers and learning from positives, against the known truth, scikit-learn and ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "two towers" makers) || {
    echo "$python"
    exit 0
}
exec env OMP_NUM_THREADS=1 "$python" tests/client/test_towers.py
