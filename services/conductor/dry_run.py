"""A live migration that is only thought of: every check of every host, and nothing changed."""

from __future__ import annotations

import logging
from concurrent import futures
from typing import NamedTuple
from typing import TYPE_CHECKING

from common import checks
from common import context as contexts
from common import errors
from common import ids
from common import migration_policy
from common import objects
from common import states
from common.db import servers
from services.conductor import checks as own
from services.conductor import placement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oslo_config.cfg import ConfigOpts

    from common.context import Context
    from services.conductor.deps import Deps

LOG = logging.getLogger(__name__)

ANSWER = "answer"
# Hosts that are asked at once; the source answers for each of them.
BESIDE = 16

Results = list[objects.CheckResult]


class Question(NamedTuple):
    """What every host is asked."""

    deps: Deps
    context: Context
    instance: objects.Instance
    data: objects.LibvirtLiveMigrateData
    policy: objects.MigrationPolicy


def table(  # noqa: PLR0913 - all that a request says
    deps: Deps,
    context: Context,
    server: str,
    host: str | None,
    *,
    block_migration: bool | None,
    disk_over_commit: bool,
    zone: str | None,
    policy: dict[str, str],
) -> Results:
    """Give the answers of all checks, host by host; the source is among them only if named."""
    with deps.database.read() as tx:
        instance = servers.get(tx, server)
        disks = placement.disks(
            tx,
            instance,
            host,
            block_migration=block_migration,
            disk_over_commit=disk_over_commit,
        )
    question = Question(
        deps,
        context,
        instance,
        objects.LibvirtLiveMigrateData(
            migration_uuid="", block_migration=block_migration, disk_over_commit=disk_over_commit
        ),
        migration_policy.resolve(
            migration_policy.defaults(deps.conf), instance.flavor.extra_specs, policy
        ),
    )
    spec = _spec(deps.conf, instance, host, zone).replace(**disks)
    chosen = deps.scheduler.explain(context, spec)
    found = _rows(question, chosen)
    for name, results in _ask(question, _up(found)).items():
        found[name] += results
    return [result for results in found.values() for result in results]


def _spec(
    conf: ConfigOpts, instance: objects.Instance, host: str | None, zone: str | None
) -> objects.RequestSpec:
    return placement.spec(
        conf,
        instance,
        zone=zone,
        requested_host=host,
        ignore_hosts=[instance.host] if instance.host and host is None else [],
    )


def _rows(question: Question, chosen: Results) -> dict[str, Results]:
    """Give the conductor's own answers and the scheduler's, by host."""
    hosts = list(dict.fromkeys(result.host for result in chosen))
    with question.deps.database.read() as tx:
        found = {
            host: checks.every(own.DRY, host, own.Wish(question.deps, tx, question.instance, host))
            for host in hosts
        }
    for result in chosen:
        found[result.host].append(result)
    return found


def _up(found: dict[str, Results]) -> dict[str, bool]:
    """Give the hosts that can be asked, and whether their source can be asked too."""
    failed = {host: _failed(results) for host, results in found.items()}
    return {
        host: "source" not in names
        for host, names in failed.items()
        if not names & {"ComputeFilter", "known", "not-itself"}
    }


def _failed(results: Iterable[objects.CheckResult]) -> set[str]:
    return {result.name for result in results if result.verdict == states.Verdict.FAIL}


def _ask(question: Question, hosts: dict[str, bool]) -> dict[str, Results]:
    """Ask all hosts beside each other, for a bounded time."""
    if not hosts:
        return {}
    seconds = question.deps.conf.conductor.check_timeout
    pool = futures.ThreadPoolExecutor(min(len(hosts), BESIDE), "dry-run")
    asked = {
        host: pool.submit(_pair, question, host, with_source=source)
        for host, source in hosts.items()
    }
    try:
        futures.wait(asked.values(), timeout=seconds)
        return {host: _result(host, job, seconds) for host, job in asked.items()}
    finally:
        # Who is late ends by the time limit of its call, and cleans up after itself.
        pool.shutdown(wait=False, cancel_futures=True)


def _result(host: str, job: futures.Future[Results], seconds: int) -> Results:
    if job.done():
        return job.result()
    return [
        checks.failed(ANSWER, host, errors.NoAnswer(f"its checks had not ended after {seconds} s"))
    ]


def _pair(question: Question, host: str, *, with_source: bool) -> Results:
    """Ask destination, then source; what stops them in the middle is the last answer."""
    contexts.adopt(question.context)
    found: Results = []
    try:
        _examine(question, host, found, with_source=with_source)
    except errors.Error as silence:
        found.append(checks.failed(ANSWER, host, silence))
    except Exception as unexpected:
        LOG.exception("the checks of %s failed unexpectedly", host)
        failed = errors.RemoteError(f"unexpected: {unexpected}")
        found.append(checks.failed(ANSWER, host, failed))
    return [result.replace(host=host) for result in found]


def _examine(question: Question, host: str, found: Results, *, with_source: bool) -> None:
    context, instance = question.context, question.instance
    destination = question.deps.compute(host)
    data = question.data.replace(migration_uuid=ids.new(), test_file=checks.test_file(host))
    try:
        report = destination.examine_live_migration_destination(context, instance, data)
        found += report.results
        if with_source:
            source = question.deps.compute(str(instance.host))
            found += source.examine_live_migration_source(
                context, instance, report.data, question.policy
            ).results
    finally:
        # An answer that comes too late is nobody's, and its file would be too.
        destination.check_can_live_migrate_destination_cleanup(context, data)
