/* kv.h: an asynchronous Redis client on hiredis.
 *
 * Commands are appended to one bounded pipeline and written once per loop turn; replies arrive in order, each
 * by its own callback, exactly once, on the loop thread. Reconnects by itself with back-off and jitter.
 * Binary-safe. When the connection breaks, every command in flight is answered KV_DOWN: its effect is
 * unknown.
 */
#ifndef PARLEY_BASE_KV_H
#define PARLEY_BASE_KV_H

#include "common/base/core.h"
#include <hiredis/hiredis.h>

struct loop;
struct kv;

enum kv_status {
    KV_OK,    /* reply holds the value (may be nil) */
    KV_ERROR, /* Redis answered with an error: see kv_error */
    KV_DOWN,  /* the connection broke or timed out before the reply: unknown whether it was done */
};
enum kv_error {
    KV_ERR_NONE,
    KV_ERR_NOSCRIPT, /* load the script and repeat */
    KV_ERR_BUSY,     /* LOADING, BUSY, TRYAGAIN, MASTERDOWN, READONLY: repeat later */
    KV_ERR_OOM,      /* maxmemory: repeat later, visibly */
    KV_ERR_OTHER,    /* a mistake of ours: WRONGTYPE, ERR … */
};
struct kv_result {
    enum kv_status status;
    enum kv_error error;
    const redisReply
        *reply; /* borrowed until return; NULL when KV_DOWN; its str is the error's text when KV_ERROR */
};
typedef void kv_fn(void *ctx, const struct kv_result *);

struct kv_conf {
    const char *url;       /* redis://[:password@]host:port[/db], host:port, or unix:/path */
    uint32_t timeout_ms;   /* connect, and the oldest reply; 0: 5000 */
    uint32_t max_pipeline; /* commands in flight before -EAGAIN; 0: 65536 */
    uint32_t max_kbytes;   /* unsent bytes before -EAGAIN; 0: 65536 */
    void *ctx;             /* of the callbacks; each may be NULL */
    void (*up)(void *ctx);
    void (*down)(void *ctx,
                 const char *reason); /* once per break, after the callbacks of what was in flight */
    void (*writable)(void *ctx);      /* after a -EAGAIN */
};

struct kv *kv_new(struct loop *, const struct kv_conf *);
void kv_free(struct kv *); /* answers what is in flight KV_DOWN first */
bool kv_up(const struct kv *);
/* Up, and the next so many are taken, however large: for what must go whole (MULTI … EXEC). */
bool kv_room(struct kv *, size_t commands);

/* 0; -EAGAIN: pipeline full, wait for `writable`; -ENOTCONN: down, wait for `up`. fn may be NULL. args are
 * copied. */
int kv_send(struct kv *, const struct slice *args, size_t n, kv_fn *fn, void *ctx);
/* The same from C strings, NULL-terminated: kv_sendz(kv, fn, ctx, "HGET", "h", "f", NULL). */
int kv_sendz(struct kv *, kv_fn *fn, void *ctx, ...) __attribute__((sentinel));

struct kv_stats {
    uint64_t in_flight, sent, errors, reconnects;
};
void kv_stats(const struct kv *, struct kv_stats *);

#endif
