/* What a handler may ask about its request. */
#include <stdio.h>
#include <strings.h>

#include "base/sys.h"
#include "http/http_int.h"
#include "base/ban.h"

void *maas_req_user(const maas_req *r)
{
    return r->conn->http->opts.user;
}

const maas_route *maas_req_route(const maas_req *r)
{
    return r->route;
}

const char *maas_req_param(const maas_req *r, int i)
{
    MAAS_CHECK(i >= 0);
    return i < r->match.n_params ? r->match.params[i] : NULL;
}

/* libmicrohttpd has turned '+' into a space, and leaves escapes to us. A bad escape, or one of NUL,
 * stays as it was written: no value of ours contains '%', so it is refused as a bad value. */
const char *maas_req_query(const maas_req *r, const char *name)
{
    const char *raw = MHD_lookup_connection_value(r->mhd, MHD_GET_ARGUMENT_KIND, name);
    if (!raw || !strchr(raw, '%'))
        return raw;
    char *text = maas_arena_strdup((maas_arena *)&r->arena, raw), *to = text;
    if (!text)
        return raw;
    for (const char *p = text; *p; p++) {
        int hi = *p == '%' ? http_hex_digit(p[1]) : -1, lo = hi >= 0 ? http_hex_digit(p[2]) : -1;
        bool escape = lo >= 0 && hi + lo > 0;
        *to++ = escape ? (char)(hi * 16 + lo) : *p;
        p += escape ? 2 : 0;
    }
    *to = 0;
    return text;
}

/* libmicrohttpd keeps blanks at the end of a value; they are no part of it (RFC 9110, 5.5). */
static const char *without_tail(const maas_req *r, const char *value, size_t n)
{
    while (n && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    return maas_arena_strndup((maas_arena *)&r->arena, value, n);
}

static enum MHD_Result note_known(void *cls, enum MHD_ValueKind kind, const char *key, size_t n,
                                  const char *value, size_t n_value)
{
    static const struct {
        const char *name;
        size_t n;
    } names[] = {
        [HDR_HOST] = {"Host", 4},
        [HDR_EXPECT] = {"Expect", 6},
        [HDR_REQUEST_ID] = {"X-Request-Id", 12},
        [HDR_CONTENT_LENGTH] = {"Content-Length", 14},
        [HDR_ACCEPT_ENCODING] = {"Accept-Encoding", 15},
        [HDR_CONTENT_ENCODING] = {"Content-Encoding", 16},
        [HDR_TRANSFER_ENCODING] = {"Transfer-Encoding", 17},
    };
    maas_req *r = cls;
    for (size_t i = 0; i < MAAS_COUNT(names) && names[i].n <= n; i++)
        if (names[i].n == n && strcasecmp(names[i].name, key) == 0) {
            r->repeated |= r->known[i] ? 1u << i : 0;
            bool tail = n_value && (value[n_value - 1] == ' ' || value[n_value - 1] == '\t');
            r->known[i] = !value ? "" : tail ? without_tail(r, value, n_value) : value;
        }
    return MHD_YES;
}

void http_read_known_headers(maas_req *r)
{
    memset(r->known, 0, sizeof r->known);
    r->repeated = 0;
    MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, note_known, r);
}

const char *maas_req_header(const maas_req *r, const char *name)
{
    const char *value = MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
    size_t n = value ? strlen(value) : 0;
    return n && (value[n - 1] == ' ' || value[n - 1] == '\t') ? without_tail(r, value, n) : value;
}

maas_span maas_req_body(maas_req *r)
{
    return maas_buf_span(&r->body);
}

uint64_t maas_req_content_length(const maas_req *r)
{
    return r->content_length;
}

maas_arena *maas_req_arena(maas_req *r)
{
    return &r->arena;
}

uint64_t maas_req_start_ns(const maas_req *r)
{
    return r->start_ns;
}

/* A client's id is echoed into logs and headers, so it is a short plain word or it is not taken. */
static bool plain_word(const char *s, size_t max)
{
    size_t n = 0;
    for (; s[n]; n++)
        if (n == max || !((s[n] >= '0' && s[n] <= '9') || (s[n] >= 'A' && s[n] <= 'Z') ||
                          (s[n] >= 'a' && s[n] <= 'z') || strchr("-_.:", s[n])))
            return false;
    return n > 0;
}

static void make_id(maas_req *r)
{
    /* An odd multiplier makes the ids of one server all different and not a visible count. */
    uint64_t n = atomic_fetch_add_explicit(&r->conn->http->next_id, 1, memory_order_relaxed);
    uint64_t id = (n + r->conn->http->id_salt) * 0x9e3779b97f4a7c15u;
    id ^= id >> 29;
    for (int i = 15; i >= 0; i--, id >>= 4)
        r->id[i] = "0123456789abcdef"[id & 15];
    r->id[16] = 0;
}

const char *maas_req_id(maas_req *r)
{
    if (r->id[0])
        return r->id;
    const char *given = r->known[HDR_REQUEST_ID];
    if (given && plain_word(given, sizeof r->id - 1))
        memcpy(r->id, given, strlen(given) + 1);
    else
        make_id(r);
    return r->id;
}

const char *maas_req_peer(const maas_req *r)
{
    return r->conn->peer;
}

void maas_req_set_state(maas_req *r, void *state, void (*fn)(void *))
{
    r->state = state;
    r->state_free = fn;
}

void *maas_req_state(const maas_req *r)
{
    return r->state;
}

void maas_req_set_principal(maas_req *r, const void *principal)
{
    r->principal = principal;
}

const void *maas_req_principal(const maas_req *r)
{
    return r->principal;
}

bool maas_req_gone(const maas_req *r)
{
    return atomic_load_explicit(&r->conn->gone, memory_order_relaxed);
}
