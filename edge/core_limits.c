/* core_limits.c: what a limit is when nobody sets it. */
#include "edge/state.h"

#define DEFAULT(field, value) \
    do {                      \
        if (!l->field)        \
            l->field = value; \
    } while (0)

void edge_defaults(struct edge_limits *l)
{
    DEFAULT(max_conns, 100000);
    DEFAULT(max_frame, FRAME_CAP);
    DEFAULT(conns_per_address, 4096);
    DEFAULT(unconfirmed, 4096);
    DEFAULT(window, 65536);
    DEFAULT(known_users, 65536);
    DEFAULT(send_window, EDGE_WINDOW_MAX);
    DEFAULT(rate, 1000);
    DEFAULT(burst, 2000);
    DEFAULT(hash_per_address, 32);
    DEFAULT(pulls, 4);
    DEFAULT(queries, 8);
    DEFAULT(query_rate, 50);
    DEFAULT(query_burst, 100);
    DEFAULT(tries, 20);
    DEFAULT(try_every_ms, 1000);
    DEFAULT(account_tries, 10);
    DEFAULT(account_try_every_ms, 5000);
    DEFAULT(registers, 100);
    DEFAULT(register_every_ms, 10000);
    DEFAULT(login_ms, 10000);
    DEFAULT(heartbeat_ms, 30000);
    DEFAULT(confirm_ms, 30000);
    DEFAULT(lookup_ms, 2000);
    DEFAULT(cursor_ms, 10000);
    DEFAULT(commit_ms, 1000);
    DEFAULT(recommit_ms, 86400000);
    DEFAULT(token_ms, (int64_t)TOKEN_LIFE_S * 1000);
    if (l->send_window > EDGE_WINDOW_MAX)
        l->send_window = EDGE_WINDOW_MAX;
    if (l->queries > UINT8_MAX)
        l->queries = UINT8_MAX;
    if (l->pulls > UINT8_MAX)
        l->pulls = UINT8_MAX;
}
