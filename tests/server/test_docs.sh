#!/bin/sh
# tests/server/test_docs.sh - the documentation says what the program does: both READMEs name the same
# commands, every command they name exists, generated pages are up to date, links lead somewhere.
set -u
cd "$(dirname "$0")/../.."
: "${MAAS_BINARY:=$PWD/build/maas}"
passed=0 failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
check() { # check NAME STATUS
    if [ "$2" = 0 ]; then
        echo "ok $1"
        passed=$((passed + 1))
    else
        echo "not ok $1"
        failed=$((failed + 1))
    fi
}
# Lines of the shell blocks, without comments.
commands() { awk '/^```/ { on = !on && /^```(sh|python)/; next } on { sub(/ *#.*/, ""); if ($0 != "") print }' "$1"; }

commands README.md >"$tmp/en"
commands README.zh.md >"$tmp/zh"
[ -s "$tmp/en" ] && diff "$tmp/en" "$tmp/zh"
check "both READMEs name the same commands" $?

bad=0
for c in $(grep -oE 'build/maas [a-z]+' README.md | awk '{ print $2 }' | sort -u); do
    "$MAAS_BINARY" "$c" --help >/dev/null || { echo "README names 'maas $c'"; bad=1; }
done
check "every maas command of the README exists" $bad

bad=0
for t in $(grep -oE '\bmake [a-z0-9]+' README.md | awk '{ print $2 }' | sort -u); do
    grep -qE "^$t:" Makefile || { echo "README names 'make $t'"; bad=1; }
done
check "every make target of the README exists" $bad

bad=0
for f in README.md README.zh.md docs/*.md docs/howto/*.md src/*/README.md; do
    for link in $(grep -oE '\]\([^)#:]+\)' "$f" | tr -d '()]'); do
        [ -e "$(dirname "$f")/$link" ] || { echo "$f links to $link"; bad=1; }
    done
done
check "every relative link leads to a file" $bad

"$MAAS_BINARY" docs "$tmp/docs" >/dev/null
bad=$?
for f in api.md cli.md settings.md operators.md compression.md; do
    diff -q "$tmp/docs/$f" "docs/$f" || bad=1
done
check "generated pages are up to date (make docs)" $bad

bad=0
for room in src/*/; do
    [ "$(wc -l <"$room/README.md")" -le 80 ] || { echo "$room/README.md is longer than a page"; bad=1; }
done
check "every room has a page" $bad

echo "$passed passed, $failed failed"
[ $failed = 0 ]
