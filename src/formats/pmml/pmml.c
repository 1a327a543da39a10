#include "formats/pmml/pmml.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "formats/pmml/pmml_int.h"
#include "base/ban.h"

/* ---- words ---- */

maas_status pm_fail(pm *p, maas_status st, const maas_xml *at, const char *fmt, ...)
{
    char words[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return maas_fail(p->err, st, "line %u, %.60s: %s", at->line, at->name, words);
}

maas_status pm_unsupported(pm *p, const maas_xml *e)
{
    return pm_fail(p, MAAS_E_UNSUPPORTED, e, "this element is not supported");
}

maas_status pm_missing(pm *p, const maas_xml *e, const char *attr)
{
    return pm_fail(p, MAAS_E_FORMAT, e, "attribute '%s' is missing", attr);
}

maas_status pm_no_memory(pm *p)
{
    return maas_fail(p->err, MAAS_E_NOMEM, "the model does not fit its memory budget");
}

void *pm_alloc(pm *p, size_t n, size_t size)
{
    void *at = maas_arena_array(p->arena, n, size);
    if (!at)
        pm_no_memory(p);
    return at;
}

bool pm_parse(const char *text, double *out)
{
    static const struct {
        const char *word;
        double v;
    } words[] = {{"NaN", NAN}, {"INF", INFINITY}, {"-INF", -INFINITY}};
    maas_span s = maas_span_str(text);
    for (size_t i = 0; i < MAAS_COUNT(words); i++)
        if (strcmp(text, words[i].word) == 0) {
            *out = words[i].v;
            return true;
        }
    return maas_num_f64(&s, out) && !s.n;
}

maas_status pm_number(pm *p, const maas_xml *e, const char *attr, double *out)
{
    const char *text = maas_xml_get(e, attr);
    if (!text)
        return pm_missing(p, e, attr);
    return pm_parse(text, out)
               ? MAAS_OK
               : pm_fail(p, MAAS_E_FORMAT, e, "%s='%.40s' is no number", attr, text);
}

maas_status pm_number_or(pm *p, const maas_xml *e, const char *attr, double otherwise, double *out)
{
    *out = otherwise;
    return maas_xml_get(e, attr) ? pm_number(p, e, attr, out) : MAAS_OK;
}

maas_status pm_word(pm *p, const maas_xml *e, const char *attr, const char *const *words,
                    int otherwise, int *out)
{
    const char *text = maas_xml_get(e, attr);
    *out = otherwise;
    if (!text)
        return otherwise >= 0 ? MAAS_OK : pm_missing(p, e, attr);
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return MAAS_OK;
        }
    return pm_fail(p, MAAS_E_UNSUPPORTED, e, "%s='%.60s' is not supported", attr, text);
}

/* ---- the document ---- */

/* Elements of PMML that are no models and say nothing about predictions. */
static bool is_model(const maas_xml *e)
{
    static const char *const others[] = {"Header",         "MiningBuildTask",          "Extension",
                                         "DataDictionary", "TransformationDictionary", NULL};
    for (int i = 0; others[i]; i++)
        if (maas_xml_is(e, others[i]))
            return false;
    return true;
}

static maas_status find_model(pm *p, const maas_xml **out)
{
    *out = NULL;
    for (const maas_xml *e = p->root->child; e; e = e->next) {
        if (!is_model(e))
            continue;
        if (*out)
            return pm_fail(p, MAAS_E_UNSUPPORTED, e, "a second model in the file; split it");
        *out = e;
    }
    return *out ? MAAS_OK : pm_fail(p, MAAS_E_FORMAT, p->root, "there is no model");
}

static maas_status check_version(pm *p)
{
    const char *version = maas_xml_get(p->root, "version");
    if (!maas_xml_is(p->root, "PMML"))
        return pm_fail(p, MAAS_E_FORMAT, p->root, "the root element is not PMML");
    if (!version || strncmp(version, "4.", 2) != 0 || version[2] < '0' || version[2] > '4')
        return pm_fail(p, MAAS_E_UNSUPPORTED, p->root, "version '%.20s'; 4.0 to 4.4 are supported",
                       version ? version : "");
    return MAAS_OK;
}

