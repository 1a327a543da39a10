/* tests/unit/graph/ops.h - operators that exist only for the tests of this room: schemas, no code.
 */
#ifndef MAAS_TEST_GRAPH_OPS_H
#define MAAS_TEST_GRAPH_OPS_H

#include "graph/op.h"

static const maas_io_schema t_ab[] = {{"A", "T", MAAS_DTS_FLOAT, false, false},
                                      {"B", "T", MAAS_DTS_FLOAT, false, false}};
static const maas_io_schema t_x_opt[] = {{"X", "T", MAAS_DTS_ALL, false, false},
                                         {"min", "T", MAAS_DTS_ALL, true, false},
                                         {"k", NULL, MAAS_DT_BIT(MAAS_I64), true, false}};
static const maas_io_schema t_many[] = {{"inputs", "T", MAAS_DTS_ALL, false, true}};
static const maas_io_schema t_y[] = {{"Y", "T", MAAS_DTS_ALL, false, false}};
static const maas_io_schema t_y_mask[] = {{"Y", "T", MAAS_DTS_ALL, false, false},
                                          {"mask", NULL, MAAS_DT_BIT(MAAS_BOOL), true, false}};
static const maas_attr_schema t_axis[] = {{"axis", MAAS_ATTR_INT, true},
                                          {"perm", MAAS_ATTR_INTS, false},
                                          {"names", MAAS_ATTR_STRINGS, false},
                                          {"body", MAAS_ATTR_GRAPH, false}};

static const maas_op t_add = {
    .name = "Add", .since = 14, .n_in = 2, .n_out = 1, .in = t_ab, .out = t_y};
static const maas_op t_clip = {
    .name = "Clip", .since = 13, .n_in = 3, .n_out = 2, .in = t_x_opt, .out = t_y_mask};
static const maas_op t_concat = {.name = "Concat",
                                 .since = 13,
                                 .n_in = 1,
                                 .n_out = 1,
                                 .n_attr = 4,
                                 .in = t_many,
                                 .out = t_y,
                                 .attr = t_axis};
static const maas_op t_neg = {
    .name = "Neg", .since = 13, .n_in = 1, .n_out = 1, .in = t_ab, .out = t_y};

static inline maas_graph *t_graph(void)
{
    maas_graph *g = NULL;
    MAAS_CHECK(maas_graph_create("test", NULL, &g, NULL) == MAAS_OK);
    return g;
}
static inline maas_vid t_input(maas_graph *g, const char *name)
{
    const int64_t dims[] = {2, 3};
    maas_type t = maas_type_tensor(MAAS_F32, 2, dims);
    maas_vid v = MAAS_NO_VALUE;
    MAAS_CHECK(maas_graph_input(g, name, &t, &v, NULL) == MAAS_OK);
    return v;
}
static inline maas_vid t_node(maas_graph *g, const maas_op *op, maas_vid a, maas_vid b)
{
    maas_vid in[] = {a, b}, out = MAAS_NO_VALUE;
    MAAS_CHECK(maas_graph_node(g, op, op->name, in, b == MAAS_NO_VALUE ? 1 : 2, &out, 1, NULL,
                               NULL) == MAAS_OK);
    return out;
}

#endif
