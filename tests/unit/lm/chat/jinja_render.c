/* jinja_render TEMPLATE JSON - for tests/client/test_language.py. */
#include <stdio.h>
#include <string.h>

#include "lm/jinja.h"

int main(int argc, char **argv)
{
    static const char *const trusted[] = {"bos_token", "eos_token", NULL};
    maas_jinja *j = NULL;
    maas_rendered r;
    maas_err err = {0};
    json_t *vars = argc == 3 ? json_loads(argv[2], 0, NULL) : NULL;
    if (!vars ||
        maas_jinja_compile((maas_str){argv[1], strlen(argv[1])}, NULL, &j, &err) != MAAS_OK ||
        maas_jinja_render(j, vars, trusted, 1700000000, &r, &err) != MAAS_OK) {
        printf("%s\n", err.msg);
        return 1;
    }
    for (uint32_t i = 0; i < r.n; i++)
        fwrite(r.pieces[i].text.p, 1, r.pieces[i].text.n, stdout);
    maas_rendered_reset(&r);
    maas_jinja_destroy(j);
    json_decref(vars);
    return 0;
}
