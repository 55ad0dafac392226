#include "common/base/http.h"

#include "common/base/addr.h"
#include "common/base/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUTES = 16, CONNECTIONS = 64, IDLE_S = 15, MEMORY = 16 * 1024 };

struct http {
    struct loop *loop;
    struct ready *ready;
    struct MHD_Daemon *mhd;
    uint16_t port;
    struct loop_fd watch; /* libmicrohttpd's own epoll */
    struct timer timeout;
    unsigned n_routes;
    struct route {
        const char *path;
        http_fn *fn;
        void *ctx;
    } routes[ROUTES];
};

/* ---- what every process serves ---- */

static void serve_metrics(void *ctx, const char *path, struct http_answer *a)
{
    (void)ctx;
    (void)path;
    a->type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(&a->body);
}

static void serve_health(void *ctx, const char *path, struct http_answer *a)
{
    (void)ctx;
    (void)path;
    bytes_str(&a->body, "ok\n");
}

static void serve_ready(void *ctx, const char *path, struct http_answer *a)
{
    (void)path;
    struct http *h = ctx;
    a->status = ready_all(h->ready) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    a->type = "application/json";
    ready_json(h->ready, &a->body);
}

/* ---- requests ---- */

static const struct route *find_route(const struct http *h, const char *path)
{
    for (unsigned i = 0; i < h->n_routes; i++) {
        if (!strcmp(h->routes[i].path, path))
            return &h->routes[i];
    }
    return NULL;
}

static enum MHD_Result reply(struct MHD_Connection *c, struct http_answer *a)
{
    if (!bytes_ok(&a->body)) {
        a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        bytes_clear(&a->body);
    }
    /* Our memory is malloc'ed, so libmicrohttpd may free it. */
    struct MHD_Response *r = MHD_create_response_from_buffer(a->body.n, a->body.p, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        bytes_release(&a->body);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result ok = MHD_queue_response(c, a->status, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_n, void **seen)
{
    (void)version;
    (void)upload;
    struct http *h = ctx;
    static char first_call; /* libmicrohttpd calls once with the headers, then with the body's end */
    if (!*seen) {
        *seen = &first_call;
        return MHD_YES;
    }
    if (*upload_n) { /* nobody asked for a body: drop it */
        *upload_n = 0;
        return MHD_YES;
    }
    struct http_answer a = {.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
    const struct route *r = find_route(h, path);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        a.status = MHD_HTTP_METHOD_NOT_ALLOWED;
        bytes_str(&a.body, "only GET and HEAD\n");
    } else if (!r) {
        a.status = MHD_HTTP_NOT_FOUND;
        bytes_str(&a.body, "not found; there are:\n");
        for (unsigned i = 0; i < h->n_routes; i++)
            bytes_printf(&a.body, "%s\n", h->routes[i].path);
    } else {
        r->fn(r->ctx, path, &a);
    }
    return reply(c, &a);
}

/* ---- in the loop ---- */

static void run(struct http *h)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(h->mhd);
    if (MHD_get_timeout(h->mhd, &ms) != MHD_YES)
        loop_timer_stop(h->loop, &h->timeout);
    else
        loop_timer_start(h->loop, &h->timeout, ms > 60000 ? 60000 : (int64_t)ms);
}

static void on_io(struct loop_fd *f, uint32_t events)
{
    (void)events;
    run(container_of(f, struct http, watch));
}

static void on_timeout(struct timer *t)
{
    run(container_of(t, struct http, timeout));
}

static int open_socket(const char *listen_on, uint16_t *port)
{
    struct sockaddr_storage a;
    socklen_t len;
    int one = 1, rc = addr_parse(listen_on, &a, &len);
    if (rc)
        return rc;
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) || bind(fd, (struct sockaddr *)&a, len) ||
        listen(fd, 64) || getsockname(fd, (struct sockaddr *)&a, &len)) {
        rc = -errno;
        close(fd);
        return rc;
    }
    *port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
                                         : ((struct sockaddr_in6 *)&a)->sin6_port);
    return fd;
}

int http_new(struct http **out, struct loop *loop, struct ready *ready, const char *listen_on)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    h->loop = loop;
    h->ready = ready;
    timer_init(&h->timeout, on_timeout);
    int fd = open_socket(listen_on, &h->port);
    int rc = fd < 0 ? fd : 0;
    if (rc)
        goto fail;
    h->mhd = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
                              MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
                              MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
                              MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
    if (!h->mhd) {
        close(fd);
        rc = -ENOMEM;
        goto fail;
    }
    rc = loop_add(loop, &h->watch, MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, EPOLLIN,
                  on_io);
    if (rc)
        goto fail;
    h->routes[h->n_routes++] = (struct route){"/metrics", serve_metrics, NULL};
    h->routes[h->n_routes++] = (struct route){"/healthz", serve_health, NULL};
    h->routes[h->n_routes++] = (struct route){"/readyz", serve_ready, h};
    *out = h;
    return 0;
fail:
    http_free(h);
    return rc;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    loop_timer_stop(h->loop, &h->timeout);
    loop_del(h->loop, &h->watch);
    if (h->mhd)
        MHD_stop_daemon(h->mhd); /* closes the listening socket as well */
    free(h);
}

uint16_t http_port(const struct http *h)
{
    return h->port;
}

int http_route(struct http *h, const char *path, http_fn *fn, void *ctx)
{
    if (h->n_routes == ROUTES)
        return -ENOSPC;
    h->routes[h->n_routes++] = (struct route){path, fn, ctx};
    return 0;
}
