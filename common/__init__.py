"""What every room stands on; imports nothing of the others."""

import warnings

# oslo's libraries import eventlet even where nobody uses it, and each start would say so.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
