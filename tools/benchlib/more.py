"""Rows 5, 6, 9, 10, 11: groups, logins, history. Each `takeN` measures floor and product in turn, `rowN` has its figures."""

IN_FLIGHT = 64  # row 6, and logins of row 9: enough that either size is limited by work and not by waiting
PEOPLE = 5000
PAGES = 32      # questions under way where row 11 looks at throughput


class More:
    MORE_CPU = ("group1000", "group100", "group10000", "logins", "echo", "pages", "bare_pages")

    def people(self):
        return ["--accounts", self.bed.accounts]

    def times(self, measure="floor"):
        return ["--warm-ms", str(self.ms["warm"]), "--measure-ms", str(self.ms[measure])]

    # ---- groups ----
    def group(self, r, key, receivers, in_flight):
        words = ["--receivers", str(receivers), "--in-flight", str(in_flight), "--size", str(self.args.size), "--quiet",
                 *self.times()]
        self._take(r, "writev" + key, "floor", "group", *words)
        p = self._take(r, "group" + key, "group", *self.bed.edges(), *self.bed.processes(True), *self.people(),
                       "--postgres", "env", *words)
        records = p.get("records_per_message", {})
        if records and records["conversation"] + records["deliver"] > 1 + self.args.edges + 0.05:
            self.failed.append(f"{self.name}, group {receivers}: more than 1 + edges Kafka records per message: {records}")

    def take5(self, r, _number):
        self.group(r, "1000", 1000, 1)
        self.group(r, "1000x8", 1000, 8)

    def row5(self, r):
        return r["writev1000"]["deliveries_per_s"], r["group1000"]["deliveries_per_s"]

    def also5(self):
        a, b = (self.median(k + "1000x8", "deliveries_per_s") for k in ("group", "writev"))
        p99 = self.median("group1000", "deliver_us", "p99") / 1000
        return f"p99 {p99:.1f} ms; 8 in flight: {a:,.0f}/s, {a / b if b else 0:.2f} of {b:,.0f}/s"

    def take6(self, r, _number):
        self.group(r, "100", 100, IN_FLIGHT)
        self.group(r, "10000", 9999, IN_FLIGHT)

    def row6(self, r):
        def kept(key):
            small, large = (r[key + n]["deliveries_per_s"] for n in ("100", "10000"))
            return large / small if small else 0
        return kept("writev"), kept("group")

    def also6(self):
        a, b = (self.median("group" + k, "deliveries_per_s") for k in ("100", "10000"))
        rec = {k: self.median("group10000", "records_per_message", k) for k in ("inbound", "conversation", "deliver", "offline")}
        return (f"{a:,.0f}/s → {b:,.0f}/s, {IN_FLIGHT} in flight; Kafka records per message to 10,000: "
                + ", ".join(f"{k} {v:.2f}" for k, v in rec.items()))

    # ---- logins ----
    def take9(self, r, _number):
        words = [*self.people(), "--people", str(PEOPLE), "--in-flight", str(IN_FLIGHT), *self.times()]
        self._take(r, "echo", "floor", "logins", *words)
        self._take(r, "logins", "logins", *self.bed.edges(), *self.bed.processes(True), *words)

    def row9(self, r):
        return r["echo"]["logins_per_s"], r["logins"]["logins_per_s"]

    def also9(self):
        return f"{IN_FLIGHT} under way, p50 {self.median('logins', 'login_us', 'p50') / 1000:.1f} ms"

    # ---- history: written ----
    def take10(self, r, number):
        """The persister is stopped while messages are sent, and then has to catch up with nothing else going on."""
        a = self.args
        self.bed.pipe.hold("persister")
        words = [w for w in self.common(number) if w not in ("--postgres", "env")]
        try:
            self._take(r, "backlog", "load", *words, "--connections", str(a.connections), "--window", str(a.window),
                       "--measure-ms", str(self.ms["rate"]))
            self._take(r, "drain", "drain", "--postgres", "env", *self.bed.processes(False),
                       meanwhile=lambda: self.bed.pipe.release("persister"))
        finally:
            self.bed.pipe.release("persister")
        self._take(r, "copy", "floor", "copy", "--postgres", "env", "--rows", str(max(1, r["drain"]["rows"])),
                   *self.bed.processes(False))

    def row10(self, r):
        return r["copy"]["rows_per_s"], r["drain"]["rows_per_s"]

    def also10(self):
        return f"backlog of {self.median('drain', 'rows'):,.0f} rows, {self.median('drain', 'seconds'):.1f} s"

    # ---- history: read ----
    def take11(self, r, number):
        table = [*self.people(), "--postgres", "env", "--rows", str(self.table), "--seed", str(self.args.seed + number),
                 *self.times()]
        self._take(r, "bare", "floor", "page", *table)
        before = self.bed.asked_s("HISTORY_REQ")
        self._take(r, "page", "pages", *self.bed.edges(), *table)
        n, s = (b - a for a, b in zip(before, self.bed.asked_s("HISTORY_REQ")))
        r["page"]["query_mean_us"] = s / n * 1e6 if n else 0
        self._take(r, "bare_pages", "floor", "page", *table, "--in-flight", str(PAGES), *self.bed.processes(False))
        self._take(r, "pages", "pages", *self.bed.edges(), *self.bed.processes(True), *table, "--in-flight", str(PAGES))

    def row11(self, r):
        return r["bare"]["page_us"]["mean"], r["page"]["query_mean_us"]

    def also11(self):
        m = self.median
        cpu = [m(k, "cpu_us_per_page", "postgres") for k in ("pages", "bare_pages")]
        return (f"{self.table:,} rows; PostgreSQL's CPU per page {cpu[0]:.0f} µs, {cpu[0] / cpu[1] if cpu[1] else 0:.1f} × the SELECT's; "
                f"client to client p50 {m('page', 'page_us', 'p50') / 1000:.2f} ms; {PAGES} in flight: "
                f"{m('pages', 'pages_per_s'):,.0f}/s, SELECT {m('bare_pages', 'pages_per_s'):,.0f}/s")
