/* learn/checkpoint.c - the format of checkpoint.h, both ways. */
#include "learn/checkpoint.h"

#include <math.h>

#include "base/mem.h"

#include "base/ban.h"

#define MAGIC     "MAASCKPT"
#define VERSION   1u
#define MAX_STEPS (1ull << 60) /* counting on from here cannot overflow */

/* ---- writing ---- */

static void put_u32(maas_buf *b, uint32_t v)
{
    maas_buf_add(b, &v, sizeof v);
}

static void put_u64(maas_buf *b, uint64_t v)
{
    maas_buf_add(b, &v, sizeof v);
}

static float *data_of(const maas_saved_set *s, uint32_t i, const maas_tensor *t)
{
    return s->copies ? s->copies[i] : t->data;
}

static void put_set(const maas_saved_set *s, maas_buf *out)
{
    uint32_t n = 0;
    const char *name;
    for (uint32_t i = 0; i < maas_vars_n(s->vars); i++) {
        maas_vars_at(s->vars, i, &name);
        n += !s->takes || s->takes(name);
    }
    put_u32(out, n);
    for (uint32_t i = 0; i < maas_vars_n(s->vars); i++) {
        const maas_tensor *t = maas_vars_at(s->vars, i, &name);
        if (s->takes && !s->takes(name))
            continue;
        uint16_t length = (uint16_t)strlen(name);
        maas_buf_add(out, &length, sizeof length);
        maas_buf_add(out, name, length);
        maas_buf_char(out, (char)t->rank);
        for (int d = 0; d < t->rank; d++)
            put_u64(out, (uint64_t)t->dims[d]);
        maas_buf_add(out, data_of(s, i, t), maas_tensor_bytes(t));
    }
}

static bool digest(maas_span bytes, uint8_t out[MAAS_SHA256_BYTES])
{
    maas_sha256 h;
    if (!maas_sha256_init(&h))
        return false;
    maas_sha256_add(&h, bytes.p, bytes.n);
    maas_sha256_done(&h, out);
    return true;
}

static maas_status put_history(const json_t *history, maas_buf *out, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf text = MAAS_BUF_INIT(MAAS_MAX_HISTORY);
    if (history)
        maas_json_dump(history, &text);
    if (text.failed)
        return maas_fail(err, MAAS_E_NOMEM, "metrics of the epochs in a checkpoint");
    put_u32(out, (uint32_t)text.n);
    maas_buf_add(out, text.p, text.n);
    return MAAS_OK;
}

maas_status maas_checkpoint_write(const maas_checkpoint *c, maas_buf *out, maas_err *err)
{
    const size_t start = out->n;
    maas_buf_add(out, MAGIC, 8);
    put_u32(out, VERSION);
    put_u32(out, c->kind);
    maas_buf_add(out, c->fingerprint, sizeof c->fingerprint);
    put_u64(out, c->epoch);
    put_u64(out, c->step);
    maas_buf_add(out, c->rng.s, sizeof c->rng.s);
    maas_buf_add(out, &c->best, sizeof c->best);
    put_u64(out, c->best_epoch);
    put_u64(out, c->bad_epochs);
    MAAS_TRY(put_history(c->history, out, err));
    put_u32(out, c->n_sets);
    for (uint32_t i = 0; i < c->n_sets; i++)
        put_set(&c->sets[i], out);
    uint8_t sum[MAAS_SHA256_BYTES];
    if (out->failed || !digest(maas_span_of(out->p + start, out->n - start), sum))
        return maas_fail(err, MAAS_E_NOMEM, "a checkpoint of %zu bytes", out->n);
    maas_buf_add(out, sum, sizeof sum);
    return out->failed ? maas_fail(err, MAAS_E_NOMEM, "a checkpoint of %zu bytes", out->n)
                       : MAAS_OK;
}

/* ---- reading ---- */

static maas_status cut(const char *field, maas_err *err)
{
    return maas_fail(err, MAAS_E_FORMAT, "the training state ends inside '%s'", field);
}

static bool take_bytes(maas_span *s, void *out, size_t n)
{
    maas_span part;
    if (!maas_span_take(s, n, &part))
        return false;
    memcpy(out, part.p, n);
    return true;
}

static maas_status read_head(maas_span *s, maas_checkpoint *c, maas_err *err)
{
    maas_span magic;
    uint32_t version, kind;
    uint8_t print[MAAS_SHA256_BYTES];
    if (!maas_span_take(s, 8, &magic) || memcmp(magic.p, MAGIC, 8) != 0)
        return maas_fail(err, MAAS_E_FORMAT, "these bytes are no training state");
    if (!maas_span_u32le(s, &version) || version != VERSION)
        return maas_fail(err, MAAS_E_FORMAT, "the training state is not of version %u", VERSION);
    if (!maas_span_u32le(s, &kind) || kind != (uint32_t)c->kind)
        return maas_fail(err, MAAS_E_FORMAT, "the training state is of another kind");
    if (!take_bytes(s, print, sizeof print))
        return cut("fingerprint", err);
    if (c->kind == MAAS_CHECKPOINT_RUN && memcmp(print, c->fingerprint, sizeof print) != 0)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the checkpoint is of a run with other data, parameters or target");
    return MAAS_OK;
}

