#!/bin/sh
# tests/client/test_schemas.sh - what our grammars of JSON schemas let through, against the jsonschema package; by chance, over seeds.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "JSON schemas" structured) || { echo "$python" && exit 0; }
exec "$python" tests/client/test_schemas.py
