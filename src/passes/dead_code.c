#include "passes/pass_int.h"

#include "base/mem.h"
#include "base/ban.h"

/* One walk from the end: a node lives when somebody reads one of its outputs. */
maas_status maas_pass_dead_code(maas_graph *g, const maas_pass_opts *o, maas_err *err)
{
    AUTO_FREE bool *used = maas_calloc(g->n_values, sizeof *used);
    if (!used)
        return maas_fail(err, MAAS_E_NOMEM, "looking for dead code");
    for (uint32_t i = 0; i < g->n_outputs; i++)
        used[g->outputs[i]] = true;
    for (uint32_t i = 0; i < g->n_bindings; i++)
        used[g->bindings[i].value] = true;
    bool any = false;
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        maas_node *n = &g->nodes[i];
        bool live = false;
        for (int k = 0; k < n->n_out && !n->dead; k++)
            live |= n->out[k] >= 0 && used[n->out[k]];
        any |= n->dead = !live;
        for (int k = 0; k < n->n_in && live; k++)
            if (n->in[k] >= 0)
                used[n->in[k]] = true;
    }
    return any ? maas_graph_compact(g, err) : MAAS_OK;
}
