import os
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from pathlib import Path
from threading import Thread

import pytest

from photopipe_dagster.demo.process_group import (
    HOST,
    Program,
    Stack,
    StackError,
    free_port,
    require_free,
    stopped_by_signals,
)


def python(name: str, code: str, health: str = "", **environment: str) -> Program:
    command = (sys.executable, "-S", "-E", "-c", textwrap.dedent(code))
    return Program(name, command, health, environment)


SLEEPS = "import time; time.sleep(60)"


@pytest.fixture
def stack(tmp_path):
    made = Stack(dict(os.environ), folder=tmp_path, logs=tmp_path / "logs", grace_seconds=5)
    with made:
        yield made


@pytest.fixture
def health():
    """A server that answers 503 to its first two requests and 200 from then on."""

    class Handler(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            type(self).asked += 1
            self.send_response(200 if type(self).asked > 2 else 503)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer((HOST, 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://{HOST}:{server.server_port}/", Handler
    server.shutdown()
    server.server_close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be expired does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")


def wait_for_text(path: Path) -> str:
    for _ in range(1000):
        with suppress(FileNotFoundError):
            if (text := path.read_text()).endswith("\n"):
                return text.strip()
        subprocess.run(["/bin/sleep", "0.01"], check=True)
    raise AssertionError(f"nothing was written to {path}")


def test_a_process_gets_its_environment_and_writes_its_log(stack, tmp_path):
    stack.start(
        python(
            "speaker",
            """
            import os, sys, time
            print(os.environ["WORD"], os.getcwd()); print("oops", file=sys.stderr)
            sys.stdout.flush(); time.sleep(60)
            """,
            WORD="hello",
        )
    )
    log = tmp_path / "logs" / "speaker.log"
    while log.read_text().count("\n") < 2:
        stack.check()
    assert sorted(log.read_text().splitlines()) == sorted([f"hello {tmp_path}", "oops"])


def test_it_is_ready_when_the_health_url_answers_200(stack, health):
    url, handler = health
    stack.start(python("server", SLEEPS, health=url))
    stack.wait_until_ready()
    assert handler.asked == 3


def test_a_process_that_never_answers_is_named_with_its_log(tmp_path):
    now = iter(range(1000))
    with Stack(
        {}, folder=tmp_path, logs=tmp_path, clock=lambda: next(now), sleep=lambda _: None
    ) as stack:
        stack.start(python("mute", SLEEPS, health=f"http://{HOST}:{free_port()}/"))
        with pytest.raises(StackError, match=r"mute does not answer after 9 s.*mute\.log"):
            stack.wait_until_ready(9)


def test_a_process_that_dies_is_reported_with_the_end_of_its_log(stack):
    code = """
        print("first line")
        for number in range(30): print("line", number)
        print("the disk is on fire")
        raise SystemExit(1)
        """
    stack.start(python("doomed", code, health=f"http://{HOST}:{free_port()}/"))
    with pytest.raises(StackError) as caught:
        stack.wait_until_ready()
    message = str(caught.value)
    assert message.startswith("doomed has ended with status 1.")
    assert message.endswith("the disk is on fire")
    assert "first line" not in message


def test_stopping_ends_children_of_the_processes_too(tmp_path):
    with Stack(dict(os.environ), folder=tmp_path, logs=tmp_path, grace_seconds=5) as stack:
        stack.start(
            python(
                "parent",
                """
                import subprocess, sys, time
                code = "import time; time.sleep(60)"
                child = subprocess.Popen([sys.executable, "-S", "-c", code])
                with open("pid", "w") as file: print(child.pid, file=file)
                time.sleep(60)
                """,
            )
        )
        child = int(wait_for_text(tmp_path / "pid"))
        assert alive(child)
    assert not alive(child)


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    code = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        import os
        with open("pid", "w") as file: print(os.getpid(), file=file)
        time.sleep(60)
        """
    with Stack(dict(os.environ), folder=tmp_path, logs=tmp_path, grace_seconds=0.2) as stack:
        stack.start(python("stubborn", code))
        pid = int(wait_for_text(tmp_path / "pid"))
    assert not alive(pid)


def test_who_is_not_at_work_any_more_has_a_second(tmp_path):
    code = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open("pid", "w") as file: print(os.getpid(), file=file)
        time.sleep(60)
        """
    moments = count()  # a second between two looks at the clock
    timing = {
        "grace_seconds": float("inf"),
        "clock": lambda: next(moments),
        "sleep": lambda _: None,
    }
    asked = []

    def at_work():
        asked.append(True)
        return len(asked) < 5

    with Stack(dict(os.environ), folder=tmp_path, logs=tmp_path, **timing) as stack:
        stack.start(python("stubborn", code))
        pid = int(wait_for_text(tmp_path / "pid"))
        stack.stop(at_work)
        assert not alive(pid)
    assert len(asked) == 6, "at work till the fourth look, and a second more"


def test_nobody_waits_for_an_orphan_that_has_died(tmp_path):
    """Some containers' init never collects orphans: here another process keeps the dead one."""
    code = """
        import os, time
        group = os.getpid()
        keeper = os.fork()
        if keeper == 0:
            os.setpgid(0, 0)  # not of the group that is stopped
            orphan = os.fork()
            if orphan == 0:
                os.setpgid(0, group)
                os._exit(0)
            os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)  # dead, and not collected
            with open("keeper", "w") as file: print(os.getpid(), file=file)
        time.sleep(60)
        """
    endless = {"grace_seconds": float("inf")}
    with Stack(dict(os.environ), folder=tmp_path, logs=tmp_path, **endless) as stack:
        stack.start(python("parent", code))
        keeper = int(wait_for_text(tmp_path / "keeper"))
    os.kill(keeper, signal.SIGKILL)


def test_a_process_may_end_by_itself_within_its_grace(tmp_path):
    code = """
        import signal, time
        def leave(*_):
            with open("said", "w") as file: print("goodbye", file=file)
            raise SystemExit
        signal.signal(signal.SIGTERM, leave)
        with open("up", "w") as file: print("up", file=file)
        time.sleep(60)
        """
    with Stack(dict(os.environ), folder=tmp_path, logs=tmp_path, grace_seconds=30) as stack:
        stack.start(python("polite", code))
        wait_for_text(tmp_path / "up")
    assert (tmp_path / "said").read_text() == "goodbye\n"


def test_an_error_on_the_way_stops_everything(tmp_path):
    code = """
        import os, time
        with open("pid", "w") as file: print(os.getpid(), file=file)
        time.sleep(60)
        """
    pids = []

    def interrupted():
        with Stack(dict(os.environ), folder=tmp_path, logs=tmp_path) as stack:
            stack.start(python("any", code))
            pids.append(int(wait_for_text(tmp_path / "pid")))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not alive(pids[0])


def test_stopping_twice_stops_once(tmp_path):
    code = """
        import os, time
        with open("pid", "w") as file: print(os.getpid(), file=file)
        time.sleep(60)
        """
    with Stack(dict(os.environ), folder=tmp_path, logs=tmp_path) as stack:
        stack.start(python("any", code))
        pid = int(wait_for_text(tmp_path / "pid"))
        stack.check()
        stack.stop()
        assert not alive(pid)
        stack.stop()
        stack.check()


def test_a_taken_port_is_refused_with_advice():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"Port {port}, for the API, is taken\. Set PORT\."):
            require_free(port, "the API", "Set PORT.")
    require_free(port, "the API", "Set PORT.")


def test_sigterm_leaves_through_every_with_and_the_old_handler_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    left = []

    def terminated():
        with stopped_by_signals():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                left.append(True)

    with pytest.raises(SystemExit) as caught:
        terminated()
    assert caught.value.code == 143
    assert left
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_works_where_it_was_ignored_and_children_inherit_that():
    code = "import signal; raise SystemExit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    child = [sys.executable, "-S", "-c", code]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert subprocess.run(child).returncode == 1
        with stopped_by_signals():
            assert subprocess.run(child).returncode == 0
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
