/* Rules version 2: direct conversations with friendship and blocking, groups, the system's conversation; what
 * is done to messages; receipts. */
#include "common/base/crash.h"
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

static uint16_t system_create(struct conv *c, const struct conv_event *e)
{
    if (e->kind != IM__CONV_KIND__CONV_ANNOUNCEMENT || !e->settings.admin)
        return IM__CODE__NOT_ALLOWED;
    c->type = CONV_SYSTEM;
    c->exists = c->dirty = true;
    return 0;
}

static uint16_t create(struct conv *c, const struct conv_event *e)
{
    if (!id_eq(e->conv, c->id))
        return IM__CODE__NOT_A_MEMBER;
    if (e->kind == IM__CONV_KIND__CONV_GROUP_CREATE)
        return conv_group_create(c, e);
    if (id_eq(c->id, id_system()))
        return system_create(c, e);
    return conv_direct_create(c, e);
}

/* What is numbered is judged, and its outcome kept, also when it comes from outside: a number that was refused to a
 * stranger must not be accepted when it is repeated after they came in. The rest of a stranger's is refused here. */
static uint16_t admit(const struct conv *c, const struct conv_event *e)
{
    if (!id_eq(e->conv, c->id))
        return IM__CODE__NOT_A_MEMBER;
    if (c->type == CONV_DIRECT)
        return conv_direct_admit(c, e);
    const struct conv_member *m = conv_member_find(c, e->user);
    if (e->client_seq || (m && m->exists))
        return 0;
    if (c->type == CONV_SYSTEM)
        return e->kind == IM__CONV_KIND__CONV_ANNOUNCEMENT && e->settings.admin ? 0 : IM__CODE__NOT_ALLOWED;
    return IM__CODE__NOT_A_MEMBER;
}

static uint16_t judge(struct conv *c, const struct conv_event *e, struct conv_member *m,
                      struct conv_outcome *out)
{
    if (c->type == CONV_SYSTEM)
        return e->kind == IM__CONV_KIND__CONV_ANNOUNCEMENT && e->settings.admin ? 0 : IM__CODE__NOT_ALLOWED;
    if (e->kind == IM__CONV_KIND__CONV_RECEIPT)
        return conv_receipt(c, e, m, out);
    return c->type == CONV_DIRECT ? conv_direct_judge(c, e, m, out) : conv_group_judge(c, e, m, out);
}

uint16_t conv_reply_check(const struct conv *c, const struct conv_event *e, const struct conv_member *m)
{
    if (e->reply_to && (e->reply_to > c->head || !conv_member_sees(m, e->reply_to)))
        return IM__CODE__NO_SUCH_MESSAGE;
    return 0;
}

/* The last number that the member may see. */
static uint64_t last_visible(const struct conv *c, const struct conv_member *m)
{
    if (m->n_visible == 0)
        return 0;
    uint64_t to = conv_intervals_of(m)[m->n_visible - 1].to;
    return to ? to : c->head;
}

uint16_t conv_receipt(struct conv *c, const struct conv_event *e, struct conv_member *m,
                      struct conv_outcome *out)
{
    uint64_t last = last_visible(c, m), read = e->read < last ? e->read : last,
             delivered = e->delivered < last ? e->delivered : last;
    if (m->n_visible == 0)
        return IM__CODE__NOT_A_MEMBER;
    if (delivered < read)
        delivered = read;
    if (read > m->read)
        out->read = m->read = read;
    if (delivered > m->delivered)
        out->delivered = m->delivered = delivered;
    if (!out->read && !out->delivered)
        return IM__CODE__NO_CHANGE;
    m->dirty = true;
    return CONV_NOTE;
}

const struct conv_rules conv_rules2 = {.create = create, .admit = admit, .judge = judge};
