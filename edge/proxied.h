/* proxied.h: connections that come through a balancer: whose they really are, by the PROXY protocol.
 *
 * Source: "The PROXY protocol", versions 1 and 2 (HAProxy, doc/proxy-protocol.txt). Each connection begins with a header; who
 * sends none, a torn one, or none within PROXIED_MS is closed without a word. Only for a listener that nobody but the
 * balancer can reach: whoever can may claim any address. Loop thread. */
#ifndef PARLEY_EDGE_PROXIED_H
#define PARLEY_EDGE_PROXIED_H

#include "common/base/loop.h"

#define PROXIED_MS  5000
#define PROXIED_MAX 4096 /* connections whose header is not there yet; further ones are closed */

struct proxied;

/* known(ctx, fd, address): the header was read, what follows is the client's. `address` as listener's. */
struct proxied *proxied_new(struct loop *, void (*known)(void *ctx, int fd, uint64_t address), void *ctx);
void proxied_free(struct proxied *);                      /* closes what is still unknown; NULL is fine */
void proxied_add(struct proxied *, int fd, uint64_t own); /* takes fd; own: the balancer's address */

/* The length of the header, when all of it is there; 0: more is needed; -EBADMSG. *address stays as it is when the header
 * names none (the balancer's own checks). */
int proxied_parse(const uint8_t *p, size_t n, uint64_t *address);

#endif
