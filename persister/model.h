/* model.h: what a record of im.conversation makes of conversations, memberships and requests to join.
 *
 * Everything is read off the record, the reducer's outcome and the conversation's state after it; nothing is judged
 * again. A record that only adds a message writes nothing here. */
#ifndef PARLEY_PERSISTER_MODEL_H
#define PARLEY_PERSISTER_MODEL_H

#include "common/im/convrec.h"

/* What the state was before the record, as far as rows depend on a difference. */
struct model_before {
    bool dissolved;
    uint32_t friend[2]; /* as each of the pair sees it */
};
void model_look(const struct conv *, const struct conv_event *, struct model_before *);

/* Of a record that was accepted or noted. */
void model_write(struct fx *, const struct convrec *, const struct conv_outcome *, int64_t offset,
                 const struct conv *after, const struct model_before *);

#endif
