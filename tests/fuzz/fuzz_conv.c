/* Event logs from bytes: splits and reloads must not matter. With 0xfe in front: of a group, by rules 2; with 0xfd: of
 * two, by rules 2; with 0xff: cells from bytes, 0xfb: of a group. */
#include "common/im/conv.h"
#include "tests/support/convstore.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define USERS2 8
static struct id16 users[3], conv_of_two, users2[USERS2], group;

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

/* Ten bytes an event; the last says where the batch ends. */
static struct conv_event event2(const uint8_t *p, bool direct, uint64_t head, struct id16 *named)
{
    struct conv_event e = {.rules = direct && p[8] == 0xff ? 1 : 2, .kind = p[0] % 64};
    size_t n = 0;
    e.conv = direct ? conv_of_two : group;
    e.user = direct ? users[p[1] % 8 == 7 ? 2 : p[1] & 1] : users2[p[1] % USERS2];
    if (direct && !(p[1] & 0x80))
        e.peer = id_eq(e.user, users[0]) ? users[1] : users[0];
    e.device = 1 + (p[1] >> 4) % 12;
    e.client_seq = e.kind == 60 ? 0 : p[2];
    e.time_ms = (int64_t)p[3] << (p[4] & 31);
    e.target = head + 2 > p[5] ? head + 2 - p[5] : p[5];
    e.reply_to = p[4] & 0x80 ? e.target : 0;
    for (size_t i = 0; i < USERS2; i++)
        if (p[6] >> i & 1)
            named[n++] = users2[i];
    e.users = (struct slice){named, n * ID_SIZE};
    e.role = p[7] & 3;
    e.flags = p[7] >> 2;
    e.flags_mask = p[8];
    e.duration_s = p[7] == 255 ? INT64_MAX : p[7];
    e.read = e.target;
    e.delivered = p[8] ? head : 0;
    e.settings =
        (struct conv_settings){.strangers_refused = p[8] == 1, .recall_limit_s = p[8], .group_cap = 6};
    if (e.kind == 20) {
        e.user = users2[0];
        e.device = 1;
        e.client_seq = 1;
        e.settings.group_cap = USERS2;
    }
    return e;
}

static bool same2(const struct conv_outcome *x, const struct conv_outcome *y)
{
    return x->verdict == y->verdict && x->reason == y->reason && x->seq == y->seq &&
           x->time_ms == y->time_ms && x->changed[0] == y->changed[0] && x->read == y->read &&
           x->delivered == y->delivered && x->until_ms == y->until_ms;
}

static void fuzz_log2(const uint8_t *data, size_t size, bool direct)
{
    struct convstore store = {0};
    struct id16 id = direct ? conv_of_two : group, named[USERS2];
    struct conv *whole = conv_new(id), *saved = conv_new(id);
    uint8_t a[32], b[32];
    uint64_t head = 0;
    conv_load(whole, &(struct conv_cell){.key_n = 1});
    for (size_t at = 0; at + 10 <= size && at < 10 * 2000; at += 10) {
        struct conv_event e = event2(data + at, direct, head, named);
        struct conv_outcome x = conv_apply(whole, &e), y;
        if (!convstore_plan(&store, saved, &e))
            abort();
        y = conv_apply(saved, &e);
        if (!same2(&x, &y) || (x.verdict == CONV_ACCEPTED && x.seq != ++head))
            abort();
        if (data[at + 9] % 5 == 0) {
            convstore_save(&store, saved);
            conv_free(saved);
            saved = conv_new(id);
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
static void fuzz_cells(const uint8_t *data, size_t size, struct id16 id)
{
    struct conv *c = conv_new(id);
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
    for (size_t i = 0; i < USERS2; i++) /* ascending, in as many buckets as there is room for */
        users2[i] = (struct id16){{(uint8_t)(i / 2 * 0x11), (uint8_t)i}};
    group = id_group(users2[0], 1, 1);
    uint8_t what = size ? data[0] : 0;
    if (what == 0xff || what == 0xfb)
        fuzz_cells(data + 1, size - 1, what == 0xff ? conv_of_two : group);
    else if (what == 0xfe || what == 0xfd)
        fuzz_log2(data + 1, size - 1, what == 0xfd);
    else
        fuzz_log(data, size);
    return 0;
}
