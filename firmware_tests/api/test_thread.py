"""The thin thread: a stamp from a client's bytes to disk and to a tool that is not ours."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_a_stamp_is_verified_by_openssl(box, stamp_query: bytes, tmp_path: Path) -> None:
    reply = box.request("POST", "/tsa/demo-tsu", stamp_query, headers={"Content-Type": "application/timestamp-query"})
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/timestamp-reply"
    (tmp_path / "query.tsq").write_bytes(stamp_query)
    (tmp_path / "answer.tsr").write_bytes(reply.body)
    command = [
        "openssl",
        "ts",
        "-verify",
        "-in",
        str(tmp_path / "answer.tsr"),
        "-queryfile",
        str(tmp_path / "query.tsq"),
    ]
    verified = subprocess.run(
        [*command, "-CAfile", str(box.home.trust / "tsa-ca.pem")], check=False, capture_output=True, text=True
    )
    assert verified.returncode == 0, verified.stderr
    record = box.request("GET", f"/v1/records/{reply.headers['cinnabar-record']}").json()
    assert record["artifact_type"] == "application/timestamp-token"
