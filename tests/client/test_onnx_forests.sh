#!/bin/sh
# tests/client/test_onnx_forests.sh - trees between us and ONNX Runtime, both ways.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "trees in ONNX Runtime") || {
    echo "$python"
    exit 0
}
build=${MAAS_BUILD:-build}
exec "$python" tests/client/test_onnx_forests.py "$build/tests/unit/formats/onnx_forests" \
    "$(ls "$build"/src/lib/libmaas.so.*.*.* | head -n 1)"
