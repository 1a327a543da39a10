#!/bin/sh
# tests/server/test_kill9.sh - 200 SIGKILLs at random points lose nothing that was acknowledged.
exec python3 "$(dirname "$0")/test_kill9.py" "${KILLS:-200}"
