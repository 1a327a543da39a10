/*
 * StringConcat and StringSplit. Parts of a text are pointed to where they lie in the input; only
 * what is put together is new text.
 */
#include "base/utf8.h"
#include "ops/ops_int.h"
#include "ops/unicode.h"

#include "base/ban.h"

/* ---- StringConcat ---- */

static maas_status concat_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *a = &c->in[0], *b = &c->in[1];
    int64_t dims[MAAS_MAX_RANK];
    int rank;
    maas_bcast w;
    if (!maas_broadcast(a->dims, a->rank, b->dims, b->rank, dims, &rank))
        return maas_fail(err, MAAS_E_INVALID, "StringConcat: the shapes do not broadcast");
    MAAS_TRY(maas_ref_alloc(c, 0, rank, dims, err));
    maas_str *z = c->out[0].data;
    maas_bcast_init(&w, &c->out[0], c->in, 2);
    while (maas_bcast_row(&w))
        for (int64_t i = 0; i < w.inner; i++) {
            const maas_str x = ((const maas_str *)a->data)[w.at[0] + i * w.step[0]];
            const maas_str y = ((const maas_str *)b->data)[w.at[1] + i * w.step[1]];
            char *text;
            MAAS_TRY(maas_ref_text(c, x.n + y.n, &text, err));
            if (x.n)
                memcpy(text, x.p, x.n);
            if (y.n)
                memcpy(text + x.n, y.p, y.n);
            z[w.row * w.inner + i] = (maas_str){text, x.n + y.n};
        }
    return MAAS_OK;
}

static void concat_example(maas_example *e)
{
    static const int64_t shapes[][2][2] = {{{3, 4}, {3, 4}}, {{3, 1}, {1, 4}}, {{0, 2}, {1, 2}}};
    const maas_vid x = maas_ex_in(e, MAAS_STRING, 0, 1, 2, shapes[e->variant][0]);
    maas_b_op2(e->b, "StringConcat", x, maas_ex_in(e, MAAS_STRING, 0, 1, 2, shapes[e->variant][1]));
}

/* ---- StringSplit ---- */

static maas_status split_infer(maas_infer *q, maas_err *err)
{
    const maas_type *x = &q->in[0];
    const maas_str by = maas_attr_s(q->node, "delimiter", "");
    q->out[0] = *x;
    if (!maas_utf8_valid(maas_span_of(by.p, by.n)))
        return maas_fail(err, MAAS_E_INVALID, "attribute 'delimiter' is not UTF-8");
    if (x->rank >= MAAS_MAX_RANK)
        return maas_fail(err, MAAS_E_INVALID, "the result has rank %d, at most %d is supported",
                         x->rank + 1, MAAS_MAX_RANK);
    if (x->rank >= 0)
        q->out[0].dims[q->out[0].rank++] = MAAS_DIM_UNKNOWN;
    if (q->node->n_out > 1) {
        q->out[1] = *x;
        q->out[1].dtype = MAAS_I64;
    }
    return MAAS_OK;
}

/* A text that is taken apart from left to right. */
typedef struct splitter {
    maas_str rest, by; /* by: empty for runs of white space */
    int64_t splits_left;
    bool done;
} splitter;

/* Bytes of white space at the start of s. */
static size_t blank(maas_str s)
{
    size_t n = 0;
    while (n < s.n) {
        uint32_t c;
        const size_t len = maas_uni_get(s.p + n, &c);
        if (!maas_uni_is_space(c))
            break;
        n += len;
    }
    return n;
}

static size_t solid(maas_str s)
{
    uint32_t c;
    size_t n = 0;
    while (n < s.n && !blank((maas_str){s.p + n, s.n - n}))
        n += maas_uni_get(s.p + n, &c);
    return n;
}

static void skip(maas_str *s, size_t n)
{
    s->p += n;
    s->n -= n;
}

static bool next_word(splitter *s, maas_str *out)
{
    skip(&s->rest, blank(s->rest));
    if (!s->rest.n)
        return false;
    *out = s->rest;
    if (s->splits_left-- != 0)
        out->n = solid(s->rest);
    skip(&s->rest, out->n);
    return true;
}

static bool next_part(splitter *s, maas_str *out)
{
    if (!s->by.n)
        return next_word(s, out);
    if (s->done)
        return false;
    const char *at = s->splits_left-- == 0 || !s->rest.n
                         ? NULL
                         : memmem(s->rest.p, s->rest.n, s->by.p, s->by.n);
    *out = s->rest;
    s->done = !at;
    if (at) {
        out->n = (size_t)(at - s->rest.p);
        skip(&s->rest, out->n + s->by.n);
    }
    return true;
}

static splitter splitter_of(const maas_node *n, maas_str text)
{
    /* -1 never comes down to 0: no limit */
    const int64_t most = maas_attr_i(n, "maxsplit", -1);
    return (splitter){
        .rest = text, .by = maas_attr_s(n, "delimiter", ""), .splits_left = most < 0 ? -1 : most};
}

