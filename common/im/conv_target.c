/* Rules 2: what is done to a message. */
#include "common/im/conv_private.h"
#include "proto/record.pb-c.h"

static size_t pin_place(const struct conv *c, uint64_t seq)
{
    size_t i = 0;
    while (i < c->n_pins && c->pins[i] < seq)
        i++;
    return i;
}

static bool is_pinned(const struct conv *c, uint64_t seq)
{
    size_t at = pin_place(c, seq);
    return at < c->n_pins && c->pins[at] == seq;
}

static uint16_t pin(struct conv *c, uint64_t seq)
{
    size_t at = pin_place(c, seq);
    if (is_pinned(c, seq))
        return IM__CODE__NO_CHANGE;
    if (c->n_pins == CONV_PINS)
        return IM__CODE__REFUSED;
    if (!c->pins)
        c->pins = conv_realloc(NULL, CONV_PINS * sizeof *c->pins);
    memmove(c->pins + at + 1, c->pins + at, (c->n_pins - at) * sizeof *c->pins);
    c->pins[at] = seq;
    c->n_pins++;
    c->pins_dirty = true;
    return 0;
}

/* However old the message is, and recalled or not: else a hundred of those would be the last pins ever. */
static uint16_t unpin(struct conv *c, uint64_t seq)
{
    size_t at = pin_place(c, seq);
    if (!is_pinned(c, seq))
        return IM__CODE__NO_CHANGE;
    c->n_pins--;
    memmove(c->pins + at, c->pins + at + 1, (c->n_pins - at) * sizeof *c->pins);
    c->pins_dirty = true;
    return 0;
}

static bool leads(const struct conv_member *m)
{
    return m->role >= IM__ROLE__ADMIN;
}

static uint16_t recall(struct conv *c, const struct conv_event *e, const struct conv_member *m,
                       struct conv_block *b, size_t at, int64_t time_ms)
{
    if (!leads(m)) {
        if (!id_eq(conv_block_author(c, b, at), e->user))
            return IM__CODE__NOT_ALLOWED;
        uint64_t age = (uint64_t)time_ms - (uint64_t)b->time_ms[at]; /* time never goes back */
        if (e->settings.recall_limit_s && age > UINT64_C(1000) * e->settings.recall_limit_s)
            return IM__CODE__TOO_OLD;
    }
    b->what[at] |= BLOCK_RECALLED;
    if (b == &c->tail)
        c->dirty = true;
    else
        conv_block_changed(c, b->number);
    return 0;
}

uint16_t conv_target_judge(struct conv *c, const struct conv_event *e, const struct conv_member *m,
                           uint16_t silenced, int64_t time_ms)
{
    bool may_pin = c->type == CONV_DIRECT || leads(m);
    if (e->target == 0 || e->target > c->head || !conv_member_sees(m, e->target))
        return IM__CODE__NO_SUCH_MESSAGE;
    if (e->kind == IM__CONV_KIND__CONV_UNPIN)
        return silenced ? silenced : may_pin ? unpin(c, e->target) : IM__CODE__NOT_ALLOWED;
    if (!conv_block_kept(c, e->target))
        return IM__CODE__TOO_OLD;
    struct conv_block *b = conv_block_find(c, conv_block_of(e->target));
    size_t at = (e->target - 1) % CONV_BLOCK;
    if (!b)
        conv_broken("applied without the block of its target");
    if (!(b->what[at] & BLOCK_MESSAGE))
        return IM__CODE__NO_SUCH_MESSAGE;
    if (b->what[at] & BLOCK_RECALLED)
        return IM__CODE__GONE;
    switch (e->kind) {
    case IM__CONV_KIND__CONV_RECALL:
        return recall(c, e, m, b, at, time_ms);
    case IM__CONV_KIND__CONV_EDIT:
        if (silenced)
            return silenced;
        return id_eq(conv_block_author(c, b, at), e->user) ? 0 : IM__CODE__NOT_ALLOWED;
    case IM__CONV_KIND__CONV_PIN:
        return silenced ? silenced : may_pin ? pin(c, e->target) : IM__CODE__NOT_ALLOWED;
    default: /* REACT */
        return silenced;
    }
}
