/* settings.h: the edge's settings; settings.c has the table that documents them. */
#ifndef PARLEY_EDGE_SETTINGS_H
#define PARLEY_EDGE_SETTINGS_H

#include "common/im/deploy.h"
#include "edge/core.h"

struct edge_settings {
    struct deploy_settings deploy;
    const char *listen, *advertise, *name;
    struct conf_secret key;
    bool proxy_protocol;
    int64_t max_conns, max_frame, conns_per_address;
    int64_t unconfirmed, window, known_users, send_window, rate, burst, tries, try_every_ms;
    int64_t account_tries, account_try_every_ms, registers, register_every_ms;
    int64_t queries, query_rate, query_burst;
    int64_t login_ms, heartbeat_ms, confirm_ms, lookup_ms, cursor_ms, commit_ms, token_ms;
    int64_t output_pause, output_cut;
    int64_t hash_threads, hash_waiting, hash_per_address;
    int64_t busy_check_ms, busy_lag, drain_grace_ms;
};

extern const struct conf_table edge_tables[];
extern const size_t edge_tables_n;
void edge_limits_of(const struct edge_settings *, struct edge_limits *);

#endif
