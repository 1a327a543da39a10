#!/bin/sh
# tests/client/test_onnx_nodes.sh - the node tests of the ONNX project, made by its newest package,
# through our operators. Installs onnx into a virtual environment outside of the tree
# (MAAS_TEST_VENV).
cd "$(dirname "$0")/../.." || exit 1
venv=${MAAS_TEST_VENV:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/maas-venv-onnx}
if ! "$venv/bin/python" -c 'import onnx' 2>/dev/null; then
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q onnx onnxruntime; } >/dev/null 2>&1; then
        echo "SKIPPED ONNX node tests: onnx cannot be installed here"
        exit 0
    fi
fi
exec "$venv/bin/python" tests/client/test_onnx_node_tests.py \
    "${ONNX_RUN_NODE:-${MAAS_BUILD:-build}/tests/unit/ops/onnx_run_node}"
