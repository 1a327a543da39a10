/*
 * formats/image_recipe.h - how a picture becomes the input of a model, kept with the model.
 *
 *   {"size": 224 or [height, width], "resize": 256, "fit": "crop", "interpolation": "linear",
 *    "colours": "RGB", "scale": 0.00392, "mean": [..], "std": [..], "layout": "NCHW",
 *    "softmax": false, "input": NAME, "output": NAME}          or "imagenet": a name for one
 *
 * Resizing and cutting happen where pictures are decoded, in the sandbox; the rest becomes nodes
 * before the model's own: it then takes bytes [N, height, width, channels], the input "image".
 * The metadata "maas.image" holds what the decoder must know, "maas.classes" the labels.
 */
#ifndef MAAS_FORMATS_IMAGE_RECIPE_H
#define MAAS_FORMATS_IMAGE_RECIPE_H

#include "base/json.h"
#include "graph/graph.h"
#include "ops/image.h"

#define MAAS_META_IMAGE   "maas.image"
#define MAAS_META_CLASSES "maas.classes"

/* Changes the graph; labels may be NULL. E_INVALID names what does not fit the model. */
maas_status maas_image_recipe_apply(maas_graph *g, const json_t *recipe, const json_t *labels,
                                    maas_err *err);
/* What the metadata says; E_FORMAT when it is not of ours. */
maas_status maas_image_recipe_fit(const char *meta, maas_image_fit *out, maas_err *err);

#endif
