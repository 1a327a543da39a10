#!/bin/sh
# tests/server/test_cli.sh - every command of `maas` against a real server: what it prints, and its exit
# code when something is wrong.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${MAAS_BINARY:=$PWD/build/maas}"
maas=$MAAS_BINARY
passed=0 failed=0 server=
tmp=$(mktemp -d)
# The machine's own settings must not change what is tested.
unset MAAS_URL MAAS_KEY MAAS_CA http_proxy https_proxy all_proxy 2>/dev/null

stop_server() {
    [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
    server=
}
trap 'stop_server; rm -rf "$tmp"' EXIT

start_server() {
    "$maas" serve --listen 127.0.0.1:0 --data "$tmp/data" >"$tmp/address" 2>"$tmp/log" &
    server=$!
    for _ in $(seq 100); do
        grep -q '^listening on ' "$tmp/address" 2>/dev/null && break
        sleep 0.1
    done
    MAAS_URL=$(sed -n 's/^listening on //p' "$tmp/address")
    export MAAS_URL
}
verdict() { # verdict NAME STATUS
    if [ "$2" = 0 ]; then
        echo "ok $1"
        passed=$((passed + 1))
    else
        echo "not ok $1"
        sed 's/^/    /' "$tmp/out" "$tmp/err" | head -n 12
        failed=$((failed + 1))
    fi
}
# t NAME CODE PATTERN COMMAND...: the command ends with CODE, and its output (both streams) has PATTERN.
t() {
    name=$1 want=$2 pattern=$3
    shift 3
    "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
    got=$?
    [ $got = "$want" ] || echo "    exit code $got, expected $want" >>"$tmp/err"
    cat "$tmp/out" "$tmp/err" | grep -qE -- "$pattern"
    [ $? = 0 ] && [ $got = "$want" ]
    verdict "$name" $?
}
json_ok() { python3 -c 'import json,sys; [json.loads(l) for l in sys.stdin]' <"$1" 2>>"$tmp/err"; }

# ---- without a server ----
t "no command: usage, 2" 2 'usage: maas COMMAND' "$maas"
t "--help" 0 'predict +ask a model' "$maas" --help
t "help COMMAND" 0 'usage: maas train' "$maas" help train
t "version" 0 '^maas [0-9]+\.[0-9]+\.[0-9]+$' "$maas" version
t "version --json" 0 '^\{"version":"[0-9.]+"\}$' "$maas" version --json
t "unknown command: a hint, 2" 2 "did you mean 'dataset'" "$maas" datset
t "unknown subcommand: a hint, 2" 2 "did you mean 'show'" "$maas" models sho
t "a family without a word: usage, 2" 2 'usage: maas dataset' "$maas" dataset
t "unknown option: a hint, 2" 2 'epochs' "$maas" train m --epoch 3
t "too few arguments: usage, 2" 2 'usage: maas promote MODEL VERSION' "$maas" promote m
t "too many arguments: usage, 2" 2 'too many arguments' "$maas" dataset delete a b
t "an option without its value, 2" 2 'needs a value' "$maas" train m --dataset
t "no server: 5 and what to do" 5 'maas serve' "$maas" models --url http://127.0.0.1:9
t "an address that is none: 5" 5 'no answer' "$maas" models --url 'http://[::1'
for c in serve dataset train import models promote predict jobs keys run worker completion docs version; do
    t "$c --help" 0 "^usage: maas $c" "$maas" "$c" --help
done
for c in "dataset add" "dataset show" "models download" "jobs watch" "keys create"; do
    # shellcheck disable=SC2086
    t "$c --help" 0 "^usage: maas $c" "$maas" $c --help
done
t "completion bash is a script" 0 'complete .*_maas maas' "$maas" completion bash
bash -n "$tmp/out" 2>"$tmp/err"
verdict "bash reads it" $?
bash -c ". $tmp/out; COMP_WORDS=(maas dataset add --fe); COMP_CWORD=3; _maas; [ \"\${COMPREPLY[*]}\" = --features ]" 2>>"$tmp/err"
verdict "bash completes options of subcommands" $?
bash -c ". $tmp/out; COMP_WORDS=(maas pr); COMP_CWORD=1; _maas; [ \"\${COMPREPLY[*]}\" = 'promote predict' ]" 2>>"$tmp/err"
verdict "bash completes commands" $?
t "completion zsh" 0 'bashcompinit' "$maas" completion zsh
t "completion fish" 0 'complete -c maas .*-l features' "$maas" completion fish
t "completion of what is no shell: 2" 2 'bash\|zsh\|fish' "$maas" completion tcsh
"$maas" docs "$tmp/docs" >"$tmp/out" 2>"$tmp/err" && [ -s "$tmp/docs/cli.md" ]
verdict "docs" $?
t "the man page names every command" 0 'maas models download' cat "$tmp/docs/man/maas.1"
t "docs where nobody may write: 3" 3 'maas:' "$maas" docs /proc/nowhere/x

# ---- data sets ----
start_server
awk 'BEGIN { print "a,b,kind,y"; for (i = 0; i < 200; i++) { a = i % 20; b = (i * 7) % 13
    print a "," b "," (i % 2 ? "odd" : "even") "," (a + b > 14 ? "high" : "low") } }' >"$tmp/t.csv"
