#!/bin/sh
# tests/server/test_hostile.sh - keys, exposure, killed processes, full disks, draining.
# alone: it says how soon the server is ready, and counts the processor time and memory of an idle one.
exec python3 "$(dirname "$0")/test_hostile.py"
