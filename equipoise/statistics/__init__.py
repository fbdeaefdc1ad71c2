"""Intervals and resampling: arrays in, bounds out."""