awk 'BEGIN { print "a,b,y"; for (i = 0; i < 200; i++) print i % 20 "," (i * 7) % 13 "," 2 * (i % 20) - (i * 7) % 13 }' >"$tmp/v.csv"
cut -d, -f1-3 "$tmp/t.csv" >"$tmp/x.csv"
cut -d, -f4 "$tmp/t.csv" >"$tmp/y.csv"
printf 'a,b\n1,2\n3\n' >"$tmp/bad.csv"
t "dataset add" 0 '^rows:1 +200 rows, 4 columns' "$maas" dataset add rows "$tmp/t.csv"
t "the same content makes no new version" 0 'same content' "$maas" dataset add rows "$tmp/t.csv"
t "dataset add --json" 0 '^\{"name":"values","version":1,"rows":200' "$maas" dataset add values "$tmp/v.csv" --json
json_ok "$tmp/out"
verdict "it is one JSON document" $?
t "dataset add with types" 0 '^b +string' "$maas" dataset add typed "$tmp/v.csv" --types '{"b":"string"}'
t "two files become columns" 0 '200 rows, 4 columns' "$maas" dataset add two --features "$tmp/x.csv" --target "$tmp/y.csv"
t "a file that is not there: 3" 3 'nofile.csv' "$maas" dataset add n "$tmp/nofile.csv"
t "a part that is not there: 3" 3 'nofile' "$maas" dataset add n --features "$tmp/nofile" --target "$tmp/y.csv"
t "a malformed file: 4, with the row" 4 'row 2' "$maas" dataset add bad "$tmp/bad.csv"
t "nothing to upload: 4" 4 '--features' "$maas" dataset add n
t "FILE and --features: 4" 4 'not both' "$maas" dataset add n "$tmp/t.csv" --features "$tmp/t.csv"
t "a name that is none: 4" 4 'no name' "$maas" dataset add 'a/../b' "$tmp/t.csv"
t "dataset list" 0 '^rows +1 +200 +4' "$maas" dataset list
t "dataset show" 0 '^kind +string' "$maas" dataset show rows
t "dataset show NAME:VERSION" 0 '^rows:1 ' "$maas" dataset show rows:1
t "dataset show of none: 3" 3 "'nope' does not exist" "$maas" dataset show nope
t "dataset delete" 0 'deleted typed' "$maas" dataset delete typed
t "dataset delete of none: 3" 3 'typed' "$maas" dataset delete typed

# ---- training ----
t "train shows epochs and publishes" 0 'published kinds version 1' "$maas" train kinds --dataset rows --target y \
    --learner logistic_regression --epochs 60 --seed 1
grep -q '^epoch 60/60  loss ' "$tmp/out"
verdict "a line an epoch, with metrics" $?
! grep -q '\[####' "$tmp/out" "$tmp/err"
verdict "no progress bar without a terminal" $?
t "train a network with --layers" 0 'published net version 1' "$maas" train net --dataset values --target y \
    --layers 8,1 --epochs 5 --lr 0.01
t "a regression" 0 'published line version 1' "$maas" train line --dataset values --target y --learner linear_regression
t "train --update makes version 2" 0 'published kinds version 2' "$maas" train kinds --dataset rows --target y --update --epochs 2
t "train --json prints the job" 0 '"state":"succeeded"' "$maas" train kinds --dataset rows --target y \
    --learner logistic_regression --epochs 3 --json
json_ok "$tmp/out"
verdict "and nothing else" $?
t "train --params" 0 'published kinds' "$maas" train kinds --dataset rows --target y \
    --learner logistic_regression --params '{"epochs":4}'
