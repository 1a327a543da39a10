/* learn/compress/steps.c - which steps there are. One more: its file, and a line here. */
#include "learn/compress/step.h"

#include "base/ban.h"

#define STEP(name, rows, trainable, help)                                                          \
    {                                                                                              \
        {#name, help, maas_step_##rows##_rows, MAAS_COUNT(maas_step_##rows##_rows)}, trainable,    \
            maas_step_##name                                                                       \
    }

const maas_compress_step maas_compress_steps[MAAS_N_COMPRESS_STEPS] = {
    STEP(f16, float, false, "weights as halves: half the file, three digits"),
    STEP(bf16, bf16, false, "weights as bfloat16: half the file, two digits, the range of floats"),
    STEP(int8, int8, false, "weights as bytes with a scale a channel; computed in floats"),
    STEP(dynamic_int8, dynamic, false,
         "products of bytes; the range of what goes in is measured in every run"),
    STEP(static_int8, static, false,
         "products of bytes; ranges are measured now, on rows of the data set"),
    STEP(qat, qat, false,
         "trained on with the roundings of static_int8, which is then done (quantization-aware)"),
    STEP(smooth_quant, smooth, false,
         "the spread of a product's inputs moves into its weights, before a step to int8"),
    STEP(prune_magnitude, prune, true, "the smallest weights become zero"),
    STEP(prune_neurons, neurons, true,
         "whole neurons are taken out of dense layers, which get smaller"),
    STEP(prune_channels, channels, true,
         "whole filters of convolutions go, which get smaller, and what reads them"),
    STEP(prune_blocks, blocks, true,
         "whole blocks go: what residual connections go around, dense layers as wide as their "
         "input"),
    STEP(distil, distil, true,
         "trained towards the answers of a teacher: the model itself, or a new network"),
    STEP(low_rank, low_rank, false, "a dense layer becomes two thinner ones"),
    STEP(cluster, cluster, false, "weights become numbers of a small list"),
    STEP(clip, clip, true, "weights beyond a threshold become the threshold"),
};
