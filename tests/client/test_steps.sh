#!/bin/sh
# tests/client/test_steps.sh - layers over steps are trained and served through the server; ONNX Runtime agrees.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "layers over steps") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_steps.py
