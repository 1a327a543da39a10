#!/bin/sh
# tools/fuzz.sh SECONDS [TARGET] - runs every libFuzzer target (or one) for SECONDS each with a fixed
# seed, starting from its corpus, two at a time. New inputs stay in build-fuzz/new; a crash is left as
# build-fuzz/TARGET-crash-*.
set -u
cd "$(dirname "$0")/.."
secs=$1 only=${2:-}
tools/packages.sh build check || exit 1
[ -f build-fuzz/build.ninja ] || CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined \
    -Db_lundef=false -Dbuildtype=debugoptimized >build-fuzz.log 2>&1 || {
    tail -n 5 build-fuzz.log
    echo "0 passed, 1 failed"
    exit 1
}
targets=
for f in tests/fuzz/fuzz_*.c; do
    name=$(basename "$f" .c | sed 's/^fuzz_//')
    [ -z "$only" ] || [ "$only" = "$name" ] && targets="$targets $name"
done
ninja -C build-fuzz $(for t in $targets; do echo "tests/fuzz/fuzz_$t"; done) >build-fuzz/build.log 2>&1 || {
    grep -E 'error|undefined|unknown target' build-fuzz/build.log | head -n 20
    echo "0 passed, 1 failed"
    exit 1
}

fuzz_one() {
    name=$1
    mkdir -p "build-fuzz/new/$name"
    if "build-fuzz/tests/fuzz/fuzz_$name" -seed=1 -max_total_time="$secs" -timeout=10 -rss_limit_mb=2048 \
        -max_len=65536 -print_final_stats=1 -artifact_prefix="build-fuzz/$name-" "build-fuzz/new/$name" \
        "tests/fuzz/corpus/$name" >"build-fuzz/$name.log" 2>&1; then
        echo "ok $name ($(sed -n 's/^stat::number_of_executed_units: *//p' "build-fuzz/$name.log") runs)"
    else
        echo "not ok $name: $(grep -E 'SUMMARY|Test unit written' "build-fuzz/$name.log" | head -n 2 | tr '\n' ' ')"
    fi
}
: >build-fuzz/result
set -- $targets
while [ $# -gt 0 ]; do
    fuzz_one "$1" >>build-fuzz/result &
    shift
    if [ $# -gt 0 ]; then
        fuzz_one "$1" >>build-fuzz/result &
        shift
    fi
    wait
done
cat build-fuzz/result
passed=$(grep -c '^ok' build-fuzz/result)
failed=$(grep -c '^not ok' build-fuzz/result)
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