printf '{"epochs":3}' >"$tmp/params.json"
t "train --params @FILE" 0 'epoch 3/3' "$maas" train kinds --dataset rows --target y \
    --learner logistic_regression --params "@$tmp/params.json"
t "--params that is no JSON: 4" 4 '--params' "$maas" train kinds --dataset rows --params '{'
t "no --dataset: 4" 4 '--dataset is missing' "$maas" train kinds
t "a data set that is not there: 3" 3 'nope' "$maas" train kinds --dataset nope
t "a target that is not there: 4" 4 "no column 'nope'" "$maas" train kinds --dataset rows --target nope
t "an unknown learner: 4" 4 'linear_regression' "$maas" train kinds --dataset rows --target y --learner forest
t "a number that is none: 4" 4 '--epochs must be a number' "$maas" train kinds --dataset rows --epochs many
t "layers that are none: 4" 4 '--layers must be' "$maas" train kinds --dataset rows --layers 8,x
t "a job that fails: 6" 6 'the job failed' "$maas" train kinds --dataset rows --target y --learner linear_regression
t "train --no-wait prints the id" 0 '^job-[A-Za-z0-9]+$' "$maas" train long --dataset values --target y \
    --layers 256,256,1 --epochs 100000 --no-wait
id=$(cat "$tmp/out")

# ---- jobs ----
t "jobs list" 0 "^$id +train +long" "$maas" jobs list
t "jobs list --state" 0 'succeeded' "$maas" jobs list --state succeeded
! grep -q "$id" "$tmp/out"
verdict "only those" $?
t "jobs show" 0 'state +(queued|running)' "$maas" jobs show "$id"
"$maas" jobs watch "$id" >"$tmp/out" 2>"$tmp/err" &
watcher=$!
sleep 1
t "jobs cancel" 0 "$id" "$maas" jobs cancel "$id"
wait $watcher
[ $? = 6 ] && grep -q 'was cancelled' "$tmp/err"
verdict "who watches a cancelled job gets 6" $?
t "cancel it again: 1" 1 'ended already' "$maas" jobs cancel "$id"
t "jobs show of none: 3" 3 'maas:' "$maas" jobs show job-nope
t "jobs watch of none: 3" 3 'maas:' "$maas" jobs watch job-nope
"$maas" train long --dataset values --target y --layers 256,256,1 --epochs 100000 >"$tmp/out" 2>"$tmp/err" &
trainer=$!
sleep 1.5
kill -INT $trainer
wait $trainer
# A shell without job control starts background programs with SIGINT ignored; ours listens all the same.
[ $? = 130 ] && grep -q 'maas jobs watch job-' "$tmp/err"
verdict "Ctrl-C detaches, says how to go on, 130" $?
id=$(sed -n 's/^job //p' "$tmp/out")
t "the job goes on" 0 'state +running' "$maas" jobs show "$id"
"$maas" jobs cancel "$id" >/dev/null 2>&1

# ---- models ----
t "models" 0 '^kinds +[0-9]' "$maas" models
t "models list --json" 0 '"name":"kinds"' "$maas" models list --json
t "models show: layers and counts" 0 'parameters, .*operations per row' "$maas" models show kinds
t "models show NAME:VERSION" 0 '^kinds:1 ' "$maas" models show kinds:1
t "models show: lineage" 0 'dataset +rows:1' "$maas" models show kinds
t "models show of none: 3" 3 "'nope' does not exist" "$maas" models show nope
t "models show of no version: 3" 3 'version 99' "$maas" models show kinds:99
t "models show of no alias: 3" 3 "no alias 'canary'" "$maas" models show kinds@canary
t "promote" 0 'kinds@production is version 1' "$maas" promote kinds 1
t "promote --alias" 0 'kinds@canary is version 2' "$maas" promote kinds 2 --alias canary
t "models show NAME is production" 0 '^kinds:1 .*@production' "$maas" models show kinds
t "models show NAME@ALIAS" 0 '^kinds:2 .*@canary' "$maas" models show kinds@canary
t "promote what is not there: 3" 3 'version 99' "$maas" promote kinds 99
t "promote what is no number: 4" 4 'no version number' "$maas" promote kinds first
t "models download" 0 'kinds.onnx' "$maas" models download kinds:1 -o "$tmp/kinds.onnx"
t "it writes over nothing: 1" 1 '--force' "$maas" models download kinds:1 -o "$tmp/kinds.onnx"
t "unless --force" 0 'kinds.onnx' "$maas" models download kinds:1 -o "$tmp/kinds.onnx" --force
t "a member that is not there: 3" 3 'no file' "$maas" models download kinds:1 -o "$tmp/n.onnx" --file nope
[ ! -e "$tmp/n.onnx" ] && [ ! -e "$tmp/n.onnx.part" ]
verdict "nothing is left of it" $?
t "import" 0 'published copy version 1' "$maas" import copy "$tmp/kinds.onnx"
t "import the same again" 0 'same content' "$maas" import copy "$tmp/kinds.onnx"
t "import what is no model: 4" 4 'maas:' "$maas" import copy "$tmp/t.csv"
t "import a file that is not there: 3" 3 'nofile' "$maas" import copy "$tmp/nofile.onnx"
t "delete a version" 0 'deleted kinds:3' "$maas" models delete kinds:3
t "delete a model" 0 'deleted copy' "$maas" models delete copy
t "delete of none: 3" 3 'copy' "$maas" models delete copy

