/*
 * onnx_run_node DIR UNSUPPORTED - runs the node tests that the ONNX project ships (Debian:
 * libonnx-testdata) through our reader and the reference code of the operators.
 *
 * DIR holds test_<name>/model.onnx and test_data_set_0/{input,output}_<k>.pb. A test of an operator
 * (or of an old form of one, or of sequences) that we do not have is counted, not run. Every other
 * test must pass, unless UNSUPPORTED names it
 * ("name reason" a line); a named one that passes is an error too, so that the list stays true.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/onnx.h"
#include "ops/build.h"
#include "ops/image.h"

#define REL    1e-3 /* what the ONNX project asks of a backend */
#define ABS    1e-7
#define OLDEST 7 /* opset that the reader takes */

/* ---- files ---- */

static maas_arena all; /* files and tensors: they live as long as the process */

typedef struct bytes {
    uint8_t *p;
    size_t n;
} bytes;

static bool slurp(const char *path, bytes *out)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    fseek(f, 0, SEEK_END);
    out->n = (size_t)ftell(f);
    rewind(f);
    out->p = maas_arena_alloc(&all, out->n + 1);
    bool ok = out->p && fread(out->p, 1, out->n, f) == out->n;
    fclose(f);
    return ok;
}

/* ---- TensorProto, read without our own reader: trusted files, so few checks ---- */

static uint64_t varint(const uint8_t **p, const uint8_t *end)
{
    uint64_t v = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t b = *(*p)++;
        v |= (uint64_t)(b & 127) << shift;
        if (b < 128)
            break;
    }
    return v;
}

typedef struct proto_tensor {
    maas_tensor t;
    const uint8_t *raw;
    size_t n_raw;
    double num[65536]; /* typed fields, widened; int64 tests use raw_data */
    int64_t whole[65536];
    size_t n_num;
    maas_str text[4096];
    size_t n_text;
} proto_tensor;

static void add_number(proto_tensor *t, int field, uint64_t bits)
{
    union {
        uint64_t u;
        double d;
        uint32_t w[2];
        float f[2];
    } v = {.u = bits};
    if (t->n_num == 65536)
        return;
    t->whole[t->n_num] = (int64_t)bits;
    t->num[t->n_num++] = field == 4 ? (double)v.f[0] : field == 10 ? v.d : (double)(int64_t)bits;
}

static void add_packed(proto_tensor *t, int field, const uint8_t *p, const uint8_t *end)
{
    size_t size = field == 4 ? 4 : field == 10 ? 8 : 0;
    while (p < end) {
        uint64_t bits = 0;
        if (size) {
            memcpy(&bits, p, size);
            p += size;
        } else {
            bits = varint(&p, end);
        }
        add_number(t, field, bits);
    }
}

static void take_bytes(proto_tensor *t, int field, const uint8_t *p, size_t n)
{
    if (field == 9) {
        t->raw = p;
        t->n_raw = n;
    } else if (field == 1) {
        for (const uint8_t *q = p; q < p + n && t->t.rank < MAAS_MAX_RANK;)
            t->t.dims[t->t.rank++] = (int64_t)varint(&q, p + n);
    } else if (field == 6 && t->n_text < 4096) {
        t->text[t->n_text++] = (maas_str){(const char *)p, n};
    } else if (field == 4 || field == 5 || field == 7 || field == 10 || field == 11) {
        add_packed(t, field, p, p + n);
    }
}

static void parse(proto_tensor *t, const bytes *b)
{
    const uint8_t *p = b->p, *end = b->p + b->n;
    memset(t, 0, sizeof *t);
    while (p < end) {
        uint64_t key = varint(&p, end), v = 0;
        int field = (int)(key >> 3), wire = (int)(key & 7);
        if (wire == 2) {
            size_t n = (size_t)varint(&p, end);
            take_bytes(t, field, p, n);
            p += n;
            continue;
        }
        if (wire == 0) {
            v = varint(&p, end);
        } else {
            memcpy(&v, p, wire == 5 ? 4 : 8);
            p += wire == 5 ? 4 : 8;
        }
        if (field == 1 && t->t.rank < MAAS_MAX_RANK)
            t->t.dims[t->t.rank++] = (int64_t)v;
        else if (field == 2)
            t->t.dtype = (uint8_t)v;
        else
            add_number(t, field, v);
    }
}

/* Element i of those below a byte: bits from low to high. */
static uint8_t small_element(const proto_tensor *t, size_t i, unsigned bits, bool is_signed)
{
    unsigned v = 0;
    for (unsigned b = 0; b < bits; b++) {
        const size_t at = i * bits + b;
        const bool inside = t->raw ? at / 8 < t->n_raw : at / 8 < t->n_num;
        const unsigned byte = !inside ? 0 : t->raw ? t->raw[at / 8] : (unsigned)t->whole[at / 8];
        v |= (byte >> at % 8 & 1) << b;
    }
    return (uint8_t)(is_signed && v >> (bits - 1) ? v - (1u << bits) : v);
}

