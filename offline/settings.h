/* settings.h: every setting of parley-offline. */
#ifndef PARLEY_OFFLINE_SETTINGS_H
#define PARLEY_OFFLINE_SETTINGS_H

#include "common/im/bodyview.h"
#include "common/im/deploy.h"
#include "offline/core.h"
#include "offline/minder.h"

struct offline_process_settings {
    struct offline_settings core;
    struct minder_settings minder;
    struct deploy_settings deploy;
    struct bodyview_settings bodies;
};

#define OFFLINE_TABLES 4
extern const struct conf_table offline_tables[OFFLINE_TABLES];

#endif
