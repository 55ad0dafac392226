/* sim_client_int.h: between sim_client.c (a client's clock), sim_op.c (what it does), sim_speak.c (frames) and sim_fill.c
 * (what it asks for). */
#ifndef PARLEY_SIM_SIM_CLIENT_INT_H
#define PARLEY_SIM_SIM_CLIENT_INT_H

#include "proto/client.pb-c.h"
#include "tests/sim/sim_client.h"

#define SEND_SEQ 0x1000000u /* seqIds of sends: this and the low bits of client_seq */

void sim_client_say(struct sim_client *, struct sim_link *, uint16_t type, uint32_t seq_id,
                    const ProtobufCMessage *);
void sim_client_register(struct sim_client *);
void sim_client_login(struct sim_client *, struct sim_link *);
void sim_client_send(struct sim_client *, struct sim_link *, struct sim_msg *);
void sim_client_resend(struct sim_client *); /* all without an outcome, in order */
void sim_client_pull(struct sim_client *, uint32_t talk, uint64_t after);
void sim_client_confirm_soon(struct sim_client *);
void sim_client_hang_up(struct sim_client *);
void sim_client_renew(struct sim_client *); /* the same program, another device */

#define WHOLE_QUEUE SIM_ALL

void sim_client_late(struct sim_client *); /* again what a group refused, as if it had been long on its way */

/* sim_op.c */
void sim_client_act(struct sim_client *); /* does something new */
bool sim_may_refuse(const struct sim_client *, const struct sim_msg *, uint32_t code);
void sim_client_receipt(struct sim_client *);

/* sim_fill.c */
void sim_client_fill(struct sim_client *); /* asks for what is missing, when it is time */
void sim_client_page(struct sim_client *, const struct sim_link *, uint32_t seq_id,
                     const Im__PullOfflineRsp *);
void sim_client_past(struct sim_client *, uint32_t seq_id, const Im__HistoryRsp *);
void sim_client_past_failed(struct sim_client *, uint32_t seq_id, uint32_t code);
void sim_client_event(struct sim_client *, const Im__ChatPush *, bool past);

#endif
