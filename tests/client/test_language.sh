#!/bin/sh
# tests/client/test_language.sh - SmolLM2-135M, as PyPI has it, behind the real OpenAI client; block types against the
# gguf package, chat templates against Jinja2.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "language models" language) || { echo "$python" && exit 0; }
model=$(sh tests/client/smollm2.sh) || { echo "$model" && exit 0; }
exec "$python" tests/client/test_language.py "$model"
