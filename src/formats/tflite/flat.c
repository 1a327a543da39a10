/* formats/tflite/flat.c - the wire format of FlatBuffers, as its page "Internals" describes it. */
#include "formats/tflite/flat.h"

#include "base/ban.h"

static size_t fail(fb *f, const char *wrong, size_t at)
{
    if (!f->wrong) {
        f->wrong = wrong;
        f->at = at;
    }
    return 0;
}

void fb_init(fb *f, maas_span file)
{
    *f = (fb){.file = file};
}

maas_status fb_check(const fb *f, maas_err *err)
{
    if (!f->wrong)
        return MAAS_OK;
    return maas_fail(err, MAAS_E_FORMAT, "byte %zu: %s", f->at, f->wrong);
}

/* ---- bytes ---- */

static bool inside(const fb *f, size_t at, size_t n)
{
    return !f->wrong && at <= f->file.n && n <= f->file.n - at;
}

static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n); /* little-endian, as base/span.h asserts */
    return v;
}

/* What is `ahead` of an offset that stands at `at`; 0 after an error. */
static size_t follow(fb *f, size_t at)
{
    if (!inside(f, at, 4))
        return fail(f, "an offset is outside of the file", at);
    const size_t to = at + load(f->file.p + at, 4);
    return to > at && inside(f, to, 4) ? to : fail(f, "an offset leads outside of the file", at);
}

/* ---- tables ---- */

static fb_table table_at(fb *f, size_t at)
{
    fb_table t = {.at = at};
    if (!inside(f, at, 4)) {
        if (at)
            fail(f, "a table is outside of the file", at);
        return (fb_table){0};
    }
    const int64_t vtable = (int64_t)at - (int32_t)load(f->file.p + at, 4);
    if (vtable < 0 || !inside(f, (size_t)vtable, 4)) {
        fail(f, "a table's vtable is outside of the file", at);
        return (fb_table){0};
    }
    t.vtable = (size_t)vtable;
    t.n_vtable = (uint32_t)load(f->file.p + t.vtable, 2);
    t.bytes = (uint32_t)load(f->file.p + t.vtable + 2, 2);
    if (t.n_vtable < 4 || t.n_vtable % 2 || t.bytes < 4 || !inside(f, t.vtable, t.n_vtable) ||
        !inside(f, at, t.bytes)) {
        fail(f, "a table's sizes do not fit into the file", at);
        return (fb_table){0};
    }
    return t;
}

fb_table fb_root(fb *f, const char id[4])
{
    if (!inside(f, 0, 8) || memcmp(f->file.p + 4, id, 4) != 0) {
        fail(f, "the file's identifier is missing", 4);
        return (fb_table){0};
    }
    return table_at(f, follow(f, 0));
}

/* Where the `size` bytes of a field are; 0: it is absent. */
static size_t field_at(fb *f, const fb_table *t, int field, size_t size)
{
    const size_t entry = 4 + 2 * (size_t)field;
    if (f->wrong || !t->at || entry + 2 > t->n_vtable)
        return 0;
    const size_t at = load(f->file.p + t->vtable + entry, 2);
    if (at == 0)
        return 0;
    if (at < 4 || at + size > t->bytes)
        return fail(f, "a field is outside of its table", t->vtable + entry);
    return t->at + at;
}

bool fb_has(fb *f, const fb_table *t, int field)
{
    return field_at(f, t, field, 1) != 0;
}

int64_t fb_i8(fb *f, const fb_table *t, int field, int64_t otherwise)
{
    const size_t at = field_at(f, t, field, 1);
    return at ? (int8_t)f->file.p[at] : otherwise;
}

int64_t fb_i32(fb *f, const fb_table *t, int field, int64_t otherwise)
{
    const size_t at = field_at(f, t, field, 4);
    return at ? (int32_t)load(f->file.p + at, 4) : otherwise;
}

uint64_t fb_u64(fb *f, const fb_table *t, int field)
{
    const size_t at = field_at(f, t, field, 8);
    return at ? load(f->file.p + at, 8) : 0;
}

float fb_f32(fb *f, const fb_table *t, int field)
{
    const size_t at = field_at(f, t, field, 4);
    float v = 0;
    if (at)
        memcpy(&v, f->file.p + at, sizeof v);
    return v;
}

fb_table fb_sub(fb *f, const fb_table *t, int field)
{
    const size_t at = field_at(f, t, field, 4);
    return at ? table_at(f, follow(f, at)) : (fb_table){0};
}

/* ---- vectors ---- */

fb_vector fb_vec(fb *f, const fb_table *t, int field, size_t element)
{
    const size_t from = field_at(f, t, field, 4), at = from ? follow(f, from) : 0;
    if (!at)
        return (fb_vector){0};
    const size_t n = load(f->file.p + at, 4);
    if (!inside(f, at + 4, n * element)) {
        fail(f, "a vector is longer than the file", at);
        return (fb_vector){0};
    }
    return (fb_vector){f->file.p + at + 4, at + 4, (uint32_t)n};
}

maas_span fb_text(fb *f, const fb_table *t, int field)
{
    const fb_vector v = fb_vec(f, t, field, 1);
    return maas_span_of(v.n ? (const char *)v.p : "", v.n);
}

fb_table fb_table_at(fb *f, const fb_vector *v, uint32_t i)
{
    return table_at(f, f->wrong ? 0 : follow(f, v->at + 4 * (size_t)i));
}

int32_t fb_i32_at(const fb_vector *v, uint32_t i)
{
    return (int32_t)load(v->p + 4 * (size_t)i, 4);
}

int64_t fb_i64_at(const fb_vector *v, uint32_t i)
{
    return (int64_t)load(v->p + 8 * (size_t)i, 8);
}

float fb_f32_at(const fb_vector *v, uint32_t i)
{
    float x;
    memcpy(&x, v->p + 4 * (size_t)i, sizeof x);
    return x;
}
