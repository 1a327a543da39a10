/*
 * multipart/form-data as a state machine that may be fed in any pieces (RFC 7578 on RFC 2046).
 *
 *   preamble --B pad CRLF headers CRLF CRLF data CRLF--B ... CRLF--B-- epilogue
 *
 * The delimiter is CRLF--B; the first one may lack its CRLF, so matching starts as if one had been
 * read. '\r' occurs in it at place 0 alone (a boundary has no control characters), so after a
 * mismatch nothing but the current byte can begin a new match: no table, no going back. The bytes
 * that matched so far are not kept: they are a prefix of `delim`.
 */
#include <strings.h>

#include "base/mem.h"
#include "http/http.h"
#include "base/ban.h"

#define MAX_BOUNDARY  70 /* RFC 2046, 5.1.1 */
#define MAX_PART_HEAD 8192
#define MAX_PADDING   64
#define MAX_PARTS     4096

typedef enum part_state { PREAMBLE, AFTER_DELIM, HEAD, DATA, EPILOGUE } part_state;

struct maas_multipart {
    maas_part_sink sink;
    part_state state;
    maas_status failed; /* sticky: after an error nothing more is understood */
    char delim[4 + MAX_BOUNDARY];
    size_t n_delim, matched;
    char tail[2]; /* of AFTER_DELIM: the last bytes that decide */
    size_t n_tail, n_padding, n_parts;
    maas_buf head;
};

/* ---- parameters of a header value: ; name=token or ; name="quoted" ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Reads the value at *s into out (NUL-ended, unescaped) and moves past it. */
static bool read_value(const char **s, char *out, size_t size)
{
    const char *p = *s;
    size_t n = 0;
    bool quoted = *p == '"';
    for (p += quoted; *p && (quoted ? *p != '"' : *p != ';' && !is_space(*p)); p++) {
        if (quoted && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        if (n + 1 >= size)
            return false;
        out[n++] = *p;
    }
    out[n] = 0;
    if (quoted && *p++ != '"')
        return false;
    *s = p;
    return true;
}

/* 1: found, 0: absent, -1: malformed. `value` is a whole header value: kind; a=b; c="d". */
static int find_param(const char *value, const char *name, char *out, size_t size)
{
    const char *p = value + strcspn(value, ";");
    int found = 0;
    while (*p == ';') {
        p += 1 + strspn(p + 1, " \t");
        size_t n = strcspn(p, "=; \t");
        bool ours = n == strlen(name) && strncasecmp(p, name, n) == 0;
        p += n;
        if (*p == '=') {
            char other[MAX_PART_HEAD];
            p++;
            if (ours && found)
                return -1; /* two readers could choose different ones */
            if (!read_value(&p, ours ? out : other, ours ? size : sizeof other))
                return -1;
            found |= ours;
        }
        p += strspn(p, " \t");
    }
    return *p ? -1 : found;
}

static bool boundary_ok(const char *b)
{
    size_t n = strlen(b);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)b[i] < 0x20 || (unsigned char)b[i] >= 0x7f)
            return false;
    return n > 0 && b[n - 1] != ' ';
}

maas_status maas_multipart_create(const char *content_type, const maas_part_sink *sink,
                                  maas_multipart **out, maas_err *err)
{
    static const char kind[] = "multipart/form-data";
    char boundary[MAX_BOUNDARY + 1];
    if (!content_type || strncasecmp(content_type, kind, sizeof kind - 1) != 0 ||
        !strchr("; \t", content_type[sizeof kind - 1]))
        return maas_fail(err, MAAS_E_MEDIA, "Content-Type must be %s", kind);
    if (find_param(content_type, "boundary", boundary, sizeof boundary) != 1 ||
        !boundary_ok(boundary))
        return maas_fail(err, MAAS_E_INVALID, "%s needs a boundary of 1 to %d plain characters",
                         kind, MAX_BOUNDARY);
    maas_multipart *m = maas_calloc(1, sizeof *m);
    if (!m)
        return maas_fail(err, MAAS_E_NOMEM, "form reader");
    m->sink = *sink;
    m->head.max = MAX_PART_HEAD;
    m->n_delim = 4 + strlen(boundary);
    memcpy(m->delim, "\r\n--", 4);
    memcpy(m->delim + 4, boundary, m->n_delim - 4);
    m->matched = 2;
    *out = m;
    return MAAS_OK;
}

void maas_multipart_destroy(maas_multipart *m)
{
    if (!m)
        return;
    maas_buf_reset(&m->head);
    maas_free(m);
}

/* ---- a part's head ---- */

/* The next line of the head, NUL-ended in place, without its CRLF; NULL at the end. */
static char *next_line(char **at)
{
    char *line = *at, *end = strstr(line, "\r\n");
    if (!end || end == line)
        return NULL;
    *end = 0;
    *at = end + 2;
    return line;
}

static char *value_of(char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    line += n + 1;
    return line + strspn(line, " \t");
}