static maas_status read_progress(maas_span *s, maas_checkpoint *c, maas_err *err)
{
    if (!maas_span_u64le(s, &c->epoch) || !maas_span_u64le(s, &c->step))
        return cut("epoch", err);
    if (c->epoch > INT32_MAX || c->step > MAX_STEPS)
        return maas_fail(err, MAAS_E_FORMAT,
                         "the training state counts more epochs than there can be");
    if (!take_bytes(s, c->rng.s, sizeof c->rng.s))
        return cut("rng", err);
    const uint64_t *w = c->rng.s;
    if (c->kind == MAAS_CHECKPOINT_RUN &&
        !(w[0] | w[1] | w[2] | w[3])) /* it would give zeros for ever */
        return maas_fail(err, MAAS_E_FORMAT, "'rng' of the training state is all zeros");
    if (!take_bytes(s, &c->best, sizeof c->best) || !maas_span_u64le(s, &c->best_epoch) ||
        !maas_span_u64le(s, &c->bad_epochs))
        return cut("best", err);
    uint32_t n;
    maas_span text;
    if (!maas_span_u32le(s, &n) || n > MAAS_MAX_HISTORY || !maas_span_take(s, n, &text))
        return cut("history", err);
    if (n == 0)
        return MAAS_OK;
    MAAS_TRY(maas_json_parse(text, &c->history, err));
    return json_is_array(c->history) ? MAAS_OK
                                     : maas_fail(err, MAAS_E_FORMAT, "'history' is no list");
}

/* One tensor; copied into the set unless `dry`. Returns the number of the variable in *out_i. */
static maas_status read_tensor(maas_span *s, const maas_saved_set *set, bool dry, uint32_t *out_i,
                               maas_err *err)
{
    uint16_t length;
    maas_span name, data;
    uint8_t rank;
    if (!maas_span_u16le(s, &length) || !maas_span_take(s, length, &name) ||
        !maas_span_u8(s, &rank))
        return cut("name", err);
    const uint32_t n = maas_vars_n(set->vars);
    const maas_tensor *t = NULL;
    uint32_t i = 0;
    for (const char *have; i < n; i++) {
        t = maas_vars_at(set->vars, i, &have);
        if (maas_span_is(name, have) && (!set->takes || set->takes(have)))
            break;
    }
    if (i == n)
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the training state has '%.*s', this network has not",
                         (int)(name.n < 80 ? name.n : 80), (const char *)name.p);
    for (int d = 0; d < rank; d++) {
        uint64_t dim;
        if (!maas_span_u64le(s, &dim))
            return cut("dims", err);
        if (rank != t->rank || dim != (uint64_t)t->dims[d])
            return maas_fail(err, MAAS_E_CONFLICT, "'%.*s' of the training state has another shape",
                             (int)(name.n < 80 ? name.n : 80), (const char *)name.p);
    }
    if (rank != t->rank || !maas_span_take(s, maas_tensor_bytes(t), &data))
        return cut("tensor", err);
    if (!dry)
        memcpy(data_of(set, i, t), data.p, data.n);
    *out_i = i;
    return MAAS_OK;
}

static uint32_t n_expected(const maas_saved_set *set)
{
    uint32_t n = 0;
    const char *name;
    for (uint32_t i = 0; i < maas_vars_n(set->vars); i++) {
        maas_vars_at(set->vars, i, &name);
        n += !set->takes || set->takes(name);
    }
    return n;
}

/* All variables, each once: they come in the order of the variables. */
static maas_status read_set(maas_span *s, const maas_saved_set *set, bool dry, maas_err *err)
{
    uint32_t n, at = 0, next = 0;
    if (!maas_span_u32le(s, &n))
        return cut("tensors", err);
    if (n != n_expected(set))
        return maas_fail(err, MAAS_E_CONFLICT,
                         "the training state has %u tensors, this network has %u", n,
                         n_expected(set));
    for (uint32_t i = 0; i < n; i++) {
        MAAS_TRY(read_tensor(s, set, dry, &at, err));
        if (at < next)
            return maas_fail(err, MAAS_E_FORMAT, "the training state repeats tensor %u", at);
        next = at + 1;
    }
    return MAAS_OK;
}

static maas_status read_sets(maas_span *s, const maas_checkpoint *c, bool dry, maas_err *err)
{
    uint32_t n;
    if (!maas_span_u32le(s, &n) || n != c->n_sets)
        return maas_fail(err, MAAS_E_FORMAT, "the training state does not have %u sets of tensors",
                         c->n_sets);
    for (uint32_t i = 0; i < n; i++)
        MAAS_TRY(read_set(s, &c->sets[i], dry, err));
    return s->n == 0 ? MAAS_OK
                     : maas_fail(err, MAAS_E_FORMAT, "%zu bytes follow the training state", s->n);
}

static maas_status read_all(maas_span body, maas_checkpoint *c, maas_err *err)
{
    MAAS_TRY(read_head(&body, c, err));
    MAAS_TRY(read_progress(&body, c, err));
    maas_span sets = body;
    MAAS_TRY(read_sets(&body, c, true, err));
    return read_sets(&sets, c, false, err);
}

maas_status maas_checkpoint_read(maas_span bytes, maas_checkpoint *c, maas_err *err)
{
    uint8_t sum[MAAS_SHA256_BYTES];
    if (bytes.n < sizeof sum)
        return cut("checksum", err);
    maas_span body = {bytes.p, bytes.n - sizeof sum};
    if (!digest(body, sum))
        return maas_fail(err, MAAS_E_NOMEM, "checking a training state");
    if (memcmp(sum, bytes.p + body.n, sizeof sum) != 0)
        return maas_fail(err, MAAS_E_FORMAT, "the checksum of the training state is wrong");
    c->history = NULL;
    maas_status st = read_all(body, c, err);
    if (st != MAAS_OK)
        maas_json_unref(&c->history);
    return st;
}
