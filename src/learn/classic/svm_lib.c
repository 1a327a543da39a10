/* learn/classic/svm_lib.c - finding libsvm: fixed places, a known version, all symbols or none. */
#include "learn/classic/svm_lib.h"

#include <dlfcn.h>
#include <string.h>

#include "base/ban.h"

static const char *const places[] = {
    "/usr/lib/x86_64-linux-gnu/libsvm.so.3",
    "/usr/lib/aarch64-linux-gnu/libsvm.so.3",
    "/usr/lib64/libsvm.so.3",
    "/usr/lib/libsvm.so.3",
    "/usr/local/lib/libsvm.so.3",
};

#define OLDEST 300
#define NEWEST 329 /* later ones have another struct of a model */

static maas_status take_symbols(void *lib, maas_libsvm *out, maas_err *err)
{
    const struct {
        const char *name;
        void *to;
    } symbols[] = {
        {"svm_train", &out->train},
        {"svm_check_parameter", &out->check},
        {"svm_free_and_destroy_model", &out->destroy},
        {"svm_set_print_string_function", &out->set_print},
    };
    const int *version = dlsym(lib, "libsvm_version");
    if (!version || *version < OLDEST || *version > NEWEST)
        return maas_fail(err, MAAS_E_UNAVAILABLE,
                         "svm: libsvm has version %d, %d to %d are known (package libsvm3)",
                         version ? *version : 0, OLDEST, NEWEST);
    for (size_t i = 0; i < MAAS_COUNT(symbols); i++) {
        void *p = dlsym(lib, symbols[i].name);
        if (!p)
            return maas_fail(err, MAAS_E_UNAVAILABLE, "svm: libsvm has no %s (package libsvm3)",
                             symbols[i].name);
        memcpy(symbols[i].to, &p, sizeof p);
    }
    return MAAS_OK;
}

maas_status maas_libsvm_load(maas_libsvm *out, maas_err *err)
{
    for (size_t i = 0; i < MAAS_COUNT(places); i++) {
        void *lib = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
        if (lib)
            return take_symbols(lib, out, err);
    }
    return maas_fail(err, MAAS_E_UNAVAILABLE,
                     "svm needs libsvm on the server: install the package libsvm3");
}
