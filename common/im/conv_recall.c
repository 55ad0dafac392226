#include "common/im/conv_private.h"

bool conv_recall(const struct conv *c, const struct conv_event *e, struct conv_outcome *out)
{
    struct conv_outcome found;
    const struct conv_member *m = conv_member_find(c, e->user);
    if (!m || !e->client_seq || !conv_ring_lookup(m, e->device, e->client_seq, &found) ||
        found.verdict != CONV_DUPLICATE)
        return false;
    *out = found;
    return true;
}
