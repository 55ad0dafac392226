/* sim_client_int.h: between sim_client.c (what a client wants) and sim_speak.c (frames). */
#ifndef PARLEY_SIM_SIM_CLIENT_INT_H
#define PARLEY_SIM_SIM_CLIENT_INT_H

#include "tests/sim/sim_client.h"

#include <protobuf-c/protobuf-c.h>

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

#define WHOLE_QUEUE (SIM_USERS + 1)

#endif
