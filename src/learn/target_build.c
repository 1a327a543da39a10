/* learn/target_build.c - the target in graphs: what the loss compares with, and the model's
 * outputs. */
#include "learn/target.h"

#include <stdio.h>

#include "base/mem.h"

#include "base/ban.h"

int64_t maas_target_n_outputs(const maas_target *t, int64_t n_have)
{
    if (!t->is_class)
        return t->width;
    return t->loss == MAAS_LOSS_BINARY ? 1 : t->n_classes;
}

maas_vid maas_target_input(const maas_target *t, maas_net *net)
{
    if (t->is_class && t->loss != MAAS_LOSS_BINARY)
        return maas_b_input(&net->b, "y", MAAS_I64, 1, &net->batch);
    return maas_b_input(&net->b, "y", MAAS_F32, 2,
                        (int64_t[]){net->batch, t->is_class ? 1 : t->width});
}

void maas_target_gather(const maas_target *t, const maas_samples *s, int64_t n, void *out)
{
    if (!t->is_class) {
        for (int64_t i = 0; i < n; i++)
            memcpy((float *)out + i * t->width, t->values + s->rows[i] * t->width,
                   (size_t)t->width * sizeof(float));
    } else if (t->loss == MAAS_LOSS_BINARY) {
        for (int64_t i = 0; i < n; i++)
            ((float *)out)[i] = (float)maas_target_code(t, s, i);
    } else {
        for (int64_t i = 0; i < n; i++)
            ((int64_t *)out)[i] = maas_target_code(t, s, i);
    }
}

maas_vid maas_target_labels(const maas_target *t, maas_builder *b)
{
    const size_t n = (size_t)t->n_classes;
    AUTO_FREE maas_str *text = maas_calloc(n, sizeof *text);
    AUTO_FREE int64_t *numbers = maas_calloc(n, sizeof *numbers);
    if (!text || !numbers) {
        if (b->status == MAAS_OK)
            b->status = maas_fail(b->err, MAAS_E_NOMEM, "%zu labels", n);
        return MAAS_NO_VALUE;
    }
    for (size_t i = 0; i < n; i++) {
        text[i] = t->classes[i].text;
        numbers[i] = t->classes[i].number;
    }
    maas_tensor c = t->is_text ? maas_tensor_of(MAAS_STRING, 1, &t->n_classes, text)
                               : maas_tensor_of(MAAS_I64, 1, &t->n_classes, numbers);
    return maas_b_const(b, "labels", &c);
}

static void class_outputs(const maas_target *t, maas_net *net, maas_vid z)
{
    maas_builder *b = &net->b;
    maas_vid p = maas_activation_build(b, maas_losses[t->loss].activation, 0, 0, z);
    if (t->loss == MAAS_LOSS_BINARY) {
        maas_attr axis = MAAS_A_INT("axis", 1);
        maas_vid both[2] = {maas_b_op2(b, "Sub", maas_b_f32(b, 1), p), p};
        p = maas_b_node(b, "Concat", &axis, 1, both, 2, &p, 1);
    }
    maas_attr attr[2] = {MAAS_A_INT("axis", 1), MAAS_A_INT("keepdims", 0)};
    maas_vid best = MAAS_NO_VALUE;
    best = maas_b_node(b, "ArgMax", attr, 2, &p, 1, &best, 1);
    maas_b_output(b, "label", maas_b_op2(b, "Gather", maas_target_labels(t, b), best));
    maas_b_output(b, "probabilities", p);
}

static void value_outputs(const maas_target *t, maas_net *net, maas_vid z)
{
    maas_builder *b = &net->b;
    z = maas_activation_build(b, maas_losses[t->loss].activation, 0, 0, z);
    if (t->scaled) {
        maas_tensor scale = maas_tensor_of(MAAS_F32, 1, &t->width, t->scale);
        maas_tensor shift = maas_tensor_of(MAAS_F32, 1, &t->width, t->shift);
        z = maas_b_op2(b, "Mul", z, maas_b_const(b, "input.target_scale", &scale));
        z = maas_b_op2(b, "Add", z, maas_b_const(b, "input.target_shift", &shift));
    }
    if (t->col->desc.rank == 0)
        z = maas_b_op2(b, "Reshape", z, maas_b_i64s(b, (int64_t[]){-1}, 1));
    maas_b_output(b, "value", z);
}

void maas_target_outputs(const maas_target *t, maas_net *net, maas_vid z)
{
    if (t->is_class)
        class_outputs(t, net, z);
    else
        value_outputs(t, net, z);
}

static json_t *labels_json(const maas_target *t)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    for (int64_t k = 0; list && k < t->n_classes; k++) {
        const maas_key *c = &t->classes[k];
        if (json_array_append_new(list, t->is_text ? json_stringn(c->text.p, c->text.n)
                                                   : json_integer(c->number)))
            return NULL;
    }
    return STEAL(list);
}

json_t *maas_target_texts(const maas_target *t)
{
    AUTO(maas_json_unref) json_t *list = json_array();
    for (int64_t k = 0; list && t->is_class && k < t->n_classes; k++) {
        const maas_key *c = &t->classes[k];
        char number[32];
        snprintf(number, sizeof number, "%lld", (long long)c->number);
        if (json_array_append_new(list, t->is_text ? json_stringn(c->text.p, c->text.n)
                                                   : json_string(number)))
            return NULL;
    }
    return STEAL(list);
}

json_t *maas_target_json(const maas_target *t)
{
    const maas_column *c = &t->col->desc;
    AUTO(maas_json_unref) json_t *shape = json_array();
    for (int k = 0; shape && k < c->rank; k++)
        if (json_array_append_new(shape, json_integer(c->dims[k])))
            return NULL;
    AUTO(maas_json_unref)
    json_t *o = json_pack("{s:s, s:s, s:O}", "name", c->name, "dtype",
                          maas_dtype_describe(c->dtype)->onnx, "shape", shape);
    if (o && t->is_class && json_object_set_new(o, "labels", labels_json(t)))
        return NULL;
    return STEAL(o);
}
