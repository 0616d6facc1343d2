"""What bodies must look like, per microversion."""

from services.api.schemas.check import check as check
from services.api.schemas.check import load as load
from services.api.schemas.check import only_key as only_key
from services.api.schemas.check import Schemas as Schemas
