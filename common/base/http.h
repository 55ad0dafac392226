/* http.h: the small HTTP server every process has for its operator: /metrics, /healthz, /readyz and what it
 * adds.
 *
 *   /metrics   Prometheus text (metrics.h)
 *   /healthz   200 while the loop turns
 *   /readyz    200 when nothing is waited for, else 503; the body names what is missing (ready.h)
 *
 * libmicrohttpd without threads of its own: its epoll descriptor nests in the loop, handlers run on the loop
 * thread and must not block. GET and HEAD only, no TLS, no login: bind it to loopback or a private network.
 */
#ifndef PARLEY_BASE_HTTP_H
#define PARLEY_BASE_HTTP_H

#include "common/base/bytes.h"
#include "common/base/loop.h"
#include "common/base/macros.h"
#include "common/base/ready.h"

#include <stdint.h>

struct http;

struct http_answer {
    unsigned status;   /* 200 unless set */
    const char *type;  /* "text/plain; charset=utf-8" unless set; borrowed for ever */
    struct bytes body; /* empty at first; freed by the server */
};
typedef void http_fn(void *ctx, const char *path, struct http_answer *);

/* listen: "127.0.0.1:9100", "[::1]:9100"; port 0 picks a free one. -EINVAL: not an address, -EADDRINUSE, … */
int MUST_CHECK http_new(struct http **out, struct loop *, struct ready *, const char *listen);
void http_free(struct http *);
uint16_t http_port(const struct http *);

/* Exact match of the path. -ENOSPC: more than 16. `path` is borrowed for ever. */
int MUST_CHECK http_route(struct http *, const char *path, http_fn *, void *ctx);

#endif
