#!/bin/sh
# tests/client/test_structured.sh - structured output with a small real model: clients from PyPI, their answers checked by jsonschema and pydantic.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "structured output" structured) || { echo "$python" && exit 0; }
model=$(sh tests/client/smollm2.sh) || { echo "$model" && exit 0; }
exec "$python" tests/client/test_structured.py "$model"
