"""What crosses the bus: versioned values without any I/O."""

from common.objects.catalog import Flavor as Flavor
from common.objects.catalog import Image as Image
from common.objects.catalog import Network as Network
from common.objects.catalog import Port as Port
from common.objects.check import CheckReport as CheckReport
from common.objects.check import CheckResult as CheckResult
from common.objects.host import ComputeNode as ComputeNode
from common.objects.host import HostFacts as HostFacts
from common.objects.host import Service as Service
from common.objects.instance import Instance as Instance
from common.objects.instance import InstanceAction as InstanceAction
from common.objects.instance import InstanceEvent as InstanceEvent
from common.objects.migration import DiskInfo as DiskInfo
from common.objects.migration import DiskProgress as DiskProgress
from common.objects.migration import LibvirtLiveMigrateData as LibvirtLiveMigrateData
from common.objects.migration import Migration as Migration
from common.objects.migration import MigrationProgress as MigrationProgress
from common.objects.migration import MigrationStep as MigrationStep
from common.objects.migration import MoveReport as MoveReport
from common.objects.policy import MigrationPolicy as MigrationPolicy
from common.objects.request import NewServer as NewServer
from common.objects.request import RequestSpec as RequestSpec
from common.objects.request import Selection as Selection
