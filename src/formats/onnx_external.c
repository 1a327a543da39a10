/* formats/onnx_external.c - which files the tensors of a model are in: for whoever sends them. */
#include "formats/onnx_int.h"

#include <string.h>

#include "base/mem.h"
#include "formats/members.h"
#include "base/ban.h"

typedef enum kind { MODEL, FUNCTION, GRAPH, NODE, ATTR, SPARSE, TENSOR, ENTRY, NOTHING } kind;

/* Which messages with tensors are in which; numbers of onnx.proto that nobody else reads are here.
 */
static const struct {
    kind in;
    uint32_t number;
    kind what;
} places[] = {
    {MODEL, MODEL_GRAPH, GRAPH},
    {MODEL, MODEL_FUNCTION, FUNCTION},
    {FUNCTION, 7, NODE},
    {FUNCTION, 11, ATTR}, /* with a default */
    {GRAPH, GRAPH_NODE, NODE},
    {GRAPH, GRAPH_INITIALIZER, TENSOR},
    {GRAPH, GRAPH_SPARSE, SPARSE},
    {NODE, NODE_ATTR, ATTR},
    {ATTR, ATTR_T, TENSOR},
    {ATTR, ATTR_G, GRAPH},
    {ATTR, ATTR_SPARSE, SPARSE},
    {SPARSE, 1, TENSOR}, /* values */
    {SPARSE, 2, TENSOR}, /* indices */
    {TENSOR, TENSOR_EXTERNAL, ENTRY},
};

static kind kind_of(kind in, const maas_pb_field *f)
{
    for (size_t i = 0; f->wire == MAAS_PB_BYTES && i < MAAS_COUNT(places); i++)
        if (places[i].in == in && places[i].number == f->number)
            return places[i].what;
    return NOTHING;
}

typedef struct walk {
    maas_status (*fn)(void *user, const char *location, maas_err *err);
    void *user;
    maas_err *err;
} walk;

static maas_status tell(const walk *w, const maas_pb *entry)
{
    maas_pb r = *entry;
    maas_pb_field f;
    maas_span key = {0}, value = {0};
    while (maas_pb_next(&r, &f)) {
        if (f.wire == MAAS_PB_BYTES && f.number == ENTRY_KEY)
            key = f.bytes;
        if (f.wire == MAAS_PB_BYTES && f.number == ENTRY_VALUE)
            value = f.bytes;
    }
    if (r.status != MAAS_OK || !maas_span_is(key, "location"))
        return r.status;
    AUTO(maas_buf_reset) maas_buf name = MAAS_BUF_INIT(MAAS_MAX_LOCATION);
    maas_buf_add(&name, value.p, value.n);
    if (name.failed || !value.n || memchr(value.p, 0, value.n))
        return maas_pb_fail(&r, MAAS_E_FORMAT, "the location of external data is no name");
    return w->fn(w->user, name.p, w->err);
}

maas_status maas_onnx_externals(maas_span file,
                                maas_status (*fn)(void *user, const char *location, maas_err *err),
                                void *user, maas_err *err)
{
    const walk w = {fn, user, err};
    struct {
        maas_pb pb;
        kind kind;
    } stack[MAAS_PB_MAX_DEPTH + 2]; /* deeper ones have failed */
    int top = 0;
    stack[0].pb = maas_pb_open(file, err);
    stack[0].kind = MODEL;
    while (top >= 0) {
        maas_pb_field f;
        maas_pb *r = &stack[top].pb;
        if (!maas_pb_next(r, &f)) {
            MAAS_TRY(r->status);
            top--;
            continue;
        }
        const kind k = kind_of(stack[top].kind, &f);
        if (k == NOTHING)
            continue;
        const maas_pb inner = maas_pb_message(r, f.bytes);
        MAAS_TRY(inner.status);
        if (k == ENTRY) {
            MAAS_TRY(tell(&w, &inner));
            continue;
        }
        top++;
        stack[top].pb = inner;
        stack[top].kind = k;
    }
    return MAAS_OK;
}