/* The tensor with memory of its own. */
static bool load(const char *path, maas_tensor *out)
{
    static proto_tensor t;
    bytes b;
    if (!slurp(path, &b))
        return false;
    parse(&t, &b);
    *out = t.t;
    if (maas_dtype_describe((maas_dtype)t.t.dtype)->bits == 0)
        return false;
    size_t n = (size_t)maas_n_elems(&t.t), size = maas_tensor_bytes(&t.t);
    out->data = maas_arena_alloc(&all, size + 1);
    const maas_dtype_info *info = maas_dtype_describe((maas_dtype)t.t.dtype);
    const bool six = t.t.dtype == MAAS_F6E2M3 || t.t.dtype == MAAS_F6E3M2;
    if (t.t.dtype == MAAS_STRING)
        memcpy(out->data, t.text, n * sizeof(maas_str));
    else if (info->file_bits < 8 && (t.raw || !six))
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)out->data)[i] = small_element(&t, i, info->file_bits,
                                                      info->kind == MAAS_KIND_INT);
    else if (t.raw)
        memcpy(out->data, t.raw, size < t.n_raw ? size : t.n_raw);
    else
        for (size_t i = 0; i < n && i < t.n_num; i++)
            switch (t.t.dtype) {
            case MAAS_F16:
            case MAAS_BF16:
                ((uint16_t *)out->data)[i] = (uint16_t)t.whole[i];
                break;
            case MAAS_F8E4M3FN:
            case MAAS_F8E4M3FNUZ:
            case MAAS_F8E5M2:
            case MAAS_F8E5M2FNUZ:
            case MAAS_F8E8M0:
            case MAAS_F6E2M3:
            case MAAS_F6E3M2:
                ((uint8_t *)out->data)[i] = (uint8_t)t.whole[i];
                break;
            case MAAS_I64:
            case MAAS_U64:
                ((int64_t *)out->data)[i] = t.whole[i];
                break;
            default:
                maas_tensor_set(out, (int64_t)i, t.num[i]);
            }
    return true;
}

/* ---- running ---- */

static maas_status run_node(maas_graph *g, maas_nid nid, maas_err *err)
{
    const maas_node *n = &g->nodes[nid];
    maas_tensor *in = calloc((size_t)n->n_in + 1, sizeof *in);
    maas_tensor *out = calloc((size_t)n->n_out + 1, sizeof *out);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] >= 0)
            in[i] = g->values[n->in[i]].init;
    for (int i = 0; i < n->n_out; i++) {
        const maas_type *t = n->out[i] >= 0 ? &g->values[n->out[i]].type : NULL;
        size_t size;
        if (!t)
            continue;
        if (n->op->flags & MAAS_OP_DYNAMIC) {
            out[i].dtype = t->dtype;
            continue;
        }
        if (t->rank < 0 ||
            maas_shape_bytes((maas_dtype)t->dtype, t->dims, t->rank, &size, NULL) != MAAS_OK)
            return maas_fail(err, MAAS_E_UNSUPPORTED, "%s: its shape is not known", n->op->name);
        out[i] = maas_tensor_of((maas_dtype)t->dtype, t->rank, t->dims,
                                maas_arena_alloc(&all, size + 1));
    }
    const maas_call c = {.node = n,
                         .in = in,
                         .out = out,
                         .n_in = n->n_in,
                         .n_out = n->n_out,
                         .n_threads = 1,
                         .arena = &all};
    maas_status st = n->op->reference(&c, err);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] >= 0) {
            g->values[n->out[i]].init = out[i];
            g->values[n->out[i]].type = maas_type_of(&out[i]);
            g->values[n->out[i]].flags |= MAAS_VALUE_CONST; /* so that the next one may see it */
        }
    free(in);
    free(out);
    return st;
}

static bool same(const maas_tensor *got, const maas_tensor *want, char *why, size_t n_why)
{
    if (got->dtype != want->dtype || !maas_shape_eq(got, want)) {
        char a[MAAS_SHAPE_TEXT], b[MAAS_SHAPE_TEXT];
        snprintf(why, n_why, "dtype %d shape %s, expected dtype %d shape %s", got->dtype,
                 maas_shape_text(got->dims, got->rank, a), want->dtype,
                 maas_shape_text(want->dims, want->rank, b));
        return false;
    }
    /* eight bits of mantissa: one rounding more is 4e-3 */
    const double rel = want->dtype == MAAS_BF16 || want->dtype == MAAS_F16 ? 1e-2 : REL;
    for (int64_t i = 0; i < maas_n_elems(want); i++) {
        bool ok;
        if (want->dtype == MAAS_STRING) {
            const maas_str x = ((maas_str *)got->data)[i], y = ((maas_str *)want->data)[i];
            ok = x.n == y.n && (x.n == 0 || memcmp(x.p, y.p, x.n) == 0);
            snprintf(why, n_why, "element %lld: another string", (long long)i);
        } else if (want->dtype == MAAS_I64 || want->dtype == MAAS_U64) {
            ok = maas_tensor_get_i64(got, i) == maas_tensor_get_i64(want, i);
            snprintf(why, n_why, "element %lld: %lld, expected %lld", (long long)i,
                     (long long)maas_tensor_get_i64(got, i),
                     (long long)maas_tensor_get_i64(want, i));
        } else {
            double x = maas_tensor_get(got, i), y = maas_tensor_get(want, i);
            ok = x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= ABS + rel * fabs(y);
            snprintf(why, n_why, "element %lld: %g, expected %g", (long long)i, x, y);
        }
        if (!ok)
            return false;
    }
    return true;
}

