#!/bin/sh
# tests/client/test_rest.sh - requests and curl with the row dialects.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "row dialects") || {
    echo "$python"
    exit 0
}
exec "$python" tests/client/test_rest.py
