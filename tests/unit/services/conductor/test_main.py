"""What the conductor does before it waits for anything."""

import pytest

from common import errors
from common.config import load
from services.conductor import main


def test_options_that_make_no_policy_are_refused_at_the_start():
    """Not with the first move, which may be the one that an operator is in a hurry with."""
    conf = load.private({"libvirt.live_migration_ladder": [300, 100]})

    with pytest.raises(errors.Invalid, match="live_migration_ladder"):
        main.serve(conf)
