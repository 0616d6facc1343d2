"""The bus: how services talk, and the only importer of oslo.messaging and kombu."""
