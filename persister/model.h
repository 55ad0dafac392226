/* model.h: what a record of im.conversation makes of conversations, memberships and requests to join.
 *
 * Everything is read off the record, the reducer's outcome and the conversation's state after it; nothing is judged
 * again. A record that only adds a message writes nothing here. Of rows that are written several times in a batch
 * the store keeps the last, so what only an earlier record knew (names, times) is carried over: a model lives as
 * long as the core and forgets at the end of each batch. */
#ifndef PARLEY_PERSISTER_MODEL_H
#define PARLEY_PERSISTER_MODEL_H

#include "common/im/convrec.h"

struct model;
struct model *model_new(void); /* NULL: no memory */
void model_free(struct model *);
void model_end(struct model *); /* of a batch */

/* What the state was before the record, as far as rows depend on a difference. */
struct model_before {
    bool dissolved;
    uint32_t friend[2]; /* as each of the pair sees it */
};
void model_look(const struct conv *, const struct conv_event *, struct model_before *);

/* Of a record that was accepted or noted. */
void model_write(struct model *, struct fx *, const struct convrec *, const struct conv_outcome *,
                 const struct conv *after, const struct model_before *);

#endif
