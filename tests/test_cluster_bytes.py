"""A node makes the bytes that this machine makes of the same speech, with the program's own engines.

`NODE_ROUNDS` is how often it is tried. Skipped where Ray is not installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.ray_nodes import cluster_of

ROUNDS = int(os.environ.get("NODE_ROUNDS", "2"))
ONE_CORE = "0"


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * ROUNDS)
@pytest.mark.parametrize("cores", ["", ONE_CORE], ids=["all cores", "one core"])
def test_a_node_makes_the_same_bytes_of_the_same_speech(cores: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-cluster.txt")
    with cluster_of() as nodes:
        nodes.start_slot(2, cores)
        command = [*(("taskset", "-c", cores) if cores else ()), sys.executable, "-m", "tests.same_speech"]
        environ = {**os.environ, **nodes.environ, "VOICE_DOWNLOADS": "off"}
        made = subprocess.run(
            [*command, str(tmp_path), str(ROUNDS)], cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE, text=True
        )
    rounds = [json.loads(line) for line in made.stdout.splitlines() if line.startswith("[[")]
    assert len(rounds) == ROUNDS
    for here, there in rounds:
        assert here == there == rounds[0][0]
