#include "common/base/kv_url.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const char *p, size_t n)
{
    char *s = malloc(n + 1);
    if (s) {
        memcpy(s, p, n);
        s[n] = 0;
    }
    return s;
}

static int number(const char *p, int otherwise)
{
    char *end;
    long v = strtol(p, &end, 10);
    return end == p || v < 0 || v > 65535 ? otherwise : (int)v;
}

/* redis://[user:]password@host:port/db, host:port, unix:/path */
bool kv_url_parse(struct kv_url *k, const char *url)
{
    if (!strncmp(url, "unix:", 5)) {
        k->path = copy(url + 5, strlen(url + 5));
        return k->path != NULL;
    }
    if (!strncmp(url, "redis://", 8))
        url += 8;
    const char *at = strrchr(url, '@');
    if (at) {
        const char *colon = memchr(url, ':', (size_t)(at - url));
        const char *p = colon ? colon + 1 : url;
        k->password = copy(p, (size_t)(at - p));
        url = at + 1;
    }
    size_t n = strcspn(url, ":/");
    k->host = n ? copy(url, n) : copy("127.0.0.1", 9);
    k->port = url[n] == ':' ? number(url + n + 1, 6379) : 6379;
    const char *slash = strchr(url, '/');
    k->db = slash ? number(slash + 1, 0) : 0;
    return k->host != NULL;
}

void kv_url_release(struct kv_url *k)
{
    free(k->host);
    free(k->password);
    free(k->path);
    *k = (struct kv_url){0};
}
