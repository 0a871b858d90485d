"""Boxes side by side on one machine have nothing to do with each other."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import httpx

from firmware_tests.running import RunningBox, cinnabar, wait_until
from firmware_tests.scenarios.load import Load, all_recorded


def test_two_boxes_side_by_side_do_not_disturb_each_other(box: RunningBox, make_box: Callable[..., RunningBox]) -> None:
    with Load(box, callers=2) as load:
        second = make_box("demo")
        second.start()
        with Load(second, callers=2) as other:
            wait_until(lambda: len(other.answered) > 50 and len(load.answered) > 50)
        second.kill()
        known = len(load.answered)
        wait_until(lambda: len(load.answered) > known + 50)
        second.start()
        all_recorded(second, other.answered)
        assert second.stop() == 0, second.said()
    assert not load.problems
    assert load.broken == 0
    assert not set(load.answered) & set(other.answered)


def test_one_boxs_credentials_mean_nothing_to_another(box: RunningBox, make_box: Callable[..., RunningBox]) -> None:
    second = make_box("demo")
    context = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    context.load_cert_chain(*second.credentials())
    with httpx.Client(base_url=box.url, verify=context) as client:
        assert client.get("/health").status_code == 400


def test_a_home_has_one_box_running_at_most(box: RunningBox) -> None:
    refused = cinnabar("run", "--home", str(box.home.root), "--api", "127.0.0.1:0", "--management", "off")
    assert refused.returncode != 0
    assert "already" in refused.stderr
    with box.http() as client:
        assert client.post("/v1/stamps", json={"digest": "aa" * 32}).status_code == 200
