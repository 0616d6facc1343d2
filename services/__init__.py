"""The processes; each stands alone.

Every one of them loads eventlet, compute on purpose and the others through
oslo.service. Its notice that it is deprecated is for us, not for operators.
"""

import warnings

warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
