"""Cold migration and resize: which step follows which, and what every end means."""
