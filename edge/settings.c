#include "edge/settings.h"

#include "common/base/addr.h"

#define S struct edge_settings

static const struct conf_def defs[] = {
    CONF_STR("edge.listen", S, listen, "127.0.0.1:7000", "Address for clients.", .check = addr_check),
    CONF_STR("edge.advertise", S, advertise, NULL,
             "Address told to others, when it is not the one listened on."),
    CONF_BOOL("edge.proxy_protocol", S, proxy_protocol, "false",
              "Every connection begins with a PROXY protocol header (version 1 or 2) that says whose it is; "
              "only behind a balancer, on an address that nobody else reaches."),
    CONF_STR("edge.name", S, name, NULL, "What this edge is called towards people; unset: host and process."),
    CONF_SECRET(
        "secrets.master_key_file", S, key, "master.key",
        "The deployment's keys, one a line: 32 bytes in hex, closed to others; `parleyctl init` makes "
        "the first. The last one, or the one marked with *, seals; all of them open."),
    CONF_INT("edge.max_conns", S, max_conns, "100000", 1, 4000000, "Connections at once."),
    CONF_SIZE("edge.max_frame", S, max_frame, "64KiB", 4096, 1 << 20,
              "Largest frame from a client that is logged in."),
    CONF_INT("edge.conns_per_address", S, conns_per_address, "4096", 1, 4000000,
             "Connections at once from one IPv4 address or IPv6 /64."),
    CONF_INT("edge.unconfirmed", S, unconfirmed, "4096", 16, 1000000,
             "Pushes a client may leave unconfirmed before it is cut."),
    CONF_INT("edge.window", S, window, "65536", 64, 1 << 24,
             "Delivery records not finished at once; a power of two."),
    CONF_INT("edge.known_users", S, known_users, "65536", 1, 100000000, "Accounts remembered as existing."),
    CONF_INT("edge.send_window", S, send_window, "64", 1, 64, "Sends of one client without an outcome."),
    CONF_INT("edge.rate", S, rate, "1000", 1, 10000000, "Requests per second and connection."),
    CONF_INT("edge.burst", S, burst, "2000", 1, 4000000, "Requests at once above that rate."),
    CONF_INT("edge.queries", S, queries, "8", 1, 255,
             "Questions (history, search, members …) of one client without an answer."),
    CONF_INT("edge.query_rate", S, query_rate, "50", 1, 1000000, "Questions per second and connection."),
    CONF_INT("edge.query_burst", S, query_burst, "100", 1, 4000000, "Questions at once above that rate."),
    CONF_INT("edge.tries", S, tries, "20", 1, 4000000, "Wrong passwords at once from one address."),
    CONF_MS("edge.try_every", S, try_every_ms, "1s", 1, 3600000, "After that, one more each …"),
    CONF_INT(
        "edge.account_tries", S, account_tries, "10", 1, 4000000,
        "Wrong passwords at once for one account, from whatever address but those it logged in from before."),
    CONF_MS("edge.account_try_every", S, account_try_every_ms, "5s", 1, 3600000,
            "After that, one more each …"),
    CONF_INT("edge.registers", S, registers, "100", 1, 4000000, "Registrations at once from one address."),
    CONF_MS("edge.register_every", S, register_every_ms, "10s", 1, 3600000, "After that, one more each …"),
    CONF_MS("edge.login", S, login_ms, "10s", 100, 600000, "Time from connecting to being logged in."),
    CONF_MS("edge.heartbeat", S, heartbeat_ms, "30s", 100, 3600000,
            "How often clients should speak; three times as much silence ends the connection."),
    CONF_MS("edge.confirm", S, confirm_ms, "30s", 100, 3600000,
            "Time to confirm a push before the client is cut."),
    CONF_MS("edge.lookup", S, lookup_ms, "2s", 10, 60000,
            "How long to ask whether a recipient exists; then one written to is taken on trust, members "
            "named are BUSY."),
    CONF_MS("edge.cursor", S, cursor_ms, "10s", 10, 3600000, "How often a client's cursors are written."),
    CONF_MS("edge.commit", S, commit_ms, "1s", 1, 60000, "How often the slot's position is committed."),
    CONF_MS("edge.token", S, token_ms, "30d", 1000, 31622400000, "How long a token is good for."),
    CONF_SIZE("edge.output_pause", S, output_pause, "1MiB", 4096, 1 << 30,
              "Output behind at which the edge stops reading a client."),
    CONF_SIZE("edge.output_cut", S, output_cut, "4MiB", 8192, 1 << 30,
              "Output behind at which a client is cut."),
    CONF_INT("edge.hash_threads", S, hash_threads, "2", 1, 64, "Threads that hash passwords."),
    CONF_INT("edge.hash_waiting", S, hash_waiting, "256", 1, 65536,
             "Passwords waiting to be hashed; more: BUSY."),
    CONF_INT("edge.hash_per_address", S, hash_per_address, "32", 1, 65536,
             "Of these, at once from one IPv4 address or IPv6 /64."),
    CONF_MS("edge.busy_check", S, busy_check_ms, "15s", 100, 3600000,
            "How often the router's lag is looked at."),
    CONF_INT("edge.busy_lag", S, busy_lag, "0", 0, INT64_MAX,
             "Refuse sends when the router is this many records behind; 0: judge only by retention."),
    CONF_MS("edge.drain_grace", S, drain_grace_ms, "5s", 0, 600000,
            "How long clients may finish after GOAWAY; less than edge.drain."),
};

const struct conf_table edge_tables[] = {DEPLOY_TABLE(S, deploy), {.defs = defs, .n = ARRAY_LEN(defs)}};
const size_t edge_tables_n = ARRAY_LEN(edge_tables);

void edge_limits_of(const struct edge_settings *s, struct edge_limits *l)
{
    uint32_t window = 64;
    while (window < s->window)
        window *= 2;
    *l = (struct edge_limits){
        .max_conns = (uint32_t)s->max_conns,
        .max_frame = (uint32_t)s->max_frame,
        .conns_per_address = (uint32_t)s->conns_per_address,
        .unconfirmed = (uint32_t)s->unconfirmed,
        .window = window,
        .known_users = (uint32_t)s->known_users,
        .send_window = (uint32_t)s->send_window,
        .rate = (uint32_t)s->rate,
        .burst = (uint32_t)s->burst,
        .queries = (uint32_t)s->queries,
        .query_rate = (uint32_t)s->query_rate,
        .query_burst = (uint32_t)s->query_burst,
        .hash_per_address = (uint32_t)s->hash_per_address,
        .tries = (uint32_t)s->tries,
        .try_every_ms = (uint32_t)s->try_every_ms,
        .account_tries = (uint32_t)s->account_tries,
        .account_try_every_ms = (uint32_t)s->account_try_every_ms,
        .registers = (uint32_t)s->registers,
        .register_every_ms = (uint32_t)s->register_every_ms,
        .login_ms = s->login_ms,
        .heartbeat_ms = s->heartbeat_ms,
        .confirm_ms = s->confirm_ms,
        .lookup_ms = s->lookup_ms,
        .cursor_ms = s->cursor_ms,
        .commit_ms = s->commit_ms,
        .token_ms = s->token_ms,
    };
}
