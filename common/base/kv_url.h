/* kv_url.h: where a Redis is: redis://[[user:]password@]host[:port][/db], host:port, or unix:/path. */
#ifndef PARLEY_BASE_KV_URL_H
#define PARLEY_BASE_KV_URL_H

#include <stdbool.h>

struct kv_url { /* owned strings; path: a socket, then host is NULL; password may be NULL */
    char *host, *password, *path;
    int port, db;
};

bool kv_url_parse(struct kv_url *zeroed, const char *url); /* false: no memory; release it all the same */
void kv_url_release(struct kv_url *);

#endif
