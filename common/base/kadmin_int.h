/* kadmin_int.h: shared by kadmin.c (blocking calls) and kadmin_groups.c (group descriptions, on the loop
 * too). */
#ifndef PARLEY_BASE_KADMIN_INT_H
#define PARLEY_BASE_KADMIN_INT_H

#include "common/base/kadmin.h"
#include "common/base/loop.h"
#include "common/base/pool.h"

struct kadmin_ask;

struct kadmin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue; /* answers to blocking calls */
    struct pool *pool;       /* asks for the loop; NULL until attached */
    struct kadmin_ask *asks;
    int timeout_ms;
    char why[256];
};

int kadmin_fail(struct kadmin *, rd_kafka_resp_err_t, const char *why);
rd_kafka_AdminOptions_t *kadmin_options(struct kadmin *, rd_kafka_admin_op_t);
void kadmin_detach(struct kadmin *);

#endif
