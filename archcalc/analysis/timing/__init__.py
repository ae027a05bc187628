"""Times: when enough has been sampled, what the samples say, and whether two runs differ. Knows no clock and no torch."""
