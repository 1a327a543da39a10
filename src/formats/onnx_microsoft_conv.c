/* FusedConv of com.microsoft in the standard's words; the passes put it together again. */
#include "formats/onnx_saying.h"

#include "base/ban.h"

static void conv_activation(saying *s, maas_str name, float p0, float p1, maas_vid y)
{
    static const struct {
        const char *op;
        uint32_t n_attr;
    } rows[] = {{"Identity", 0},  {"Relu", 0},        {"Sigmoid", 0}, {"Tanh", 0},
                {"LeakyRelu", 1}, {"HardSigmoid", 2}, {"Clip", 0}};
    const maas_attr slopes[] = {MAAS_A_FLOAT("alpha", p0), MAAS_A_FLOAT("beta", p1)};
    size_t k = 0;
    while (k < MAAS_COUNT(rows) &&
           (strlen(rows[k].op) != name.n || memcmp(rows[k].op, name.p, name.n) != 0))
        k++;
    if (k == MAAS_COUNT(rows))
        s->st = maas_fail(s->r->err, MAAS_E_UNSUPPORTED,
                          "an activation of FusedConv that is not known");
    else if (k + 1 == MAAS_COUNT(rows))
        becomes(s, "Clip", NULL, IN(y, number(s, p0), number(s, p1)));
    else
        becomes_with(s, rows[k].op, slopes, rows[k].n_attr, IN(y));
}

/* Conv, the sum with Z, then one activation with its numbers in a list. */
void maas_onnx_say_conv(saying *s)
{
    static const struct {
        const char *name;
        maas_attr_type type;
    } kept[] = {{"auto_pad", MAAS_ATTR_STRING}, {"dilations", MAAS_ATTR_INTS},
                {"group", MAAS_ATTR_INT},       {"kernel_shape", MAAS_ATTR_INTS},
                {"pads", MAAS_ATTR_INTS},       {"strides", MAAS_ATTR_INTS}};
    const maas_attr *params = attr_of(s, "activation_params", MAAS_ATTR_FLOATS);
    const maas_attr *name = attr_of(s, "activation", MAAS_ATTR_STRING);
    const float p0 = params && params->n > 0 ? params->u.floats[0] : 0;
    const float p1 = params && params->n > 1 ? params->u.floats[1] : 0;
    maas_attr a[MAAS_COUNT(kept)];
    uint32_t n = 0;
    maas_vid y;
    for (size_t i = 0; i < MAAS_COUNT(kept); i++) {
        const maas_attr *given = attr_of(s, kept[i].name, kept[i].type);
        if (given)
            a[n++] = *given;
    }
    nodes_outputs(s, "Conv", a, n, IN(required(s, 0), required(s, 1), input(s, 2)), &y, 1);
    if (input(s, 3) != MAAS_NO_VALUE)
        y = made(s, "Add", NULL, IN(y, input(s, 3)));
    conv_activation(s, name ? name->u.s : (maas_str){"Identity", 8}, p0, p1, y);
}
