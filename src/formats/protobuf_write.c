/* Writing messages: twice the same, first to measure and then into the buffer. See protobuf.h. */
#include "formats/protobuf.h"

#include "base/mem.h"
#include "base/ban.h"

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

static void put(maas_pb_writer *w, const void *p, size_t n)
{
    w->n += n;
    if (w->out)
        maas_buf_add(w->out, p, n);
}

enum { MAX_VARINT = 10 };

static size_t varint_to(uint8_t *bytes, uint64_t v)
{
    size_t n = 0;
    do {
        bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    return n;
}

static void put_varint(maas_pb_writer *w, uint64_t v)
{
    uint8_t bytes[MAX_VARINT];
    put(w, bytes, varint_to(bytes, v));
}

static void put_tag(maas_pb_writer *w, uint32_t number, uint32_t wire)
{
    put_varint(w, (uint64_t)number << 3 | wire);
}

void maas_pb_int(maas_pb_writer *w, uint32_t number, int64_t v)
{
    put_tag(w, number, MAAS_PB_VARINT);
    put_varint(w, (uint64_t)v);
}

void maas_pb_float(maas_pb_writer *w, uint32_t number, float v)
{
    put_tag(w, number, MAAS_PB_FIXED32);
    put(w, &v, sizeof v);
}

void maas_pb_bytes(maas_pb_writer *w, uint32_t number, const void *p, size_t n)
{
    put_tag(w, number, MAAS_PB_BYTES);
    put_varint(w, n);
    put(w, p, n);
}

void maas_pb_text(maas_pb_writer *w, uint32_t number, const char *s)
{
    maas_pb_bytes(w, number, s, strlen(s));
}

void maas_pb_floats(maas_pb_writer *w, uint32_t number, const float *v, size_t n)
{
    maas_pb_bytes(w, number, v, n * sizeof *v);
}

/* Long lists, of trees above all, hold small numbers: a block whose numbers all take one byte, or
 * all take at most two, is measured and written without asking each. */
enum { RUN = 16 };

static uint64_t any_bits(const int64_t *v)
{
    uint64_t bits = 0;
    for (int i = 0; i < RUN; i++)
        bits |= (uint64_t)v[i];
    return bits;
}

static size_t ints_size(const int64_t *v, size_t n)
{
    size_t bytes = 0, i = 0;
    for (; i + RUN <= n; i += RUN) {
        const uint64_t bits = any_bits(v + i);
        size_t more = RUN;
        if (bits >= 1u << 14) {
            more = 0;
            for (int j = 0; j < RUN; j++)
                more += varint_size((uint64_t)v[i + (size_t)j]);
        } else if (bits >= 1u << 7) {
            for (int j = 0; j < RUN; j++)
                more += v[i + (size_t)j] >= 1 << 7;
        }
        bytes += more;
    }
    for (; i < n; i++)
        bytes += varint_size((uint64_t)v[i]);
    return bytes;
}

/* RUN numbers; gives how many bytes. Of numbers of up to two bytes the second is always written,
 * and the next number may lie over it. */
static size_t run_to(uint8_t *to, const int64_t *v)
{
    const uint64_t bits = any_bits(v);
    size_t used = 0;
    if (bits < 1u << 7) {
        for (int j = 0; j < RUN; j++)
            to[j] = (uint8_t)v[j];
        return RUN;
    }
    for (int j = 0; j < RUN; j++) {
        const uint64_t x = (uint64_t)v[j];
        if (bits >= 1u << 14) {
            used += varint_to(to + used, x);
            continue;
        }
        const bool two = x > 0x7f;
        to[used] = (uint8_t)((x & 0x7f) | (two ? 0x80 : 0));
        to[used + 1] = (uint8_t)(x >> 7);
        used += 1u + two;
    }
    return used;
}

void maas_pb_ints(maas_pb_writer *w, uint32_t number, const int64_t *v, size_t n)
{
    const size_t bytes = ints_size(v, n);
    put_tag(w, number, MAAS_PB_BYTES);
    put_varint(w, bytes);
    if (!w->out) {
        w->n += bytes;
        return;
    }
    uint8_t block[4096];
    size_t used = 0, i = 0;
    for (; i + RUN <= n; i += RUN) {
        if (used > sizeof block - RUN * MAX_VARINT) {
            put(w, block, used);
            used = 0;
        }
        used += run_to(block + used, v + i);
    }
    put(w, block, used);
    for (; i < n; i++)
        put_varint(w, (uint64_t)v[i]);
}

void maas_pb_strings(maas_pb_writer *w, uint32_t number, const maas_str *v, size_t n)
{
    enum { SHORT = 127, MAX_TAG = 5 };
    uint8_t block[4096], tag[MAX_VARINT];
    const size_t tag_size = varint_to(tag, (uint64_t)number << 3 | MAAS_PB_BYTES);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!w->out) {
            w->n += tag_size + varint_size(v[i].n) + v[i].n;
            continue;
        }
        if (v[i].n > SHORT || used > sizeof block - SHORT - 1 - MAX_TAG) {
            put(w, block, used);
            used = 0;
        }
        if (v[i].n > SHORT) {
            maas_pb_bytes(w, number, v[i].p, v[i].n);
            continue;
        }
        memcpy(block + used, tag, tag_size);
        used += tag_size;
        block[used++] = (uint8_t)v[i].n;
        if (v[i].n)
            memcpy(block + used, v[i].p, v[i].n);
        used += v[i].n;
    }
    if (w->out)
        put(w, block, used);
}

