#!/bin/sh
# tests/client/test_sequences.sh - requests that belong together (sequence_id), through the real Triton client, against ONNX Runtime
# that is handed its states.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "sequences") || { echo "$python" && exit 0; }
exec "$python" tests/client/test_sequences.py
