/* A chat template: whatever compiles ends, with a text or a sentence. */
#include "lm/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char vars[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a <b> c\"},{\"role\":\"assistant\","
        "\"content\":\"d\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]"
        "}"
        "],\"tools\":null,\"add_generation_prompt\":true,\"bos_token\":\"<s>\",\"n\":3,\"f\":1.5}";
    static const char *const trusted[] = {"bos_token", NULL};
    maas_budget budget = {.limit = (size_t)64 << 20};
    maas_jinja *j = NULL;
    maas_rendered r;
    maas_err err = {0};
    if (size > 4096 ||
        maas_jinja_compile((maas_str){(const char *)data, size}, &budget, &j, &err) != MAAS_OK)
        return 0;
    json_t *v = json_loads(vars, 0, NULL);
    if (maas_jinja_render(j, v, trusted, 0, &r, &err) == MAAS_OK)
        maas_rendered_reset(&r);
    json_decref(v);
    maas_jinja_destroy(j);
    return 0;
}
