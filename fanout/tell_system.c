/* tell_system.c: announcements: one item per edge, for every session it has. Who is away finds them in history. */
#include "common/im/push.h"
#include "fanout/tell_int.h"

void tell_system(struct tell *t, struct fx *fx, const struct conv *conv, const struct convrec *rec,
                 const struct conv_outcome *out)
{
    const struct lease *lease = t->views->lease;
    const struct deliver_item item =
        tell_item(IM__ITEM_KIND__ITEM_EVENT, IM__FRAME_TYPE__CHAT_PUSH, push_chat(fx, conv, rec, out), rec);
    uint64_t epoch;
    for (uint32_t slot = 0; slot < lease_slots(lease); slot++)
        if (lease_claimed(lease, slot, &epoch))
            deliver_all(t->deliver, fx, &item, slot, epoch);
}
