/*
 * learn/compress/recipe_layers.h - the layers of a recipe, when layers of its graph are gone. Only
 * for the files of this folder.
 *
 * Owns: nothing. Threads: one at a time. Fails: E_NOMEM; what a recipe cannot say ends training
 * instead.
 */
#ifndef MAAS_LEARN_COMPRESS_RECIPE_LAYERS_H
#define MAAS_LEARN_COMPRESS_RECIPE_LAYERS_H

#include "graph/graph.h"

/* Weights "layers.<i>.*" that nobody reads any more are of layers that went: the recipe loses them,
 * and what stood around them (activations behind; the sum of a residual connection), and weights of
 * later layers move up to their new numbers. `step`: who did it, where training ends. */
maas_status maas_recipe_follow(maas_graph *g, const char *step, maas_err *err);
/* The layer with this weight has so many outputs now. Of another learner's model there is nothing
 * to go on from. */
maas_status maas_recipe_width(maas_graph *g, const char *weight, int64_t width, const char *step,
                              maas_err *err);

#endif