static maas_status begin_part(maas_multipart *m, maas_err *err)
{
    char name[1024], file[1024], *at = m->head.p, *disposition = NULL, *type = NULL;
    if (memchr(m->head.p, 0, m->head.n))
        return maas_fail(err, MAAS_E_INVALID, "form part %zu: NUL in its head", m->n_parts);
    for (char *line = next_line(&at); line; line = next_line(&at)) {
        char *d = value_of(line, "Content-Disposition"), *t = value_of(line, "Content-Type");
        if ((d && disposition) || (t && type))
            return maas_fail(err, MAAS_E_INVALID, "form part %zu: a header comes twice",
                             m->n_parts);
        disposition = d ? d : disposition;
        type = t ? t : type;
    }
    if (!disposition || strncasecmp(disposition, "form-data", 9) != 0 ||
        !strchr("; \t", disposition[9]) || find_param(disposition, "name", name, sizeof name) != 1)
        return maas_fail(err, MAAS_E_INVALID,
                         "form part %zu needs Content-Disposition: form-data; name=\"...\"",
                         m->n_parts);
    int has_file = find_param(disposition, "filename", file, sizeof file);
    if (has_file < 0)
        return maas_fail(err, MAAS_E_INVALID, "form part %zu: bad filename", m->n_parts);
    return m->sink.begin(m->sink.user, name, has_file ? file : NULL, type, err);
}

/* ---- the machine: each step takes what it can from the piece ---- */

static maas_status emit(maas_multipart *m, const void *p, size_t n, maas_err *err)
{
    if (!n || m->state != DATA)
        return MAAS_OK; /* a preamble is nobody's */
    return m->sink.data(m->sink.user, maas_span_of(p, n), err);
}

/* Preamble and data: everything up to the delimiter. */
static maas_status step_until_delim(maas_multipart *m, maas_span *s, maas_err *err)
{
    if (m->matched == 0) {
        const uint8_t *cr = memchr(s->p, '\r', s->n);
        size_t n = cr ? (size_t)(cr - s->p) : s->n;
        maas_span plain = {0};
        maas_span_take(s, n, &plain);
        MAAS_TRY(emit(m, plain.p, plain.n, err));
        m->matched = cr != NULL;
        maas_span_skip(s, m->matched);
        return MAAS_OK;
    }
    if (s->p[0] != (uint8_t)m->delim[m->matched]) {
        size_t n = m->matched;
        m->matched = 0;
        return emit(m, m->delim, n, err); /* the byte itself is looked at again */
    }
    maas_span_skip(s, 1);
    if (++m->matched < m->n_delim)
        return MAAS_OK;
    part_state was = m->state;
    m->matched = m->n_tail = m->n_padding = 0;
    m->state = AFTER_DELIM;
    return was == DATA ? m->sink.end(m->sink.user, err) : MAAS_OK;
}

/* "--" ends the form; blanks and CRLF begin a part. */
static maas_status step_after_delim(maas_multipart *m, maas_span *s, maas_err *err)
{
    uint8_t c = 0;
    maas_span_u8(s, &c);
    if (m->n_tail == 0 && is_space((char)c) && ++m->n_padding <= MAX_PADDING)
        return MAAS_OK;
    m->tail[m->n_tail++] = (char)c;
    if (m->n_tail == 1 && (c == '\r' || (c == '-' && !m->n_padding)))
        return MAAS_OK;
    if (m->n_tail == 2 && memcmp(m->tail, "--", 2) == 0) {
        m->state = EPILOGUE;
        return MAAS_OK;
    }
    if (m->n_tail != 2 || memcmp(m->tail, "\r\n", 2) != 0)
        return maas_fail(err, MAAS_E_INVALID, "form: bytes after the boundary of part %zu",
                         m->n_parts + 1);
    if (++m->n_parts > MAX_PARTS)
        return maas_fail(err, MAAS_E_TOO_LARGE, "the form has more than %d parts", MAX_PARTS);
    m->state = HEAD;
    maas_buf_clear(&m->head);
    return MAAS_OK;
}

static maas_status step_head(maas_multipart *m, maas_span *s, maas_err *err)
{
    const uint8_t *lf = memchr(s->p, '\n', s->n);
    maas_span line = {0};
    maas_span_take(s, lf ? (size_t)(lf - s->p) + 1 : s->n, &line);
    maas_buf_add(&m->head, line.p, line.n);
    if (m->head.failed)
        return maas_fail(err, MAAS_E_TOO_LARGE, "form part %zu: its head is longer than %d bytes",
                         m->n_parts, MAX_PART_HEAD);
    size_t n = m->head.n;
    bool done = (n == 2 && memcmp(m->head.p, "\r\n", 2) == 0) ||
                (n >= 4 && memcmp(m->head.p + n - 4, "\r\n\r\n", 4) == 0);
    if (!done)
        return MAAS_OK;
    MAAS_TRY(begin_part(m, err));
    m->state = DATA;
    m->matched = 0;
    return MAAS_OK;
}

static maas_status step(maas_multipart *m, maas_span *s, maas_err *err)
{
    switch (m->state) {
    case PREAMBLE:
    case DATA:
        return step_until_delim(m, s, err);
    case AFTER_DELIM:
        return step_after_delim(m, s, err);
    case HEAD:
        return step_head(m, s, err);
    case EPILOGUE:
        break;
    }
    maas_span_skip(s, s->n);
    return MAAS_OK;
}

maas_status maas_multipart_feed(maas_multipart *m, maas_span piece, maas_err *err)
{
    while (piece.n && m->failed == MAAS_OK)
        m->failed = step(m, &piece, err);
    return m->failed == MAAS_OK ? MAAS_OK : maas_fail(err, m->failed, "the form is malformed");
}

maas_status maas_multipart_finish(maas_multipart *m, maas_err *err)
{
    if (m->failed != MAAS_OK)
        return maas_fail(err, m->failed, "the form is malformed");
    if (m->state != EPILOGUE)
        return maas_fail(err, MAAS_E_INVALID, "the form ends before its last boundary");
    return MAAS_OK;
}
