#!/bin/sh
# tests/server/test_folders.sh - language models of several files: folders, GGUF files in parts.
exec python3 "$(dirname "$0")/test_folders.py"
