/* group_make.c: log in, make the group with everybody in it (once; its id stays in the file of accounts), and send
 * until one message has reached all: from then on everybody is where the pipeline looks for them. */
#include "bench/group.h"
#include "bench/result.h"

#include "common/base/hex.h"
#include "common/im/wire.h"

#include "proto/client.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE  64
#define A_STEP   100 /* members that one operation may name */
#define STEPS    8
#define PROBE_NS 2000000000

void group_open_more(struct group *g)
{
    size_t under_way = 0;
    for (size_t i = 0; i < g->n && under_way < AT_ONCE && g->phase == G_LOGIN; i++) {
        struct member *m = &g->m[i];
        if (!m->k.open && !m->ready && link_open(&m->k, &g->links, (uint32_t)i))
            group_fail(g, "could not connect");
        under_way += !m->ready;
    }
}

static const char *name_of(const struct group *g, char name[24])
{
    snprintf(name, 24, "%llu", (unsigned long long)g->o.receivers);
    return name;
}

static void step(struct group *g)
{
    Im__ConvOp op = IM__CONV_OP__INIT;
    ProtobufCBinaryData users[A_STEP];
    op.client_seq = g->base + 1 + g->ops++;
    op.kind = g->invited ? IM__CONV_KIND__CONV_GROUP_INVITE : IM__CONV_KIND__CONV_GROUP_CREATE;
    if (g->invited)
        op.conversation = (ProtobufCBinaryData){16, g->conv};
    else
        op.text = (char *)(uintptr_t) "bench";
    while (op.n_users < A_STEP && g->invited < g->o.receivers)
        users[op.n_users++] = (ProtobufCBinaryData){16, g->people.v[++g->invited].id.b};
    /* An array of structures is what protobuf-c has for repeated bytes. */
    op.users = users;
    link_send(&g->m[0].k, IM__FRAME_TYPE__CONV_OP, 1, &op.base);
}

void group_make(struct group *g)
{
    char name[24];
    const char *known =
        json_string_value(json_object_get(json_object_get(g->people.file, "groups"), name_of(g, name)));
    if (g->o.bare || (known && !hex_decode(g->conv, 16, known))) {
        g->conv_known = true;
        group_probe(g);
        return;
    }
    group_enter(g, G_MAKE);
    step(g);
}

void group_made(struct group *g, uint64_t sequenced)
{
    char name[24], hex[33];
    g->phase_ns = now_ns();
    if (g->invited < g->o.receivers) {
        while (g->invited < g->o.receivers && g->ops - sequenced < STEPS)
            step(g);
        return;
    }
    if (sequenced < g->ops)
        return;
    json_t *groups = json_object_get(g->people.file, "groups");
    if (!groups && (groups = json_object()))
        json_object_set_new(g->people.file, "groups", groups);
    json_object_set_new(groups, name_of(g, name), json_string(hex_encode(hex, g->conv, 16)));
    people_write(g->people.file, g->o.accounts);
    group_probe(g);
}

/* Again every two seconds: who has just logged in, or was just invited, may be missed. */
void group_probe(struct group *g)
{
    int64_t now = now_ns();
    if (g->phase != G_PROBE)
        group_enter(g, G_PROBE);
    else if (now - g->probe_ns < PROBE_NS)
        return;
    g->probe_ns = now;
    group_chat(g);
}
