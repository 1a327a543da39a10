/*
 * jobs/image_child.c - inside the sandbox: files of pictures in, pixels of the size that a model
 * takes out, one after the other until the server closes the connection. The libraries are opened
 * before the door is locked.
 */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "jobs/helper_proc.h"
#include "jobs/image_int.h"
#include "base/ban.h"

static maas_status decode(maas_span file, const maas_image_fit *fit, uint8_t **out, maas_err *err)
{
    maas_image is;
    MAAS_TRY(maas_image_look(file, &is, err));
    AUTO_FREE uint8_t *rgb = maas_alloc((size_t)is.width * is.height * 3);
    AUTO_FREE uint8_t *fitted = maas_alloc(maas_image_fit_bytes(fit));
    if (!rgb || !fitted)
        return maas_fail(err, MAAS_E_TOO_LARGE,
                         "the image of %u x %u pixels does not fit the memory of its decoder",
                         is.width, is.height);
    MAAS_TRY(maas_image_decode(file, &is, rgb, err));
    MAAS_TRY(maas_image_fit_into(rgb, &is, fit, fitted, err));
    *out = STEAL(fitted);
    return MAAS_OK;
}

static maas_status answer(int control, maas_status st, const void *p, size_t n)
{
    const maas_image_answer a = {(int32_t)st, (uint32_t)n};
    MAAS_TRY(maas_sys_write(control, &a, sizeof a, NULL));
    return maas_sys_write(control, p, n, NULL);
}

/* No clock and no poll in here: it waits as long as the server keeps the connection. */
static bool take(int fd, void *p, size_t n)
{
    size_t got = 0;
    for (size_t at = 0; at < n; at += got)
        if (maas_sys_read(fd, (char *)p + at, n - at, &got, NULL) != MAAS_OK || got == 0)
            return false;
    return true;
}

/* One picture; false when the server has gone, or said what makes no sense. */
static bool serve_one(int control)
{
    maas_image_order o;
    maas_err err = {0};
    AUTO_FREE uint8_t *file = NULL, *pixels = NULL;
    if (!take(control, &o, sizeof o) || !maas_image_fit_ok(&o.fit) || o.bytes > UINT32_MAX)
        return false;
    file = maas_alloc(o.bytes + 1);
    if (!file || !take(control, file, o.bytes))
        return false;
    const maas_status st = decode(maas_span_of(file, o.bytes), &o.fit, &pixels, &err);
    if (st == MAAS_OK)
        return answer(control, st, pixels, maas_image_fit_bytes(&o.fit)) == MAAS_OK;
    return answer(control, st, err.msg, strlen(err.msg)) == MAAS_OK;
}

void maas_image_child(const maas_wire_order *o, int control)
{
    const int keep[] = {control, 2};
    maas_err err = {0};
    maas_image_open();
    if (maas_sandbox_enter(keep, (int)MAAS_COUNT(keep), &o->limits, &err) != MAAS_OK)
        return;
    while (serve_one(control))
        continue;
}
