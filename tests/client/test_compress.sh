#!/bin/sh
# tests/client/test_compress.sh - `kind: compress` through the server; every step's file in ONNX Runtime.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "compression") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_compress.py
