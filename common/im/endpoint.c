#include "common/im/endpoint.h"

#include "common/base/hex.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define KINDS 64

struct reading {
    struct endpoint *e;
    size_t at;
    const char *folder;
    char *why;
    size_t why_n;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct reading *r, const char *fmt, ...)
{
    va_list ap;
    size_t n = (size_t)snprintf(r->why, r->why_n, "in entry %zu ", r->at + 1);
    va_start(ap, fmt);
    if (n < r->why_n)
        (void)vsnprintf(r->why + n, r->why_n - n, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

const char *endpoint_event(uint32_t kind, char out[40])
{
    static const char prefix[] = "CONV_";
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&im__conv_kind__descriptor, (int)kind);
    if (!v || strncmp(v->name, prefix, sizeof prefix - 1) != 0)
        return NULL;
    size_t i = 0;
    for (const char *p = v->name + sizeof prefix - 1; *p && i < 39; p++)
        out[i++] = (char)tolower((unsigned char)*p);
    out[i] = '\0';
    return out;
}

static int read_name(const struct reading *r, const char *name)
{
    size_t n = name ? strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") : 0;
    if (n == 0 || name[n] || n > WEBHOOK_NAME_MAX)
        return wrong(r, "a name of letters, digits, - and _, at most %d of them", WEBHOOK_NAME_MAX);
    memcpy(r->e->name, name, n + 1);
    return 0;
}

static int read_url(const struct reading *r, const char *url)
{
    if (!url || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
        return wrong(r, "a url that begins with https:// (or http://)");
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ')
            return wrong(r, "a url without blanks");
    r->e->url = strdup(url);
    return r->e->url ? 0 : -ENOMEM;
}

static int read_secret(const struct reading *r, const char *path)
{
    if (!path || !*path)
        return wrong(r, "secret_file, the path of a file with whsec_… in it");
    int n = *path == '/' || !r->folder ? asprintf(&r->e->secret_file, "%s", path)
                                       : asprintf(&r->e->secret_file, "%s/%s", r->folder, path);
    if (n >= 0)
        return 0;
    r->e->secret_file = NULL;
    return -ENOMEM;
}

static int kind_named(const char *name)
{
    char event[40];
    for (int k = 1; name && k < KINDS; k++)
        if (endpoint_event((uint32_t)k, event) && strcmp(event, name) == 0)
            return k;
    return 0;
}

static int read_events(const struct reading *r, const json_t *list)
{
    size_t i;
    const json_t *v;
    r->e->kinds = list ? 0 : UINT64_MAX;
    if (list && (!json_is_array(list) || json_array_size(list) == 0))
        return wrong(r, "events as a list such as [\"message\", \"edit\"]");
    json_array_foreach(list, i, v)
    {
        int kind = kind_named(json_string_value(v));
        if (!kind)
            return wrong(r, "events such as message, edit, recall, group_join; docs/webhooks.md has all");
        r->e->kinds |= 1ull << kind;
    }
    return 0;
}

static int read_convs(const struct reading *r, const json_t *list)
{
    size_t i;
    const json_t *v;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return wrong(r, "conversations as a list of ids, 32 hexadecimal digits each");
    r->e->convs = calloc(json_array_size(list), sizeof *r->e->convs);
    if (!r->e->convs)
        return -ENOMEM;
    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v) || hex_decode(r->e->convs[i].b, ID_SIZE, json_string_value(v)))
            return wrong(r, "conversations as a list of ids, 32 hexadecimal digits each");
        r->e->n_convs++;
    }
    return 0;
}

static int read_one(const struct reading *r, const json_t *o)
{
    static const char *const known[] = {"name", "url", "secret_file", "events", "conversations"};
    const char *key;
    json_t *v;
    if (!json_is_object(o))
        return wrong(r, "an object: {\"name\": …, \"url\": …, \"secret_file\": …}");
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(known) && strcmp(known[i], key) != 0)
            i++;
        if (i == ARRAY_LEN(known))
            return wrong(r, "no \"%.40s\": name, url, secret_file, events, conversations", key);
    }
    int rc = read_name(r, json_string_value(json_object_get(o, "name")));
    if (!rc)
        rc = read_url(r, json_string_value(json_object_get(o, "url")));
    if (!rc)
        rc = read_secret(r, json_string_value(json_object_get(o, "secret_file")));
    if (!rc)
        rc = read_events(r, json_object_get(o, "events"));
    return rc ? rc : read_convs(r, json_object_get(o, "conversations"));
}

static int read_all(struct endpoints *all, const struct conf_json *conf, char *why, size_t why_n)
{
    json_t *root = json_loads(conf->text, JSON_REJECT_DUPLICATES, NULL);
    int rc = 0;
    if (!json_is_array(root) || json_array_size(root) > ENDPOINTS_MAX) {
        (void)snprintf(why, why_n, "a list of at most %d endpoints", ENDPOINTS_MAX);
        rc = -EINVAL;
    }
    for (size_t i = 0; !rc && i < json_array_size(root); i++) {
        struct endpoint *e = &all->v[all->n++];
        const struct reading r = {e, i, conf->folder, why, why_n};
        rc = read_one(&r, json_array_get(root, i));
        for (size_t k = 0; !rc && k < i; k++)
            if (strcmp(all->v[k].name, e->name) == 0)
                rc = wrong(&r, "a name that no other has");
    }
    json_decref(root);
    return rc;
}

int endpoints_read(struct endpoints *all, const struct conf_json *conf, char *why, size_t why_n)
{
    *all = (struct endpoints){0};
    int rc = conf->text ? read_all(all, conf, why, why_n) : 0;
    if (rc)
        endpoints_release(all);
    return rc;
}

int endpoints_check(const char *json, char *why, size_t why_n)
{
    struct endpoints all;
    int rc = endpoints_read(&all, &(struct conf_json){json, NULL}, why, why_n);
    endpoints_release(&all);
    return rc;
}

void endpoints_release(struct endpoints *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->v[i].url);
        free(all->v[i].secret_file);
        free(all->v[i].convs);
    }
    *all = (struct endpoints){0};
}

const struct endpoint *endpoints_find(const struct endpoints *all, const char *name)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].name, name) == 0)
            return &all->v[i];
    return NULL;
}

bool endpoint_wants(const struct endpoint *e, uint32_t kind, struct id16 conv)
{
    bool any = e->n_convs == 0;
    for (size_t i = 0; i < e->n_convs && !any; i++)
        any = id_eq(e->convs[i], conv);
    return any && kind < KINDS && (e->kinds >> kind & 1);
}

const char *endpoint_group(const char *group, const char *name, uint32_t begin, char out[ENDPOINT_GROUP_MAX])
{
    (void)snprintf(out, ENDPOINT_GROUP_MAX, "%s.%s.%u", group, name, begin);
    return out;
}
