"""A server process under test: ours or another's, on a free port, with a log of its own."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One server process on a directory of its own or of another."""

    def __init__(self, binary, directory, config, *flags):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        path = os.path.join(directory, f"config-{self.port}.yml")
        with open(path, "w") as f:
            f.write(config.replace("PORT", str(self.port)))
        self.log = open(os.path.join(directory, f"log-{self.port}.txt"), "w+")
        self.process = subprocess.Popen(
            [
                binary,
                f"--config.file={path}",
                f"--storage.tsdb.path={os.path.join(directory, 'data')}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                *flags,
            ],
            stdout=self.log,
            stderr=self.log,
        )

    def wait_ready(self, seconds=60):
        end = time.time() + seconds
        while time.time() < end:
            try:
                if urllib.request.urlopen(self.url + "/-/ready", timeout=2).status == 200:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.text()}")

    def wait_scraped(self, times, seconds=60):
        """Waits until the server has scraped itself this often."""
        end = time.time() + seconds
        while time.time() < end:
            result = self.get("/api/v1/query", query=f"count_over_time(up[{seconds}s])")["data"]["result"]
            if result and float(result[0]["value"][1]) >= times:
                return self
            time.sleep(0.2)
        raise AssertionError(f"not scraped {times} times: {self.text()}")

    def text(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()

    def get(self, path, **params):
        url = f"{self.url}{path}?{urllib.parse.urlencode(params, doseq=True)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.log.close()
        return code
