/* What an API key looks like: mk_<kid>_<secret>_<crc>, digits of base 62. */
#include "registry/registry_int.h"

#include <string.h>
#include <zlib.h>

#include "base/ban.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

enum { BASE = 62, CRC_LEN = 6, HEAD_LEN = 3 + MAAS_KID_LEN + 1 + MAAS_SECRET_LEN };
_Static_assert(HEAD_LEN + 1 + CRC_LEN == MAAS_KEY_LEN, "the parts make the whole");

void maas_base62_random(char *out, size_t n)
{
    uint8_t bytes[64];
    size_t done = 0;
    while (done < n) {
        maas_random_bytes(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes && done < n; i++)
            if (bytes[i] < 4 * BASE) /* the rest would favour the first digits */
                out[done++] = digits[bytes[i] % BASE];
    }
    out[n] = '\0';
    explicit_bzero(bytes, sizeof bytes);
}

/* Six digits hold 32 bits. */
static void print_crc(const char *text, size_t n, char out[CRC_LEN])
{
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)text, (uInt)n);
    for (size_t i = CRC_LEN; i-- > 0; crc /= BASE)
        out[i] = digits[crc % BASE];
}

void maas_key_print(const maas_key_text *k, char out[MAAS_KEY_LEN + 1])
{
    int n = snprintf(out, MAAS_KEY_LEN + 1, "mk_%s_%s", k->kid, k->secret);
    MAAS_CHECK(n == HEAD_LEN);
    out[HEAD_LEN] = '_';
    print_crc(out, HEAD_LEN, out + HEAD_LEN + 1);
    out[MAAS_KEY_LEN] = '\0';
}

static bool take_digits(const char *text, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        if (!memchr(digits, text[i], BASE))
            return false;
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

bool maas_key_parse(const char *text, maas_key_text *out)
{
    char crc[CRC_LEN];
    if (!text || strnlen(text, MAAS_KEY_LEN + 1) != MAAS_KEY_LEN || memcmp(text, "mk_", 3) != 0 ||
        text[3 + MAAS_KID_LEN] != '_' || text[HEAD_LEN] != '_')
        return false;
    print_crc(text, HEAD_LEN, crc);
    return memcmp(crc, text + HEAD_LEN + 1, CRC_LEN) == 0 &&
           take_digits(text + 3, MAAS_KID_LEN, out->kid) &&
           take_digits(text + 3 + MAAS_KID_LEN + 1, MAAS_SECRET_LEN, out->secret);
}

bool maas_key_hash(const uint8_t pepper[MAAS_PEPPER_BYTES], const char *secret,
                   uint8_t out[MAAS_SHA256_BYTES])
{
    maas_sha256 sha;
    if (!maas_sha256_init(&sha))
        return false;
    maas_sha256_add(&sha, pepper, MAAS_PEPPER_BYTES);
    maas_sha256_add(&sha, secret, MAAS_SECRET_LEN);
    maas_sha256_done(&sha, out);
    return true;
}

/* With a mark to come back to after the last '*': no recursion, at most |glob| * |name| steps. */
bool maas_glob_match(const char *glob, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name) {
        if (*glob == '*') {
            star = glob++;
            resume = name;
        } else if (*glob == *name || *glob == '?') {
            glob++;
            name++;
        } else if (star) {
            glob = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}
