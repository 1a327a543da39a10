#!/bin/sh
# tests/client/test_external.sh - ONNX models with data in other files, against the same models in one, and ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "external data") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_external.py
