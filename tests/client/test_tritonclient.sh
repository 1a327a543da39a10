#!/bin/sh
# tests/client/test_tritonclient.sh - the client of Triton, unchanged from PyPI, against our server.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "tritonclient") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_tritonclient.py
