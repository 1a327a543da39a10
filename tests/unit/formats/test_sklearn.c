/* The framework of scikit-learn decoders: its table, versions, places in messages, graphs by hand.
 */
#include "maas_test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "formats/model.h"
#include "formats/pickle_int.h"
#include "formats/sklearn/sklearn_int.h"

/* ---- the table ---- */

static const struct {
    const char *name;
    const maas_sk_row *rows;
} families[] = {
#define MAAS_SK_FAMILY(name) {#name, maas_sk_##name},
#include "formats/sklearn/families.def"
#undef MAAS_SK_FAMILY
};

/* Every module of a row makes a name that the pickle reader lets through. */
static void expect_known(const maas_sk_row *row)
{
    for (const char *at = row->modules; *at;) {
        char name[256];
        const size_t n = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s.%s", (int)n, at, row->name);
        EXPECT_MSG(pk_class_known(&(const pk_vm){0}, name), "%s is not in pickle_classes.c", name);
        at += n;
        at += strspn(at, " ");
    }
}

static void every_row_is_complete(void)
{
    for (size_t f = 0; f < MAAS_COUNT(families); f++) {
        EXPECT_MSG(f == 0 || strcmp(families[f - 1].name, families[f].name) < 0,
                   "families.def is not sorted at %s", families[f].name);
        EXPECT_MSG(families[f].rows[0].name, "family %s is empty", families[f].name);
        for (const maas_sk_row *row = families[f].rows; row->name; row++) {
            EXPECT_MSG(row->decode && row->modules && *row->modules && row->role <= MAAS_SK_META,
                       "row %s has an empty slot", row->name);
            expect_known(row);
        }
    }
}

static void no_class_has_two_rows(void)
{
    for (size_t f = 0; f < MAAS_COUNT(families); f++)
        for (const maas_sk_row *a = families[f].rows; a->name; a++)
            for (size_t g = f; g < MAAS_COUNT(families); g++)
                for (const maas_sk_row *b = g == f ? a + 1 : families[g].rows; b->name; b++)
                    EXPECT_MSG(strcmp(a->name, b->name) || strcmp(a->modules, b->modules),
                               "%s is in %s and in %s", a->name, families[f].name,
                               families[g].name);
}

/* ---- pickles written by hand, protocol 0 ---- */

#define OBJECT(module, name)                                                                       \
    "ccopy_reg\n_reconstructor\n(c" module "\n" name "\nc__builtin__\nobject\nNtR"
#define LINEAR(attributes)                                                                         \
    OBJECT("sklearn.linear_model._base", "LinearRegression") "(d" attributes "b."
#define NUMBERS(name, list) "V" name "\n" list "s"
#define COEF                                                                                       \
    "Vcoef_\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n("           \
    "I2\ntcnumpy\ndtype\n"                                                                         \
    "(Vf4\nI00\nI01\ntR(I3\nV<\nNNNI-1\nI-1\nI0\ntbI00\nc_codecs\nencode\n"                        \
    "(V\\u0000\\u0000\\u0000@\\u0000\\u0000\\u00c0?\nVlatin1\ntRtbs"

static maas_status read_text(const char *text, maas_graph **out, maas_err *err)
{
    *out = NULL;
    return maas_sk_read(maas_span_str(text), NULL, out, err);
}

static void a_line_becomes_a_graph(void)
{
    maas_graph *g;
    maas_err err = {0};
    EXPECT_MSG(read_text(LINEAR(COEF "Vintercept_\nF0.5\nsV_sklearn_version\nV1.2.3\ns"), &g,
                         &err) == MAAS_OK,
               "%s", err.msg);
    EXPECT(g != NULL);
    if (!g)
        return;
    maas_buf text = MAAS_BUF_INIT(1 << 16);
    maas_graph_dump(g, &text);
    EXPECT_MSG(strstr(text.p, "x") && strstr(text.p, "value"), "%s", text.p);
    EXPECT_STR(maas_graph_meta(g, "maas.source"), "scikit-learn 1.2.3 LinearRegression");
    EXPECT_STR(maas_graph_meta(g, "maas.task"), "regression");
    const maas_type *t = &maas_graph_at(g, g->inputs[0])->type;
    EXPECT(t->dtype == MAAS_F64 && t->rank == 2 && t->dims[1] == 2);
    EXPECT_EQ(maas_graph_at(g, g->outputs[0])->type.rank, 1);
    maas_buf_reset(&text);
    maas_graph_destroy(g);
}

