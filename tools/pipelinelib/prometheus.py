"""A Prometheus of one's own beside a pipeline: its configuration, start and stop. The program is Debian's `prometheus`."""
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from serverlib.state import Failure

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RULES = os.path.join(TREE, "compose/observability/rules/*.yml")
START_S = 20


def program():
    """Its path, or None where it is not installed."""
    return shutil.which(os.environ.get("PARLEY_PROMETHEUS") or "prometheus")


class Prometheus:
    """Reads the metrics of a Pipeline's processes; data and log in a folder of its own."""

    def __init__(self, pipeline, interval_s=5):
        self.pipeline, self.interval_s = pipeline, interval_s
        self.folder = os.path.join(pipeline.folder, "prometheus")
        self.log = os.path.join(self.folder, "prometheus.log")
        self.port = pipeline.pick_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def configuration(self):
        targets = "".join(
            f'      - {{targets: ["127.0.0.1:{i.http}"], labels: {{process: {i.kind}, instance: {i.name}}}}}\n'
            for i in self.pipeline.instances)
        return (f"global: {{scrape_interval: {self.interval_s}s, evaluation_interval: {self.interval_s}s}}\n"
                f"rule_files: ['{RULES}']\n"
                f"scrape_configs:\n  - job_name: parley\n    static_configs:\n{targets}")

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.configuration())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [program(), f"--config.file={path}", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.retention.time=7d", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failure(f"Prometheus did not start; see {self.log}")
            time.sleep(0.1)

    def answers(self):
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=2) as r:
                return r.status == 200
        except OSError:
            return False

    def query(self, expression):
        """The instant vector, as Prometheus' API gives it."""
        data = urllib.parse.urlencode({"query": expression}).encode()
        try:
            with urllib.request.urlopen(self.url + "/api/v1/query", data=data, timeout=10) as r:
                return json.load(r)["data"]["result"]
        except urllib.error.HTTPError as e:
            raise Failure(f"Prometheus refuses {expression}: {e.read().decode(errors='replace')}") from e

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
