/* sim_fill.c: what a client does not have: of two people, and all that is queued, from its queue; of groups from history. */
#include "common/im/codec.h"
#include "tests/sim/sim_client_int.h"
#include "tests/sim/sim_world.h"

void sim_client_event(struct sim_client *c, const Im__ChatPush *p, bool past)
{
    struct id16 conv = codec_id(p->conversation);
    struct sim_seen what = {.sender = codec_id(p->sender),
                            .device = p->sender_device,
                            .client_seq = p->client_seq,
                            .text = sim_text_hash(p->text, strlen(p->text)),
                            .kind = p->kind,
                            .target = p->target,
                            .blank = past && !p->text[0]};
    sim_trace(c->sim, "%s is shown %s%lu: kind %d %s", c->name, past ? "from history " : "",
              (unsigned long)p->seq, p->kind, p->text);
    sim_client_shown(c, &conv, p->seq, &what);
    sim_client_confirm_soon(c);
}

/* ---- the queue ---- */
void sim_client_pull(struct sim_client *c, uint32_t talk, uint64_t after)
{
    Im__PullOfflineReq r = IM__PULL_OFFLINE_REQ__INIT;
    r.after = after;
    r.limit = (uint32_t)sim_below(c->sim, 8);
    if (talk != WHOLE_QUEUE)
        r.conversation = codec_bytes(slice_id(&c->talks[talk].id));
    c->pulling = true;
    c->pull_talk = talk;
    c->pull_after = after;
    c->pull_us = c->sim->now;
    c->pull_seq_id = ++c->next_seq_id;
    sim_client_say(c, c->link, IM__FRAME_TYPE__PULL_OFFLINE_REQ, c->pull_seq_id, &r.base);
}

static void take_page(struct sim_client *c, const Im__PullOfflineRsp *r)
{
    for (size_t i = 0; i < r->n_cursors; i++) {
        struct id16 conv = codec_id(r->cursors[i]->conversation);
        sim_talk_cursor(c, &conv, r->cursors[i]->from, r->cursors[i]->upto);
    }
    for (size_t i = 0; i < r->n_items; i++)
        sim_client_event(c, r->items[i], false);
    for (size_t i = 0; i < r->n_news; i++) {
        struct id16 conv = codec_id(r->news[i]->conversation);
        sim_talk_news(c, &conv, r->news[i]->upto);
    }
}

void sim_client_page(struct sim_client *c, const struct sim_link *l, uint32_t seq_id,
                     const Im__PullOfflineRsp *r)
{
    sim_trace(c->sim, "%s: a page of %zu and news of %zu%s%s", c->name, r->n_items, r->n_news,
              r->more ? ", more" : "", r->rest_in_history ? ", rest in history" : "");
    take_page(c, r);
    if (r->rest_in_history) {
        c->rest_in_history = true;
        sim_client_confirm_soon(c);
    }
    if (l != c->link || c->state != CLIENT_ON)
        return;
    if (seq_id && seq_id != c->pull_seq_id)
        return;
    uint32_t talk = seq_id ? c->pull_talk : WHOLE_QUEUE;
    c->pulling = false;
    if (r->more && !c->link->unread)
        sim_client_pull(c, talk, r->next);
}

/* ---- history ---- */
static void ask_history(struct sim_client *c, uint32_t talk)
{
    const struct sim_talk *t = &c->talks[talk];
    Im__HistoryReq r = IM__HISTORY_REQ__INIT;
    Im__Wait wait = IM__WAIT__INIT;
    c->fill_after = t->known ? t->upto : 0;
    c->fill_upto = t->news > t->top ? t->news : t->top;
    r.conversation = wait.conversation = codec_bytes(slice_id(&t->id));
    wait.seq = c->fill_upto;
    r.wait = &wait;
    r.seq = c->fill_after;
    r.direction = IM__DIRECTION__AFTER;
    r.limit = 1 + (uint32_t)sim_below(c->sim, 12);
    r.events = true;
    c->filling = true;
    c->fill_talk = talk;
    c->fill_us = c->sim->now;
    c->fill_seq_id = ++c->next_seq_id;
    sim_trace(c->sim, "%s asks for history of group %u after %lu, up to %lu", c->name, talk - SIM_ROOM0,
              (unsigned long)c->fill_after, (unsigned long)c->fill_upto);
    sim_client_say(c, c->link, IM__FRAME_TYPE__HISTORY_REQ, c->fill_seq_id, &r.base);
}

void sim_client_past(struct sim_client *c, uint32_t seq_id, const Im__HistoryRsp *r)
{
    if (!c->filling || seq_id != c->fill_seq_id)
        return;
    if (r->code) {
        sim_client_past_failed(c, seq_id, r->code);
        return;
    }
    struct sim_talk *t = &c->talks[c->fill_talk];
    uint64_t after = c->fill_after;
    c->filling = false;
    for (size_t i = 0; i < r->n_items; i++) {
        const Im__ChatPush *p = r->items[i]->event;
        if (p->seq <= after) {
            sim_fail(c->sim, "divergent", "%s is given history that does not ascend", c->name);
            return;
        }
        sim_talk_nothing(c, t, after, p->seq - 1);
        sim_client_event(c, p, true);
        after = p->seq;
    }
    if (!r->more_after)
        sim_talk_nothing(c, t, after, r->head > c->fill_upto ? r->head : c->fill_upto);
    sim_talk_begins(t);
    sim_client_confirm_soon(c);
}

void sim_client_past_failed(struct sim_client *c, uint32_t seq_id, uint32_t code)
{
    if (!c->filling || seq_id != c->fill_seq_id)
        return;
    struct sim_talk *t = &c->talks[c->fill_talk];
    c->filling = false;
    sim_trace(c->sim, "%s hears from history: %u", c->name, code);
    if (code != IM__CODE__NOT_A_MEMBER)
        return; /* asks again */
    sim_talk_nothing(c, t, c->fill_after, c->fill_upto);
    sim_talk_begins(t);
}

/* ---- when ---- */
static bool due(const struct sim_client *c, uint32_t i)
{
    const struct sim_talk *t = &c->talks[i];
    return i != c->user && sim_talk_hole(t) &&
           c->sim->now - t->asked_us >= 300 * MS * (int64_t)(1 + t->asked);
}

static void fill_groups(struct sim_client *c)
{
    if (c->filling && c->sim->now - c->fill_us < 4 * SEC)
        return;
    c->filling = false;
    for (uint32_t i = SIM_ROOM0; i < SIM_TALKS; i++)
        if (due(c, i)) {
            c->talks[i].asked_us = c->sim->now;
            c->talks[i].asked += c->talks[i].asked < 4;
            ask_history(c, i);
            return;
        }
}

void sim_client_fill(struct sim_client *c)
{
    struct sim *s = c->sim;
    fill_groups(c);
    if (c->pulling && s->now - c->pull_us < 1500 * MS)
        return;
    if (c->pulling && c->pull_talk == WHOLE_QUEUE) {
        sim_client_pull(c, WHOLE_QUEUE, c->pull_after);
        return;
    }
    c->pulling = false;
    for (uint32_t i = 0; i < SIM_ROOM0; i++) {
        struct sim_talk *t = &c->talks[i];
        if (!due(c, i))
            continue;
        if (c->forgot && s->calm && t->asked >= 6) {
            sim_talk_give_up(t);
            continue;
        }
        t->asked_us = s->now;
        t->asked += t->asked < 10;
        sim_client_pull(c, i, 0);
        return;
    }
}
