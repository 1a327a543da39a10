/* A safetensors file and an index of them: every byte of what is accepted can be read. */
#include <stdlib.h>

#include "formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_arena a;
    maas_safetensors s;
    maas_st_index x;
    maas_err err = {0};
    volatile unsigned sum = 0;
    maas_arena_init(&a, &budget);
    if (maas_safetensors_open(maas_span_of(data, size), &a, &s, &err) == MAAS_OK)
        for (uint32_t i = 0; i < s.n_tensors; i++) {
            const maas_st_tensor *t = &s.tensors[i];
            for (size_t k = 0; k < t->bytes; k++)
                sum += t->data[k];
            if (maas_safetensors_find(&s, t->name) != t)
                abort();
        }
    if (maas_st_index_read(maas_span_of(data, size), &a, &x, &err) == MAAS_OK)
        for (uint32_t i = 0; i < x.n; i++)
            if (maas_st_index_file(&x, x.places[i].name) != &x.places[i].file)
                abort();
    (void)sum;
    maas_arena_reset(&a);
    return 0;
}
