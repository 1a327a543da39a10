/* learn/layers_int.h - what the files of the layer kinds share; the table is in layers.c. */
#ifndef MAAS_LEARN_LAYERS_INT_H
#define MAAS_LEARN_LAYERS_INT_H

#include "learn/net.h"

#define MAAS_LAYER_AT(f) offsetof(maas_layer_spec, f)

/* Every kind begins with these: how layers are wired when they are no plain chain. */
#define MAAS_LAYER_WIRES                                                                           \
    {"name", MAAS_PARAM_JSON, MAAS_LAYER_AT(name), .help = "for layers that read this one later"}, \
    {                                                                                              \
        "inputs", MAAS_PARAM_JSON, MAAS_LAYER_AT(inputs),                                          \
            .help = "names of the layers it reads, \"input\" is what the network gets; default: "  \
                    "the layer before"                                                             \
    }
enum { MAAS_N_WIRE_ROWS = 2 };

/* The last activation is left to the loss, which is stable on logits. */
bool maas_layer_is_left_out(const maas_net *net, int index);
/* The first values that the layer asks for, or those that suit its activation. */
maas_init maas_layer_init(const maas_layer_spec *s);
/* Its activation, unless it is left out. */
maas_vid maas_layer_activate(maas_net *net, const maas_layer_spec *s, int index, maas_vid y);

/* Rows of numbers, with `steps` also those of steps, or the layer is refused by name. */
bool maas_layer_wants_rows(maas_net *net, const char *kind, int index, maas_vid x, bool steps);

/* layers_graph.c: nodes and their neighbours: [nodes, numbers] */
enum { MAAS_N_GCN_CONV_ROWS = MAAS_N_WIRE_ROWS + 4, MAAS_N_SAGE_CONV_ROWS = MAAS_N_WIRE_ROWS + 6 };
extern const maas_param maas_gcn_conv_rows[MAAS_N_GCN_CONV_ROWS];
extern const maas_param maas_sage_conv_rows[MAAS_N_SAGE_CONV_ROWS];
maas_vid maas_gcn_conv_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_sage_conv_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
/* Dropout of a share of the values while training; `index` names the mask: one a layer. */
maas_vid maas_layer_drop(maas_net *net, double rate, int index, maas_vid x);

/* layers_sequence.c: steps, [batch, steps, features] */
enum {
    MAAS_N_RECURRENT_ROWS = MAAS_N_WIRE_ROWS + 5,
    MAAS_N_SEQUENCE_POOL_ROWS = MAAS_N_WIRE_ROWS + 1
};
extern const maas_param maas_recurrent_rows[MAAS_N_RECURRENT_ROWS];
extern const maas_param maas_sequence_pool_rows[MAAS_N_SEQUENCE_POOL_ROWS];
maas_vid maas_lstm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_gru_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_sequence_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
/* x as [batch, steps, features]; false, and the layer is named, when it has other dimensions. */
bool maas_layer_as_steps(maas_net *net, const char *kind, int index, maas_vid *x);
/* Padding: an embedding of ids [batch, steps] finds the lengths; they are about values of as many
 * steps; the mask [batch, steps] is true where a row has a step. */
void maas_layer_find_lengths(maas_net *net, maas_vid id);
bool maas_layer_has_lengths(const maas_net *net, maas_vid x);
maas_vid maas_layer_step_mask(maas_net *net);

/* layers_attention.c */
enum { MAAS_N_ATTENTION_ROWS = MAAS_N_WIRE_ROWS + 5, MAAS_N_POSITION_ROWS = MAAS_N_WIRE_ROWS + 1 };
extern const maas_param maas_attention_rows[MAAS_N_ATTENTION_ROWS];
extern const maas_param maas_position_rows[MAAS_N_POSITION_ROWS];
maas_vid maas_attention_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_position_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);

/* layers_conv.c: windows over places: [batch, channels, place...] */
enum { MAAS_N_CONV_ROWS = MAAS_N_WIRE_ROWS + 9, MAAS_N_POOL_ROWS = MAAS_N_WIRE_ROWS + 3 };
extern const maas_param maas_conv_rows[MAAS_N_CONV_ROWS];
extern const maas_param maas_pool_rows[MAAS_N_POOL_ROWS];
maas_status maas_conv_check(const maas_layer_spec *s, const char *where, maas_err *err);
maas_vid maas_conv1d_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_conv2d_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_conv3d_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_conv_transpose2d_build(maas_net *net, const maas_layer_spec *s, int index,
                                     maas_vid x);
maas_vid maas_max_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_avg_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_global_avg_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_global_max_pool_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);

/* layers_norm.c */
enum {
    MAAS_N_BATCH_NORM_ROWS = MAAS_N_WIRE_ROWS + 2,
    MAAS_N_LAYER_NORM_ROWS = MAAS_N_WIRE_ROWS + 1
};
extern const maas_param maas_batch_norm_rows[MAAS_N_BATCH_NORM_ROWS];
extern const maas_param maas_layer_norm_rows[MAAS_N_LAYER_NORM_ROWS];
maas_vid maas_batch_norm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_layer_norm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);

/* layers_shape.c: shapes, and layers that read several others */
enum { MAAS_N_RESHAPE_ROWS = MAAS_N_WIRE_ROWS + 1, MAAS_N_JOIN_ROWS = MAAS_N_WIRE_ROWS + 1 };
extern const maas_param maas_flatten_rows[MAAS_N_WIRE_ROWS];
extern const maas_param maas_reshape_rows[MAAS_N_RESHAPE_ROWS];
extern const maas_param maas_permute_rows[MAAS_N_RESHAPE_ROWS];
extern const maas_param maas_add_rows[MAAS_N_JOIN_ROWS];
extern const maas_param maas_concat_rows[MAAS_N_JOIN_ROWS];
maas_vid maas_flatten_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_reshape_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_permute_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_add_build(maas_net *net, const maas_layer_spec *s, int index, const maas_vid *x,
                        int n);
maas_vid maas_concat_build(maas_net *net, const maas_layer_spec *s, int index, const maas_vid *x,
                           int n);

/* layers_fields.c: columns as vectors, and what meets in pairs of them: [batch, fields, dim] */
enum {
    MAAS_N_FIELDS_ROWS = MAAS_N_WIRE_ROWS + 4,
    MAAS_N_SUM_ROWS = MAAS_N_WIRE_ROWS + 1,
    MAAS_N_SIMILARITY_ROWS = MAAS_N_WIRE_ROWS + 4
};
extern const maas_param maas_similarity_rows[MAAS_N_SIMILARITY_ROWS];
maas_status maas_similarity_check(const maas_layer_spec *s, const char *where, maas_err *err);
maas_vid maas_similarity_build(maas_net *net, const maas_layer_spec *s, int index,
                               const maas_vid *x, int n);
extern const maas_param maas_fields_rows[MAAS_N_FIELDS_ROWS];
extern const maas_param maas_sum_rows[MAAS_N_SUM_ROWS];
maas_vid maas_fields_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_fm_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_dot_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);
maas_vid maas_sum_build(maas_net *net, const maas_layer_spec *s, int index, maas_vid x);

/* One whole number for every place axis, or a list of `n`; absent: `preset`. False, and the field
 * is named, for anything else. */
bool maas_layer_sizes(maas_net *net, const json_t *v, const char *field, int index, int64_t preset,
                      int64_t min, int n, int64_t *out);

#endif
