/* core_hash.c: who has how many passwords in the pool. It works them off one after the other, so without a share of its
 * own an address that floods it would keep everybody else out. */
#include "edge/state.h"

#include <stdlib.h>
#include <uthash.h>

struct hashing {
    UT_hash_handle hh;
    uint64_t tag, address;
};

bool edge_hash(struct edge_core *e, struct econn *c, enum edge_job_kind kind, const char *password,
               struct slice sealed)
{
    struct address *a = addresses_get(e->addresses, c->address, edge_ms32(e));
    struct hashing *h = a && a->hashing < e->lim.hash_per_address ? calloc(1, sizeof *h) : NULL;
    if (!h)
        return false;
    h->tag = (uint64_t)c->pend->purpose << 32 | c->handle;
    h->address = c->address;
    c->pend->stage = P_HASH;
    if (!e->out->job(e->ctx, kind, h->tag, c->pend->target, slice_of(password, strlen(password)), sealed)) {
        free(h);
        return false;
    }
    a->hashing++;
    HASH_ADD(hh, e->hashing, tag, sizeof h->tag, h);
    return true;
}

void edge_hash_done(struct edge_core *e, uint64_t tag)
{
    struct hashing *h;
    HASH_FIND(hh, e->hashing, &tag, sizeof tag, h);
    if (!h)
        return;
    struct address *a = addresses_get(e->addresses, h->address, edge_ms32(e));
    if (a && a->hashing)
        a->hashing--;
    HASH_DEL(e->hashing, h);
    free(h);
}

void edge_forget_password(uint16_t type, const ProtobufCMessage *m)
{
    char *password = NULL;
    if (m && type == IM__FRAME_TYPE__LOGIN_REQ)
        password = ((const Im__LoginReq *)m)->password;
    else if (m && type == IM__FRAME_TYPE__REGISTER_REQ)
        password = ((const Im__RegisterReq *)m)->password;
    if (password && password[0]) /* else it may be the constant "" of everybody */
        secret_wipe(password, strlen(password));
}

void edge_hash_free(struct edge_core *e)
{
    struct hashing *h, *next;
    HASH_ITER (hh, e->hashing, h, next) {
        HASH_DEL(e->hashing, h);
        free(h);
    }
}
