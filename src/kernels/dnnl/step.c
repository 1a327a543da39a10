#include "kernels/dnnl/step.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

#include "base/ban.h"

/* ---- the engine: one, for as long as the process lives ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static dnnl_stream_t stream; /* holds nothing: work is done when execute returns */

static void start(void)
{
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
    else if (dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success)
        stream = NULL;
}

static bool ready(void)
{
    pthread_once(&once, start);
    return engine && stream;
}

void maas_dnnl_threads(int n)
{
    if (omp_get_max_threads() != n)
        omp_set_num_threads(n);
}

/* ---- arrays ---- */

bool maas_dnnl_md(dnnl_memory_desc_t *md, int rank, const int64_t *dims, int64_t block)
{
    return maas_dnnl_md_of(md, dnnl_f32, rank, dims, block);
}

bool maas_dnnl_md_of(dnnl_memory_desc_t *md, dnnl_data_type_t t, int rank, const int64_t *dims,
                     int64_t block)
{
    static const dnnl_format_tag_t tags[][3] = {{dnnl_ncw, dnnl_nCw8c, dnnl_nCw16c},
                                                {dnnl_nchw, dnnl_nChw8c, dnnl_nChw16c},
                                                {dnnl_ncdhw, dnnl_nCdhw8c, dnnl_nCdhw16c}};
    dnnl_dims_t d;
    if (rank < 3 || rank > 5)
        return false;
    memcpy(d, dims, (size_t)rank * sizeof *dims);
    const dnnl_format_tag_t tag = tags[rank - 3][block == 0 ? 0 : block == 8 ? 1 : 2];
    return dnnl_memory_desc_init_by_tag(md, rank, d, t, tag) == dnnl_success;
}

bool maas_dnnl_md_any(dnnl_memory_desc_t *md, const dnnl_memory_desc_t *like)
{
    return dnnl_memory_desc_init_by_tag(md, like->ndims, like->dims, like->data_type,
                                        dnnl_format_tag_any) == dnnl_success;
}

bool maas_dnnl_small(const maas_tensor *t)
{
    const int64_t n = maas_n_elems(t);
    return t->dtype == MAAS_F32 && n > 0 && n <= INT32_MAX;
}

bool maas_dnnl_is_fast(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success &&
           name && strncmp(name, "ref", 3) != 0;
}

/* ---- making ---- */

void maas_dnnl_step_open(maas_dnnl_step *s, const_dnnl_op_desc_t desc,
                         const_dnnl_primitive_attr_t a, const_dnnl_primitive_desc_t hint)
{
    *s = (maas_dnnl_step){.failed = !ready()};
    if (!s->failed)
        s->failed = dnnl_primitive_desc_create(&s->pd, desc, a, engine, hint) != dnnl_success;
    if (s->failed)
        s->pd = NULL;
}

static size_t up64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static bool reorder(dnnl_primitive_t *out, const dnnl_memory_desc_t *from,
                    const dnnl_memory_desc_t *to)
{
    dnnl_primitive_desc_t pd;
    if (dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL) != dnnl_success)
        return false;
    const bool ok = dnnl_primitive_create(out, pd) == dnnl_success;
    dnnl_primitive_desc_destroy(pd);
    return ok;
}

static const struct {
    int id;
    dnnl_query_t what;
    int index;
    bool out;
} ids[] = {
    {DNNL_ARG_SRC, dnnl_query_src_md, 0, false},
    {DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0, false},
    {DNNL_ARG_BIAS, dnnl_query_weights_md, 1, false},
    {DNNL_ARG_DST, dnnl_query_dst_md, 0, true},
    {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0, false},
    {DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0, true},
    {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, 0, true},
    {DNNL_ARG_DIFF_BIAS, dnnl_query_diff_weights_md, 1, true},
};

void maas_dnnl_step_arg(maas_dnnl_step *s, int id, const dnnl_memory_desc_t *user, bool add)
{
    size_t k = 0;
    while (k < MAAS_COUNT(ids) && ids[k].id != id)
        k++;
    s->failed |= s->n == MAAS_DNNL_ARGS || k == MAAS_COUNT(ids);
    if (s->failed)
        return;
    const bool out = ids[k].out;
    maas_dnnl_arg *a = &s->arg[s->n++];
    *a = (maas_dnnl_arg){.id = id, .user = *user};
    a->inner = *dnnl_primitive_desc_query_md(s->pd, ids[k].what, ids[k].index);
    if (dnnl_memory_desc_equal(&a->inner, user))
        return;
    a->at = s->scratch_bytes;
    s->scratch_bytes += up64(dnnl_memory_desc_get_size(&a->inner));
    if ((!out || add) && !reorder(&a->to, user, &a->inner))
        s->failed = true;
    if (out && !reorder(&a->from, &a->inner, user))
        s->failed = true;
}

