"""llama.py MODEL.gguf THREADS ROUNDS - llama.cpp through the functions of its library (llama-cpp-python): what bench_lm
measures, on the same file."""
import os
import resource
import statistics
import sys
import time

begun = time.perf_counter()
import llama_cpp as l

PROMPT, WRITE, USERS, USER_IN, USER_OUT = 512, 128, 16, 64, 128
path, threads, ROUNDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.stderr = open(os.devnull, "w")
os.dup2(sys.stderr.fileno(), 2)
l.llama_backend_init()
imported = time.perf_counter()
model = l.llama_model_load_from_file(path.encode(), l.llama_model_default_params())
vocab = l.llama_model_get_vocab(model)
n_vocab = l.llama_vocab_n_tokens(vocab)
p = l.llama_context_default_params()
p.n_ctx, p.n_batch, p.n_ubatch, p.n_threads, p.n_threads_batch = 4096, 512, 512, threads, threads
p.n_seq_max, p.kv_unified = USERS, True
ctx = l.llama_init_from_model(model, p)
batch = l.llama_batch_init(USERS * USER_IN, 0, 1)


def decode(rows):
    """rows: (token, position, sequence, wants logits)."""
    batch.n_tokens = len(rows)
    for i, (token, at, seq, wants) in enumerate(rows):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, at, 1, wants
        batch.seq_id[i][0] = seq
    if l.llama_decode(ctx, batch) != 0:
        sys.exit("llama_decode failed")


def clear():
    l.llama_memory_clear(l.llama_get_memory(ctx), True)


def best(row):
    x = l.llama_get_logits_ith(ctx, row)
    import numpy as np
    return int(np.ctypeslib.as_array(x, (n_vocab,)).argmax())


def ids(n, salt):
    return [(k * 7919 + salt * 31) % (n_vocab // 2) + 100 for k in range(n)]


decode([(t, i, 0, i == 7) for i, t in enumerate(ids(8, 1))])
best(7)
load = time.perf_counter() - imported
prompt, write, users = [], [], []
for r in range(ROUNDS + 1):
    clear()
    start = time.perf_counter()
    decode([(t, i, 0, i == PROMPT - 1) for i, t in enumerate(ids(PROMPT, 1000 + r))])
    best(PROMPT - 1)
    prompt.append(PROMPT / (time.perf_counter() - start))
    clear()
    decode([(t, i, 0, i == 3) for i, t in enumerate(ids(4, 2000 + r))])
    token, start = best(3), time.perf_counter()
    for i in range(WRITE - 1):
        decode([(token, 4 + i, 0, True)])
        token = best(0)
    write.append((WRITE - 1) / (time.perf_counter() - start))
    clear()
    start = time.perf_counter()
    tokens = []
    for half in (range(0, 8), range(8, 16)):
        decode([(t, i, u, i == USER_IN - 1) for u in half for i, t in enumerate(ids(USER_IN, 3000 + r + 17 * u))])
        tokens += [best(k * USER_IN + USER_IN - 1) for k in range(8)]
    for i in range(USER_OUT - 1):
        decode([(tokens[u], USER_IN + i, u, True) for u in range(USERS)])
        tokens = [best(u) for u in range(USERS)]
    users.append(USERS * (USER_IN + USER_OUT) / (time.perf_counter() - start))
m = lambda v: statistics.median(v[1:])
print(f"load_ms {load * 1e3:.1f} prompt {m(prompt):.1f} write {m(write):.1f} users {m(users):.1f} "
      f"rss_mib {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} version llama-cpp-python-{l.__version__}")
