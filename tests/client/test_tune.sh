#!/bin/sh
# tests/client/test_tune.sh - imported networks are fine-tuned through the server; ONNX Runtime runs what is published.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "fine-tuning") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_tune.py