void maas_pb_raw(maas_pb_writer *w, const void *p, size_t n)
{
    put(w, p, n);
}

void maas_pb_begin(maas_pb_writer *w, uint32_t number)
{
    MAAS_CHECK(w->depth < MAAS_PB_MAX_DEPTH);
    put_tag(w, number, MAAS_PB_BYTES);
    size_t index = w->n_len++;
    if (w->out) {
        put_varint(w, w->failed ? 0 : w->len[index]);
    } else if (!w->failed && !maas_grow(&w->len, &w->cap_len, w->n_len, sizeof *w->len)) {
        w->failed = true;
    }
    w->open[w->depth++] = (maas_pb_open_message){index, w->n};
}

void maas_pb_end(maas_pb_writer *w)
{
    MAAS_CHECK(w->depth > 0);
    const maas_pb_open_message *m = &w->open[--w->depth];
    size_t len = w->n - m->start;
    if (w->failed)
        return;
    if (w->out) {
        MAAS_CHECK(len == w->len[m->index]); /* both rounds wrote the same */
        return;
    }
    w->len[m->index] = len;
    w->n += varint_size(len);
}

maas_status maas_pb_write(void (*fn)(maas_pb_writer *w, void *user), void *user, maas_buf *out,
                          maas_err *err)
{
    maas_pb_writer w = {0};
    fn(&w, user);
    if (!w.failed && maas_buf_reserve(out, w.n)) {
        size_t measured = w.n;
        if (out->p)
            maas_mem_want_huge(out->p + out->n, measured);
        w.out = out;
        w.n = w.n_len = 0;
        fn(&w, user);
        MAAS_CHECK(w.n == measured);
    } else {
        w.failed = true;
    }
    maas_free(w.len);
    return w.failed || out->failed ? maas_fail(err, MAAS_E_NOMEM, "the file does not fit in memory")
                                   : MAAS_OK;
}

maas_status maas_pb_measure(void (*fn)(maas_pb_writer *w, void *user), void *user, uint64_t *out,
                            maas_err *err)
{
    maas_pb_writer w = {0};
    fn(&w, user);
    maas_free(w.len);
    if (w.failed)
        return maas_fail(err, MAAS_E_NOMEM, "the file does not fit in memory");
    *out = w.n;
    return MAAS_OK;
}
