#include "serve/instance.h"

#include <string.h>

#include "base/mem.h"
#include "formats/onnx.h"
#include "ops/build.h"
#include "serve/instance_int.h"
#include "base/ban.h"

#define ACTIVATION_BYTES (32u << 20) /* what one executor may hold, when the setting is 0 */
#define MAX_BUCKET       4096
/* Of a row whose shape varies: worth all cores until known better. */
#define UNKNOWN_FLOPS (1ll << 40)

static maas_status ports_of(maas_instance *m, const maas_vid *ids, uint32_t n, maas_port **out,
                            maas_err *err)
{
    maas_port *ports = maas_arena_array(&m->arena, n, sizeof *ports);
    if (!ports)
        return maas_fail(err, MAAS_E_NOMEM, "inputs and outputs of the model");
    for (uint32_t i = 0; i < n; i++) {
        const maas_value *v = maas_graph_at(m->graph, ids[i]);
        if (v->type.tag != MAAS_TYPE_TENSOR || v->type.rank < 0)
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "'%s' is not a tensor of known rank: it cannot be served", v->name);
        if (!maas_dtype_in((maas_dtype)v->type.dtype, MAAS_DTS_PLAIN))
            return maas_fail(err, MAAS_E_UNSUPPORTED,
                             "'%s' is %s, which the protocol does not have: it cannot be served; "
                             "a Cast in the model helps",
                             v->name, maas_dtype_describe((maas_dtype)v->type.dtype)->onnx);
        ports[i] = (maas_port){.name = v->name, .dtype = v->type.dtype, .rank = v->type.rank};
        for (int d = 0; d < v->type.rank; d++)
            ports[i].dims[d] = v->type.dims[d] < 0 ? -1 : v->type.dims[d];
    }
    *out = ports;
    return MAAS_OK;
}

void maas_instance_types(const maas_instance *m, const maas_tensor *in, int64_t rows,
                         maas_type *out)
{
    for (uint32_t i = 0; i < m->graph->n_inputs; i++) {
        const maas_port *p = &m->in[i];
        out[i] = maas_type_tensor(p->dtype, p->rank, in ? in[i].dims : p->dims);
        if (m->batches)
            out[i].dims[0] = rows;
    }
}

/* Do all inputs and outputs start with the same symbolic dimension? */
static bool shares_batch_dimension(const maas_graph *g)
{
    int64_t batch = 0;
    for (uint32_t i = 0; i < g->n_inputs + g->n_outputs; i++) {
        maas_vid id = i < g->n_inputs ? g->inputs[i] : g->outputs[i - g->n_inputs];
        const maas_type *t = &maas_graph_at(g, id)->type;
        if (t->rank < 1 || t->dims[0] > MAAS_DIM_SYMBOL(0) || (batch && t->dims[0] != batch))
            return false;
        batch = t->dims[0];
    }
    return g->n_inputs > 0 && g->n_outputs > 0;
}

/* Are the dimensions behind the batch numbers? Then the plan for one row can be made at load. */
static bool rows_have_fixed_shape(const maas_instance *m)
{
    for (uint32_t i = 0; i < m->graph->n_inputs; i++)
        for (int d = m->batches; d < m->in[i].rank; d++)
            if (m->in[i].dims[d] < 0)
                return false;
    return true;
}

/* The plan for one row: warms the cache, says what a row costs, and proves that the model runs. */
static maas_status first_plan(maas_instance *m, maas_err *err)
{
    if (!rows_have_fixed_shape(m)) {
        m->row_flops = UNKNOWN_FLOPS;
        return MAAS_OK;
    }
    AUTO_FREE maas_type *types = maas_calloc(m->graph->n_inputs, sizeof *types);
    if (!types)
        return maas_fail(err, MAAS_E_NOMEM, "planning the model");
    maas_instance_types(m, NULL, 1, types);
    maas_lease *l;
    MAAS_TRY(maas_plans_lease(&m->plans, types, 1, true, &l, err));
    size_t row_bytes = maas_plan_exec_bytes(maas_lease_plan(l)) + 1;
    m->row_flops = maas_plan_flops(maas_lease_plan(l));
    maas_plans_return(&m->plans, l);
    if (!m->batches)
        return MAAS_OK;
    int64_t fit = (int64_t)(ACTIVATION_BYTES / row_bytes);
    m->max_rows = m->opts.max_rows ? m->opts.max_rows : fit > MAX_BUCKET ? MAX_BUCKET : fit;
    m->max_rows = maas_bucket(m->max_rows < 1 ? 1 : m->max_rows);
    return MAAS_OK;
}

