#include "cli/http_client.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The checking macros of curl.h would call functions that are not linked. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "base/ban.h"

#define CURL_FUNCTIONS(X)                                                                          \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_perform)                                                                                \
    X(easy_getinfo)                                                                                \
    X(easy_reset)                                                                                  \
    X(easy_cleanup)                                                                                \
    X(easy_strerror)                                                                               \
    X(slist_append)                                                                                \
    X(slist_free_all)                                                                              \
    X(mime_init)                                                                                   \
    X(mime_addpart)                                                                                \
    X(mime_filename)                                                                               \
    X(mime_name)                                                                                   \
    X(mime_filedata)                                                                               \
    X(mime_free)

static struct {
    void *library;
#define X(name) __typeof__(&curl_##name) name;
    CURL_FUNCTIONS(X)
#undef X
} lib;

struct maas_http_client {
    CURL *easy;
    char *url, *key, *ca_file;
};

typedef struct transfer { /* one call under way */
    maas_http_client *client;
    const maas_http_call *call;
    maas_http_response *out;
    bool quiet_end; /* the sink has had enough */
    char words[CURL_ERROR_SIZE];
} transfer;

static maas_status load_library(maas_err *err)
{
    if (lib.library)
        return MAAS_OK;
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return maas_fail(err, MAAS_E_UNSUPPORTED,
                         "this command needs libcurl: apt-get install libcurl4");
#define X(name)                                                                                    \
    if (!(*(void **)&lib.name = dlsym(library, "curl_" #name)))                                    \
        return maas_fail(err, MAAS_E_UNSUPPORTED, "libcurl is too old: it has no curl_" #name);
    CURL_FUNCTIONS(X)
#undef X
    if (lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return maas_fail(err, MAAS_E_INTERNAL, "libcurl does not start");
    lib.library = library;
    return MAAS_OK;
}

maas_status maas_http_client_create(const char *url, const char *key, const char *ca_file,
                                    maas_http_client **out, maas_err *err)
{
    size_t n = strlen(url);
    MAAS_TRY(load_library(err));
    while (n && url[n - 1] == '/')
        n--;
    maas_http_client *c = maas_calloc(1, sizeof *c);
    if (c) {
        c->easy = lib.easy_init();
        c->url = maas_strndup(url, n);
        c->key = key ? maas_strdup(key) : NULL;
        c->ca_file = ca_file ? maas_strdup(ca_file) : NULL;
    }
    if (!c || !c->easy || !c->url || !c->key != !key || !c->ca_file != !ca_file) {
        maas_http_client_destroy(c);
        return maas_fail(err, MAAS_E_NOMEM, "memory for a connection");
    }
    *out = c;
    return MAAS_OK;
}

void maas_http_client_destroy(maas_http_client *c)
{
    if (!c)
        return;
    if (c->easy)
        lib.easy_cleanup(c->easy);
    maas_free(c->url);
    maas_free(c->key);
    maas_free(c->ca_file);
    maas_free(c);
}

/* ---- callbacks ---- */

static size_t on_body(char *p, size_t size, size_t n, void *user)
{
    transfer *t = user;
    long status = 0;
    n *= size;
    lib.easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->call->sink && status >= 200 && status < 300) {
        t->quiet_end = !t->call->sink(t->call->user, maas_span_of(p, n));
        return t->quiet_end ? 0 : n;
    }
    maas_buf_add(&t->out->body, p, n);
    return t->out->body.failed ? 0 : n;
}

static size_t on_header(char *p, size_t size, size_t n, void *user)
{
    static const char name[] = "Inference-Header-Content-Length:";
    transfer *t = user;
    n *= size;
    if (n > sizeof name && strncasecmp(p, name, sizeof name - 1) == 0) {
        maas_span rest = maas_span_of(p + sizeof name - 1, n - (sizeof name - 1));
        while (rest.n && *rest.p == ' ')
            maas_span_skip(&rest, 1);
        maas_num_u64(&rest, &t->out->header_bytes);
    }
    return n;
}

static int on_progress(void *user, curl_off_t to_get, curl_off_t got, curl_off_t to_send,
                       curl_off_t sent)
{
    transfer *t = user;
    return t->call->progress(t->call->user, (uint64_t)sent, (uint64_t)to_send, (uint64_t)got,
                             (uint64_t)to_get)
               ? 0
               : 1;
}

static size_t on_read(char *p, size_t size, size_t n, void *user)
{
    size_t got = 0;
    maas_err err = {0};
    return maas_sys_read(*(int *)user, p, size * n, &got, &err) == MAAS_OK ? got
                                                                           : CURL_READFUNC_ABORT;
}

/* ---- a call ---- */

static bool is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost", 9) == 0 ||
           strncmp(host, "[::1]", 5) == 0;
}

static void set_common(maas_http_client *c, transfer *t, const char *url)
{
    CURL *e = c->easy;
    lib.easy_reset(e);
    lib.easy_setopt(e, CURLOPT_URL, url);
    lib.easy_setopt(e, CURLOPT_CUSTOMREQUEST, t->call->method);
    lib.easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    lib.easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    lib.easy_setopt(e, CURLOPT_CONNECTTIMEOUT, 10L);
    lib.easy_setopt(e, CURLOPT_ERRORBUFFER, t->words);
    lib.easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    lib.easy_setopt(e, CURLOPT_WRITEDATA, t);
    lib.easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    lib.easy_setopt(e, CURLOPT_HEADERDATA, t);
    if (is_loopback(c->url)) /* a proxy of the environment means the world outside */
        lib.easy_setopt(e, CURLOPT_PROXY, "");
    if (c->ca_file)
        lib.easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
    if (t->call->progress) {
        lib.easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
        lib.easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
        lib.easy_setopt(e, CURLOPT_XFERINFODATA, t);
    }
}

static maas_status set_headers(maas_http_client *c, const maas_http_call *call,
                               struct curl_slist **list, maas_err *err)
{
    AUTO(maas_buf_reset) maas_buf auth = MAAS_BUF_INIT(4096);
    if (c->key) {
        maas_buf_printf(&auth, "Authorization: Bearer %s", c->key);
        *list = lib.slist_append(*list, auth.p ? auth.p : "");
    }
    for (const char *const *h = call->headers; h && *h; h++)
        *list = lib.slist_append(*list, *h);
    /* Without it curl waits a second for "100 Continue" from servers that never say it. */
    *list = lib.slist_append(*list, "Expect:");
    if (!*list || auth.failed)
        return maas_fail(err, MAAS_E_INVALID, "the key is too long");
    lib.easy_setopt(c->easy, CURLOPT_HTTPHEADER, *list);
    return MAAS_OK;
}

static maas_status set_file(maas_http_client *c, const char *path, int *fd, maas_err *err)
{
    uint64_t bytes;
    maas_status st = maas_sys_open(path, O_RDONLY, fd, err);
    if (st == MAAS_OK)
        st = maas_sys_size(*fd, &bytes, err);
    if (st != MAAS_OK) {
        maas_err_prefix(err, "%s", path);
        return st;
    }
    lib.easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
    lib.easy_setopt(c->easy, CURLOPT_READFUNCTION, on_read);
    lib.easy_setopt(c->easy, CURLOPT_READDATA, fd);
    lib.easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)bytes);
    return MAAS_OK;
}

static maas_status set_parts(maas_http_client *c, const maas_http_call *call, curl_mime **mime,
                             maas_err *err)
{
    *mime = lib.mime_init(c->easy);
    for (size_t i = 0; *mime && i < call->n_parts; i++) {
        const maas_http_part *p = &call->parts[i];
        curl_mimepart *part = lib.mime_addpart(*mime);
        if (!part || lib.mime_name(part, p->name) != CURLE_OK)
            return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
        if (lib.mime_filedata(part, p->file) != CURLE_OK)
            return maas_fail(err, MAAS_E_NOT_FOUND, "%s: cannot be read", p->file);
        if (p->as && lib.mime_filename(part, p->as) != CURLE_OK)
            return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    }
    if (!*mime)
        return maas_fail(err, MAAS_E_NOMEM, "memory for an upload");
    lib.easy_setopt(c->easy, CURLOPT_MIMEPOST, *mime);
    return MAAS_OK;
}

static maas_status set_body(maas_http_client *c, const maas_http_call *call, curl_mime **mime,
                            int *fd, maas_err *err)
{
    if (call->file)
        return set_file(c, call->file, fd, err);
    if (call->n_parts)
        return set_parts(c, call, mime, err);
    if (call->body.p) {
        lib.easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        lib.easy_setopt(c->easy, CURLOPT_POSTFIELDS, call->body.p);
    }
    return MAAS_OK;
}

static maas_status verdict(transfer *t, CURLcode rc, maas_err *err)
{
    long status = 0;
    lib.easy_getinfo(t->client->easy, CURLINFO_RESPONSE_CODE, &status);
    t->out->status = (int)status;
    /* A server may refuse an upload before it has read it all: its answer is what counts. */
    if (rc == CURLE_OK || t->quiet_end || ((rc == CURLE_SEND_ERROR) && status >= 400))
        return MAAS_OK;
    if (rc == CURLE_ABORTED_BY_CALLBACK)
        return maas_fail(err, MAAS_E_CANCELLED, "interrupted");
    if (t->out->body.failed)
        return maas_fail(err, MAAS_E_NOMEM, "memory for the answer");
    return maas_fail(err, MAAS_E_UNAVAILABLE,
                     "no answer from %s: %s (is `maas serve` running? --url or MAAS_URL say where)",
                     t->client->url, t->words[0] ? t->words : lib.easy_strerror(rc));
}

maas_status maas_http_client_run(maas_http_client *c, const maas_http_call *call,
                                 maas_http_response *out, maas_err *err)
{
    transfer t = {.client = c, .call = call, .out = out};
    struct curl_slist *headers = NULL;
    curl_mime *mime = NULL;
    AUTO_FD fd = -1;
    AUTO(maas_buf_reset) maas_buf url = MAAS_BUF_INIT(16384);
    maas_buf_clear(&out->body);
    out->header_bytes = 0;
    maas_buf_printf(&url, "%s%s", c->url, call->path);
    if (url.failed)
        return maas_fail(err, MAAS_E_INVALID, "the address is too long");
    set_common(c, &t, url.p);
    maas_status st = set_headers(c, call, &headers, err);
    if (st == MAAS_OK)
        st = set_body(c, call, &mime, &fd, err);
    if (st == MAAS_OK)
        st = verdict(&t, lib.easy_perform(c->easy), err);
    lib.slist_free_all(headers);
    lib.mime_free(mime);
    return st;
}

void maas_url_segment(maas_buf *b, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *s = text; *s; s++) {
        if (strchr(plain, *s))
            maas_buf_char(b, *s);
        else
            maas_buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s);
    }
}