static const struct {
    const char *file, *words;
} refused[] = {
    {LINEAR(""), "LinearRegression: coef_ is missing, expected an array of numbers"},
    {LINEAR(NUMBERS("coef_", "Vtext\n")), "coef_ is str, expected an array of numbers"},
    {LINEAR(NUMBERS("coef_", "(l")), "coef_ has shape [0], expected [?,?]"},
    {LINEAR(NUMBERS("coef_", "Fnan\n")), "coef_ has shape [], expected [?,?]"},
    {LINEAR(COEF), "intercept_ is missing"},
    {LINEAR(COEF "Vintercept_\nFinf\ns"), "intercept_ is not finite"},
    {LINEAR(COEF "Vintercept_\nF0.5\nsVn_features_in_\nI3\ns"),
     "2 features are fitted, the input has 3"},
    {OBJECT("sklearn.pipeline", "Pipeline") "(dVsteps\n(lsb.", "steps is empty"},
    {OBJECT("sklearn.pipeline", "Pipeline") "(dVsteps\n(l(Va\nI7\ntasb.",
     "Pipeline.steps[0] 'a' (): an estimator is expected, found int"},
    {OBJECT("sklearn.pipeline", "Pipeline") "(dVsteps\n(l(Vfirst\n" OBJECT(
         "sklearn.linear_model._base", "LinearRegression") "(dbtasb.",
     "Pipeline.steps[0] 'first' (LinearRegression): coef_ is missing"},
    {OBJECT("sklearn.svm", "NoSuchThing") "(db.",
     "REJECT_CLASS sklearn.svm.NoSuchThing: there is no decoder for it"},
    {OBJECT("other.svm", "SVC") "(db.", "REJECT_CLASS other.svm.SVC"},
    {OBJECT("sklearn.svm._classes", "SVC") "I7\nb.", "SVC: classes_ is missing"},
    /* a pipeline that is its own step */
    {OBJECT("sklearn.pipeline", "Pipeline") "p0\n(dVsteps\n(l(Va\ng0\ntasb.",
     "estimators are nested more than 8 deep"},
};

static void refusals_name_the_place(void)
{
    for (size_t i = 0; i < MAAS_COUNT(refused); i++) {
        maas_graph *g;
        maas_err err = {0};
        EXPECT(read_text(refused[i].file, &g, &err) != MAAS_OK);
        EXPECT_MSG(strstr(err.msg, refused[i].words), "row %zu: %s, wanted %s", i, err.msg,
                   refused[i].words);
        maas_graph_destroy(g);
    }
}

static void versions_are_numbers(void)
{
    static const struct {
        const char *text;
        int version;
    } rows[] = {{"1.5.2", 10502},  {"0.24.1", 2401}, {"1.9.dev0", 10900}, {"1.6.0rc1", 10600},
                {"999999.1.1", 7}, {"", 0},          {"1", 10000}};
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        maas_buf b = MAAS_BUF_INIT(4096);
        maas_pickle p;
        maas_err err = {0};
        maas_buf_printf(&b, OBJECT("sklearn.svm", "SVC") "(dV_sklearn_version\nV%s\nsb.",
                        rows[i].text);
        EXPECT_EQ(maas_pickle_read(maas_buf_span(&b), NULL, &p, &err), MAAS_OK);
        EXPECT_EQ(maas_sk_version_of(p.root, 7), rows[i].version);
        maas_pickle_reset(&p);
        maas_buf_reset(&b);
    }
}

static void the_format_is_found_by_content(void)
{
    const maas_model_format *f = NULL;
    maas_err err = {0};
    EXPECT_EQ(maas_model_format_find(maas_span_str(LINEAR("")), NULL, &f, &err), MAAS_OK);
    EXPECT_STR(f->name, "sklearn");
    EXPECT_EQ(maas_model_format_find(maas_span_of("\x80\x04N.", 4), NULL, &f, &err), MAAS_OK);
    EXPECT_STR(f->name, "sklearn");
}

static const mt_case cases[] = {
    MT_CASE(every_row_is_complete),  MT_CASE(no_class_has_two_rows),
    MT_CASE(a_line_becomes_a_graph), MT_CASE(refusals_name_the_place),
    MT_CASE(versions_are_numbers),   MT_CASE(the_format_is_found_by_content),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
