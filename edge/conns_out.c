/* conns_out.c: output, closing, and the end of a turn. */
#include "edge/conns_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_TICKS 8 /* how long a closed connection may take to read its last frames and go */

struct conns *conns_the;

void conns_dirty(struct conns *k, struct sock *s)
{
    if (s->flags & SOCK_DIRTY)
        return;
    s->flags |= SOCK_DIRTY;
    s->next = k->dirty;
    k->dirty = s;
}

void conns_gone(struct conns *k, struct sock *s)
{
    s->flags |= SOCK_DEAD;
    conns_dirty(k, s);
}

static void reap(struct conns *k, struct sock *s)
{
    int fd = s->watch.fd;
    uint32_t conn = s->conn;
    loop_del(k->setup.loop, &s->watch);
    close(fd);
    k->stats.pending -= s->out.bytes;
    output_clear(&s->out);
    conns_drop_input(k, s);
    s->flags = 0;
    k->stats.open--;
    k->setup.entering(k->setup.ctx);
    edge_core_gone(k->core, conn);
    if (k->setup.freed)
        k->setup.freed(k->setup.ctx);
}

/* ---- lists of connections ---- */
static bool list_add(uint32_t **list, uint32_t *n, uint32_t *cap, uint32_t conn)
{
    if (*n == *cap) {
        uint32_t more = *cap ? *cap * 2 : 64;
        uint32_t *p = realloc(*list, more * sizeof *p);
        if (!p)
            return false;
        *list = p;
        *cap = more;
    }
    (*list)[(*n)++] = conn;
    return true;
}

void conns_park(struct conns *k, struct sock *s)
{
    if (s->flags & SOCK_PARKED)
        return;
    if (list_add(&k->parked, &k->n_parked, &k->cap_parked, s->conn))
        s->flags |= SOCK_PARKED;
    conns_interest(k, s);
}

void conns_stall(struct conns *k, bool stalled)
{
    if (k->stalled == stalled)
        return;
    k->stalled = stalled;
    if (stalled)
        return;
    for (uint32_t i = 0; i < k->n_parked; i++) {
        struct sock *s = conns_sock(k, k->parked[i]);
        if (!s || !(s->flags & SOCK_PARKED))
            continue;
        s->flags &= (uint16_t)~SOCK_PARKED;
        s->flags |= SOCK_FEED;
        conns_dirty(k, s);
    }
    k->n_parked = 0;
}

/* ---- the core's orders ---- */
void conns_write(struct conns *k, uint32_t conn, uint16_t type, uint32_t seq_id, struct slice payload,
                 struct buf *owner)
{
    struct sock *s = conns_sock(k, conn);
    if (!s || s->flags & (SOCK_DEAD | SOCK_CLOSING))
        return;
    uint32_t before = s->out.bytes;
    if (!output_frame(&s->out, type, seq_id, payload, owner))
        s->flags |= SOCK_DEAD;
    k->stats.pending += s->out.bytes - before;
    if (s->out.bytes > k->setup.cut)
        s->flags |= SOCK_SLOW;
    else if (s->out.bytes > k->setup.pause)
        s->flags |= SOCK_BEHIND;
    conns_dirty(k, s);
}

void conns_close(struct conns *k, uint32_t conn, enum edge_cut why)
{
    struct sock *s = conns_sock(k, conn);
    (void)why;
    if (!s)
        return;
    s->flags |= SOCK_CLOSING; /* input stays until the hook: it may be what is being read */
    conns_dirty(k, s);
}

void conns_pause(struct conns *k, uint32_t conn, bool paused)
{
    struct sock *s = conns_sock(k, conn);
    if (!s)
        return;
    if (paused) {
        s->flags |= SOCK_PAUSED;
    } else {
        s->flags &= (uint16_t)~SOCK_PAUSED;
        s->flags |= SOCK_FEED;
    }
    conns_dirty(k, s);
}

bool conns_behind(const struct conns *k, uint32_t conn)
{
    const struct sock *s = conns_sock(k, conn);
    return s && s->flags & (SOCK_WANTS_OUT | SOCK_BEHIND | SOCK_SLOW);
}

