/*
 * runtime/plan_int.h - the insides of a plan and an executor, for the files of this room only.
 *
 *   plan:  steps[]     what to run, in order
 *          operands[]  one tensor for every input and output of every step; an executor has its own
 *                      copy with pointers filled in, so that running resolves nothing
 *          places[]    where the bytes of each value are
 */
#ifndef MAAS_RUNTIME_PLAN_INT_H
#define MAAS_RUNTIME_PLAN_INT_H

#include <stdatomic.h>

#include "kernels/kernel.h"
#include "passes/pass.h"
#include "runtime/plan.h"

typedef enum maas_where {
    MAAS_AT_NOWHERE, /* nobody reads it */
    MAAS_AT_CONST,   /* index: the constant, which a view is not      */
    MAAS_AT_INPUT,   /* index: of the graph input                   */
    MAAS_AT_VAR,     /* index: of the variable                      */
    MAAS_AT_BLOCK,   /* index: of the buffer in the executor's block */
    MAAS_AT_LATE     /* allocated while running: shape depends on data */
} maas_where;

typedef struct maas_place {
    uint8_t where; /* maas_where */
    uint32_t index;
} maas_place;

typedef struct maas_step {
    const maas_node *node;
    const maas_kernel *kernel; /* NULL: reference code */
    uint32_t operand;          /* first of its operands: inputs, then outputs */
    bool late;                 /* an operand's shape is only known at run time */
    bool shared;               /* worth the time of all threads; else the leader runs it alone */
    bool whole;                /* brings its own parallel region */
    bool team;                 /* first of a segment: run it in one parallel region */
    uint32_t segment_end;      /* first of a segment: the step after its last */
    maas_call call;            /* in, out: into plan->operands; executors copy it */
} maas_step;

/* A copy after the last step. What is read from a variable goes to its staging buffer first, all of
 * them before any variable changes, so that swaps work. */
typedef struct maas_copy {
    maas_vid from;
    uint32_t to_var; /* variable, or UINT32_MAX: output `output` is left in the staging buffer */
    uint32_t buffer; /* staging buffer, or UINT32_MAX */
    uint32_t output;
} maas_copy;

typedef struct maas_flow maas_flow; /* bodies.c: the graphs that one step runs */

struct maas_plan {
    _Atomic int n_refs;
    maas_graph *g;
    maas_arena arena;
    maas_budget *budget;
    maas_pass_opts passes; /* as it was made with: for the bodies of control flow */
    const maas_cpu *cpu;
    int n_threads;
    bool reference;
    uint64_t loop_steps; /* of one run, at most */

    maas_place *places; /* [n_values] */
    maas_mem_item *buffers;
    uint32_t n_buffers;
    uint32_t *input_buffers; /* [n_inputs] where an input is when the caller does not rebind it */
    size_t block_bytes, scratch_at, scratch_bytes; /* scratch is the last part of the block */

    maas_step *steps;
    maas_tensor *operands;
    maas_vid *operand_value; /* [n_operands] MAAS_NO_VALUE: omitted */
    uint32_t n_steps, n_operands;
    bool any_late;
    uint32_t *input_uses; /* operands that read a graph input or a view of one */
    uint32_t n_input_uses;

    maas_vid *vars; /* [n_vars] variables of the graph, by id */
    uint32_t n_vars;
    maas_copy *copies;
    uint32_t n_copies;

    size_t packed_bytes;
    int64_t flops;
    _Atomic uint64_t cost_ns; /* estimate, then a moving average of measured runs */
};

struct maas_exec {
    maas_plan *p;
    maas_tensor *var_at;   /* [n_vars] data of each variable */
    void *block;           /* values, inputs, scratch */
    bool lent;             /* the block is the caller's */
    maas_tensor *values;   /* [n_values] with data where known */
    maas_tensor *operands; /* [n_operands] */
    maas_call *calls;      /* [n_steps] */
    maas_tensor *inputs;   /* [n_inputs] what callers see */
    const void **bound;    /* [n_inputs] what operands point at */
    maas_tensor *outputs;  /* [n_outputs] */
    maas_graph
        *late_graph;   /* inference of late steps may add symbols: each executor its own copy */
    maas_arena late;   /* values of one run whose shape depends on data */
    maas_arena arena;  /* everything above */
    maas_flow **flows; /* [n_steps] NULL, except of steps that have run graphs */
    maas_exec *root;   /* of the run that this one is part of; NULL: this one  */
    uint64_t fuel;     /* of a root: steps that its loops may still take       */
    maas_feed_fn *feed;
    void *feed_user;
    bool profile;
    uint64_t *ns; /* [n_steps] of the last run */

    /* one run */
    maas_team team;
    _Atomic int failed; /* maas_status of the first step that failed */
    maas_err why;       /* written by the thread that set `failed` */
};

bool maas_type_is_concrete(const maas_type *t);
/* Is its memory found while running? A list, or a tensor whose shape depends on data. */
bool maas_value_is_late(const maas_graph *g, maas_vid v);
maas_tensor maas_tensor_of_type(const maas_type *t, void *data);

int64_t maas_step_flops(const maas_step *s, const maas_call *c);  /* of shapes that are known */
size_t maas_step_bytes(const maas_call *c);                       /* of all operands */
bool maas_node_is_alias(const maas_graph *g, const maas_node *n); /* a view that need not run */
maas_status maas_plan_add_steps(maas_plan *p, maas_err *err);     /* steps.c */
maas_status maas_plan_place(maas_plan *p, maas_err *err);         /* place.c */
maas_status maas_late_run(maas_exec *e, uint32_t step, maas_err *err); /* late.c   */
/* A body of a node of p->g; types: of its inputs, then of what it captures. Dimensions that are not
 * known may differ from run to run. */
maas_status maas_plan_create_body(const maas_plan *p, const maas_node *node, const maas_graph *body,
                                  const maas_type *types, maas_plan **out, maas_err *err);
maas_status maas_flow_of(maas_exec *e, uint32_t step, maas_bodies **out, maas_err *err);
void maas_flow_destroy(maas_flow *f);
maas_status maas_region_run(maas_exec *e, maas_err *err); /* region.c */

#endif
