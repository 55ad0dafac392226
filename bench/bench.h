/* bench.h: the sub-commands. Each takes its own arguments (argv[0] is its name) and returns the exit status;
 * a result is one JSON object on stdout, everything else goes to stderr. */
#ifndef PARLEY_BENCH_BENCH_H
#define PARLEY_BENCH_BENCH_H

int command_load(int argc, char **argv);
int command_accounts(int argc, char **argv);
int command_group(int argc, char **argv);
int command_logins(int argc, char **argv);
int command_drain(int argc, char **argv);
int command_pages(int argc, char **argv);
int command_log(int argc, char **argv);
int command_echo_server(int argc, char **argv);
int command_floor_e0(int argc, char **argv);
int command_floor_kp(int argc, char **argv);
int command_floor_kc(int argc, char **argv);
int command_floor_chain(int argc, char **argv);
int command_floor_group(int argc, char **argv);
int command_floor_copy(int argc, char **argv);
int command_floor_page(int argc, char **argv);
int command_floor_logins(int argc, char **argv);

#endif
