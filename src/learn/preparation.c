/* learn/preparation.c - the rows of the group "preparation". */
#include "learn/preparation.h"

#include "learn/encoders.h"

#include "base/ban.h"

#define AT(f) offsetof(maas_preparation, f)

static const char *const impute_names[] = {"mean", "median", "most_frequent", "constant", NULL};
const char *const maas_text_way_names[] = {"auto",    "onehot", "ordinal", "target",
                                           "hashing", "tfidf",  "date",    NULL};

/* clang-format off */
const maas_param maas_preparation_rows[MAAS_N_PREPARATION] = {
    {"impute", MAAS_PARAM_CHOICE, AT(impute), .preset = MAAS_IMPUTE_MEAN, .choices = impute_names,
     .help = "what a missing number becomes, measured on the training rows"},
    {"fill", MAAS_PARAM_NUM, AT(fill), -1e12, 1e12, 0, .help = "what it becomes by constant"},
    {"text", MAAS_PARAM_CHOICE, AT(text), .preset = MAAS_TEXT_AUTO, .choices = maas_text_way_names,
     .help = "what a text column becomes; auto: date where all of it are dates, else onehot"},
    {"columns", MAAS_PARAM_JSON, AT(columns),
     .help = "{\"column\": way}: the same for single columns"},
    {"max_words", MAAS_PARAM_INT, AT(max_words), 1, 1e6, 1000,
     .help = "tfidf: words of a column, the most frequent ones"},
    {"ngrams", MAAS_PARAM_INT, AT(ngrams), 1, 8, 1,
     .help = "tfidf, hashing: also runs of up to so many words"},
    {"hash_columns", MAAS_PARAM_INT, AT(hash_columns), 2, 1 << 16, 64,
     .help = "hashing: inputs that words are hashed into"},
    {"smooth", MAAS_PARAM_NUM, AT(smooth), 0, 1e9, 10,
     .help = "target: rows that the mean of all counts beside those of a category"},
};
/* clang-format on */

static int way_of(const char *name)
{
    for (int i = 0; name && maas_text_way_names[i]; i++)
        if (strcmp(maas_text_way_names[i], name) == 0)
            return i;
    return -1;
}

maas_status maas_preparation_check(const maas_preparation *p, maas_err *err)
{
    const char *column;
    json_t *v;
    if (p->columns && !json_is_object(p->columns))
        return maas_fail(err, MAAS_E_INVALID,
                         "params.preparation.columns must be an object of column and way");
    json_object_foreach((json_t *)p->columns, column, v)
    {
        if (way_of(json_string_value(v)) < 0)
            return maas_fail(err, MAAS_E_INVALID,
                             "params.preparation.columns.%.60s must be one of auto, onehot, "
                             "ordinal, target, hashing, tfidf, date",
                             column);
    }
    return MAAS_OK;
}

int maas_preparation_way(const maas_preparation *p, const char *column)
{
    const int named = way_of(json_string_value(json_object_get(p->columns, column)));
    return named < 0 ? p->text : named;
}
