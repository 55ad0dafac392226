#include "client/lib/outbox.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

void outbox_release(struct outbox *b)
{
    while (b->head) {
        struct out *e = b->head;
        outbox_take(b, e);
        free(e);
    }
}

struct out *outbox_add(struct outbox *b, const struct outgoing *o, uint64_t id, uint64_t client_seq)
{
    size_t to_n = strlen(o->to) + 1;
    struct out *e = malloc(sizeof *e + to_n + o->body_n);
    if (!e)
        return NULL;
    *e = (struct out){.id = id ? id : b->last_id + 1, .client_seq = client_seq, .o = *o};
    e->o.to = memcpy(e + 1, o->to, to_n);
    if (o->body_n)
        e->o.body = memcpy((char *)(e + 1) + to_n, o->body, o->body_n);
    if (e->id > b->last_id)
        b->last_id = e->id;
    if (client_seq > b->last_seq)
        b->last_seq = client_seq;
    b->numbered += client_seq != 0;
    b->n++;
    DL_APPEND(b->head, e);
    return e;
}

void outbox_take(struct outbox *b, struct out *e)
{
    DL_DELETE(b->head, e);
    b->numbered -= e->client_seq != 0;
    b->n--;
}

void outbox_disconnected(struct outbox *b)
{
    struct out *e;
    DL_FOREACH (b->head, e) {
        e->seq_id = 0;
        e->held = false;
    }
    b->retry_at = 0;
}

struct out *outbox_next(struct outbox *b, uint32_t window, bool *fresh)
{
    struct out *e;
    *fresh = false;
    DL_FOREACH (b->head, e) {
        if (e->seq_id)
            continue;
        if (e->client_seq)
            return e;
        if (b->numbered >= window)
            return NULL;
        e->client_seq = ++b->last_seq;
        b->numbered++;
        *fresh = true;
        return e;
    }
    return NULL;
}

void outbox_again(struct outbox *b, struct out *from, int64_t at)
{
    for (struct out *e = from; e; e = e->next)
        if (!e->held)
            e->seq_id = 0;
    if (at > b->retry_at)
        b->retry_at = at;
}

struct out *outbox_by_seq(struct outbox *b, uint64_t client_seq)
{
    struct out *e;
    DL_FOREACH (b->head, e)
        if (e->client_seq == client_seq)
            return e;
    return NULL;
}

struct out *outbox_by_frame(struct outbox *b, uint32_t seq_id)
{
    struct out *e;
    if (!seq_id)
        return NULL;
    DL_FOREACH (b->head, e)
        if (e->seq_id == seq_id)
            return e;
    return NULL;
}

size_t outbox_unaccepted(const struct outbox *b)
{
    struct out *e;
    size_t n = 0;
    DL_FOREACH (b->head, e)
        n += !e->accepted;
    return n;
}
