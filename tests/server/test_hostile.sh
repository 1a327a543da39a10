#!/bin/sh
# tests/server/test_hostile.sh - keys, exposure, killed processes, full disks, draining.
exec python3 "$(dirname "$0")/test_hostile.py"
