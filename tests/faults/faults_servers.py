"""faults_servers.py: Kafka, Redis and PostgreSQL die, sleep, forget, are full."""
import os
import signal
import time

from bed import until
from harness import Fault
from rebuilt import rebuilt


class BrokerKilled(Fault):
    """Then two edges die too: what they had taken and not yet got confirmed was not acked."""
    number, title, holds, bound_s = 8, "the broker is killed, then edges", "I1 I2 I3 I5", 40

    def begin(self):
        self.bed.servers["kafka"].kill9()
        self.fire()
        time.sleep(3)
        for p in self.random.sample(self.bed.procs["edge"], 2):
            p.kill(signal.SIGKILL)
            self.fire()

    def heal(self):
        self.bed.servers.start_one("kafka")


class LeaderKilled(Fault):
    number, title, holds, bound_s, servers = 8, "of three brokers, a leader is killed", "I1 I2 I3 I5", 40, "three"

    def begin(self):
        victim = leader(self.bed, "im.conversation")
        self.bed.servers[victim].kill9()
        self.fire()
        if not self.work.more(20, 40):
            self.wrong("stuck", "nothing went on while one of three brokers was dead")

    def heal(self):
        self.bed.heal()


class TwoAsleep(Fault):
    """Without minISR nothing may be acked; the sends wait, and are done once the brokers wake."""
    number, title, holds, bound_s, servers = 8, "two of three brokers sleep for 45 s", "no ack without minISR; I1 I2 I3 I5", 60, "three"
    asleep_s = 45

    def begin(self):
        awake = leader(self.bed, "im.inbound")
        for name in self.bed.servers.brokers:
            if name != awake:
                self.bed.servers[name].pause()
                self.fire()
        time.sleep(8)  # what was under way; from here on two replicas cannot confirm
        at = time.monotonic()
        time.sleep(self.asleep_s - 8)
        acked = [h for h in list(self.work.history.lines) if h["t_mono"] > at and h["what"] == "ok" and h["stage"] == "accepted"]
        if acked:
            self.wrong("lost", f"{len(acked)} sends were acked while one of three replicas was there")

    def heal(self):
        for name in self.bed.servers.brokers:
            self.bed.servers[name].resume()


def leader(bed, topic):
    """The server's name of the leader of partition 0."""
    from confluent_kafka.admin import AdminClient
    a = AdminClient({"bootstrap.servers": bed.servers.env["PARLEY_KAFKA"], "log_level": 2})
    t = a.list_topics(bed.prefix + topic, timeout=10).topics[bed.prefix + topic]
    return bed.servers.brokers[t.partitions[0].leader - 1]


class DiskFull(Fault):
    number, title, holds, bound_s, servers = 9, "Kafka's disk is full", "nothing acked that is lost; I6 I7", 60, "small-disk"

    def begin(self):
        broker = self.bed.servers["kafka"]
        self.filler = os.path.join(self.bed.servers.folder, "kafka", "data", "filler")
        with open(self.filler, "wb") as f:
            try:
                while True:
                    f.write(b"\0" * (1 << 20))
            except OSError:
                self.fire()
        until(lambda: not broker.pid() or "No space left" in broker.log_tail(200) or self.failed(), 30, "Kafka notices")
        self.notes.append("Kafka stopped by itself" if not broker.pid() else "Kafka goes on, refusing")
        time.sleep(4)

    def failed(self):
        return "IOException" in self.bed.servers["kafka"].log_tail(200)

    def heal(self):
        os.unlink(self.filler)
        broker = self.bed.servers["kafka"]
        if broker.pid():
            broker.kill9()
        broker.forget()
        self.bed.servers.start_one("kafka")


class RedisForgets(Fault):
    number, title, holds, bound_s = 10, "Redis: FLUSHALL, restart, out of memory", "I1 I2 I3, derived state made again", 45

    def begin(self):
        servers = self.bed.servers
        for what in self.random.sample(("flush", "restart", "full"), 3):
            if what == "flush":
                servers.redis("FLUSHALL")
            elif what == "restart":
                servers["redis"].kill9()
                time.sleep(1)
                servers.start_one("redis")
            else:
                servers.redis("CONFIG", "SET", "maxmemory", "1")
                self.work.more(10, 4)
                servers.redis("CONFIG", "SET", "maxmemory", "0")
            self.fire()
            self.work.more(20, 15)


# For five seconds, whoever is found writing loses the connection, in the statement or in COMMIT.
CUT_WRITERS = """CREATE FUNCTION pg_temp.cut() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint := 0; k bigint;
BEGIN
  FOR i IN 1..500 LOOP
    PERFORM pg_stat_clear_snapshot();
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) INTO k FROM pg_stat_activity
     WHERE pid <> pg_backend_pid() AND datname = current_database() AND state <> 'idle' AND query ~* 'parley_fence|insert|update|delete|commit';
    n := n + k;
    PERFORM pg_sleep(0.01);
  END LOOP;
  RETURN n;
END $$; SELECT pg_temp.cut()"""


class PostgresAway(Fault):
    number, title, holds, bound_s = 11, "PostgreSQL down; connections lost during COMMIT", "live delivery goes on; I2 I8", 30
    away_s = 12

    def begin(self):
        self.fire(int(self.bed.sql(CUT_WRITERS)))
        self.notes.append(f"{self.fired} connections cut in a transaction")
        self.bed.servers["postgres"].kill9()
        self.fire()
        at = time.monotonic()
        if not self.work.more(40, self.away_s):
            self.wrong("stuck", "live delivery did not go on without PostgreSQL")
        time.sleep(max(0.0, at + self.away_s - time.monotonic()))
        if not any(h["what"] == "see" and h["via"] == "live" and h["t_mono"] > at + 1 for h in list(self.work.history.lines)):
            self.wrong("stuck", "nothing was shown live without PostgreSQL")

    def heal(self):
        self.bed.servers.start_one("postgres")

    def check(self):
        return rebuilt(self.bed)


class BigLog(Fault):
    """Redis is emptied, fanout killed: it has the persister's cells and the tail. FAULTS_BIG: how many records."""
    number, title, holds, bound_s, own = 35, "no fanout checkpoint and a long log", "live again within the bound", 60, True
    lag_s = 300

    def begin(self):
        import fill
        n = int(os.environ.get("FAULTS_BIG", "200000"))
        seconds = fill.fill(self.bed, n)
        self.notes.append(f"{n} records in {seconds:.0f} s")
        for p in self.bed.procs["fanout"]:
            p.stop(signal.SIGKILL)
        self.bed.servers.redis("FLUSHALL")
        self.fire(1 + len(self.bed.procs["fanout"]))
        for p in self.bed.procs["fanout"]:
            with self.bed.lock:
                p.start()
