"""Boots a guest, live-migrates it there and back, and believes only what it has seen."""

import time
from datetime import datetime
from typing import NamedTuple

from deploy.demo import errors
from deploy.demo.product import Product
from deploy.demo.product import Row
from deploy.demo.world import Heard
from deploy.demo.world import World

NAME = "tern"
FLAVOR = "m1.tiny"
# How the journal names what was decided about a running job: no step of the way.
DECISION = "decide_"


class Guest(NamedTuple):
    """The guest of the story."""

    uuid: str
    address: str


class Teller:
    """Prints what happens, with the seconds since the begin."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, words: str) -> None:
        """Print one line."""
        print(f"{time.monotonic() - self._began:6.1f} s  {words}", flush=True)


def tell(world: World, teller: Teller) -> None:
    """The whole story; CommandFailed or Untrue as soon as something is not as it should be."""
    product = Product(world.endpoint)
    first, second = world.hosts[:2]
    guest = boot(world, product, teller, first)
    there = move(world, product, teller, guest, (first, second), ("--host", second))
    back = move(world, product, teller, guest, (second, first), ())
    check_memory([there, back])
    teller.say(
        f"the guest kept its memory: boot {there.boots[0]}, "
        f"tick {there.first_tick} to {back.last_tick}, none repeated"
    )


def boot(world: World, product: Product, teller: Teller, host: str) -> Guest:
    """Create the server on the host and see its guest tick."""
    teller.say(f"booting a guest on {host}")
    words = ("--flavor", FLAVOR, "--image", world.image, "--network", world.network)
    server = product.order("server", "create", NAME, *words, "--host", host, "--wait")
    guest = Guest(server["id"], server["addresses"][0].partition("=")[2])
    world.wait_boot(guest.uuid, guest.address)
    teller.say(f"the guest ticks at {guest.address}")
    check_place(world, product, teller, guest, host)
    return guest


def move(
    world: World,
    product: Product,
    teller: Teller,
    guest: Guest,
    way: tuple[str, str],
    words: tuple[str, ...],
) -> Heard:
    """Live-migrate the guest while listening to it, print how it went, and see where it is.

    Without words that name the destination the scheduler chooses it; of two
    hosts there is one.
    """
    source, destination = way
    teller.say(f"live-migrating it from {source} to {destination}, listening to it")
    ear = world.listen(guest.uuid, guest.address)
    try:
        moved = product.order("server", "live-migrate", NAME, *words, "--wait")
    finally:
        heard = ear.close()
    journal = product.move(moved["id"])
    print_timeline(journal)
    teller.say(
        f"downtime: {heard.gap_ms:.0f} ms as the guest was heard, "
        f"{journal['downtime_ms']} ms by {world.kind}'s own count"
    )
    check_place(world, product, teller, guest, destination)
    return heard


def print_timeline(move_: Row) -> None:
    """Print each step of the move's journal: when it began, how long it took, where."""
    began = moment(move_["created_at"])
    print(f"\n  {'at ms':>8} {'took ms':>8}  {'host':<12} step")
    for step in (each for each in move_["steps"] if not each["step"].startswith(DECISION)):
        at = since(began, step["started_at"])
        took = since(moment(step["started_at"]), step["finished_at"] or step["started_at"])
        print(f"  {at:>8} {took:>8}  {step['host']:<12} {step['step']}")
    total = since(began, move_["finished_at"])
    print(
        f"  {total:>8} {'':>8}  {'':<12} {move_['status']}; of that the job: {move_['job_ms']} ms\n"
    )


def check_place(
    world: World, product: Product, teller: Teller, guest: Guest, expected: str
) -> None:
    """Ask the hypervisors and the API where the guest is; Untrue unless they agree."""
    running = world.running(guest.uuid)
    recorded, status = product.place(guest.uuid)
    teller.say(
        f"it runs on {', '.join(running) or 'no host'} according to {world.kind}, "
        f"on {recorded} ({status}) according to the API"
    )
    if running != [recorded] or running != [expected]:
        raise errors.Untrue(f"the guest should run on {expected} and nowhere else")
    if status != "ACTIVE":
        raise errors.Untrue(f"the API reports it {status}")


def check_memory(heard: list[Heard]) -> None:
    """Untrue unless all that was heard is one guest that never began anew."""
    boots = {boot for each in heard for boot in each.boots}
    if len(boots) != 1:
        raise errors.Untrue(f"the guest booted again: {', '.join(sorted(boots))}")
    ticks = [tick for each in heard for tick in (each.first_tick, each.last_tick)]
    if any(each.went_back for each in heard) or ticks != sorted(ticks):
        raise errors.Untrue(f"the guest's ticks went back: {ticks}")
    if ticks[0] == ticks[-1]:
        raise errors.Untrue("the guest's ticks stood still")


def moment(words: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(words)


def since(began: datetime, words: str) -> int:
    """Milliseconds from a time to one that the API wrote."""
    return round((moment(words) - began).total_seconds() * 1000)
