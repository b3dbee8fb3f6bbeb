"""An rspamd of our own: no DNS, no Redis, no fuzzy hashes, no files of the machine's; it judges by its test patterns and three subjects.

`REJECT`, `ADD_HEADER` and `REWRITE_SUBJECT` are bodies that every rspamd knows for tests (GTUBE and its kin); mails with the subjects below
get what a greylisting module, a score between two limits, and a stuck rule would give them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import urllib.request
from pathlib import Path
from typing import Any

from tests.peers import run
from tests.peers.net import PeerError, free_port, listens, wait_for

_GTUBE = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
REJECT, ADD_HEADER, REWRITE_SUBJECT = "X" + _GTUBE, "Y" + _GTUBE, "Z" + _GTUBE
COME_AGAIN, FIVE_POINTS, ENVELOPE = "come again", "five points", "who are you"

_CONFIG = """\
lua = "{place}/rules.lua";
options {{
  pidfile = "{place}/own/pid";
  tempdir = "{place}/own";
  cache_file = "{place}/own/cache";
  hs_cache_dir = "{place}/own/";
  control_socket = "{place}/own/control mode=0600";
  url_tld = "{place}/suffixes";
  dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; sockets = 1; }}
  filters = "";
  disable_monitoring = true;
  disable_hyperscan = true;
  enable_test_patterns = true;
  local_addrs = [];
}}
logging {{ type = "console"; level = "warning"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
"""
_RULES = """\
rspamd_config:register_symbol({{ name = 'COME_AGAIN', type = 'prefilter', callback = function(task)
  if task:get_header('Subject') == '{come_again}' then task:set_pre_result('soft reject', 'later') end
end }})
rspamd_config:register_symbol({{ name = 'FIVE_POINTS', score = 5.0, callback = function(task)
  return task:get_header('Subject') == '{five_points}'
end }})
rspamd_config:register_symbol({{ name = 'ENVELOPE', score = 20.0, callback = function(task)
  local from, to, ip = task:get_from('smtp'), task:get_recipients('smtp'), task:get_from_ip()
  return task:get_header('Subject') == '{envelope}' and from and from[1].addr == 'eve@envelope.test'
    and to and to[1].addr == 'tides@lists.test' and task:get_helo() == 'client.test' and not (ip and ip:is_valid())
end }})
"""


class Rspamd:
    """A running rspamd."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"


def missing() -> str | None:
    """Why rspamd cannot be used here, None when it can."""
    return None if _program() else "not installed"


def start(place: Path) -> dict[str, Any]:
    """Configures and starts an rspamd in `place`; returns how to reach it."""
    port = free_port()
    (place / "rspamd.conf").write_text(_CONFIG.format(place=place, port=port))
    rules = _RULES.format(come_again=COME_AGAIN, five_points=FIVE_POINTS, envelope=ENVELOPE)
    (place / "rules.lua").write_text(rules)
    (place / "suffixes").write_text(
        "test\nexample\n"
    )  # of the whole public list it makes a machine first, for a minute
    own = place / "own"
    own.mkdir()
    program = _program()
    assert program is not None
    argv = [program, "-f", "-c", str(place / "rspamd.conf")]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(own, nobody.pw_uid, nobody.pw_gid)
        argv += ["-u", "nobody", "-g", "nogroup"]
    run.start(place, argv)

    def up() -> bool:
        if not run.alive(place):
            raise PeerError(f"rspamd ended at once:\n{run.tail(place)}")
        return listens(port) and _pong(port)

    wait_for(up, "rspamd", 60)
    return {"port": port}


def _pong(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.read(10).strip() == b"pong")
    except OSError:
        return False


def _program() -> str | None:
    return shutil.which("rspamd", path="/usr/bin:/usr/sbin")
