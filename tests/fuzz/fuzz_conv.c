/* Event logs from bytes: splits and reloads must not matter. With 0xff in front: cells from bytes. */
#include "common/im/conv.h"
#include "tests/support/convstore.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct id16 users[3], conv_of_two;

static struct conv_event event(const uint8_t *p)
{
    struct conv_event e = {.rules = 1, .kind = 1, .conv = conv_of_two};
    e.user = users[p[0] & 1];
    e.peer = users[1 - (p[0] & 1)];
    if ((p[0] & 0xf0) == 0xf0)
        e.user = users[2];
    if ((p[0] & 0xf0) == 0xe0)
        e.kind = p[1];
    e.device = 1 + p[1] % 12;
    e.client_seq = p[2];
    if (p[3] & 0x80)
        e.client_seq = UINT64_MAX - p[2];
    e.time_ms = (int64_t)(p[3] & 0x7f) << (p[0] >> 2 & 3) * 16;
    return e;
}

static void fuzz_log(const uint8_t *data, size_t size)
{
    struct convstore store = {0};
    struct conv *whole = conv_new(conv_of_two), *saved = conv_new(conv_of_two);
    uint8_t a[32], b[32];
    uint64_t head = 0;
    conv_load(whole, &(struct conv_cell){.key_n = 1});
    for (size_t at = 0; at + 4 <= size && at < 4 * 2000; at += 4) {
        struct conv_event e = event(data + at);
        struct conv_outcome x = conv_apply(whole, &e), y;
        if (!convstore_plan(&store, saved, &e))
            abort();
        y = conv_apply(saved, &e);
        if (x.verdict != y.verdict || x.reason != y.reason || x.seq != y.seq || x.time_ms != y.time_ms)
            abort();
        if (x.verdict == CONV_ACCEPTED && x.seq != ++head)
            abort();
        if (data[at + 3] % 5 == 0) {
            convstore_save(&store, saved);
            conv_free(saved);
            saved = conv_new(conv_of_two);
        }
    }
    convstore_save(&store, saved);
    conv_digest(whole, a);
    convstore_digest(&store, b);
    if (memcmp(a, b, 32) != 0)
        abort();
    conv_free(whole);
    conv_free(saved);
    convstore_release(&store);
}

/* A cell that loads must come out of the digest, and be usable. */
static void fuzz_cells(const uint8_t *data, size_t size)
{
    struct conv *c = conv_new(conv_of_two);
    uint8_t digest[32];
    while (size >= 2) {
        struct conv_cell cell = {.key_n = data[0] % (CONV_CELL_KEY + 1u)};
        size_t n = data[1];
        data += 2;
        size -= 2;
        if (size < cell.key_n + n)
            break;
        memcpy(cell.key, data, cell.key_n);
        cell.bytes = (struct slice){data + cell.key_n, n};
        (void)conv_load(c, &cell);
        data += cell.key_n + n;
        size -= cell.key_n + n;
    }
    conv_digest(c, digest);
    conv_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    users[0] = id_user("anna");
    users[1] = id_user("bert");
    users[2] = id_user("carl");
    conv_of_two = id_direct(users[0], users[1]);
    if (size && data[0] == 0xff)
        fuzz_cells(data + 1, size - 1);
    else
        fuzz_log(data, size);
    return 0;
}
