/* formats/members.c - see members.h. */
#include "formats/members.h"

#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

maas_status maas_location_plain(const char *location, maas_buf *out, maas_err *err)
{
    const size_t before = out->n;
    if (*location == '/')
        return maas_fail(err, MAAS_E_FORMAT, "wants file '%.100s', which is an absolute path",
                         location);
    for (const char *at = location; *at;) {
        const size_t n = strcspn(at, "/");
        if (n == 2 && at[0] == '.' && at[1] == '.')
            return maas_fail(err, MAAS_E_FORMAT,
                             "wants file '%.100s', which is outside of the model's folder",
                             location);
        if (n && !(n == 1 && *at == '.'))
            maas_buf_printf(out, "%s%.*s", out->n > before ? "/" : "", (int)n, at);
        at += n + (at[n] == '/');
    }
    return out->failed || out->n == before
               ? maas_fail(err, MAAS_E_FORMAT, "wants file '%.100s', which is no name of a file",
                           location)
               : MAAS_OK;
}

maas_member *maas_members_find(const maas_members *m, const char *path)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (strcmp(m->list[i].path, path) == 0)
            return &m->list[i];
    return NULL;
}

maas_status maas_members_external(void *user, const char *location, maas_span *out, maas_err *err)
{
    const maas_members *m = user;
    const char *model = m->list[0].path, *slash = strrchr(model, '/');
    AUTO(maas_buf_reset) maas_buf path = MAAS_BUF_INIT(2 * MAAS_MAX_LOCATION);
    maas_buf_printf(&path, "%.*s", slash ? (int)(slash - model) + 1 : 0, model);
    MAAS_TRY(maas_location_plain(location, &path, err));
    maas_member *found = maas_members_find(m, path.p);
    if (!found)
        return maas_fail(err, MAAS_E_FORMAT, "wants file '%.100s', which is not in the upload",
                         location);
    found->used = true;
    *out = found->bytes;
    return MAAS_OK;
}
