#!/bin/sh
# tests/client/test_tflite.sh - TensorFlow Lite files of every operator that is read: we answer what LiteRT answers.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "TensorFlow Lite files" tflite) || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_tflite.py "$@"