static maas_status declare_fields(pm *p)
{
    uint32_t i;
    p->dictionary = maas_xml_child(p->root, "DataDictionary");
    if (!p->dictionary)
        return pm_fail(p, MAAS_E_FORMAT, p->root, "DataDictionary is missing");
    for (const maas_xml *e = maas_xml_child(p->dictionary, "DataField"); e;
         e = maas_xml_sibling(e, "DataField")) {
        const char *name = maas_xml_get(e, "name");
        if (!name)
            return pm_missing(p, e, "name");
        MAAS_TRY(pm_field_intern(p, name, &i));
        if (p->fields[i].declared)
            return pm_fail(p, MAAS_E_FORMAT, e, "field '%.80s' is declared twice", name);
        p->fields[i].declared = e;
    }
    return MAAS_OK;
}

static maas_status set_meta(pm *p, const maas_xml *model)
{
    const maas_xml *header = maas_xml_child(p->root, "Header");
    const maas_xml *app = maas_xml_child(header, "Application");
    const char *name = app ? maas_xml_get(app, "name") : NULL;
    char source[200];
    snprintf(source, sizeof source, "PMML %.10s %.60s%s%.80s", maas_xml_get(p->root, "version"),
             model->name, name ? " by " : "", name ? name : "");
    MAAS_TRY(maas_graph_set_meta(p->b.g, "maas.task",
                                 pm_is_classification(model) ? "classification" : "regression",
                                 p->err));
    return maas_graph_set_meta(p->b.g, "maas.source", source, p->err);
}

static maas_status build(pm *p)
{
    const maas_xml *model;
    pm_result r = {0};
    MAAS_TRY(check_version(p));
    MAAS_TRY(find_model(p, &model));
    MAAS_TRY(declare_fields(p));
    MAAS_TRY(pm_inputs(p, model));
    MAAS_TRY(pm_model(p, model, &r));
    MAAS_TRY(pm_answer(p, model, &r));
    MAAS_TRY(p->b.status);
    MAAS_TRY(set_meta(p, model));
    MAAS_TRY(maas_graph_verify(p->b.g, p->err));
    return maas_graph_infer(p->b.g, p->err);
}

maas_status maas_pmml_read(maas_span file, maas_budget *budget, maas_graph **out, maas_err *err)
{
    maas_arena arena;
    maas_graph *g = NULL;
    maas_xml *root = NULL;
    maas_err own = {0};
    err = err ? err : &own;
    maas_arena_init(&arena, budget);
    pm p = {.arena = &arena, .err = err, .shape = MAAS_NO_VALUE, .valid = MAAS_NO_VALUE};
    maas_status st = maas_xml_read(file, &arena, &root, err);
    p.root = root;
    if (st == MAAS_OK)
        st = pm_fields_init(&p);
    if (st == MAAS_OK)
        st = maas_graph_create("pmml", budget, &g, err);
    if (st == MAAS_OK) {
        maas_builder_init(&p.b, g, err);
        st = build(&p);
    }
    pm_fields_reset(&p);
    maas_arena_reset(&arena);
    if (st == MAAS_OK) {
        *out = g;
        return MAAS_OK;
    }
    maas_graph_destroy(g);
    /* an illegal graph in a file is a malformed file */
    if (st == MAAS_E_INVALID)
        st = err->code = MAAS_E_FORMAT;
    return st;
}

int maas_pmml_probe(maas_span head)
{
    const size_t n = head.n < 2048 ? head.n : 2048;
    const uint8_t *at = n ? memmem(head.p, n, "PMML", 4) : NULL;
    return at && at > head.p && (at[-1] == '<' || at[-1] == ':') && memchr(head.p, '<', n) ? 95 : 0;
}