typedef enum outcome { PASSED, FAILED, OTHER_OPERATOR } outcome;

static bool is_elsewhere(const maas_err *err)
{
    return err->code == MAAS_E_UNSUPPORTED &&
           (strstr(err->msg, "operator ") || strstr(err->msg, "only tensors are supported") ||
            strstr(err->msg, "element type") || strstr(err->msg, "casting to data type"));
}

static outcome run_data(maas_graph *g, const char *dir, char *why, size_t n_why)
{
    char path[4096];
    maas_err err = {0};
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        maas_value *v = &g->values[g->inputs[i]];
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%u.pb", dir, i);
        if (!load(path, &v->init)) {
            return OTHER_OPERATOR; /* an element type that we do not have */
        }
        v->flags |= MAAS_VALUE_CONST;
        v->type = maas_type_of(&v->init);
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (maas_graph_infer(g, &err) != MAAS_OK || run_node(g, (maas_nid)i, &err) != MAAS_OK) {
            snprintf(why, n_why, "%s", err.msg);
            return is_elsewhere(&err) ? OTHER_OPERATOR : FAILED;
        }
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        maas_tensor want;
        snprintf(path, sizeof path, "%s/test_data_set_0/output_%u.pb", dir, i);
        if (!load(path, &want)) {
            return OTHER_OPERATOR;
        }
        if (!same(&g->values[g->outputs[i]].init, &want, why, n_why))
            return FAILED;
    }
    return PASSED;
}

/*
 * Many tests were made when their operator last changed, below the oldest opset that we read. Where
 * our row is that old as well, the test holds for us: the version in the file is raised. Returns
 * the version that stood there (opset_import is field 8: domain is its field 1, empty for this one,
 * version field 2).
 */
static int64_t lift_opset(const bytes *b)
{
    const uint8_t *p = b->p, *end = b->p + b->n;
    int64_t old = 0;
    while (p < end) {
        uint64_t key = varint(&p, end);
        if ((key & 7) != 2) {
            varint(&p, end);
            continue;
        }
        uint64_t n = varint(&p, end);
        const uint8_t *last = p + n - 1;
        const bool ours = n >= 2 && last[-1] == 0x10 && (p[0] == 0x10 || p[1] == 0);
        if (key >> 3 == 8 && ours && *last < OLDEST) {
            old = *last;
            b->p[last - b->p] = OLDEST;
        }
        p += n;
    }
    return old;
}

static bool newer_than(const maas_graph *g, int64_t opset)
{
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op->since > opset)
            return true;
    return false;
}

static outcome run_test(const char *dir, char *why, size_t n_why)
{
    char path[4096];
    bytes model;
    maas_graph *g = NULL;
    maas_err err = {0};
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    if (!slurp(path, &model))
        return OTHER_OPERATOR;
    maas_onnx_opts opts = {0};
    const int64_t old = lift_opset(&model);
    maas_status st = maas_onnx_read(maas_span_of(model.p, model.n), &opts, &g, &err);
    if (st != MAAS_OK) {
        snprintf(why, n_why, "%s", err.msg);
        return is_elsewhere(&err) || old ? OTHER_OPERATOR : FAILED;
    }
    outcome o = old && newer_than(g, old) ? OTHER_OPERATOR : run_data(g, dir, why, n_why);
    maas_graph_destroy(g);
    return o;
}

static const char *reason_of(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, name, n) == 0 && p[n] == ' ')
            return p;
    return NULL;
}

int main(int argc, char **argv)
{
    struct dirent **names;
    bytes list = {0};
    int passed = 0, failed = 0, named = 0, others = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: onnx_run_node DIR [UNSUPPORTED]\n");
        return 2;
    }
    maas_image_open();
    if (argc > 2 && slurp(argv[2], &list))
        list.p[list.n] = 0;
    int n = scandir(argv[1], &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char dir[2048], why[400] = "";
        if (strncmp(names[i]->d_name, "test_", 5) != 0)
            continue;
        snprintf(dir, sizeof dir, "%s/%s", argv[1], names[i]->d_name);
        outcome o = run_test(dir, why, sizeof why);
        const char *reason = reason_of((const char *)list.p, names[i]->d_name);
        if (o == OTHER_OPERATOR) {
            others++;
        } else if ((o == PASSED) == !reason) {
            passed += o == PASSED;
            named += o == FAILED;
        } else {
            failed++;
            printf("not ok %s: %s\n", names[i]->d_name, reason ? "passes, yet it is listed" : why);
        }
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(n >= 0 ? names : NULL);
    maas_arena_reset(&all);
    printf("# %d tests of other operators, %d listed as unsupported\n", others, named);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
