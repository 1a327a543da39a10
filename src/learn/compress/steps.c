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
    STEP(bf16, float, false, "weights as bfloat16: half the file, two digits, the range of floats"),
    STEP(int8, int8, false, "weights as bytes with a scale a channel; computed in floats"),
};
