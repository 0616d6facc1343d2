"""A cold migration beside the same by hand: merged first, the overlay alone, and bare dd."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any
from typing import NamedTuple
from typing import TYPE_CHECKING

from deploy.lab import plan as plans
from deploy.lab import probe
from deploy.lab import registry
from deploy.lab import services
from deploy.lab.guest import build
from tests.benchmarks import byhand
from tests.benchmarks import ground as grounds
from tests.benchmarks.figures import Figure
from tests.benchmarks.figures import ratio
from tests.integration import cloud as clouds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration import labs

    Tables = dict[str, list[Figure]]

TURNS = 2  # to and fro
BASE = 1 << 30  # bytes
WRITTEN = 200  # MiB
IMAGE = "bench-cold"
PATIENCE = 120  # seconds for the guest to write
MIB = 1 << 20
TITLE = f"Cold migration of a running guest: {BASE // MIB} MiB base, {WRITTEN} MiB overlay"


class Ours(NamedTuple):
    """One of our moves: its row, and what was seen from outside."""

    row: dict[str, Any]
    started: float  # seconds from accepted until the guest was started over there
    off: float  # seconds
    part: float  # bytes on the wire, of those that the overlay takes
    rate: float  # MB/s


class Turn(NamedTuple):
    """All ways once, one after the other; seconds, but for the rate of dd."""

    ours: Ours
    overlay: float
    overlay_off: float
    merged: float
    merged_off: float
    floor: float  # MB/s


def measure(lab: labs.Lab, turns: int = TURNS) -> Tables:
    """Move one guest by Whimbrel, and its twin by hand, in turns."""
    ground = grounds.Ground(lab)
    name = image(lab)
    with guests(ground, name) as (guest, twin):
        ours(lab.name, guest, grounds.THERE)  # the base is at both hosts then
        ours(lab.name, guest, grounds.BACK)
        ways = (grounds.THERE, grounds.BACK) * turns
        found = [_turn(lab.name, guest, twin, way) for way in ways]
    return {
        TITLE: _compared(found),
        "Where the time of a cold migration goes": grounds.by_step([one.ours.row for one in found]),
    }


def image(lab: labs.Lab) -> str:
    """Have an image in the lab's store whose every byte takes room; gives its name."""
    plan = registry.find(lab.name)
    config = services.config_path(plan, plans.CONTROLLER, "api")
    manage = [str(pathlib.Path(sys.executable).with_name("whimbrel-manage"))]
    manage += ["--config-file", str(config), "image"]
    known = subprocess.run([*manage, "list"], capture_output=True, check=True, text=True)
    if IMAGE in known.stdout.split():
        return IMAGE
    files = build.files()
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder, "base")
        with base.open("wb") as file:
            for _ in range(BASE // MIB):
                file.write(os.urandom(MIB))
        subprocess.run(
            [
                *manage,
                *("add", "--name", IMAGE, "--file", str(base)),
                *("--kernel", str(files.kernel), "--ramdisk", str(files.initramfs)),
                *("--property", f"os_command_line={build.COMMAND_LINE}"),
            ],
            capture_output=True,
            check=True,
        )
    return IMAGE


@contextlib.contextmanager
def guests(ground: grounds.Ground, image: str) -> Iterator[list[clouds.Guest]]:
    """Have two guests on the first host that have written to their overlays."""
    booted: list[clouds.Guest] = []
    try:
        for name in ("bench-cold", "bench-cold-twin"):
            booted.append(ground.cloud.boot(name, image=image))
            probe.ask(booted[-1].address, f"write {WRITTEN}", PATIENCE)
        yield booted
    finally:
        for guest in booted:
            guest.delete()


def ours(lab: str, guest: clouds.Guest, way: grounds.Way) -> Ours:
    """Move by Whimbrel; its kept disk goes at once, as a user of the command has it."""
    hands = byhand.Hands(lab, way)
    allocated = hands.allocated(guest.uuid)
    both = [hands.source, hands.destination]
    with byhand.Lives(both, guest.uuid) as lives, byhand.Wire(hands.source) as wire:
        answer = guest.act({"migrate": {"host": way.destination, "whimbrel:confirm": True}})
        if not answer.ok:
            raise RuntimeError(answer.text)
        row = grounds.ended(guest, "confirmed")
    guest.wait_idle("ACTIVE")
    probe.alive(guest.address, 60)
    (finish,) = (step for step in row["steps"] if step["step"] == "finish_resize")
    started = grounds.seconds(row["created_at"], finish["finished_at"])
    return Ours(row, started, lives.off, wire.sent / allocated, wire.rate(allocated))


def _turn(lab: str, guest: clouds.Guest, twin: clouds.Guest, way: grounds.Way) -> Turn:
    """Move ours; the twin goes always the same way, and is put back."""
    mine = ours(lab, guest, way)
    hands = byhand.Hands(lab, grounds.THERE)
    both = [hands.source, hands.destination]
    seconds, off = [], []
    for move in (hands.overlay, hands.flattened):
        with byhand.Lives(both, twin.uuid) as lives:
            seconds.append(move(twin.uuid))
            # What put it back is no part of it.
        off.append(lives.off)
        probe.alive(twin.address, 60)
    with byhand.Wire(hands.source) as wire:
        hands.copy(f"{clouds.INSTANCES}/{twin.uuid}/disk", f"{clouds.INSTANCES}/.floor")
    hands.on(hands.destination, "rm", f"{clouds.INSTANCES}/.floor")
    rate = wire.rate(hands.allocated(twin.uuid))
    return Turn(mine, seconds[0], off[0], seconds[1], off[1], rate)


def _compared(found: list[Turn]) -> list[Figure]:
    """Set the ways side by side, and each aim as a ratio."""
    total = Figure("ours, accepted to started", "s", [one.ours.started for one in found])
    overlay = Figure("by hand, the overlay alone", "s", [one.overlay for one in found])
    merged = Figure("by hand, merged first", "s", [one.merged for one in found])
    off = Figure("ours: powered off", "s", [one.ours.off for one in found])
    overlay_off = Figure("the overlay alone: powered off", "s", [one.overlay_off for one in found])
    merged_off = Figure("merged first: powered off", "s", [one.merged_off for one in found])
    rate = Figure("ours: rate on the wire", "MB/s", [one.ours.rate for one in found])
    floor = Figure("dd over TCP: rate on the wire", "MB/s", [one.floor for one in found])
    confirmed = [grounds.total(one.ours.row) for one in found]
    return [
        total,
        Figure("ours, accepted to confirmed", "s", confirmed),
        overlay,
        merged,
        ratio("ours / the overlay alone (aim: 1.3)", total, overlay),
        off,
        overlay_off,
        merged_off,
        ratio("powered off: ours / merged first (aim: 0.33)", off, merged_off),
        ratio("powered off: ours / the overlay alone", off, overlay_off),
        Figure(
            "ours: bytes on the wire / allocated overlay (aim: 1.05)",
            "x",
            [one.ours.part for one in found],
        ),
        rate,
        floor,
        ratio("rate: ours / dd (aim: 0.8)", rate, floor),
    ]
