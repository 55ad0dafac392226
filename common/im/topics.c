#include "common/im/topics.h"

#include "common/base/kconf.h"
#include "common/base/macros.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX_MAX 64
#define FILE_NAME  "schema/topics.json"

/* The file's ids, in the order of enum topic_index; delivery topics last. */
static const char *const ids[] = {"inbound", "conversation", "user",   "vault",   "query",
                                  "signal",  "presence",     "lease",  "offline", "cursor",
                                  "dlq",     "webhook",      "deliver"};
_Static_assert(ARRAY_LEN(ids) == T_DELIVER0 + 1, "every topic has an id");
static const char *const group_ids[] = {"router", "fanout",   "persister", "offline",
                                        "query",  "webhooks", "auditor",   "slot"};
_Static_assert(ARRAY_LEN(group_ids) == GROUP_SLOT0 + 1, "every group has an id");

struct topics {
    json_t *root; /* owns key and together */
    char *profile, *prefix;
    uint32_t slots;
    size_t n;
    struct topic *topic;
    struct ktopic *ktopic;
    char **group;
};

/* ---- where the file is ---- */

static json_t *load_at(const char *path, char *err, size_t err_n)
{
    json_error_t e;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        snprintf(err, err_n, "%s:%d: %s", path, e.line, e.text);
    return root;
}

/* Beside the program or above it: installed (bin, share/parley) or in the source tree (build/bin, schema). */
static bool near_program(const char *tail, char *out, size_t out_n)
{
    char exe[1024];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return false;
    exe[n] = '\0';
    for (int level = 0; level < 5; level++) {
        char *slash = strrchr(exe, '/');
        if (!slash)
            return false;
        *slash = '\0';
        if (snprintf(out, out_n, "%s/%s", exe, tail) < (int)out_n && access(out, R_OK) == 0)
            return true;
    }
    return false;
}

static json_t *load(const char *file, char *err, size_t err_n)
{
    char path[1200];
    const char *env = getenv("PARLEY_TOPICS"); /* NOLINT(concurrency-mt-unsafe): at start */
    if (file && *file)
        return load_at(file, err, err_n);
    if (env && *env)
        return load_at(env, err, err_n);
    if (near_program("share/parley/" FILE_NAME, path, sizeof path))
        return load_at(path, err, err_n);
    if (access(FILE_NAME, R_OK) != 0 && near_program(FILE_NAME, path, sizeof path))
        return load_at(path, err, err_n);
    return load_at(FILE_NAME, err, err_n);
}

/* ---- reading it ---- */

__attribute__((format(printf, 3, 4))) static bool fail(char *err, size_t err_n, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, err_n, fmt, ap);
    va_end(ap);
    return false;
}

static int index_of(const char *const *list, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (id && strcmp(list[i], id) == 0)
            return (int)i;
    return -1;
}

static bool read_readers(const json_t *o, uint32_t *out, char *err, size_t err_n)
{
    size_t i;
    const json_t *g;
    *out = 0;
    json_array_foreach(json_object_get(o, "readers"), i, g)
    {
        int at = index_of(group_ids, ARRAY_LEN(group_ids), json_string_value(g));
        if (at < 0)
            return fail(err, err_n, "topics: a reader that is no group");
        *out |= 1u << at;
    }
    return true;
}

static bool read_topic(const struct topics *t, const json_t *o, struct topic *out, char *err, size_t err_n)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *cleanup = json_string_value(json_object_get(o, "cleanup"));
    const json_t *parts = json_object_get(json_object_get(o, "partitions"), t->profile);
    const json_t *retention = json_object_get(o, "retention_ms");
    if (!name || !*name)
        return fail(err, err_n, "topics: a topic without a name");
    if (!json_is_integer(parts) || json_integer_value(parts) < 1 || json_integer_value(parts) > 10000)
        return fail(err, err_n, "topics: %s has no partition count for profile %s", name, t->profile);
    if (!cleanup || (strcmp(cleanup, "delete") != 0 && strcmp(cleanup, "compact") != 0))
        return fail(err, err_n, "topics: %s: cleanup is neither delete nor compact", name);
    if (!json_is_integer(retention) || json_integer_value(retention) < -1)
        return fail(err, err_n, "topics: %s: retention_ms is missing or below -1", name);
    out->key = json_string_value(json_object_get(o, "key"));
    out->together = json_string_value(json_object_get(o, "together"));
    out->parts = (int32_t)json_integer_value(parts);
    out->retention_ms = json_integer_value(retention) == 0 ? -1 : json_integer_value(retention);
    out->compact = strcmp(cleanup, "compact") == 0;
    out->compact_within_ms = json_integer_value(json_object_get(o, "compact_within_ms"));
    if (out->compact_within_ms && (!out->compact || out->compact_within_ms < 0))
        return fail(err, err_n, "topics: %s: compact_within_ms is not for it", name);
    return read_readers(o, &out->readers, err, err_n);
}

