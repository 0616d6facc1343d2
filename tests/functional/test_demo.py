"""`make demo-sim`, as it is run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_simulated_story_ends_well():
    """Every service in one process moves a guest there and back, and both views agree."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.demo.sim"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 == done.returncode, done.stderr
    for host in ("host1", "host2"):
        agreed = f"it runs on {host} according to the simulated hypervisor, on {host} (ACTIVE)"
        assert agreed in done.stdout
    assert done.stdout.rstrip().endswith("arrived: guest, hypervisor and the API agree")
