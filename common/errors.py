"""Every error that Whimbrel raises on purpose.

Each class is one kind of refusal or failure with one stable `code`; the first
argument is one sentence that names the object and says what to do. The code,
that sentence and its facts are all that crosses the bus and all that a user sees.
"""

from __future__ import annotations


class Error(Exception):
    """The root of every error on purpose; `code` never changes once released."""

    code = "internal"

    def __init__(self, message: str, **facts: object) -> None:
        """Keep the sentence; `facts` are small JSON values that callers may read."""
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        """Give the sentence alone, never a traceback."""
        return self.message


class Invalid(Error):
    """The request itself is wrong, and repeating it cannot help."""

    code = "invalid"


class Unauthorized(Error):
    """Nobody is known by the credentials given."""

    code = "unauthorized"


class Forbidden(Error):
    """The user is known and may not do this."""

    code = "forbidden"


class NotFound(Error):
    """The named object does not exist."""

    code = "not_found"


class Conflict(Error):
    """The object is not in a state that allows this, or changed meanwhile."""

    code = "conflict"


class Unavailable(Error):
    """A part that is needed (broker, database, service) does not answer now."""

    code = "unavailable"


class ServerNotFound(NotFound):
    """No server has this id."""

    code = "server_not_found"


class FlavorNotFound(NotFound):
    """No flavor has this id or name."""

    code = "flavor_not_found"


class ImageNotFound(NotFound):
    """The image store has no image with this id or name."""

    code = "image_not_found"


class NetworkNotFound(NotFound):
    """No network has this id or name."""

    code = "network_not_found"


class MigrationNotFound(NotFound):
    """No migration has this id, or it is not one of this server's."""

    code = "migration_not_found"


class ServiceNotFound(NotFound):
    """No service has this id, or host and binary."""

    code = "service_not_found"


class HostNotFound(NotFound):
    """No compute service has ever reported under this host name."""

    code = "host_not_found"


class AggregateNotFound(NotFound):
    """No aggregate has this number, or it has no such host."""

    code = "aggregate_not_found"


class GroupNotFound(NotFound):
    """No server group has this id."""

    code = "group_not_found"


class ActionNotFound(NotFound):
    """The server has no action with this request id."""

    code = "action_not_found"


class GuestNotFound(NotFound):
    """The hypervisor knows no guest with this uuid."""

    code = "guest_not_found"


class Exists(Conflict):
    """An object with this name or id exists already."""

    code = "exists"


class WrongState(Conflict):
    """The server's state does not allow this operation; the sentence names the state."""

    code = "wrong_state"


class StaleWrite(Conflict):
    """The row is no longer in the expected state or generation: zero rows were updated."""

    code = "stale_write"


class Unresolved(Conflict):
    """Nobody can tell which host has the guest; the sentence says what each has of it."""

    code = "unresolved"


class NoRoom(Conflict):
    """A claim does not fit the host's capacity; nothing was written."""

    code = "no_room"


class GroupPolicy(NoRoom):
    """A claim would break the policy of the server's group; nothing was written."""

    code = "group_policy"


class ZoneConflict(Conflict):
    """A host would be in two zones, or a guest outside of its zone."""

    code = "zone_conflict"


class NoAddress(Conflict):
    """The network's pool has no free address."""

    code = "no_address"


class HostUnsuitable(Invalid):
    """The named host can never serve this request: it is the source, or down."""

    code = "host_unsuitable"


class NoValidHost(Invalid):
    """No host can take the guest; `facts["reasons"]` is what common.reasons keeps."""

    code = "no_valid_host"


class CheckFailed(Invalid):
    """A pre-check refused the move before anything changed."""

    code = "check_failed"


class WrongArchitecture(CheckFailed):
    """The destination runs another architecture than the guest."""

    code = "wrong_architecture"


class IncompatibleCpu(CheckFailed):
    """The destination's processor cannot run the guest's virtual CPU."""

    code = "incompatible_cpu"


class HypervisorTooOld(CheckFailed):
    """The destination's hypervisor differs in type or is older than the source's."""

    code = "hypervisor_too_old"


class StorageMismatch(CheckFailed):
    """block_migration contradicts what the test file showed about shared storage."""

    code = "storage_mismatch"


class DiskExists(CheckFailed):
    """The destination already has files of this server; they are left untouched."""

    code = "disk_exists"


class NoDiskSpace(CheckFailed):
    """The destination's disk has too little room for the copy."""

    code = "no_disk_space"


class BridgeMissing(CheckFailed):
    """A bridge that the guest is connected to does not exist on the host."""

    code = "bridge_missing"


class Unreachable(CheckFailed):
    """The source cannot connect to a port of the destination that the move needs."""

    code = "unreachable"


class CopyPathClosed(CheckFailed):
    """The source of a cold move cannot connect to its destination; nothing was touched."""

    code = "copy_path_closed"


class BadImage(Error):
    """An image's bytes do not have the recorded checksum or size."""

    code = "bad_image"


class MoveAborted(Error):
    """The move was cancelled by a user; the guest runs on its source."""

    code = "move_aborted"


class MoveFailed(Error):
    """The hypervisor gave the move up; the guest runs on its source."""

    code = "move_failed"


class LinkLost(MoveFailed):
    """The link between the hosts broke while the guest was copied; it runs on its source."""

    code = "link_lost"


class HypervisorError(Error):
    """libvirt refused an operation; the sentence carries its own words."""

    code = "hypervisor_error"


class NoAnswer(Unavailable):
    """A service did not answer in time; the work may still be going on there."""

    code = "no_answer"


class BusDown(Unavailable):
    """The message broker cannot be reached."""

    code = "bus_down"


class DatabaseDown(Unavailable):
    """The database cannot be reached."""

    code = "database_down"


class RemoteError(Error):
    """A remote service failed in a way it did not expect; its log has the traceback."""

    code = "remote_error"


def by_code() -> dict[str, type[Error]]:
    """Give every error class by its code."""
    found: dict[str, type[Error]] = {}
    todo: list[type[Error]] = [Error]
    while todo:
        kind = todo.pop()
        found[kind.code] = kind
        todo.extend(kind.__subclasses__())
    return found


def rebuild(code: str, message: str, facts: dict[str, object]) -> Error:
    """Make the error again that another process raised; an unknown code is a RemoteError."""
    return by_code().get(code, RemoteError)(message, **facts)
