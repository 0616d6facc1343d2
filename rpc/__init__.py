"""The bus: how services talk, and the only importer of oslo.messaging and kombu."""

import warnings

# oslo.messaging imports eventlet even where nobody uses it, and each start would say so.
warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
