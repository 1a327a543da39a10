#!/bin/sh
# tools/sysroot.sh DIR ARCH - unpacks Debian's libraries of another machine (arm64) into DIR: the `-dev`
# packages that tools/packages.txt names for the build, and all that they need. Nothing is installed:
# `apt-get install libhdf5-dev:arm64` would replace the one of this machine, and packages that two
# machines share must have one version. Exit 77: the packages could not be had.
set -eu
cd "$(dirname "$0")/.."
dir=$1 arch=$2
want=$(awk '$1 == "build" && $2 ~ /-dev$/ { print $2 }' tools/packages.txt)
[ "$(cat "$dir/complete" 2>/dev/null)" = "$arch $want" ] && exit 0
rm -rf "$dir"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial"
: >"$dir/apt/status"
apt="$PWD/$dir/apt"
case $dir in /*) apt=$dir/apt ;; esac

# apt-get that knows nothing of what is installed here, and keeps all it reads and writes in DIR.
apt_get() {
    apt-get -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o APT::Install-Recommends=false \
        -o APT::Sandbox::User=root -o Dir::State="$apt" -o Dir::State::Lists="$apt/lists" \
        -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Debug::NoLocking=true "$@" >>"$dir/apt/log" 2>&1
}
echo "unpacking libraries of $arch to $dir"
apt_get update || true # a source that cannot be reached may not be needed
apt_get install -y --download-only $want || {
    tail -n 5 "$dir/apt/log" >&2
    exit 77
}
for deb in "$dir"/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -xf - -C "$dir" --exclude='./usr/share/*' --exclude='./usr/lib/*/gconv/*'
done
rm -rf "$dir/apt"
echo "[constants]
root = '$(cd "$dir" && pwd)'" >"$dir/root.ini" # for the Meson files of tools/cross
echo "$arch $want" >"$dir/complete"
