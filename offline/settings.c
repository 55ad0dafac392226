#include "offline/settings.h"

static const struct conf_def offline_defs[] = {
    CONF_INT("offline.queue_items", struct offline_settings, cap_items, "1000", 1, 100000,
             "Messages queued for one device; older ones are in history only."),
    CONF_SIZE("offline.queue_bytes", struct offline_settings, cap_bytes, "1MiB", 4096, 1 << 28,
              "Bytes queued for one device; older ones are in history only."),
    CONF_INT("offline.page_items", struct offline_settings, page_items, "100", 1, 1000,
             "Messages in a page when the client does not say."),
    CONF_SIZE("offline.page_bytes", struct offline_settings, page_bytes, "240KiB", 4096, 900 << 10,
              "Bytes in a page; a single message may be more."),
    CONF_SIZE("offline.cache", struct offline_settings, cache_bytes, "32MiB", 1 << 20, 1LL << 36,
              "Queues kept in memory, per partition; further ones are read from Redis."),
};

static const struct conf_def minder_defs[] = {
    CONF_INT("offline.minded_slots", struct minder_settings, max_slots, "32", 0, 256,
             "Delivery slots of dead edges that this worker looks after at once."),
};

const struct conf_table offline_tables[OFFLINE_TABLES] = {
    CONF_TABLE(offline_defs, struct offline_process_settings, core),
    CONF_TABLE(minder_defs, struct offline_process_settings, minder),
    BODYVIEW_TABLE(struct offline_process_settings, bodies),
    DEPLOY_TABLE(struct offline_process_settings, deploy),
};