/* ---- the end of a turn ---- */
static void flush(struct conns *k, struct sock *s)
{
    if (!s->out.head || s->flags & SOCK_WANTS_OUT)
        return;
    int n = output_flush(&s->out, s->watch.fd);
    if (n > 0) {
        k->stats.bytes_out += (uint64_t)n;
        k->stats.pending -= (uint64_t)n;
    } else if (n < 0 && n != -EAGAIN) {
        s->flags |= SOCK_DEAD;
        return;
    }
    if (s->out.head)
        s->flags |= SOCK_WANTS_OUT;
    if (s->flags & SOCK_BEHIND && s->out.bytes <= k->setup.pause / 2) {
        s->flags &= (uint16_t)~SOCK_BEHIND;
        s->flags |= SOCK_FEED;
    }
}

static void settle(struct conns *k, struct sock *s)
{
    flush(k, s);
    if (s->flags & SOCK_SLOW && !(s->flags & (SOCK_CLOSING | SOCK_DEAD))) {
        if (s->out.bytes > k->setup.cut) { /* the socket did not take it at once */
            k->setup.entering(k->setup.ctx);
            edge_core_slow(k->core, s->conn);
            s->flags |= SOCK_DEAD; /* what waits is not waited for: it was handed back */
        }
        s->flags &= (uint16_t)~SOCK_SLOW;
    }
    if (s->flags & SOCK_CLOSING && !s->out.head && !(s->flags & (SOCK_SHUT | SOCK_DEAD))) {
        s->flags |= shutdown(s->watch.fd, SHUT_WR) ? SOCK_DEAD : SOCK_SHUT;
    }
    if (s->flags & SOCK_DEAD) {
        reap(k, s);
        return;
    }
    if (s->flags & SOCK_CLOSING && !s->closing_at) {
        s->closing_at = k->ticks + LINGER_TICKS;
        if (!list_add(&k->closing, &k->n_closing, &k->cap_closing, s->conn)) {
            reap(k, s);
            return;
        }
    }
    bool free_to_go = !(s->flags & (SOCK_PAUSED | SOCK_CLOSING | SOCK_BEHIND | SOCK_PARKED));
    if (s->flags & SOCK_FEED && free_to_go) {
        s->flags &= (uint16_t)~SOCK_FEED;
        if (k->stalled)
            conns_park(k, s);
        else
            conns_again(k, s);
    }
    conns_interest(k, s);
}

void conns_flush_hook(struct loop_hook *hook)
{
    struct conns *k = container_of(hook, struct conns, hook);
    struct sock *s;
    while ((s = k->dirty)) {
        k->dirty = s->next;
        s->flags &= (uint16_t)~SOCK_DIRTY;
        settle(k, s);
    }
}

void conns_tick(struct conns *k)
{
    uint32_t kept = 0;
    k->ticks++;
    for (uint32_t i = 0; i < k->n_closing; i++) {
        struct sock *s = conns_sock(k, k->closing[i]);
        if (!s || !s->closing_at)
            continue;
        if (k->ticks >= s->closing_at)
            conns_gone(k, s);
        else
            k->closing[kept++] = k->closing[i];
    }
    k->n_closing = kept;
}

void conns_free(struct conns *k)
{
    if (!k)
        return;
    for (uint32_t i = 0; i < k->n_chunks; i++) {
        for (uint32_t j = 0; k->chunks[i] && j < CONNS_CHUNK; j++) {
            struct sock *s = &k->chunks[i][j];
            if (!(s->flags & SOCK_USED))
                continue;
            int fd = s->watch.fd;
            loop_del(k->setup.loop, &s->watch);
            close(fd);
            output_clear(&s->out);
            conns_drop_input(k, s);
        }
        free(k->chunks[i]);
    }
    loop_unhook(k->setup.loop, &k->hook);
    free(k->chunks);
    free(k->closing);
    free(k->parked);
    free(k->scratch);
    output_trim();
    if (conns_the == k)
        conns_the = NULL;
    free(k);
}
