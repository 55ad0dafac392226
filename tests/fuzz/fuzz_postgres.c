/* PostgreSQL that lies: what it sends, from the answer to the start-up on. */
#include "common/base/db.h"
#include "common/base/log.h"
#include "common/base/store_pg.h"
#include "tests/fuzz/lying.h"

#include <stdio.h>
#include <sys/stat.h>

static const struct store_pg_table table = {
    .table = 0,
    .name = "cells",
    .upsert = "INSERT INTO cells (part, key, row) SELECT $2, * FROM unnest($3::bytea[], $4::bytea[])"
              " ON CONFLICT (part, key) DO UPDATE SET row = excluded.row",
    .remove = "DELETE FROM cells WHERE part = $2 AND key = ANY($3::bytea[])",
    .load = "SELECT key, row FROM cells WHERE part = $2 AND key = ANY($3::bytea[])",
    .clear = "DELETE FROM cells WHERE part = $2 AND $1 <> ''",
    .n_columns = 2,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    static char folder[64], path[96], conninfo[200];
    static int listener;
    if (size > 60000)
        return 0; /* a socket's buffer takes it at once */
    if (!loop) {
        snprintf(folder, sizeof folder, "/tmp/parley-fuzz-pg.%d", (int)getpid());
        snprintf(path, sizeof path, "%s/.s.PGSQL.5432", folder);
        snprintf(conninfo, sizeof conninfo,
                 "host=%s port=5432 user=f dbname=f sslmode=disable gssencmode=disable", folder);
        if (mkdir(folder, 0700) && access(folder, W_OK))
            abort();
        listener = lying_listen(path);
        log_set_level(LOG_NOTHING);
        if (loop_new(&loop))
            abort();
    }
    struct db *db = db_new(loop, &(struct db_conf){.conninfo = conninfo});
    struct lying l = {0};
    struct store *s = db ? store_pg_new(loop, db, &table, 1) : NULL;
    if (!s)
        abort();
    lying_ask(&l, loop, s, listener, data, size);
    db_free(db);
    store_free(s);
    return 0;
}
