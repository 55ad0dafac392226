/* The incremental frame decoder: however a window is cut, the same frames come out. */
#include "common/im/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at <= size;) {
        struct frame whole, part;
        size_t need, need_part;
        enum frame_rc rc = frame_decode(data + at, size - at, FRAME_CAP, &whole, &need);
        if (rc != FRAME_READY) {
            if (rc == FRAME_MORE && need <= size - at)
                abort(); /* would wait for what it has */
            break;
        }
        if (need < FRAME_HEADER || need > size - at || whole.payload.n != need - FRAME_HEADER)
            abort();
        for (size_t n = 0; n < need; n += 1 + need / 8) {
            enum frame_rc early = frame_decode(data + at, n, FRAME_CAP, &part, &need_part);
            if (early != FRAME_MORE || need_part <= n)
                abort();
        }
        uint8_t head[FRAME_HEADER];
        frame_header(head, whole.type, whole.seq_id, whole.payload.n);
        if (memcmp(head, data + at, FRAME_HEADER) != 0)
            abort();
        at += need;
    }
    return 0;
}
