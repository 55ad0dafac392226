/* webhooks_word.h: im.webhook, which holds what the operator said last about each endpoint. Blocking; what goes wrong
 * has been said on stderr when a call returns it. */
#ifndef PARLEY_CTL_WEBHOOKS_WORD_H
#define PARLEY_CTL_WEBHOOKS_WORD_H

#include "client/parleyctl/ctl.h"
#include "client/parleyctl/scan.h"
#include "common/im/endpoint.h"

struct word { /* zeroed: nothing was said yet */
    uint32_t begin;
    bool paused;
};

/* words[i] is about all->v[i]. An exit code. */
int words_read(struct ctl *, struct scan *, const struct endpoints *all, struct word *words);
int word_write(struct ctl *, const char *name, const struct word *, const char *by);

#endif
