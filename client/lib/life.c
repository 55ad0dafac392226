#include "client/lib/client.h"
#include "common/base/clock.h"

#include <errno.h>
#include <utlist.h>

#define STEADY_MS   10000 /* a session that lasted so long makes the next pause short again */
#define UNNEEDED_MS 5000  /* a connection without log-in and requests is closed after */
#define BYE_MS      1000  /* wait for LOGOUT_RSP */
#define GOING_MS    1000  /* wait for acceptance of what is under way when the edge goes */

void life_set(struct parley *p, enum parley_state st, enum parley_code why, const char *detail)
{
    if (p->st == st)
        return;
    p->st = st;
    if (p->cb.state)
        p->cb.state(p->ctx, st, why, text_or(detail));
}

void life_error(struct parley *p, enum parley_code code, const char *detail)
{
    if (p->cb.error)
        p->cb.error(p->ctx, code, text_or(detail));
}

void life_save(struct parley *p)
{
    if (!p->dirty)
        return;
    p->dirty = false;
    p->save_by = NEVER;
    int rc = state_save(&p->state, p->inbox, &p->outbox);
    if (rc && rc != p->save_err)
        life_error(p, PARLEY_STATE_FILE, strerror(-rc));
    p->save_err = rc;
}

static void clear_connection(struct parley *p)
{
    link_close(&p->link);
    inbox_disconnected(p->inbox);
    outbox_disconnected(&p->outbox);
    p->pull.seq_id = 0;
    p->pull.chain = p->pull.started = false;
    p->pull.at = 0;
    p->fill = (struct filling){0};
    receipts_again(p->receipts, clock_mono_ms());
    ask_disconnected(p);
    p->typing_at = 0;
    p->login_frame = p->acked = 0;
    p->connect_by = p->login_by = p->idle_by = p->beat_at = NEVER;
    p->goaway_by = p->bye_by = NEVER;
    p->why = PARLEY_OK;
    p->why_text[0] = '\0';
}

/* What may not be asked twice is answered now, the rest is asked again on the next connection. */
static void requests_lost(struct parley *p, enum parley_code why, const char *detail, bool all)
{
    struct request *r, *tmp;
    DL_FOREACH_SAFE(p->requests, r, tmp)
    {
        if (all || (r->registration && r->seq_id))
            request_answer(p, r, why, detail, false, NULL);
        else
            r->seq_id = 0;
    }
}

static bool needed(const struct parley *p)
{
    return p->st != PARLEY_ENDED && (p->want_login || p->requests);
}

void life_lost(struct parley *p, enum parley_code why, const char *detail, uint32_t wait_ms, int64_t now)
{
    char text[160];
    if (p->why) { /* the server's own words say more */
        why = p->why;
        detail = p->why_text;
    }
    snprintf(text, sizeof text, "%s", text_or(detail));
    if (p->online_since && now - p->online_since >= STEADY_MS)
        backoff_reset(&p->backoff);
    p->online_since = 0;
    clear_connection(p);
    p->tried = 0;
    link_next(&p->link);
    int64_t pause = backoff_next_ms(&p->backoff);
    p->next_at = now + (pause > wait_ms ? pause : wait_ms);
    requests_lost(p, PARLEY_DISCONNECTED, "the connection broke before the answer came", false);
    life_set(p, PARLEY_OFFLINE, why, text);
}

void life_end(struct parley *p, enum parley_code why, const char *detail)
{
    char text[160];
    snprintf(text, sizeof text, "%s", text_or(detail));
    life_save(p);
    clear_connection(p);
    p->want_login = false;
    p->stop_by = NEVER;
    p->online_since = 0;
    requests_lost(p, why, text, true);
    ask_end(p, why, text);
    life_set(p, PARLEY_ENDED, why, text);
}

