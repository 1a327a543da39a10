/* formats/tflite/tflite.c - the model: which subgraph, its operators in order, names. */
#include "formats/tflite/tflite.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "formats/tflite/tflite_int.h"
#include "base/ban.h"

static const tl_row *const tables[] = {tl_elementwise, tl_images, tl_products,
                                       tl_reductions,  tl_shapes, tl_moves};

const tl_row *tl_row_find(int64_t code)
{
    for (size_t i = 0; i < MAAS_COUNT(tables); i++)
        for (const tl_row *r = tables[i]; r->name; r++)
            if (r->code == code)
                return r;
    return NULL;
}

maas_vid tl_fail(tl *t, maas_status st, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (t->b.status == MAAS_OK)
        t->b.status = maas_fail(t->err, st, "%s", text);
    return MAAS_NO_VALUE;
}

/* ---- operators ---- */

/* Numbers of tensors; -1 says that an input is omitted. */
static maas_status check_numbers(tl *t, const fb_vector *v, int least)
{
    if (v->n > TL_MAX_IO)
        return maas_fail(t->err, MAAS_E_UNSUPPORTED, "%u inputs or outputs", v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        const int32_t k = fb_i32_at(v, i);
        if (k < least || (k >= 0 && (uint32_t)k >= t->n_tensors))
            return maas_fail(t->err, MAAS_E_FORMAT, "tensor %d is not in the file", k);
    }
    return MAAS_OK;
}

/* Inputs that its row demands, and one output at least. */
static maas_status check_inputs(tl *t, const tl_op *op)
{
    const tl_row *r = op->row;
    const uint32_t needed = r->flags & TL_OMITS ? 1 : r->n_max == 255 ? op->in.n : r->n_min;
    if (op->in.n < r->n_min || (r->n_max != 255 && op->in.n > r->n_max) || op->out.n < 1)
        return maas_fail(t->err, MAAS_E_FORMAT, "it has %u inputs and %u outputs", op->in.n,
                         op->out.n);
    for (uint32_t i = 0; i < needed; i++)
        if (!tl_has(op, i))
            return maas_fail(t->err, MAAS_E_FORMAT, "input %u is missing", i);
    return MAAS_OK;
}

static maas_status check_outputs(tl *t, const tl_op *op)
{
    for (uint32_t i = 0; i < op->out.n && tl_ok(t); i++)
        if (!tl_of_out(t, op, i)->known)
            tl_fail(t, MAAS_E_FORMAT, "output %u is one that it does not make", i);
    return t->b.status;
}

static maas_status build_operator(tl *t, const fb_table *from, tl_op *op)
{
    op->in = fb_vec(&t->f, from, OP_INPUTS, 4);
    op->out = fb_vec(&t->f, from, OP_OUTPUTS, 4);
    op->options = fb_sub(&t->f, from, OP_OPTIONS);
    MAAS_TRY(fb_check(&t->f, t->err));
    MAAS_TRY(check_numbers(t, &op->in, -1));
    MAAS_TRY(check_numbers(t, &op->out, 0));
    MAAS_TRY(check_inputs(t, op));
    op->form = op->row->flags & TL_MOVES && tl_moves_codes(t, op) ? TL_CODES : TL_REAL;
    op->row->build(t, op);
    if (!tl_ok(t))
        return t->b.status;
    return check_outputs(t, op);
}

/* Codes below 127 are in the old field too, which files of before the new one have alone. */
static int64_t builtin_code(tl *t, const fb_table *c)
{
    const int64_t old = fb_i8(&t->f, c, CODE_OLD, 0), now = fb_i32(&t->f, c, CODE_BUILTIN, 0);
    return now > old ? now : old;
}

static maas_status unsupported(tl *t, const fb_table *c, int64_t code, uint32_t number)
{
    const maas_span custom = fb_text(&t->f, c, CODE_CUSTOM);
    const char *name = tl_code_name(code);
    MAAS_TRY(fb_check(&t->f, t->err));
    if (code == OPERATOR_CUSTOM)
        return maas_fail(t->err, MAAS_E_UNSUPPORTED,
                         "operator %u: the custom operator '%.*s' is not supported", number,
                         maas_utf8_valid(custom) ? (int)(custom.n < 60 ? custom.n : 60) : 0,
                         (const char *)custom.p);
    return maas_fail(t->err, MAAS_E_UNSUPPORTED, "operator %u: %s (%lld) is not supported", number,
                     name ? name : "an operator of a later version", (long long)code);
}

