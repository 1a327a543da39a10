/* formats/sklearn/sklearn.c - finding the decoder of an estimator; estimators in estimators. */
#include <stdarg.h>
#include <stdio.h>

#include "base/num.h"
#include "formats/sklearn/sklearn_int.h"
#include "base/ban.h"

static const maas_sk_row *const families[] = {
#define MAAS_SK_FAMILY(name) maas_sk_##name,
#include "formats/sklearn/families.def"
#undef MAAS_SK_FAMILY
};

/* ---- classes ---- */

const char *maas_sk_short_name(const maas_pk *est)
{
    const char *name = maas_pk_class(est), *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

bool maas_sk_is(const maas_pk *est, const char *name)
{
    return maas_pk_kind_of(est) == MAAS_PK_OBJECT && strcmp(maas_sk_short_name(est), name) == 0;
}

/* Is the module of class_name ("module.Name") among the words of `modules`? */
static bool module_listed(const char *modules, const char *class_name)
{
    const char *dot = strrchr(class_name, '.');
    const size_t n = dot ? (size_t)(dot - class_name) : 0;
    for (const char *at = modules; n && *at;) {
        const size_t word = strcspn(at, " ");
        if (word == n && memcmp(at, class_name, n) == 0)
            return true;
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

const maas_sk_row *maas_sk_find(const maas_pk *est)
{
    if (maas_pk_kind_of(est) != MAAS_PK_OBJECT)
        return NULL;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const maas_sk_row *row = families[i]; row->name; row++)
            if (strcmp(row->name, maas_sk_short_name(est)) == 0 &&
                module_listed(row->modules, maas_pk_class(est)))
                return row;
    return NULL;
}

bool maas_sk_is_word(const maas_pk *est, const char *word)
{
    maas_str s;
    if (!word)
        return maas_pk_kind_of(est) == MAAS_PK_NONE;
    return maas_pk_kind_of(est) == MAAS_PK_STR && maas_pk_to_str(est, &s) &&
           maas_span_is(maas_span_of(s.p, s.n), word);
}

/* "1.5.2" is 10502; what follows a third number ("rc1", "dev0") is of no interest. */
int maas_sk_version_of(const maas_pk *est, int otherwise)
{
    maas_str s;
    uint64_t part[3] = {0};
    if (!maas_pk_to_str(maas_pk_attr(est, "_sklearn_version"), &s))
        return otherwise;
    maas_span at = maas_span_of(s.p, s.n);
    for (int i = 0; i < 3; i++) {
        uint8_t dot;
        if (i && (!maas_span_u8(&at, &dot) || dot != '.'))
            break;
        while (at.n && at.p[0] >= '0' && at.p[0] <= '9' && part[i] < 100) {
            part[i] = part[i] * 10 + (uint64_t)(at.p[0] - '0');
            maas_span_skip(&at, 1);
        }
    }
    return part[0] > 99 || part[1] > 99 || part[2] > 99
               ? otherwise
               : (int)(part[0] * 10000 + part[1] * 100 + part[2]);
}

/* ---- failing ---- */

maas_status maas_sk_fail(maas_sk *s, maas_status st, const char *fmt, ...)
{
    char words[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    maas_fail(s->b.err, st, "%s", words);
    if (s->b.status == MAAS_OK)
        s->b.status = st;
    return s->b.status;
}

/* Puts the place before the words of the first failure. */
static void name_place(maas_sk *s)
{
    char text[200];
    size_t n = 0;
    for (uint32_t i = 0; i < s->depth && n < sizeof text - 1; i++) {
        const maas_sk_place *p = &s->place[i];
        const int more = i == 0 ? snprintf(text, sizeof text, "%.60s", p->class_name)
                                : snprintf(text + n, sizeof text - n, ".%s", p->where);
        n += more > 0 ? (size_t)more : 0;
    }
    if (s->depth > 1 && n < sizeof text)
        snprintf(text + n, sizeof text - n, " (%.60s)", s->place[s->depth - 1].class_name);
    maas_err_prefix(s->b.err, "%s", text);
}

/* ---- composing ---- */

static unsigned given(const maas_sk_out *o)
{
    const struct {
        bool there;
        unsigned bit;
    } all[] = {
        {o->transformed.n_cols != 0, MAAS_SK_TRANSFORMED},
        {o->label != MAAS_NO_VALUE, MAAS_SK_LABEL},
        {o->probabilities != MAAS_NO_VALUE, MAAS_SK_PROBABILITIES},
        {o->scores != MAAS_NO_VALUE, MAAS_SK_SCORES},
        {o->value != MAAS_NO_VALUE, MAAS_SK_VALUE},
        {o->distances != MAAS_NO_VALUE, MAAS_SK_DISTANCES},
    };
    unsigned bits = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        bits |= all[i].there ? all[i].bit : 0;
    return bits;
}

static maas_status check_given(maas_sk *s, unsigned need, const maas_sk_out *out)
{
    static const char *const names[] = {"transformed rows", "labels", "probabilities",
                                        "decision values",  "values", "distances"};
    const unsigned missing = need & ~given(out);
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (missing & 1u << i)
            return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "it gives no %s, which are needed here",
                                names[i]);
    return MAAS_OK;
}

static maas_status run_decoder(maas_sk *s, const maas_pk *est, const maas_sk_table *in,
                               unsigned need, maas_sk_out *out)
{
    const maas_sk_row *row = maas_sk_find(est);
    if (!row && *maas_pk_class(est))
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED,
                            "REJECT_CLASS %.160s: there is no decoder for it", maas_pk_class(est));
    if (!row)
        return maas_sk_fail(s, MAAS_E_FORMAT, "an estimator is expected, found %s",
                            maas_pk_kind_text(est));
    out->role = row->role;
    MAAS_TRY(row->decode(s, est, in, need, out));
    MAAS_TRY(s->b.status);
    return check_given(s, need, out);
}

/*
 * The one place where decoding nests. Estimators contain estimators by design, and decoders combine
 * what those answer, so an explicit stack would only turn every decoder inside out; the depth is
 * capped here instead, and so is the number of estimators (sharing one a thousand times costs a
 * file a few bytes).
 */
maas_status maas_sk_decode(maas_sk *s, const maas_pk *est, const maas_sk_table *in, unsigned need,
                           maas_sk_out *out, const char *fmt, ...)
{
    MAAS_TRY(s->b.status);
    *out = (maas_sk_out){.role = MAAS_SK_META,
                         .label = MAAS_NO_VALUE,
                         .probabilities = MAAS_NO_VALUE,
                         .scores = MAAS_NO_VALUE,
                         .value = MAAS_NO_VALUE,
                         .distances = MAAS_NO_VALUE,
                         .transformed = {.x = MAAS_NO_VALUE}};
    if (s->depth == MAAS_SK_MAX_DEPTH)
        return maas_sk_fail(s, MAAS_E_UNSUPPORTED, "estimators are nested more than %d deep",
                            MAAS_SK_MAX_DEPTH);
    if (s->n_estimators++ == MAAS_SK_MAX_ESTIMATORS)
        return maas_sk_fail(s, MAAS_E_TOO_LARGE, "more than %d estimators", MAAS_SK_MAX_ESTIMATORS);
    maas_sk_place *p = &s->place[s->depth++];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->where, sizeof p->where, fmt, ap);
    va_end(ap);
    p->class_name = maas_sk_short_name(est);
    const int version = s->version;
    s->version = maas_sk_version_of(est, version);
    const maas_status st = run_decoder(s, est, in, need, out);
    if (st != MAAS_OK && !s->placed) {
        s->placed = true;
        name_place(s);
    }
    if (st != MAAS_OK && s->b.status == MAAS_OK)
        s->b.status = st;
    s->version = version;
    s->depth--;
    return st;
}
