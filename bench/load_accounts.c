/* load_accounts.c: the clients' names, password and tokens, kept between runs in one file (0600). */
#include "bench/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void invent(struct load *l)
{
    uint8_t r[20];
    rand_bytes(r, sizeof r);
    snprintf(l->prefix, sizeof l->prefix, "bench%02x%02x%02x", r[0], r[1], r[2]);
    for (int i = 3; i < 19; i++)
        snprintf(l->password + 2 * (i - 3), 3, "%02x", r[i]);
    l->accounts = json_pack("{s:s, s:s, s:{}}", "prefix", l->prefix, "password", l->password, "tokens");
}

/* Every connection has its name afterwards, and its token if it was there before. */
int accounts_read(struct load *l)
{
    json_error_t err;
    const char *prefix, *password;
    if (l->o.accounts && access(l->o.accounts, F_OK) == 0) {
        l->accounts = json_load_file(l->o.accounts, 0, &err);
        if (!l->accounts || json_unpack(l->accounts, "{s:s, s:s, s:{}}", "prefix", &prefix, "password",
                                        &password, "tokens")) {
            fprintf(stderr, "parley-bench: %s is not a file of accounts: remove it\n", l->o.accounts);
            return -EINVAL;
        }
        snprintf(l->prefix, sizeof l->prefix, "%s", prefix);
        snprintf(l->password, sizeof l->password, "%s", password);
    } else {
        invent(l);
    }
    const json_t *tokens = json_object_get(l->accounts, "tokens");
    for (size_t i = 0; i < l->n; i++) {
        struct conn *c = &l->conns[i];
        snprintf(c->login, sizeof c->login, "%s-%zu", l->prefix, i);
        const char *token = json_string_value(json_object_get(tokens, c->login));
        c->token = token ? strdup(token) : NULL;
        c->registered = token != NULL;
    }
    return 0;
}

int accounts_write(struct load *l)
{
    if (!l->o.accounts)
        return 0;
    json_t *tokens = json_object_get(l->accounts, "tokens");
    for (size_t i = 0; i < l->n; i++)
        if (l->conns[i].token)
            json_object_set_new(tokens, l->conns[i].login, json_string(l->conns[i].token));
    int fd = open(l->o.accounts, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = fd < 0 || json_dumpfd(l->accounts, fd, 0) < 0 ? -EIO : 0;
    if (rc)
        fprintf(stderr, "parley-bench: %s: %s\n", l->o.accounts, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}