static maas_status build_operators(tl *t, const fb_table *model, const fb_table *graph)
{
    const fb_vector all = fb_vec(&t->f, graph, GRAPH_OPERATORS, 4),
                    codes = fb_vec(&t->f, model, MODEL_CODES, 4);
    if (all.n > MAAS_MAX_NODES)
        return maas_fail(t->err, MAAS_E_TOO_LARGE, "%u operators are too many", all.n);
    for (uint32_t i = 0; i < all.n; i++) {
        const fb_table from = fb_table_at(&t->f, &all, i);
        const int64_t k = fb_i32(&t->f, &from, OP_CODE, 0);
        if (tl_ok(t) && (k < 0 || k >= codes.n))
            return maas_fail(t->err, MAAS_E_FORMAT, "operator %u has no code", i);
        if (!tl_ok(t))
            return t->b.status;
        const fb_table c = fb_table_at(&t->f, &codes, (uint32_t)k);
        const int64_t code = builtin_code(t, &c);
        tl_op op = {.row = tl_row_find(code), .number = i};
        if (!op.row)
            return unsupported(t, &c, code, i);
        const maas_status st = build_operator(t, &from, &op);
        if (st != MAAS_OK) {
            maas_err_prefix(t->err, "operator %u (%s)", i, op.row->name);
            return st;
        }
    }
    return fb_check(&t->f, t->err);
}

/* ---- inputs and outputs ---- */

typedef struct ports {
    fb_vector numbers; /* of tensors */
    fb_vector named;   /* of the signature, in its order; n 0: none */
} ports;

static maas_status text_of(tl *t, maas_span text, const char **out)
{
    if (!maas_utf8_valid(text) || (text.n && memchr(text.p, '\0', text.n)))
        return maas_fail(t->err, MAAS_E_FORMAT, "a name in the signature is not UTF-8");
    *out = maas_arena_strndup(t->arena, (const char *)text.p, text.n);
    return *out ? MAAS_OK : maas_fail(t->err, MAAS_E_NOMEM, "no memory left for names");
}

/* What the signature calls a tensor, else its own name, else its place. */
static maas_status name_of(tl *t, const ports *p, uint32_t i, const char *otherwise,
                           const char **out)
{
    const int32_t number = fb_i32_at(&p->numbers, i);
    *out = t->tensors[number].name;
    for (uint32_t k = 0; k < p->named.n; k++) {
        const fb_table m = fb_table_at(&t->f, &p->named, k);
        if (fb_i32(&t->f, &m, NAMED_TENSOR, 0) != number)
            continue;
        const maas_span text = fb_text(&t->f, &m, NAMED_NAME);
        if (text.n)
            MAAS_TRY(text_of(t, text, out));
        break;
    }
    if (!**out || maas_graph_find(t->b.g, *out) != MAAS_NO_VALUE) /* none, or another's */
        *out = maas_arena_printf(t->arena, "%s_%u", otherwise, i);
    MAAS_TRY(fb_check(&t->f, t->err));
    return *out ? MAAS_OK : maas_fail(t->err, MAAS_E_NOMEM, "no memory left for names");
}

static maas_status add_input(tl *t, tl_tensor *x, const char *name)
{
    int64_t dims[MAAS_MAX_RANK];
    if (x->dtype == MAAS_DT_NONE)
        return maas_fail(t->err, MAAS_E_UNSUPPORTED, "input '%.60s': elements of its type", name);
    if (x->known)
        return maas_fail(t->err, MAAS_E_FORMAT, "input '%.60s' is a constant or twice there", name);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i];
        if (dims[i] < 0)
            MAAS_TRY(maas_graph_symbol(t->b.g, i ? NULL : "batch", &dims[i], t->err));
    }
    x->v[TL_CODES][TL_LAST] = maas_b_input(&t->b, name, (maas_dtype)x->dtype, x->rank, dims);
    x->known = true;
    return t->b.status;
}

static maas_status add_inputs(tl *t, const ports *p)
{
    MAAS_TRY(check_numbers(t, &p->numbers, 0));
    for (uint32_t i = 0; i < p->numbers.n; i++) {
        const char *name;
        MAAS_TRY(name_of(t, p, i, "input", &name));
        MAAS_TRY(add_input(t, &t->tensors[fb_i32_at(&p->numbers, i)], name));
    }
    return MAAS_OK;
}

/* An output that is an input or a constant as well, or twice an output, gets a value of its own. */
static maas_status add_outputs(tl *t, const ports *p)
{
    MAAS_TRY(check_numbers(t, &p->numbers, 0));
    if (!p->numbers.n)
        return maas_fail(t->err, MAAS_E_FORMAT, "the model has no output");
    for (uint32_t i = 0; i < p->numbers.n && tl_ok(t); i++) {
        const char *name;
        tl_tensor *x = &t->tensors[fb_i32_at(&p->numbers, i)];
        const maas_vid v = tl_value(t, x, TL_CODES, TL_LAST);
        MAAS_TRY(t->b.status);
        MAAS_TRY(name_of(t, p, i, "output", &name));
        maas_b_output(&t->b, name, maas_b_op1(&t->b, "Identity", v));
    }
    return t->b.status;
}

