/* One writer, many readers of the snapshot, and the slow calls in between. For TSan above all. */
#include <pthread.h>
#include <stdatomic.h>

#include "reg_test.h"
#include "base/ban.h"

enum { READERS = 3, PUBLICATIONS = 60 };

typedef struct shared {
    maas_registry *r;
    char key[80];
    _Atomic int64_t published; /* the newest number that was acknowledged */
    _Atomic bool done;
} shared;

static void *write_all(void *arg)
{
    shared *sh = arg;
    for (int i = 2; i <= PUBLICATIONS; i++) {
        char content[32];
        snprintf(content, sizeof content, "content %d", i);
        EXPECT_EQ(put_version(sh->r, TENANT, "m", content), i);
        atomic_store(&sh->published, i);
        if (i % 5 == 0)
            MUST(maas_registry_alias_set(sh->r, TENANT, "m", "canary", i, err));
    }
    atomic_store(&sh->done, true);
    return NULL;
}

/* As an I/O thread does it: a reference of its own, renewed when the generation moves. */
static void *read_snapshots(void *arg)
{
    shared *sh = arg;
    const maas_snapshot *s = maas_registry_snapshot(sh->r);
    uint64_t seen = 0;
    int64_t last = 0;
    while (!atomic_load(&sh->done)) {
        int64_t at_least = atomic_load(&sh->published);
        uint64_t now = maas_registry_generation(sh->r);
        if (now != seen) {
            maas_snapshot_unref(s);
            s = maas_registry_snapshot(sh->r);
            seen = now;
        }
        const maas_snap_version *v = NULL;
        maas_principal who;
        MUST(maas_snapshot_resolve(s, TENANT, "m", NULL, NULL, &v, err));
        EXPECT_MSG(v->version >= at_least, "%lld after %lld was acknowledged",
                   (long long)v->version, (long long)at_least);
        EXPECT(v->version >= last);
        last = v->version;
        MUST(maas_snapshot_authenticate(s, sh->key, &who, err));
    }
    maas_snapshot_unref(s);
    return NULL;
}

static void *read_tables(void *arg)
{
    shared *sh = arg;
    uint32_t n;
    for (int i = 0; !atomic_load(&sh->done); i++) {
        AUTO(maas_json_unref) json_t *list = NULL, *doc = NULL;
        char content[32], hex[MAAS_SHA256_HEX];
        MUST(maas_registry_model_list(sh->r, TENANT, &list, err));
        MUST(maas_registry_model_get(sh->r, TENANT, "m", &doc, err));
        snprintf(content, sizeof content, "nobody names %d", i);
        put_blob(sh->r, content, hex);
        if (i % 16 == 0)
            MUST(maas_registry_gc(sh->r, 60000, &n, err));
        if (i % 8 == 0)
            MUST(maas_registry_scrub(sh->r, 4, &n, err));
    }
    return NULL;
}

static void readers_never_wait_and_never_see_the_past(void)
{
    static shared sh;
    pthread_t threads[READERS + 2];
    sh.r = open_dir(make_dir());
    put_version(sh.r, TENANT, "m", "content 1");
    AUTO(maas_json_unref) json_t *scopes = json_pack("[s]", "admin"), *key = NULL;
    MUST(maas_registry_key_create(sh.r, TENANT, "k", scopes, NULL, 0, &key, err));
    snprintf(sh.key, sizeof sh.key, "%s", str_at(key, "key"));
    for (int i = 0; i < READERS + 2; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL,
                                 i == 0   ? write_all
                                 : i == 1 ? read_tables
                                          : read_snapshots,
                                 &sh),
                  0);
    for (int i = 0; i < READERS + 2; i++)
        pthread_join(threads[i], NULL);
    EXPECT_EQ(sh.published, PUBLICATIONS);
    maas_registry_close(sh.r);
}

/* Two jobs publish the same model at once: every number is used exactly once. */
static void *publish_some(void *arg)
{
    shared *sh = arg;
    for (int i = 0; i < 25; i++) {
        char content[64];
        snprintf(content, sizeof content, "content %d of %p", i, (void *)&content);
        put_version(sh->r, TENANT, "both", content);
    }
    return NULL;
}

static void writers_share_the_numbers(void)
{
    static shared sh;
    pthread_t threads[2];
    sh.r = open_dir(make_dir());
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, publish_some, &sh), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    const maas_snapshot *s = maas_registry_snapshot(sh.r);
    const maas_snap_version *v;
    uint32_t n;
    maas_snapshot_model(s, TENANT, 0, &v, &n);
    EXPECT_EQ(n, 50);
    EXPECT_EQ(v[n - 1].version, 50);
    maas_snapshot_unref(s);
    maas_registry_close(sh.r);
}

int main(int argc, char **argv)
{
    static const mt_case cases[] = {
        MT_CASE(readers_never_wait_and_never_see_the_past),
        MT_CASE(writers_share_the_numbers),
    };
    return mt_main(argc, argv, cases, MAAS_COUNT(cases));
}
