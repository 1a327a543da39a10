#!/bin/sh
# tools/demo.sh - from a data set to a served model: Fashion-MNIST is uploaded, a 784-128-128-10 network
# trained as a job, promoted, and asked for 10,000 test images over REST. Exit 1 below 87 % accuracy.
set -eu
cd "$(dirname "$0")/.."
tools/packages.sh build demo
images=/usr/share/datasets/fashion-mnist
maas=${MAAS_BINARY:-build/maas}
data=build/demo
server=
total=0

say() { printf '\n== %s\n' "$*"; }
now() { date +%s.%N; }
# step WORDS COMMAND...: runs it and says how long it took.
step() {
    say "$1"
    shift
    started=$(now)
    "$@" || { echo "demo: that failed"; exit 1; }
    seconds=$(awk -v a="$started" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
    total=$(awk -v a="$total" -v b="$seconds" 'BEGIN { printf "%.1f", a + b }')
    echo "   ($seconds s)"
}
stop_server() {
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}
trap stop_server EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start_server() {
    rm -rf "$data"
    mkdir -p "$data"
    "$maas" serve --listen 127.0.0.1:0 --data "$data" >"$data/address" 2>"$data/log" &
    server=$!
    tries=0
    until grep -q '^listening on ' "$data/address" 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
            cat "$data/log"
            return 1
        fi
        sleep 0.1
    done
    MAAS_URL=$(sed -n 's/^listening on //p' "$data/address")
    export MAAS_URL
    echo "$MAAS_URL, data in $data"
}
upload() {
    "$maas" dataset add fashion-train --features $images/train-images-idx3-ubyte.gz \
        --target $images/train-labels-idx1-ubyte.gz &&
        "$maas" dataset add fashion-test --features $images/t10k-images-idx3-ubyte.gz \
            --target $images/t10k-labels-idx1-ubyte.gz
}
train() {
    "$maas" train fashion --dataset fashion-train --layers 128,128,10 --loss cross_entropy \
        --optimizer adam --lr 0.001 --epochs 5 --batch-size 64 --validation 0.1 --seed 7
}
predict() {
    "$maas" predict fashion --file $images/t10k-images-idx3-ubyte.gz \
        --expect $images/t10k-labels-idx1-ubyte.gz >"$data/accuracy" || return 1
    cat "$data/accuracy"
}
# The first test image as the rows that any HTTP client would send.
one_image() {
    gzip -dc $images/t10k-images-idx3-ubyte.gz | tail -c +17 | head -c 784 | od -An -v -w28 -tu1 |
        awk '{ gsub(/ +/, ","); sub(/^,/, ""); row = row (NR > 1 ? "," : "") "[" $0 "]" }
             END { print "{\"instances\":[[" row "]]}" }' >"$data/image.json"
    curl -sf "$MAAS_URL/v1/models/fashion:predict" -d @"$data/image.json" && echo
}

if [ -z "${MAAS_BINARY:-}" ]; then
    say "build"
    make -s all >build.log 2>&1 || { tail -n 20 build.log; rm -f build.log; exit 1; }
    rm -f build.log
fi
step "start a server" start_server
step "upload Fashion-MNIST: 60,000 and 10,000 images" upload
step "train 784-128-128-10 as a job" train
step "promote version 1 to production" "$maas" promote fashion 1
step "what the model is" "$maas" models show fashion
step "predict the 10,000 test images over REST" predict
step "one image with curl" one_image
stop_server
say "all steps: $total s. To go on:"
cat <<EOF
$maas serve --data $data &
curl http://127.0.0.1:8000/v2/models/fashion
curl http://127.0.0.1:8000/v1/models/fashion:predict -d @$data/image.json
curl http://127.0.0.1:8000/api/v1/jobs
curl http://127.0.0.1:8000/metrics
curl -o fashion.onnx http://127.0.0.1:8000/api/v1/models/fashion/versions/1/artifact
EOF
awk '$1 == "accuracy" { good = $2 >= 0.87 } END { exit !good }' "$data/accuracy" || {
    echo "demo: the accuracy is below 0.87"
    exit 1
}
