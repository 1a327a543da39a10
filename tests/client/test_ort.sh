#!/bin/sh
# tests/client/test_ort.sh - ONNX Runtime opens what we trained, and agrees.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "ONNX Runtime") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_ort.py
