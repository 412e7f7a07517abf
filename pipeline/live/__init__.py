"""From a champion and the newest candles to a signal."""
