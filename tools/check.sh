#!/bin/sh
# tools/check.sh BUILD_DIR [MESON_OPTION...] - builds everything, runs every test, counts the cases.
# The last line is `N passed, N failed`. CHECK_UNIT_ONLY=1 leaves out the tests of tests/client and
# tests/server; CHECK_ROOMS="a b" runs only the unit tests of those rooms; CHECK_JOBS tests run at once (2). A script
# of tests/ with a line `# alone: REASON` runs when the others have ended. For another machine (tools/aarch64.sh):
# CHECK_RUNNER="qemu..." runs each program, CHECK_TARGETS="a b" are all that is built, lines of CHECK_WITHOUT,
# "room/name: reason", are left out.
set -u
cd "$(dirname "$0")/.."
dir=$1
shift
tools/packages.sh build check || exit 1
[ -f "$dir/build.ninja" ] || meson setup "$dir" "$@" >"$dir.setup.log" 2>&1 || {
    cat "$dir.setup.log"
    exit 1
}
rm -f "$dir.setup.log"
ninja -C "$dir" ${CHECK_TARGETS:-} >"$dir/build.log" 2>&1 || {
    grep -E 'error|warning|FAILED|undefined' "$dir/build.log" | head -n 40
    echo "the build failed: $dir/build.log"
    echo "0 passed, 1 failed"
    exit 1
}
log=$dir/check.log
: >"$log"
export MAAS_BINARY="$PWD/$dir/maas" MAAS_BUILD="$PWD/$dir"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp halt_on_error=1 second_deadlock_stack=1"

meson introspect --tests "$dir" >"$dir/tests.json"
# One line a test: its name (room/file), its command.
{ tr -d '\n' <"$dir/tests.json" && echo; } | sed 's/}, {"cmd"/}\n{"cmd"/g' |
    sed -nE 's/.*"cmd": \[([^]]*)\].*"name": "([^"]*)".*/\2 \1/p' | tr -d '",' >"$dir/tests.txt"
rm -rf "$dir/check.d"
mkdir "$dir/check.d"
together=$dir/tests.together alone=$dir/tests.alone
: >"$alone"
{
    if [ -z "${CHECK_UNIT_ONLY:-}" ]; then
        for t in tests/client/test_*.sh tests/server/test_*.sh; do
            if grep -q '^# alone: ' "$t"; then echo "sh $t" >>"$alone"; else echo "sh $t"; fi
        done
    fi
    while read -r name cmd; do
        case " ${CHECK_ROOMS:-${name%%/*}} " in *" ${name%%/*} "*) ;; *) continue ;; esac
        why=$(printf '%s\n' "${CHECK_WITHOUT:-}" | grep "^$name: ") && echo "SKIPPED: $why" >>"$dir/check.d/skipped" && continue
        echo "${CHECK_RUNNER:+$CHECK_RUNNER }$cmd"
    done <"$dir/tests.txt"
} >"$together"
lost() { echo "FAILED: not all tests of $1 were run" && echo "0 passed, 1 failed" >>"$dir/check.d/lost"; }
xargs -P "${CHECK_JOBS:-2}" -L 1 tools/check_one.sh "$dir/check.d" <"$together" || lost "$together"
xargs -r -L 1 tools/check_one.sh "$dir/check.d" <"$alone" || lost "$alone"
cat "$dir"/check.d/* >"$log"
grep -hE '^SKIPPED' "$log"
awk '/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' "$log"
