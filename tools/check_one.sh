#!/bin/sh
# tools/check_one.sh LOG_DIR COMMAND... - one test of tools/check.sh: its output goes to a file of LOG_DIR; a failure is shown. Exit 0 always: the count
# lines of the files are what is judged.
logs=$1
shift
log=$logs/$(echo "$*" | tr -c 'A-Za-z0-9_.\n' _ | cut -c 1-180).$$
begun=$(date +%s)
echo "== $*" >"$log"
timeout "${CHECK_TIMEOUT:-600}" "$@" >>"$log" 2>&1 </dev/null
rc=$?
echo "# $(($(date +%s) - begun)) s" >>"$log"
[ $rc -ne 0 ] || exit 0
# A program that failed and counted no failure (it died before, or leaked after) is one failed case.
grep -qE '^[0-9]+ passed, [1-9][0-9]* failed' "$log" || echo "0 passed, 1 failed" >>"$log"
printf 'FAILED: %s (exit %d)\n%s\n' "$*" $rc "$(grep -vE '^(ok|==) ' "$log" | tail -n 30)"
