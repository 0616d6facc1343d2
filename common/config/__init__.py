"""The options of every process, one module per group."""
