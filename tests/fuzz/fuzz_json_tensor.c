/* The first byte is the dtype, the rest the text: what decodes must encode and decode the same. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tensor/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static maas_status decode(maas_span text, maas_json_tensor *t)
{
    maas_json_scan s;
    maas_err err = {0};
    maas_json_scan_init(&s, text);
    if (!maas_json_at_value(&s))
        return MAAS_E_INVALID;
    maas_status st = maas_json_decode_tensor(&s, t, &err);
    check((st == MAAS_OK) == (err.code == MAAS_OK) && (st == MAAS_OK || *err.msg));
    return st;
}

static bool same_strings(const maas_str *a, const maas_str *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) /* what is not UTF-8 (base64) is replaced by the encoder */
        if (maas_utf8_valid(maas_span_of(a[i].p, a[i].n)) &&
            !maas_span_eq(maas_span_of(a[i].p, a[i].n), maas_span_of(b[i].p, b[i].n)))
            return false;
    return true;
}

static bool same(maas_dtype dtype, const void *a, const void *b, int64_t n)
{
    if (dtype == MAAS_STRING)
        return same_strings(a, b, n);
    return n == 0 || memcmp(a, b, (size_t)n * maas_dtype_size(dtype)) == 0;
}

/* Into memory of exactly the right size, and into one element less. */
static void check_given_memory(maas_span text, const maas_json_tensor *want)
{
    size_t size = maas_dtype_size(want->dtype);
    void *room = malloc((size_t)want->n * size + 1);
    maas_json_tensor t = {.dtype = want->dtype, .data = room, .max = want->n, .arena = want->arena};
    check(decode(text, &t) == MAAS_OK && t.data == room && t.n == want->n);
    check(same(want->dtype, want->data, room, t.n));
    t.max--;
    check(want->n == 0 || decode(text, &t) == MAAS_E_INVALID);
    free(room);
}

static void check_round_trip(const maas_json_tensor *t)
{
    maas_buf out = MAAS_BUF_INIT(64 << 20);
    maas_tensor x = maas_tensor_of(t->dtype, 1, &t->n, t->data);
    maas_json_encode_tensor(&x, &out);
    maas_json_tensor back = {.dtype = t->dtype, .max = t->n, .arena = t->arena};
    check(!out.failed && decode(maas_buf_span(&out), &back) == MAAS_OK);
    check(back.n == t->n && back.rank == 1 && back.dims[0] == t->n);
    check(same(t->dtype, t->data, back.data, t->n));
    maas_buf_reset(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || !maas_dtype_describe((maas_dtype)(data[0] % 17))->bits)
        return 0;
    maas_span text = maas_span_of(data + 1, size - 1);
    maas_budget budget = {.limit = 16 << 20};
    maas_arena a;
    maas_arena_init(&a, &budget);
    maas_json_tensor t = {.dtype = (maas_dtype)(data[0] % 17), .max = 100000, .arena = &a};
    if (decode(text, &t) == MAAS_OK) {
        int64_t n = 1;
        for (int i = 0; i < t.rank; i++)
            n *= t.dims[i];
        check(n == t.n && t.rank <= MAAS_MAX_RANK);
        check_given_memory(text, &t);
        check_round_trip(&t);
    }
    maas_arena_reset(&a);
    check(budget.used == 0);
    return 0;
}