# ---- predictions ----
t "predict --data, rows by name" 0 '^ *1 +low$' "$maas" predict kinds --data '[{"a":1,"b":2,"kind":"odd"}]'
t "predict --data --json" 0 '^\{"predictions":\["low"\]\}$' "$maas" predict kinds --data '[{"a":1,"b":2,"kind":"odd"}]' --json
printf '[{"a":19,"b":12,"kind":"odd"}]' >"$tmp/rows.json"
t "predict --data @FILE" 0 '^ *1 +high$' "$maas" predict kinds --data "@$tmp/rows.json"
t "predict NAME:VERSION" 0 'high' "$maas" predict kinds:1 --data "@$tmp/rows.json"
t "predict NAME@ALIAS" 0 'high' "$maas" predict kinds@canary --data "@$tmp/rows.json"
t "predict --file: CSV with a header" 0 '^label,probabilities_0,probabilities_1$' "$maas" predict kinds --file "$tmp/x.csv"
[ "$(wc -l <"$tmp/out")" = 201 ]
verdict "and a line a row" $?
cp "$tmp/out" "$tmp/by1000"
t "small batches answer the same" 0 'low' "$maas" predict kinds --file "$tmp/x.csv" --batch 7
awk -F, 'NR == FNR { label[FNR] = $1; next } label[FNR] != $1 { bad = 1 } END { exit bad }' "$tmp/by1000" "$tmp/out"
verdict "row by row" $?
t "predict --file --json" 0 '^\{"label":"(low|high)","probabilities":\[' "$maas" predict kinds --file "$tmp/x.csv" --json
json_ok "$tmp/out"
verdict "an object a row" $?
t "predict --expect: accuracy" 0 '^accuracy (0\.9[0-9]+|1\.0000)$' "$maas" predict kinds --file "$tmp/x.csv" --expect "$tmp/y.csv"
t "predict --target: accuracy" 0 '^accuracy (0\.9[0-9]+|1\.0000)$' "$maas" predict kinds --file "$tmp/t.csv" --target y
t "of a regression: rmse and r2" 0 '^rmse .* r2 0\.99|r2 1\.0' "$maas" predict line --file "$tmp/v.csv" --target y
t "columns in another order" 0 '^accuracy (0\.9|1\.0)' sh -c \
    "awk -F, -v OFS=, '{ print \$3, \$4, \$2, \$1 }' $tmp/t.csv >$tmp/o.csv && $maas predict kinds --file $tmp/o.csv --target y"
t "a column is missing: 4, by name" 4 "no column 'kind'" "$maas" predict kinds --file "$tmp/v.csv"
t "text where numbers go: 4, by name" 4 "column 'a' is text" sh -c \
    "printf 'a,b,kind\nx,1,odd\n' >$tmp/w.csv && $maas predict kinds --file $tmp/w.csv"
t "the truth is shorter: 4" 4 'truth' sh -c "head -n 50 $tmp/y.csv >$tmp/s.csv; $maas predict kinds --file $tmp/x.csv --expect $tmp/s.csv"
t "neither --data nor --file: 4" 4 '--data' "$maas" predict kinds
t "--data that is no JSON: 4" 4 'maas:' "$maas" predict kinds --data '[1,'
t "predict with a model that is not there: 3" 3 'nope' "$maas" predict nope --data '[[1]]'
t "predict a file with a model that is not there: 3" 3 'nope' "$maas" predict nope --file "$tmp/x.csv"

