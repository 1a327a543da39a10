#!/bin/sh
# tools/check.sh BUILD_DIR [MESON_OPTION...] - builds everything, runs every test, counts the cases.
# The last line is `N passed, N failed`. CHECK_UNIT_ONLY=1 leaves out the tests of tests/client and
# tests/server; CHECK_ROOMS="a b" runs only the unit tests of those rooms. For another machine
# (tools/aarch64.sh): CHECK_RUNNER="qemu..." runs each program, CHECK_TARGETS="a b" are all that is
# built, lines of CHECK_WITHOUT, "room/name: reason", are left out.
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

# One test program: its output goes to the log; a failure is shown.
run_one() {
    begun=$(date +%s)
    out=$(timeout "${CHECK_TIMEOUT:-600}" "$@" 2>&1)
    rc=$?
    printf '== %s\n%s\n# %d s\n' "$*" "$out" $(($(date +%s) - begun)) >>"$log"
    if [ $rc -ne 0 ]; then
        echo "FAILED: $*"
        printf '%s\n' "$out" | grep -vE '^ok ' | tail -n 30
        # A program that died before it could count is one failed case.
        printf '%s\n' "$out" | grep -qE '^[0-9]+ passed, [0-9]+ failed' || echo "0 passed, 1 failed" >>"$log"
    fi
}

meson introspect --tests "$dir" >"$dir/tests.json"
# One line a test: its name (room/file), its command.
tr -d '\n' <"$dir/tests.json" | sed 's/}, {"cmd"/}\n{"cmd"/g' |
    sed -nE 's/.*"cmd": \[([^]]*)\].*"name": "([^"]*)".*/\2 \1/p' | tr -d '",' >"$dir/tests.txt"
while read -r name cmd; do
    if [ -n "${CHECK_ROOMS:-}" ]; then
        case " $CHECK_ROOMS " in *" ${name%%/*} "*) ;; *) continue ;; esac
    fi
    why=$(printf '%s\n' "${CHECK_WITHOUT:-}" | grep "^$name: ") && echo "SKIPPED: $why" >>"$log" && continue
    run_one ${CHECK_RUNNER:-} $cmd
done <"$dir/tests.txt"
if [ -z "${CHECK_UNIT_ONLY:-}" ]; then
    for t in tests/server/test_*.sh tests/client/test_*.sh; do
        [ -f "$t" ] && run_one sh "$t"
    done
fi
grep -hE '^SKIPPED' "$log"
awk '/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3 } END { printf "%d passed, %d failed\n", p, f; exit f > 0 || p == 0 }' "$log"