/* The counts of all texts; the largest decides the shape. */
static maas_status count_parts(const maas_call *c, int64_t *counts, int64_t *most, maas_err *err)
{
    const maas_str *x = c->in[0].data;
    *most = 0;
    for (int64_t i = 0, n = maas_n_elems(&c->in[0]); i < n; i++) {
        splitter s = splitter_of(c->node, x[i]);
        maas_str part;
        if (!maas_utf8_valid(maas_span_of(x[i].p, x[i].n)))
            return maas_fail(err, MAAS_E_INVALID, "StringSplit: a text is not UTF-8");
        counts[i] = 0;
        while (next_part(&s, &part))
            counts[i]++;
        *most = counts[i] > *most ? counts[i] : *most;
    }
    return MAAS_OK;
}

static maas_status split_reference(const maas_call *c, maas_err *err)
{
    const maas_tensor *x = &c->in[0];
    const int64_t n = maas_n_elems(x);
    int64_t dims[MAAS_MAX_RANK], most;
    AUTO_FREE int64_t *counts = maas_calloc((size_t)n + 1, sizeof *counts);
    if (!counts)
        return maas_fail(err, MAAS_E_NOMEM, "StringSplit of %lld texts", (long long)n);
    MAAS_TRY(count_parts(c, counts, &most, err));
    memcpy(dims, x->dims, sizeof dims);
    MAAS_CHECK(x->rank < MAAS_MAX_RANK);
    dims[x->rank] = most;
    MAAS_TRY(maas_ref_alloc(c, 0, x->rank + 1, dims, err));
    MAAS_TRY(maas_ref_alloc(c, 1, x->rank, dims, err));
    if (maas_c_wants(c, 1) && n)
        memcpy(c->out[1].data, counts, (size_t)n * sizeof *counts);
    for (int64_t i = 0; i < n && maas_c_wants(c, 0); i++) {
        maas_str *y = (maas_str *)c->out[0].data + i * most;
        splitter s = splitter_of(c->node, ((const maas_str *)x->data)[i]);
        for (int64_t k = 0; k < most; k++)
            if (k >= counts[i] || !next_part(&s, &y[k]))
                y[k] = (maas_str){"", 0};
    }
    return MAAS_OK;
}

static void split_example(maas_example *e)
{
    static const char *const words[] = {" a,b  c ", "", ",,", "a,,b,c", "\xc3\xa9 \xe2\x80\x83z"};
    const maas_attr attr[] = {MAAS_A_STR("delimiter", e->variant & 1 ? "," : ""),
                              MAAS_A_INT("maxsplit", e->variant / 2)};
    maas_vid out[2] = {MAAS_NO_VALUE, MAAS_NO_VALUE};
    const maas_vid x = e->variant == 4   ? maas_ex_in(e, MAAS_STRING, 0, 1, MAAS_DIMS(2, 0, 3))
                       : e->variant == 5 ? maas_ex_in(e, MAAS_STRING, 0, 1, MAAS_DIMS(2, 3))
                                         : maas_b_strings(e->b, words, MAAS_COUNT(words));
    maas_b_node(e->b, "StringSplit", attr, e->variant < 2 ? 1 : 2, &x, 1, out, 2);
}

static const maas_io_schema concat_in[] = {MAAS_REQ("X", "T", MAAS_DTS_STR),
                                           MAAS_REQ("Y", "T", MAAS_DTS_STR)};
static const maas_io_schema concat_out[] = {MAAS_REQ("Z", "T", MAAS_DTS_STR)};
static const maas_io_schema split_in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR)};
static const maas_io_schema split_out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_STR),
                                           MAAS_OPT("Z", NULL, MAAS_DTS_I64)};
static const maas_attr_schema attrs[] = {{"delimiter", MAAS_ATTR_STRING, false},
                                         {"maxsplit", MAAS_ATTR_INT, false}};

const maas_op maas_op_StringConcat = {
    .domain = "",
    .name = "StringConcat",
    .since = 20,
    .flags = MAAS_OP_DYNAMIC | MAAS_OP_STRINGS,
    MAAS_SCHEMA(concat_in, concat_out),
    .n_examples = 3,
    .infer = maas_infer_broadcast,
    .reference = concat_reference,
    .flops = maas_flops_none,
    .example = concat_example,
    .no_gradient = "text has no derivative",
};

const maas_op maas_op_StringSplit = {
    .domain = "",
    .name = "StringSplit",
    .since = 20,
    .flags = MAAS_OP_DYNAMIC | MAAS_OP_STRINGS,
    MAAS_SCHEMA(split_in, split_out),
    MAAS_ATTRS(attrs),
    .n_examples = 6,
    .infer = split_infer,
    .reference = split_reference,
    .flops = maas_flops_none,
    .example = split_example,
    .no_gradient = "text has no derivative",
};
