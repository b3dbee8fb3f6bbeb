"""Figures, never pass or fail: machines are shared and noisy, so look at ratios within one run. `make bench`."""
