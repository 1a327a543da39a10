#include "learn/zoo.h"

#include <pthread.h>

#include "base/mem.h"

#include "base/ban.h"

static const struct {
    const char *name, *text;
} files[] = {
#include "learn/zoo.inc"
};

static json_t *parsed[MAAS_COUNT(files)];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void parse(void)
{
    for (size_t i = 0; i < MAAS_COUNT(files); i++)
        parsed[i] = json_loads(files[i].text, JSON_REJECT_DUPLICATES, NULL);
}

const json_t *maas_zoo_layers(const char *name)
{
    pthread_once(&once, parse);
    for (size_t i = 0; i < MAAS_COUNT(files); i++)
        if (strcmp(files[i].name, name) == 0)
            return json_object_get(parsed[i], "layers");
    return NULL;
}

void maas_zoo_names(maas_buf *out)
{
    for (size_t i = 0; i < MAAS_COUNT(files); i++)
        maas_buf_printf(out, "%s%s", i ? ", " : "", files[i].name);
}

bool maas_zoo_at(size_t i, const char **out_name, const char **out_help)
{
    if (i >= MAAS_COUNT(files))
        return false;
    pthread_once(&once, parse);
    const char *help = json_string_value(json_object_get(parsed[i], "help"));
    *out_name = files[i].name;
    *out_help = help ? help : "";
    return true;
}
