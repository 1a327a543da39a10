#!/bin/sh
# tests/client/test_makers.sh - models of scikit-learn, XGBoost, LightGBM and others as those libraries write them: we
# answer what their makers answer. MAKERS_SUBSET models of each family (0: all, as `make conformance` has it).
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "models of other libraries" makers) || {
    echo "$python"
    exit 0
}
exec env OMP_NUM_THREADS=1 "$python" tests/client/makers/run.py --subset "${MAKERS_SUBSET:-12}"
