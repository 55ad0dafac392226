#include "common/base/store_redis_int.h"

#include <stdlib.h>

#define TEXT_EACH 208 /* a key, or a count */

static void on_sha(void *ctx, const struct kv_result *r)
{
    struct redis_script *s = ctx;
    if (r->status == KV_OK && r->reply->type == REDIS_REPLY_STRING && r->reply->len == 40)
        memcpy(s->sha, r->reply->str, 41);
    else
        s->asked = false;
}

size_t redis_script_begin(struct redis_script *s, struct kv *kv, struct slice *args, const char *n_keys)
{
    if (!s->sha[0] && !s->asked)
        s->asked = kv_sendz(kv, on_sha, s, "SCRIPT", "LOAD", s->source, NULL) == 0;
    const char *text[] = {s->sha[0] ? "EVALSHA" : "EVAL", s->sha[0] ? s->sha : s->source, n_keys};
    for (int i = 0; i < 3; i++)
        args[i] = (struct slice){text[i], strlen(text[i])};
    return 3;
}

bool redis_script_missing(struct redis_script *s, const struct kv_result *r)
{
    if (r->status != KV_ERROR || r->error != KV_ERR_NOSCRIPT)
        return false;
    s->sha[0] = 0;
    s->asked = false;
    return true;
}

struct builder {
    struct redis_put_args *a;
    char *text;
};

static struct slice *add(struct builder *b, struct slice s)
{
    b->a->args[b->a->n] = s;
    return &b->a->args[b->a->n++];
}

static void add_key(struct builder *b, const char *base, unsigned table)
{
    int n = table < STORE_TABLES ? snprintf(b->text, TEXT_EACH, "%s:t%u", base, table)
                                 : snprintf(b->text, TEXT_EACH, "%s:m", base);
    add(b, (struct slice){b->text, (size_t)n});
    b->text += TEXT_EACH;
}

static void add_rows(struct builder *b, const struct store_put *put, unsigned table, bool deletes)
{
    struct slice *count = add(b, (struct slice){b->text, 0});
    size_t n = 0;
    for (size_t i = 0; i < put->n; i++) {
        const struct store_row *r = &put->rows[i];
        if (r->table != table || (r->row.n == 0) != deletes)
            continue;
        add(b, r->key);
        if (!deletes)
            add(b, r->row);
        n += deletes ? 1 : 2;
    }
    *count = (struct slice){b->text, (size_t)snprintf(b->text, TEXT_EACH, "%zu", n)};
    b->text += TEXT_EACH;
}

struct slice *redis_put_args(struct redis_put_args *a, const char *base, const struct store_put *put)
{
    bool used[STORE_TABLES] = {0};
    unsigned n_keys = 1;
    for (size_t i = 0; i < put->n; i++) {
        n_keys += !used[put->rows[i].table];
        used[put->rows[i].table] = true;
    }
    n_keys += put->reset ? STORE_TABLES : 0;
    *a = (struct redis_put_args){0};
    a->args = malloc((3 + n_keys + 5 + 2 * STORE_TABLES + 2 * put->n) * sizeof *a->args);
    a->text = malloc((size_t)TEXT_EACH * (n_keys + 2 * STORE_TABLES));
    if (!a->args || !a->text) {
        redis_put_args_release(a);
        return NULL;
    }
    snprintf(a->n_keys, sizeof a->n_keys, "%u", n_keys);
    struct builder b = {a, a->text};
    a->n = 3;
    add_key(&b, base, STORE_TABLES);
    for (unsigned t = 0; put->reset && t < STORE_TABLES; t++)
        add_key(&b, base, t);
    for (unsigned t = 0; t < STORE_TABLES; t++)
        if (used[t])
            add_key(&b, base, t);
    a->fixed_at = a->n;
    a->n += 5;
    for (unsigned t = 0; t < STORE_TABLES; t++) {
        if (!used[t])
            continue;
        add_rows(&b, put, t, false);
        add_rows(&b, put, t, true);
    }
    return a->args;
}

void redis_put_args_release(struct redis_put_args *a)
{
    free(a->args);
    free(a->text);
    a->args = NULL;
    a->text = NULL;
}