static bool set_name(struct topics *t, size_t index, const char *name, int32_t slot)
{
    int n = slot < 0 ? asprintf(&t->topic[index].name, "%s%s", t->prefix, name)
                     : asprintf(&t->topic[index].name, "%s%s.%d", t->prefix, name, slot);
    return n >= 0;
}

static bool read_topics(struct topics *t, char *err, size_t err_n)
{
    size_t i;
    const json_t *o;
    json_array_foreach(json_object_get(t->root, "topics"), i, o)
    {
        int at = index_of(ids, ARRAY_LEN(ids), json_string_value(json_object_get(o, "id")));
        if (at < 0 || t->topic[at].name)
            return fail(err, err_n, "topics: entry %zu has an unknown id, or one that was there before", i);
        const char *name = json_string_value(json_object_get(o, "name"));
        for (uint32_t s = 0; s < (at == T_DELIVER0 ? t->slots : 1); s++) {
            struct topic *out = &t->topic[(size_t)at + s];
            if (!read_topic(t, o, out, err, err_n))
                return false;
            if (!set_name(t, (size_t)at + s, name, at == T_DELIVER0 ? (int32_t)s : -1))
                return fail(err, err_n, "topics: no memory");
        }
    }
    for (i = 0; i < t->n; i++)
        if (!t->topic[i].name)
            return fail(err, err_n, "topics: `%s` is missing", ids[i < T_DELIVER0 ? i : T_DELIVER0]);
    for (i = 0; i < t->n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct topic *a = &t->topic[i], *b = &t->topic[k];
            if (a->together && b->together && strcmp(a->together, b->together) == 0 && a->parts != b->parts)
                return fail(err, err_n, "topics: %s and %s must have equal partition counts", a->name,
                            b->name);
            if (strcmp(a->name, b->name) == 0)
                return fail(err, err_n, "topics: %s is there twice", a->name);
        }
    for (i = T_DELIVER0; i < t->n; i++)
        if (t->topic[i].parts != 1)
            return fail(err, err_n, "topics: a delivery topic has one partition");
    return true;
}

static bool read_groups(struct topics *t, char *err, size_t err_n)
{
    const json_t *groups = json_object_get(t->root, "groups");
    for (uint32_t i = 0; i < GROUP_SLOT0 + t->slots; i++) {
        const char *id = group_ids[i < GROUP_SLOT0 ? i : GROUP_SLOT0];
        const char *name = json_string_value(json_object_get(groups, id));
        if (!name || !*name)
            return fail(err, err_n, "topics: group %s has no name", id);
        int n = i < GROUP_SLOT0 ? asprintf(&t->group[i], "%s%s", t->prefix, name)
                                : asprintf(&t->group[i], "%s%s-%u", t->prefix, name, i - GROUP_SLOT0);
        if (n < 0)
            return fail(err, err_n, "topics: no memory");
    }
    return true;
}

static bool prefix_ok(const char *p)
{
    size_t n = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n <= PREFIX_MAX && p[n] == '\0';
}

