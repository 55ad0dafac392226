/* post.h: HTTP POSTs by libcurl, many at once, on the loop thread.
 *
 * Redirects are not followed, certificates are verified, only http and https are spoken, no proxy of the environment
 * is used. Addresses that are not public (loopback, private, link-local, …) are refused unless allowed: the address
 * that is connected to is judged, so a name cannot lead elsewhere later. An answer's body is thrown
 * away: it may repeat what was sent. */
#ifndef PARLEY_WEBHOOKS_POST_H
#define PARLEY_WEBHOOKS_POST_H

#include "common/base/bytes.h"
#include "common/base/loop.h"

#include <sys/socket.h>

struct poster;

struct poster_conf {
    int64_t connect_ms, timeout_ms; /* to connect; the whole */
    bool private_addresses, plain_http;
    const char *ca_file; /* NULL: the system's */
    const char *proxy;   /* NULL: none */
};

struct post_result {
    long status;            /* 0: no answer */
    int64_t retry_after_ms; /* 0: not asked for */
    const char *why;        /* why there was no answer; "" when there was one */
};

struct post {                                                /* embedded; zeroed: not under way */
    void (*done)(struct post *, const struct post_result *); /* once, unless cancelled */
    struct poster *poster;
    void *easy, *headers; /* private from here on */
    char error[256];
    size_t answer_n;
    bool refused; /* the address is not public */
};

struct poster *poster_new(struct loop *, const struct poster_conf *); /* NULL: no memory. conf is borrowed */
void poster_free(struct poster *);                                    /* nothing may be under way */

/* The body stays until done or cancelled; all else is copied. headers: "name: value", NULL-terminated. 0 or -ENOMEM. */
int post_start(struct poster *, struct post *, const char *url, const char *const *headers,
               struct slice body);
void post_cancel(struct post *); /* fine when not under way */

/* Whether an address is reachable from everywhere, as far as it says so itself. */
bool post_address_public(const struct sockaddr *);

#endif