static void rest(void *user, maas_span copied)
{
    (void)user;
    maas_sys_map_rest_part(copied);
}

static maas_status instance_open(maas_instance *m, int fd, const char *name, maas_err *err)
{
    MAAS_TRY(maas_sys_map(fd, &m->map, err));
    const maas_onnx_opts o = {.budget = m->opts.budget, .copied = rest};
    MAAS_TRY(maas_onnx_read(maas_span_of(m->map.p, m->map.n), &o, &m->graph, err));
    m->name = maas_arena_strdup(&m->arena, name);
    if (!m->name)
        return maas_fail(err, MAAS_E_NOMEM, "loading a model");
    MAAS_TRY(ports_of(m, m->graph->inputs, m->graph->n_inputs, &m->in, err));
    MAAS_TRY(ports_of(m, m->graph->outputs, m->graph->n_outputs, &m->out, err));
    MAAS_TRY(maas_instance_find_states(m, err));
    maas_plans_init(&m->plans, m->graph, m->opts.budget);
    m->batches = shares_batch_dimension(m->graph);
    m->max_rows = 1;
    MAAS_TRY(first_plan(m, err));
    if (m->batches && !maas_rows_are_independent(m)) {
        m->batches = false;
        m->max_rows = 1;
    }
    return MAAS_OK;
}

static void instance_destroy(maas_instance *m)
{
    if (m->plans.graph)
        maas_plans_reset(&m->plans);
    maas_graph_destroy(m->graph);
    maas_sys_unmap(&m->map);
    maas_arena_reset(&m->arena);
    maas_free(m);
}

/* A lane keeps the instance while it runs its queue: the last request may drop the last reference.
 */
static void hold(void *user, bool on)
{
    if (on)
        maas_instance_ref(user);
    else
        maas_instance_unref(user);
}

maas_status maas_instance_create(int fd, const char *name, int64_t version, uint64_t uid,
                                 const maas_instance_opts *o, maas_instance **out, maas_err *err)
{
    maas_instance *m = maas_aligned(64, sizeof *m);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "loading model '%s'", name);
    memset(m, 0, sizeof *m);
    m->version = version;
    m->uid = uid;
    m->opts = *o;
    m->refs = 1;
    maas_arena_init(&m->arena, NULL);
    maas_queue_init(&m->queue, o->run_queue, m, o->max_waiting);
    m->queue.hold = hold;
    maas_status st = instance_open(m, fd, name, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "model '%s' version %lld", name, (long long)version);
        instance_destroy(m);
        return st;
    }
    *out = m;
    return MAAS_OK;
}

void maas_instance_ref(maas_instance *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
}

void maas_instance_unref(maas_instance *m)
{
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        instance_destroy(m);
}

const char *maas_instance_name(const maas_instance *m)
{
    return m->name;
}

int64_t maas_instance_version(const maas_instance *m)
{
    return m->version;
}

uint64_t maas_instance_uid(const maas_instance *m)
{
    return m->uid;
}

uint32_t maas_instance_n_inputs(const maas_instance *m)
{
    return m->graph->n_inputs;
}

uint32_t maas_instance_n_outputs(const maas_instance *m)
{
    return m->graph->n_outputs;
}

const maas_port *maas_instance_inputs(const maas_instance *m)
{
    return m->in;
}

const maas_port *maas_instance_outputs(const maas_instance *m)
{
    return m->out;
}

static int find_port(const maas_port *ports, uint32_t n_ports, const char *name, size_t n)
{
    for (uint32_t i = 0; i < n_ports; i++)
        if (strlen(ports[i].name) == n && memcmp(ports[i].name, name, n) == 0)
            return (int)i;
    return -1;
}

int maas_instance_find_input(const maas_instance *m, const char *name, size_t n)
{
    return find_port(m->in, m->graph->n_inputs, name, n);
}

int maas_instance_find_output(const maas_instance *m, const char *name, size_t n)
{
    return find_port(m->out, m->graph->n_outputs, name, n);
}

bool maas_instance_batches(const maas_instance *m)
{
    return m->batches;
}

const char *maas_instance_meta(const maas_instance *m, const char *key)
{
    return maas_graph_meta(m->graph, key);
}

maas_instance_stats *maas_instance_stat(maas_instance *m)
{
    return &m->stats;
}

size_t maas_instance_bytes(const maas_instance *m)
{
    return sizeof *m + m->map.n + maas_arena_bytes(&m->graph->arena) +
           maas_plans_bytes((maas_plans *)&m->plans);
}

maas_queue *maas_instance_queue(maas_instance *m)
{
    return &m->queue;
}

const maas_graph *maas_instance_graph(const maas_instance *m)
{
    return m->graph;
}