/* This server cannot be reached: the next at once, a pause after the last. */
static void unreachable(struct parley *p, int err, int64_t now)
{
    char text[400];
    snprintf(text, sizeof text, "%s: %s", p->link.servers[p->link.at].name, strerror(err));
    clear_connection(p);
    link_next(&p->link);
    p->next_at = now;
    if (++p->tried >= p->link.n) {
        p->tried = 0;
        p->next_at = now + backoff_next_ms(&p->backoff);
        life_error(p, PARLEY_UNREACHABLE, text);
        life_set(p, PARLEY_OFFLINE, PARLEY_UNREACHABLE, text);
    }
}

static void is_up(struct parley *p, int64_t now)
{
    p->tried = 0;
    p->connect_by = NEVER;
    p->heard_at = now;
    p->idle_by = now + UNNEEDED_MS;
    p->max_frame = 4096; /* until the log-in says more */
    life_set(p, PARLEY_CONNECTED, PARLEY_OK, p->link.servers[p->link.at].name);
}

void life_begin(struct parley *p, int64_t now)
{
    life_set(p, PARLEY_CONNECTING, PARLEY_OK, p->link.servers[p->link.at].name);
    p->connect_by = now + p->opt.connect_timeout_ms;
    int rc = link_connect(&p->link);
    if (rc)
        unreachable(p, -rc, now);
    else if (p->link.up)
        is_up(p, now);
}

void life_connected(struct parley *p, int64_t now)
{
    int rc = link_connected(&p->link);
    if (!rc)
        is_up(p, now);
    else if (rc != -EINPROGRESS)
        unreachable(p, -rc, now);
}

void life_logged_in(struct parley *p, const Im__LoginRsp *r, int64_t now)
{
    p->login_frame = 0;
    p->login_by = p->idle_by = NEVER;
    if (r->user.len == PARLEY_ID)
        memcpy(p->user, r->user.data, PARLEY_ID);
    p->device = r->device;
    snprintf(p->name, sizeof p->name, "%s", text_or(r->login));
    snprintf(p->edge, sizeof p->edge, "%s", text_or(r->edge));
    p->max_frame = r->max_frame ? r->max_frame : 65536;
    p->window = r->send_window && r->send_window < 64 ? r->send_window : 64;
    p->heartbeat_ms = r->heartbeat_ms ? r->heartbeat_ms : 30000;
    p->beat_at = now + p->heartbeat_ms / 2;
    p->new_device = r->new_device;
    if (r->new_device) { /* what we remember is of another log, or the device was dropped meanwhile */
        inbox_forget(p->inbox);
        p->last_seq = 0;
    }
    if (r->client_seq_base > p->outbox.last_seq)
        p->outbox.last_seq = r->client_seq_base;
    if (state_set(&p->state.login, p->name) ||
        (r->token && *r->token && state_set(&p->state.token, r->token)))
        life_error(p, PARLEY_STATE_FILE, strerror(ENOMEM));
    if (p->password && p->state.token[0]) {
        explicit_bzero(p->password, strlen(p->password));
        free(p->password);
        p->password = NULL;
    }
    p->dirty = true;
    life_save(p);
    p->online_since = now ? now : 1;
    life_set(p, PARLEY_ONLINE, PARLEY_OK, p->edge);
}

void life_login_refused(struct parley *p, enum parley_code code, const char *detail, uint32_t retry_ms,
                        int64_t now)
{
    char text[160];
    snprintf(text, sizeof text, "%s", text_or(detail));
    p->login_frame = 0;
    switch (code) {
    case PARLEY_TOO_MANY_REQUESTS:
    case PARLEY_BUSY:
    case PARLEY_TOO_MANY_CONNECTIONS:
    case PARLEY_INTERNAL:
    case PARLEY_SHUTTING_DOWN:
    case PARLEY_LOGIN_TIMEOUT:
        life_error(p, code, text);
        life_lost(p, code, text, retry_ms, now);
        return;
    case PARLEY_BAD_TOKEN:
    case PARLEY_TOKEN_EXPIRED:
    case PARLEY_SESSION_REVOKED:
        if (!p->password) { /* never worth another try */
            (void)state_set(&p->state.token, "");
            p->dirty = true;
        }
        break;
    default:
        break;
    }
    life_end(p, code, text);
}

