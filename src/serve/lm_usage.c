#include "serve/lm_usage.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/ban.h"

void maas_lm_usage_init(maas_lm_usage *u)
{
    *u = (maas_lm_usage){.other = {.key = "other"}};
    pthread_mutex_init(&u->lock, NULL);
}

void maas_lm_usage_reset(maas_lm_usage *u)
{
    pthread_mutex_destroy(&u->lock);
    maas_free(u->rows);
    u->rows = NULL;
}

/* With the lock. */
static maas_lm_usage_row *row_of(maas_lm_usage *u, const char *key)
{
    for (size_t i = 0; i < u->n; i++)
        if (strcmp(u->rows[i].key, key) == 0)
            return &u->rows[i];
    if (u->n == MAAS_LM_USAGE_KEYS || !maas_grow(&u->rows, &u->cap, u->n + 1, sizeof *u->rows))
        return &u->other;
    maas_lm_usage_row *r = &u->rows[u->n++];
    *r = (maas_lm_usage_row){0};
    snprintf(r->key, sizeof r->key, "%s", key);
    return r;
}

void maas_lm_usage_add(maas_lm_usage *u, const char *key, const maas_lm_event *ev)
{
    const maas_lm_timing *t = &ev->timing;
    if (!*key)
        return;
    pthread_mutex_lock(&u->lock);
    maas_lm_usage_row *r = row_of(u, key);
    r->requests++;
    r->prompt_tokens += t->prompt_tokens;
    r->cached_tokens += t->cached_tokens;
    r->tokens += t->tokens;
    if (t->tokens) {
        r->begun++;
        r->first_ns += t->queue_ns + t->prompt_ns;
        r->decode_ns += t->decode_ns;
    }
    pthread_mutex_unlock(&u->lock);
}

bool maas_lm_usage_at(maas_lm_usage *u, size_t i, maas_lm_usage_row *out)
{
    pthread_mutex_lock(&u->lock);
    const bool last = i == u->n && u->other.requests > 0;
    if (i < u->n || last)
        *out = last ? u->other : u->rows[i];
    const bool there = i < u->n || last;
    pthread_mutex_unlock(&u->lock);
    return there;
}
