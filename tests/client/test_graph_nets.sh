#!/bin/sh
# tests/client/test_graph_nets.sh - gcn and graphsage through the API, against ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "graph networks") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_graph_nets.py