static void stop_tick(struct parley *p, int64_t now)
{
    bool settled = outbox_unaccepted(&p->outbox) == 0 || now >= p->stop_by;
    if (p->bye_by != NEVER) {
        if (now >= p->bye_by)
            life_end(p, PARLEY_STOPPED, "");
    } else if (settled && p->st == PARLEY_ONLINE) {
        outward_pump(p, now); /* the last confirmation goes before it */
        if (p->st != PARLEY_ONLINE)
            return;
        outward_last(p, now);
        link_frame(&p->link, IM__FRAME_TYPE__LOGOUT_REQ, ++p->seq_id, NULL);
        (void)link_flush(&p->link);
        p->bye_by = now + BYE_MS;
    } else if (settled) {
        life_end(p, PARLEY_STOPPED, "");
    }
}

static bool under_way(const struct parley *p)
{
    const struct out *e;
    DL_FOREACH (p->outbox.head, e)
        if (e->seq_id && !e->held)
            return true;
    return false;
}

void life_tick(struct parley *p, int64_t now)
{
    if (p->st == PARLEY_ENDED)
        return;
    if (p->stop_by != NEVER) {
        stop_tick(p, now);
        if (p->st == PARLEY_ENDED)
            return;
    }
    struct request *r, *tmp;
    DL_FOREACH_SAFE(p->requests, r, tmp)
    if (r->seq_id && now >= r->deadline)
        request_answer(p, r, PARLEY_DISCONNECTED, "no answer came in time", false, NULL);
    ask_tick(p, now);
    if (now >= p->connect_by)
        unreachable(p, ETIMEDOUT, now);
    else if (now >= p->login_by)
        life_lost(p, PARLEY_DISCONNECTED, "no answer to the log-in came in time", 0, now);
    else if (p->goaway_by != NEVER && (now >= p->goaway_by || !under_way(p))) {
        outward_pump(p, now);
        if (p->link.up)
            life_lost(p, PARLEY_SHUTTING_DOWN, "the server is going away", (uint32_t)p->retry_at, now);
    } else if (p->st == PARLEY_ONLINE && now - p->heard_at > 2 * (int64_t)p->heartbeat_ms)
        life_lost(p, PARLEY_DISCONNECTED, "nothing was heard from the server", 0, now);
    else if (p->link.up && p->st == PARLEY_CONNECTED && needed(p))
        p->idle_by = now + UNNEEDED_MS;
    else if (p->link.up && now >= p->idle_by) {
        clear_connection(p);
        life_set(p, PARLEY_OFFLINE, PARLEY_OK, "");
    }
    if (p->link.fd < 0 && needed(p) && now >= p->next_at)
        life_begin(p, now);
    if (p->dirty && now >= p->save_by)
        life_save(p);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t life_due(const struct parley *p)
{
    int64_t due = p->dirty ? p->save_by : NEVER;
    if (p->st == PARLEY_ENDED)
        return 0;
    if (p->stop_by != NEVER)
        due = sooner(due, p->bye_by != NEVER                   ? p->bye_by
                          : outbox_unaccepted(&p->outbox) == 0 ? 0
                                                               : p->stop_by);
    if (p->link.fd < 0 && needed(p))
        due = sooner(due, p->next_at);
    due = sooner(due, sooner(p->connect_by, p->login_by));
    due = sooner(due, p->goaway_by);
    if (p->link.up && !needed(p))
        due = sooner(due, p->idle_by);
    if (p->st == PARLEY_ONLINE)
        due = sooner(due, p->heard_at + 2 * (int64_t)p->heartbeat_ms + 1);
    for (const struct request *r = p->requests; r; r = r->next)
        if (r->seq_id)
            due = sooner(due, r->deadline);
    for (const struct asked *a = p->asks; a; a = a->next)
        due = sooner(due, a->deadline);
    return due;
}
