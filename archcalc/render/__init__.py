"""Results become text here, and only here: the one floor that rounds, abbreviates and colours."""
