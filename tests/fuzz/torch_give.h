/*
 * tests/fuzz/torch_give.h - "what was accepted is safe to read": bytes as weights, each of which is
 * given to a tensor of its shape, as it is and as f32. For the fuzz target and the mutation test.
 */
#ifndef MAAS_TEST_TORCH_GIVE_H
#define MAAS_TEST_TORCH_GIVE_H

#include "base/mem.h"
#include "formats/weights.h"

enum { TORCH_BUDGET = 160 << 20, TORCH_MAX_BYTES = 1 << 16 };

/* Every byte of what came out must be initialised and in place: look at it. */
static inline unsigned torch_look(const maas_tensor *t)
{
    unsigned sum = 0;
    for (size_t i = 0; i < maas_tensor_bytes(t); i++)
        sum += ((const uint8_t *)t->data)[i];
    return sum;
}

static inline void torch_give_one(maas_weights *w, const maas_weight *from, maas_dtype to)
{
    size_t bytes;
    maas_err err = {0};
    maas_tensor t = maas_tensor_of(to, from->rank, from->dims, NULL);
    if (maas_shape_bytes(to, from->dims, from->rank, &bytes, &err) != MAAS_OK ||
        bytes > TORCH_MAX_BYTES)
        return;
    if (maas_weights_give(w, from->name, &t, &err) == MAAS_OK)
        __asm__ volatile("" : : "r"(torch_look(&t))); /* really looked at */
    else
        MAAS_CHECK(err.msg[0]);
}

static inline maas_status torch_give_bytes(maas_span file, maas_err *err)
{
    maas_budget budget = {.limit = TORCH_BUDGET};
    maas_weights w;
    maas_err left = {0};
    const maas_status st = maas_weights_open(file, &budget, &w, err);
    MAAS_CHECK(st == MAAS_OK || (err->code == st && err->msg[0]));
    for (uint32_t i = 0; i < w.n && st == MAAS_OK; i++) {
        if (w.list[i].dtype != MAAS_DT_NONE)
            torch_give_one(&w, &w.list[i], w.list[i].dtype);
        torch_give_one(&w, &w.list[i], MAAS_F32);
    }
    if (st == MAAS_OK) {
        (void)maas_weights_done(&w, &left);
        maas_weights_reset(&w);
    }
    MAAS_CHECK(budget.used == 0);
    return st;
}

#endif
