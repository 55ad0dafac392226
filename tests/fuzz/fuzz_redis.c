/* Redis that lies: its replies, from the first byte on. */
#include "common/base/kv.h"
#include "common/base/log.h"
#include "tests/fuzz/lying.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    static char path[64], url[80];
    static int listener;
    if (size > 60000)
        return 0; /* a socket's buffer takes it at once */
    if (!loop) {
        snprintf(path, sizeof path, "/tmp/parley-fuzz-redis.%d", (int)getpid());
        snprintf(url, sizeof url, "unix:%s", path);
        listener = lying_listen(path);
        log_set_level(LOG_NOTHING);
        if (loop_new(&loop))
            abort();
    }
    struct kv *kv = kv_new(loop, &(struct kv_conf){.url = url});
    struct lying l = {0};
    struct store *s = kv ? store_redis_new(loop, kv, "fuzz") : NULL;
    if (!s)
        abort();
    lying_ask(&l, loop, s, listener, data, size);
    kv_free(kv);
    store_free(s);
    return 0;
}
