/* event.h: an accepted record of im.conversation as the JSON that endpoints get: a CloudEvent in structured mode.
 *
 *     {"specversion":"1.0","id":"msg_<conversation>_<seq>","source":"/parley","type":"parley.message",
 *      "subject":"<conversation>","time":"2026-01-02T03:04:05.678Z","sequence":"00000000000000000012",
 *      "datacontenttype":"application/json","traceparent":"00-…-…-01","data":{…}}
 *
 * The id is the same whenever the event is sent again, after a crash or a replay. docs/webhooks.md has the fields.
 * Pure. */
#ifndef PARLEY_WEBHOOKS_EVENT_H
#define PARLEY_WEBHOOKS_EVENT_H

#include "common/base/bytes.h"
#include "common/im/convrec.h"

#define EVENT_ID_MAX 64

const char *event_id(struct id16 conv, uint64_t seq, char out[EVENT_ID_MAX]);

struct event { /* borrowed */
    const struct convrec *rec;
    const struct conv_outcome *out;
    const struct convrec_body *body; /* clear */
    const struct conv *conv;         /* after it */
    int32_t part;
    int64_t offset;
    bool erased; /* what the sender said is gone for ever */
};
/* Where in the text the body is, commas included; both 0: there is none. */
struct event_span {
    uint32_t from, to;
};
struct event_span event_write(struct bytes *, const struct event *);
/* The same text when the sender has been erased meanwhile. */
void event_redact(struct bytes *, struct slice text, struct event_span);

#endif
