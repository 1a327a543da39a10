#!/bin/sh
# tests/client/test_shap.sh - Shapley values of forests against the shap package and the makers' own.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "Shapley values of forests" makers) || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_shap.py "${MAAS_BUILD:-build}/tests/unit/formats/onnx_shap"
