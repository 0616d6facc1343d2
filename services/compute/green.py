"""Importing this puts greenthreads under everything that is imported later.

A process's main imports it before all else; nobody else does.
"""

import common  # noqa: F401 - silences eventlet's notice of its own end

import eventlet  # isort: skip

eventlet.monkey_patch()
