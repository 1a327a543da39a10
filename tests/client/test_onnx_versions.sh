#!/bin/sh
# tests/client/test_onnx_versions.sh - every operator in every form it had since opset 7, against ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "old forms of operators") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_onnx_versions.py "${MAAS_BUILD:-build}/tests/conformance/onnx_conformance"
