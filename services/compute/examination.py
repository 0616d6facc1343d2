"""Everything that the source of a move looks at: for the move, and for one only thought of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common import checks
from common import errors

if TYPE_CHECKING:
    from common import objects
    from services.compute.virt.driver import Driver

POLICY = "policy"
TLS = "tls"


def check_source(
    driver: Driver,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
    policy: objects.MigrationPolicy | None,
) -> objects.LibvirtLiveMigrateData:
    """Examine as the source; the first fail is raised."""
    report = as_source(driver, instance, data, policy)
    checks.refuse(report.results)
    return report.data


def as_source(
    driver: Driver,
    instance: objects.Instance,
    data: objects.LibvirtLiveMigrateData,
    policy: objects.MigrationPolicy | None,
) -> objects.CheckReport:
    """Give the driver's answers, and on what terms of the policy the move would run."""
    report = driver.examine_source(instance, data)
    if policy is None:
        return report
    there = driver.terms(instance, report.data, policy)
    host = data.destination_address
    if there.refusal:
        terms = [checks.failed(TLS, host, errors.CheckFailed(there.refusal))]
    elif there.doubt:
        terms = [checks.doubted(TLS, host, there.doubt)]
    else:
        wanted = "both hosts are ready for TLS" if policy.tls else "the policy does not ask for it"
        terms = [checks.passed(TLS, host, wanted)]
    if there.notes:
        terms.append(checks.doubted(POLICY, host, "; ".join(there.notes)))
    else:
        terms.append(checks.passed(POLICY, host, f"{policy.name} can be had whole"))
    return report.replace(results=[*report.results, *terms])
