/* A JSON schema. */
#include "grammar_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *j = NULL;
    if (size > 4096 || maas_json_parse(maas_span_of(data, size), &j, NULL) != MAAS_OK)
        return 0;
    const maas_grammar_part p = {.kind = MAAS_GRAMMAR_SCHEMA, .json = j};
    grammar_run(&p, (uint32_t)size);
    json_decref(j);
    return 0;
}
