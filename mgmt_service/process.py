"""The process: gunicorn on a unix socket that the management front alone can open."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication

from appliance.box import journal
from appliance.box.home import Home
from appliance.box.readiness import say_ready
from appliance.box.settings import read_settings
from appliance.calls.sockets import peer_of, private_directory
from mgmt_service.app import create_app

WORKERS = 2
THREADS = 8

log = structlog.get_logger("management")


def _hand_to_front(server: Any) -> None:
    """Give the socket to the group that its directory is of: gunicorn gives it to our own."""
    for listener in server.LISTENERS:
        path = Path(str(listener.cfg_addr))
        os.chown(path, -1, path.parent.stat().st_gid)
        path.chmod(0o660)


def _serving(_worker: Any) -> None:
    say_ready()


class _Service(BaseApplication):  # type: ignore[misc]
    def __init__(self, home: Home) -> None:
        self.home = home
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": [f"unix:{self.home.management_socket}"],
            "workers": WORKERS,
            "threads": THREADS,
            "worker_class": "gthread",
            "umask": 0o007,
            "timeout": 60,
            "graceful_timeout": 5,
            "keepalive": 30,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "control_socket_disable": True,
            "limit_request_line": 8_190,
            "limit_request_fields": 40,
            "proc_name": "cinnabar-management",
            "when_ready": _hand_to_front,
            "post_worker_init": _serving,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        app = create_app(self.home)
        app.extensions["cinnabar"].services.sampler.start()
        return PeerCheck(app, allowed_peers(self.home))


class PeerCheck:
    """Lets in whoever connects as one of the users; for all others the service is not there (control CHANNEL)."""

    def __init__(self, app: Flask, allowed: frozenset[int]) -> None:
        self._app = app
        self._allowed = allowed

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        connected: socket.socket = environ["gunicorn.socket"]
        user = peer_of(connected).user
        if user not in self._allowed:
            log.warning("stranger-on-socket", control="CHANNEL", user=user)
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        return self._app(environ, start_response)


def allowed_peers(home: Home) -> frozenset[int]:
    """The front's user where processes have users of their own, else ours; and root."""
    users = read_settings(home.settings).users
    separate = users.front is not None and users.management == os.geteuid()
    return frozenset((0, users.front if separate and users.front is not None else os.geteuid()))


def run(home: Home) -> None:
    """Serve until SIGTERM."""
    journal.configure("management")
    private_directory(home.management_socket.parent)
    _Service(home).run()