void maas_dnnl_step_packed(maas_dnnl_step *s, int i)
{
    if (s->failed || !s->arg[i].to)
        return;
    dnnl_primitive_destroy(s->arg[i].to);
    s->arg[i].to = NULL;
}

bool maas_dnnl_step_close(maas_dnnl_step *s)
{
    if (!s->failed) {
        s->scratchpad = *dnnl_primitive_desc_query_md(s->pd, dnnl_query_scratchpad_md, 0);
        for (int i = 0; i < s->n; i++) /* the scratchpad comes first */
            s->arg[i].at += up64(dnnl_memory_desc_get_size(&s->scratchpad));
        s->scratch_bytes += up64(dnnl_memory_desc_get_size(&s->scratchpad));
        s->failed = dnnl_primitive_create(&s->primitive, s->pd) != dnnl_success;
        if (s->failed)
            s->primitive = NULL;
    }
    if (s->pd)
        dnnl_primitive_desc_destroy(s->pd);
    s->pd = NULL;
    return !s->failed;
}

void maas_dnnl_step_reset(maas_dnnl_step *s)
{
    for (int i = 0; i < s->n; i++) {
        if (s->arg[i].to)
            dnnl_primitive_destroy(s->arg[i].to);
        if (s->arg[i].from)
            dnnl_primitive_destroy(s->arg[i].from);
    }
    if (s->pd)
        dnnl_primitive_desc_destroy(s->pd);
    if (s->primitive)
        dnnl_primitive_destroy(s->primitive);
    *s = (maas_dnnl_step){.failed = true};
}

/* ---- running ---- */

typedef struct bound { /* arguments of one execution */
    dnnl_exec_arg_t arg[MAAS_DNNL_ARGS + 1];
    int n;
    bool failed;
} bound;

static void bind(bound *b, int id, const dnnl_memory_desc_t *md, void *data)
{
    b->arg[b->n].arg = id;
    b->failed |= dnnl_memory_create(&b->arg[b->n].memory, md, engine, data) != dnnl_success;
    b->n += !b->failed;
}

static bool execute(bound *b, const_dnnl_primitive_t p)
{
    const bool ok = !b->failed && dnnl_primitive_execute(p, stream, b->n, b->arg) == dnnl_success;
    for (int i = 0; i < b->n; i++)
        dnnl_memory_destroy(b->arg[i].memory);
    return ok;
}

static bool move(const_dnnl_primitive_t p, const dnnl_memory_desc_t *from, void *src,
                 const dnnl_memory_desc_t *to, void *dst)
{
    bound b = {.n = 0};
    bind(&b, DNNL_ARG_FROM, from, src);
    bind(&b, DNNL_ARG_TO, to, dst);
    return execute(&b, p);
}

static bool run(const maas_dnnl_step *s, void *const *data, char *scratch)
{
    bool ok = true;
    bound b = {.n = 0};
    for (int i = 0; i < s->n && ok; i++) {
        const maas_dnnl_arg *a = &s->arg[i];
        void *inner = a->to || a->from ? scratch + a->at : data[i];
        if (a->to)
            ok = move(a->to, &a->user, data[i], &a->inner, inner);
        bind(&b, a->id, &a->inner, inner);
    }
    bind(&b, DNNL_ARG_SCRATCHPAD, &s->scratchpad, scratch);
    b.failed |= !ok;
    ok = execute(&b, s->primitive);
    for (int i = 0; i < s->n && ok; i++)
        if (s->arg[i].from)
            ok = move(s->arg[i].from, &s->arg[i].inner, scratch + s->arg[i].at, &s->arg[i].user,
                      data[i]);
    return ok;
}

maas_status maas_dnnl_step_run(const maas_dnnl_step *s, void *const *data, void *scratch,
                               maas_err *err)
{
    return run(s, data, scratch)
               ? MAAS_OK
               : maas_fail(err, MAAS_E_INTERNAL, "oneDNN did not run a primitive");
}

bool maas_dnnl_move(const dnnl_memory_desc_t *from, const void *src, const dnnl_memory_desc_t *to,
                    void *dst)
{
    dnnl_primitive_t p;
    if (!ready() || !reorder(&p, from, to))
        return false;
    const bool ok = move(p, from, (void *)(uintptr_t)src, to, dst);
    dnnl_primitive_destroy(p);
    return ok;
}
