/* learn/boost/xgb.c - the library's functions by name. */
#include "learn/boost/xgb.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"

#include "base/ban.h"

/* The interface is the same in all of them; Debian's is the first. */
static const char *const names[] = {"libxgboost.so.0", "libxgboost.so.1", "libxgboost.so.2",
                                    "libxgboost.so.3"};

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define F(name)                                                                                    \
    {                                                                                              \
#name, offsetof(maas_xgb, name)                                                            \
    }
    F(XGDMatrixCreateFromMat_omp),
    F(XGDMatrixSetStrFeatureInfo),
    F(XGDMatrixSetFloatInfo),
    F(XGDMatrixSetUIntInfo),
    F(XGDMatrixFree),
    F(XGBoosterCreate),
    F(XGBoosterFree),
    F(XGBoosterSetParam),
    F(XGBoosterUpdateOneIter),
    F(XGBoosterEvalOneIter),
    F(XGBoosterSlice),
    F(XGBoosterPredictFromDMatrix),
    F(XGBoosterSaveModelToBuffer),
    F(XGBoosterFeatureScore),
#undef F
};
_Static_assert(sizeof(maas_xgb) == MAAS_COUNT(functions) * sizeof(void *),
               "a function of the table is looked up by no name");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows; a leaf */
static maas_xgb table;
static bool is_open;

static maas_status open_table(maas_err *err)
{
    void *library = NULL;
    for (size_t i = 0; !library && i < MAAS_COUNT(names); i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return maas_fail(err, MAAS_E_UNAVAILABLE,
                         "gradient_boosting needs XGBoost's library on the server: install the "
                         "package libxgboost0");
    for (size_t i = 0; i < MAAS_COUNT(functions); i++) {
        void *f = dlsym(library, functions[i].name);
        if (!f) {
            dlclose(library);
            return maas_fail(err, MAAS_E_UNAVAILABLE,
                             "gradient_boosting: XGBoost's library on the server is older than "
                             "1.6: it has no %s",
                             functions[i].name);
        }
        memcpy((char *)&table + functions[i].offset, &f, sizeof f);
    }
    is_open = true;
    return MAAS_OK;
}

maas_status maas_xgb_open(const maas_xgb **out, maas_err *err)
{
    pthread_mutex_lock(&lock);
    const maas_status st = is_open ? MAAS_OK : open_table(err);
    pthread_mutex_unlock(&lock);
    *out = &table;
    return st;
}

maas_status maas_xgb_did(int result, const char *step, maas_err *err)
{
    return result == 0 ? MAAS_OK
                       : maas_fail(err, MAAS_E_INTERNAL, "XGBoost gave up while %s", step);
}
