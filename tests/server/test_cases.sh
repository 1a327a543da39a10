#!/bin/sh
# tests/server/test_cases.sh - bad input of every kind, from tests/cases/*.case.
exec python3 "$(dirname "$0")/run_cases.py"
