#!/bin/sh
# tools/packages.sh NEED... - installs the Debian packages of tools/packages.txt that are missing.
# As root by itself, otherwise through sudo; without either it prints the one command to run.
set -eu
cd "$(dirname "$0")/.."
want=
for need in "$@"; do
    want="$want $(awk -v need="$need" '$1 == need { print $2 }' tools/packages.txt)"
done
missing=
for p in $want; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    run=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=sudo
else
    echo "These packages are missing. Please run:" >&2
    echo "    sudo apt-get install -y$missing" >&2
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$run apt-get install -y -q $missing >/dev/null 2>&1 || {
    $run apt-get update -q >/dev/null
    $run apt-get install -y -q $missing >/dev/null
}
