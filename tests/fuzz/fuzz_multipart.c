/*
 * The first byte says where the rest is cut in two; the form's parts must not depend on it.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "http/http.h"

typedef struct tally {
    uint64_t hash;
    size_t n_parts, n_bytes;
    bool open;
} tally;

static void mix(tally *t, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->hash = (t->hash ^ ((const uint8_t *)p)[i]) * 1099511628211u;
}

static maas_status on_begin(void *user, const char *name, const char *file, const char *type,
                            maas_err *err)
{
    tally *t = user;
    if (t->open)
        abort();
    t->open = true;
    t->n_parts++;
    mix(t, name, strlen(name) + 1);
    mix(t, file ? file : "-", file ? strlen(file) + 1 : 1);
    mix(t, type ? type : "-", type ? strlen(type) + 1 : 1);
    return MAAS_OK;
}

static maas_status on_data(void *user, maas_span piece, maas_err *err)
{
    tally *t = user;
    if (!t->open || !piece.n)
        abort();
    t->n_bytes += piece.n;
    mix(t, piece.p, piece.n);
    return MAAS_OK;
}

static maas_status on_end(void *user, maas_err *err)
{
    tally *t = user;
    if (!t->open)
        abort();
    t->open = false;
    return MAAS_OK;
}

static maas_status run(maas_span s, size_t cut, tally *t)
{
    maas_part_sink sink = {t, on_begin, on_data, on_end};
    maas_multipart *m = NULL;
    maas_err err = {0};
    if (maas_multipart_create("multipart/form-data; boundary=B", &sink, &m, &err) != MAAS_OK)
        return MAAS_E_NOMEM;
    maas_span head;
    maas_span_take(&s, cut < s.n ? cut : s.n, &head);
    maas_multipart_feed(m, head, &err);
    maas_multipart_feed(m, s, &err);
    maas_status st = maas_multipart_finish(m, &err);
    maas_multipart_destroy(m);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maas_span s = maas_span_of(data, size);
    uint8_t cut = 0;
    if (!maas_span_u8(&s, &cut))
        return 0;
    tally whole = {0}, split = {0};
    if (run(s, s.n, &whole) != run(s, cut, &split) || whole.hash != split.hash ||
        whole.n_parts != split.n_parts || whole.n_bytes != split.n_bytes)
        abort();
    return 0;
}
