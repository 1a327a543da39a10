#!/bin/sh
# tests/client/test_tokenizer_json.sh - tokenizer.json of many kinds: the same tokens as the tokenizers package.
cd "$(dirname "$0")/../.." || exit 1
python=$(sh tests/client/venv.sh "tokenizer.json" tokenizers) || { echo "$python" && exit 0; }
exec "$python" tests/client/test_tokenizer_json.py
