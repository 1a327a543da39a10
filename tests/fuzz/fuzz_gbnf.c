/* GBNF, and patterns when the first byte is a slash. */
#include "grammar_run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool regex = size && data[0] == '/';
    const maas_grammar_part p = {.kind = regex ? MAAS_GRAMMAR_REGEX : MAAS_GRAMMAR_GBNF,
                                 .text = {(const char *)data + regex, size - regex}};
    if (size <= 2048)
        grammar_run(&p, (uint32_t)size);
    return 0;
}
