#!/bin/sh
# tests/client/test_onnx_suite.sh [--table] - the backend tests of the ONNX project, as its newest package makes them.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "ONNX backend tests") || { echo "$python" && exit 0; }
exec "$python" tests/client/test_onnx_suite.py "${MAAS_BUILD:-build}/tests/conformance/onnx_conformance" "$@"