# ---- run: without the server ----
cat >"$tmp/npy.py" <<'EOF'
import struct, sys
def npy(path, shape, values):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    head += ' ' * (-(10 + len(head) + 1) % 64) + '\n'
    open(path, 'wb').write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode()
                           + struct.pack('<%df' % len(values), *values))
npy(sys.argv[1] + '/line.npy', [3, 2], [1, 2, 3, 4, 10, 5])
npy(sys.argv[1] + '/wide.npy', [3, 3], [0] * 9)
EOF
python3 "$tmp/npy.py" "$tmp"
"$maas" models download line -o "$tmp/line.onnx" >/dev/null
t "run" 0 '^value +float\[3(,1)?\] ' "$maas" run "$tmp/line.onnx" --input "$tmp/line.npy"
t "run --input NAME=FILE --json" 0 '^\{"outputs":\[\{"name":"value","datatype":"FP32"' "$maas" run "$tmp/line.onnx" --input "x=$tmp/line.npy" --json
json_ok "$tmp/out"
verdict "it is JSON" $?
python3 - "$tmp/out" <<'EOF'
import json, sys
got = json.load(open(sys.argv[1]))['outputs'][0]['data']
assert all(abs(g - w) < 0.2 for g, w in zip(got, [0, 2, 15])), got
EOF
verdict "and what was learned: 2a - b" $?
t "run --output" 0 'value.npy' "$maas" run "$tmp/line.onnx" --input "$tmp/line.npy" --output "$tmp/outputs"
t "run --output over what is there" 0 'value.npy' "$maas" run "$tmp/line.onnx" --input "$tmp/line.npy" --output "$tmp/outputs"
head -c 6 "$tmp/outputs/value.npy" | grep -q NUMPY
verdict "it is an array of NumPy" $?
t "run --profile" 0 'us +GFLOP/s +MiB +operator +kernel' "$maas" run "$tmp/line.onnx" --input "$tmp/line.npy" --profile
t "run with text inputs" 0 '^label +string\[200\]' "$maas" run "$tmp/kinds.onnx" --input "a=$tmp/x.csv" --input "b=$tmp/x.csv" --input "kind=$tmp/x.csv"
t "run without an input: 4" 4 "'x' is not set" "$maas" run "$tmp/line.onnx"
t "run with an unknown input: 4" 4 "no input 'z'" "$maas" run "$tmp/line.onnx" --input "z=$tmp/line.npy"
t "run with a wrong shape: 4" 4 "takes shape" "$maas" run "$tmp/line.onnx" --input "$tmp/wide.npy"
t "run what is no model: 4" 4 'no model' "$maas" run "$tmp/t.csv" --input "$tmp/line.npy"
t "run what is not there: 3" 3 'nofile' "$maas" run "$tmp/nofile.onnx"
t "run without a file: 2" 2 'usage: maas run' "$maas" run

# ---- keys: last, because the first one closes the server ----
t "a first key must be an administrator: 4" 4 'admin' "$maas" keys create --scopes read
t "keys create" 0 '^mk_' "$maas" keys create --name boss --scopes admin,read,write,train,infer,ops
key=$(head -n 1 "$tmp/out")
t "without a key: 1, and what to do" 1 'MAAS_KEY' "$maas" models
t "with a wrong key: 1" 1 'MAAS_KEY' "$maas" models --key mk_wrong
t "with --key" 0 '^kinds' "$maas" models --key "$key"
MAAS_KEY=$key
export MAAS_KEY
t "with MAAS_KEY" 0 '^kinds' "$maas" models
t "keys create --json" 0 '"scopes":\["read"\]' "$maas" keys create --name reader --scopes read --json
reader=$(sed -n 's/.*"key":"\([^"]*\)".*/\1/p' "$tmp/out")
id=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' "$tmp/out")
t "a key without the scope: 1" 1 'scope' "$maas" dataset delete rows --key "$reader"
t "keys list" 0 'reader +read' "$maas" keys list
! grep -q "$reader" "$tmp/out"
verdict "without secrets" $?
t "keys delete" 0 "revoked $id" "$maas" keys delete "$id"
t "a revoked key: 1" 1 'maas:' "$maas" models --key "$reader"
t "keys delete of none: 3" 3 'maas:' "$maas" keys delete nope
stop_server
t "the server is gone: 5" 5 'no answer' "$maas" models

echo "$passed passed, $failed failed"
[ $failed = 0 ]