/* ---- the model ---- */

/* Which subgraph, and how its inputs and outputs are called. */
static maas_status choose(tl *t, const fb_table *model, fb_table *graph, ports *in, ports *out,
                          const char **key)
{
    const fb_vector graphs = fb_vec(&t->f, model, MODEL_SUBGRAPHS, 4),
                    signatures = fb_vec(&t->f, model, MODEL_SIGNATURES, 4);
    fb_table chosen = {0};
    for (uint32_t i = 0; i < signatures.n && i < TL_MAX_IO; i++) {
        const fb_table s = fb_table_at(&t->f, &signatures, i);
        const maas_span name = fb_text(&t->f, &s, SIGNATURE_KEY);
        if (i == 0 || maas_span_is(name, "serving_default"))
            chosen = s;
    }
    const int64_t number = fb_i32(&t->f, &chosen, SIGNATURE_GRAPH, 0);
    MAAS_TRY(text_of(t, fb_text(&t->f, &chosen, SIGNATURE_KEY), key));
    MAAS_TRY(fb_check(&t->f, t->err));
    if (number < 0 || number >= graphs.n)
        return maas_fail(t->err, MAAS_E_FORMAT, "subgraph %lld is not in the file",
                         (long long)number);
    *graph = fb_table_at(&t->f, &graphs, (uint32_t)number);
    *in = (ports){fb_vec(&t->f, graph, GRAPH_INPUTS, 4),
                  fb_vec(&t->f, &chosen, SIGNATURE_INPUTS, 4)};
    *out = (ports){fb_vec(&t->f, graph, GRAPH_OUTPUTS, 4),
                   fb_vec(&t->f, &chosen, SIGNATURE_OUTPUTS, 4)};
    if (in->named.n > TL_MAX_IO || out->named.n > TL_MAX_IO)
        return maas_fail(t->err, MAAS_E_UNSUPPORTED, "a signature of too many names");
    return fb_check(&t->f, t->err);
}

static maas_status build(tl *t)
{
    fb_table model = fb_root(&t->f, "TFL3"), graph;
    ports in, out;
    const char *key;
    char source[120];
    const int64_t version = fb_i32(&t->f, &model, MODEL_VERSION, 0);
    MAAS_TRY(fb_check(&t->f, t->err));
    if (version != 3)
        return maas_fail(t->err, MAAS_E_UNSUPPORTED, "version %lld of the schema, 3 is known",
                         (long long)version);
    t->buffers = fb_vec(&t->f, &model, MODEL_BUFFERS, 4);
    MAAS_TRY(choose(t, &model, &graph, &in, &out, &key));
    MAAS_TRY(tl_tensors_read(t, &graph));
    MAAS_TRY(add_inputs(t, &in));
    for (uint32_t i = 0; i < t->n_tensors; i++)
        t->tensors[i].known = t->tensors[i].known || t->tensors[i].data;
    MAAS_TRY(build_operators(t, &model, &graph));
    MAAS_TRY(add_outputs(t, &out));
    size_t n = strlen(key) < 60 ? strlen(key) : 60;
    while (n && ((uint8_t)key[n] & 0xc0) == 0x80) /* whole characters */
        n--;
    snprintf(source, sizeof source, "TensorFlow Lite%s%.*s", n ? ", " : "", (int)n, key);
    MAAS_TRY(maas_graph_set_meta(t->b.g, "maas.source", source, t->err));
    MAAS_TRY(maas_graph_verify(t->b.g, t->err));
    return maas_graph_infer(t->b.g, t->err);
}

maas_status maas_tflite_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    maas_err own = {0};
    maas_arena a;
    maas_graph *g = NULL;
    err = err ? err : &own;
    MAAS_TRY(maas_graph_create("tflite", budget, &g, err));
    maas_arena_init(&a, budget);
    tl t = {.arena = &a, .err = err};
    maas_builder_init(&t.b, g, err);
    fb_init(&t.f, file);
    const maas_status st = build(&t);
    maas_arena_reset(&a);
    if (st != MAAS_OK)
        maas_graph_destroy(g);
    else
        *out = g;
    return st;
}

int maas_tflite_probe(maas_span head)
{
    return head.n >= 8 && memcmp(head.p + 4, "TFL3", 4) == 0 ? 95 : 0;
}
