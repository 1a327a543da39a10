/*
 * Decoders of preparation on pickles written by hand: what a request with an unknown value is told,
 * and what attributes that do not fit together are told. Right answers are compared with the maker
 * in tests/client/makers/sk_prep.py and sk_text.py.
 */
#include "maas_test.h"

#include "base/sys.h"
#include "formats/sklearn/sklearn.h"
#include "../../fuzz/onnx_run.h"

/* An object of this class with this state: pairs of protocol 0. */
static onnx_run run_object(const char *class_name, const char *state)
{
    char file[2048];
    int n = snprintf(file, sizeof file, "c%s\n)\x81}(%sub.", class_name, state);
    MAAS_CHECK(n > 0 && (size_t)n < sizeof file);
    uint8_t *exact = malloc((size_t)n); /* a read past the end is seen */
    memcpy(exact, file, (size_t)n);
    onnx_run r = model_run_bytes(maas_span_of(exact, (size_t)n), maas_sk_read);
    free(exact);
    return r;
}

#define ENCODERS "sklearn.preprocessing._encoders\n"
#define DATA     "sklearn.preprocessing._data\n"
#define TEXT     "sklearn.feature_extraction.text\n"
#define TOWN     "Vn_features_in_\nI1\nVfeature_names_in_\n(Vtown\nlVcategories_\n((VOslo\nVRome\nll"

/* Requests are filled with "" and "yes": neither is a town. */
static void an_unknown_value_names_its_column(void)
{
    static const char *const classes[] = {ENCODERS "OrdinalEncoder", ENCODERS "OneHotEncoder"};
    for (size_t i = 0; i < MAAS_COUNT(classes); i++) {
        onnx_run r = run_object(classes[i], "Vhandle_unknown\nVerror\n" TOWN);
        EXPECT_MSG(r.accepted && !r.ran, "%s: %s", classes[i], r.err.msg);
        EXPECT_EQ(r.status, MAAS_E_INVALID);
        EXPECT_MSG(strstr(r.err.msg, "a value of column 'town' that is not among the categories"),
                   "%s", r.err.msg);
    }
}

static void an_unknown_value_may_be_encoded(void)
{
    onnx_run r = run_object(ENCODERS "OneHotEncoder", "Vhandle_unknown\nVignore\n" TOWN);
    EXPECT_MSG(r.ran, "%s", r.err.msg);
    r = run_object(ENCODERS "OrdinalEncoder",
                   "Vhandle_unknown\nVuse_encoded_value\nVunknown_value\nI-1\n" TOWN);
    EXPECT_MSG(r.ran, "%s", r.err.msg);
}

static void attributes_must_fit_together(void)
{
    static const struct {
        const char *class_name, *state, *words;
    } rows[] = {
        {ENCODERS "OneHotEncoder", "Vn_features_in_\nI1\nVcategories_\n((VOslo\nI3\nll",
         "texts and numbers"},
        {ENCODERS "OneHotEncoder", "Vn_features_in_\nI1\nVcategories_\n((V\nNll", "empty text"},
        {ENCODERS "OneHotEncoder", "Vn_features_in_\nI1\nVcategories_\n((ll", "without categories"},
        {ENCODERS "OneHotEncoder", "Vhandle_unknown\nVmaybe\n" TOWN, "handle_unknown"},
        {ENCODERS "OneHotEncoder", "Vdrop_idx_\n(I7\nl" TOWN, "drop_idx_[0] is 7"},
        {ENCODERS "OneHotEncoder", "Vn_features_in_\nI1\nVcategories_\nI5\n", "categories_ is int"},
        {DATA "StandardScaler", "Vn_features_in_\nI2\n", "mean_"},
        {DATA "StandardScaler", "Vn_features_in_\nI-2\n", "n_features_in_"},
        {DATA "Normalizer", "Vn_features_in_\nI2\nVnorm\nVl3\n", "norm"},
        {"sklearn.preprocessing._polynomial\nPolynomialFeatures",
         "Vn_features_in_\nI60000\nVdegree\nI9\n", "more than"},
        {"sklearn.preprocessing._polynomial\nPolynomialFeatures",
         "Vn_features_in_\nI2\nVdegree\nI99\n", "degree is 99"},
        {TEXT "CountVectorizer", "Vanalyzer\nVword\nVngram_range\n(I1\nI99\nt", "ngram_range"},
        {TEXT "CountVectorizer",
         "Vanalyzer\nVword\nVngram_range\n(I1\nI1\ntVtoken_pattern\nV(a+)+$\n"
         "Vvocabulary_\n(Va\nI0\nd",
         "token pattern"},
        {TEXT "CountVectorizer",
         "Vanalyzer\nVchar\nVngram_range\n(I1\nI1\ntVvocabulary_\n(Va\nI1\nd", "vocabulary_"},
        {TEXT "CountVectorizer",
         "Vanalyzer\nVchar\nVngram_range\n(I1\nI1\ntVvocabulary_\n(Va\nI0\nVb\nI0\nd",
         "vocabulary_"},
        {TEXT "HashingVectorizer",
         "Vanalyzer\nVchar\nVngram_range\n(I1\nI1\ntVn_features\nI99999999999\n", "n_columns"},
        {"sklearn.compose._column_transformer\nColumnTransformer",
         "Vn_features_in_\nI1\nVtransformers_\n((Va\nVpassthrough\n(I5\nltl"
         "V_transformer_to_input_indices\n(Va\n(I5\nld",
         "not there"},
        {"sklearn.model_selection._search\nGridSearchCV", "Vrefit\nI00\n", "best_estimator_"},
        {"sklearn.feature_selection._variance_threshold\nVarianceThreshold", "Vthreshold\nF0.0\n",
         "variances_"},
    };
    for (size_t i = 0; i < MAAS_COUNT(rows); i++) {
        onnx_run r = run_object(rows[i].class_name, rows[i].state);
        EXPECT_MSG(!r.accepted && strstr(r.err.msg, rows[i].words), "row %zu: %s", i, r.err.msg);
    }
}

static const mt_case cases[] = {
    MT_CASE(an_unknown_value_names_its_column),
    MT_CASE(an_unknown_value_may_be_encoded),
    MT_CASE(attributes_must_fit_together),
};
int main(int argc, char **argv)
{
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
