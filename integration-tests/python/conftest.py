"""A server for the Python client: started once on a free port, ended with the tests.

`SIGNALR_PEER_BIN` names the program (default: the debug build of our peer), so that the same tests run against the
reference: they must pass there too.
"""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/peer"
READY = "Now listening on: "


@pytest.fixture(scope="session")
def server():
    """The address of a running server."""
    program = os.environ.get("SIGNALR_PEER_BIN", str(DEFAULT))
    # The client's stop() waits for its reading thread, which looks up only when something arrives: pings, here.
    command = [program, "serve", "--urls", "http://127.0.0.1:0", "--hubs", "scale", "--keep-alive-ms", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith(READY), f"{program} did not get ready: {line!r}"
            yield line[len(READY) :].strip()
        finally:
            process.terminate()
            process.wait(timeout=20)
