/* Pickles in tests: values as text. */
#ifndef TESTS_FORMATS_PICKLE_TEXT_H
#define TESTS_FORMATS_PICKLE_TEXT_H

#include "maas_test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "formats/pickle.h"

typedef struct bytes {
    const char *p;
    size_t n;
} bytes;
#define B(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static inline void dump(const maas_pk *v, maas_buf *out, int depth);

static inline void dump_items(const maas_pk *v, maas_buf *out, int depth)
{
    for (int64_t i = 0; i < maas_pk_count(v); i++) {
        maas_buf_str(out, i ? ", " : "");
        if (maas_pk_key(v, i)) {
            dump(maas_pk_key(v, i), out, depth + 1);
            maas_buf_str(out, ": ");
        }
        dump(maas_pk_at(v, i), out, depth + 1);
    }
}

static inline void dump_array(const maas_pk *v, maas_buf *out)
{
    const maas_tensor *t = maas_pk_array(v);
    char shape[MAAS_SHAPE_TEXT];
    if (!t) {
        maas_buf_str(out, "array?");
        return;
    }
    maas_buf_printf(out, "%s%s", maas_dtype_describe((maas_dtype)t->dtype)->name,
                    maas_shape_text(t->dims, t->rank, shape));
    for (int64_t i = 0; i < maas_n_elems(t); i++) {
        const maas_str *s = (const maas_str *)t->data + i;
        if (t->dtype == MAAS_STRING)
            maas_buf_printf(out, " %.*s", (int)s->n, s->p);
        else
            maas_buf_printf(out, " %g", maas_tensor_get(t, i));
    }
}

static inline void dump_object(const maas_pk *v, maas_buf *out, int depth)
{
    maas_buf_printf(out, "%s", maas_pk_class(v));
    dump(maas_pk_args(v), out, depth + 1);
    if (maas_pk_state(v)) {
        maas_buf_str(out, "|");
        dump(maas_pk_state(v), out, depth + 1);
    }
    if (maas_pk_count(v)) {
        maas_buf_str(out, "+");
        dump_items(v, out, depth);
    }
}

static inline void dump(const maas_pk *v, maas_buf *out, int depth)
{
    static const char *const brackets[] = {
        [MAAS_PK_TUPLE] = "()", [MAAS_PK_LIST] = "[]", [MAAS_PK_DICT] = "{}", [MAAS_PK_SET] = "<>"};
    const maas_pk_kind kind = maas_pk_kind_of(v);
    int64_t i = 0;
    double f = 0;
    bool b = false;
    maas_str s = {"", 0};
    maas_pk_to_int(v, &i);
    maas_pk_to_double(v, &f);
    maas_pk_to_bool(v, &b);
    maas_pk_to_str(v, &s);
    if (depth > 6)
        maas_buf_str(out, "...");
    else if (kind == MAAS_PK_BOOL)
        maas_buf_str(out, b ? "True" : "False");
    else if (kind == MAAS_PK_INT)
        maas_buf_printf(out, "%lld", (long long)i);
    else if (kind == MAAS_PK_FLOAT)
        maas_buf_printf(out, "%g", f);
    else if (kind == MAAS_PK_STR)
        maas_buf_printf(out, "'%.*s'", (int)s.n, s.p);
    else if (kind == MAAS_PK_ARRAY)
        dump_array(v, out);
    else if (kind == MAAS_PK_OBJECT)
        dump_object(v, out, depth);
    else if (kind >= MAAS_PK_TUPLE && kind <= MAAS_PK_SET) {
        maas_buf_char(out, brackets[kind][0]);
        dump_items(v, out, depth);
        maas_buf_char(out, brackets[kind][1]);
    } else {
        maas_buf_str(out, maas_pk_kind_text(v));
    }
}

/* In memory of exactly its size; words of a refusal after "! ". */
static inline void read_as_text(bytes in, maas_buf *out)
{
    uint8_t *copy = malloc(in.n ? in.n : 1);
    maas_budget budget = {.limit = 256u << 20};
    maas_pickle p;
    maas_err err = {0};
    memcpy(copy, in.p, in.n);
    maas_buf_clear(out);
    if (maas_pickle_read(maas_span_of(copy, in.n), &budget, &p, &err) == MAAS_OK) {
        dump(p.root, out, 0);
        maas_pickle_reset(&p);
    } else {
        maas_buf_printf(out, "! %s", err.msg);
    }
    EXPECT_EQ(budget.used, 0);
    free(copy);
}

#endif
