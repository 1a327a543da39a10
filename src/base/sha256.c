#include "base/sys.h"

#include <openssl/evp.h>

#include "base/ban.h"

bool maas_sha256_init(maas_sha256 *h)
{
    h->ctx = EVP_MD_CTX_new();
    if (h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) == 1)
        return true;
    maas_sha256_reset(h);
    return false;
}

void maas_sha256_add(maas_sha256 *h, const void *p, size_t n)
{
    MAAS_CHECK(EVP_DigestUpdate(h->ctx, p, n) == 1);
}

void maas_sha256_done(maas_sha256 *h, uint8_t out[MAAS_SHA256_BYTES])
{
    MAAS_CHECK(EVP_DigestFinal_ex(h->ctx, out, NULL) == 1);
    maas_sha256_reset(h);
}

void maas_sha256_reset(maas_sha256 *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

void maas_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool maas_unhex(const char *text, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(text[2 * i]), low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * n] == '\0';
}
