#include "client/parleyctl/bodies.h"

#include "client/parleyctl/scan.h"

#include <errno.h>

struct loading {
    struct bodykeys *keys;
    int rc;
};

static enum scan_go take(void *ctx, const struct record *rec)
{
    struct loading *l = ctx;
    int rc = bodykeys_feed(l->keys, rec->key, rec->value);
    if (rc == 0 || rc == -EBADMSG) /* what no version can read is nobody's key */
        return SCAN_ON;
    l->rc = rc;
    return SCAN_STOP;
}

static int read_vault(struct bodies *b, struct ctl *c)
{
    struct loading l = {.keys = b->keys};
    struct scan *s = scan_new(c);
    int rc = s ? 0 : CTL_FAILED;
    for (int32_t p = 0; !rc && p < topics_get(c->deploy.topics, T_VAULT)->parts; p++) {
        struct scan_range r = {.topic = T_VAULT, .part = p};
        if (scan_ends(s, T_VAULT, p, &r.from, &r.to) || scan_read(s, &r, 1, NULL, take, &l))
            rc = CTL_FAILED;
    }
    if (l.rc) {
        ctl_complain("im.vault cannot be read: %s",
                     l.rc == -ENOTSUP ? "it holds a record of a newer version" : "no memory");
        rc = CTL_FAILED;
    }
    scan_free(s);
    return rc;
}

int bodies_load(struct bodies *b, struct ctl *c)
{
    char path[4096], why[300] = "";
    ctl_path(c, c->settings.master_key, path, sizeof path);
    b->secrets = secrets_load(path, true, why, sizeof why);
    if (!b->secrets) {
        ctl_complain("what is sealed cannot be opened: %s", why);
        return CTL_FAILED;
    }
    b->keys = bodykeys_new(b->secrets);
    int rc = b->keys ? read_vault(b, c) : CTL_FAILED;
    if (b->keys)
        bodykeys_final(b->keys);
    return rc;
}

void bodies_release(struct bodies *b)
{
    bodykeys_free(b->keys);
    secrets_free(b->secrets);
    *b = (struct bodies){0};
}
