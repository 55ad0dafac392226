/* parley-edge: clients' connections.
 *
 * reads    im.deliver.<slot> of the slot it holds (group parley-slot-<slot>); im.lease as a view
 * writes   im.inbound (requests, sends, ends), im.query (questions), im.offline (bounces), im.cursor, im.lease (WANT, CLAIM, RELEASE)
 * keeps    nothing that a crash would lose
 * commits  up to the first delivery record that a client has neither confirmed nor been cut for */
#include "edge/edge.h"

int main(int argc, char **argv)
{
    return daemon_main(argc, argv,
                       &(struct daemon){
                           .name = "edge",
                           .summary = "takes clients' connections: login, acks, delivery",
                           .examples = "  parley-edge --config parley.json\n"
                                       "  PARLEY_EDGE_LISTEN=127.0.0.1:7001 parley-edge   # a second one\n"
                                       "  parley-edge --config-reference                  # every setting\n",
                           .http = "127.0.0.1:9101",
                           .tables = edge_tables,
                           .n_tables = edge_tables_n,
                           .settings_size = sizeof(struct edge_settings),
                           .sections = deploy_sections,
                           .init = edge_init,
                           .drain = edge_drain,
                           .fini = edge_fini,
                       });
}
