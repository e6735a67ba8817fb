"""Fit the population to the calibration trials, and say what the data move and what they cannot."""
