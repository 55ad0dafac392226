#include "offline/head.h"

#include "common/base/reader.h"

#include <errno.h>
#include <stdlib.h>

#define ROW_VERSION 1

struct head *head_new(void)
{
    struct head *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    return h;
}

bool head_raise(struct head *h, uint64_t seq, uint64_t at)
{
    if (seq <= h->last)
        return false;
    h->last = seq;
    h->at = at;
    return true;
}

void head_pack(const struct head *h, struct bytes *out)
{
    bytes_u8(out, ROW_VERSION);
    bytes_be64(out, h->last);
    bytes_be64(out, h->at);
}

int head_unpack(struct head *h, struct slice row)
{
    struct reader r = reader_of(row);
    uint8_t version = reader_u8(&r);
    if (!r.bad && version > ROW_VERSION)
        return -ENOTSUP;
    h->last = reader_be64(&r);
    h->at = reader_be64(&r);
    return version == ROW_VERSION && reader_done(&r) ? 0 : -EBADMSG;
}
