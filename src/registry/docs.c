/* Small things on JSON documents and names. */
#include "registry/registry_int.h"

#include <string.h>

#include "base/ban.h"

maas_status maas_no_memory(maas_err *err)
{
    return maas_fail(err, MAAS_E_NOMEM, "the registry has no memory for this");
}

/* ---- names ---- */

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool maas_name_valid(const char *name)
{
    if (!name || !is_alnum(*name))
        return false;
    size_t n = 1;
    for (; name[n]; n++)
        if (n == MAAS_MAX_NAME || !(is_alnum(name[n]) || memchr("._-", name[n], 3)))
            return false;
    return true;
}

maas_status maas_name_check(const char *what, const char *name, maas_err *err)
{
    if (maas_name_valid(name))
        return MAAS_OK;
    return maas_fail(err, MAAS_E_INVALID,
                     "%s name '%.64s' is not valid: 1 to %d of A-Z a-z 0-9 . _ -, the first a "
                     "letter or digit",
                     what, name ? name : "", MAAS_MAX_NAME);
}

/* ---- documents ---- */

static int add_to_digest(const char *p, size_t n, void *sha)
{
    maas_sha256_add(sha, p, n);
    return 0;
}

maas_status maas_doc_digest(const json_t *doc, char out_hex[MAAS_SHA256_HEX], maas_err *err)
{
    AUTO(maas_sha256_reset) maas_sha256 sha = {0};
    uint8_t bytes[MAAS_SHA256_BYTES];
    if (!maas_sha256_init(&sha) ||
        json_dump_callback(doc, add_to_digest, &sha, JSON_SORT_KEYS | JSON_COMPACT) != 0)
        return maas_no_memory(err);
    maas_sha256_done(&sha, bytes);
    maas_hex(bytes, sizeof bytes, out_hex);
    return MAAS_OK;
}

maas_status maas_doc_dump(const json_t *doc, maas_buf *out, maas_err *err)
{
    maas_json_dump(doc, out);
    return out->failed ? maas_no_memory(err) : MAAS_OK;
}

bool maas_doc_put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0; /* frees value on failure, refuses NULL */
}

json_t *maas_doc_time(uint64_t wall_ms)
{
    char text[32];
    maas_time_rfc3339(wall_ms, text);
    return json_string(text);
}
