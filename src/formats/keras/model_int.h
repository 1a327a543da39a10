/* formats/keras/model_int.h - shared by model.c and functional.c alone. */
#ifndef MAAS_FORMATS_KERAS_MODEL_INT_H
#define MAAS_FORMATS_KERAS_MODEL_INT_H

#include "formats/keras/keras_int.h"

/* A model, or one in a model. */
typedef struct kr_model {
    const char *path;   /* `.keras`: where its layers are; "" for the root */
    kr_layer *outer;    /* `.h5`: the layer that it is in another model, else NULL */
    const maas_vid *in; /* what it is called with; NULL: it has inputs of its own */
    uint32_t n_in;

    maas_vid *out;
    const char **out_names;
    uint32_t n_out;
    json_t *classes; /* private: how many layers of a class there were */
} kr_model;

/* k->b.status says the same. */
maas_status kr_model_build(kr *k, const char *class_name, const json_t *config, kr_model *m);
maas_status kr_functional(kr *k, const json_t *config, kr_model *m);

bool kr_is_model(const char *class_name);
bool kr_is_input(const kr_layer *l);
maas_status kr_layer_init(kr *k, const json_t *spec, const kr_model *m, kr_layer *l);
const json_t *kr_input_shape(const kr_layer *l); /* NULL when the layer does not say it */
maas_vid kr_input(kr *k, const kr_layer *l, const json_t *shape);
/* A layer of a model, or a model as a layer: arguments are checked, all weights must be used. */
maas_vid kr_call_outer(kr *k, kr_layer *l, const maas_vid *in, uint32_t n);

#endif
