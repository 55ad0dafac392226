"""One PostgreSQL cluster. It refuses root, so root runs it as `postgres` or `nobody`."""
import glob
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess

from .server import Server, process
from .state import Failure, say

SETTINGS = {
    "fsync": "on",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "log_min_messages": "warning",
    "log_line_prefix": "'%m [%p] '",
    "password_encryption": "'scram-sha-256'",
    "timezone": "'UTC'",
}


def bin_dir():
    """Of the newest PostgreSQL here; Debian keeps its programs off the PATH."""
    def version(path):
        return [int(n) for n in re.findall(r"\d+", path)]
    for path in sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=version, reverse=True):
        if os.path.exists(path + "/initdb") and os.path.exists(path + "/postgres"):
            return path
    initdb = shutil.which("initdb")
    if initdb:
        return os.path.dirname(os.path.realpath(initdb))
    raise Failure("PostgreSQL: initdb was not found: run tools/deps")


class Postgres(Server):
    name = "postgres"
    title = "PostgreSQL"
    ports = ("postgres",)
    stop_signals = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0))  # fast, immediate, last resort

    def user(self):
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                pass
        raise Failure("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")

    def as_user(self):
        u = self.user()
        return {"user": u.pw_uid, "group": u.pw_gid, "extra_groups": []} if u else {}

    def run(self, *argv, **more):
        return subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/",
                              env={**os.environ, "LC_ALL": "C", **more.pop("env", {})}, **self.as_user(), **more)

    def home(self):
        """Where its data lies: in the state folder, unless its user cannot get there (a clone below /root)."""
        kept = self.state.data.get("postgres_home")
        if kept:
            return kept
        if self.run("test", "-x", self.dir).returncode == 0:
            return self.dir
        tag = hashlib.sha256(self.state.folder.encode()).hexdigest()[:12]
        home = f"/var/tmp/parley-postgres-{tag}"
        say(f"postgres: its user cannot enter {self.dir}; its data goes to {home}")
        return home

    def prepare(self):
        self.bin = bin_dir()
        home = self.home()
        u = self.user()
        if not os.path.isdir(home):
            os.makedirs(home)
        if u:
            if home != self.dir and os.stat(home).st_uid not in (0, u.pw_uid):
                raise Failure(f"PostgreSQL: {home} belongs to somebody else")
            os.chown(home, u.pw_uid, u.pw_gid)
        os.chmod(home, 0o700)
        self.state.data["postgres_home"] = home
        self.state.data.setdefault("postgres_password", secrets.token_hex(16))
        self.state.save()
        if not os.path.exists(home + "/data/PG_VERSION"):
            self.initdb(home)
        with open(home + "/data/PG_VERSION", encoding="ascii") as f:
            made = f.read().strip()
        if not re.search(rf"/{made}/bin$", self.bin):
            other = f"/usr/lib/postgresql/{made}/bin"
            if os.path.exists(other + "/postgres"):
                self.bin = other
        self.configure(home)
        for lock in [home + "/data/postmaster.pid", *glob.glob(glob.escape(home) + "/.s.PGSQL.*.lock")]:
            self.drop_dead_lock(lock)

    def drop_dead_lock(self, path):
        """PostgreSQL takes a killed postmaster that its parent has not reaped for a living one; we know better."""
        try:
            with open(path, encoding="ascii") as f:
                s = process(int(f.readline()))
        except (OSError, ValueError):
            return
        if s and s.state == "Z":
            os.unlink(path)

    def initdb(self, home):
        data, u = home + "/data", self.user()
        shutil.rmtree(data, ignore_errors=True)  # an interrupted initdb leaves a folder that it refuses itself
        pwfile = home + "/initial-password"
        with open(os.open(pwfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as f:
            f.write(self.state.data["postgres_password"] + "\n")
        if u:
            os.chown(pwfile, u.pw_uid, u.pw_gid)
        new = data + ".new"
        shutil.rmtree(new, ignore_errors=True)
        r = self.run(self.bin + "/initdb", "-D", new, "-U", "parley", "--auth=scram-sha-256", f"--pwfile={pwfile}",
                     "--encoding=UTF8", "--locale=C.UTF-8")
        os.unlink(pwfile)
        if r.returncode:
            raise Failure(f"PostgreSQL: initdb failed:\n{(r.stdout + r.stderr)[-2000:]}")
        os.rename(new, data)

    def configure(self, home):
        also = self.state.data.get("also_at")
        settings = dict(SETTINGS, listen_addresses=f"'127.0.0.1{',' + also if also else ''}'", port=self.state.port("postgres"))
        # A socket's path has 107 bytes at most.
        settings["unix_socket_directories"] = f"'{home}'" if len(home) < 80 else "''"
        if also:
            self.let_in(home + "/data/pg_hba.conf", also)
        path = home + "/data/postgresql.auto.conf"
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{k} = {v}\n" for k, v in settings.items())
        u = self.user()
        if u:
            os.chown(path, u.pw_uid, u.pw_gid)

    def let_in(self, path, address):
        line = f"host all all {address}/24 scram-sha-256\n"
        with open(path, "r+", encoding="utf-8") as f:
            if line not in f.read():
                f.write(line)

    def command(self):
        return [self.bin + "/postgres", "-D", self.state.data["postgres_home"] + "/data"], {
            "cwd": "/", **self.as_user()}

    def conninfo(self, database="parley"):
        return (f"host=127.0.0.1 port={self.state.port('postgres')} user=parley dbname={database} "
                f"password={self.state.data.get('postgres_password', '')}")

    def psql(self, sql, database="parley"):
        return subprocess.run([bin_dir() + "/psql", "-XAtq", "-v", "ON_ERROR_STOP=1",
                               self.conninfo(database) + " connect_timeout=3", "-c", sql],
                              capture_output=True, text=True, check=False)

    def ready(self):
        return self.psql("select 1", "postgres").stdout.strip() == "1"

    def after_ready(self):
        if self.psql("select 1 from pg_database where datname = 'parley'", "postgres").stdout.strip() != "1":
            r = self.psql("create database parley", "postgres")
            if r.returncode:
                raise Failure(f"PostgreSQL: cannot create the database: {r.stderr.strip()}")

    def wipe(self):
        home = self.state.data.get("postgres_home")
        if home and home != self.dir and home.startswith("/var/tmp/parley-postgres-"):
            shutil.rmtree(home, ignore_errors=True)
