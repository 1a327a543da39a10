/*
 * TextBucket (ai.maas) - which row of a table a category has that was hashed into n_buckets of
 * them. No operator of ONNX hashes a text, so a graph with this one runs only here.
 *
 *   X [...] text -> Y [...] int64: 0..n_buckets-1, or -1 for empty text
 */
#include "ops/text_bucket.h"

#include "ops/ops_int.h"
#include "ops/text.h"

#include "base/ban.h"

int64_t maas_text_bucket(maas_str s, int64_t n_buckets)
{
    return s.n ? (uint32_t)maas_text_murmur3(&s, 1) % n_buckets : -1;
}

static maas_status bucket_infer(maas_infer *q, maas_err *err)
{
    const int64_t n = maas_attr_i(q->node, "n_buckets", 0);
    if (n < 1 || n > MAAS_TEXT_BUCKETS_MAX)
        return maas_fail(err, MAAS_E_INVALID, "n_buckets is %lld: 1 to %d are possible",
                         (long long)n, MAAS_TEXT_BUCKETS_MAX);
    q->out[0] = q->in[0];
    q->out[0].dtype = MAAS_I64;
    return MAAS_OK;
}

static maas_status bucket_reference(const maas_call *c, maas_err *err)
{
    const maas_str *x = c->in[0].data;
    const int64_t n = maas_attr_i(c->node, "n_buckets", 1);
    int64_t *y = c->out[0].data;
    for (int64_t i = 0, count = maas_n_elems(&c->in[0]); i < count; i++)
        y[i] = maas_text_bucket(x[i], n);
    return MAAS_OK;
}

static int64_t bucket_flops(const maas_call *c)
{
    return maas_n_elems(&c->in[0]) * 64;
}

static void bucket_example(maas_example *e)
{
    const maas_attr n = MAAS_A_INT("n_buckets", e->variant ? 7 : 1);
    const maas_vid x = e->variant == 2 ? maas_ex_in(e, MAAS_STRING, 0, 9, 1, (const int64_t[]){5})
                                       : maas_ex_in(e, MAAS_STRING, 0, 9, MAAS_DIMS(3, 2));
    maas_b_node(e->b, "TextBucket", &n, 1, &x, 1, NULL, 1);
}

static const maas_io_schema in[] = {MAAS_REQ("X", NULL, MAAS_DTS_STR)};
static const maas_io_schema out[] = {MAAS_REQ("Y", NULL, MAAS_DTS_I64)};
static const maas_attr_schema attrs[] = {{"n_buckets", MAAS_ATTR_INT, true}};

const maas_op maas_op_TextBucket = {
    .domain = MAAS_DOMAIN_OWN,
    .name = "TextBucket",
    .since = 1,
    .flags = MAAS_OP_STRINGS,
    MAAS_SCHEMA(in, out),
    MAAS_ATTRS(attrs),
    .n_examples = 3,
    .infer = bucket_infer,
    .reference = bucket_reference,
    .flops = bucket_flops,
    .example = bucket_example,
    .no_gradient = "it hashes texts",
};
