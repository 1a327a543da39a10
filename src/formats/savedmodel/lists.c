/*
 * formats/savedmodel/lists.c - lists of tensors, which loops read and fill. All items of a list
 * have one shape here, so a list is a tensor [n, ...]; one that is only reserved gets its shape
 * from its first item, and one that a loop fills round by round is what the loop piles up (flow.c).
 */
#include "formats/savedmodel/sm_int.h"

#include "base/ban.h"

static sm_value list_value(maas_vid v, uint8_t dtype)
{
    return (sm_value){.kind = SM_LIST, .dtype = dtype, .v = {v, MAAS_NO_VALUE}};
}

static void reserve(sm *s, sm_op *op)
{
    const maas_vid n = sm_in_i64(s, op, 1);
    sm_give_value(s, op, 0,
                  (sm_value){.kind = SM_RESERVED,
                             .dtype = (uint8_t)sm_attr_type(s, op, "element_dtype"),
                             .v = {n, MAAS_NO_VALUE}});
}

static void from_tensor(sm *s, sm_op *op)
{
    const maas_vid x = sm_in(s, op, 0);
    sm_give_value(s, op, 0, list_value(x, sm_type(s, x)->dtype));
}

/* The tensor of a list. */
static maas_vid items_of(sm *s, const sm_op *op)
{
    const sm_value *x = sm_of(s, op, 0);
    if (sm_ok(s) && x->kind != SM_LIST)
        return sm_fail(s, MAAS_E_UNSUPPORTED,
                       x->kind == SM_RESERVED ? "the list has no items yet"
                                              : "a list is read in the loop that fills it");
    return sm_ok(s) ? x->v[SM_LAST] : MAAS_NO_VALUE;
}

static void stack(sm *s, sm_op *op)
{
    sm_give(s, op, 0, items_of(s, op));
}

static void get_item(sm *s, sm_op *op)
{
    sm_give(s, op, 0, maas_b_op2(s->b, "Gather", items_of(s, op), sm_in_i64(s, op, 1)));
}

static void length(sm *s, sm_op *op)
{
    const sm_value *x = sm_of(s, op, 0);
    maas_vid n = MAAS_NO_VALUE;
    if (x->kind == SM_RESERVED)
        n = x->v[SM_LAST];
    else
        n = maas_b_op2(s->b, "Gather", maas_b_op1(s->b, "Shape", items_of(s, op)),
                       maas_b_i64(s->b, 0));
    sm_give(s, op, 0, maas_p_cast(s->b, n, MAAS_I32));
}

/* In the body of a loop that fills it: what is set, and where, is looked at when it is done. */
static void fill_slot(sm *s, sm_op *op, const sm_value *list, maas_vid at, maas_vid item)
{
    sm_slot *slot = &s->ctx->slots[list->at];
    if (list->kind == SM_FILLED) {
        sm_fail(s, MAAS_E_UNSUPPORTED, "a loop sets two items of a list in one round");
        return;
    }
    slot->index = at;
    slot->item = item;
    sm_value v = *list;
    v.kind = SM_FILLED;
    sm_give_value(s, op, 0, v);
}

static void set_item(sm *s, sm_op *op)
{
    maas_builder *b = s->b;
    const sm_value list = *sm_of(s, op, 0);
    const maas_vid at = sm_in(s, op, 1), item = sm_in(s, op, 2);
    if (!sm_ok(s))
        return;
    if (list.kind == SM_SLOT || list.kind == SM_FILLED) {
        fill_slot(s, op, &list, at, item);
        return;
    }
    if (list.kind != SM_LIST && list.kind != SM_RESERVED) {
        sm_fail(s, MAAS_E_UNSUPPORTED, "its input is no list");
        return;
    }
    maas_vid all = list.v[SM_LAST];
    if (list.kind == SM_RESERVED) {
        const maas_vid dims[2] = {maas_p_reshape(b, all, (int64_t[]){1}, 1),
                                  maas_b_op1(b, "Shape", item)};
        all = maas_b_op2(b, "Expand", maas_p_like(b, item, 0), maas_p_concat(b, dims, 2, 0));
    }
    const maas_vid in[3] = {all, maas_p_reshape(b, sm_in_i64(s, op, 1), (int64_t[]){1, 1}, 2),
                            maas_p_unsqueeze(b, item, 0)};
    const maas_vid y = maas_b_node(b, "ScatterND", NULL, 0, in, 3, NULL, 1);
    sm_give_value(s, op, 0, list_value(y, sm_type(s, item)->dtype));
}

const sm_row sm_lists[] = {
    {"TensorListFromTensor", from_tensor, 2, 2, 0, NULL, NULL},
    {"TensorListGather", get_item, 3, 3, 0, NULL, NULL},
    {"TensorListGetItem", get_item, 3, 3, 0, NULL, NULL},
    {"TensorListLength", length, 1, 1, 0, NULL, NULL},
    {"TensorListReserve", reserve, 2, 2, 0, NULL, NULL},
    {"TensorListSetItem", set_item, 3, 3, 0, NULL, NULL},
    {"TensorListStack", stack, 2, 2, 0, NULL, NULL},
    {0},
};