static bool build(struct topics *t, char *err, size_t err_n)
{
    json_int_t slots = json_integer_value(json_object_get(json_object_get(t->root, "slots"), t->profile));
    if (slots < 1 || slots > TOPICS_SLOTS_MAX)
        return fail(err, err_n, "topics: there is no profile %s, or its slots are not 1 to %d", t->profile,
                    TOPICS_SLOTS_MAX);
    t->slots = (uint32_t)slots;
    t->n = T_DELIVER0 + t->slots;
    t->topic = calloc(t->n, sizeof *t->topic);
    t->ktopic = calloc(t->n, sizeof *t->ktopic);
    t->group = calloc(GROUP_SLOT0 + t->slots, sizeof *t->group);
    if (!t->topic || !t->ktopic || !t->group)
        return fail(err, err_n, "topics: no memory");
    if (!read_topics(t, err, err_n) || !read_groups(t, err, err_n))
        return false;
    for (size_t i = 0; i < t->n; i++)
        t->ktopic[i] = (struct ktopic){.name = t->topic[i].name, .partitions = t->topic[i].parts};
    return true;
}

struct topics *topics_new(const char *file, const char *profile, const char *prefix, char *err, size_t err_n)
{
    struct topics *t = calloc(1, sizeof *t);
    if (!t) {
        fail(err, err_n, "topics: no memory");
        return NULL;
    }
    t->profile = strdup(profile && *profile ? profile : "small");
    t->prefix = strdup(prefix ? prefix : "");
    if (!t->profile || !t->prefix)
        fail(err, err_n, "topics: no memory");
    else if (!prefix_ok(t->prefix))
        fail(err, err_n, "topics.prefix may have letters, digits, `.`, `_`, `-`, and %d of them at most",
             PREFIX_MAX);
    else if ((t->root = load(file, err, err_n)) && build(t, err, err_n))
        return t;
    topics_free(t);
    return NULL;
}

void topics_free(struct topics *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->topic && i < t->n; i++)
        free(t->topic[i].name);
    for (size_t i = 0; t->group && i < GROUP_SLOT0 + t->slots; i++)
        free(t->group[i]);
    free(t->topic);
    free(t->ktopic);
    free(t->group);
    free(t->profile);
    free(t->prefix);
    json_decref(t->root);
    free(t);
}

/* ---- asking ---- */

uint32_t topics_slots(const struct topics *t)
{
    return t->slots;
}

size_t topics_count(const struct topics *t)
{
    return t->n;
}

const struct topic *topics_get(const struct topics *t, uint16_t index)
{
    return index < t->n ? &t->topic[index] : NULL;
}

const char *topics_name(const struct topics *t, uint16_t index)
{
    return index < t->n ? t->topic[index].name : "?";
}

const struct ktopic *topics_ktopics(const struct topics *t)
{
    return t->ktopic;
}

int topics_find(const struct topics *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->topic[i].name, name) == 0)
            return (int)i;
    return -ENOENT;
}

const char *topics_profile(const struct topics *t)
{
    return t->profile;
}

const char *topics_prefix(const struct topics *t)
{
    return t->prefix;
}

size_t topics_groups(const struct topics *t)
{
    return GROUP_SLOT0 + t->slots;
}

const char *topics_group(const struct topics *t, uint32_t group)
{
    return group < GROUP_SLOT0 + t->slots ? t->group[group] : NULL;
}

bool topics_reads(const struct topics *t, uint32_t group, uint16_t index)
{
    if (index >= t->n || group >= GROUP_SLOT0 + t->slots)
        return false;
    if (group >= GROUP_SLOT0)
        return index == T_DELIVER0 + (group - GROUP_SLOT0);
    return t->topic[index].readers >> group & 1;
}

/* Apache Kafka's own variant, as in librdkafka's murmur2 partitioner. */
uint32_t topics_murmur2(struct slice key)
{
    const uint8_t *p = key.p;
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28cu ^ (uint32_t)key.n;
    size_t n = key.n;
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    if (n == 3)
        h ^= (uint32_t)p[2] << 16;
    if (n >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (n >= 1)
        h = (h ^ p[0]) * m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

int32_t topics_partition(const struct topics *t, uint16_t index, struct slice key)
{
    if (index >= t->n)
        return -1;
    return (int32_t)((topics_murmur2(key) & 0x7fffffffu) % (uint32_t)t->topic[index].parts);
}
